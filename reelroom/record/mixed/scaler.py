"""One pane's picture, scaled and turned, from the decoder's memory into the canvas'. Knows no other panes."""

from __future__ import annotations

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from reelroom.domain.scene import Fit
from reelroom.record.mixed.decoder import Picture
from reelroom.record.mixed.fitting import Placed, place
from reelroom.record.mixed.planes import Planes, nearest, planes_of

# AVColorSpace BT.709, and not said, which players take for BT.709 too. Others (VP8 is always BT.601) are converted,
# which costs four times as much as scaling.
_TAKEN_AS_IS = (1, 2)


class Scaler:
    """Keeps what it scaled last: a pane that is drawn again because of something over or under it costs a copy."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._key: tuple[int, int, int, Fit] | None = None
        self._placed = Placed(0, 0, 0, 0, 0, 0, 0, 0)
        self._scaled: Planes | None = None  # keeps its frame's memory alive

    def draw(self, picture: Picture, target: Planes, fit: Fit, bars: str) -> None:
        """Fill `target` with it, and what it leaves free with the colour `bars`."""
        height, width = target.y.shape
        key = (picture.serial, width, height, fit)
        if key != self._key or self._scaled is None:
            self._scale(picture, width, height, fit)
            self._key = key
        placed = self._placed
        if (placed.shown_width, placed.shown_height) != (width, height):
            _bars(target, placed, bars)
        assert self._scaled is not None
        target.part(placed.x, placed.y, placed.shown_width, placed.shown_height).copy_from(self._scaled)

    def _scale(self, picture: Picture, width: int, height: int, fit: Fit) -> None:
        frame = picture.frame
        turned = picture.rotation % 180 != 0
        size = (frame.height, frame.width) if turned else (frame.width, frame.height)
        placed = self._placed = place(*size, width, height, fit)
        wanted = (placed.height, placed.width) if turned else placed[:2]
        try:
            planes = planes_of(self._reformat(frame, *wanted))
        except av.FFmpegError:  # libswscale has its limits: thousands of pixels onto two, say, and two onto thousands
            planes = nearest(planes_of(self._reformat(frame, frame.width, frame.height)), *wanted)
        if picture.rotation % 360:
            planes = Planes(*(np.rot90(plane, -picture.rotation // 90) for plane in planes))
        self._scaled = planes.part(placed.left, placed.top, placed.shown_width, placed.shown_height)

    def _reformat(self, frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
        full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
        # Looked at and measured (benchmarks/compose.py): the area's mean is as sharp as bicubic at half the size or
        # less, for two thirds of the time; above that it shows steps. Bilinear blurs text, its fast form loses lines.
        halved = width * 2 <= frame.width and height * 2 <= frame.height
        how = Interpolation.AREA if halved else Interpolation.BICUBIC
        return self._reformatter.reformat(
            frame,
            width,
            height,
            "yuv420p",
            interpolation=how,
            dst_colorspace=None if frame.colorspace in _TAKEN_AS_IS else Colorspace.ITU709,
            src_color_range=ColorRange.JPEG if full else None,
            dst_color_range=ColorRange.MPEG if full else None,
            threads=1,
        )


def _bars(target: Planes, placed: Placed, color: str) -> None:
    height, width = target.y.shape
    right, bottom = placed.x + placed.shown_width, placed.y + placed.shown_height
    target.part(0, 0, width, placed.y).fill(color)
    target.part(0, bottom, width, height - bottom).fill(color)
    target.part(0, placed.y, placed.x, placed.shown_height).fill(color)
    target.part(right, placed.y, width - right, placed.shown_height).fill(color)
