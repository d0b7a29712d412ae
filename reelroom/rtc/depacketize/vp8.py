"""VP8 from RTP (RFC 7741) to raw frames. Decodes no pictures."""

from __future__ import annotations

from reelroom.rtc.bitreader import BitstreamError
from reelroom.rtc.depacketize.base import MAX_FRAME_PACKETS, FrameAssembler
from reelroom.rtc.depacketize.parameters import vp8_header

_EXTENDED, _START, _PARTITION = 0x80, 0x10, 0x07


def _descriptor_bytes(payload: bytes) -> int:
    """Length of the payload descriptor (RFC 7741 §4.2). IndexError if the payload ends within it."""
    if not payload[0] & _EXTENDED:
        return 1
    fields = payload[1]
    size = 2
    if fields & 0x80:
        size += 2 if payload[2] & 0x80 else 1  # PictureID
    if fields & 0x40:
        size += 1  # TL0PICIDX
    if fields & 0x30:
        size += 1  # TID, Y, KEYIDX
    return size


class Vp8Depacketizer(FrameAssembler):
    """Raw VP8 frames. A frame starts with S=1 of partition 0; other partitions continue it."""

    __slots__ = ("_descriptor", "_size")
    codec = "vp8"

    def __init__(self) -> None:
        super().__init__()
        # The descriptor of the frame's later packets: that of its first with S cleared. Size 0: none is open.
        self._descriptor = b""
        self._size = 0

    def push(self, payload: bytes, marker: bool) -> bytes | None:
        size = self._size
        if size and payload[:size] == self._descriptor:
            parts = self._parts
            parts.append(payload[size:])
            self._room -= len(payload)
            if self._room >= 0 and len(parts) <= MAX_FRAME_PACKETS:
                return self._finish(True) if marker else None
            return self._broken(marker)
        return self._push(payload, marker)

    def _forget(self) -> None:
        super()._forget()
        self._descriptor = b""
        self._size = 0

    def _starts(self, payload: bytes) -> bool:
        return payload[0] & (_START | _PARTITION) == _START

    def _starts_key(self, payload: bytes) -> bool:
        return not payload[_descriptor_bytes(payload)] & 1

    def _take(self, payload: bytes) -> bool:
        size = _descriptor_bytes(payload)
        if size >= len(payload) or self._starts(payload) == bool(self._parts):
            return False  # no data, a second start, or a continuation of nothing
        if not self._parts:
            self._descriptor = bytes((payload[0] & ~_START,)) + payload[1:size]
            self._size = size
        self._parts.append(payload[size:])
        return True

    def _finish(self, marker: bool) -> bytes | None:
        if not self._parts:
            return None
        frame = b"".join(self._parts)
        try:
            header = vp8_header(frame)
        except BitstreamError:
            return self._broken(True)
        self._forget()
        if header.first_partition_bytes + (10 if header.key else 3) > len(frame):
            self.malformed += 1
            return None
        self.keyframe = header.key
        if header.key:
            self.width, self.height = header.width, header.height
        return frame
