"""VP9 from RTP (RFC 9628) to raw frames or superframes. Decodes no pictures, chooses no layers."""

from __future__ import annotations

from reelroom.rtc.bitreader import BitstreamError
from reelroom.rtc.depacketize.base import MAX_FRAME_PACKETS, FrameAssembler
from reelroom.rtc.depacketize.parameters import vp9_header

_I, _P, _L, _F, _B, _E, _V = 0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02
_MAX_FRAMES = 8  # in a superframe


def _scalability_structure(payload: bytes, at: int) -> tuple[int, int, int]:
    """(offset behind it, width, height of the highest layer or 0 if not told) of the structure at `at`."""
    first = payload[at]
    at += 1
    width = height = 0
    if first & 0x10:
        at += 4 * (first >> 5)
        width, height = payload[at] << 8 | payload[at + 1], payload[at + 2] << 8 | payload[at + 3]
        at += 4
    if first & 0x08:
        pictures = payload[at]
        at += 1
        for _ in range(pictures):
            at += 1 + (payload[at] >> 2 & 3)
    return at, width, height


def split_superframe(data: bytes) -> list[bytes]:
    """The frames of a superframe without its index; [data] if it has none (VP9 bitstream spec Annex B)."""
    last = data[-1] if data else 0
    if last & 0xE0 != 0xC0:
        return [data]
    count, width = (last & 7) + 1, (last >> 3 & 3) + 1
    index = len(data) - 2 - count * width
    if index < 0 or data[index] != last:
        return [data]
    frames = []
    start = 0
    for at in range(index + 1, len(data) - 1, width):
        size = int.from_bytes(data[at : at + width], "little")
        frames.append(data[start : start + size])
        start += size
    return [frame for frame in frames if frame] if start <= index else [data]


def join_superframe(frames: list[bytes]) -> bytes:
    """2 to 8 frames and their index (VP9 bitstream spec Annex B)."""
    width = (max(map(len, frames)).bit_length() + 7) // 8
    mark = bytes((0xC0 | (width - 1) << 3 | (len(frames) - 1),))
    sizes = [len(frame).to_bytes(width, "little") for frame in frames]
    return b"".join((*frames, mark, *sizes, mark))


class Vp9Depacketizer(FrameAssembler):
    """One frame a picture. Layer frames of a picture (up to 8) are joined as a superframe with its index.

    A key frame has P=0 and a key frame header in its first layer frame.
    """

    __slots__ = ("_descriptor", "_inter", "_layers", "_size", "_structure")
    codec = "vp9"

    def __init__(self) -> None:
        super().__init__()
        self._layers: list[bytes] = []  # whole layer frames of the picture at hand
        self._inter = False  # P of its first packet
        self._structure = (0, 0)  # size told by its scalability structure
        # The descriptor of the open layer frame's middle packets: B, E, V cleared. Empty: none is open.
        self._descriptor = b""
        self._size = 0

    def push(self, payload: bytes, marker: bool) -> bytes | None:
        size = self._size
        if size and payload[:size] == self._descriptor and not marker:
            parts = self._parts
            parts.append(payload[size:])
            self._room -= len(payload)
            if self._room >= 0 and len(parts) <= MAX_FRAME_PACKETS:
                return None
            return self._broken(False)
        return self._push(payload, marker)

    def _forget(self) -> None:
        super()._forget()
        self._layers = []
        self._descriptor = b""
        self._size = 0
        self._structure = (0, 0)

    def _starts(self, payload: bytes) -> bool:
        first = payload[0]
        if not first & _B:
            return False
        if not first & _L:
            return True
        at = 1
        if first & _I:
            at += 2 if payload[1] & 0x80 else 1
        return not payload[at] & 0x0E  # spatial layer 0: higher ones follow others of the same picture

    def _starts_key(self, payload: bytes) -> bool:
        return not payload[0] & _P

    def _take(self, payload: bytes) -> bool:
        first = payload[0]
        at = 1
        if first & _I:
            at += 2 if payload[1] & 0x80 else 1
        if first & _L:
            at += 1 if first & _F else 2  # without F there is TL0PICIDX
        if first & _F and first & _P:
            for count in range(3):
                at += 1
                if not payload[at - 1] & 1:
                    break
                if count == 2:
                    return False  # N promises a fourth reference
        size = at
        if first & _V:
            at, width, height = _scalability_structure(payload, at)
            self._structure = (width, height)
        if at >= len(payload) or bool(first & _B) == bool(self._parts):
            return False  # no data, a start within a layer frame, or a continuation of nothing
        if first & _B:
            if not self._layers:
                self._inter = bool(first & _P)
            self._descriptor = bytes((first & ~(_B | _E | _V),)) + payload[1:size]
            self._size = size
        self._parts.append(payload[at:])
        return self._close_layer() if first & _E else True

    def _close_layer(self) -> bool:
        self._layers.append(b"".join(self._parts))
        self._parts = []
        self._descriptor = b""
        self._size = 0
        return len(self._layers) <= _MAX_FRAMES

    def _finish(self, marker: bool) -> bytes | None:
        # The marker ends the layer frame even where a sender forgets E; a new timestamp does not.
        if self._parts and not (marker and self._close_layer()):
            return self._broken(True)
        if not self._layers:
            return None
        frame = self._layers[0]
        structure = self._structure
        if len(self._layers) > 1:
            frames = [part for layer in self._layers for part in split_superframe(layer)]
            if len(frames) > _MAX_FRAMES:
                return self._broken(True)
            frame = join_superframe(frames)
        try:
            header = vp9_header(frame)
        except BitstreamError:
            return self._broken(True)
        self._forget()
        self.keyframe = header.key and not self._inter
        if structure[0] and structure[1]:
            self.width, self.height = structure
        elif header.key:
            self.width, self.height = header.width, header.height
        return frame
