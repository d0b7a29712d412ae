"""Copying, filling and blending of planes; the wall clock of watermarks. Pure."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from reelroom.record.mixed.planes import Planes, Sheet, blend, empty, yuv
from reelroom.record.mixed.watermark import clock

SECOND = 1_000_000_000


def filled(color: str, width: int = 16, height: int = 16) -> Planes:
    planes = empty(width, height)
    planes.fill(color)
    return planes


def at(planes: Planes, x: int, y: int) -> tuple[int, int, int]:
    return int(planes.y[y, x]), int(planes.u[y // 2, x // 2]), int(planes.v[y // 2, x // 2])


@pytest.mark.parametrize(
    ("color", "expected"),
    [
        ("#000000", (16, 128, 128)),
        ("#ffffff", (235, 128, 128)),
        ("#ff0000", (63, 102, 240)),
        ("#00ff00", (173, 42, 26)),
        ("#0000ff", (32, 240, 118)),
    ],
)
def test_colours_are_bt709_of_limited_range(color: str, expected: tuple[int, int, int]) -> None:
    assert yuv(color) == expected


def test_sheet_covers_only_what_is_not_transparent() -> None:
    image = Image.new("RGBA", (16, 16))
    ImageDraw.Draw(image).rectangle((5, 6, 9, 9), fill="#ff0000")
    planes = filled("#000000")
    Sheet(image).lay_over(planes, 0, 0)
    assert at(planes, 7, 7) == yuv("#ff0000")
    assert at(planes, 3, 7) == at(planes, 7, 11) == yuv("#000000")
    assert (planes.y == yuv("#ff0000")[0]).sum() == 5 * 4


def test_opacity_weighs_the_sheet() -> None:
    planes = filled("#000000")
    Sheet(Image.new("RGBA", (8, 8), "#ffffff"), 0.5).lay_over(planes, 4, 4)
    assert abs(at(planes, 5, 5)[0] - (16 + 235) / 2) <= 1
    assert at(planes, 13, 5) == (16, 128, 128)


@pytest.mark.parametrize("opacity", [1.0, 0.5])
@pytest.mark.parametrize("corner", [(-4, -4), (12, 12), (-40, 0), (0, 40)])
def test_sheet_over_the_edge_is_cut(corner: tuple[int, int], opacity: float) -> None:
    planes = filled("#000000")
    Sheet(Image.new("RGBA", (8, 8), "#ffffff"), opacity).lay_over(planes, *corner)
    touched = np.argwhere(planes.y != 16)
    assert len(touched) == (16 if abs(corner[0]) < 16 and abs(corner[1]) < 16 else 0)


def test_blend_of_all_and_nothing_is_exact() -> None:
    planes, other = filled("#123456"), filled("#fedcba")
    blend(planes, other, 0.0)
    assert at(planes, 3, 3) == yuv("#123456")
    blend(planes, other, 1.0)
    assert at(planes, 3, 3) == yuv("#fedcba")


def test_clock_is_east_of_utc() -> None:
    noon = 1_704_110_400 * SECOND  # 2024-01-01 12:00 UTC
    assert clock("%Y-%m-%d %H:%M:%S", noon + SECOND - 1, 0) == "2024-01-01 12:00:00"
    assert clock("%H:%M %z", noon, 480) == "20:00 +0800"
    assert clock("%d %H:%M", noon, -1440) == "31 12:00"
    assert clock("%d %H:%M", noon, 1440) == "02 12:00"
