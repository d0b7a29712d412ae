"""A small WebRTC sender for tests, over in-memory links with loss and delay in made-up time. Tests nothing itself.

It is written against the RFCs with aioice's STUN messages and libsrtp; of the code under test it uses the DTLS
transport (its own handshake is tested apart) and the SDP parser that the session needs anyway.
"""

from __future__ import annotations

import heapq
import itertools
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from aioice import stun
from pylibsrtp import Error, Policy, Session

from reelroom.rtc.answer import Section, receive_sections, role_for
from reelroom.rtc.dtls import Certificate, DtlsTransport, Fingerprint, Role
from reelroom.rtc.peer import Peer
from reelroom.rtc.receive import Publisher
from reelroom.rtc.sdp import Offer, parse_offer
from reelroom.rtc.track import RemoteTrack

MS = 1_000_000
S = 1_000_000_000
START_NS = 1_800_000_000 * S
HERE = ("192.0.2.1", 40000)

MID, RID, REPAIRED, LEVEL, TWCC, SENT, TURN = 1, 2, 3, 4, 5, 6, 7
EXTENSIONS = {
    MID: "urn:ietf:params:rtp-hdrext:sdes:mid",
    RID: "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    REPAIRED: "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
    LEVEL: "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    TWCC: "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    SENT: "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    TURN: "urn:3gpp:video-orientation",
}


@cache
def certificate(name: str) -> Certificate:
    """One certificate a name for the whole test run: making them costs."""
    del name
    return Certificate()


def offer_text(
    *,
    audio: bool = True,
    video: bool = True,
    setup: str = "actpass",
    extensions: tuple[int, ...] = (MID, RID, REPAIRED, LEVEL, TWCC),
    feedback: tuple[str, ...] = ("nack", "nack pli", "transport-cc"),
    rids: tuple[str, ...] = (),
    extra: tuple[str, ...] = (),
    direction: str = "sendonly",
    fingerprint: Fingerprint | None = None,
) -> str:
    """An offer with opus (111) and PCMU (0), and VP8 (96, RTX 97), H264 (98, RTX 99), VP9 (100, RTX 101)."""
    prints = fingerprint or certificate("sender").fingerprint
    mids = [mid for mid, there in (("a", audio), ("v", video)) if there]
    lines = ["v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {' '.join(mids)}"]
    transport = [
        "c=IN IP4 0.0.0.0",
        "a=ice-ufrag:them",
        "a=ice-pwd:0123456789abcdefghijklmn",
        f"a=fingerprint:{prints.algorithm} {prints.value}",
        f"a=setup:{setup}",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        f"a={direction}",
        *(f"a=extmap:{number} {EXTENSIONS[number]}" for number in extensions),
    ]
    if audio:
        lines += ["m=audio 9 UDP/TLS/RTP/SAVPF 111 0", *transport, "a=mid:a"]
        lines += ["a=rtpmap:111 opus/48000/2", "a=rtpmap:0 PCMU/8000"]
        lines += [f"a=rtcp-fb:111 {kind}" for kind in feedback if kind in ("nack", "transport-cc")]
    if video:
        lines += ["m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 100 101", *transport, "a=mid:v"]
        for number, name in ((96, "VP8"), (98, "H264"), (100, "VP9")):
            lines += [f"a=rtpmap:{number} {name}/90000", f"a=rtpmap:{number + 1} rtx/90000"]
            lines += [f"a=fmtp:{number + 1} apt={number}"]
            lines += [f"a=rtcp-fb:{number} {kind}" for kind in feedback]
        lines += ["a=fmtp:98 packetization-mode=1;profile-level-id=42e01f"]
        if rids:
            lines += [f"a=rid:{rid} send" for rid in rids]
            lines += [f"a=simulcast:send {';'.join(rids)}"]
        lines += extra
    return "\r\n".join(lines) + "\r\n"


def vp8(number: int, *, key: bool, size: int = 3000, width: int = 640, height: int = 360) -> bytes:
    """A VP8 frame that no decoder would like, with a true header; its number is in the last 4 bytes."""
    head = struct.pack("<I", (0 if key else 1) | 1 << 4 | 20 << 5)[:3]
    if key:
        head += b"\x9d\x01\x2a" + struct.pack("<HH", width, height)
    return head + bytes(max(size, 50) - len(head) - 4) + struct.pack("!I", number)


def vp8_payloads(frame: bytes, size: int = 1100) -> list[bytes]:
    pieces = [frame[at : at + size] for at in range(0, len(frame), size)]
    return [(b"\x10" if index == 0 else b"\x00") + piece for index, piece in enumerate(pieces)]


def number_of(frame: bytes) -> int:
    return int(struct.unpack("!I", frame[-4:])[0])


@dataclass
class Frame:
    """What a sink was given."""

    data: bytes
    key: bool
    rtp: int
    room_ns: int
    level: int
    after_gap: bool
    codec: str
    rotation: int = 0


@dataclass
class Sink:
    """Takes everything down, by the track's name: the mid, of the smallest layer "MID low"."""

    frames: dict[str, list[Frame]] = field(default_factory=dict)
    gaps: list[tuple[str, int, int, int]] = field(default_factory=list)  # by loss
    switches: list[tuple[str, int, int]] = field(default_factory=list)  # to another layer, with a hole
    codecs: list[tuple[str, str]] = field(default_factory=list)

    def frame(
        self,
        track: RemoteTrack,
        data: bytes,
        key: bool,
        rtp: int,
        room_ns: int,
        level: int,
        after_gap: bool,
        rotation: int,
    ) -> None:
        taken = Frame(data, key, rtp, room_ns, level, after_gap, track.codec.name, rotation)
        self.frames.setdefault(track.name, []).append(taken)

    def codec_changed(self, track: RemoteTrack) -> None:
        self.codecs.append((track.name, track.codec.name))

    def gap(self, track: RemoteTrack, from_ns: int, to_ns: int, packets: int, reason: str) -> None:
        if reason == "layer":
            self.switches.append((track.name, from_ns, to_ns))
        else:
            self.gaps.append((track.name, from_ns, to_ns, packets))

    def numbers(self, mid: str) -> list[int]:
        return [number_of(frame.data) for frame in self.frames.get(mid, [])]


class World:
    """Made-up time: `at` plans a call, `run` lets time pass."""

    def __init__(self, seed: int = 1) -> None:
        self.now_ns = START_NS
        self.random = random.Random(seed)
        self._order = itertools.count()
        self._events: list[tuple[int, int, Callable[[], object]]] = []

    def at(self, time_ns: int, call: Callable[[], object]) -> None:
        heapq.heappush(self._events, (time_ns, next(self._order), call))

    def run(self, duration_ns: int) -> None:
        end = self.now_ns + duration_ns
        while self._events and self._events[0][0] <= end:
            self.now_ns, _, call = heapq.heappop(self._events)
            call()
        self.now_ns = end


class Outgoing:
    """One SSRC that a sender sends."""

    def __init__(self, ssrc: int, mid: str, payload_type: int, rate: int, *, rtx: int = 0, rid: str = "") -> None:
        self.ssrc = ssrc
        self.mid = mid
        self.payload_type = payload_type
        self.rate = rate
        self.rtx = rtx  # SSRC of the retransmissions; 0: on the same SSRC
        self.rid = rid
        self.sequence = 65500  # wraps soon
        self.rtx_sequence = 100
        self.timestamp = 0xFFFFF000  # as does this
        self.history: dict[int, tuple[int, bool, int, bytes, bytes]] = {}
        self.orientation = b""  # the element that goes with markers; empty: none
        self.turns: dict[int, bytes] = {}  # by sequence number, for retransmissions
        self.packets = self.octets = 0


class Link:
    """Both ends of a session: `sender` side here, `peer` under test there."""

    def __init__(
        self,
        world: World,
        peer: Peer,
        offer: Offer,
        *,
        delay_ns: int = 0,
        loss: float = 0.0,
        our_role: Role | None = None,
        address: tuple[Any, ...] = HERE,
    ) -> None:
        self.world = world
        self.peer = peer
        self.offer = offer
        self.delay_ns = delay_ns
        self.loss = loss
        self.address = address
        self.to_us: list[bytes] = []  # datagrams from the peer that are neither DTLS nor RTCP nor RTP
        self.rtcp: list[tuple[int, bytes]] = []  # (when, plain compound)
        self.rtp: list[tuple[int, bytes]] = []
        self.transport_sequence = 65530
        self.streams: dict[int, Outgoing] = {}
        self.answer_nacks = True
        self.retransmitted = 0
        self.sent = self.lost = self.repeated = 0
        self.deaf = False  # loses RTP from the peer
        role = our_role or (Role.SERVER if peer.role is Role.CLIENT else Role.CLIENT)
        self.dtls = DtlsTransport(certificate("sender"), role, (certificate("peer").fingerprint,))
        self._out: Session | None = None
        self._in: Session | None = None
        self._tick()

    # --- transport ----------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Checks and handshake, without loss: OpenSSL's timer runs on real time."""
        loss, self.loss = self.loss, 0.0
        self.check(nominate=True)
        self.world.run(2 * self.delay_ns + MS)
        self.dtls.start()
        for _ in range(60):  # four do, unless the machine stalls for so long that OpenSSL sends a flight again
            self._flush_dtls()
            self.world.run(2 * self.delay_ns + MS)
            if self.dtls.keys is not None and self.peer.connected:
                break
        keys = self.dtls.keys
        assert keys is not None and self.peer.connected, "the handshake did not end"
        profile = getattr(Policy, "SRTP_PROFILE_" + keys.profile.name.removeprefix("SRTP_"))
        ours = Policy(key=keys.send, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
        ours.allow_repeat_tx = True
        ours.window_size = 1024
        self._out = Session(ours)
        self._in = Session(Policy(key=keys.receive, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile))
        self.loss = loss

    def check(self, *, nominate: bool = False, source: tuple[Any, ...] | None = None) -> bytes:
        """One connectivity check; returns it."""
        data = binding_request(self.peer, nominate=nominate)
        self.deliver(data, source or self.address)
        return data

    def deliver(self, data: bytes, source: tuple[Any, ...] | None = None) -> None:
        """Our datagram to the peer, through the link."""
        self.sent += 1
        if self.loss and self.world.random.random() < self.loss:
            self.lost += 1
            return

        def arrive() -> None:
            if data[0] < 4:
                self.peer.stun(data, source or self.address, self.world.now_ns)  # type: ignore[arg-type]
            else:
                self.peer.receive(data, self.world.now_ns)

        self.world.at(self.world.now_ns + self.delay_ns, arrive)

    def from_peer(self, data: bytes, address: object) -> None:
        """The `send` of the peer."""
        del address
        if self.loss and self.world.random.random() < self.loss:
            return
        if self.deaf and data[0] > 127 and not 192 <= data[1] <= 223:
            return
        self.world.at(self.world.now_ns + self.delay_ns, lambda: self._take(data))

    def _take(self, data: bytes) -> None:
        if 19 < data[0] < 64:
            self.dtls.receive(data)
            self._flush_dtls()
        elif self._in is not None and data[0] > 127:
            if 192 <= data[1] <= 223:
                self.rtcp.append((self.world.now_ns, self._in.unprotect_rtcp(data)))
                self._answer(self.rtcp[-1][1])
            else:
                try:
                    self.rtp.append((self.world.now_ns, self._in.unprotect(data)))
                except Error:  # a replay
                    self.repeated += 1
        else:
            self.to_us.append(data)

    def _flush_dtls(self) -> None:
        for datagram in self.dtls.take_outgoing():
            self.deliver(datagram)

    def _tick(self) -> None:
        """The ingest's timer: every 20 ms what is due."""
        if self.world.now_ns >= self.peer.next_poll_ns and not self.peer.closed:
            self.peer.poll(self.world.now_ns)
        self.world.at(self.world.now_ns + 20 * MS, self._tick)

    # --- media --------------------------------------------------------------------------------------------------

    def add(self, stream: Outgoing) -> Outgoing:
        self.streams[stream.ssrc] = stream
        return stream

    def send(self, stream: Outgoing, payload: bytes, *, marker: bool = True, level: int | None = None) -> None:
        """One packet of `stream`, now."""
        elements = [(MID, stream.mid.encode())]
        if stream.rid:
            elements.append((RID, stream.rid.encode()))
        if level is not None:
            elements.append((LEVEL, bytes([level])))
        if marker and stream.orientation:
            elements.append((TURN, stream.orientation))
            stream.turns[stream.sequence] = stream.orientation
        stream.history[stream.sequence] = (stream.payload_type, marker, stream.timestamp, payload, b"")
        stream.history.pop((stream.sequence - 1000) & 0xFFFF, None)
        stream.packets += 1
        stream.octets += len(payload)
        plain = self.packet(
            stream.ssrc, stream.payload_type, stream.sequence, stream.timestamp, marker, payload, elements
        )
        stream.sequence = (stream.sequence + 1) & 0xFFFF
        self.send_plain(plain)

    def send_frame(self, stream: Outgoing, payloads: list[bytes], ticks: int, *, level: int | None = None) -> None:
        """A frame's packets, then the stream's clock goes on by `ticks`."""
        for index, payload in enumerate(payloads):
            self.send(stream, payload, marker=index == len(payloads) - 1, level=level)
        stream.timestamp = (stream.timestamp + ticks) & 0xFFFFFFFF

    def packet(
        self,
        ssrc: int,
        payload_type: int,
        sequence: int,
        timestamp: int,
        marker: bool,
        payload: bytes,
        elements: list[tuple[int, bytes]],
    ) -> bytes:
        """A plain RTP packet with one-byte header extensions; each has its send time and transport-wide number."""
        ticks = (self.world.now_ns << 18) // S & 0xFFFFFF
        elements = [*elements, (SENT, ticks.to_bytes(3)), (TWCC, struct.pack("!H", self.transport_sequence))]
        self.transport_sequence = (self.transport_sequence + 1) & 0xFFFF
        block = b"".join(bytes([number << 4 | len(value) - 1]) + value for number, value in elements)
        block += bytes(-len(block) % 4)
        head = struct.pack("!BBHII", 0x90, payload_type | (0x80 if marker else 0), sequence & 0xFFFF, timestamp, ssrc)
        return head + struct.pack("!HH", 0xBEDE, len(block) // 4) + block + payload

    def send_plain(self, plain: bytes) -> None:
        assert self._out is not None
        self.deliver(self._out.protect(plain))

    def send_rtcp(self, compound: bytes) -> None:
        assert self._out is not None
        self.deliver(self._out.protect_rtcp(compound))

    def sender_report(self, stream: Outgoing, ntp_ns: int, timestamp: int | None = None) -> None:
        seconds, rest = divmod(ntp_ns, S)
        body = struct.pack(
            "!BBHIIIIII", 0x80, 200, 6, stream.ssrc, (seconds + 2_208_988_800) & 0xFFFFFFFF, (rest << 32) // S,
            stream.timestamp if timestamp is None else timestamp, stream.packets, stream.octets,
        )  # fmt: skip
        self.send_rtcp(body)

    def _answer(self, compound: bytes) -> None:
        """What a sender does on a NACK: sends again, by RTX where the stream has it."""
        for kind, count, body in parts(compound):
            if kind == 205 and count == 1 and self.answer_nacks:
                stream = self.streams.get(struct.unpack_from("!I", body, 4)[0])
                for at in range(8, len(body), 4) if stream is not None else ():
                    first, mask = struct.unpack_from("!HH", body, at)
                    for number in [first, *((first + bit + 1) & 0xFFFF for bit in range(16) if mask >> bit & 1)]:
                        self._again(stream, number)  # type: ignore[arg-type]

    def _again(self, stream: Outgoing, number: int) -> None:
        if number not in stream.history:
            return
        self.retransmitted += 1
        payload_type, marker, timestamp, payload, _ = stream.history[number]
        if not stream.rtx:
            plain = self.packet(
                stream.ssrc, payload_type, number, timestamp, marker, payload, [(MID, stream.mid.encode())]
            )
            if not stream.history[number][4]:
                assert self._out is not None
                protected = self._out.protect(plain)
                stream.history[number] = (payload_type, marker, timestamp, payload, protected)
            self.deliver(stream.history[number][4])
            return
        elements = [(MID, stream.mid.encode())]
        if stream.rid:
            elements.append((REPAIRED, stream.rid.encode()))
        if number in stream.turns:
            elements.append((TURN, stream.turns[number]))
        osn = struct.pack("!H", number)
        plain = self.packet(
            stream.rtx, payload_type + 1, stream.rtx_sequence, timestamp, marker, osn + payload, elements
        )
        stream.rtx_sequence = (stream.rtx_sequence + 1) & 0xFFFF
        self.send_plain(plain)


def binding_request(peer: Peer, *, nominate: bool = False, controlled: bool = False, password: str = "") -> bytes:
    """A connectivity check as a full agent makes it (RFC 8445 §7.2.2)."""
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes["USERNAME"] = f"{peer.ice.ufrag}:{peer.remote_credentials[0]}"
    request.attributes["PRIORITY"] = 1845501695
    request.attributes["ICE-CONTROLLED" if controlled else "ICE-CONTROLLING"] = 7
    if nominate:
        request.attributes["USE-CANDIDATE"] = None
    request.add_message_integrity((password or peer.ice.password).encode())
    return bytes(request)


def parts(compound: bytes) -> list[tuple[int, int, bytes]]:
    """(packet type, count or format, body) of a compound RTCP packet; asserts that it is well-formed."""
    found = []
    at = 0
    while at < len(compound):
        first, kind, words = struct.unpack_from("!BBH", compound, at)
        assert first >> 6 == 2
        end = at + 4 + 4 * words
        assert end <= len(compound)
        padding = compound[end - 1] if first & 0x20 else 0
        found.append((kind, first & 31, compound[at + 4 : end - padding]))
        at = end
    return found


def publish(
    world: World, text: str | None = None, *, orientation: bool = False, **link: Any
) -> tuple[Publisher, Link, Sink]:
    """A `Publisher` and its connected sender."""
    offer = parse_offer(text or offer_text())
    sections: list[Section] = receive_sections(offer, orientation=orientation)
    sink = Sink()
    ends: list[Link] = []
    peer = Publisher(
        certificate("peer"), offer, sections, role_for(offer), lambda data, to: ends[0].from_peer(data, to), sink
    )
    ends.append(Link(world, peer, offer, **link))
    ends[0].connect()
    return peer, ends[0], sink
