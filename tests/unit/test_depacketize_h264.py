"""H.264 payloads of RFC 6184 by hand, parameter sets, and aiortc's packetizer as an independent source."""

from __future__ import annotations

import base64

import pytest
from aiortc.codecs.h264 import H264Encoder

from reelroom.rtc.depacketize.h264 import H264Depacketizer
from tests.depacketize_clips import encoded, nal_units

START = b"\0\0\0\1"
SPS = next(nal for nal in nal_units(encoded("h264")[0]) if nal[0] & 31 == 7)
PPS = next(nal for nal in nal_units(encoded("h264")[0]) if nal[0] & 31 == 8)
OTHER_SPS = next(nal for nal in nal_units(encoded("h264", 640, 360, frames=2)[0]) if nal[0] & 31 == 7)
IDR = b"\x65\x88\x84\x21\x43"
SLICE = b"\x41\x9a\x11\x22"
LATER_SLICE = b"\x41\x4a\x33\x44"
SEI = b"\x06\x05\x01\xaa\x80"
AUD = b"\x09\xf0"


def stap(*nals: bytes) -> bytes:
    return b"\x78" + b"".join(len(nal).to_bytes(2, "big") + nal for nal in nals)


def unit(*nals: bytes) -> bytes:
    return b"".join(START + nal for nal in nals)


def test_a_single_nal_unit_with_the_marker_is_an_access_unit() -> None:
    depacketizer = H264Depacketizer({})
    assert depacketizer.push(SLICE, True) == unit(SLICE)
    assert not depacketizer.keyframe


def test_an_aggregation_packet_gives_its_nal_units_and_drops_the_delimiter() -> None:
    depacketizer = H264Depacketizer({"packetization-mode": "1"})
    assert depacketizer.push(stap(AUD, SPS, PPS, IDR), True) == unit(SPS, PPS, IDR)
    assert depacketizer.keyframe
    assert (depacketizer.width, depacketizer.height) == (320, 180)


def test_fragments_give_the_nal_unit_with_the_indicators_nri_and_the_headers_type() -> None:
    # RFC 6184 §5.8: FU indicator F=0 NRI=2 type 28; FU header S, E, R, type 1.
    depacketizer = H264Depacketizer({})
    assert depacketizer.push(b"\x5c\x81\x9a\x11", False) is None
    assert depacketizer.push(b"\x5c\x01\x22", False) is None
    assert depacketizer.push(b"\x5c\x41\x33", True) == unit(b"\x41\x9a\x11\x22\x33")


def test_a_fragmented_parameter_set_counts_as_one_that_came_whole() -> None:
    depacketizer = H264Depacketizer({})
    depacketizer.push(AUD, False)
    depacketizer.push(b"\x7c\x87" + SPS[1:6], False)
    depacketizer.push(b"\x7c\x47" + SPS[6:], False)
    depacketizer.push(PPS, False)
    assert depacketizer.push(IDR, True) == unit(SPS, PPS, IDR)
    assert (depacketizer.keyframe, depacketizer.width) == (True, 320)


def test_parameter_sets_stand_first_and_the_sei_stays() -> None:
    depacketizer = H264Depacketizer({})
    assert depacketizer.push(stap(AUD, SEI, SPS, PPS, IDR), True) == unit(SPS, PPS, SEI, IDR)


@pytest.mark.parametrize(
    ("in_band", "expected"),
    [((), (SPS, PPS)), ((OTHER_SPS,), (OTHER_SPS, PPS)), ((PPS,), (SPS, PPS)), ((SPS, PPS), (SPS, PPS))],
)
def test_a_key_frame_gets_the_parameter_sets_it_lacks(in_band: tuple[bytes, ...], expected: tuple[bytes, ...]) -> None:
    depacketizer = H264Depacketizer({})
    depacketizer.push(stap(SPS, PPS, IDR), True)
    assert depacketizer.push(stap(*in_band, IDR), True) == unit(*expected, IDR)
    assert depacketizer.keyframe
    assert depacketizer.width == (640 if OTHER_SPS in in_band else 320)


def test_parameter_sets_of_the_sdp_serve_the_first_key_frame() -> None:
    sets = ",".join(base64.b64encode(nal).decode() for nal in (SPS, PPS))
    depacketizer = H264Depacketizer({"sprop-parameter-sets": sets, "packetization-mode": "1"})
    assert (depacketizer.width, depacketizer.height) == (320, 180)
    assert depacketizer.push(IDR, True) == unit(SPS, PPS, IDR)
    assert depacketizer.keyframe
    assert depacketizer.push(SLICE, True) == unit(SLICE)
    assert not depacketizer.keyframe


def test_an_idr_without_any_parameter_set_is_returned_but_is_no_key_frame() -> None:
    depacketizer = H264Depacketizer({})
    assert depacketizer.push(IDR, True) == unit(IDR)
    assert not depacketizer.keyframe


def test_a_recovery_point_is_no_key_frame() -> None:
    depacketizer = H264Depacketizer({})
    depacketizer.push(stap(SPS, PPS, IDR), True)
    assert depacketizer.push(stap(b"\x06\x06\x01\xc4\x80", SLICE), True) is not None
    assert not depacketizer.keyframe


def test_parameter_sets_alone_are_kept_and_are_no_frame() -> None:
    depacketizer = H264Depacketizer({})
    assert depacketizer.push(stap(SPS, PPS), True) is None
    assert depacketizer.push(IDR, True) == unit(SPS, PPS, IDR)
    assert depacketizer.keyframe and depacketizer.malformed == 0


def test_new_parameter_sets_lost_before_a_key_frame_are_not_replaced_by_old_ones() -> None:
    depacketizer = H264Depacketizer({})
    depacketizer.push(stap(SPS, PPS, IDR), True)
    depacketizer.reset()  # OTHER_SPS was in the hole
    assert depacketizer.push(IDR, True) is None
    assert depacketizer.push(SLICE, True) is not None


def test_after_a_loss_slices_that_do_not_start_a_picture_are_passed_over() -> None:
    depacketizer = H264Depacketizer({})
    depacketizer.push(SLICE, False)
    depacketizer.reset()
    assert depacketizer.push(LATER_SLICE, True) is None
    assert depacketizer.push(SLICE, False) is None
    assert depacketizer.push(LATER_SLICE, True) == unit(SLICE, LATER_SLICE)
    assert depacketizer.malformed == 0


def test_a_new_timestamp_ends_a_whole_frame_but_not_an_open_fragment() -> None:
    depacketizer = H264Depacketizer({})
    depacketizer.push(SLICE, False)
    assert depacketizer.flush() == unit(SLICE)
    depacketizer.push(b"\x5c\x81\x9a\x11", False)
    assert depacketizer.flush() is None
    assert depacketizer.malformed == 1
    assert depacketizer.push(SLICE, True) == unit(SLICE)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"\x79\0\0\0\2\x41\x9a", id="STAP-B"),
        pytest.param(b"\x7a\0\0\0\2\x41\x9a", id="MTAP16"),
        pytest.param(b"\x7b\0\0\0\2\x41\x9a", id="MTAP24"),
        pytest.param(b"\x7d\x81\0\0\x9a", id="FU-B"),
        pytest.param(b"\x40\x9a", id="type 0"),
        pytest.param(b"\x5f\x9a", id="type 31"),
        pytest.param(b"\xc1\x9a", id="forbidden bit"),
        pytest.param(b"\x41", id="slice without a byte"),
        pytest.param(b"\x78", id="empty STAP-A"),
        pytest.param(b"\x78\0", id="STAP-A cut in a size"),
        pytest.param(b"\x78\0\0", id="STAP-A with an empty NAL unit"),
        pytest.param(b"\x78\0\4\x41\x9a", id="STAP-A size beyond the end"),
        pytest.param(b"\x78\0\3\x78\x9a\0", id="STAP-A in a STAP-A"),
        pytest.param(b"\x5c", id="FU-A without header"),
        pytest.param(b"\x5c\x01\x9a", id="FU-A continuing nothing"),
        pytest.param(b"\x5c\x9c\x9a", id="FU-A of a FU-A"),
        pytest.param(b"\x67\x42", id="SPS cut"),
        pytest.param(b"\x67" + bytes(5000), id="SPS too long"),
    ],
)
def test_a_malformed_packet_costs_its_frame_and_is_counted(payload: bytes) -> None:
    depacketizer = H264Depacketizer({})
    assert depacketizer.push(SLICE, True) is not None
    assert depacketizer.push(SLICE, False) is None
    assert depacketizer.push(payload, False) is None
    assert depacketizer.push(SLICE, True) is None
    assert depacketizer.malformed == 1
    assert depacketizer.push(SLICE, True) == unit(SLICE)


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(b"\x5c\x81\x9a", id="a second start"),
        pytest.param(b"\x5c\x02\x9a", id="another type"),
        pytest.param(b"\x7c\x01\x9a", id="another NRI"),
        pytest.param(b"\x7c\x41\x9a", id="an end with another NRI"),
        pytest.param(SLICE, id="a NAL unit between"),
    ],
)
def test_a_fragmented_nal_unit_must_go_on_as_it_began(second: bytes) -> None:
    depacketizer = H264Depacketizer({})
    depacketizer.push(b"\x5c\x81\x9a\x11", False)
    assert depacketizer.push(second, False) is None
    assert depacketizer.push(b"\x5c\x41\x22", True) is None
    assert depacketizer.malformed == 1
    assert depacketizer.push(SLICE, True) == unit(SLICE)


@pytest.mark.parametrize(("size", "count"), [(60_000, 150), (10, 20_010)])
def test_the_limits_hold_for_whole_nal_units_too(size: int, count: int) -> None:
    depacketizer = H264Depacketizer({})
    for _ in range(count):
        assert depacketizer.push(SLICE + bytes(size), False) is None
    assert depacketizer.push(SLICE, True) is None
    assert depacketizer.malformed == 1


@pytest.mark.parametrize(
    ("fmtp", "message"),
    [
        ({"packetization-mode": "2"}, "packetization-mode '2' is not supported"),
        ({"sprop-parameter-sets": "Z0IA*"}, "not comma-separated base64"),
        ({"sprop-parameter-sets": "Z0I="}, "parameter set of 2 bytes"),
        ({"sprop-parameter-sets": "Z0IAHg=="}, "header ends"),
    ],
)
def test_parameters_that_cannot_be_used_are_refused(fmtp: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        H264Depacketizer(fmtp)


def test_what_aiortc_packetizes_comes_back() -> None:
    depacketizer = H264Depacketizer({"packetization-mode": "1"})
    for original in encoded("h264"):
        payloads = H264Encoder._packetize(H264Encoder._split_bitstream(original))
        frames = [depacketizer.push(payload, payload is payloads[-1]) for payload in payloads]
        assert frames[:-1] == [None] * (len(frames) - 1)
        assert frames[-1] is not None
        assert sorted(nal_units(frames[-1])) == sorted(nal_units(original))
    assert depacketizer.malformed == 0
