"""AV1 aggregation headers by hand, OBU sizes, and sequence headers."""

from __future__ import annotations

import pytest

from reelroom.rtc.bitreader import BitstreamError
from reelroom.rtc.depacketize.av1 import Av1Depacketizer, leb128, read_leb128
from tests.depacketize_clips import encoded, without_delimiter
from tests.packetize import packetize

UNIT = without_delimiter(encoded("av1")[0])
SEQUENCE_BYTES = 2 + UNIT[1]
SEQUENCE = UNIT[:1] + UNIT[2:SEQUENCE_BYTES]  # still with the size bit set
SEQUENCE = bytes((SEQUENCE[0] & ~2,)) + SEQUENCE[1:]
SIZED_SEQUENCE = UNIT[:SEQUENCE_BYTES]
KEY = b"\x30\x10\xaa\xbb"  # OBU_FRAME: shown key frame
HIDDEN_KEY = b"\x30\x00\xaa\xbb"
INTER = b"\x30\x30\xcc"
SHOW_EXISTING = b"\x18\x80"  # OBU_FRAME_HEADER


def sized(obu: bytes) -> bytes:
    return bytes((obu[0] | 2, len(obu) - 1)) + obu[1:]


def with_length(obu: bytes) -> bytes:
    return leb128(len(obu)) + obu


def test_elements_become_obus_with_sizes() -> None:
    depacketizer = Av1Depacketizer()
    # W=2, N=1: the first element has a length, the last none.
    unit = depacketizer.push(b"\x28" + with_length(SEQUENCE) + KEY, True)
    assert unit == SIZED_SEQUENCE + sized(KEY)
    assert depacketizer.keyframe
    assert (depacketizer.width, depacketizer.height) == (320, 180)


def test_with_w_0_every_element_has_a_length() -> None:
    unit = Av1Depacketizer().push(b"\x08" + with_length(SEQUENCE) + with_length(KEY), True)
    assert unit == SIZED_SEQUENCE + sized(KEY)


def test_an_obu_goes_on_over_packets() -> None:
    depacketizer = Av1Depacketizer()
    assert depacketizer.push(b"\x68" + with_length(SEQUENCE) + KEY[:1], False) is None  # Y
    assert depacketizer.push(b"\xd0" + KEY[1:2], False) is None  # Z, Y
    assert depacketizer.push(b"\xd0" + KEY[2:3], False) is None
    assert depacketizer.push(b"\xa0" + with_length(KEY[3:]) + INTER, True) == (
        SIZED_SEQUENCE + sized(KEY) + sized(INTER)
    )
    assert depacketizer.keyframe


def test_sizes_and_extensions_that_are_there_already_are_kept() -> None:
    extended = b"\x36\x48\x02\x30\xdd"  # OBU_FRAME with extension (temporal id 2) and a size of 2
    depacketizer = Av1Depacketizer()
    depacketizer.push(b"\x18" + SEQUENCE, True)
    assert depacketizer.push(b"\x10" + extended, True) == extended
    assert depacketizer.push(b"\x10\x34\x48\x30\xdd", True) == extended


def test_delimiters_tile_lists_and_padding_are_dropped() -> None:
    elements = [b"\x10", SEQUENCE, b"\x40\x01", KEY, b"\x78\x00\x00"]
    unit = Av1Depacketizer().push(b"\x08" + b"".join(map(with_length, elements)), True)
    assert unit == SIZED_SEQUENCE + sized(KEY)


def test_a_key_frame_gets_the_sequence_header_it_lacks() -> None:
    depacketizer = Av1Depacketizer()
    assert depacketizer.push(b"\x18" + SEQUENCE, True) is None  # alone it is no frame
    assert depacketizer.push(b"\x10" + KEY, True) == SIZED_SEQUENCE + sized(KEY)
    assert depacketizer.keyframe
    assert depacketizer.push(b"\x10" + INTER, True) == sized(INTER)
    assert not depacketizer.keyframe


@pytest.mark.parametrize("obu", [HIDDEN_KEY, SHOW_EXISTING, INTER])
def test_only_a_shown_key_frame_is_one(obu: bytes) -> None:
    depacketizer = Av1Depacketizer()
    assert depacketizer.push(b"\x28" + with_length(SEQUENCE) + obu, True) is not None
    assert not depacketizer.keyframe


def test_without_a_sequence_header_there_is_no_key_frame() -> None:
    depacketizer = Av1Depacketizer()
    assert depacketizer.push(b"\x18" + KEY, True) == sized(KEY)
    assert not depacketizer.keyframe


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"\x10", id="nothing but the aggregation header"),
        pytest.param(b"\x90" + INTER, id="continuation of nothing"),
        pytest.param(b"\x50" + INTER, id="marker within an OBU"),
        pytest.param(b"\x20\x09" + INTER, id="element longer than the packet"),
        pytest.param(b"\x00\xff\xff\xff\xff\xff\xff\xff\xff\x01", id="length of more than 8 bytes"),
        pytest.param(b"\x30" + with_length(INTER), id="fewer elements than told"),
        pytest.param(b"\x10\xb0\x30", id="forbidden bit"),
        pytest.param(b"\x10\x34", id="extension cut"),
        pytest.param(b"\x10\x32\x09\x30", id="size beyond the element"),
        pytest.param(b"\x10\x08\x00", id="sequence header cut"),
        pytest.param(b"\x10\x30", id="empty frame"),
    ],
)
def test_a_malformed_packet_costs_its_frame_and_is_counted(payload: bytes) -> None:
    depacketizer = Av1Depacketizer()
    depacketizer.push(b"\x28" + with_length(SEQUENCE) + KEY, True)
    assert depacketizer.push(payload, True) is None
    assert depacketizer.malformed == 1
    assert depacketizer.push(b"\x10" + INTER, True) == sized(INTER)


def test_an_obu_must_go_on_where_it_was_left_open() -> None:
    depacketizer = Av1Depacketizer()
    depacketizer.push(b"\x18" + SEQUENCE, True)
    depacketizer.push(b"\x50" + INTER, False)
    assert depacketizer.push(b"\x10" + INTER, True) is None
    assert depacketizer.malformed == 1


def test_after_a_loss_a_frame_alone_does_not_prove_the_start_of_a_unit() -> None:
    depacketizer = Av1Depacketizer()
    depacketizer.push(b"\x28" + with_length(SEQUENCE) + KEY, True)
    depacketizer.reset()
    assert depacketizer.push(b"\x10" + INTER, True) is None  # an OBU before it may be in the hole
    assert depacketizer.push(b"\x10" + INTER, True) == sized(INTER)
    depacketizer.reset()
    assert depacketizer.push(b"\x20\x01\x10" + INTER, True) == sized(INTER)  # behind a temporal delimiter


def test_units_with_hidden_frames_come_back() -> None:
    depacketizer = Av1Depacketizer()
    # libsvtav1's random access structure: several frames in a temporal unit, some only shown later.
    for original in encoded("av1", options=(("svtav1-params", "pred-struct=2:lp=1"),)):
        payloads = packetize("av1", original, 500)
        frames = [depacketizer.push(payload, payload is payloads[-1]) for payload in payloads]
        assert frames[-1] == without_delimiter(original)
    assert depacketizer.malformed == 0


@pytest.mark.parametrize("value", [0, 1, 127, 128, 16_383, 16_384, 2**32 - 1])
def test_leb128_reads_what_it_writes(value: int) -> None:
    data = leb128(value)
    assert read_leb128(b"x" + data + b"y", 1) == (value, 1 + len(data))


def test_leb128_refuses_more_than_32_bits() -> None:
    with pytest.raises(BitstreamError, match="32 bits"):
        read_leb128(leb128(2**32), 0)
