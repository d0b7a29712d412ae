"""Agora's layouts 0 to 3 against the vendor's tables, for 1 to 17 people."""

from __future__ import annotations

from fractions import Fraction as F
from typing import Any

import pytest

from reelroom.dialects.agora import layouts
from reelroom.domain.layout import Pane, Person, arrange
from reelroom.domain.scene import Fit, Layout, Place

W, H = 1280, 720
Rect = tuple[F, F, F, F]
FIFTH = F(1, 5)


def uids(count: int) -> list[str]:
    return [str(100 + n) for n in range(count)]


def people(count: int) -> list[Person]:
    return [Person(uid, "camera", n, True) for n, uid in enumerate(uids(count))]


def even(value: F) -> int:
    """Independently of the engine: of the two even numbers around it the nearer one, the upper at a tie."""
    lower = int(value) // 2 * 2
    return lower if value - lower < 1 else lower + 2


def pixels(rect: Rect, width: int = W, height: int = H) -> tuple[int, int, int, int]:
    x, y, w, h = rect
    left, top, right, bottom = even(x * width), even(y * height), even((x + w) * width), even((y + h) * height)
    return left, top, right - left, bottom - top


def seen(layout: Layout, count: int, width: int = W, height: int = H) -> list[tuple[str, tuple[int, int, int, int]]]:
    return [(pane.identity, pane[2:6]) for pane in arrange(layout, width, height, people(count), 0)]


FLOATING_XY = [
    (x, y) for y in ("0.753", "0.506", "0.259", "0.012") for x in ("0.012", "0.259", "0.506", "0.753")
]  # the table of section 4.2


@pytest.mark.parametrize("count", range(1, 19))
@pytest.mark.parametrize(("width", "height"), [(360, 640), (1280, 720), (1920, 1080)])
def test_floating(count: int, width: int, height: int) -> None:
    expected = [("100", (0, 0, width, height))]
    for uid, (x, y) in zip(uids(17)[1:count], FLOATING_XY, strict=False):
        expected.append((uid, pixels((F(x), F(y), F("0.235"), F("0.235")), width, height)))
    assert seen(layouts.preset(0), count, width, height) == expected


def grid_cell(count: int, j: int) -> Rect:
    if count == 2:
        return F(j, 2), F(0), F(1, 2), F(1)
    if count == 17:
        return (
            (F(2, 5), F(4, 5), FIFTH, FIFTH)
            if j == 16
            else (F(1, 10) + FIFTH * (j % 4), FIFTH * (j // 4), FIFTH, FIFTH)
        )
    side = 1 if count == 1 else 2 if count <= 4 else 3 if count <= 9 else 4
    return F(j % side, side), F(j // side, side), F(1, side), F(1, side)


@pytest.mark.parametrize("count", range(1, 19))
@pytest.mark.parametrize(("width", "height"), [(360, 640), (1280, 720)])
def test_best_fit(count: int, width: int, height: int) -> None:
    shown = min(count, 17)
    expected = [(uid, pixels(grid_cell(shown, j), width, height)) for j, uid in enumerate(uids(shown))]
    assert seen(layouts.preset(1), count, width, height) == expected


def vertical_class(small: int) -> tuple[F, int, int]:
    """Width of the large pane, columns of the canvas, rows of small panes (section 4.4)."""
    if small <= 4:
        return F(4, 5), 5, 4
    if small <= 6:
        return F(6, 7), 7, 6
    if small <= 8:
        return F(8, 9), 9, 8
    return F(8, 10), 10, 8


def vertical_cells(small: int) -> list[Rect]:
    large, columns, rows = vertical_class(small)
    return [(large + F(j // rows, columns), F(j % rows, rows), F(1, columns), F(1, rows)) for j in range(small)]


@pytest.mark.parametrize("count", range(1, 19))
def test_vertical_with_the_large_user_there(count: int) -> None:
    users = uids(count)
    large = users[count // 2]
    others = [uid for uid in users if uid != large][:16]
    panes = arrange(layouts.preset(2, large), W, H, people(count), 0)
    expected = [(large, pixels((F(0), F(0), vertical_class(len(others))[0], F(1))))]
    expected += list(zip(others, map(pixels, vertical_cells(len(others))), strict=True))
    assert [(pane.identity, pane[2:6]) for pane in panes] == expected
    assert [pane.fit for pane in panes] == [Fit.FIT] + [Fit.CROP] * len(others)


@pytest.mark.parametrize("count", range(1, 18))
@pytest.mark.parametrize("named", ["999", ""])
def test_vertical_with_the_large_user_away_leaves_the_large_rectangle_to_the_background(count: int, named: str) -> None:
    if count == 1 and not named:
        assert seen(layouts.preset(2), 1) == [("100", (0, 0, W, H))]  # the exception: alone, and nobody was named
        return
    shown = uids(count)[:16]
    assert seen(layouts.preset(2, named), count) == list(
        zip(shown, map(pixels, vertical_cells(len(shown))), strict=True)
    )


def custom(*regions: dict[str, Any]) -> Layout:
    return layouts.custom([Place(**region) for region in regions])


def test_custom_regions_with_a_uid_wait_and_the_others_are_taken_in_join_order() -> None:
    layout = custom(
        {"x": 0.0, "y": 0.0, "width": 0.75, "height": 1.0, "identity": "101", "fit": Fit.FIT},
        {"x": 0.75, "y": 0.0, "width": 0.25, "height": 0.25, "alpha": 0.5},
        {"x": 0.75, "y": 0.25, "width": 0.25, "height": 0.25, "identity": "999"},
        {"x": 0.75, "y": 0.5, "width": 0.25, "height": 0.25},
    )
    panes = arrange(layout, W, H, people(4), 0)
    assert panes == (
        Pane("101", "camera", 0, 0, 960, 720, 0, Fit.FIT, 1.0),
        Pane("100", "camera", 960, 0, 320, 180, 0, Fit.CROP, 0.5),
        Pane("102", "camera", 960, 360, 320, 180, 0, Fit.CROP, 1.0),
    )
    assert [pane.identity for pane in arrange(layout, W, H, people(1), 0)] == ["100"]


def test_layout_3_has_no_geometry_of_its_own() -> None:
    with pytest.raises(ValueError, match="layout 3"):
        layouts.preset(3)
