"""What an uploader knows of one destination while it has something for it. Uploads nothing."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict

from reelroom.deliver.storage import Storage

LANE_PAUSE_MAX_S = 5.0  # a destination that is away is tried at least this often


class Lane:
    """One destination's work in this process."""

    def __init__(self, destination: str) -> None:
        self.destination = destination
        self.recordings: OrderedDict[str, int] = OrderedDict()  # with something to upload → times it was poked
        self.running: dict[int, asyncio.Task[None]] = {}
        self.busy: dict[str, int] = {}  # uploads under way per recording
        self.failures = 0  # in a row
        self.not_before = 0.0  # loop time of the next try while it is down
        self.wake = asyncio.Event()
        self.storage: Storage | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def down(self) -> bool:
        return self.failures >= 2

    def failed(self, now: float) -> None:
        """An upload failed at loop time `now`; once it is down, every one more makes the pause longer."""
        self.failures += 1
        if self.down:
            pause = min(0.5 * 2 ** min(self.failures - 2, 10), LANE_PAUSE_MAX_S)
            self.not_before = now + pause * random.uniform(0.8, 1.0)
