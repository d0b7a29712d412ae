"""Tencent's layouts: the documented sizes and places for every number of people, pictures that fill, water marks."""

from __future__ import annotations

from typing import Any

import pytest

from reelroom.dialects.tencent import layouts, mixing
from reelroom.dialects.tencent.errors import TencentError
from reelroom.dialects.tencent.wire_cloud import LayoutBody
from reelroom.domain.layout import Pane, Person, arrange, check_layout
from reelroom.domain.scene import Fit, Layout, Scene
from reelroom.record.mixed.fitting import place

W, H = 1800, 1200


def people(count: int) -> list[Person]:
    return [Person(f"u{number}", "camera", number, True) for number in range(count)]


def panes(layout: Layout, count: int, width: int = W, height: int = H) -> list[Pane]:
    """In the order of entry."""
    found = arrange(layout, width, height, people(count), 1)
    return sorted(found, key=lambda pane: int(pane.identity[1:] or 0))


def scene(width: int = W, height: int = H, fill_type: int = 0, **given: Any) -> Scene:
    return mixing.shown(LayoutBody.model_validate(given), width, height, fill_type).scene


@pytest.mark.parametrize(
    ("count", "side"), [(1, (1, 1)), (2, (2, 1)), (3, (2, 2)), (4, (2, 2)), (5, (3, 3)), (9, (3, 3)), (10, (4, 4)),
                        (16, (4, 4)), (17, (5, 5)), (25, (5, 5))]
)  # fmt: skip
def test_the_grid(count: int, side: tuple[int, int]) -> None:
    found = panes(scene(MixLayoutMode=3).layout, count)
    columns, rows = side
    assert len(found) == count
    for number, pane in enumerate(found):
        assert pane.x == pytest.approx(number % columns * W / columns, abs=2)
        assert pane.y == pytest.approx(number // columns * H / rows, abs=2)
        assert (pane.width, pane.height) == (pytest.approx(W / columns, abs=2), pytest.approx(H / rows, abs=2))


def test_floating_as_the_document_reckons_it() -> None:
    large, first, second = panes(scene(1280, 720, MixLayoutMode=1).layout, 3, 1280, 720)
    assert (large.x, large.y, large.width, large.height) == (0, 0, 1280, 720)
    for pane, x in ((first, 15), (second, 332)):
        assert (pane.x, pane.y) == (pytest.approx(x, abs=1.5), pytest.approx(542, abs=1.5))
        assert (pane.width, pane.height) == (pytest.approx(301, abs=1.5), pytest.approx(169, abs=1.5))
    for count, size, gap, columns in ((17, 0.235, 0.012, 4), (25, 0.188, 0.01, 5)):
        small = panes(scene(MixLayoutMode=1).layout, count)[1:]
        for number, pane in enumerate(small):
            assert pane.x == pytest.approx((gap + number % columns * (size + gap)) * W, abs=2)
            assert pane.y == pytest.approx(H - (gap + size + number // columns * (size + gap)) * H, abs=2)
            assert pane.width == pytest.approx(size * W, abs=2)


@pytest.mark.parametrize(
    ("count", "large", "small"),
    [
        (5, (4 / 5, 1), (1 / 5, 1 / 4)),
        (7, (6 / 7, 1), (1 / 7, 1 / 6)),
        (9, (8 / 9, 1), (1 / 9, 1 / 8)),
        (17, (4 / 5, 1), (1 / 10, 1 / 8)),
        (25, (4 / 5, 7 / 8), (1 / 10, 1 / 8)),
    ],
)
@pytest.mark.parametrize("right", [0, 1])
def test_screen_share(count: int, large: tuple[float, float], small: tuple[float, float], right: int) -> None:
    shown = scene(MixLayoutMode=2, MaxResolutionUserId="u0", MaxResolutionUserAlign=right)
    first, *others = panes(shown.layout, count)
    assert (first.width, first.height) == (pytest.approx(large[0] * W, abs=2), pytest.approx(large[1] * H, abs=2))
    assert first.x == pytest.approx((1 - large[0]) * W if right else 0, abs=2)
    assert {(pane.width // 8, pane.height // 8) for pane in others}
    for pane in others:
        assert (pane.width, pane.height) == (pytest.approx(small[0] * W, abs=2), pytest.approx(small[1] * H, abs=2))
    assert len(others) == count - 1
    assert (others[0].y, others[1].y) == (0, pytest.approx(small[1] * H, abs=2))


def test_the_large_area_of_screen_share_is_background_while_nobody_is_named() -> None:
    found = panes(scene(MixLayoutMode=2).layout, 3)
    assert len(found) == 3
    assert max(pane.width for pane in found) <= W / 5 + 2


def test_custom_places_transparency_and_layers() -> None:
    places = [
        {"Left": 0, "Top": 0, "Width": 1800, "Height": 1200, "UserId": "u1", "ImageLayer": 5, "Alpha": 51},
        {"Left": 900, "Top": 600, "Width": 300, "Height": 200, "ImageLayer": 900, "RenderMode": 2},
    ]
    back, front = arrange(scene(MixLayoutMode=4, MixLayoutList=places).layout, W, H, people(2), 1)
    assert (back.identity, back.alpha, back.fit) == ("u1", pytest.approx(0.8), Fit.CROP)
    assert (front.identity, front.x, front.y, front.width, front.fit) == ("u0", 900, 600, 300, Fit.FIT)
    absent = scene(MixLayoutMode=4, MixLayoutList=places)
    assert [pane.identity for pane in arrange(absent.layout, W, H, [], 1)] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"MixLayoutMode": 4},
        {"MixLayoutMode": 3, "MixLayoutList": [{"Left": 0, "Top": 0, "Width": 9, "Height": 9}]},
        {"MixLayoutMode": 4, "MixLayoutList": [{"Left": 1500, "Top": 0, "Width": 301, "Height": 9}]},
        {"MixLayoutMode": 4, "MixLayoutList": [{"Left": 0, "Top": 0, "Width": 0, "Height": 9}]},
        {"MixLayoutMode": 3, "BackGroundColor": "red"},
        {"MixLayoutMode": 3, "BackgroundImageUrl": "http://x/picture"},
        {"MixLayoutMode": 3, "BackgroundImageUrl": "file:///a.png"},
        {"MixLayoutMode": 3, "WaterMarkList": [{"WaterMarkType": 1}]},
        {
            "MixLayoutMode": 3,
            "WaterMarkList": [{"WaterMarkType": 2, "WaterMarkTimestamp": {"Pos": 0, "Font": "Arial"}}],
        },
    ],
)
def test_what_cannot_be_shown(wrong: dict[str, Any]) -> None:
    with pytest.raises(TencentError) as refused:
        scene(**wrong)
    assert refused.value.code in ("InvalidParameter.OutOfRange", "MissingParameter")


def test_water_marks() -> None:
    text = {"Left": 10, "Top": 20, "Width": 200, "Height": 40, "Chars": "hello", "FontColor": "0xFF0000"}
    marks = [
        {"WaterMarkType": 1, "WaterMarkChar": text},
        {"WaterMarkType": 2, "WaterMarkTimestamp": {"Pos": 3, "TimeZone": 0}},
    ]
    made = scene(MixLayoutMode=3, WaterMarkList=marks)
    said, clock = made.watermarks
    assert (said.text, said.x, said.size, said.color, said.background) == ("hello", 10, 14, "#ff0000", "")
    assert (clock.x, clock.y, clock.anchor_x, clock.anchor_y) == (W - 10, H - 10, 1.0, 1.0)
    assert clock.utc_offset_minutes == 0
    check_layout(made.layout, W, H)


def test_fill_type_placeholders_and_those_who_only_speak() -> None:
    held, black = scene(MixLayoutMode=3), scene(MixLayoutMode=3, fill_type=1, PureAudioDisableLayout=True)
    assert (held.hold_bare, held.placeholder.color, held.without_picture) == (True, "", True)
    assert (black.hold_s, black.placeholder.color, black.without_picture) == (0, "#000000", False)
    image = "http://x/a.png"
    assert scene(MixLayoutMode=3, DefaultSubBackgroundImage=image).placeholder.image == ""
    assert scene(MixLayoutMode=3, DefaultSubBackgroundImage=image, PlaceHolderMode=1).placeholder.image


def test_smart_stretch_cuts_off_a_fifth_at_most() -> None:
    assert layouts.FITS[3] is Fit.SMART
    near = place(1600, 1000, 1440, 1000, Fit.SMART)  # a tenth too wide
    assert (near.width, near.shown_width) == (1600, 1440)
    far = place(3000, 1000, 1000, 1000, Fit.SMART)
    assert (far.width, far.height, far.shown_width, far.shown_height) == (1250, 1000, 1000, 1000)
    tall = place(1000, 3000, 1000, 1000, Fit.SMART)
    assert (tall.width, tall.height) == (1000, 1250)
