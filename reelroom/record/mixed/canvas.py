"""Draws panes into one picture that is kept: only what changed since the last time. Decodes and encodes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import av
import numpy as np
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from reelroom.domain.layout import Pane
from reelroom.domain.scene import Border, Scene, Surface
from reelroom.record.mixed.decoder import Picture
from reelroom.record.mixed.fitting import Placed, place
from reelroom.record.mixed.images import Images, fitted
from reelroom.record.mixed.planes import Planes, Sheet, blend, empty, planes_of

Who = tuple[str, str]  # identity, source
_SECOND = 1_000_000_000
_BT709 = 1  # of AVColorSpace, AVColorPrimaries and AVColorTransferCharacteristic


class _Item(NamedTuple):
    """All that a pane's pixels depend on."""

    pane: Pane
    serial: int  # of its picture; 0: none, the surface is shown
    surface: Surface | None
    bars: str  # colour beside a picture that does not fill the pane
    border: Border


class Canvas:
    """`frame` is yuv420p, BT.709 limited range, always the same memory: whoever needs it later has to copy it."""

    def __init__(self, width: int, height: int) -> None:
        """Even, in pixels."""
        self.width, self.height = width, height
        self.frame = av.VideoFrame(width, height, "yuv420p")
        self.frame.color_range = ColorRange.MPEG
        self.frame.colorspace = self.frame.color_primaries = self.frame.color_trc = _BT709
        self._planes = planes_of(self.frame)
        self._background = empty(width, height)
        self._background_key: Surface | None = None
        self._items: tuple[_Item, ...] = ()
        self._scalers: dict[Who, VideoReformatter] = {}
        self._sheets: dict[tuple[Surface, int, int], Sheet | None] = {}
        self._held: dict[Who, tuple[Picture, int]] = {}  # last pictures, and since when no newer one comes (0: it does)

    def draw(
        self,
        panes: Sequence[Pane],
        pictures: Mapping[Who, Picture | None],
        scene: Scene,
        images: Images,
        at_ns: int,
    ) -> bool:
        """Bring `frame` up to date; whether anything in it changed. `panes` from back to front.

        `pictures` of those who send one; who is missing there, or has None, is shown by the placeholder (once
        `Scene.hold_s` is over).
        """
        shown = self._shown(panes, pictures, scene, at_ns)
        items = tuple(self._item(pane, shown.get((pane.identity, pane.source)), scene) for pane in panes)
        fresh = self._lay_background(scene.background, images)
        if not fresh and items == self._items:
            return False
        self._items = items
        self._planes.copy_from(self._background)
        for item in items:
            self._draw(item, shown.get((item.pane.identity, item.pane.source)), images)
        return True

    def _shown(
        self, panes: Sequence[Pane], pictures: Mapping[Who, Picture | None], scene: Scene, at_ns: int
    ) -> dict[Who, Picture]:
        """Pictures by whose they are, those that are held among them."""
        held: dict[Who, tuple[Picture, int]] = {}
        for pane in panes:
            who = (pane.identity, pane.source)
            picture = pictures.get(who)
            if picture is not None:
                held[who] = (picture, 0)
            elif who in self._held:
                last, since_ns = self._held[who]
                since_ns = since_ns or at_ns
                bare = scene.hold_bare and not _surface(scene, pane.identity).image
                if bare or at_ns - since_ns < scene.hold_s * _SECOND:
                    held[who] = (last, since_ns)
        self._held = held
        return {who: picture for who, (picture, _) in held.items()}

    def _item(self, pane: Pane, picture: Picture | None, scene: Scene) -> _Item:
        surface = _surface(scene, pane.identity) if picture is None else None
        serial = 0 if picture is None else picture.serial
        return _Item(pane, serial, surface, scene.background.color, scene.border)

    def _lay_background(self, surface: Surface, images: Images) -> bool:
        if surface == self._background_key:
            return False
        self._background_key = surface
        self._background.fill(surface.color)
        sheet = self._sheet(surface, self.width, self.height, images)
        if sheet is not None:
            sheet.lay_over(self._background, 0, 0)
        return True

    def _sheet(self, surface: Surface, width: int, height: int, images: Images) -> Sheet | None:
        key = (surface, width, height)
        if key not in self._sheets:
            image = images.get(surface.image) if surface.image else None
            self._sheets[key] = None if image is None else Sheet(fitted(image, width, height, surface.fit))
        return self._sheets[key]

    def _draw(self, item: _Item, picture: Picture | None, images: Images) -> None:
        pane = item.pane
        target = self._planes.part(pane.x, pane.y, pane.width, pane.height)
        if pane.alpha >= 1:
            self._fill(target, item, picture, images)
            return
        layer = empty(pane.width, pane.height)
        layer.copy_from(target)
        self._fill(layer, item, picture, images)
        blend(target, layer, pane.alpha)

    def _fill(self, target: Planes, item: _Item, picture: Picture | None, images: Images) -> None:
        pane = item.pane
        if picture is not None:
            self._scale(target, picture, item)
        elif item.surface is not None:
            if item.surface.color:
                target.fill(item.surface.color)
            sheet = self._sheet(item.surface, pane.width, pane.height, images)
            if sheet is not None:
                sheet.lay_over(target, 0, 0)
        if item.border.width:
            _frame(target, item.border)

    def _scale(self, target: Planes, picture: Picture, item: _Item) -> None:
        pane, frame = item.pane, picture.frame
        turned = picture.rotation % 180 != 0
        size = (frame.height, frame.width) if turned else (frame.width, frame.height)
        placed = place(*size, pane.width, pane.height, pane.fit)
        scaler = self._scalers.setdefault((pane.identity, pane.source), VideoReformatter())
        full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
        scaled = scaler.reformat(
            frame,
            placed.height if turned else placed.width,
            placed.width if turned else placed.height,
            "yuv420p",
            interpolation=Interpolation.BILINEAR,
            dst_color_range=ColorRange.MPEG if full else None,
            threads=1,
        )
        source = planes_of(scaled)
        if picture.rotation % 360:
            source = Planes(*(np.rot90(plane, -picture.rotation // 90) for plane in source))
        if (placed.shown_width, placed.shown_height) != (pane.width, pane.height):
            _bars(target, placed, item.bars)
        source = source.part(placed.left, placed.top, placed.shown_width, placed.shown_height)
        target.part(placed.x, placed.y, placed.shown_width, placed.shown_height).copy_from(source)


def _surface(scene: Scene, identity: str) -> Surface:
    return scene.placeholders.get(identity, scene.placeholder)


def _bars(target: Planes, placed: Placed, color: str) -> None:
    """Fill what the picture leaves free."""
    height, width = target.y.shape
    right, bottom = placed.x + placed.shown_width, placed.y + placed.shown_height
    target.part(0, 0, width, placed.y).fill(color)
    target.part(0, bottom, width, height - bottom).fill(color)
    target.part(0, placed.y, placed.x, placed.shown_height).fill(color)
    target.part(right, placed.y, width - right, placed.shown_height).fill(color)


def _frame(target: Planes, border: Border) -> None:
    height, width = target.y.shape
    edge = min(border.width + 1 & ~1, height // 4 * 2, width // 4 * 2)
    target.part(0, 0, width, edge).fill(border.color)
    target.part(0, height - edge, width, edge).fill(border.color)
    target.part(0, edge, edge, height - 2 * edge).fill(border.color)
    target.part(width - edge, edge, edge, height - 2 * edge).fill(border.color)
