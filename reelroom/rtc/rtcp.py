"""RTCP packets (RFC 3550 §6, RFC 4585, RFC 5104, REMB) in and out of bytes. Holds no state and no timers."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

SR, RR, SDES, BYE, APP, RTPFB, PSFB = 200, 201, 202, 203, 204, 205, 206
NACK_FMT, TRANSPORT_CC_FMT = 1, 15
PLI_FMT, FIR_FMT, AFB_FMT = 1, 4, 15

_NTP_EPOCH_S = 2_208_988_800  # 1900 → 1970

#: `SenderReport.ntp_ns` of a sender without any clock: it says zero (RFC 3550 §6.4.1).
NO_CLOCK_NS = -_NTP_EPOCH_S * 1_000_000_000


class SenderReport(NamedTuple):
    """RFC 3550 §6.4.1: the pair that ties a stream's RTP time to the sender's wall clock."""

    ssrc: int
    ntp_ns: int  # nanoseconds since 1970 by the sender's clock, which may well count from its start; see NO_CLOCK_NS
    ntp_middle: int  # middle 32 bits of the NTP time, for LSR
    rtp_timestamp: int
    packets: int
    octets: int


class Nack(NamedTuple):
    """RFC 4585 §6.2.1, unpacked."""

    media_ssrc: int
    sequences: list[int]


class KeyframeRequest(NamedTuple):
    """PLI (RFC 4585 §6.3.1) or FIR (RFC 5104 §4.3.1)."""

    media_ssrc: int


class Bye(NamedTuple):
    ssrcs: list[int]


class ReportBlock(NamedTuple):
    """RFC 3550 §6.4.1 reception report about one of our streams."""

    ssrc: int
    fraction_lost: int  # of 256
    lsr: int
    dlsr: int


Packet = SenderReport | Nack | KeyframeRequest | Bye | ReportBlock


def ntp_from_ns(utc_ns: int) -> int:
    """64-bit NTP timestamp of a UTC time in nanoseconds."""
    seconds, rest = divmod(utc_ns, 1_000_000_000)
    return ((seconds + _NTP_EPOCH_S) << 32) | ((rest << 32) // 1_000_000_000)


def parse(compound: bytes) -> Iterator[Packet]:
    """What we understand of a compound packet, in order; stops quietly at the first malformed part."""
    position, end = 0, len(compound)
    while position + 4 <= end:
        first, kind, words = struct.unpack_from("!BBH", compound, position)
        stop = position + 4 + words * 4
        if first & 0xC0 != 0x80 or stop > end:
            return
        last = stop - compound[stop - 1] if first & 0x20 else stop  # padding (RFC 3550 §6.4.1)
        if last < position + 4:
            return
        yield from _parse_one(kind, first & 31, compound[position + 4 : last])
        position = stop


def _parse_one(kind: int, count: int, body: bytes) -> Iterator[Packet]:
    if kind == SR and len(body) >= 24:
        ssrc, seconds, fraction, rtp, packets, octets = struct.unpack_from("!IIIIII", body)
        ntp_ns = (seconds - _NTP_EPOCH_S) * 1_000_000_000 + ((fraction * 1_000_000_000) >> 32)
        middle = ((seconds & 0xFFFF) << 16) | (fraction >> 16)
        yield SenderReport(ssrc, ntp_ns, middle, rtp, packets, octets)
        yield from _blocks(body, 24, count)
    elif kind == RR and len(body) >= 4:
        yield from _blocks(body, 4, count)
    elif kind == BYE and len(body) >= 4 * count:
        yield Bye(list(struct.unpack_from(f"!{count}I", body)))
    elif kind == RTPFB and count == NACK_FMT and len(body) >= 8:
        yield Nack(struct.unpack_from("!I", body, 4)[0], _nacked(body[8:]))
    elif kind == PSFB and count == PLI_FMT and len(body) >= 8:
        yield KeyframeRequest(struct.unpack_from("!I", body, 4)[0])
    elif kind == PSFB and count == FIR_FMT:
        for at in range(8, len(body) - 7, 8):
            yield KeyframeRequest(struct.unpack_from("!I", body, at)[0])


def _blocks(body: bytes, at: int, count: int) -> Iterator[ReportBlock]:
    for start in range(at, min(at + 24 * count, len(body) - 23), 24):
        ssrc, lost = struct.unpack_from("!II", body, start)
        lsr, dlsr = struct.unpack_from("!II", body, start + 16)
        yield ReportBlock(ssrc, lost >> 24, lsr, dlsr)


def _nacked(fci: bytes) -> list[int]:
    sequences = []
    for at in range(0, len(fci) - 3, 4):
        pid, bitmask = struct.unpack_from("!HH", fci, at)
        sequences.append(pid)
        sequences.extend((pid + 1 + bit) & 0xFFFF for bit in range(16) if bitmask >> bit & 1)
    return sequences


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def receiver_report(ssrc: int, blocks: Sequence[tuple[int, int, int, int, int, int, int]]) -> bytes:
    """RR with blocks of (ssrc, fraction lost/256, lost in total, highest extended seq, jitter, LSR, DLSR)."""
    body = struct.pack("!I", ssrc)
    for source, fraction, lost, highest, jitter, lsr, dlsr in blocks[:31]:
        clamped = max(-0x800000, min(lost, 0x7FFFFF)) & 0xFFFFFF
        body += struct.pack(
            "!IIIIII",
            source,
            (fraction << 24) | clamped,
            highest & 0xFFFFFFFF,
            jitter & 0xFFFFFFFF,
            lsr,
            dlsr & 0xFFFFFFFF,
        )
    return _packet(RR, min(len(blocks), 31), body)


def sender_report(ssrc: int, utc_ns: int, rtp_timestamp: int, packets: int, octets: int) -> bytes:
    """SR without report blocks; `utc_ns` is the moment that `rtp_timestamp` belongs to."""
    return _packet(
        SR,
        0,
        struct.pack(
            "!IQIII",
            ssrc,
            ntp_from_ns(utc_ns),
            rtp_timestamp & 0xFFFFFFFF,
            packets & 0xFFFFFFFF,
            octets & 0xFFFFFFFF,
        ),
    )


def source_description(ssrc: int, cname: str) -> bytes:
    """SDES with a CNAME: every compound packet carries one (RFC 3550 §6.1)."""
    item = struct.pack("!IBB", ssrc, 1, len(cname)) + cname.encode()
    return _packet(SDES, 1, item + bytes(4 - len(item) % 4))


def nack(sender: int, media: int, sequences: Sequence[int]) -> bytes:
    """Generic NACK for sequence numbers in ascending (wrapping) order."""
    fci = b""
    index = 0
    while index < len(sequences):
        pid, mask = sequences[index] & 0xFFFF, 0
        index += 1
        while index < len(sequences) and 0 < (distance := (sequences[index] - pid) & 0xFFFF) <= 16:
            mask |= 1 << (distance - 1)
            index += 1
        fci += struct.pack("!HH", pid, mask)
    return _packet(RTPFB, NACK_FMT, struct.pack("!II", sender, media) + fci)


def pli(sender: int, media: int) -> bytes:
    """Picture loss indication."""
    return _packet(PSFB, PLI_FMT, struct.pack("!II", sender, media))


def remb(sender: int, bits_per_second: int, ssrcs: Sequence[int]) -> bytes:
    """Receiver estimated maximum bit rate (draft-alvestrand-rmcat-remb-03 §2.2)."""
    exponent = max(0, bits_per_second.bit_length() - 18)
    mantissa = bits_per_second >> exponent
    body = struct.pack("!II4sI", sender, 0, b"REMB", (len(ssrcs) << 24) | (exponent << 18) | mantissa)
    return _packet(PSFB, AFB_FMT, body + struct.pack(f"!{len(ssrcs)}I", *ssrcs))
