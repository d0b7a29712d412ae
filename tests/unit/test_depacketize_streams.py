"""Real streams of every codec through packets and back: whole, with losses, and with every byte in doubt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelroom.rtc.depacketize import Depacketizer, make_depacketizer
from reelroom.rtc.depacketize.base import MAX_FRAME_BYTES, MAX_FRAME_PACKETS
from tests.depacketize_clips import decoded, encoded, nal_units, without_delimiter
from tests.packetize import packetize

CODECS = ["h264", "h265", "vp8", "vp9", "av1"]
KEY_FRAMES = {0, 6}


class Packet(NamedTuple):
    frame: int
    payload: bytes
    marker: bool


def packets_of(codec: str, frames: Iterable[bytes], mtu: int = 1200) -> list[Packet]:
    packets = []
    for number, frame in enumerate(frames):
        payloads = packetize(codec, frame, mtu)
        packets += [Packet(number, payload, False) for payload in payloads[:-1]]
        packets.append(Packet(number, payloads[-1], True))
    return packets


def receive(
    depacketizer: Depacketizer, packets: list[Packet], lost: frozenset[int] = frozenset()
) -> list[tuple[int, bytes, bool]]:
    """(number, frame, keyframe) as a receiver gets them that knows its losses."""
    frames: list[tuple[int, bytes, bool]] = []
    last = -1
    for at, packet in enumerate(packets):
        if at in lost:
            continue
        if at - 1 in lost:
            depacketizer.reset()
        if packet.frame != last:
            flushed = depacketizer.flush()
            if flushed is not None:
                frames.append((last, flushed, depacketizer.keyframe))
        last = packet.frame
        frame = depacketizer.push(packet.payload, packet.marker)
        if frame is not None:
            frames.append((packet.frame, frame, depacketizer.keyframe))
    return frames


def pictures_only(codec: str, frame: bytes) -> list[bytes]:
    """What must be there for the picture: the slices in H.264 and H.265, everything elsewhere."""
    if codec == "h264":
        return [nal for nal in nal_units(frame) if nal[0] & 31 <= 5]
    if codec == "h265":
        return [nal for nal in nal_units(frame) if nal[0] >> 1 & 63 < 32]
    return [without_delimiter(frame)]


@pytest.mark.parametrize("codec", CODECS)
def test_the_packets_that_a_stream_may_begin_with_are_the_first_of_key_frames(codec: str) -> None:
    packets = packets_of(codec, encoded(codec), 300)
    first = [at for at, packet in enumerate(packets) if at == 0 or packet.frame != packets[at - 1].frame]
    begin = {at for at, packet in enumerate(packets) if make_depacketizer(codec, {}).begins(packet.payload)}
    assert begin == {at for at in first if packets[at].frame in KEY_FRAMES}
    assert not make_depacketizer(codec, {}).begins(b"")


@pytest.mark.parametrize("mtu", [100, 1200, 100_000])
@pytest.mark.parametrize("codec", CODECS)
def test_every_frame_comes_back_bit_for_bit(codec: str, mtu: int) -> None:
    original = encoded(codec)
    depacketizer = make_depacketizer(codec, {})
    frames = receive(depacketizer, packets_of(codec, original, mtu))
    assert [number for number, _, _ in frames] == list(range(12))
    assert {number for number, _, key in frames if key} == KEY_FRAMES
    assert (depacketizer.width, depacketizer.height, depacketizer.malformed) == (320, 180, 0)
    for (_, frame, _), before in zip(frames, original, strict=True):
        if codec in ("h264", "h265"):
            assert sorted(nal_units(frame)) == sorted(nal_units(before))
            assert pictures_only(codec, frame) == pictures_only(codec, before)
        else:
            assert frame == without_delimiter(before)


@pytest.mark.parametrize("codec", CODECS)
def test_the_frames_decode_to_the_same_pictures(codec: str) -> None:
    original = encoded(codec)
    frames = [frame for _, frame, _ in receive(make_depacketizer(codec, {}), packets_of(codec, original))]
    pictures, expected = decoded(codec, frames), decoded(codec, original)
    assert len(pictures) == 12
    assert all(np.array_equal(a, b) for a, b in zip(pictures, expected, strict=True))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("run", [1, 2, 5])
def test_a_loss_anywhere_costs_its_frames_and_no_wrong_frame_comes_out(codec: str, run: int) -> None:
    packets = packets_of(codec, encoded(codec), 600)
    whole = {number: frame for number, frame, _ in receive(make_depacketizer(codec, {}), packets)}
    for at in range(len(packets)):
        lost = frozenset(range(at, min(at + run, len(packets))))
        hit = {packets[index].frame for index in lost}
        depacketizer = make_depacketizer(codec, {})
        frames = receive(depacketizer, packets, lost)
        for number, frame, key in frames:
            if number in hit:
                # Only what is no picture may be missing: parameter sets that were never seen.
                assert not key
                assert pictures_only(codec, frame) == pictures_only(codec, whole[number])
            else:
                assert frame == whole[number]
                assert key == (number in KEY_FRAMES)
        missing = set(whole) - {number for number, _, _ in frames}
        # AV1 frames do not say that they start a temporal unit: the one behind a lost marker goes too.
        assert missing <= hit | ({max(hit) + 1} if codec == "av1" else set())
        assert depacketizer.malformed == 0


@pytest.mark.parametrize("codec", CODECS)
def test_a_marker_that_never_comes_is_made_up_for_by_the_timestamp(codec: str) -> None:
    packets = [packet._replace(marker=False) for packet in packets_of(codec, encoded(codec))]
    depacketizer = make_depacketizer(codec, {})
    frames = receive(depacketizer, packets)
    last = depacketizer.flush()
    if codec == "vp8":
        # Nothing in VP8 says that a frame is complete; packets without loss up to a new timestamp do.
        assert len(frames) == 11
    assert [number for number, _, _ in frames] == list(range(11))
    assert last is not None
    assert depacketizer.flush() is None


@pytest.mark.parametrize("codec", CODECS)
def test_a_stream_joined_in_the_middle_starts_with_a_whole_frame(codec: str) -> None:
    packets = packets_of(codec, encoded(codec), 600)
    whole = {number: frame for number, frame, _ in receive(make_depacketizer(codec, {}), packets)}
    for start in range(len(packets)):
        for number, frame, _ in receive(make_depacketizer(codec, {}), packets[start:]):
            assert pictures_only(codec, frame) == pictures_only(codec, whole[number])


@pytest.mark.parametrize("codec", CODECS)
def test_a_change_of_resolution_shows_in_width_and_height(codec: str) -> None:
    depacketizer = make_depacketizer(codec, {})
    sizes = []
    for width, height in ((320, 180), (640, 360), (174, 130)):
        frames = receive(depacketizer, packets_of(codec, encoded(codec, width, height, frames=2)))
        assert len(frames) == 2
        sizes.append((depacketizer.width, depacketizer.height))
    assert sizes == [(320, 180), (640, 360), (174, 130)]


@pytest.mark.parametrize("codec", CODECS)
def test_padding_packets_between_and_within_frames_change_nothing(codec: str) -> None:
    packets = packets_of(codec, encoded(codec))
    padded = [part for packet in packets for part in (Packet(packet.frame, b"", False), packet)]
    assert receive(make_depacketizer(codec, {}), padded) == receive(make_depacketizer(codec, {}), packets)


FIRST = {"h264": b"\x7c\x81\x80", "h265": b"\x62\x01\x81\x80", "vp8": b"\x10\x01\0\0", "vp9": b"\x48\x86"}
FIRST["av1"] = b"\x58\x30"
MIDDLE = {"h264": b"\x7c\x01", "h265": b"\x62\x01\x01", "vp8": b"\x00", "vp9": b"\x40", "av1": b"\xd0"}
LAST = {
    "h264": b"\x7c\x41\0",
    "h265": b"\x62\x01\x41\0",
    "vp8": b"\x00\0",
    "vp9": b"\x44\0",
    "av1": b"\x90\0",
}


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    ("size", "count", "fits"),
    [
        (60_000, MAX_FRAME_BYTES // 60_000 - 2, True),
        (60_000, MAX_FRAME_BYTES // 60_000 + 1, False),
        (1, MAX_FRAME_PACKETS - 10, True),
        (1, MAX_FRAME_PACKETS + 10, False),
    ],
)
def test_a_frame_beyond_the_limits_is_dropped_and_counted_once(codec: str, size: int, count: int, fits: bool) -> None:
    depacketizer = make_depacketizer(codec, {})
    depacketizer.push(FIRST[codec], False)
    middle = MIDDLE[codec] + bytes(size)
    for _ in range(count):
        assert depacketizer.push(middle, False) is None
    frame = depacketizer.push(LAST[codec], True)
    assert (frame is not None, depacketizer.malformed) == ((True, 0) if fits else (False, 1))
    depacketizer.push(FIRST[codec], False)
    assert depacketizer.push(LAST[codec], True) is not None


Action = tuple[str, bytes, bool]
marked = st.tuples(st.just("push"), st.binary(max_size=40), st.booleans())
asides = st.tuples(st.sampled_from(["flush", "reset"]), st.just(b""), st.just(False))


def do(depacketizer: Depacketizer, actions: Iterable[Action]) -> None:
    for name, payload, marker in actions:
        if name == "push":
            frame = depacketizer.push(payload, marker)
        elif name == "flush":
            frame = depacketizer.flush()
        else:
            depacketizer.reset()
            frame = None
        assert frame is None or (type(frame) is bytes and frame)
        assert 0 <= depacketizer.width <= 65_536 and 0 <= depacketizer.height <= 65_536


@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_no_payload_whatsoever_raises(codec: str, data: st.DataObject) -> None:
    starts = st.sampled_from([FIRST[codec], MIDDLE[codec], LAST[codec], b""])
    framed = st.builds(lambda head, rest: (rest[0], head + rest[1], rest[2]), starts, marked)
    do(make_depacketizer(codec, {}), data.draw(st.lists(st.one_of(marked, framed, asides), max_size=30)))


@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_damage_to_real_packets_raises(codec: str, data: st.DataObject) -> None:
    packets = packets_of(codec, encoded(codec), 600)
    start = data.draw(st.integers(0, len(packets) - 1))
    actions: list[Action] = []
    for packet in packets[start : start + 40]:
        payload = bytearray(packet.payload)
        match data.draw(st.sampled_from(["keep", "keep", "flip", "cut", "twice", "drop", "flush", "reset"])):
            case "flip":
                # Headers matter most: a position at random in the first 24 bytes.
                bit = data.draw(st.integers(0, min(len(payload), 24) * 8 - 1))
                payload[bit // 8] ^= 1 << bit % 8
            case "cut":
                del payload[data.draw(st.integers(0, min(len(payload), 24))) :]
            case "twice":
                actions.append(("push", bytes(payload), packet.marker))
            case "drop":
                continue
            case "flush" | "reset" as name:
                actions.append((name, b"", False))
        actions.append(("push", bytes(payload), packet.marker))
    depacketizer = make_depacketizer(codec, {})
    do(depacketizer, actions)
    depacketizer.reset()
    assert len(receive(depacketizer, packets)) == 12


@pytest.mark.parametrize("codec", ["", "h263", "opus", "rtx"])
def test_an_unknown_codec_is_refused_by_name(codec: str) -> None:
    with pytest.raises(ValueError, match=f"no depacketizer for codec '{codec}'"):
        make_depacketizer(codec, {})
