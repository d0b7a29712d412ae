"""RTCP in and out of bytes; what we write is read back here by hand, what we read is written by hand or by aiortc."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelroom.rtc import rtcp
from tests.rtcpeer import parts


def test_a_sender_report_of_another_implementation() -> None:
    aiortc = pytest.importorskip("aiortc.rtp")
    info = aiortc.RtcpSenderInfo(ntp_timestamp=0xE5F0_0001_8000_0000, rtp_timestamp=77, packet_count=3, octet_count=9)
    (report,) = rtcp.parse(bytes(aiortc.RtcpSrPacket(ssrc=5, sender_info=info)))
    assert isinstance(report, rtcp.SenderReport)
    assert report.ssrc == 5
    assert report.ntp_ns == (0xE5F00001 - 2_208_988_800) * 1_000_000_000 + 500_000_000
    assert report.ntp_middle == 0x0001_8000
    assert (report.rtp_timestamp, report.packets, report.octets) == (77, 3, 9)


def test_a_sender_without_a_clock_is_told_apart() -> None:
    (report,) = rtcp.parse(struct.pack("!BBHIQIII", 0x80, 200, 6, 5, 0, 77, 3, 9))
    assert isinstance(report, rtcp.SenderReport) and report.ntp_ns == rtcp.NO_CLOCK_NS


def test_ntp_there_and_back() -> None:
    for ns in (0, 1_800_000_000_123_456_789, 999_999_999):
        compound = rtcp.sender_report(1, ns, 0, 0, 0)
        (report,) = rtcp.parse(compound)
        assert isinstance(report, rtcp.SenderReport) and abs(report.ntp_ns - ns) <= 1


@given(st.lists(st.integers(0, 400), min_size=1, max_size=60, unique=True), st.integers(0, 65535))
def test_nacks_name_exactly_what_is_missing(offsets: list[int], start: int) -> None:
    wanted = [(start + offset) & 0xFFFF for offset in sorted(offsets)]
    ((kind, form, body),) = parts(rtcp.nack(1, 2, wanted))
    assert (kind, form, struct.unpack_from("!II", body)) == (205, 1, (1, 2))
    asked = []
    for at in range(8, len(body), 4):
        pid, mask = struct.unpack_from("!HH", body, at)
        asked += [pid, *((pid + 1 + bit) & 0xFFFF for bit in range(16) if mask >> bit & 1)]
    assert asked == wanted
    (read,) = rtcp.parse(rtcp.nack(1, 2, wanted))
    assert read == rtcp.Nack(2, wanted)


def test_padding_is_not_read_as_content() -> None:
    nack = bytearray(rtcp.nack(1, 2, [7])) + b"\0\0\0\x04"
    nack[0] |= 0x20
    nack[3] += 1
    assert list(rtcp.parse(bytes(nack))) == [rtcp.Nack(2, [7])]
    nack[-1] = 200  # more padding than packet
    assert list(rtcp.parse(bytes(nack))) == []


def test_key_frame_requests_of_both_kinds() -> None:
    fir = struct.pack("!BBHIIIBBH", 0x84, 206, 4, 1, 0, 42, 9, 0, 0)
    assert list(rtcp.parse(rtcp.pli(1, 41) + fir)) == [rtcp.KeyframeRequest(41), rtcp.KeyframeRequest(42)]


def test_report_blocks_clamp_and_stop_at_31() -> None:
    blocks = [(n, 300 & 255, -5 if n else 1 << 30, 1 << 40, 7, 8, 9) for n in range(40)]
    ((kind, count, body),) = parts(rtcp.receiver_report(1, blocks))
    assert (kind, count, len(body)) == (201, 31, 4 + 31 * 24)
    assert struct.unpack_from("!I", body, 8)[0] & 0xFFFFFF == 0x7FFFFF
    assert struct.unpack_from("!I", body, 32)[0] & 0xFFFFFF == 0xFFFFFB


@pytest.mark.parametrize("bits", [0, 1, 262_143, 262_144, 2_000_000, 1_000_000_000, (1 << 60)])
def test_remb_keeps_18_significant_bits(bits: int) -> None:
    ((kind, form, body),) = parts(rtcp.remb(1, bits, [5, 6]))
    assert (kind, form, body[8:12]) == (206, 15, b"REMB")
    packed = struct.unpack_from("!I", body, 12)[0]
    told = (packed & 0x3FFFF) << (packed >> 18 & 63)
    assert packed >> 24 == 2
    assert told <= bits and bits - told <= bits / 100_000
    assert struct.unpack_from("!II", body, 16) == (5, 6)


@pytest.mark.parametrize("name", ["", "a", "ab", "abc", "reelroom"])
def test_the_source_description_ends_with_a_null_and_is_whole(name: str) -> None:
    ((kind, count, body),) = parts(rtcp.source_description(1, name))
    assert (kind, count) == (202, 1)
    assert body[4:6] == bytes([1, len(name)]) and body[6 : 6 + len(name)].decode() == name
    assert body[6 + len(name)] == 0


@given(st.binary(max_size=300))
def test_no_bytes_raise(data: bytes) -> None:
    list(rtcp.parse(data))


@given(st.integers(192, 223), st.integers(0, 31), st.binary(max_size=80).map(lambda b: b + bytes(-len(b) % 4)))
def test_no_body_raises(kind: int, count: int, body: bytes) -> None:
    list(rtcp.parse(struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body))
