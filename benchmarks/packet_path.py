"""Microseconds a packet through the receive path, from protected bytes to the ring, in one process without sockets."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from pylibsrtp import Policy, Session

from benchmarks.load import _MID
from reelroom.demo.clip import make_clip
from reelroom.demo.clipfile import ticks
from reelroom.rooms.room import Room
from reelroom.rooms.session import Session as RoomSession
from reelroom.rooms.session import name_sources
from reelroom.rtc import rtp
from reelroom.rtc.answer import receive_sections, role_for
from reelroom.rtc.dtls import PROFILES, Certificate, SrtpKeys
from reelroom.rtc.receive import Publisher
from reelroom.rtc.sdp import parse_offer
from reelroom.rtc.srtp import SrtpTransport
from tests.packetize import packetize

_OFFER = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 {fingerprint}
a=setup:actpass
m=audio 9 UDP/TLS/RTP/SAVPF 111
a=mid:0
a=sendonly
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
m=video 9 UDP/TLS/RTP/SAVPF 102
a=mid:1
a=sendonly
a=rtcp-mux
a=rtpmap:102 H264/90000
a=fmtp:102 packetization-mode=1
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
"""


def packets(seconds: int) -> Iterator[tuple[int, bytes]]:
    """(media time ns, plain RTP packet) of the benchmark's clip."""
    clip = make_clip(10)
    sequences = {"audio": 0, "video": 0}
    for round_ in range(max(1, seconds // 10)):
        frames = sorted(
            [("audio", f) for f in clip.audio] + [("video", f) for f in clip.video], key=lambda kf: kf[1].pts_ns
        )
        for kind, frame in frames:
            at = frame.pts_ns + round_ * clip.duration_ns
            payloads = packetize(clip.spec.codec if kind == "video" else "opus", frame.data)
            for index, payload in enumerate(payloads):
                head = (111 if kind == "audio" else 102) | (0x80 if index == len(payloads) - 1 else 0)
                stamp = ticks(at, 48_000 if kind == "audio" else 90_000) & 0xFFFFFFFF
                ssrc = 1 if kind == "audio" else 2
                yield at, rtp.HEADER.pack(0x90, head, sequences[kind] & 0xFFFF, stamp, ssrc) + _MID[kind] + payload
                sequences[kind] += 1


def main() -> None:
    certificate = Certificate()
    offer = parse_offer(_OFFER.format(fingerprint=certificate.fingerprint.value))
    sections = receive_sections(offer)
    numbers = iter(range(1, 100))
    room = Room("bench", "bench", 0, 10_000_000_000, 16 << 20, lambda: next(numbers))
    session = RoomSession("0-1", "somebody", name_sources(sections, {}), 0, room)
    peer = Publisher(certificate, offer, sections, role_for(offer), lambda data, address: None, session)
    keys = SrtpKeys(PROFILES[0], os.urandom(28), os.urandom(28))
    peer._srtp = SrtpTransport(keys)
    peer._connected(peer._srtp, 0)
    peer.connected = True
    gcm = Policy.SRTP_PROFILE_AEAD_AES_128_GCM
    policy = Policy(key=keys.receive, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=gcm)
    sender = Session(policy)
    made = [(at, sender.protect(plain)) for at, plain in packets(60)]
    start = time.perf_counter()
    for at, packet in made:
        peer.receive(packet, at)
    took = time.perf_counter() - start
    frames = sum(live.seq for live in session.live.values())
    print(f"{len(made)} packets, {frames} frames: {took / len(made) * 1e6:.2f} µs a packet")


if __name__ == "__main__":
    main()
