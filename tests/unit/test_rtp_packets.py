"""RTP headers and header extensions, well-formed and not."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelroom.rtc import rtp


def packet(first: int = 0x80, rest: bytes = b"") -> bytes:
    return struct.pack("!BBHII", first, 0x80 | 96, 7, 8, 9) + rest


def test_a_plain_packet() -> None:
    header = rtp.parse_header(packet(rest=b"abc"))
    assert header is not None
    assert (header.marker, header.payload_type, header.sequence, header.timestamp, header.ssrc) == (True, 96, 7, 8, 9)
    assert (header.extension_at, header.payload_start, header.payload_end) == (0, 12, 15)


def test_contributing_sources_extension_and_padding_are_left_out_of_the_payload() -> None:
    rest = bytes(8) + struct.pack("!HHI", 0xBEDE, 1, 0) + b"payload" + b"\0\0\x03"
    header = rtp.parse_header(packet(0x80 | 0x20 | 0x10 | 2, rest))
    assert header is not None
    assert packet(rest=rest)[header.payload_start : header.payload_end] == b"payload"
    assert header.extension_at == 20


@pytest.mark.parametrize(
    "data",
    [
        b"",
        packet()[:11],
        packet(0x00, b"abc"),
        packet(0xC0, b"abc"),
        packet(0x8F, b"abc"),
        packet(0x90, b"ab"),
        packet(0x90, struct.pack("!HH", 0xBEDE, 9)),
        packet(0xA0, b"abc\0"),
        packet(0xA0, b"abc\x05"),
    ],
    ids=["empty", "short", "version 0", "version 3", "CSRCs", "extension", "extension length", "padding 0", "padding"],
)
def test_malformed_packets_are_none(data: bytes) -> None:
    assert rtp.parse_header(data) is None


def test_one_byte_elements_with_padding_between_and_the_stop_number() -> None:
    block = b"\x10a\0\0\x31\x12\x34\0\xf0\x50z"
    block += bytes(-len(block) % 4)
    data = struct.pack("!HH", 0xBEDE, len(block) // 4) + block
    assert rtp.parse_extensions(data, 0) == {1: b"a", 3: b"\x12\x34"}


def test_two_byte_elements_may_be_empty_and_long() -> None:
    block = b"\x01\x00" + b"\x14\x14" + b"x" * 20 + b"\0" + b"\x02\x01y"
    block += bytes(-len(block) % 4)
    data = struct.pack("!HH", 0x1005, len(block) // 4) + block
    assert rtp.parse_extensions(data, 0) == {1: b"", 20: b"x" * 20, 2: b"y"}


def test_elements_that_reach_beyond_the_block_are_left_out() -> None:
    assert rtp.parse_extensions(struct.pack("!HH", 0xBEDE, 1) + b"\x10a\x2f\0", 0) == {1: b"a"}
    assert rtp.parse_extensions(struct.pack("!HH", 0x1000, 1) + b"\x01\x01a\x09", 0) == {1: b"a"}


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    header = rtp.parse_header(data)
    if header is not None:
        assert 12 <= header.payload_start <= header.payload_end <= len(data)
        if header.extension_at:
            rtp.parse_extensions(data, header.extension_at)


@given(st.integers(0, 1 << 40), st.integers(-30000, 30000))
def test_extend_finds_the_nearest_number(reference: int, step: int) -> None:
    assert rtp.extend((reference + step) & 0xFFFF, reference, 16) == reference + step
