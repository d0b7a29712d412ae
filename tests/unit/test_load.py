"""The load generator's packets and its answers to NACKs, and the relay's editing of answers, without a socket."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from benchmarks.load import _Participant, schedule
from benchmarks.loadpeer import LoadPeer
from reelroom.demo.clipfile import Clip, ClipSpec, EncodedFrame, ticks
from tests.publish.lossy import LossyLink, Trouble

KEY = b"\x00\x00\x00\x01\x67\x42\xe0\x1f" + b"\x00\x00\x00\x01\x65" + bytes(range(1, 251)) * 12
DELTA = b"\x00\x00\x00\x01\x41" + bytes(range(1, 101))


def clip() -> Clip:
    spec = ClipSpec(1, 30, 640, 360, "h264", 500, 1000, 200, 30, 1, 30)
    video = [EncodedFrame(n * 1_000_000_000 // 30, KEY if n == 0 else DELTA, n == 0) for n in range(30)]
    return Clip(spec, video, [EncodedFrame(n * 20_000_000, b"\xfcopus", True) for n in range(50)])


class Plain:
    """Stands in for an SRTP session and a socket: protects nothing and keeps what is sent."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def protect(self, packet: bytes) -> bytes:
        return packet

    def send(self, packet: bytes) -> int:
        self.packets.append(packet)
        return len(packet)


def participant() -> tuple[_Participant, Plain]:
    peer, plain = LoadPeer(), Plain()
    wired: Any = peer
    wired.tx = wired.socket = plain
    return _Participant(peer, 0, 0), plain


def test_the_schedule_is_in_time_with_exact_rtp_times() -> None:
    steps = schedule(clip())
    assert [s.due_ns for s in steps] == sorted(s.due_ns for s in steps)
    assert [s.ticks for s in steps if s.kind == "video"] == [3000 * n for n in range(30)]
    assert [s.ticks for s in steps if s.kind == "audio"] == [960 * n for n in range(50)]


def test_packets_are_numbered_and_the_last_of_a_frame_is_marked() -> None:
    sender, plain = participant()
    key = next(s for s in schedule(clip()) if s.kind == "video")
    sender.send(key, key.ticks)
    heads = [struct.unpack_from("!BBHII", packet) for packet in plain.packets]
    assert len(heads) > 3
    assert [head[2] for head in heads] == list(range(1, len(heads) + 1))
    assert [head[1] >> 7 for head in heads] == [0] * (len(heads) - 1) + [1]
    assert {head[4] for head in heads} == {sender.peer.video_ssrc}
    assert max(map(len, plain.packets)) <= 1200


def test_a_nack_is_answered_with_the_very_same_packets_and_only_those() -> None:
    sender, plain = participant()
    key = next(s for s in schedule(clip()) if s.kind == "video")
    sender.send(key, key.ticks)
    original, plain.packets = plain.packets, []
    nack = struct.pack("!BBHIIHH", 0x81, 205, 3, 1, sender.peer.video_ssrc, 2, 0b10)
    sender._rtcp(nack)
    assert plain.packets == [original[1], original[3]]
    assert (sender.counted.nacked, sender.counted.resent) == (2, 2)
    sender._rtcp(struct.pack("!BBHIIHH", 0x81, 205, 3, 1, sender.peer.video_ssrc, 9000, 0))
    assert sender.counted.resent == 2


@pytest.mark.parametrize("fps", [10, 15, 24, 25, 30, 50, 60])
def test_ticks_are_exact_for_every_frame_rate(fps: int) -> None:
    assert [ticks(n * 1_000_000_000 // fps, 90_000) for n in range(1000)] == [n * 90_000 // fps for n in range(1000)]


def test_the_relay_puts_itself_into_an_answer_and_learns_the_server() -> None:
    link = LossyLink(Trouble())
    link.address = ("127.0.0.1", 4000)
    section = (
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:x\r\n"
        "a=candidate:1 1 udp 2130706431 192.0.2.7 9000 typ host\r\n"
        "a=candidate:2 1 UDP 2130706430 ::1 9000 typ host\r\na=end-of-candidates\r\n"
    )
    edited = link.edit_answer("v=0\r\n" + section + section.replace("audio", "video"))
    assert link.target == ("192.0.2.7", 9000)
    assert edited.count("a=candidate:") == 2
    assert edited.count(" 127.0.0.1 4000 typ host\r\n") == 2
    assert "\r\n\r\n" not in edited
    with pytest.raises(ValueError, match="no IPv4"):
        link.edit_answer("v=0\r\n")


def test_the_relays_trouble_is_the_same_for_the_same_seed() -> None:
    links = [LossyLink(Trouble(loss=0.5), seed=3) for _ in range(2)]
    assert [links[0].up.rng.random() for _ in range(9)] == [links[1].up.rng.random() for _ in range(9)]
    assert links[0].up.rng.random() != links[0].down.rng.random()
