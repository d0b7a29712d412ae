"""Layouts as lists of panes, and Alibaba Cloud RTC's tables: system layouts, MediaEncode, TaskProfile (sections 2.6 to
2.8). Draws nothing; custom layouts are kept by `mpu.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reelroom.dialects.aliyun_rtc import errors
from reelroom.domain.scene import Fit, Layout, Pin, Preset, Run, Table

UNITS = 100_000  # rectangles have up to five decimals


class Coding(NamedTuple):
    """A MediaEncode: of id 0 there is no picture, and `kbps` is the sound's."""

    width: int
    height: int
    kbps: int
    fps: int


MEDIA_ENCODES = {
    0: Coding(0, 0, 64, 0),
    1: Coding(640, 360, 500, 15),
    10: Coding(960, 540, 700, 24),
    20: Coding(1280, 720, 1024, 25),
    22: Coding(720, 1280, 1024, 30),
    23: Coding(800, 600, 1024, 30),
    24: Coding(750, 780, 1024, 30),
    25: Coding(750, 540, 700, 30),
    26: Coding(720, 1280, 2048, 30),
    27: Coding(1280, 720, 2048, 30),
    28: Coding(1280, 720, 3096, 30),
    30: Coding(1920, 1080, 2048, 30),
    31: Coding(1080, 1920, 2048, 30),
    32: Coding(1024, 768, 1024, 24),
    33: Coding(1280, 960, 1024, 24),
    34: Coding(1024, 768, 2048, 24),
    35: Coding(1280, 960, 2048, 24),
    36: Coding(1280, 720, 1024, 24),
    37: Coding(1280, 720, 2048, 24),
    38: Coding(540, 960, 750, 15),
    39: Coding(540, 960, 1500, 30),
    40: Coding(1280, 720, 1200, 15),
    41: Coding(720, 1280, 1200, 15),
    42: Coding(720, 1280, 1500, 15),
    43: Coding(540, 960, 1200, 15),
    52: Coding(640, 360, 500, 30),
    53: Coding(360, 640, 500, 15),
    54: Coding(360, 640, 500, 30),
}
_CLASSES = {"1080P": 1920 * 1080, "720P": 1280 * 720, "360P": 640 * 360}
#: TaskProfile → most inputs, most pixels. Sound alone has neither.
PROFILES: dict[str, tuple[int, int]] = {
    f"{inputs}IN_{name}": (inputs, pixels) for inputs in (1, 2, 4, 9, 12, 16) for name, pixels in _CLASSES.items()
} | {"Mixed_Audio": (0, 0)}

_Rect = tuple[float, float, float, float]


def _same(size: float, *corners: tuple[float, float]) -> tuple[_Rect, ...]:
    return tuple((x, y, size, size) for x, y in corners)


class Shape(NamedTuple):
    """A layout: x, y, width, height of each pane by PaneId, in fractions of the canvas."""

    panes: tuple[_Rect, ...]
    z: tuple[int, ...] = ()  # of each; (): later ones are in front where they overlap
    major: int | None = None  # the PaneId of the main pane, which is taken first
    voices: int = 0  # AudioMixCount: how many are heard at once; 0: all


_THIRDS = (0.00625, 0.3375, 0.6688)
_RECTANGLES: dict[int, tuple[_Rect, ...]] = {
    1: ((0, 0, 1, 1),),
    2: _same(0.4968, (0.0021, 0.2516), (0.501, 0.2516)),
    3: ((0, 0, 1, 1), (0.00625, 0.00625, 0.2361, 0.2361)),
    4: ((0, 0, 1, 1), (0.7576, 0.7576, 0.2361, 0.2361)),
    5: _same(0.4906, (0.2547, 0.00625), (0.00625, 0.5031), (0.5031, 0.5031)),
    6: _same(0.4805, (0.013, 0.013), (0.5065, 0.013), (0.013, 0.5065), (0.5065, 0.5065)),
    7: _same(0.325, (0.1718, 0.1718), (0.5031, 0.1718), (0.00625, 0.503), (0.3375, 0.503), (0.66875, 0.503)),
    8: _same(
        0.325,
        *((0.00625, 0.1718), (0.3375, 0.1718), (0.6688, 0.1718)),
        *((0.00625, 0.5031), (0.3375, 0.5031), (0.6688, 0.5031)),
    ),
    9: (
        (0.00625, 0.00625, 0.7391, 0.7391),
        *_same(
            0.2422,
            *((0.7516, 0.1336), (0.7516, 0.3821)),
            *((0.00625, 0.7516), (0.2547, 0.7516), (0.5032, 0.7516), (0.7516, 0.7516)),
        ),
    ),
    10: (
        (0.00625, 0.00625, 0.7391, 0.7391),
        *_same(
            0.2422,
            *((0.7516, 0.00625), (0.7516, 0.2547), (0.7516, 0.5032)),
            *((0.00625, 0.7516), (0.2547, 0.7516), (0.5032, 0.7516), (0.7516, 0.7516)),
        ),
    ),
    11: _same(0.325, *((x, y) for y in _THIRDS for x in _THIRDS)),
    13: ((0, 0, 0.5, 1), (0.5, 0, 0.5, 1)),
}


SYSTEM = {id_: Shape(panes) for id_, panes in _RECTANGLES.items()}
NAMES = {
    1: "single_1", 2: "side_by_side_1", 3: "picture_in_picture_1", 4: "picture_in_picture_2", 5: "gallery_3",
    6: "gallery_4", 7: "gallery_5", 8: "gallery_6", 9: "gallery_7", 10: "gallery_8", 11: "gallery_9",
    13: "side_by_side_2",
}  # fmt: skip


def coding(media_encode: int) -> Coding:
    if media_encode not in MEDIA_ENCODES:
        raise errors.wrong("MediaEncode", f"there is no {media_encode}")
    return MEDIA_ENCODES[media_encode]


def chosen(layout_ids: Sequence[int], custom: Mapping[int, Shape]) -> list[Shape]:
    """The layouts with these ids, no two of which have as many panes."""
    found: list[Shape] = []
    for id_ in layout_ids:
        shape = SYSTEM.get(id_) or custom.get(id_)
        if shape is None:
            raise errors.wrong("LayoutIds", f"there is no layout {id_}")
        found.append(shape)
    if len({len(shape.panes) for shape in found}) != len(found):
        raise errors.wrong("LayoutIds", "two of them have the same number of panes")
    return found


def check_profile(profile: str, chosen: Coding, shapes: Sequence[Shape]) -> None:
    """That the profile has room for the picture's size and for every pane."""
    if profile not in PROFILES:
        raise errors.wrong("TaskProfile", f"there is no {profile[:40]!r}")
    inputs, pixels = PROFILES[profile]
    if chosen.width * chosen.height > pixels:
        raise errors.wrong("MediaEncode", f"its size is more than TaskProfile {profile} has")
    if inputs and max(len(shape.panes) for shape in shapes) > inputs:
        raise errors.wrong("LayoutIds", f"more panes than TaskProfile {profile} has inputs")


def layout(shapes: Sequence[Shape], crop: bool, pins: Sequence[Pin]) -> Layout:
    """For so many people the layout with so many panes, else the next larger, else the largest."""
    tables = sorted(map(_table, shapes), key=lambda table: table.cells)
    fit = Fit.CROP if crop else Fit.FIT
    return Layout(
        preset=Preset.TABLES,
        tables=tuple(tables),
        pins=tuple(pins),
        fit=fit,
        screen_fit=fit,
        max_panes=max(table.cells for table in tables),
    )


def voices(shapes: Sequence[Shape]) -> int:
    """How many are heard at once where these layouts take turns: as many as the one that lets most; 0: all."""
    most = [shape.voices for shape in shapes]
    return 0 if 0 in most else max(most)


def _table(shape: Shape) -> Table:
    runs = []
    for number, rectangle in enumerate(shape.panes):
        x, y, width, height = (round(value * UNITS) for value in rectangle)
        x, y = min(x, UNITS - 1), min(y, UNITS - 1)
        width, height = max(1, min(width, UNITS - x)), max(1, min(height, UNITS - y))
        runs.append(Run(x=x, y=y, width=width, height=height, z=shape.z[number] if shape.z else 0))
    return Table(columns=UNITS, rows=UNITS, runs=tuple(runs), first=shape.major or 0)
