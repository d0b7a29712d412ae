"""Draws panes and watermarks into one picture that is kept: only what changed. Decodes and encodes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import av
from av.video.reformatter import ColorRange

from reelroom.domain.layout import Pane
from reelroom.domain.scene import Border, Names, Scene, Surface, Watermark
from reelroom.record.mixed.decoder import Picture
from reelroom.record.mixed.images import Images, fitted
from reelroom.record.mixed.labels import label
from reelroom.record.mixed.planes import Planes, Sheet, blend, empty, planes_of
from reelroom.record.mixed.scaler import Scaler
from reelroom.record.mixed.stack import Rect, Stack
from reelroom.record.mixed.watermark import Mark, drawn, says

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
    name: str  # "": no label


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
        self._scene: Scene | None = None
        self._panes: Sequence[Pane] = ()
        self._items: list[_Item] = []
        self._says: list[str] = []  # of each watermark
        self._marks: list[Mark | None] = []
        self._stack = Stack((), ())
        self._layers: dict[tuple[int, int], Planes] = {}  # room for panes that are seen through, by size
        self._scalers: dict[Who, Scaler] = {}
        self._sheets: dict[tuple[Surface, int, int], Sheet | None] = {}
        self._labels: dict[tuple[str, int], Sheet | None] = {}
        self._overlays: dict[tuple[Watermark, int, int], Mark | None] = {}  # by the size of their panes
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
        items = [_item(pane, shown.get((pane.identity, pane.source)), scene) for pane in panes]
        texts = [says(mark, at_ns) for mark in scene.watermarks]
        # Looked at by identity first: comparing whole scenes would cost more than most ticks.
        if (scene is not self._scene and scene != self._scene) or (panes is not self._panes and panes != self._panes):
            self._rearrange(panes, scene, images)
            changed: Iterable[int] = range(len(items) + len(texts))
            self._draw_marks(scene.watermarks, texts, images, range(len(texts)))
            self._stack = self._stacked(items)
            rects = [Rect(0, 0, self.width, self.height)]
        else:
            front = len(items)
            different = {index for index, item in enumerate(items) if item != self._items[index]}
            spoken = [index for index, text in enumerate(texts) if text != self._says[index]]
            # A pane that turned from a picture into something that is seen through, or a text of another width.
            if spoken or any(_opaque(items[index]) != _opaque(self._items[index]) for index in different):
                before = self._stack
                self._draw_marks(scene.watermarks, texts, images, spoken)
                self._stack = self._stacked(items)
                different |= {front + index for index in spoken}
                changed, rects = self._stack.spread(different, before)
            else:
                changed, rects = self._stack.spread(different)
        self._items, self._says = items, texts
        for rect in rects:
            self._planes.part(*rect).copy_from(self._background.part(*rect))
        for index in changed:
            if index < len(items):
                pane = items[index].pane
                self._draw(items[index], shown.get((pane.identity, pane.source)), scene.names, images)
            elif (mark := self._marks[index - len(items)]) is not None:
                mark.sheet.lay_over(self._planes, mark.x, mark.y)
        return bool(changed)

    def _rearrange(self, panes: Sequence[Pane], scene: Scene, images: Images) -> None:
        """Let go of what is not needed any more, and draw the background that has to be there."""
        before = self._scene
        self._scene, self._panes = scene, panes
        images.keep(scene.images())
        people = {(pane.identity, pane.source) for pane in panes}
        self._scalers = {who: scaler for who, scaler in self._scalers.items() if who in people}
        sizes = {(pane.width, pane.height) for pane in panes}
        self._layers = {size: layer for size, layer in self._layers.items() if size in sizes}
        if before is None or before.names != scene.names or scene.names is None:
            self._labels.clear()
        else:  # many people may pass through a room
            said = {_name(pane, scene) for pane in panes}
            self._labels = {key: sheet for key, sheet in self._labels.items() if key[0] in said}
        surfaces = {scene.background, scene.placeholder, *scene.placeholders.values()}
        surfaces |= {pane.placeholder for pane in panes if pane.placeholder is not None}
        self._sheets = {
            key: sheet for key, sheet in self._sheets.items() if key[0] in surfaces and (key[1], key[2]) in sizes
        }
        overlays = {(overlay.mark, pane.width, pane.height) for pane in panes for overlay in pane.overlays}
        self._overlays = {key: mark for key, mark in self._overlays.items() if key in overlays}
        if before is None or (before.background, before.backdrops) != (scene.background, scene.backdrops):
            self._draw_background(scene, images)

    def _draw_background(self, scene: Scene, images: Images) -> None:
        self._background.fill(scene.background.color)
        if scene.background.image and (image := images.get(scene.background.image)) is not None:
            Sheet(fitted(image, self.width, self.height, scene.background.fit)).lay_over(self._background, 0, 0)
        for backdrop in scene.backdrops:
            mark = drawn(backdrop, backdrop.text, self.width, self.height, images)
            if mark is not None:
                mark.sheet.lay_over(self._background, mark.x, mark.y)

    def _stacked(self, items: Sequence[_Item]) -> Stack:
        rects = [Rect(item.pane.x, item.pane.y, item.pane.width, item.pane.height) for item in items]
        for mark in self._marks:
            rects.append(Rect(0, 0, 0, 0) if mark is None else self._covered(mark))
        return Stack(rects, [*map(_opaque, items), *(False for _ in self._marks)])

    def _covered(self, mark: Mark) -> Rect:
        x, y = mark.x + mark.sheet.x, mark.y + mark.sheet.y
        return Rect(x, y, min(mark.sheet.width, self.width - x), min(mark.sheet.height, self.height - y))

    def _draw_marks(
        self, watermarks: Sequence[Watermark], texts: Sequence[str], images: Images, which: Iterable[int]
    ) -> None:
        self._marks = self._marks[: len(watermarks)] + [None] * (len(watermarks) - len(self._marks))
        for index in which:
            self._marks[index] = drawn(watermarks[index], texts[index], self.width, self.height, images)

    def forget(self, who: Iterable[Who]) -> None:
        """Hold the last pictures of these no longer."""
        for one in who:
            self._held.pop(one, None)

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
                bare = scene.hold_bare and not _surface(scene, pane).image
                if bare or at_ns - since_ns < scene.hold_s * _SECOND:
                    held[who] = (last, since_ns)
        self._held = held
        return {who: picture for who, (picture, _) in held.items()}

    def _draw(self, item: _Item, picture: Picture | None, names: Names | None, images: Images) -> None:
        pane = item.pane
        target = self._planes.part(pane.x, pane.y, pane.width, pane.height)
        if pane.alpha >= 1:
            self._fill(target, item, picture, names, images)
        elif pane.alpha > 0:
            size = (pane.width, pane.height)
            if size not in self._layers:
                self._layers[size] = empty(*size)
            layer = self._layers[size]
            layer.copy_from(target)  # for what is seen through the pane's own surface
            self._fill(layer, item, picture, names, images)
            blend(target, layer, pane.alpha)

    def _fill(self, target: Planes, item: _Item, picture: Picture | None, names: Names | None, images: Images) -> None:
        pane = item.pane
        if picture is not None:
            scaler = self._scalers.setdefault((pane.identity, pane.source), Scaler())
            scaler.draw(picture, target, pane.fit, item.bars)
        elif item.surface is not None:
            if item.surface.color:
                target.fill(item.surface.color)
            sheet = self._sheet(item.surface, pane.width, pane.height, images)
            if sheet is not None:
                sheet.lay_over(target, 0, 0)
        edge = _edge(item)
        if edge:
            _frame(target, edge, item.border.color)
        for overlay in pane.overlays:
            if picture is None or not overlay.vacant:
                self._lay(target, overlay.mark, pane, images)
        if names is not None and item.name:
            key = (item.name, pane.width - 2 * edge)
            if key not in self._labels:
                self._labels[key] = label(item.name, names, key[1])
            sheet = self._labels[key]
            if sheet is not None:
                sheet.lay_over(target, edge, pane.height - edge - sheet.y - sheet.height)

    def _lay(self, target: Planes, overlay: Watermark, pane: Pane, images: Images) -> None:
        place = (overlay, pane.width, pane.height)
        if place not in self._overlays:
            self._overlays[place] = drawn(overlay, overlay.text, pane.width, pane.height, images)
        if (mark := self._overlays[place]) is not None:
            mark.sheet.lay_over(target, mark.x, mark.y)

    def _sheet(self, surface: Surface, width: int, height: int, images: Images) -> Sheet | None:
        key = (surface, width, height)
        if key not in self._sheets:
            image = images.get(surface.image) if surface.image else None
            self._sheets[key] = None if image is None else Sheet(fitted(image, width, height, surface.fit))
        return self._sheets[key]


def _item(pane: Pane, picture: Picture | None, scene: Scene) -> _Item:
    name = _name(pane, scene)
    if picture is None:
        return _Item(pane, 0, _surface(scene, pane), scene.background.color, scene.border, name)
    return _Item(pane, picture.serial, None, scene.background.color, scene.border, name)


def _name(pane: Pane, scene: Scene) -> str:
    return scene.names.texts.get(pane.identity, pane.identity) if scene.names is not None else ""


def _surface(scene: Scene, pane: Pane) -> Surface:
    return pane.placeholder or scene.placeholders.get(pane.identity, scene.placeholder)


def _opaque(item: _Item) -> bool:
    """Whether nothing of what lies behind it is seen."""
    return item.pane.alpha >= 1 and (item.surface is None or bool(item.surface.color))


def _edge(item: _Item) -> int:
    """The border's width: even, as chroma has half the pixels."""
    return min(item.border.width + 1 & ~1, item.pane.height // 4 * 2, item.pane.width // 4 * 2)


def _frame(target: Planes, edge: int, color: str) -> None:
    height, width = target.y.shape
    target.part(0, 0, width, edge).fill(color)
    target.part(0, height - edge, width, edge).fill(color)
    target.part(0, edge, edge, height - 2 * edge).fill(color)
    target.part(width - edge, edge, edge, height - 2 * edge).fill(color)
