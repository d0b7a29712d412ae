"""Notices that a thread does not come back from its work. Holds no clock, and ends nothing."""

from __future__ import annotations

from reelroom.domain.timeline import SECOND

#: Less than a ring is long, with what has to be heard again after it: then nothing is missing.
HUNG_NS = 6 * SECOND
_LOOK_NS = SECOND // 4  # counted at most between two looks: the whole process may have been stopped


class Watchdog:
    """Asked again and again by a thread that goes on."""

    def __init__(self) -> None:
        self._rounds = -1
        self._looked_ns = 0
        self._stuck_ns = 0

    def hung(self, now_ns: int, rounds: int, busy: bool) -> bool:
        """Whether the other thread has been `busy` for `HUNG_NS` without its `rounds` having risen; monotonic time."""
        passed_ns = min(_LOOK_NS, now_ns - self._looked_ns)
        self._looked_ns = now_ns
        if not busy or rounds != self._rounds:
            self._rounds, self._stuck_ns = rounds, 0
        else:
            self._stuck_ns += passed_ns
        return self._stuck_ns >= HUNG_NS
