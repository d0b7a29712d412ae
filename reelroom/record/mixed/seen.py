"""One track as the mix sees it: from when to when it is part of it, and when it was muted. Decodes nothing."""

from __future__ import annotations

from reelroom.domain.media import TrackInfo
from reelroom.record.mixed.decoder import PictureDecoder

FOREVER_NS = 1 << 62
_MUTES = 64  # changes of a track's state that are remembered


class Seen:
    """One track. It is part of the mix from `from_ns` to `until_ns`; `mutes` are (room time, muted), rising."""

    __slots__ = (
        "announced",
        "asked_ns",
        "decoder",
        "fresh",
        "from_ns",
        "heard",
        "info",
        "last_ns",
        "last_seq",
        "mutes",
        "place",
        "removed",
        "serial",
        "until_ns",
        "wanted_ns",
    )

    def __init__(self, serial: int, info: TrackInfo) -> None:
        self.serial = serial
        self.info = info
        self.place = (info.identity, info.source.output)
        self.decoder: PictureDecoder | None = None
        self.heard = False  # the sound mixer has it
        self.announced = 0  # room time of the announcement
        self.wanted_ns = 0  # when somebody wanted it: what came before is only decoded
        self.from_ns = FOREVER_NS  # its first frame
        self.until_ns = FOREVER_NS
        self.last_ns = 0  # of its last frame
        self.last_seq = 0
        self.mutes: tuple[tuple[int, bool], ...] = ()
        self.fresh = True  # announced on this connection
        self.removed = False
        self.asked_ns = 0

    def mute(self, at_ns: int, muted: bool) -> None:
        self.mutes = (*self.mutes, (at_ns, muted))[-_MUTES:]

    def begins_ns(self) -> int:
        return max(min(self.from_ns, self.announced), self.wanted_ns)

    def muted(self, at_ns: int) -> bool:
        return next((muted for since_ns, muted in reversed(self.mutes) if since_ns <= at_ns), False)
