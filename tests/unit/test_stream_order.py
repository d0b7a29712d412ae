"""Packets of one stream in any order, with losses, repeats and restarts: every frame once, in order, gaps counted."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from reelroom.rtc.depacketize.vp8 import Vp8Depacketizer
from reelroom.rtc.stream import ReceiveStream
from tests.rtcpeer import number_of, vp8, vp8_payloads

MS = 1_000_000
T0 = 1_800_000_000_000_000_000


@dataclass
class Taken:
    data: bytes
    key: bool
    rtp: int
    arrival_ns: int
    after_gap: bool
    rotation: int


@dataclass
class Out:
    frames: list[Taken] = field(default_factory=list)

    def __call__(self, data: bytes, key: bool, rtp: int, arrival_ns: int, after_gap: bool, rotation: int) -> None:
        self.frames.append(Taken(data, key, rtp, arrival_ns, after_gap, rotation))

    @property
    def numbers(self) -> list[int]:
        return [number_of(frame.data) for frame in self.frames]


Packet = tuple[int, int, bool, bytes]


def sounds(count: int, sequence: int = 65000, timestamp: int = 0xFFFF0000) -> list[Packet]:
    return [
        ((sequence + n) & 0xFFFF, (timestamp + 960 * n) & 0xFFFFFFFF, False, b"opus" + struct.pack("!I", n))
        for n in range(count)
    ]


def pictures(count: int, gop: int = 10, size: int = 2500, sequence: int = 65500, first: int = 0) -> list[Packet]:
    packets: list[Packet] = []
    for n in range(first, first + count):
        payloads = vp8_payloads(vp8(n, key=n % gop == 0, size=size))
        for index, payload in enumerate(payloads):
            number = (sequence + len(packets)) & 0xFFFF
            packets.append((number, (0xFFFFF000 + 3000 * n) & 0xFFFFFFFF, index == len(payloads) - 1, payload))
    return packets


def voice() -> tuple[ReceiveStream, Out]:
    out = Out()
    return ReceiveStream(1, 48000, None, out), out


def camera() -> tuple[ReceiveStream, Out]:
    out = Out()
    return ReceiveStream(1, 90000, Vp8Depacketizer(), out), out


def feed(stream: ReceiveStream, packets: list[Packet], now: int = T0, every: int = 2 * MS) -> int:
    for packet in packets:
        stream.receive(*packet, now)
        stream.poll(now)
        now += every
    return now


def wait(stream: ReceiveStream, now: int) -> int:
    for _ in range(130):
        now += 10 * MS
        stream.poll(now)
    return now


def shuffled(packets: list[Packet], window: int, seed: int) -> list[Packet]:
    """Reordered by at most `window` places; the first stays first (a stream begins with what comes first)."""
    dice = random.Random(seed)
    rest = sorted(enumerate(packets[1:]), key=lambda pair: pair[0] + dice.uniform(0, window))
    return packets[:1] + [packet for _, packet in rest]


@settings(max_examples=40)
@given(st.integers(0, 65535), st.integers(0, 0xFFFFFFFF), st.integers(0, 60), st.integers(0, 99), st.integers(0, 3))
def test_order_and_wrap_around_whatever_the_reordering(
    sequence: int, timestamp: int, window: int, seed: int, repeats: int
) -> None:
    stream, out = voice()
    packets = shuffled(sounds(150, sequence, timestamp), window, seed)
    dice = random.Random(seed)
    for _ in range(repeats * 10):  # duplicates, somewhere after the original
        at = dice.randrange(len(packets))
        packets.insert(dice.randint(at + 1, len(packets)), packets[at])
    feed(stream, packets)
    assert out.numbers == list(range(150))
    assert [frame.rtp - out.frames[0].rtp for frame in out.frames] == [960 * n for n in range(150)]
    assert not any(frame.after_gap for frame in out.frames)
    assert stream.lost == 0 and stream.packets == 150 and stream.duplicates == repeats * 10
    _, lost, highest, _ = stream.report_block()
    assert lost == 0 and highest == sequence + 149


@settings(max_examples=30)
@given(st.integers(0, 40), st.integers(0, 99))
def test_pictures_of_several_packets_reordered(window: int, seed: int) -> None:
    stream, out = camera()
    feed(stream, shuffled(pictures(60), window, seed))
    assert out.numbers == list(range(60))
    assert [frame.key for frame in out.frames] == [n % 10 == 0 for n in range(60)]


@settings(max_examples=30)
@given(st.sets(st.integers(1, 148), max_size=40), st.integers(0, 99))
def test_what_is_repaired_leaves_no_trace(lost: set[int], seed: int) -> None:
    stream, out = voice()
    packets = sounds(150)
    dice = random.Random(seed)
    now = T0
    late: list[tuple[int, Packet]] = []
    for index, packet in enumerate(packets):
        if index in lost:
            late.append((now + dice.randint(20, 300) * MS, packet))
        else:
            stream.receive(*packet, now)
        for due, again in [one for one in late if one[0] <= now]:
            stream.receive(*again, now)
            late.remove((due, again))
        stream.poll(now)
        now += 5 * MS
    for _, again in late:
        stream.receive(*again, now)
    assert out.numbers == list(range(150))
    assert stream.lost == 0 and stream.repaired == len(lost)


@settings(max_examples=30)
@given(st.sets(st.integers(1, 148), max_size=60))
def test_sound_that_never_comes_is_one_counted_gap_each(lost: set[int]) -> None:
    stream, out = voice()
    now = feed(stream, [packet for index, packet in enumerate(sounds(150)) if index not in lost])
    wait(stream, now)
    assert out.numbers == [n for n in range(150) if n not in lost]
    for frame in out.frames:
        assert frame.after_gap == (number_of(frame.data) - 1 in lost)
    assert stream.lost == stream.lost_in_gap == len(lost)
    assert stream.report_block()[1] == len(lost)


@settings(max_examples=30)
@given(st.sets(st.integers(1, 170), max_size=12))
def test_after_a_lost_packet_pictures_go_on_with_the_next_key_frame(lost: set[int]) -> None:
    stream, out = camera()
    packets = pictures(60)  # 3 packets each
    now = feed(stream, [packet for index, packet in enumerate(packets) if index not in lost])
    wait(stream, now)
    whole = {n for n in range(60) if not lost & set(range(3 * n, 3 * n + 3))}
    expected = [n for n in range(60) if set(range(n - n % 10, n + 1)) <= whole]
    assert out.numbers == expected
    broken = [n for n, frame in zip(out.numbers, out.frames, strict=True) if frame.after_gap]
    assert all(n % 10 == 0 for n in broken)
    assert stream.lost == len(lost)


def test_the_wait_ends_after_a_second_and_late_packets_do_no_harm() -> None:
    stream, out = voice()
    packets = sounds(200)
    feed(stream, packets[:50] + packets[51:60], every=20 * MS)
    assert out.numbers == list(range(50))
    now = feed(stream, packets[60:120], T0 + 1200 * MS, every=20 * MS)
    assert out.numbers == [n for n in range(120) if n != 50]
    feed(stream, [packets[50], packets[50]], now)
    feed(stream, packets[120:], now)
    assert out.numbers == [n for n in range(200) if n != 50]
    assert stream.lost == 1 and stream.duplicates == 2


def test_missing_packets_are_asked_for_by_their_numbers_on_the_wire() -> None:
    stream, _ = voice()
    packets = sounds(10, sequence=65532)
    for packet in packets[:2] + packets[6:]:
        stream.receive(*packet, T0)
    assert stream.poll(T0) == [65534, 65535, 0, 1]
    assert stream.poll(T0 + 10 * MS) == []
    assert stream.poll(T0 + 100 * MS) == [65534, 65535, 0, 1]


def test_numbers_that_start_anew_lose_nothing_of_either_side() -> None:
    for jump in (20_000, -20_000):
        stream, out = camera()
        now = feed(stream, pictures(20, sequence=30_000))
        # A restart to lower numbers is believed when nothing else comes for 200 ms.
        restarted = pictures(40, sequence=30_000 + jump, first=20)
        feed(stream, restarted, now, every=15 * MS)
        assert out.numbers == list(range(60))
        assert [n for n, f in zip(out.numbers, out.frames, strict=True) if f.after_gap] == [20]
        assert stream.lost == 1


def test_what_was_held_behind_a_hole_comes_before_a_restart() -> None:
    stream, out = voice()
    first, second = sounds(30, sequence=100), sounds(60, sequence=20_000)[30:]
    now = feed(stream, first[:10] + first[11:])
    feed(stream, second, now)
    assert out.numbers == [n for n in range(60) if n != 10]
    assert stream.lost == 2  # the one that never came, and at least one at the restart


def test_one_stray_number_is_no_restart() -> None:
    stream, out = voice()
    packets = sounds(400, sequence=1000)
    stray = (50_000, 5, False, b"opus\0\0\x27\x0f")
    with_strays = [*packets[:100], stray, *packets[100:200], stray, *packets[200:300], stray, *packets[300:]]
    feed(stream, with_strays)
    assert out.numbers == list(range(400))


def test_very_late_retransmissions_are_no_restart() -> None:
    stream, out = voice()
    packets = sounds(6000, sequence=0)
    late = [packet for n in range(3, 60, 2) for packet in (packets[5000 + n], packets[n])]
    feed(stream, packets[:5000], every=MS)
    feed(stream, [packets[5000 + n] for n in range(4)], T0 + 5000 * MS, every=MS)
    feed(stream, late + packets[5004:], T0 + 5004 * MS, every=MS)
    assert out.numbers == list(range(6000))


def test_a_hole_longer_than_what_is_tracked_does_not_hold_things_up() -> None:
    stream, out = voice()
    packets = sounds(6000, sequence=0)
    now = feed(stream, packets[:100] + packets[2900:3100], every=5 * MS)
    wait(stream, now)
    assert out.numbers == [*range(100), *range(2900, 3100)]
    assert stream.lost == 2800


def test_what_is_held_is_bounded() -> None:
    stream, out = voice()
    packets = sounds(5000, sequence=0)
    for packet in packets[:1] + packets[2:]:  # number 1 never comes, and time stands still
        stream.receive(*packet, T0)
    assert len(out.frames) > 2000
    assert len(stream._held) <= 2048


def test_the_codec_may_change_while_packets_wait_behind_a_hole() -> None:
    stream, out = camera()
    packets = pictures(20)
    now = feed(stream, packets[:30] + packets[31:])
    stream.set_depacketizer(Vp8Depacketizer())
    following = pictures(20, sequence=65500 + 60, first=20)
    feed(stream, following, now)
    assert out.numbers == [*range(10), *range(20, 40)]


def test_padding_is_counted_and_gives_no_frame() -> None:
    stream, out = camera()
    packets = pictures(6)
    padding = [(65500 + 3 * 6 + n & 0xFFFF, packets[-1][1], False, b"") for n in range(3)]
    more = pictures(4, sequence=65500 + 21, first=6)
    feed(stream, packets + padding + more)
    assert out.numbers == list(range(10))
    assert stream.lost == 0


def test_a_broken_frame_is_a_loss() -> None:
    stream, out = camera()
    packets = pictures(20)
    number, timestamp, marker, _ = packets[9]  # the first packet of frame 3
    packets[9] = (number, timestamp, marker, b"\x00garbage")
    feed(stream, packets)
    assert out.numbers == [0, 1, 2, *range(10, 20)]
    assert out.frames[3].after_gap and stream.lost_in_gap >= 1


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 0xFFFFFFFF), st.booleans(), st.binary(max_size=40))))
def test_nothing_that_arrives_raises_or_repeats_a_frame(packets: list[Packet]) -> None:
    for stream, out in (camera(), voice()):
        now = feed(stream, packets)
        wait(stream, now)
        assert len(out.frames) <= len(packets)
        stream.report_block()
