"""When a mix that cannot keep up should encode with less effort, and when with more again. Holds no clock."""

from __future__ import annotations

from reelroom.domain.timeline import SECOND

_LOOK_NS = 2 * SECOND
_LATE_NS = SECOND // 2  # later than that, and not getting better
_CATCHING_UP_NS = 20 * SECOND  # whoever starts behind gets so long
_EASY_NS = 60 * SECOND  # so long less than `_EASY` of the time must have been needed
_EASY = 0.45
_FULL = 0.7
_LONGEST_NS = 3600 * SECOND


class Load:
    """Told of every tick; `look` answers -1 (less effort), 0, or 1 (more)."""

    def __init__(self) -> None:
        self._since_ns = 0
        self._busy_ns = 0
        self._late_ns: int | None = None  # at the last look
        self._began_ns = 0
        self._caught_up = False
        self._easy_ns = 0  # since when it has been easy; 0: it is not
        self._wait_ns = _EASY_NS
        self._raised = False  # the last change was to more effort

    def look(self, now_ns: int, late_ns: int, busy_ns: int) -> int:
        """A tick was rendered `late_ns` after it was due and took `busy_ns`; monotonic time `now_ns`."""
        self._began_ns = self._began_ns or now_ns
        self._since_ns = self._since_ns or now_ns
        self._busy_ns += busy_ns
        self._caught_up = self._caught_up or late_ns < _LATE_NS // 2
        span_ns = now_ns - self._since_ns
        if span_ns < _LOOK_NS:
            return 0
        share = self._busy_ns / span_ns
        before, self._late_ns = self._late_ns, late_ns
        self._since_ns, self._busy_ns = now_ns, 0
        if not self._caught_up and now_ns - self._began_ns < _CATCHING_UP_NS:
            return 0
        # Who stood still is late all at once, without having had much to do.
        lasting = share > _FULL or (before is not None and before > _LATE_NS)
        if late_ns > _LATE_NS and before is not None and late_ns >= before and lasting:
            self._easy_ns = 0
            self._late_ns = None  # the new effort gets a chance
            if self._raised:  # it was too early
                self._wait_ns, self._raised = min(2 * self._wait_ns, _LONGEST_NS), False
            return -1
        if share > _EASY or late_ns > _LATE_NS:
            self._easy_ns = 0
            return 0
        self._easy_ns = self._easy_ns or now_ns
        if now_ns - self._easy_ns < self._wait_ns:
            return 0
        self._easy_ns, self._raised = 0, True
        return 1
