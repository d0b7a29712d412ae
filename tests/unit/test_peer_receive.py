"""A publisher's session end to end without sockets: loss and its repair, layers, codecs, feedback."""

from __future__ import annotations

import itertools
import struct

import pytest

from reelroom.rtc.dtls import PROFILES, Certificate, SrtpProfile
from reelroom.rtc.receive import Publisher
from tests.rtcpeer import (
    MS,
    START_NS,
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


def camera(link: Link, ssrc: int = 1000, **more: object) -> Outgoing:
    return link.add(Outgoing(ssrc, "v", 96, 90000, rtx=2 * ssrc, **more))  # type: ignore[arg-type]


def microphone(link: Link) -> Outgoing:
    return link.add(Outgoing(500, "a", 111, 48000))


def film(
    world: World, link: Link, stream: Outgoing, frames: int, *, gop: int = 60, first: int = 0, **size: int
) -> None:
    """Plan 30 frames a second from now on; a key frame each `gop` and whenever asked."""
    sent = {"key": first}

    def send(number: int) -> None:
        asked = [at for at, compound in link.rtcp if any(k == 206 and c == 1 for k, c, _ in parts(compound))]
        key = number == first or (number - first) % gop == 0 or bool(asked and asked[-1] > sent["key"])
        if key:
            sent["key"] = world.now_ns
        link.send_frame(stream, vp8_payloads(vp8(number, key=key, **size)), 3000)

    for index in range(frames):
        world.at(world.now_ns + index * S // 30, lambda number=first + index: send(number))


def talk(world: World, link: Link, stream: Outgoing, packets: int) -> None:
    for number in range(packets):
        world.at(
            world.now_ns + number * 20 * MS,
            lambda number=number: link.send_frame(stream, [b"opus" + struct.pack("!I", number)], 960, level=30),
        )


def rtcp_of(link: Link, kind: int, form: int) -> list[tuple[int, bytes]]:
    return [(at, body) for at, compound in link.rtcp for k, c, body in parts(compound) if (k, c) == (kind, form)]


def assert_none_lost(peer: Publisher) -> None:
    """Nor is the sender told of a loss."""
    (layer,) = peer.tracks["v"].layers.values()
    assert layer.stream.lost == 0
    assert layer.stream.report_block()[1] == 0


def test_every_frame_comes_out_once_and_in_order_over_a_clean_link() -> None:
    world = World()
    _, link, sink = publish(world)
    film(world, link, camera(link), 300)
    talk(world, link, microphone(link), 500)
    world.run(11 * S)
    assert sink.numbers("v") == list(range(300))
    assert sink.numbers("a") == list(range(500))
    assert sink.gaps == []
    assert {frame.level for frame in sink.frames["a"]} == {30}
    assert [frame.key for frame in sink.frames["v"][:2]] == [True, False]
    for mid, step in (("v", S / 30), ("a", 20 * MS)):
        times = [frame.room_ns for frame in sink.frames[mid]]
        assert all(abs(b - a - step) < MS for a, b in itertools.pairwise(times))


@pytest.mark.parametrize("profile", PROFILES, ids=[profile.name for profile in PROFILES])
def test_media_and_reports_pass_with_each_srtp_profile(profile: SrtpProfile, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as only:
        only.setattr("reelroom.rtc.dtls.PROFILES", (profile,))
        sender = Certificate()
    monkeypatch.setattr("tests.rtcpeer.certificate", {"sender": sender, "peer": certificate("peer")}.__getitem__)
    world = World()
    _, link, sink = publish(world)
    assert link.dtls.keys is not None and link.dtls.keys.profile == profile
    film(world, link, camera(link), 30)
    world.run(2 * S)
    assert sink.numbers("v") == list(range(30))
    assert rtcp_of(link, 201, 1), "receiver reports"


@pytest.mark.parametrize("rtx", [True, False], ids=["rtx", "same ssrc"])
def test_five_percent_loss_and_50_ms_round_trip_lose_no_frame(rtx: bool) -> None:
    world = World(2)
    peer, link, sink = publish(world, delay_ns=25 * MS, loss=0.05)
    stream, voice = camera(link), microphone(link)
    if not rtx:
        stream.rtx = 0
    film(world, link, stream, 450)
    talk(world, link, voice, 750)
    world.run(18 * S)
    assert link.lost > 75
    assert sink.numbers("v") == list(range(450))
    assert sink.numbers("a") == list(range(750))
    assert link.retransmitted >= 50
    assert sum(layer.stream.repaired for layer in peer.tracks["v"].layers.values()) >= 50


def lose(world: World, link: Link, from_ns: int, to_ns: int) -> None:
    world.at(from_ns, lambda: setattr(link, "loss", 1.0))
    world.at(to_ns, lambda: setattr(link, "loss", 0.0))


@pytest.mark.parametrize("rtx", [True, False], ids=["rtx", "same ssrc"])
@pytest.mark.parametrize("last", [1, 5])
def test_the_last_frames_are_asked_for_although_nothing_later_tells_of_them(last: int, rtx: bool) -> None:
    world = World()
    _, link, sink = publish(world, delay_ns=25 * MS)
    stream, voice = camera(link), microphone(link)
    if not rtx:
        stream.rtx = 0
    film(world, link, stream, 90)
    talk(world, link, voice, 150)
    began = world.now_ns
    lose(world, link, began + (90 - last) * S // 30 - MS, began + 3 * S)
    world.run(6 * S)
    assert link.lost
    assert sink.numbers("v") == list(range(90))
    assert sink.numbers("a") == list(range(150))
    assert sink.gaps == []


@pytest.mark.parametrize("rtx", [True, False], ids=["rtx", "same ssrc"])
@pytest.mark.parametrize("lost", [{0}, {0, 1}, {1}, {0, 2, 27}, set(range(28))], ids=lambda lost: f"{len(lost)} lost")
def test_the_first_packets_are_asked_for_although_nothing_earlier_tells_of_them(lost: set[int], rtx: bool) -> None:
    world = World()
    peer, link, sink = publish(world, delay_ns=25 * MS)
    stream = camera(link)
    if not rtx:
        stream.rtx = 0
    for index, payload in enumerate(vp8_payloads(vp8(0, key=True, size=30_000))):
        link.loss = 1.0 if index in lost else 0.0
        link.send(stream, payload, marker=index == 27)
    link.loss = 0.0
    stream.timestamp = (stream.timestamp + 3000) & 0xFFFFFFFF
    began = world.now_ns
    for number in range(1, 40):
        frame = vp8_payloads(vp8(number, key=False))
        world.at(began + number * S // 30, lambda frame=frame: link.send_frame(stream, frame, 3000))
    world.run(2 * S)
    assert sink.numbers("v") == list(range(40))
    assert sink.gaps == []
    assert_none_lost(peer)


def test_what_a_sender_sent_before_anybody_listened_is_no_loss() -> None:
    world = World()
    peer, link, sink = publish(world, delay_ns=25 * MS)
    stream = camera(link)
    link.answer_nacks = False
    film(world, link, stream, 60, gop=30, first=10)
    stream.sequence = 7  # it was long under way
    link.send(stream, vp8_payloads(vp8(9, key=False))[1], marker=True)
    world.run(3 * S)
    assert sink.numbers("v") == list(range(10, 70))
    assert sink.gaps == []
    assert_none_lost(peer)


def test_the_rest_of_a_last_picture_is_asked_for() -> None:
    world = World()
    _, link, sink = publish(world, delay_ns=25 * MS)
    stream = camera(link)
    film(world, link, stream, 60)
    world.run(2 * S - S // 30 - MS)
    first, *rest = vp8_payloads(vp8(59, key=False))
    link.send(stream, first, marker=False)
    link.loss = 1.0
    for payload in rest:
        link.send(stream, payload, marker=payload is rest[-1])
    link.loss = 0.0
    world.run(1 * S)
    assert sink.numbers("v")[-1] == 59


def test_a_silence_is_asked_about_thrice_and_is_no_loss() -> None:
    world = World()
    _, link, sink = publish(world)
    stream, voice = camera(link), microphone(link)
    film(world, link, stream, 90)
    talk(world, link, voice, 150)
    began = world.now_ns
    world.run(3 * S)
    assert rtcp_of(link, 205, 1) == [], "nothing is asked for while all comes"
    world.run(20 * S)
    asked = rtcp_of(link, 205, 1)
    for ssrc in (stream.ssrc, voice.ssrc):
        times = [at - began for at, body in asked if struct.unpack_from("!I", body, 4)[0] == ssrc]
        assert len(times) == 3
        assert times[0] > 3 * S and times[-1] < 3 * S + 500 * MS
    assert link.retransmitted == 0
    film(world, link, stream, 30, first=90)
    talk(world, link, voice, 50)
    world.run(3 * S)
    assert sink.numbers("v") == list(range(120))
    assert len(sink.numbers("a")) == 200
    assert sink.gaps == []
    blocks = [body[4:] for _, body in rtcp_of(link, 201, 2)]  # reports of both streams
    assert blocks
    for body in blocks:
        for at in range(0, len(body), 24):
            assert body[at + 4 : at + 8] == bytes(4), "nothing is reported as lost"


@pytest.mark.parametrize("spacing", [200 * MS, 400 * MS, 1000 * MS])
def test_a_stream_of_few_frames_is_not_asked_about_between_them(spacing: int) -> None:
    world = World()
    _, link, sink = publish(world)
    voice = microphone(link)
    began = world.now_ns
    for number in range(30):
        world.at(
            began + number * spacing,
            lambda number=number: link.send_frame(voice, [struct.pack("!I", number)], spacing * 48 // MS),
        )
    world.run(30 * spacing)
    assert len(sink.numbers("a")) == 30
    assert [at for at, _ in rtcp_of(link, 205, 1) if began + 4 * S < at < began + 29 * spacing] == []


def test_what_is_never_repaired_is_a_gap_and_asks_for_a_key_frame() -> None:
    world = World()
    _, link, sink = publish(world)
    link.answer_nacks = False
    stream = camera(link)
    film(world, link, stream, 90, gop=1000)
    world.run(1 * S)
    link.loss = 1.0
    world.run(70 * MS)
    link.loss = 0.0
    world.run(5 * S)
    numbers = sink.numbers("v")
    missing = sorted(set(range(90)) - set(numbers))
    assert 30 in missing or 31 in missing
    assert numbers[-1] == 89
    (gap,) = sink.gaps
    assert gap[0] == "v" and gap[2] > gap[1] and 3 <= gap[3] <= 9
    after = next(frame for frame in sink.frames["v"] if frame.after_gap)
    assert after.key
    plis = [at for at, _ in rtcp_of(link, 206, 1) if at > START_NS + 1 * S]
    assert plis
    assert all(b - a >= 490 * MS for a, b in itertools.pairwise(plis))


def test_a_key_frame_is_asked_for_at_once_but_not_oftener_than_twice_a_second() -> None:
    world = World()
    _, link, sink = publish(world)
    stream = camera(link)
    for index in range(90):  # a sender that never sends one
        world.at(
            world.now_ns + index * 33 * MS,
            lambda n=index: link.send_frame(stream, vp8_payloads(vp8(n, key=False)), 3000),
        )
    began = world.now_ns
    world.run(3 * S)
    plis = [at for at, _ in rtcp_of(link, 206, 1)]
    assert plis[0] - began < 150 * MS
    assert 5 <= len(plis) <= 7
    assert sink.frames == {}


def test_simulcast_records_the_highest_layer_that_flows() -> None:
    world = World()
    peer, link, sink = publish(world, offer_text(rids=("q", "h", "f")))
    layers = [camera(link, 1000 + n, rid=rid) for n, rid in enumerate("qhf")]
    for index, layer in enumerate(layers):
        layer.sequence, layer.timestamp = 1000 * index, 7_000_000 * index
    sizes = [(160, 90), (320, 180), (640, 360)]

    def send(index: int, number: int, key: bool) -> None:
        width, height = sizes[index]
        layers[index].timestamp = 7_000_000 * index + 3000 * number
        link.send_frame(layers[index], vp8_payloads(vp8(number, key=key, width=width, height=height)), 3000)

    def plan(index: int, first: int, last: int) -> None:
        for number in range(first, last):
            key = number == first or number % 30 == 0
            world.at(START_NS + 2 * S + number * S // 30, lambda n=number, k=key: send(index, n, k))

    plan(0, 0, 300)
    plan(1, 0, 300)
    plan(2, 45, 120)  # comes late, goes away
    plan(2, 220, 300)  # and comes again
    world.run(14 * S)
    track = peer.tracks["v"]
    assert track.active is not None and track.active.rid == "f"
    numbers = sink.numbers("v")
    assert numbers == sorted(numbers)
    assert len(numbers) - len(set(numbers)) <= 4  # a switch may tell the same picture by the other layer
    assert set(range(120)) <= set(numbers) and set(range(150, 300)) <= set(numbers)
    times = [frame.room_ns for frame in sink.frames["v"]]
    assert times == sorted(set(times))
    for before, after in zip(sink.frames["v"], sink.frames["v"][1:], strict=False):
        if before.rtp // 7_000_000 != after.rtp // 7_000_000 and abs(after.rtp - before.rtp) > 90000 * 20:
            assert after.key, "layers change on key frames only"
    ((mid, from_ns, to_ns),) = sink.switches  # back to a layer that was there all the time: no hole
    assert mid == "v" and times.index(to_ns) == times.index(from_ns) + 1
    assert to_ns - from_ns == pytest.approx(31 * S // 30, abs=MS)  # until the next key frame
    from reelroom.rtc.depacketize.parameters import vp8_header

    seen = {}
    for frame in sink.frames["v"]:
        if frame.key:
            seen[vp8_header(frame.data).width] = frame.room_ns
    assert set(seen) == {320, 640}, "the smallest, which began a moment earlier, is told of nowhere"


@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_the_smallest_layer_is_told_beside_the_largest_from_the_start_and_in_step(loss: float) -> None:
    world = World()
    peer, link, sink = publish(world, offer_text(rids=("q", "f")))
    link.loss, link.answer_nacks = loss, False
    sizes = {"q": (160, 90), "f": (640, 360)}
    layers = {rid: camera(link, 1000 + n, rid=rid) for n, rid in enumerate(sizes)}

    def send(rid: str, number: int) -> None:
        width, height = sizes[rid]
        layers[rid].timestamp = 3000 * number
        link.send_frame(layers[rid], vp8_payloads(vp8(number, key=not number % 15, width=width, height=height)), 3000)

    peer.tracks["v"].want_low()
    for number in range(150):
        for rid in sizes:
            world.at(START_NS + 2 * S + number * S // 30, lambda rid=rid, number=number: send(rid, number))
    world.run(9 * S)
    shown = {name: {number: frame.room_ns for number, frame in zip(sink.numbers(name), frames, strict=True)}
             for name, frames in sink.frames.items()}  # fmt: skip
    assert set(shown) == {"v", "v low"}
    from reelroom.rtc.depacketize.parameters import vp8_header

    for name, rid in (("v", "f"), ("v low", "q")):
        assert {vp8_header(f.data).width for f in sink.frames[name] if f.key} == {sizes[rid][0]}
        assert list(shown[name].values()) == sorted(set(shown[name].values()))
    if loss:
        assert {gap[0] for gap in sink.gaps} == {"v", "v low"}  # each is told of its own losses
    else:
        assert list(shown["v"]) == list(shown["v low"]) == list(range(150))
        assert sink.gaps == []
    for number in shown["v"].keys() & shown["v low"].keys():
        assert abs(shown["v"][number] - shown["v low"][number]) < 20 * MS


def test_a_codec_change_in_the_middle_begins_anew_at_a_key_frame() -> None:
    world = World()
    _, link, sink = publish(world)
    stream = camera(link)
    film(world, link, stream, 60)
    world.run(2 * S)
    stream.payload_type = 98
    sps, pps = (
        bytes.fromhex("6742c01fda0140 16e840000003004000000c83c60ca8".replace(" ", "")),
        bytes.fromhex("68ce3c80"),
    )
    for number in range(60):
        nal = (b"\x65" if number % 30 == 0 else b"\x41") + b"\x88" * 20 + struct.pack("!I", number)
        stap = b"".join(struct.pack("!H", len(one)) + one for one in (sps, pps, nal))
        payload = b"\x78" + stap if number % 30 == 0 else nal
        world.at(world.now_ns + number * S // 30, lambda p=payload: link.send_frame(stream, [p], 3000))
    world.run(3 * S)
    codecs = [frame.codec for frame in sink.frames["v"]]
    assert codecs == ["vp8"] * 60 + ["h264"] * 60
    assert sink.frames["v"][60].key
    assert sink.codecs == [("v", "h264")]
    times = [frame.room_ns for frame in sink.frames["v"]]
    assert all(abs(b - a - S / 30) < 5 * MS for a, b in itertools.pairwise(times))


def test_a_straggler_of_the_old_codec_does_not_change_back() -> None:
    world = World()
    peer, link, sink = publish(world)
    voice = microphone(link)
    talk(world, link, voice, 50)
    world.run(1 * S)
    before = voice.sequence
    voice.payload_type = 0
    voice.sequence = (voice.sequence + 1) & 0xFFFF  # one packet of opus is still under way
    link.send(voice, b"pcmu0000")
    late = link.packet(voice.ssrc, 111, before, voice.timestamp, True, b"opus0000", [(1, b"a")])
    world.run(5 * MS)
    link.send_plain(late)
    world.run(5 * MS)
    link.send(voice, b"pcmu0001")
    world.run(2 * S)
    assert peer.tracks["a"].codec.name == "pcmu"
    assert sink.codecs == [("a", "pcmu")]


def test_a_new_ssrc_takes_the_place_of_the_old_one_and_stragglers_do_not_undo_it() -> None:
    world = World()
    peer, link, sink = publish(world)
    old, new = camera(link, 1000), camera(link, 3000)
    new.sequence, new.timestamp = 5, 77
    film(world, link, old, 60)
    world.run(2 * S)
    held = link.packet(1000, 96, old.sequence, old.timestamp, True, b"\x10" + vp8(9999, key=False)[:500], [(1, b"v")])
    film(world, link, new, 60, first=60)
    world.run(500 * MS)
    link.send_plain(held)
    world.run(3 * S)
    assert sink.numbers("v") == list(range(120))
    assert [layer.stream.ssrc for layer in peer.tracks["v"].layers.values()] == [3000]
    times = [frame.room_ns for frame in sink.frames["v"]]
    assert times == sorted(set(times))


def test_old_style_simulcast_by_ssrc_group_keeps_its_layers_apart() -> None:
    world = World()
    extra = ("a=ssrc-group:SIM 1000 1001", "a=ssrc:1000 cname:x", "a=ssrc:1001 cname:x")
    peer, link, sink = publish(world, offer_text(extra=extra))
    low, high = camera(link, 1000), camera(link, 1001)
    film(world, link, low, 60, width=320, height=180)
    film(world, link, high, 60)
    world.run(3 * S)
    assert len(peer.tracks["v"].layers) == 2
    assert peer.tracks["v"].active is not None and peer.tracks["v"].active.stream.ssrc == 1001
    assert sink.numbers("v")[-1] == 59 and len(sink.numbers("v")) >= 59


def test_feedback_is_what_was_agreed() -> None:
    for feedback, twcc, remb in (
        (("nack", "nack pli", "transport-cc", "goog-remb"), True, False),
        (("nack", "nack pli", "goog-remb"), False, True),
        (("nack", "nack pli"), False, False),
    ):
        world = World()
        extensions = (1, 2, 3, 4, 5) if twcc else (1, 2, 3, 4)
        _, link, _ = publish(world, offer_text(feedback=feedback, extensions=extensions))
        film(world, link, camera(link), 90)
        world.run(3 * S)
        assert bool(rtcp_of(link, 205, 15)) == twcc
        rembs = [body for _, body in rtcp_of(link, 206, 15) if body[8:12] == b"REMB"]
        assert bool(rembs) == remb
        for body in rembs:
            packed = struct.unpack_from("!I", body, 12)[0]
            assert packed >> 24 == 1
            assert (packed & 0x3FFFF) << (packed >> 18 & 63) > 1_000_000
            assert struct.unpack_from("!I", body, 16) == (1000,)
        reports = [body for _, body in rtcp_of(link, 201, 1)]
        assert len(reports) >= 2
        source, lost, highest = struct.unpack_from("!III", reports[-1], 4)
        assert (source, lost) == (1000, 0)
        assert highest >> 16 == 1  # 65500 + 270 packets: it has wrapped once


def test_padding_that_probes_the_path_before_any_media_is_told_as_received() -> None:
    """As Chromium begins: with padding on the RTX stream of media that is still to come."""
    world = World()
    peer, link, _ = publish(world)
    first = link.transport_sequence
    for number in range(12):
        plain = link.packet(2000, 97, 100 + number, 0, False, bytes(199) + bytes([200]), [(1, b"v")])
        link.send_plain(bytes([plain[0] | 0x20]) + plain[1:])
    world.run(300 * MS)
    told = rtcp_of(link, 205, 15)
    base, count = struct.unpack_from("!HH", told[0][1], 8)
    assert (base, count) == (first, 12)
    assert struct.unpack_from("!H", told[0][1], 16)[0] == 1 << 13 | 12  # a run of "received, small delta"
    assert not peer.tracks["v"].layers


@pytest.mark.parametrize("stamped", [True, False], ids=["with send times", "without"])
def test_a_path_that_fills_its_queue_makes_the_sender_slower_before_anything_is_lost(stamped: bool) -> None:
    world = World()
    extensions = (1, 2, 3, 4, 6) if stamped else (1, 2, 3, 4)
    _, link, _ = publish(world, offer_text(feedback=("nack", "nack pli", "goog-remb"), extensions=extensions))
    link.delay_ns = 20 * MS

    def fill() -> None:
        link.delay_ns += 2 * MS  # a frame: 60 ms more each second

    for index in range(150, 300):
        world.at(world.now_ns + index * S // 30, fill)
    film(world, link, camera(link), 300)
    world.run(10 * S)
    rates = []
    for at, body in rtcp_of(link, 206, 15):
        packed = struct.unpack_from("!I", body, 12)[0]
        rates.append((at, (packed & 0x3FFFF) << (packed >> 18 & 63)))
    before = [rate for at, rate in rates if at < START_NS + 6 * S][-1]
    after = rates[-1][1]
    assert before > 2_000_000
    assert after < 900_000 if stamped else after > before  # 30 frames of 3,000 bytes a second are 0.74 Mbit/s


def test_reports_carry_the_loss_and_the_last_sender_report() -> None:
    world = World(3)
    _, link, _ = publish(world, delay_ns=10 * MS)
    stream = camera(link)
    link.answer_nacks = False
    film(world, link, stream, 90)
    world.run(1 * S)
    link.sender_report(stream, world.now_ns)
    link.loss = 0.2
    world.run(2 * S)
    link.loss = 0.0
    world.run(2 * S)
    blocks = [struct.unpack_from("!IIIIII", body, 4) for _, body in rtcp_of(link, 201, 1)]
    assert max(block[1] >> 24 for block in blocks) > 25
    assert blocks[-1][1] & 0xFFFFFF > 10
    seconds = (START_NS // S + 2_208_988_800) & 0xFFFF
    assert blocks[-1][4] >> 16 in range(seconds, seconds + 4)
    assert 0 < blocks[-1][5] < 10 * 65536


def test_every_compound_that_is_not_reduced_begins_with_a_report() -> None:
    world = World(5)
    _, link, _ = publish(world, loss=0.05)
    film(world, link, camera(link), 90)
    world.run(4 * S)
    for _, compound in link.rtcp:
        kinds = [kind for kind, _, _ in parts(compound)]
        assert kinds[0] == 201 or kinds == [205]


def test_rejoining_streams_of_one_sender_line_up_by_their_reports() -> None:
    world = World()
    _, link, sink = publish(world, delay_ns=15 * MS)
    picture, sound = camera(link), microphone(link)
    picture.timestamp, sound.timestamp = 1_000_000, 5_000_000
    began = world.now_ns
    for index in range(300):  # a picture takes 100 ms to encode, a sound 0
        at = began + index * S // 30
        world.at(
            at + 100 * MS,
            lambda n=index: link.send_frame(picture, vp8_payloads(vp8(n, key=n % 30 == 0)), 3000),
        )
    talk(world, link, sound, 500)
    for second in range(1, 10):
        at = began + second * S
        world.at(at, lambda at=at, n=second: link.sender_report(picture, at, 1_000_000 + 90000 * n))
        world.at(at + 1, lambda at=at, n=second: link.sender_report(sound, at, 5_000_000 + 48000 * n))
    world.run(11 * S)
    tail_v = [(f.room_ns - began) - (f.rtp - (1 << 32) - 1_000_000) * S // 90000 for f in sink.frames["v"][120:]]
    tail_a = [(f.room_ns - began) - (f.rtp - (1 << 32) - 5_000_000) * S // 48000 for f in sink.frames["a"][200:]]
    assert max(tail_v) - min(tail_v) < 10 * MS
    assert abs(tail_v[-1] - tail_a[-1]) < 10 * MS


def test_a_publisher_is_told_nothing_after_it_ended() -> None:
    world = World()
    peer, link, sink = publish(world)
    film(world, link, camera(link), 60)
    world.run(1 * S)
    peer.close("kicked")
    told = len(sink.frames["v"])
    world.run(2 * S)
    assert len(sink.frames["v"]) == told
    assert peer.closed and peer.close_reason == "kicked"
    assert link.dtls.closed, "a close_notify has come"


def test_the_other_end_leaves_by_close_notify() -> None:
    world = World()
    peer, link, _ = publish(world)
    link.dtls.close()
    for datagram in link.dtls.take_outgoing():
        link.deliver(datagram)
    world.run(50 * MS)
    assert peer.closed and peer.close_reason == "left"


@pytest.mark.parametrize("setup", ["actpass", "active", "passive"])
def test_both_dtls_roles(setup: str) -> None:
    world = World()
    peer, link, sink = publish(world, offer_text(setup=setup))
    assert isinstance(peer, Publisher) and peer.connected
    film(world, link, camera(link), 3)
    world.run(1 * S)
    assert sink.numbers("v") == [0, 1, 2]


def test_a_wrong_fingerprint_ends_the_session() -> None:
    from reelroom.rtc.dtls import Fingerprint

    world = World()
    wrong = Fingerprint("sha-256", ":".join(["AB"] * 32))
    with pytest.raises(AssertionError, match="handshake"):
        publish(world, offer_text(fingerprint=wrong))
