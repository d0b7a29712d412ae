"""A publisher that has passed DTLS and then misbehaves: nothing raises, nothing grows without bound."""

from __future__ import annotations

import contextlib
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pylibsrtp import Error

from reelroom.rtc.receive import Publisher
from reelroom.rtc.srtp import MAX_STREAMS
from tests.rtcpeer import MS, Link, Outgoing, S, Sink, World, offer_text, publish, vp8, vp8_payloads


@pytest.fixture(scope="module")
def session() -> tuple[World, Publisher, Link, Sink]:
    world = World()
    return world, *publish(world)


def still_works(world: World, link: Link, sink: Sink, ssrc: int) -> None:
    stream = link.add(Outgoing(ssrc, "v", 96, 90000))
    world.run(2 * S)
    for number in range(70_000, 70_030):
        link.send_frame(stream, vp8_payloads(vp8(number, key=number % 10 == 0)), 3000)
        world.run(33 * MS)
    world.run(1 * S)
    assert sink.numbers("v")[-20:] == list(range(70_010, 70_030))


def test_fuzzed_packets_after_decryption(session: tuple[World, Publisher, Link, Sink]) -> None:
    world, peer, link, _ = session
    dice = random.Random(1)
    good = link.packet(1000, 96, 5, 6, True, vp8_payloads(vp8(1, key=True))[0], [(1, b"v")])
    for _ in range(1500):
        damaged = bytearray(good[: dice.choice([16, 24, 40, len(good)])])
        for _ in range(dice.randint(1, 6)):
            damaged[dice.randrange(1, len(damaged))] = dice.randrange(256)
        damaged[0] = 0x80 | dice.choice([0, 0x10, 0x10, 0x10, 0x20, 0x30, 0x0F])
        if 192 <= damaged[1] <= 223:
            damaged[1] = 96
        with contextlib.suppress(Error):  # libsrtp at the sender refuses some
            link.send_plain(bytes(damaged))
        world.run(MS)
    assert not peer.closed
    still_works(world, link, session[3], 0xAAAA0001)


@settings(max_examples=60, deadline=None)
@given(kind=st.integers(192, 223), count=st.integers(0, 31), body=st.binary(min_size=4, max_size=120))
def test_fuzzed_rtcp_after_decryption(
    session: tuple[World, Publisher, Link, Sink], kind: int, count: int, body: bytes
) -> None:
    world, peer, link, _ = session
    body += bytes(-len(body) % 4)
    link.send_rtcp(struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body)
    world.run(MS)
    assert not peer.closed


@pytest.mark.parametrize(
    "extension", [b"\x90", b"\xbe\xde\xff\xff", b"\xbe\xde\x00\x01\xff\xff\xff\xff", b"\x10\x00\0\1"]
)
def test_extension_garbage(session: tuple[World, Publisher, Link, Sink], extension: bytes) -> None:
    world, peer, link, _ = session
    head = struct.pack("!BBHII", 0x90, 96, 9, 9, 4242)
    with contextlib.suppress(Error):
        link.send_plain(head + extension)
    world.run(20 * MS)
    assert not peer.closed


def test_a_flood_of_unknown_ssrcs_is_counted_and_keeps_nothing() -> None:
    world = World()
    peer, link, sink = publish(world)
    for number in range(3000):
        link.send_plain(link.packet(0x10000 + number, 55, 1, 1, True, b"x", []))
        world.run(MS // 10)
    assert peer.unknown_ssrc == 3000
    assert peer.tracks["v"].layers == {}
    assert peer._srtp is not None and len(peer._srtp._ssrcs) <= MAX_STREAMS
    still_works(world, link, sink, 7)


def test_a_flood_of_new_ssrcs_of_a_real_track_is_slowed_down() -> None:
    world = World()
    peer, link, sink = publish(world)
    for number in range(1000):
        link.send_plain(link.packet(0x20000 + number, 96, 1, 1, True, b"\x10x", [(1, b"v")]))
        world.run(MS)
    assert len(peer.tracks["v"].layers) == 1
    assert len(peer._inbound) <= 64 and len(peer._retired) <= 256
    assert peer.unknown_ssrc > 900
    world.run(4 * S)
    still_works(world, link, sink, 7)


def test_a_flood_of_rtcp_senders_keeps_nothing() -> None:
    world = World()
    peer, link, _ = publish(world)
    for number in range(1000):
        link.send_rtcp(struct.pack("!BBHI", 0x80, 201, 1, number))
        world.run(MS // 10)
    assert peer._srtp is not None and len(peer._srtp._ssrcs) <= MAX_STREAMS


def test_payload_types_that_alternate_change_the_codec_once_a_second() -> None:
    world = World()
    peer, link, sink = publish(world)
    stream = link.add(Outgoing(1000, "v", 96, 90000))
    for number in range(300):
        stream.payload_type = (96, 100)[number % 2]
        link.send(stream, vp8_payloads(vp8(number, key=True))[0])
        world.run(10 * MS)
    assert len(sink.codecs) <= 5
    assert not peer.closed


def test_jumping_transport_numbers_and_timestamps_stay_bounded() -> None:
    world = World()
    peer, link, _ = publish(world)
    dice = random.Random(3)
    link.answer_nacks = False
    stream = link.add(Outgoing(1000, "v", 96, 90000))
    for number in range(2000):
        link.transport_sequence = dice.randrange(65536)
        stream.timestamp = dice.randrange(1 << 32)
        stream.sequence = (stream.sequence + dice.choice([0, 1, 1, 2, 2000, 2999])) & 0xFFFF
        link.send(stream, vp8_payloads(vp8(number, key=True, size=100))[0])
        if number % 20 == 0:
            world.run(5 * MS)
    world.run(3 * S)
    held = peer.tracks["v"].layers[1000].stream
    assert len(held.missing) <= 4096 and len(held._held) <= 2048
    assert all(len(compound) <= 1400 for _, compound in link.rtcp)
    assert not peer.closed


def test_extension_ids_of_two_byte_headers_are_taken() -> None:
    world = World()
    text = offer_text().replace("a=extmap:5 ", "a=extmap:25 ")
    _, link, sink = publish(world, text)
    for number in range(30):
        payload = vp8_payloads(vp8(number, key=not number, size=500))[0]
        block = b"\x01\x01v\x19\x02" + struct.pack("!H", number)
        block += bytes(-len(block) % 4)
        head = struct.pack("!BBHII", 0x90, 0x80 | 96, number, 3000 * number, 1000)
        link.send_plain(head + struct.pack("!HH", 0x1000, len(block) // 4) + block + payload)
        world.run(33 * MS)
    world.run(1 * S)
    assert sink.numbers("v") == list(range(30))
    assert any(compound[1] == 205 and compound[0] & 31 == 15 for _, compound in link.rtcp)


def test_packets_that_do_not_verify_are_only_counted(session: tuple[World, Publisher, Link, Sink]) -> None:
    world, peer, _, sink = session
    before, frames = peer.rejected, len(sink.frames.get("v", []))
    for data in (b"\x80" * 12, b"\x80" + bytes(1400), b"\x90\xe0" + bytes(60), b"\x80\xc8" + bytes(60), b"\x80" * 2000):
        peer.receive(data, world.now_ns)
    assert peer.rejected > before
    assert len(sink.frames.get("v", [])) == frames
    for data in (b"\x00", b"\x05abc", b"\x40" * 30, b"\xff" * 30, b"\x80", b"\x16"):
        peer.receive(data, world.now_ns)
    assert not peer.closed
