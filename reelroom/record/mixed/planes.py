"""Pixels as three numpy planes of 4:2:0, BT.709 limited range: copy, fill, blend. Knows no panes and no codecs."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.uint8]
Weights = NDArray[np.uint16]

# BT.709, 8 bit, limited range: rows Y, Cb, Cr of R, G, B in 0..255, and what is added.
_KR, _KB = 0.2126, 0.0722
_KG = 1 - _KR - _KB
_Y = np.array((_KR, _KG, _KB)) * (219 / 255)
_CB = np.array((-_KR, -_KG, 1 - _KB)) / (2 * (1 - _KB)) * (224 / 255)
_CR = np.array((1 - _KR, -_KG, -_KB)) / (2 * (1 - _KR)) * (224 / 255)


class Planes(NamedTuple):
    """Luma and the two chroma planes, half as wide and high. Writable views."""

    y: Plane
    u: Plane
    v: Plane

    def part(self, x: int, y: int, width: int, height: int) -> Planes:
        """A rectangle of them, in even pixels."""
        left, top, right, bottom = x >> 1, y >> 1, (x + width) >> 1, (y + height) >> 1
        return Planes(
            self.y[y : y + height, x : x + width],
            self.u[top:bottom, left:right],
            self.v[top:bottom, left:right],
        )

    def copy_from(self, other: Planes) -> None:
        """The same size."""
        self.y[:] = other.y
        self.u[:] = other.u
        self.v[:] = other.v

    def fill(self, color: str) -> None:
        """With "#rrggbb"."""
        for plane, value in zip(self, yuv(color), strict=True):
            plane[:] = value


class Sheet:
    """Pixels to lay over others, each with its own weight. Made once, laid over often.

    An image's fully transparent edges are left out: `x`, `y`, `width`, `height` say what is covered, in even pixels.
    """

    def __init__(self, image: Image.Image, opacity: float = 1.0) -> None:
        """Of an RGBA image of even size."""
        box = image.getchannel("A").getbbox() or (0, 0, 0, 0)
        self.x, self.y = box[0] & ~1, box[1] & ~1
        self.width, self.height = ((box[2] + 1) & ~1) - self.x, ((box[3] + 1) & ~1) - self.y
        pixels = np.asarray(image, np.uint8)[self.y : self.y + self.height, self.x : self.x + self.width]
        alpha = pixels[..., 3].astype(np.float32) * (opacity / 255)
        rgb = pixels[..., :3].astype(np.float32)
        small_alpha = _halved(alpha)
        # Chroma of half-transparent pixels counts as much as they do.
        small = np.stack([_halved(rgb[..., n] * alpha) for n in range(3)], axis=-1)
        small /= np.maximum(small_alpha, 1e-6)[..., None]
        luma = (rgb @ _Y + 16) * alpha
        blue, red = (small @ _CB + 128) * small_alpha, (small @ _CR + 128) * small_alpha
        self.opaque = bool(self.width) and bool((alpha > 0.998).all())
        half = 128  # of what is shifted away: rounds to the nearest
        self._add = tuple((np.rint(plane * 256) + half).astype(np.uint16) for plane in (luma, blue, red))
        self._keep = tuple(256 - np.rint(plane * 256).astype(np.uint16) for plane in (alpha, small_alpha, small_alpha))
        self._work = tuple(np.empty_like(plane) for plane in self._add)
        self._flat = Planes(*((plane >> 8).astype(np.uint8) for plane in self._add)) if self.opaque else None

    def lay_over(self, planes: Planes, x: int, y: int) -> None:
        """With the image's corner at `x`, `y` (even); what does not fit is cut off."""
        x, y = x + self.x, y + self.y
        left, top = max(0, -x), max(0, -y)
        right = min(self.width, planes.y.shape[1] - x)
        bottom = min(self.height, planes.y.shape[0] - y)
        if right <= left or bottom <= top:
            return
        target = planes.part(x + left, y + top, right - left, bottom - top)
        if self._flat is not None:
            target.copy_from(self._flat.part(left, top, right - left, bottom - top))
            return
        for number, plane in enumerate(target):
            half = number > 0
            rows, columns = slice(top >> half, bottom >> half), slice(left >> half, right >> half)
            work = self._work[number][rows, columns]
            np.multiply(plane, self._keep[number][rows, columns], out=work, dtype=np.uint16)
            work += self._add[number][rows, columns]
            work >>= 8
            plane[:] = work


def blend(target: Planes, source: Planes, alpha: float) -> None:
    """Lay `source`, of the same size, over `target` with weight `alpha` (0..1)."""
    weight = round(alpha * 256)
    for plane, other in zip(target, source, strict=True):
        work = np.multiply(plane, 256 - weight, dtype=np.uint16)
        work += np.multiply(other, weight, dtype=np.uint16)
        work += 128
        work >>= 8
        plane[:] = work


def nearest(planes: Planes, width: int, height: int) -> Planes:
    """Each pixel as the nearest one there is: a size, which has to be even, that no scaler makes."""

    def scaled(plane: Plane, across: int, down: int) -> Plane:
        rows, columns = (np.arange(to) * of // to for to, of in zip((down, across), plane.shape, strict=True))
        made: Plane = plane[rows[:, None], columns]
        return made

    half = width >> 1, height >> 1
    return Planes(scaled(planes.y, width, height), scaled(planes.u, *half), scaled(planes.v, *half))


def empty(width: int, height: int) -> Planes:
    """Planes of their own, not filled."""
    half = (height >> 1, width >> 1)
    return Planes(np.empty((height, width), np.uint8), np.empty(half, np.uint8), np.empty(half, np.uint8))


def planes_of(frame: av.VideoFrame) -> Planes:
    """Views of a yuv420p frame's memory."""
    views = []
    for plane in frame.planes:
        rows = np.frombuffer(memoryview(plane), np.uint8, plane.line_size * plane.height).reshape(
            plane.height, plane.line_size
        )
        views.append(rows[:, : plane.width])
    return Planes(*views)


@lru_cache(maxsize=256)
def yuv(color: str) -> tuple[int, int, int]:
    """ "#rrggbb" as Y, Cb, Cr."""
    rgb = np.array([int(color[n : n + 2], 16) for n in (1, 3, 5)])
    return round(float(rgb @ _Y)) + 16, round(float(rgb @ _CB)) + 128, round(float(rgb @ _CR)) + 128


def _halved(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = plane.shape
    halved: NDArray[np.float32] = plane.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    return halved
