"""AV1 from RTP (AOMedia's RTP payload format) to temporal units of sized OBUs. Decodes no pictures."""

from __future__ import annotations

from reelroom.rtc.bitreader import BitstreamError
from reelroom.rtc.depacketize.base import MAX_FRAME_PACKETS, FrameAssembler
from reelroom.rtc.depacketize.parameters import Av1SequenceHeader, av1_frame_header, av1_sequence_header

_Z, _Y, _N = 0x80, 0x40, 0x08  # aggregation header: first OBU continues, last OBU goes on, new sequence
_EXTENSION, _HAS_SIZE = 0x04, 0x02
_SEQUENCE, _DELIMITER, _FRAME_HEADER, _FRAME, _TILE_LIST, _PADDING = 1, 2, 3, 6, 8, 15
_DROPPED = frozenset({_DELIMITER, _TILE_LIST, _PADDING})
_MIDDLE = _Z | _Y | 0x10  # one element that continues an OBU and goes on


def read_leb128(data: bytes, at: int) -> tuple[int, int]:
    """(value, offset behind it). BitstreamError above 8 bytes or 32 bits, IndexError at the end of `data`."""
    value = 0
    for shift in range(0, 56, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if value >> 32:
                break
            return value, at
    raise BitstreamError("leb128 value of more than 32 bits")


def leb128(value: int) -> bytes:
    """`value` (≥ 0) in as few bytes as possible (AV1 bitstream spec §4.10.5)."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


class Av1Depacketizer(FrameAssembler):
    """Temporal units in the low-overhead format, every OBU with its size; without temporal delimiters, tile
    lists and padding.

    A key frame begins with a shown key frame; the sequence header that it lacks is put in front from what
    came before. With none known the sender's temporal unit is returned with `keyframe` False. After a loss
    only a new sequence, a sequence header, a delimiter or a marker proves where a temporal unit starts.
    """

    __slots__ = ("_fragments", "_has_sequence", "_header", "_key", "_middle", "_pictures", "_sequence")
    codec = "av1"

    def __init__(self) -> None:
        super().__init__()
        self._header: Av1SequenceHeader | None = None
        self._sequence = b""  # the last sequence header as a sized OBU
        self._fragments: list[bytes] = []  # of the open OBU
        self._middle = -1  # _MIDDLE while an OBU is open
        self._has_sequence = False  # of the temporal unit at hand, as the next two
        self._pictures = False
        self._key = False

    def push(self, payload: bytes, marker: bool) -> bytes | None:
        if payload and payload[0] == self._middle and not marker:
            fragments = self._fragments
            fragments.append(payload[1:])
            self._room -= len(payload)
            if self._room >= 0 and len(fragments) <= MAX_FRAME_PACKETS:
                return None
            return self._broken(False)
        return self._push(payload, marker)

    def _forget(self) -> None:
        super()._forget()
        self._fragments = []
        self._middle = -1
        self._has_sequence = self._pictures = self._key = False

    def _starts(self, payload: bytes) -> bool:
        first = payload[0]
        if first & _Z:
            return False
        if first & _N:
            return True
        at = 1 if first & 0x30 == 0x10 else read_leb128(payload, 1)[1]
        return payload[at] >> 3 & 15 in (_SEQUENCE, _DELIMITER)

    def _starts_key(self, payload: bytes) -> bool:
        return True  # what shows that a temporal unit starts comes before key frames, other than from odd senders

    def _take(self, payload: bytes) -> bool:
        first = payload[0]
        count = first >> 4 & 3
        end = len(payload)
        at = 1
        if bool(first & _Z) != (self._middle >= 0) or at == end:
            return False  # a continuation of nothing, or an OBU without its end
        number = 0
        while at < end:
            number += 1
            size = end - at
            if number != count:
                size, at = read_leb128(payload, at)
            if at + size > end:
                return False
            self._fragments.append(payload[at : at + size])
            at += size
            last = at == end
            if last and count and number != count:
                return False  # fewer elements than the header says
            if last and first & _Y:
                self._middle = _MIDDLE
                return len(self._parts) + len(self._fragments) <= MAX_FRAME_PACKETS
            if not self._close_obu():
                return False
        return True

    def _close_obu(self) -> bool:
        """Turns the fragments at hand into one sized OBU among the parts."""
        fragments = self._fragments
        self._fragments = []
        self._middle = -1
        if len(fragments) > 1 and len(fragments[0]) < 16:
            fragments = [b"".join(fragments)]  # so that the first holds the whole OBU header and the size
        first = fragments[0]
        if not first:
            return len(fragments) == 1  # an empty element is allowed and means nothing
        header = first[0]
        kind = header >> 3 & 15
        if header & 0x80:
            return False
        if kind in _DROPPED:
            return True
        at = 2 if header & _EXTENSION else 1
        size = sum(map(len, fragments))
        if header & _HAS_SIZE:
            told, behind = read_leb128(first, at)
            if told != size - behind:
                return False
            start = behind
        else:
            start = at
        if size < start:
            return False
        fragments[0] = first[start:]
        head = bytes((header | _HAS_SIZE,)) + first[1:at] + leb128(size - start)
        if kind == _SEQUENCE:
            self._take_sequence(head, b"".join(fragments))
        elif kind in (_FRAME, _FRAME_HEADER) and not self._pictures:
            self._pictures = True
            if self._header:
                frame = av1_frame_header(fragments[0], self._header)
                self._key = frame.key and frame.show_frame
        self._parts.append(head)
        self._parts += fragments
        return True

    def _take_sequence(self, head: bytes, payload: bytes) -> None:
        self._header = av1_sequence_header(payload)
        self._sequence = head + payload
        self._has_sequence = True
        self.width, self.height = self._header.width, self._header.height

    def _finish(self, marker: bool) -> bytes | None:
        if self._middle >= 0:
            return self._broken(True)
        if not self._pictures:
            self._forget()  # a sequence header on its own is kept for the next key frame; it is no frame
            return None
        self.keyframe = self._key
        if self._key and not self._has_sequence:
            self._parts.insert(0, self._sequence)
        frame = b"".join(self._parts)
        self._forget()
        return frame
