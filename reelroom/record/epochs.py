"""Which life of the ingest a recorder is with, its epochs in the journal, and room time. Talks to nobody."""

from __future__ import annotations

import hashlib
import time

from reelroom.domain import lines
from reelroom.record.recovery import Found
from reelroom.record.worker import Worker


class Epochs:
    """One recorder's. `now` is the monotonic clock in nanoseconds."""

    def __init__(self, found: Found, spec: bytes, public_key: str, worker: Worker) -> None:
        """`spec`: the recording's specification as it is on disk."""
        self.ingest = found.ingest
        self.opened = bool(found.started_ns)  # this process may append other lines
        self._offset_ns = time.time_ns() - time.monotonic_ns()
        self._digest = hashlib.sha256(spec).hexdigest()
        self._public_key = public_key
        self._worker = worker

    def set_clock(self, room_ns: int, now: int) -> None:
        """The ingest says that room time is `room_ns`; until then it is this machine's UTC."""
        self._offset_ns = room_ns - now

    def room_ns(self, now: int) -> int:
        """Room time then."""
        return now + self._offset_ns

    def room_now(self) -> int:
        """Room time now; from any thread."""
        return self.room_ns(time.monotonic_ns())

    def open(self, ingest: str, resumed: bool) -> None:
        """What is appended from now on belongs to this life of the ingest ("": none has been seen)."""
        opened = lines.Opened(
            room_ns=self.room_now(),
            spec_sha256=self._digest,
            ingest=ingest,
            public_key=self._public_key,
            resumed=resumed,
        )
        if self.opened and self.ingest != ingest:
            self._worker.next_epoch()
        self.opened, self.ingest = True, ingest
        self._worker.lines([opened])
