"""What is left out of an output's media time besides pauses: gaps for which a recording asks that. Reads no log."""

from __future__ import annotations

from collections.abc import Collection

from reelroom.domain.timeline import KNOWN_NS, LAST_NS, Pauses


class Cuts:
    """The cuts of one output, whose frames come in the order of its logs. Times are nanoseconds.

    `reasons` are those of `RecordingSpec.cuts`. A gap is cut when nothing of any kind came meanwhile: while somebody's
    sound goes on, their picture's absence takes its time.
    """

    def __init__(self, reasons: Collection[str]) -> None:
        self.total_ns = 0  # left out so far
        self._reasons = frozenset(reasons)
        self._noted = False  # there is a reason to cut the gap before the next frame, if there is one
        self._end_ns = 0  # room time until which frames last; 0: there was none
        self._least_ns = 0  # media time of the last cut: nothing after it in the log goes before it

    def note(self, reason: str) -> None:
        """Something happened that may explain a gap: "left", somebody came back; "mute", somebody fell silent."""
        self._noted |= reason in self._reasons

    def place(self, kind: str, room_ns: int, media_ns: int, pauses: Pauses) -> int:
        """Media time of the next frame, which would be `media_ns` with nothing cut."""
        if self._noted and self._end_ns and room_ns - self._end_ns > KNOWN_NS:
            self.total_ns += room_ns - self._end_ns - pauses.between(self._end_ns, room_ns)
            self._least_ns = media_ns - self.total_ns
        self._noted = False
        self._end_ns = max(self._end_ns, room_ns + LAST_NS[kind])
        return max(media_ns - self.total_ns, self._least_ns)

    def closed(self, end_ns: int) -> None:
        """A segment ends at that room time, which its frames alone do not say."""
        self._end_ns = max(self._end_ns, end_ns)

    def restore(self, end_ns: int, total_ns: int) -> None:
        """After a restart: where the last segment ends, and what was left out by then."""
        self._end_ns, self.total_ns = end_ns, max(0, total_ns)
