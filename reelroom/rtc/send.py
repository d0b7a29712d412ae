"""A watching peer (WHEP): forwards a publisher's packets without decoding them. Holds no rooms and no transcoding."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from reelroom.rtc import rtcp, rtp
from reelroom.rtc.answer import Section, send_sections
from reelroom.rtc.dtls import Certificate, Role
from reelroom.rtc.peer import MS, Peer, Send
from reelroom.rtc.sdp import Codec, Media, Offer
from reelroom.rtc.srtp import SrtpError, SrtpTransport
from reelroom.rtc.track import Layer, RemoteTrack

_HISTORY = 512  # packets kept for retransmission, a power of two
_REPORT_NS = 1000 * MS
_POLL_NS = 100 * MS
_AGAIN = 256  # retransmissions of one track within a _POLL_NS: a short request must not cause a flood
_JUMP = 1000  # the publisher's sequence numbers leapt: numbers go on here as if nothing was

#: What makes two payload formats of one codec incompatible.
_MUST_EQUAL = {"h264": ("packetization-mode",), "vp9": ("profile-id",), "h265": ("tx-mode",)}


def choose_sections(offer: Offer, tracks: list[RemoteTrack]) -> tuple[list[Section], dict[str, RemoteTrack]]:
    """Give each receiving section of a viewer's offer the next track of its kind. SdpError when none fits."""
    left = list(tracks)
    chosen: dict[str, RemoteTrack] = {}

    def pick(media: Media) -> dict[int, Codec]:
        if media.direction not in ("recvonly", "sendrecv"):
            return {}
        for track in left:
            codec = _fitting(media, track.codec) if track.kind == media.kind else None
            if codec is not None:
                left.remove(track)
                chosen[media.mid] = track
                return {codec.payload_type: codec}
        return {}

    sections = send_sections(offer, pick)
    for section in sections:
        if section.codecs:
            section.send_ssrc = secrets.randbits(31) | 1
            section.cname = section.stream = "reelroom"
    return sections, chosen


def _fitting(media: Media, codec: Codec) -> Codec | None:
    same = [other for other in media.codecs.values() if other.name == codec.name]
    for name in _MUST_EQUAL.get(codec.name, ()):
        same = [other for other in same if other.fmtp.get(name, "0") == codec.fmtp.get(name, "0")]
    return same[0] if same else None


class _Outgoing:
    """One forwarded track: new SSRC, payload type and sequence numbers; the publisher's timestamps."""

    __slots__ = (
        "_again",
        "_forwarder",
        "_next",
        "_offset",
        "_orientation_id",
        "_place",
        "_shift",
        "history",
        "layer",
        "media",
        "octets",
        "packets",
        "payload_type",
        "ssrc",
        "track",
    )

    def __init__(self, forwarder: Forwarder, section: Section, track: RemoteTrack) -> None:
        self._forwarder = forwarder
        self.media = section.media
        self.track = track
        self.ssrc = section.send_ssrc
        self.layer: Layer | None = None
        self.payload_type = -1
        self.packets = self.octets = 0
        self.history: list[tuple[int, bytes] | None] = [None] * _HISTORY
        self._offset: int | None = None  # ours − theirs
        self._next = secrets.randbits(15)
        self._shift = 0  # our timestamp − theirs
        self._place: tuple[int, int] | None = None  # (our timestamp, room time) where the layer before ended
        self._again = _AGAIN
        self._orientation_id = section.extension(rtp.VIDEO_ORIENTATION)

    def follow(self) -> bool:
        """Attach to the layer in use now; True when it is a new one, which needs a key frame."""
        layer = self.track.active
        codec = _fitting(self.media, self.track.codec)
        self.payload_type = codec.payload_type if codec is not None else -1
        if layer is self.layer:
            return False
        self.leave()
        self.layer = layer
        self._offset = None
        if layer is None:
            return False
        layer.taps.append(self.packet)
        if self._place is not None:
            # Another stream from here on. Its time goes on where the one before was; and the number left out tells
            # the viewer that what follows cannot be decoded before a key frame.
            timestamp, room_ns = layer.clock.last
            passed = (room_ns - self._place[1]) * layer.clock.clock_rate // 1_000_000_000
            self._shift = self._place[0] + passed - timestamp
            self._next = (self._next + 1) & 0xFFFF
        return True

    def leave(self) -> None:
        if self.layer is not None:
            timestamp, room_ns = self.layer.clock.last
            self._place = (timestamp + self._shift, room_ns)
            if self.packet in self.layer.taps:
                self.layer.taps.remove(self.packet)
        self.layer = None

    def report(self) -> bytes | None:
        """A sender report about what was forwarded; None before there is something."""
        if self.layer is None or not self.packets:
            return None
        timestamp, room_ns = self.layer.clock.last
        return rtcp.sender_report(
            self.ssrc, room_ns, timestamp + self._shift, self.packets, self.octets
        ) + rtcp.source_description(self.ssrc, "reelroom")

    def refill(self) -> None:
        self._again = _AGAIN

    def packet(self, sequence: int, timestamp: int, marker: int, payload: bytes, now_ns: int) -> None:
        """A tap: one packet of the publisher, in the order it came."""
        if self.payload_type < 0:
            return  # the viewer cannot take this codec
        if self._offset is None:
            self._offset = self._next - sequence
        ours = (sequence + self._offset) & 0xFFFF
        ahead = ((ours - self._next + 0x8000) & 0xFFFF) - 0x8000
        if not -_JUMP < ahead < _JUMP:
            self._offset = self._next + 1 - sequence
            ours, ahead = (self._next + 1) & 0xFFFF, 1
        if ahead >= 0:
            self._next = (ours + 1) & 0xFFFF
        head = self.payload_type | (0x80 if marker else 0)
        # Padding goes on as an empty packet: without it the viewer would miss its number.
        turned = marker > 1 and self._orientation_id
        first = 0x90 if turned else 0x80
        plain = rtp.HEADER.pack(first, head, ours, (timestamp + self._shift) & 0xFFFFFFFF, self.ssrc)
        if turned:
            plain += rtp.one_element(self._orientation_id, marker & 3)
        plain += payload
        self.history[ours & (_HISTORY - 1)] = (ours, plain)
        self.packets += 1
        self.octets += len(payload)
        self._forwarder.send_rtp(plain)

    def again(self, sequences: list[int]) -> None:
        for sequence in dict.fromkeys(sequences):
            if self._again <= 0:
                return
            kept = self.history[sequence & (_HISTORY - 1)]
            if kept is not None and kept[0] == sequence:
                self._again -= 1
                self._forwarder.send_rtp(kept[1])


class Forwarder(Peer):
    """Sends `chosen` tracks to one viewer; set `ask_keyframe` before it connects."""

    def __init__(
        self,
        certificate: Certificate,
        offer: Offer,
        sections: list[Section],
        role: Role,
        send: Send,
        chosen: dict[str, RemoteTrack],
    ) -> None:
        super().__init__(certificate, offer, role, send)
        self.media = next(section.media for section in sections if section.mid in chosen)
        self.ask_keyframe: Callable[[RemoteTrack], None] = lambda track: None
        self._outgoing = [_Outgoing(self, s, chosen[s.mid]) for s in sections if s.mid in chosen]
        self._report_due = 0
        self.unsent = 0

    def send_rtp(self, plain: bytes) -> None:
        """Protect and send one packet. One that libsrtp cannot take (too long, too old) is lost, and counted."""
        if self._srtp is None or self.address is None:
            return
        try:
            protected = self._srtp.protect(plain)
        except (SrtpError, ValueError):
            self.unsent += 1
            return
        self._send(protected, self.address)

    def _connected(self, srtp: SrtpTransport, now_ns: int) -> None:
        self._follow()
        self._report_due = now_ns

    def _follow(self) -> None:
        for outgoing in self._outgoing:
            if outgoing.follow():
                self.ask_keyframe(outgoing.track)

    def _rtp(self, data: bytes, now_ns: int) -> None:
        self.rejected += 1  # a viewer has nothing to send

    def _rtcp(self, compound: bytes, now_ns: int) -> None:
        for packet in rtcp.parse(compound):
            if isinstance(packet, rtcp.Nack):
                for outgoing in self._outgoing:
                    if outgoing.ssrc == packet.media_ssrc:
                        outgoing.again(packet.sequences)
            elif isinstance(packet, rtcp.KeyframeRequest):
                for outgoing in self._outgoing:
                    if outgoing.ssrc == packet.media_ssrc:
                        self.ask_keyframe(outgoing.track)

    def _poll(self, now_ns: int) -> None:
        self.next_poll_ns = now_ns + _POLL_NS
        self._follow()
        for outgoing in self._outgoing:
            outgoing.refill()
        if now_ns < self._report_due:
            return
        self._report_due = now_ns + _REPORT_NS
        for outgoing in self._outgoing:
            report = outgoing.report()
            if report is not None:
                self._send_rtcp(report)

    def _ended(self) -> None:
        for outgoing in self._outgoing:
            outgoing.leave()
