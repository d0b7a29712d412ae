"""RTP packets (RFC 3550 §5.1) and header extensions (RFC 8285). Holds no state: `stream.py` has the receiver."""

from __future__ import annotations

import struct
from typing import NamedTuple

HEADER = struct.Struct("!BBHII")  # V/P/X/CC, M/PT, sequence number, timestamp, SSRC
_U16 = struct.Struct("!H")

# Header extensions we understand, by URI.
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
VIDEO_ORIENTATION = "urn:3gpp:video-orientation"  # 3GPP TS 26.114 section 7.4.5
EXTENSIONS = (MID, RID, REPAIRED_RID, AUDIO_LEVEL, ABS_SEND_TIME, TRANSPORT_CC)


class Header(NamedTuple):
    """A parsed fixed header; `payload` is the slice of the packet after extensions and before padding."""

    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    extension_at: int  # offset of the extension's profile word, 0: none
    payload_start: int
    payload_end: int


def parse_header(packet: bytes) -> Header | None:
    """Parse one decrypted packet; None when it is malformed."""
    size = len(packet)
    if size < 12:
        return None
    first, second, sequence, timestamp, ssrc = HEADER.unpack_from(packet)
    if first & 0xC0 != 0x80:
        return None
    start = 12 + ((first & 15) << 2)
    extension_at = 0
    if first & 0x10:
        if start + 4 > size:
            return None
        extension_at = start
        start += 4 + (_U16.unpack_from(packet, start + 2)[0] << 2)
    end = size
    if first & 0x20:
        padding = packet[size - 1]
        if not padding:
            return None
        end -= padding
    if start > end:
        return None
    return Header(bool(second & 0x80), second & 0x7F, sequence, timestamp, ssrc, extension_at, start, end)


def parse_extensions(packet: bytes, extension_at: int) -> dict[int, bytes]:
    """The elements of a one- or two-byte header extension by id; what is malformed or unknown is left out."""
    profile, words = struct.unpack_from("!HH", packet, extension_at)
    position = extension_at + 4
    end = position + (words << 2)
    found: dict[int, bytes] = {}
    if profile == 0xBEDE:
        while position < end:
            head = packet[position]
            if head == 0:
                position += 1
                continue
            number, length = head >> 4, (head & 15) + 1
            if number in (0, 15) or position + 1 + length > end:
                break
            found[number] = packet[position + 1 : position + 1 + length]
            position += 1 + length
    elif profile & 0xFFF0 == 0x1000:
        while position + 1 < end:
            number = packet[position]
            if number == 0:
                position += 1
                continue
            length = packet[position + 1]
            if position + 2 + length > end:
                break
            found[number] = packet[position + 2 : position + 2 + length]
            position += 2 + length
    return found


def one_element(number: int, value: int) -> bytes:
    """A header extension with one element of one byte; `number` 1 to 255."""
    if number < 15:
        return struct.pack("!HHBBxx", 0xBEDE, 1, number << 4, value)
    return struct.pack("!HHBBBx", 0x1000, 1, number, 1, value)


def orientation(element: bytes | None) -> int | None:
    """What a video orientation element (CVO) says: bits C F R1 R0; None when it is missing or malformed.

    R1 R0 are the quarter turns clockwise that a display has to make, F (4) a mirror image, C (8) the back camera.
    """
    return element[0] & 15 if element is not None and len(element) == 1 else None


def extend(value: int, reference: int, bits: int) -> int:
    """The unwrapped number closest to `reference` whose low `bits` are `value` (RFC 3550 A.1)."""
    half = 1 << (bits - 1)
    return reference + ((value - reference + half) & ((1 << bits) - 1)) - half
