"""ZEGO's layouts in the vendor's geometry, whose edges go to the nearest even pixel (spec section 3.4)."""

from __future__ import annotations

import pytest

from reelroom.dialects.zego import errors, layouts, mixing
from reelroom.dialects.zego.wire import MixConfig, parse
from reelroom.domain.layout import Pane, Person, arrange
from reelroom.domain.scene import Fit, Layout

W, H = 1280, 720


def people(count: int) -> list[Person]:
    return [Person(f"p{n}", "camera", n, True, 640, 360) for n in range(count)]


def boxes(panes: tuple[Pane, ...]) -> dict[str, tuple[int, int, int, int]]:
    return {pane.identity: (pane.x, pane.y, pane.x + pane.width, pane.y + pane.height) for pane in panes}


def even(box: tuple[int, int, int, int], tolerance: int = 1) -> tuple[range, ...]:
    return tuple(range(edge - tolerance, edge + tolerance + 1) for edge in box)


@pytest.mark.parametrize(
    ("mode", "count", "view", "box"),
    [
        (layouts.TILE, 1, 1, (0, 0, 1280, 720)),
        (layouts.TILE, 2, 1, (0, 0, 640, 720)),
        (layouts.TILE, 2, 2, (640, 0, 1280, 720)),
        (layouts.TILE, 3, 1, (0, 0, 640, 360)),
        (layouts.TILE, 3, 3, (0, 360, 640, 720)),
        (layouts.TILE, 5, 1, (0, 0, 426, 360)),
        (layouts.TILE, 5, 2, (426, 0, 853, 360)),
        (layouts.TILE, 5, 3, (853, 0, 1280, 360)),
        (layouts.TILE, 25, 25, (1024, 576, 1280, 720)),
        (layouts.HORIZONTAL, 5, 1, (0, 180, 1280, 720)),
        (layouts.HORIZONTAL, 5, 2, (0, 0, 320, 180)),
        (layouts.HORIZONTAL, 5, 5, (960, 0, 1280, 180)),
        (layouts.HORIZONTAL, 9, 1, (0, 90, 1280, 720)),
        (layouts.HORIZONTAL, 17, 1, (0, 180, 1280, 720)),
        (layouts.HORIZONTAL, 17, 2, (0, 0, 160, 90)),
        (layouts.HORIZONTAL, 17, 17, (1120, 90, 1280, 180)),
        (layouts.HORIZONTAL, 25, 1, (0, 180, 1137, 720)),
        (layouts.HORIZONTAL, 25, 3, (142, 0, 284, 90)),
        (layouts.HORIZONTAL, 25, 25, (1137, 630, 1280, 720)),
        (layouts.VERTICAL, 5, 1, (0, 0, 960, 720)),
        (layouts.VERTICAL, 5, 3, (960, 180, 1280, 360)),
        (layouts.VERTICAL, 5, 5, (960, 540, 1280, 720)),
        (layouts.VERTICAL, 9, 1, (0, 0, 1120, 720)),
        (layouts.VERTICAL, 25, 1, (0, 0, 960, 640)),
        (layouts.VERTICAL, 25, 2, (960, 0, 1120, 80)),
        (layouts.VERTICAL, 25, 25, (1120, 640, 1280, 720)),
        (layouts.FLOATING, 5, 1, (0, 0, 1280, 720)),
        (layouts.FLOATING, 5, 2, (960, 540, 1280, 720)),
        (layouts.FLOATING, 5, 5, (0, 540, 320, 720)),
        (layouts.FLOATING, 17, 2, (1120, 630, 1280, 720)),
        (layouts.FLOATING, 17, 17, (0, 540, 160, 630)),
    ],
)
def test_a_view_is_where_the_vendor_has_it(mode: int, count: int, view: int, box: tuple[int, int, int, int]) -> None:
    found = boxes(arrange(layouts.preset(mode), W, H, people(count), 0))[f"p{view - 1}"]
    assert all(edge in near and edge % 2 == 0 for edge, near in zip(found, even(box), strict=True)), found


def test_the_large_view_of_somebody_who_is_not_there_stays_empty() -> None:
    layout = layouts.preset(layouts.VERTICAL, focus="absent", source="camera")
    found = boxes(arrange(layout, W, H, people(3), 0))
    assert found["p0"] == (960, 0, 1280, 180)
    here = layouts.preset(layouts.VERTICAL, focus="p2", source="camera")
    assert boxes(arrange(here, W, H, people(3), 0))["p2"] == (0, 0, 960, 720)


def test_no_more_than_25_are_seen() -> None:
    for mode in range(layouts.TILE, layouts.FLOATING + 1):
        assert len(arrange(layouts.preset(mode), W, H, people(30), 0)) == 25


@pytest.mark.parametrize(
    ("mode", "given", "large", "small"),
    [
        (layouts.TILE, None, Fit.CROP, Fit.CROP),
        (layouts.TILE, 2, Fit.FIT, Fit.FIT),
        (layouts.HORIZONTAL, None, Fit.FIT, Fit.CROP),
        (layouts.VERTICAL, 1, Fit.CROP, Fit.CROP),
        (layouts.FLOATING, 2, Fit.FIT, Fit.FIT),
    ],
)
def test_fill_mode(mode: int, given: int | None, large: Fit, small: Fit) -> None:
    panes = {pane.identity: pane.fit for pane in arrange(layouts.preset(mode, given), W, H, people(3), 0)}
    assert (panes["p0"], panes["p2"]) == (large, small)


def shown(*views: dict[str, object]) -> Layout:
    config = parse(MixConfig, {"MixMode": 1, "MixOutputStreamId": "m", "MixInputList": list(views)})
    return mixing.layout(config, None, W, H, mixing.Images(), "")


def view(left: int, top: int, right: int, bottom: int, layer: int = 0, **more: object) -> dict[str, object]:
    return {"Left": left, "Top": top, "Right": right, "Bottom": bottom, "Layer": layer, **more}


def test_custom_views_are_corners_in_pixels_and_larger_layers_are_above() -> None:
    made = shown(
        view(960, 0, 1280, 180, 5_000_000, StreamId="p1"),
        view(0, 0, 1280, 720, -7),
        view(960, 180, 1280, 360, 2, FillMode=2),
        view(0, 0, 1, 1, 3),
    )
    panes = arrange(made, W, H, people(3), 0)
    assert [pane.identity for pane in panes] == ["p0", "p2", "", "p1"]  # nobody is left for the third
    assert boxes(panes)["p1"] == (960, 0, 1280, 180)
    assert panes[1].fit == Fit.FIT and panes[0].fit == Fit.CROP


def test_a_view_waits_for_its_stream_and_a_screen_is_a_stream_of_its_own() -> None:
    made = shown(view(0, 0, 640, 720, StreamId="p0~screen"), view(640, 0, 1280, 720))
    screen = Person("p0", "screen", 0, True, 640, 360)
    panes = {pane.x: (pane.identity, pane.source) for pane in arrange(made, W, H, [*people(1), screen], 0)}
    assert panes == {0: ("p0", "screen"), 640: ("p0", "camera")}
    alone = {pane.x: pane.identity for pane in arrange(made, W, H, people(1), 0)}
    assert alone[640] == "p0"


@pytest.mark.parametrize(
    "views",
    [
        [],
        [view(0, 0, 1281, 720)],
        [view(0, 0, 1280, 721)],
        [view(700, 0, 640, 720)],
        [view(0, 400, 640, 300)],
        [view(0, 0, 2000, 720)],
        [view(0, 0, 640, 720, ViewType=2), view(0, 0, 640, 720, ViewType=2)],
        [view(0, 0, 640, 720, StreamId="a"), view(0, 0, 640, 720, StreamId="a")],
        [view(0, 0, 640, 720)] * 26,
        [{"Left": 0, "Top": 0, "Right": 640, "Bottom": 360}],
        [view(0, 0, 640, 720, BackgroundImage="ftp://x/y.png")],
        [view(0, 0, 640, 720, FillMode=3)],
        [view(0, 0, 640, 720, Layer="1")],
    ],
)
def test_wrong_views_are_refused(views: list[dict[str, object]]) -> None:
    with pytest.raises(errors.ZegoError) as refused:
        shown(*views)
    assert refused.value.code == 300000004 and "MixInputList" in refused.value.message


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (4278190080, "#ff0000"),
        (16711680, "#00ff00"),
        (4294967040, "#ffffff"),
        (4290167040, "#ffb6c1"),
        (-256, "#ffffff"),
    ],
)
def test_colours(number: int, text: str) -> None:
    assert mixing.color(number & 0xFFFFFFFF if number > 0 else number) == text


def test_red_is_the_highest_byte() -> None:
    assert mixing.color(65280) == "#0000ff"
