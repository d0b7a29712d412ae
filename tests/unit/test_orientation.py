"""Video orientation (CVO): agreed when wanted, read off the packets, told with each frame and to viewers."""

from __future__ import annotations

from functools import partial

import pytest

from reelroom.rooms import protocol
from reelroom.rtc import rtp
from reelroom.rtc.answer import receive_sections, role_for
from reelroom.rtc.sdp import parse_offer
from reelroom.rtc.send import Forwarder, choose_sections
from tests.rtcpeer import (
    LEVEL,
    MID,
    MS,
    REPAIRED,
    RID,
    TURN,
    TWCC,
    Link,
    Outgoing,
    S,
    Sink,
    World,
    certificate,
    offer_text,
    parts,
    publish,
    vp8,
    vp8_payloads,
)

OFFER = offer_text(extensions=(MID, RID, REPAIRED, LEVEL, TWCC, TURN))


def film(world: World, link: Link, stream: Outgoing, told: dict[int, bytes], frames: int, gop: int = 1000) -> None:
    """Plan 30 frames a second; `told`: the elements that packets with a marker have from a frame on, b"" for none."""

    def send(number: int) -> None:
        stream.orientation = told.get(number, stream.orientation)
        link.send_frame(stream, vp8_payloads(vp8(number, key=number % gop == 0)), 3000)

    for number in range(frames):
        world.at(world.now_ns + number * S // 30, partial(send, number))


def turns(sink: Sink) -> list[int]:
    return [frame.rotation for frame in sink.frames["v"]]


def camera(link: Link) -> Outgoing:
    return link.add(Outgoing(1000, "v", 96, 90000, rtx=2000))


@pytest.mark.parametrize("wanted", [True, False])
def test_it_is_agreed_to_for_video_only_where_the_server_wants_it(wanted: bool) -> None:
    audio, video = receive_sections(parse_offer(OFFER), orientation=wanted)
    assert video.extension(rtp.VIDEO_ORIENTATION) == (TURN if wanted else 0)
    assert video.extension(rtp.MID) == audio.extension(rtp.MID) == MID


def test_a_turn_holds_from_its_frame_on_until_another_is_told() -> None:
    world = World()
    _, link, sink = publish(world, OFFER, orientation=True)
    film(world, link, camera(link), {0: b"\x01", 1: b"", 10: b"\x03", 11: b"", 20: b"\x02", 30: b"\x00"}, 40)
    world.run(3 * S)
    assert turns(sink) == [1] * 10 + [3] * 10 + [2] * 10 + [0] * 10


def test_what_was_not_agreed_to_is_not_looked_at() -> None:
    world = World()
    _, link, sink = publish(world, OFFER)
    film(world, link, camera(link), {0: b"\x01"}, 10)
    world.run(2 * S)
    assert turns(sink) == [0] * 10


@pytest.mark.parametrize("element", [b"\x01\x02", b"\x01\x00\x00"])
def test_a_malformed_element_changes_nothing(element: bytes) -> None:
    world = World()
    publisher, link, sink = publish(world, OFFER, orientation=True)
    film(world, link, camera(link), {0: b"\x02", 5: element}, 10)
    world.run(2 * S)
    assert turns(sink) == [2] * 10
    assert publisher.malformed == 0


def test_mirror_and_camera_bits_leave_the_turn_alone_and_mirrors_are_counted() -> None:
    world = World()
    publisher, link, sink = publish(world, OFFER, orientation=True)
    film(world, link, camera(link), {0: b"\x09", 5: b"\x05", 6: b""}, 10)
    world.run(2 * S)
    assert turns(sink) == [1] * 10
    assert publisher.mirrored == 1


def test_a_turn_on_a_packet_that_had_to_be_sent_again_is_that_frames() -> None:
    world = World()
    _, link, sink = publish(world, OFFER, orientation=True, delay_ns=20 * MS)
    film(world, link, camera(link), {n: bytes([n // 10 % 4]) for n in range(300)}, 300)
    world.run(1 * S)
    link.loss = 0.1
    world.run(15 * S)
    frames = sink.frames["v"]
    assert link.retransmitted > 20 and len(frames) > 250
    assert [frame.rotation for frame in frames] == [number // 10 % 4 for number in sink.numbers("v")]


def test_a_turn_in_mid_group_asks_for_a_key_frame() -> None:
    world = World()
    _, link, _ = publish(world, OFFER, orientation=True)
    film(world, link, camera(link), {0: b"\x00", 40: b"\x01"}, 60)
    world.run(1 * S)
    before = len(link.rtcp)
    world.run(2 * S)
    assert any(kind == 206 and form == 1 for _, data in link.rtcp[before:] for kind, form, _ in parts(data))


def test_the_bus_says_degrees_beside_its_other_flags() -> None:
    for turn in range(4):
        flags = turn << protocol.TURN_SHIFT
        assert protocol.degrees(flags | protocol.KEY | protocol.AFTER_GAP) == protocol.degrees(flags) == 90 * turn


@pytest.mark.parametrize("number", [TURN, 15, 200])
def test_a_viewer_is_told_what_the_publisher_told(number: int) -> None:
    world = World()
    publisher, source, _ = publish(world, OFFER, orientation=True)
    film(world, source, camera(source), {0: b"\x03", 30: b"", 60: b"\x01"}, 90, gop=30)
    world.run(100 * MS)
    text = offer_text(direction="recvonly", extensions=(MID, TURN))
    offer = parse_offer(text.replace(f"extmap:{TURN} ", f"extmap:{number} "))
    sections, chosen = choose_sections(offer, list(publisher.tracks.values()))
    ends: list[Link] = []
    viewer = Forwarder(
        certificate("peer"), offer, sections, role_for(offer), lambda data, to: ends[0].from_peer(data, to), chosen
    )
    ends.append(Link(world, viewer, offer, address=("192.0.2.50", 7)))
    ends[0].connect()
    world.run(4 * S)
    told = []
    for _, plain in ends[0].rtp:
        header = rtp.parse_header(plain)
        assert header is not None
        if header.extension_at:
            assert header.marker
            told.append(rtp.parse_extensions(plain, header.extension_at)[number])
    assert len(told) > 40 and set(told[:10]) == {b"\x03"} and set(told[-30:]) == {b"\x01"}
