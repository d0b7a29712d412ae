"""The moving picture of a test clip, as raw YUV 4:2:0; its code is in barcode.py, its encoding in clip.py."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

from reelroom.demo import barcode

Plane = NDArray[np.uint8]

# Segments a…g of a seven-segment digit, as (x, y, width, height) in units of a 5 × 9 cell.
_SEGMENTS = ((1, 0, 3, 1), (4, 1, 1, 3), (4, 5, 1, 3), (1, 8, 3, 1), (0, 5, 1, 3), (0, 1, 1, 3), (1, 4, 3, 1))
_DIGITS = ("abcdef", "bc", "abdeg", "abcdg", "bcfg", "acdfg", "acdefg", "abc", "abcdefg", "abcdfg")


def colour(participant: int) -> tuple[int, int, int]:
    """(Y, U, V), limited range BT.601, of a participant's colour: hues a golden angle apart."""
    red, green, blue = colorsys.hls_to_rgb(participant * 0.381966 % 1, 0.5, 0.75)
    y = 16 + 65.5 * red + 128.6 * green + 25.0 * blue
    u = 128 - 37.8 * red - 74.2 * green + 112.0 * blue
    v = 128 + 112.0 * red - 93.8 * green - 18.2 * blue
    return round(y), round(u), round(v)


class Picture:
    """Draws a participant's pictures one after the other into one buffer.

    The background scrolls and its texture is rich enough to need the bit rate of a camera.
    """

    def __init__(self, width: int, height: int, participant: int) -> None:
        if width % 2 or height % 2 or width < 160 or height < 90:
            raise ValueError(f"picture size {width}x{height}: both must be even, at least 160x90")
        self.width, self.height, self.participant = width, height, participant
        self.yuv: Plane = np.empty((height * 3 // 2, width), dtype=np.uint8)
        self._luma = self.yuv[:height]
        y, u, v = colour(participant)
        quarter = width * height // 4
        chroma = self.yuv[height:].reshape(-1)
        chroma[:quarter], chroma[quarter:] = u, v
        rng = np.random.default_rng(participant)
        coarse = rng.integers(-60, 60, (height // 8 + 1, width // 4 + 1))
        fine = rng.integers(-6, 7, (height, 2 * width))
        texture = np.kron(coarse, np.ones((8, 8), dtype=np.int64))[:height, : 2 * width] + fine
        self._texture = np.clip(y + texture, 30, 220).astype(np.uint8)

    def draw(self, frame: int, ms: int) -> Plane:
        """The picture of a frame number and its media time; valid until the next call."""
        width, height = self.width, self.height
        shift = frame * 3 % width
        self._luma[:] = self._texture[:, shift : shift + width]
        barcode.draw(self._luma, barcode.Code(self.participant, frame, ms))
        unit = max(1, height // 48)
        clock = f"{ms // 60000:02}{ms // 1000 % 60:02}{ms % 1000:03}"
        self._number(f"{self.participant:02}", width // 16, height * 11 // 20, unit * 2)
        self._number(clock, width * 7 // 16, height * 12 // 20, unit)
        since = ms % 1000
        if since < 100:
            # The flash that goes with the beep, for people who look.
            x, length = width * 7 // 16, width // 2
        else:
            x, length = width * 7 // 16 + since * (width * 7 // 16) // 1000, width // 16
        self._luma[height * 17 // 20 : height * 19 // 20, x : x + length] = barcode.WHITE
        return self.yuv

    def _number(self, digits: str, x: int, y: int, unit: int) -> None:
        self._luma[y - unit : y + 10 * unit, x - unit : x + len(digits) * 7 * unit] = barcode.BLACK
        for place, digit in enumerate(digits):
            for name in _DIGITS[int(digit)]:
                sx, sy, sw, sh = _SEGMENTS["abcdefg".index(name)]
                left, top = x + (place * 7 + sx) * unit, y + sy * unit
                self._luma[top : top + sh * unit, left : left + sw * unit] = barcode.WHITE
