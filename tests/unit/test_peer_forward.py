"""WHEP: what a viewer is sent of a publisher, and what comes of its NACKs and key frame requests."""

from __future__ import annotations

import itertools
import struct

from reelroom.rtc import rtcp
from reelroom.rtc.answer import role_for
from reelroom.rtc.receive import Publisher
from reelroom.rtc.sdp import parse_offer
from reelroom.rtc.send import Forwarder, choose_sections
from reelroom.rtc.track import RemoteTrack
from tests.rtcpeer import (
    MS,
    Link,
    Outgoing,
    S,
    World,
    certificate,
    offer_text,
    parts,
    publish,
    vp8,
    vp8_payloads,
)

Packet = tuple[int, bool, int, int, bytes]  # payload type, marker, sequence, timestamp, payload


def watch(world: World, publisher: Publisher, *, text: str = "") -> tuple[Forwarder, Link, list[RemoteTrack]]:
    """A connected viewer of everything `publisher` sends; its payload types are the offer's."""
    offer = parse_offer(text or offer_text(direction="recvonly"))
    sections, chosen = choose_sections(offer, list(publisher.tracks.values()))
    ends: list[Link] = []
    viewer = Forwarder(
        certificate("peer"), offer, sections, role_for(offer), lambda data, to: ends[0].from_peer(data, to), chosen
    )
    asked: list[RemoteTrack] = []
    viewer.ask_keyframe = asked.append
    ends.append(Link(world, viewer, offer, address=("192.0.2.50", 7)))
    ends[0].connect()
    return viewer, ends[0], asked


def seen(link: Link, kind: int = 96) -> list[Packet]:
    found = []
    for _, plain in link.rtp:
        first, second, sequence, timestamp, _ = struct.unpack_from("!BBHII", plain)
        assert first == 0x80
        if second & 127 == kind:
            found.append((second & 127, second > 127, sequence, timestamp, plain[12:]))
    return found


def film(
    world: World, link: Link, stream: Outgoing, first: int, count: int, *, gop: int = 30, width: int = 640
) -> None:
    for number in range(first, first + count):
        frame = vp8(number, key=number % gop == 0, width=width, height=width // 2)
        world.at(
            world.now_ns + (number - first) * S // 30, lambda f=frame: link.send_frame(stream, vp8_payloads(f), 3000)
        )


def test_numbers_types_and_ssrc_are_the_viewers_and_the_media_the_publishers() -> None:
    world = World()
    publisher, source, _ = publish(world)
    stream = source.add(Outgoing(1000, "v", 96, 90000))
    film(world, source, stream, 0, 90)
    world.run(1 * S)
    offered = offer_text(direction="recvonly").splitlines(keepends=True)
    hashed = "a=fingerprint"  # may well have a 96 in it
    text = "".join(x if x.startswith(hashed) else x.replace("96", "35").replace("97", "36") for x in offered)
    _, link, asked = watch(world, publisher, text=text)
    world.run(4 * S)
    packets = seen(link, 35)
    assert len(packets) > 150
    numbers = [sequence for _, _, sequence, _, _ in packets]
    assert all((b - a) & 0xFFFF == 1 for a, b in itertools.pairwise(numbers))
    assert {plain[8:12] for _, plain in link.rtp} == {link.rtp[0][1][8:12]} != {struct.pack("!I", 1000)}
    assert packets[-1][1] and packets[-1][4][-4:] == struct.pack("!I", 89)
    steps = {(b[3] - a[3]) & 0xFFFFFFFF for a, b in itertools.pairwise(packets)}
    assert steps == {0, 3000}
    assert asked, "a viewer that comes needs a key frame"
    reports = [p for _, c in link.rtcp for p in rtcp.parse(c) if isinstance(p, rtcp.SenderReport)]
    assert len(reports) >= 2 and reports[-1].packets > 100


def test_what_the_viewer_misses_is_sent_again_but_not_without_end() -> None:
    world = World()
    publisher, source, _ = publish(world)
    stream = source.add(Outgoing(1000, "v", 96, 90000))
    film(world, source, stream, 0, 60)
    world.run(500 * MS)
    viewer, link, _ = watch(world, publisher)
    world.run(500 * MS)
    link.deaf = True
    world.run(100 * MS)
    link.deaf = False
    world.run(2 * S)
    packets = seen(link)
    ((before, after),) = [(a, b) for a, b in itertools.pairwise(packets) if (b[2] - a[2]) & 0xFFFF != 1]
    ssrc = struct.unpack("!I", link.rtp[0][1][8:12])[0]
    wanted = [(before[2] + n) & 0xFFFF for n in range(1, (after[2] - before[2]) & 0xFFFF)]
    assert 6 <= len(wanted) <= 12
    link.rtp.clear()
    link.send_rtcp(rtcp.receiver_report(9, []) + rtcp.nack(9, ssrc, wanted))
    world.run(50 * MS)
    assert [packet[2] for packet in seen(link)] == wanted
    link.rtp.clear()
    everything = [(packets[-1][2] - back) & 0xFFFF for back in range(250, -1, -1)]
    for _ in range(20):
        link.send_rtcp(rtcp.receiver_report(9, []) + rtcp.nack(9, ssrc, everything) + rtcp.nack(9, ssrc, everything))
    world.run(90 * MS)
    assert 100 < len(link.rtp) + link.repeated <= 2 * 256
    link.send_rtcp(rtcp.receiver_report(9, []) + rtcp.nack(9, ssrc ^ 1, wanted))
    assert not viewer.closed


def test_a_key_frame_request_is_handed_on() -> None:
    world = World()
    publisher, source, _ = publish(world)
    stream = source.add(Outgoing(1000, "v", 96, 90000))
    film(world, source, stream, 0, 90)
    world.run(500 * MS)
    viewer, link, _ = watch(world, publisher)
    world.run(1 * S)
    viewer.ask_keyframe = lambda track: publisher.request_keyframe(track, world.now_ns)
    source.rtcp.clear()
    ssrc = struct.unpack("!I", link.rtp[0][1][8:12])[0]
    for _ in range(5):
        link.send_rtcp(rtcp.receiver_report(9, []) + rtcp.pli(9, ssrc))
        world.run(20 * MS)
    plis = [body for _, compound in source.rtcp for kind, form, body in parts(compound) if (kind, form) == (206, 1)]
    assert len(plis) == 1 and plis[0][4:8] == struct.pack("!I", 1000)


def test_padding_of_the_publisher_leaves_no_hole_for_the_viewer() -> None:
    world = World()
    publisher, source, _ = publish(world)
    stream = source.add(Outgoing(1000, "v", 96, 90000))
    film(world, source, stream, 0, 30)
    world.run(1 * S)
    _, link, _ = watch(world, publisher)
    world.run(200 * MS)
    for _ in range(3):
        source.send(stream, b"")
    film(world, source, stream, 30, 30)
    world.run(2 * S)
    numbers = [packet[2] for packet in seen(link)]
    assert all((b - a) & 0xFFFF == 1 for a, b in itertools.pairwise(numbers))


def test_a_change_of_layer_keeps_one_time_line_and_shows_a_hole() -> None:
    world = World()
    publisher, source, _ = publish(world, offer_text(rids=("l", "h")))
    low = source.add(Outgoing(1000, "v", 96, 90000, rid="l"))
    high = source.add(Outgoing(2000, "v", 96, 90000, rid="h"))
    low.timestamp, high.timestamp, high.sequence = 500_000_000, 3_000_000_000, 9
    film(world, source, low, 0, 150, width=320)
    world.run(1 * S)
    _, link, _ = watch(world, publisher)
    high.timestamp = (high.timestamp + 3000 * 60) & 0xFFFFFFFF
    world.run(1 * S)
    film(world, source, high, 60, 90)
    world.run(4 * S)
    packets = seen(link)
    assert packets[-1][4][-4:] == struct.pack("!I", 149)
    steps = [((b[3] - a[3] + (1 << 31)) & 0xFFFFFFFF) - (1 << 31) for a, b in itertools.pairwise(packets)]
    assert all(-9000 < step < 30_000 for step in steps), "timestamps of another layer go on where the last one was"
    holes = [(b[2] - a[2]) & 0xFFFF for a, b in itertools.pairwise(packets) if (b[2] - a[2]) & 0xFFFF != 1]
    assert holes == [2]


def test_a_viewer_that_leaves_is_sent_nothing_more() -> None:
    world = World()
    publisher, source, _ = publish(world)
    stream = source.add(Outgoing(1000, "v", 96, 90000))
    film(world, source, stream, 0, 90)
    world.run(1 * S)
    viewer, link, _ = watch(world, publisher)
    world.run(500 * MS)
    viewer.close("left")
    world.run(20 * MS)
    sent = len(link.rtp)
    world.run(1 * S)
    assert len(link.rtp) == sent
    assert all(layer.taps == [] for layer in publisher.tracks["v"].layers.values())
