"""What an uploader knows of one destination while it has something for it. Uploads nothing."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, OrderedDict

from reelroom.deliver.outbox import NEVER_NS
from reelroom.deliver.results import Result
from reelroom.deliver.storage import Storage

LANE_PAUSE_MAX_S = 5.0  # a destination that is away is tried at least this often


class Lane:
    """One destination's work in this process."""

    def __init__(self, destination: str) -> None:
        self.destination = destination
        self.recordings: OrderedDict[str, int] = OrderedDict()  # with something to upload → when to look at it (UTC ns)
        self.jobs: set[asyncio.Task[None]] = set()  # uploads under way
        self.busy: Counter[str] = Counter()  # ... per recording
        self.running: dict[int, str] = {}  # file → recording of what was begun and is not written down yet
        self.results: list[Result] = []  # to be written down
        self.storing: asyncio.Task[None] | None = None
        self.hurry = asyncio.Event()  # no more results are worth waiting for
        self.failures = 0  # in a row
        self.not_before = 0.0  # loop time of the next try while it is down
        self.wake = asyncio.Event()
        self.storage: Storage | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        return not (self.recordings or self.jobs or self.running)

    def look(self, recording: str, ns: int) -> None:
        """Something of this recording may be due at `ns`."""
        self.recordings[recording] = min(ns, self.recordings.get(recording, NEVER_NS))

    def drop_idle(self) -> None:
        """Forget recordings of which nothing is under way and nothing will be due."""
        held = set(self.running.values())
        for recording in [each for each, ns in self.recordings.items() if ns >= NEVER_NS]:
            if recording not in held and not self.busy[recording]:
                del self.recordings[recording]

    @property
    def down(self) -> bool:
        return self.failures >= 2

    def failed(self, now: float) -> None:
        """An upload failed at loop time `now`; once it is down, every one more makes the pause longer."""
        self.failures += 1
        if self.down:
            pause = min(0.5 * 2 ** min(self.failures - 2, 10), LANE_PAUSE_MAX_S)
            self.not_before = now + pause * random.uniform(0.8, 1.0)
