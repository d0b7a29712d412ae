"""VP8 payload descriptors of RFC 7741 by hand, and aiortc's packetizer as an independent source."""

from __future__ import annotations

import pytest
from aiortc.codecs.vpx import Vp8Encoder

from reelroom.rtc.depacketize.vp8 import Vp8Depacketizer
from tests.depacketize_clips import encoded

# RFC 6386 §9.1: P=0, version 0, shown, first partition of 2 bytes; start code; 176x144 with scaling bits set.
KEY = bytes((0x10 | (2 << 5) & 0xFF, 0, 0)) + b"\x9d\x01\x2a" + b"\xb0\x40\x90\x80" + b"\xaa\xbb"
INTER = bytes((0x11 | (1 << 5), 0, 0)) + b"\xcc\xdd"


@pytest.mark.parametrize(
    "descriptor",
    [
        pytest.param(b"\x10", id="one byte"),
        pytest.param(b"\x90\x80\x11", id="7 bit picture id (RFC 7741 §4.2)"),
        pytest.param(b"\x90\x80\x80\x11", id="15 bit picture id"),
        pytest.param(b"\x90\x40\x05", id="TL0PICIDX"),
        pytest.param(b"\x90\x20\x40", id="TID"),
        pytest.param(b"\x90\x10\x1f", id="KEYIDX"),
        pytest.param(b"\xb0\xf0\x92\x34\x05\x5f", id="everything"),
    ],
)
def test_the_descriptor_is_taken_off_whatever_its_fields(descriptor: bytes) -> None:
    depacketizer = Vp8Depacketizer()
    later = bytes((descriptor[0] & ~0x10,)) + descriptor[1:]
    assert depacketizer.push(descriptor + KEY[:11], False) is None
    assert depacketizer.push(later + KEY[11:], True) == KEY
    assert depacketizer.keyframe
    assert (depacketizer.width, depacketizer.height) == (176, 144)
    assert depacketizer.push(descriptor + INTER, True) == INTER
    assert not depacketizer.keyframe
    assert (depacketizer.width, depacketizer.height) == (176, 144)


def test_further_partitions_continue_the_frame_also_where_they_start_in_a_packet() -> None:
    depacketizer = Vp8Depacketizer()
    depacketizer.push(b"\x10" + INTER[:4], False)
    depacketizer.push(b"\x11" + INTER[4:], False)
    assert depacketizer.push(b"\x02more", True) == INTER + b"more"


def test_a_frame_needs_the_start_of_its_first_partition() -> None:
    depacketizer = Vp8Depacketizer()
    assert depacketizer.push(b"\x11" + INTER, True) is None  # joined in the middle: not an error
    assert depacketizer.malformed == 0
    assert depacketizer.push(b"\x00" + INTER, True) is None
    assert depacketizer.malformed == 1


def test_a_second_start_within_a_frame_is_malformed() -> None:
    depacketizer = Vp8Depacketizer()
    depacketizer.push(b"\x10" + INTER, False)
    assert depacketizer.push(b"\x10" + INTER, True) is None
    assert depacketizer.malformed == 1
    assert depacketizer.push(b"\x10" + INTER, True) == INTER


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"\x10", id="descriptor only"),
        pytest.param(b"\x90\x80", id="descriptor cut"),
        pytest.param(b"\x90\x80\x80", id="picture id cut"),
        pytest.param(b"\x10\x31", id="frame tag cut"),
        pytest.param(b"\x10" + KEY[:9], id="key frame header cut"),
        pytest.param(b"\x10" + KEY[:3] + b"\x9d\x01\x2b" + KEY[6:], id="wrong start code"),
        pytest.param(b"\x10" + KEY[:6] + b"\0\0" + KEY[8:], id="no width"),
        pytest.param(b"\x10\x11\xff\xffdata", id="first partition longer than the frame"),
    ],
)
def test_a_malformed_frame_is_dropped_and_counted(payload: bytes) -> None:
    depacketizer = Vp8Depacketizer()
    depacketizer.push(b"\x10" + INTER, True)
    assert depacketizer.push(payload, True) is None
    assert depacketizer.malformed == 1
    assert depacketizer.push(b"\x10" + INTER, True) == INTER


def test_what_aiortc_packetizes_comes_back() -> None:
    depacketizer = Vp8Depacketizer()
    for picture_id, original in enumerate(encoded("vp8"), 120):
        payloads = Vp8Encoder._packetize(original, picture_id)
        assert [depacketizer.push(payload, payload is payloads[-1]) for payload in payloads][-1] == original
    assert depacketizer.malformed == 0
