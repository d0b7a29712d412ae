"""What of the participants is missing in a mix: gaps of their tracks, told of the mixed output. Renders nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from reelroom.domain import lines
from reelroom.domain.timeline import DTX_BYTES, LAST_NS, STALL_NS, GapFinder, Hole, Pauses
from reelroom.record.closing import gap_reason
from reelroom.record.mixed.seen import Seen
from reelroom.rooms import protocol


class Gaps:
    """One finder for each participant's camera and screen. `tell` takes journal lines."""

    def __init__(self, output: str, tell: Callable[[Sequence[lines.AnyLine]], None]) -> None:
        """`output`: the mixed output that gaps are told of."""
        self._output = output
        self._tell = tell
        self._finders: dict[tuple[str, str], GapFinder] = {}
        self._untold: list[lines.Gap] = []  # before the mix has begun
        self._begun_ns: int | None = None
        self._told: set[tuple[str, str, int]] = set()  # gaps that are in the journal already
        self._late: dict[int, tuple[int, int]] = {}  # by serial: sound that comes too late, its first and last packet

    def restore(self, gaps: Iterable[lines.Gap]) -> None:
        """What the journal has is not told again."""
        self._told = {(gap.identity, gap.kind, gap.to_ns) for gap in gaps}

    def begun(self, start_ns: int) -> None:
        """The mix has its output: what reaches beyond its begin is told."""
        if self._begun_ns is None:
            self._begun_ns = start_ns
            self._tell([gap for gap in self._untold if gap.to_ns > start_ns])
            self._untold.clear()

    def added(self, seen: Seen) -> None:
        self._finders.setdefault(seen.place, GapFinder())

    def removed(self, seen: Seen, reason: str) -> None:
        self._in_time(seen)
        self.note(seen, gap_reason(reason))

    def note(self, seen: Seen, reason: str) -> None:
        """Why the next gap of a track will be."""
        finder = self._finders.get(seen.place)
        if finder is not None:
            finder.note(seen.info.kind, reason)

    def seen(self, seen: Seen, gap: protocol.GapSeen) -> None:
        """The ingest says what was lost."""
        finder = self._finders.get(seen.place)
        if finder is not None:
            finder.seen(seen.info.kind, gap.from_ns, gap.to_ns, gap.packets, gap.reason)

    def damaged(self, seen: Seen, from_ns: int, to_ns: int) -> None:
        """Its pictures could not be decoded: the last one before was seen until then."""
        self._line(seen, "video", Hole("video", from_ns, to_ns, "damage"))

    def frame(self, seen: Seen, room_ns: int, size: int, pauses: Pauses) -> None:
        """A frame of `size` bytes came: is there a hole before it?"""
        kind = seen.info.kind
        small = kind == "audio" and size <= DTX_BYTES
        for hole in self._finders[seen.place].frame(kind, room_ns, small, pauses):
            self._line(seen, kind, hole)

    def sound(self, seen: Seen, room_ns: int, size: int, late: bool) -> None:
        """A packet of sound came; `late`: when its time had been mixed already."""
        if not late:
            self._in_time(seen)
        elif size > DTX_BYTES:
            began_ns, _ = self._late.get(seen.serial, (room_ns, room_ns))
            self._late[seen.serial] = began_ns, room_ns

    def _in_time(self, seen: Seen) -> None:
        """Nothing more is late."""
        if seen.serial not in self._late:
            return
        began_ns, last_ns = self._late.pop(seen.serial)
        end_ns = last_ns + LAST_NS["audio"]
        if end_ns - began_ns > STALL_NS["audio"]:
            self._line(seen, "audio", Hole("audio", began_ns, end_ns, "late"))

    def _line(self, seen: Seen, kind: str, hole: Hole) -> None:
        if (seen.info.identity, kind, hole.to_ns) in self._told:
            return
        line = lines.Gap(
            output=self._output,
            kind=kind,
            identity=seen.info.identity,
            from_ns=hole.from_ns,
            to_ns=hole.to_ns,
            reason=hole.reason,
            packets=hole.packets,
        )
        if self._begun_ns is None:
            self._untold.append(line)
        else:
            self._tell([line])
