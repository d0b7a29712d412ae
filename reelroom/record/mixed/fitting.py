"""Where a picture lands in a rectangle of another shape: crop, fit, stretch, smart, in even pixels. Holds no pixels."""

from __future__ import annotations

from typing import NamedTuple

from reelroom.domain.scene import Fit

_MOST = 8  # times the rectangle's width and height: what a picture that is a mere line is cropped from


class Placed(NamedTuple):
    """The picture is scaled to `width` × `height`; its part from `left`, `top` lands at `x`, `y` of the rectangle.

    All even. That part is `shown_width` × `shown_height`.
    """

    width: int
    height: int
    left: int
    top: int
    x: int
    y: int
    shown_width: int
    shown_height: int


def place(source_width: int, source_height: int, width: int, height: int, fit: Fit) -> Placed:
    """Sizes in pixels, 1 or more; `width` and `height` of the rectangle even.

    What would be cropped to less than an eighth is squeezed instead: senders choose shapes, and one of 4096 x 2 pixels
    must not be scaled to a million.
    """
    if fit is Fit.STRETCH or source_width * height == width * source_height:
        return Placed(width, height, 0, 0, 0, 0, width, height)
    wider = source_width * height > width * source_height
    crops = fit in (Fit.CROP, Fit.SMART)
    if wider == crops:  # as high as the rectangle
        scaled = (_even(source_width * height, source_height), height)
    else:
        scaled = (width, _even(source_height * width, source_width))
    if crops:
        over, under = (5, 4) if fit is Fit.SMART else (_MOST, 1)  # smart: four fifths of it are seen at least
        scaled = (min(scaled[0], _even(width * over, under)), min(scaled[1], _even(height * over, under)))
    # Rounding never leaves a bar of one pixel, nor goes over the edge.
    limit = max if crops else min
    scaled = (limit(scaled[0], width), limit(scaled[1], height))
    shown = (min(scaled[0], width), min(scaled[1], height))
    return Placed(
        *scaled,
        _half(scaled[0] - shown[0]),
        _half(scaled[1] - shown[1]),
        _half(width - shown[0]),
        _half(height - shown[1]),
        *shown,
    )


def _even(numerator: int, denominator: int) -> int:
    """The nearest even number to the fraction, 2 or more."""
    return max(2, (numerator + denominator) // (2 * denominator) * 2)


def _half(value: int) -> int:
    return value // 4 * 2
