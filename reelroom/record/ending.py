"""How a recording ends: what is waited for after a stop, and what is closed then; a full disk stops it too. No loop."""

from __future__ import annotations

from collections.abc import Callable

from reelroom.domain import lines
from reelroom.record.epochs import Epochs
from reelroom.record.intake import Intake
from reelroom.record.mixed.recording import MixedRecording
from reelroom.record.worker import FULL, Worker

_DRAIN_NS = 300_000_000


class Ending:
    """One recorder's. `now` is the monotonic clock in nanoseconds."""

    def __init__(self, intake: Intake, mixed: MixedRecording | None, epochs: Epochs, worker: Worker) -> None:
        self.stop: lines.Stop | None = None  # it has begun to end
        self.full = False  # the disk, for good; set from any thread
        self._deadline_ns = 0
        self._intake = intake
        self._mixed = mixed
        self._epochs = epochs
        self._worker = worker

    def guarded(self, work: Callable[[], None]) -> None:
        """Run something that writes logs; a full disk stops the recording."""
        try:
            work()
        except OSError as error:
            if error.errno not in FULL:
                raise
            self.full = True

    def begin(self, stop: lines.Stop, now: int) -> None:
        """What was captured until `stop` is still taken."""
        at_ns = min(stop.at_ns, self._epochs.room_ns(now) + _DRAIN_NS)  # no later than is waited for
        self.stop = lines.Stop(at_ns=at_ns, reason=stop.reason, message=stop.message)
        self._deadline_ns = now + _DRAIN_NS
        self._intake.end_at(at_ns)
        if self._mixed is not None:
            self._deadline_ns = now + self._mixed.STOP_NS
            self._mixed.stop(at_ns)

    def due(self, now: int) -> bool:
        """It was stopped, and there is nothing more to wait for."""
        if self.stop is None:
            return False
        if self.full or now >= self._deadline_ns:
            return True
        if self._mixed is not None:  # it renders what has come until then
            return self._mixed.done
        return self._intake.reached_end()

    def end(self, now: int) -> None:
        """Close all that is open and say so."""
        stop = self.stop
        assert stop is not None
        if not self._epochs.opened:
            self._epochs.open("", resumed=False)
        try:
            self._finish_outputs(now)
        except OSError as error:
            if error.errno not in FULL:
                raise
            self.full = True
            self._finish_outputs(now)
        self._worker.lines([lines.Stopped(at_ns=stop.at_ns, reason=stop.reason, message=stop.message)])

    def _finish_outputs(self, now: int) -> None:
        self._intake.finish(now, giving_up=self.full)
        if self._mixed is not None:
            self._mixed.finish(now, self._intake.before_ns, giving_up=self.full)
