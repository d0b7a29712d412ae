"""Room time to media time, and what is a gap. Holds no frames' bytes, files or clocks.

Opus DTX (RFC 7587 section 3.1.3): a sender that uses it stops sending in silence but for an update about every
400 ms, and the packet before the silence has at most two bytes. Such a pause is silence that the sender
described, not a gap, as long as it ends within a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

SECOND = 1_000_000_000
STALL_NS = {"video": SECOND, "audio": 200_000_000}
KNOWN_NS = 100_000_000  # the same when something is known to have happened: somebody left and came back
LOST_A_SECOND = 5  # packets missing for good that explain a silence by loss; a mute with one lost packet stays one
DTX_NS = SECOND
DTX_BYTES = 2
#: The least distance of two frames of one track in media time. Pictures: a millisecond, in which WebM and FLV count;
#: those from before an output's begin, which later ones need, stand so close. Sound: one tick of 48 kHz, rounded up.
STEP_NS = {"video": 1_000_000, "audio": 20_834}
#: How long the last frame of a track lasts when nothing says so.
LAST_NS = {"video": 33_333_333, "audio": 20_000_000}
#: Of several things that happened in one gap, the reason written down is the first of these.
PRECEDENCE = (
    "ingest_restart", "ring", "overload", "unsubscribed", "left", "reconnect", "mute", "loss", "layer", "damage",
    "stall",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pauses:
    """The recording's pauses in room time, in order and apart; the last one may be open (`to` None)."""

    spans: tuple[tuple[int, int | None], ...] = ()

    @property
    def paused(self) -> bool:
        return bool(self.spans) and self.spans[-1][1] is None

    def pause(self, at_ns: int) -> Pauses:
        """With a pause from `at_ns` on; ValueError when paused already."""
        if self.paused:
            raise ValueError("the recording is paused already")
        if self.spans and at_ns < (self.spans[-1][1] or 0):
            at_ns = self.spans[-1][1] or 0
        return Pauses((*self.spans, (at_ns, None)))

    def resume(self, at_ns: int) -> Pauses:
        """With the open pause ended at `at_ns`; ValueError when not paused."""
        if not self.paused:
            raise ValueError("the recording is not paused")
        begin = self.spans[-1][0]
        return Pauses((*self.spans[:-1], (begin, max(begin, at_ns))))

    def covers(self, room_ns: int) -> bool:
        """Whether a frame of that time falls into a pause."""
        return any(begin <= room_ns and (end is None or room_ns < end) for begin, end in reversed(self.spans))

    def between(self, from_ns: int, to_ns: int) -> int:
        """Nanoseconds of pause within a span of room time."""
        return sum(max(0, min(to_ns, to_ns if end is None else end) - max(from_ns, begin)) for begin, end in self.spans)

    def media_ns(self, start_ns: int, room_ns: int) -> int:
        """Media time of a room time in an output that started at `start_ns`; negative before its start."""
        return room_ns - start_ns - self.between(start_ns, room_ns)

    def room_ns(self, start_ns: int, media_ns: int) -> int | None:
        """The room time of a media time, after a pause that it falls on; None when it lies behind an open pause."""
        room_ns = start_ns + media_ns
        for begin, end in self.spans:
            if end is not None and end <= start_ns:
                continue
            if room_ns < begin:
                break
            if end is None:
                return None
            room_ns += end - max(begin, start_ns)
        return room_ns

    def last_end_between(self, from_ns: int, to_ns: int) -> int | None:
        """The end of the last pause that lies wholly within a span, None when there is none."""
        ends = [end for begin, end in self.spans if end is not None and begin >= from_ns and end <= to_ns]
        return ends[-1] if ends else None


@dataclass(frozen=True, slots=True)
class Hole:
    """One gap of one kind ("audio", "video") in room time."""

    kind: str
    from_ns: int
    to_ns: int
    reason: str
    packets: int = 0


@dataclass(slots=True)
class _Kind:
    last_ns: int | None = None  # of the last frame
    small: bool = False  # that frame was an Opus packet that announces silence
    reasons: set[str] = field(default_factory=set)  # noted since that frame
    seen: list[Hole] = field(default_factory=list)  # reported by the ingest since that frame


class GapFinder:
    """Finds the gaps of one output from its frames and what happened between them, each exactly once.

    A gap is written when the frame after it comes: a track that never comes back has no gap, it has ended.
    """

    def __init__(self) -> None:
        self._kinds = {"audio": _Kind(), "video": _Kind()}

    def note(self, kind: str, reason: str) -> None:
        """Something happened that explains the gap in progress ("mute", "left", "reconnect"...)."""
        self._kinds[kind].reasons.add(reason)

    def seen(self, kind: str, from_ns: int, to_ns: int, packets: int, reason: str) -> None:
        """The ingest gave up `packets` between two frames (`from_ns` 0: the last frame and the next one)."""
        self._kinds[kind].seen.append(Hole(kind, from_ns, to_ns, reason, packets))

    def frame(self, kind: str, room_ns: int, small: bool = False, pauses: Pauses | None = None) -> Sequence[Hole]:
        """A frame came; `small`: an Opus packet of at most `DTX_BYTES`. The gaps that it ends."""
        state = self._kinds[kind]
        last = state.last_ns
        if last is None:  # before an output's first frame of a kind nothing can be missing
            holes: list[Hole] = []
        elif not state.seen and not state.reasons and room_ns - last <= STALL_NS[kind]:
            state.last_ns = max(room_ns, last)
            state.small = small
            return ()
        else:
            holes = self._holes(kind, state, last, room_ns, pauses or Pauses())
        state.reasons.clear()
        state.seen.clear()
        state.last_ns = room_ns if last is None else max(room_ns, last)
        state.small = small
        return holes

    def _holes(self, kind: str, state: _Kind, last: int, room_ns: int, pauses: Pauses) -> list[Hole]:
        resumed = pauses.last_end_between(last, room_ns)
        begin = last if resumed is None else resumed
        if room_ns - begin > (KNOWN_NS if state.reasons or resumed is not None else STALL_NS[kind]):
            reasons = state.reasons | {hole.reason for hole in state.seen}
            if not reasons and state.small and room_ns - begin <= DTX_NS:
                return []
            packets = sum(hole.packets for hole in state.seen)
            if packets >= LOST_A_SECOND * (room_ns - begin) / SECOND:
                reasons.discard("mute")  # it only looked silent: what was sent did not arrive
            reason = next((r for r in PRECEDENCE if r in reasons), "stall" if resumed is None else "pause")
            return [Hole(kind, begin, room_ns, reason, packets)]
        holes = [replace(h, from_ns=begin, to_ns=room_ns) if not h.from_ns else h for h in state.seen]
        return [hole for hole in holes if hole.to_ns > hole.from_ns]

    def open_since(self, kind: str, at_ns: int) -> int | None:
        """Since when nothing of a kind has come, if at `at_ns` that is long enough to be a gap."""
        last = self._kinds[kind].last_ns
        return last if last is not None and at_ns - last > STALL_NS[kind] else None

    def restore(self, kind: str, last_ns: int) -> None:
        """After a restart: the time of the last frame of a kind that is in a closed segment."""
        self._kinds[kind].last_ns = last_ns


class Monotonic:
    """Makes the media times of one track strictly increasing, never negative, by at least `step_ns`."""

    __slots__ = ("_last", "_step")

    def __init__(self, step_ns: int, last_ns: int = -1) -> None:
        self._step = step_ns
        self._last = last_ns

    def next(self, media_ns: int) -> int:
        """The media time of the track's next frame; its own unless that is too early."""
        least = self._last + self._step if self._last >= 0 else 0
        self._last = media_ns if media_ns > least else least
        return self._last


def end_of(times: Iterable[int], kind: str) -> int | None:
    """Room time at which the last of a track's frames ends, taking its length from the frame before."""
    last = before = None
    for time in times:
        before, last = last, time
    if last is None:
        return None
    length = last - before if before is not None else 0
    return last + (length if 0 < length <= STALL_NS[kind] else LAST_NS[kind])
