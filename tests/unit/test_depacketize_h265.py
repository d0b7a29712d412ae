"""H.265 payloads of RFC 7798 by hand, and parameter sets."""

from __future__ import annotations

import base64

import pytest

from reelroom.rtc.depacketize.h265 import H265Depacketizer
from tests.depacketize_clips import encoded, nal_units

VPS, SPS, PPS = (
    next(nal for nal in nal_units(encoded("h265")[0]) if nal[0] >> 1 & 63 == kind) for kind in (32, 33, 34)
)
IDR = b"\x26\x01\xaf\x11\x22"  # IDR_W_RADL (19), first slice segment
CRA = b"\x2a\x01\xaf\x11\x22"  # CRA_NUT (21)
TRAIL = b"\x02\x01\xd0\x33\x44"  # TRAIL_R (1)
LATER_SLICE = b"\x02\x01\x50\x33\x44"
AUD = b"\x46\x01\x50"


def aggregate(*nals: bytes) -> bytes:
    return b"\x60\x01" + b"".join(len(nal).to_bytes(2, "big") + nal for nal in nals)


def unit(*nals: bytes) -> bytes:
    return b"".join(b"\0\0\0\1" + nal for nal in nals)


@pytest.mark.parametrize("picture", [IDR, CRA])
def test_an_aggregation_packet_with_parameter_sets_is_a_key_frame(picture: bytes) -> None:
    depacketizer = H265Depacketizer({"sprop-max-don-diff": "0"})
    assert depacketizer.push(aggregate(AUD, VPS, SPS, PPS, picture), True) == unit(VPS, SPS, PPS, picture)
    assert depacketizer.keyframe
    assert (depacketizer.width, depacketizer.height) == (320, 180)


def test_fragments_give_the_nal_unit_with_layer_and_temporal_id_of_the_payload_header() -> None:
    # RFC 7798 §4.4.3: payload header type 49, here with TID 2 (temporal_id_plus1 = 3); FU header S, E, type.
    depacketizer = H265Depacketizer({})
    assert depacketizer.push(b"\x62\x03\x81\xd0\x11", False) is None
    assert depacketizer.push(b"\x62\x03\x01\x22", False) is None
    assert depacketizer.push(b"\x62\x03\x41\x33", True) == unit(b"\x02\x03\xd0\x11\x22\x33")
    assert not depacketizer.keyframe
    # The same in layer 33: nuh_layer_id has its first bit in the first byte.
    assert depacketizer.push(b"\x63\x0b\xc1\xd0\x11", True) == unit(b"\x03\x0b\xd0\x11")


def test_a_key_frame_gets_the_parameter_sets_it_lacks() -> None:
    depacketizer = H265Depacketizer({})
    depacketizer.push(aggregate(VPS, SPS, PPS, IDR), True)
    assert depacketizer.push(IDR, True) == unit(VPS, SPS, PPS, IDR)
    assert depacketizer.keyframe
    assert depacketizer.push(TRAIL, True) == unit(TRAIL)
    assert not depacketizer.keyframe


def test_parameter_sets_of_the_sdp_serve_the_first_key_frame() -> None:
    names = {"sprop-vps": VPS, "sprop-sps": SPS, "sprop-pps": PPS}
    depacketizer = H265Depacketizer({name: base64.b64encode(nal).decode() for name, nal in names.items()})
    assert depacketizer.push(CRA, True) == unit(VPS, SPS, PPS, CRA)
    assert (depacketizer.keyframe, depacketizer.width) == (True, 320)


def test_a_picture_without_one_kind_of_parameter_set_is_no_key_frame() -> None:
    depacketizer = H265Depacketizer({})
    depacketizer.push(AUD, False)
    assert depacketizer.push(aggregate(SPS, PPS, IDR), True) == unit(SPS, PPS, IDR)
    assert not depacketizer.keyframe


def test_after_a_loss_slices_that_do_not_start_a_picture_are_passed_over() -> None:
    depacketizer = H265Depacketizer({})
    assert depacketizer.push(LATER_SLICE, True) is None
    depacketizer.push(TRAIL, False)
    assert depacketizer.push(LATER_SLICE, True) == unit(TRAIL, LATER_SLICE)
    assert depacketizer.malformed == 0


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"\x64\x01\x00\x00\x00", id="PACI"),
        pytest.param(b"\x82\x01\xd0", id="forbidden bit"),
        pytest.param(b"\x02", id="half a header"),
        pytest.param(b"\x02\x01", id="slice without a byte"),
        pytest.param(b"\x60\x01", id="empty AP"),
        pytest.param(b"\x60\x01\0\x09\x02\x01\xd0", id="AP size beyond the end"),
        pytest.param(b"\x60\x01\0\3\x60\x01\0", id="AP in an AP"),
        pytest.param(b"\x62\x01", id="FU without header"),
        pytest.param(b"\x62\x01\x01\xd0", id="FU continuing nothing"),
        pytest.param(b"\x62\x01\xb1\xd0", id="FU of a FU"),
        pytest.param(SPS[:8], id="SPS cut"),
    ],
)
def test_a_malformed_packet_costs_its_frame_and_is_counted(payload: bytes) -> None:
    depacketizer = H265Depacketizer({})
    assert depacketizer.push(TRAIL, True) is not None
    depacketizer.push(TRAIL, False)
    assert depacketizer.push(payload, False) is None
    assert depacketizer.push(TRAIL, True) is None
    assert depacketizer.malformed == 1
    assert depacketizer.push(TRAIL, True) == unit(TRAIL)


def test_decoding_order_numbers_are_refused_as_not_supported() -> None:
    with pytest.raises(ValueError, match="sprop-max-don-diff '2' is not supported"):
        H265Depacketizer({"sprop-max-don-diff": "2"})
