"""How long an Opus packet lasts, and what silence looks like (RFC 6716). A packet is a frame: no joining."""

from __future__ import annotations

from typing import Final

CLOCK_RATE: Final = 48_000
MAX_PACKET_TICKS: Final = 5_760
"""120 ms, the longest packet (RFC 6716 §3.2.5, [R5])."""
_MAX_FRAME_BYTES: Final = 1_275

SILENCE_20MS: Final = b"\xf8\xff\xfe"
"""20 ms of digital silence, mono, decodable after any packet.

TOC 0xf8: configuration 31 (CELT, full band, 20 ms), mono, one frame (RFC 6716 §3.1). The range coder's first
symbol in a CELT frame is the silence flag with the odds {32767, 1}/32768 (§4.3): the bits 1111 1111 1111 111
select the 1, after which the decoder reads nothing more.
"""


def _frame_ticks(toc: int) -> int:
    """Ticks of one frame by the configuration, the TOC's upper five bits (RFC 6716 table 2)."""
    config = toc >> 3
    if config < 12:  # SILK
        return (480, 960, 1920, 2880)[config & 3]
    if config < 16:  # hybrid
        return (480, 960)[config & 1]
    return (120, 240, 480, 960)[config & 3]  # CELT


_FRAME_TICKS: Final = tuple(_frame_ticks(toc) for toc in range(256))


def packet_duration_ticks(payload: bytes) -> int:
    """Ticks of 1/48000 s that a packet lasts, 120 to 5760; 0 if it breaks one of RFC 6716 §3.4's rules."""
    size = len(payload)
    if not size:
        return 0
    toc = payload[0]
    code = toc & 3
    if code == 0:
        return _FRAME_TICKS[toc] if size <= 1 + _MAX_FRAME_BYTES else 0
    if code == 1:
        return 2 * _FRAME_TICKS[toc] if size & 1 and size <= 1 + 2 * _MAX_FRAME_BYTES else 0
    if code == 2:
        return 2 * _FRAME_TICKS[toc] if _two_sized_frames_fit(payload) else 0
    ticks = _FRAME_TICKS[toc] * (payload[1] & 63) if size > 1 else 0
    return ticks if 0 < ticks <= MAX_PACKET_TICKS and _counted_frames_fit(payload) else 0


def is_dtx(payload: bytes) -> bool:
    """Whether the sender said "nothing to send" (discontinuous transmission): at most a TOC and one byte.

    A decoder conceals or makes comfort noise for such a packet; the next real one may come 400 ms later.
    """
    return len(payload) <= 2


def _frame_length(payload: bytes, at: int) -> tuple[int, int]:
    """(length, offset behind it) of a length in one or two bytes (RFC 6716 §3.2.1); length -1 if cut."""
    if at >= len(payload):
        return -1, at
    first = payload[at]
    if first < 252:
        return first, at + 1
    if at + 1 >= len(payload):
        return -1, at
    return first + 4 * payload[at + 1], at + 2


def _two_sized_frames_fit(payload: bytes) -> bool:
    length, at = _frame_length(payload, 1)
    return length >= 0 and 0 <= len(payload) - at - length <= _MAX_FRAME_BYTES


def _counted_frames_fit(payload: bytes) -> bool:
    """RFC 6716 §3.2.5 for a packet with at least its frame count byte: padding and frame lengths fit."""
    flags = payload[1]
    count = flags & 63
    end, at = len(payload), 2
    if flags & 0x40:
        padding = 255
        while padding == 255:
            if at >= end:
                return False
            padding = payload[at]
            at += 1
            end -= 254 if padding == 255 else padding
    if flags & 0x80:
        for _ in range(count - 1):
            length, at = _frame_length(payload, at)
            if length < 0:
                return False
            end -= length
        return 0 <= end - at <= _MAX_FRAME_BYTES
    return end >= at and (end - at) % count == 0 and (end - at) // count <= _MAX_FRAME_BYTES
