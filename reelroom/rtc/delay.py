"""Queueing delay of a path by absolute send times (abs-send-time, 6.18 seconds). Estimates no bit rate."""

from __future__ import annotations

from collections import deque

from reelroom.rtc.rtp import extend

S = 1_000_000_000
_BITS = 24
_INTERVALS = 60  # whose least delays are remembered: longer, and clocks that drift would look like a queue
_LEAP_NS = 5 * S  # no queue is so long: the sender has set its clock


class SendDelay:
    """How much longer packets take than they did at best. Source: WebRTC's abs-send-time header extension."""

    __slots__ = ("_arrival_ns", "_current", "_least", "_sent")

    def __init__(self) -> None:
        self._sent: int | None = None  # extended ticks of 2^-18 s
        self._arrival_ns = 0
        self._current: int | None = None  # the least of this interval, ns on a scale of its own
        self._least: deque[int] = deque(maxlen=_INTERVALS)

    def sample(self, value: int, arrival_ns: int) -> None:
        """A packet's send time (0 to 2^24 - 1) and when it came in."""
        if self._sent is None:
            sent = value
        else:
            # By what has passed: the 24 bits wrap each 64 s, and a muted camera sends nothing for longer.
            sent = extend(value, self._sent + ((arrival_ns - self._arrival_ns) << 18) // S, _BITS)
            leap = (arrival_ns - self._arrival_ns) - ((sent - self._sent) * S >> 18)
            if abs(leap) > _LEAP_NS:
                self._least.clear()
                self._current = None
        self._sent, self._arrival_ns = sent, arrival_ns
        delay = arrival_ns - (sent * S >> 18)
        if self._current is None or delay < self._current:
            self._current = delay

    def take(self) -> int:
        """By how many ns (0 or more) the quickest packet since the last call was slower than the quickest of late."""
        current, self._current = self._current, None
        if current is None:
            return 0
        self._least.append(current)
        return current - min(self._least)
