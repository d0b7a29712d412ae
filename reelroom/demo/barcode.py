"""The bar code of a clip's clock: bits to blocks and back. Draws nothing else and decodes no files."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COLUMNS, ROWS = 16, 4
# The part of the picture that the code covers. A centred 4:3 crop of 16:9 keeps 1/8 … 7/8 of the width,
# so the code survives a layout that fills its pane by cropping.
LEFT, RIGHT, TOP, BOTTOM = 1 / 8, 7 / 8, 0.05, 0.45
BLACK, WHITE = 16, 235

_MAGIC = 0b1010
_PARTICIPANT_BITS, _FRAME_BITS, _MS_BITS, _CHECK_BITS = 6, 18, 22, 14
MAX_PARTICIPANT = (1 << _PARTICIPANT_BITS) - 1
MAX_FRAME = (1 << _FRAME_BITS) - 1
MAX_MS = (1 << _MS_BITS) - 1
_MIN_CONTRAST = 60

Luma = NDArray[np.uint8]
Rect = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Code:
    """What one picture says of itself: participant 0…63, frame 0…262143, media time 0…4194303 ms."""

    participant: int
    frame: int
    ms: int


def _checksum(body: int) -> int:
    return zlib.crc32(body.to_bytes(8, "big")) & ((1 << _CHECK_BITS) - 1)


def to_bits(code: Code) -> int:
    """The 64 bits of a code, most significant first: magic, participant, frame, ms, checksum.

    Raises ValueError when a field is out of range.
    """
    for name, value, limit in (
        ("participant", code.participant, MAX_PARTICIPANT),
        ("frame", code.frame, MAX_FRAME),
        ("ms", code.ms, MAX_MS),
    ):
        if not 0 <= value <= limit:
            raise ValueError(f"bar code: {name} {value} is outside 0…{limit}")
    body = _MAGIC << _PARTICIPANT_BITS | code.participant
    body = (body << _FRAME_BITS | code.frame) << _MS_BITS | code.ms
    return body << _CHECK_BITS | _checksum(body)


def from_bits(bits: int) -> Code | None:
    """The code of 64 bits, or None when magic or checksum do not hold."""
    body, check = bits >> _CHECK_BITS, bits & ((1 << _CHECK_BITS) - 1)
    if body >> (_PARTICIPANT_BITS + _FRAME_BITS + _MS_BITS) != _MAGIC or _checksum(body) != check:
        return None
    ms = body & MAX_MS
    frame = body >> _MS_BITS & MAX_FRAME
    participant = body >> (_MS_BITS + _FRAME_BITS) & MAX_PARTICIPANT
    return Code(participant, frame, ms)


def _edges(origin: float, size: float, start: float, end: float, parts: int) -> list[int]:
    return [round(origin + size * (start + (end - start) * i / parts)) for i in range(parts + 1)]


def draw(luma: Luma, code: Code) -> None:
    """Paint the code into a whole picture's luma plane, in place."""
    height, width = luma.shape
    xs, ys = _edges(0, width, LEFT, RIGHT, COLUMNS), _edges(0, height, TOP, BOTTOM, ROWS)
    bits = to_bits(code)
    cells = np.array([bits >> (63 - i) & 1 for i in range(64)], dtype=np.uint8).reshape(ROWS, COLUMNS)
    levels = np.where(cells, np.uint8(WHITE), np.uint8(BLACK))
    block = np.repeat(np.repeat(levels, np.diff(ys), axis=0), np.diff(xs), axis=1)
    luma[ys[0] : ys[-1], xs[0] : xs[-1]] = block


def read(luma: Luma, rect: Rect | None = None) -> Code | None:
    """Read the code back from a decoded picture's luma plane; None when there is no valid one.

    `rect` (x, y, width, height in pixels) is where the whole original picture lies in this one, for
    compositions; it may reach beyond the plane where a layout crops.
    """
    plane_height, plane_width = luma.shape
    x, y, width, height = rect or (0.0, 0.0, float(plane_width), float(plane_height))
    xs, ys = _edges(x, width, LEFT, RIGHT, COLUMNS), _edges(y, height, TOP, BOTTOM, ROWS)
    if xs[0] < 0 or ys[0] < 0 or xs[-1] > plane_width or ys[-1] > plane_height:
        return None
    means = np.empty(ROWS * COLUMNS)
    i = 0
    for row in range(ROWS):
        # The middle half of a block: what scaling and coding smear at its edges does not count.
        quarter = (ys[row + 1] - ys[row]) // 4
        band = luma[ys[row] + quarter : ys[row + 1] - quarter]
        for column in range(COLUMNS):
            margin = (xs[column + 1] - xs[column]) // 4
            means[i] = band[:, xs[column] + margin : xs[column + 1] - margin].mean()
            i += 1
    low, high = means.min(), means.max()
    if not high - low >= _MIN_CONTRAST:
        return None
    bits = 0
    for lit in means > (low + high) / 2:
        bits = bits << 1 | int(lit)
    return from_bits(bits)
