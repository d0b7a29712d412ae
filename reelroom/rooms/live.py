"""One track of a room while it lives: its number on the bus, its ring and who gets its frames. Holds no packets."""

from __future__ import annotations

from reelroom.domain.media import TrackInfo
from reelroom.rooms import protocol
from reelroom.rooms.ring import Kept, Ring
from reelroom.rooms.subscriber import Subscriber
from reelroom.rtc.track import RemoteTrack

_pack = protocol.FRAME_HEADER.pack
_OVERHEAD = protocol.FRAME_OVERHEAD - 4  # the length field does not count itself


class LiveTrack:
    """Numbers frames, keeps them in the ring and hands them to the subscribers."""

    __slots__ = (
        "began_ns",
        "bytes",
        "ended_ns",
        "info",
        "last_ns",
        "muted",
        "remote",
        "removed_reason",
        "ring",
        "seq",
        "subscribers",
    )

    def __init__(self, info: TrackInfo, remote: RemoteTrack, ring: Ring) -> None:
        self.info = info
        self.remote = remote
        self.ring = ring
        self.seq = 0
        self.bytes = 0
        self.began_ns = 0  # room time of its first frame
        self.last_ns = 0
        self.muted = False
        self.subscribers: list[Subscriber] = []
        self.ended_ns = 0  # room time of its end; 0: it lives
        self.removed_reason = ""

    @property
    def low(self) -> bool:
        """It is a camera's smallest layer, beside the track that everybody else gets."""
        return self.remote.smallest

    def frame(
        self, data: bytes, key: bool, rtp: int, room_ns: int, level: int, after_gap: bool, rotation: int = 0
    ) -> None:
        """One whole encoded frame. Per frame: one header, one ring entry, one append a subscriber."""
        self.seq = seq = self.seq + 1
        flags = (1 if key else 0) | (2 if after_gap else 0) | rotation << protocol.TURN_SHIFT
        header = _pack(
            _OVERHEAD + len(data), protocol.FRAME, flags, self.info.track, seq, room_ns, rtp & 0xFFFFFFFF, level
        )
        self.last_ns = room_ns
        self.bytes += len(data)
        self.ring.append(Kept(header, data, seq, room_ns, key))
        for subscriber in self.subscribers:
            subscriber.push(self.info.track, seq, header, data)
