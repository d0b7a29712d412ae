"""One track of a room while it lives: its number on the bus, its ring and who gets its frames. Holds no packets."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from reelroom.domain.media import TrackInfo
from reelroom.rooms import protocol
from reelroom.rooms.ring import Kept, Ring
from reelroom.rooms.subscriber import Subscriber
from reelroom.rtc.track import RemoteTrack

_pack = protocol.FRAME_HEADER.pack
_OVERHEAD = protocol.FRAME_OVERHEAD - 4  # the length field does not count itself


class Leaving(NamedTuple):
    """A recorder that no longer wants a track, but still what was captured before it said so."""

    subscriber: Subscriber
    until_ns: int  # room time: frames from then on are not wanted
    deadline_ns: int  # room time at which it is waited for no longer


class LiveTrack:
    """Numbers frames, keeps them in the ring and hands them to the subscribers."""

    __slots__ = (
        "began_ns",
        "bytes",
        "ended_ns",
        "info",
        "last_ns",
        "leaving",
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
        self.leaving: list[Leaving] = []  # almost always empty
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
        if self.leaving:
            self._give_leaving(seq, room_ns, header, data)

    def tell(self, message: Struct) -> None:
        """Something about this track, to everybody who gets it."""
        for subscriber in self.subscribers:
            subscriber.tell(message)
        for each in self.leaving:
            each.subscriber.tell(message)

    def release(self, subscriber: Subscriber, until_ns: int, deadline_ns: int) -> None:
        """A subscriber wants nothing that is captured from `until_ns` on. What was before may still be on its way, for
        as long as the deadline says: frames come in order, so the first one behind `until_ns` ends the wait."""
        self.subscribers.remove(subscriber)
        leaving = Leaving(subscriber, until_ns, deadline_ns)
        self.leaving.append(leaving)
        if self.last_ns >= until_ns:
            self.let_go(leaving)

    def let_go(self, leaving: Leaving) -> None:
        """It has got everything, or is not waited for any longer."""
        self.leaving.remove(leaving)
        subscriber = leaving.subscriber
        if subscriber.lagging:  # nobody will ask for the rest of this track
            self.hand_over(subscriber, leaving.until_ns)
        subscriber.positions.pop(self.info.track, None)
        gone = protocol.TrackRemoved(track=self.info.track, room_ns=leaving.until_ns, reason="unsubscribed")
        subscriber.tell(gone)

    def hand_over(self, subscriber: Subscriber, before_ns: int | None = None) -> None:
        """All that the ring still has and a lagging subscriber lacks; of that what is before a room time."""
        seq = subscriber.positions.get(self.info.track, 0)
        self.tell_ring_gap(subscriber, seq)
        frames = self.ring.after(seq)
        subscriber.replay(self.info.track, [f for f in frames if before_ns is None or f.room_ns < before_ns])

    def tell_ring_gap(self, subscriber: Subscriber, seq: int) -> None:
        """The ring no longer has what follows frame `seq`, if that is so."""
        if self.ring.first_seq > seq + 1:
            oldest_ns = self.ring.after(seq)[0].room_ns
            subscriber.tell(
                protocol.GapSeen(track=self.info.track, from_ns=0, to_ns=oldest_ns, packets=0, reason="ring")
            )

    def _give_leaving(self, seq: int, room_ns: int, header: bytes, data: bytes) -> None:
        for each in tuple(self.leaving):
            if room_ns < each.until_ns:
                each.subscriber.push(self.info.track, seq, header, data)
            else:
                self.let_go(each)
