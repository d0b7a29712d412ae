"""Where people stand on the canvas: presets, custom panes, tables, speakers. Pure geometry."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reelroom.domain.layout import PRESETS, Pane, Person, Speaker, arrange, best_fit, check_layout, grid
from reelroom.domain.scene import (
    Fit,
    Layout,
    Overlay,
    Pin,
    Place,
    Preset,
    Run,
    Scene,
    Surface,
    Table,
    Vacant,
    Watermark,
)

S = 1_000_000_000
WITH_LARGE = sorted(PRESETS)
APART = [Preset.BEST_FIT, Preset.VERTICAL, Preset.HORIZONTAL, Preset.SCREEN_SHARE]  # nobody covers anybody
SIDES = st.integers(8, 960).map(lambda half: half * 2)


def people(count: int, **more: object) -> list[Person]:
    return [Person(f"p{n}", "camera", n, True, **more) for n in range(count)]  # type: ignore[arg-type]


def boxes(panes: tuple[Pane, ...]) -> list[tuple[str, int, int, int, int]]:
    return [(pane.identity, pane.x, pane.y, pane.width, pane.height) for pane in panes]


def overlap(a: Pane, b: Pane) -> bool:
    return a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height


@given(
    preset=st.sampled_from([preset for preset in Preset if preset not in (Preset.CUSTOM, Preset.TABLES)]),
    count=st.integers(0, 40),
    most=st.integers(1, 64),
    width=SIDES,
    height=SIDES,
    focus=st.sampled_from(["", "p0", "p3", "nobody"]),
    vacant=st.sampled_from(Vacant),
)
def test_panes_are_even_and_inside_the_canvas_and_one_for_each_person(
    preset: Preset, count: int, most: int, width: int, height: int, focus: str, vacant: Vacant
) -> None:
    layout = Layout(preset=preset, max_panes=most, focus=focus, vacant=vacant)
    panes = arrange(layout, width, height, people(count), 0)
    for pane in panes:
        assert all(value % 2 == 0 for value in (pane.x, pane.y, pane.width, pane.height))
        assert pane.x >= 0 and pane.y >= 0 and pane.width > 0 and pane.height > 0
        assert pane.x + pane.width <= width and pane.y + pane.height <= height
    assert len({pane.identity for pane in panes}) == len(panes) <= min(count, most)
    if preset in APART:
        assert not any(overlap(a, b) for i, a in enumerate(panes) for b in panes[:i])


@given(columns=st.integers(1, 8), rows=st.integers(1, 8), width=SIDES, height=SIDES)
def test_a_full_grid_covers_every_pixel_once(columns: int, rows: int, width: int, height: int) -> None:
    assume(width >= 2 * columns and height >= 2 * rows)  # cells of less than two pixels vanish
    layout = Layout(preset=Preset.TABLES, tables=(grid(columns, rows),), max_panes=64)
    panes = arrange(layout, width, height, people(columns * rows), 0)
    assert sum(pane.width * pane.height for pane in panes) == width * height
    assert not any(overlap(a, b) for i, a in enumerate(panes) for b in panes[:i])


@given(count=st.integers(2, 25), width=SIDES, height=SIDES)
def test_the_large_pane_and_full_columns_beside_it_cover_the_canvas(count: int, width: int, height: int) -> None:
    table = next(table for table in PRESETS[Preset.VERTICAL] if table.cells + 1 >= count)
    assume(width >= 2 * table.columns and height >= 2 * table.rows)
    layout = Layout(preset=Preset.VERTICAL, max_panes=64)
    panes = arrange(layout, width, height, people(table.cells + 1), 0)
    assert sum(pane.width * pane.height for pane in panes) == width * height


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, [(0, 0, 1280, 720)]),
        (2, [(0, 0, 640, 720), (640, 0, 640, 720)]),
        (3, [(0, 0, 640, 360), (640, 0, 640, 360), (320, 360, 640, 360)]),
        (5, [(0, 0, 426, 360), (426, 0, 428, 360), (854, 0, 426, 360), (214, 360, 426, 360), (640, 360, 426, 360)]),
    ],
)
def test_best_fit_centres_a_row_that_is_not_full(count: int, expected: list[tuple[int, int, int, int]]) -> None:
    found = [pane[2:6] for pane in arrange(Layout(), 1280, 720, people(count), 0)]
    assert found == expected


def test_best_fit_stands_upright_on_an_upright_canvas() -> None:
    assert [pane[2:6] for pane in arrange(Layout(), 720, 1280, people(2), 0)] == [(0, 0, 720, 640), (0, 640, 720, 640)]


@given(count=st.integers(1, 64), portrait=st.booleans())
def test_best_fit_has_a_cell_for_each(count: int, portrait: bool) -> None:
    assert best_fit(count, portrait).cells == count


def test_vertical_gives_the_focus_the_large_pane_and_others_the_column_in_join_order() -> None:
    panes = arrange(Layout(preset=Preset.VERTICAL, focus="p1"), 1000, 800, people(3), 0)
    assert boxes(panes) == [("p1", 0, 0, 800, 800), ("p0", 800, 0, 200, 200), ("p2", 800, 200, 200, 200)]


def test_horizontal_is_vertical_turned() -> None:
    panes = arrange(Layout(preset=Preset.HORIZONTAL), 800, 1000, people(3), 0)
    assert boxes(panes) == [("p0", 0, 0, 800, 800), ("p1", 0, 800, 200, 200), ("p2", 200, 800, 200, 200)]


def test_who_is_alone_fills_the_canvas_of_a_large_and_small_preset() -> None:
    for preset in (Preset.VERTICAL, Preset.HORIZONTAL, Preset.FLOATING, Preset.PICTURE_IN_PICTURE):
        assert boxes(arrange(Layout(preset=preset), 640, 360, people(1), 0)) == [("p0", 0, 0, 640, 360)]


def test_small_panes_float_in_front_of_the_large_one() -> None:
    panes = arrange(Layout(preset=Preset.FLOATING), 1280, 720, people(3), 0)
    assert [pane.z for pane in panes] == [0, 1, 1]
    assert boxes(panes)[0] == ("p0", 0, 0, 1280, 720)
    assert boxes(panes)[1][1:3] == (16, 542)  # Tencent's example, 15 x 542, in even pixels


def test_picture_in_picture_shows_two() -> None:
    panes = arrange(Layout(preset=Preset.PICTURE_IN_PICTURE), 1280, 720, people(4), 0)
    assert boxes(panes) == [("p0", 0, 0, 1280, 720), ("p1", 928, 522, 320, 180)]


def test_a_shared_screen_is_large_whole_and_a_grid_stands_while_nobody_shares() -> None:
    both = [*people(2), Person("p1", "screen", 1, True)]
    layout = Layout(preset=Preset.SCREEN_SHARE)
    large, *others = arrange(layout, 1000, 800, both, 0)
    assert (large.identity, large.source, large.fit, large[2:6]) == ("p1", "screen", Fit.FIT, (0, 0, 800, 800))
    assert [(pane.identity, pane.source, pane.fit) for pane in others] == [
        ("p0", "camera", Fit.CROP),
        ("p1", "camera", Fit.CROP),
    ]
    assert arrange(layout, 1000, 800, people(2), 0) == arrange(Layout(), 1000, 800, people(2), 0)


@pytest.mark.parametrize(
    ("vacant", "focus", "large"),
    [
        (Vacant.FILL, "gone", "p0"),
        (Vacant.WAIT, "gone", None),
        (Vacant.WAIT, "", "p0"),
        (Vacant.EMPTY, "", None),
        (Vacant.EMPTY, "p1", "p1"),
    ],
)
def test_who_has_the_large_pane_when_the_focus_is_not_there(vacant: Vacant, focus: str, large: str | None) -> None:
    layout = Layout(preset=Preset.VERTICAL, vacant=vacant, focus=focus)
    panes = arrange(layout, 1000, 800, people(2), 0)
    found = [pane.identity for pane in panes if pane.width == 800]
    assert found == ([] if large is None else [large])
    assert {pane.identity for pane in panes} == {"p0", "p1"}


def test_whoever_spoke_last_is_large_where_the_layout_follows_the_speaker_and_no_focus_is_named() -> None:
    room = [Person("a", "camera", 0, True, spoke_ns=S), Person("b", "camera", 1, True, spoke_ns=2 * S)]
    layout = Layout(preset=Preset.VERTICAL, follow_speaker=True)
    assert arrange(layout, 640, 360, room, 3 * S)[0].identity == "b"
    assert arrange(layout, 640, 360, room, 3 * S, speaker="a")[0].identity == "a"
    fixed = Layout(preset=Preset.VERTICAL, follow_speaker=True, focus="a")
    assert arrange(fixed, 640, 360, room, 3 * S)[0].identity == "a"


def test_people_beyond_the_most_panes_are_not_shown_but_the_focus_always_is() -> None:
    layout = Layout(preset=Preset.VERTICAL, max_panes=3, focus="p9")
    assert [pane.identity for pane in arrange(layout, 640, 360, people(10), 0)] == ["p9", "p0", "p1"]


def place(x: float, y: float, width: float, height: float, **more: object) -> Place:
    return Place(x=x, y=y, width=width, height=height, **more)  # type: ignore[arg-type]


def test_custom_panes_go_to_their_people_and_the_free_ones_to_the_rest_in_join_order() -> None:
    layout = Layout(
        preset=Preset.CUSTOM,
        panes=(
            place(0, 0, 0.5, 1),
            place(0.5, 0, 0.5, 0.5, identity="p0", fit=Fit.STRETCH, alpha=0.5),
            place(0.5, 0.5, 0.5, 0.5),
        ),
    )
    panes = arrange(layout, 640, 360, people(4), 0)
    assert boxes(panes) == [("p1", 0, 0, 320, 360), ("p0", 320, 0, 320, 180), ("p2", 320, 180, 320, 180)]
    assert [(pane.fit, pane.alpha) for pane in panes] == [(Fit.CROP, 1.0), (Fit.STRETCH, 0.5), (Fit.CROP, 1.0)]


def test_custom_panes_are_drawn_by_z_then_in_their_order() -> None:
    places = (place(0, 0, 1, 1, z=5), place(0, 0, 1, 1), place(0, 0, 1, 1))
    panes = arrange(Layout(preset=Preset.CUSTOM, panes=places), 640, 360, people(3), 0)
    assert [pane.identity for pane in panes] == ["p1", "p2", "p0"]


def test_a_custom_pane_whose_person_is_away_is_a_placeholder_or_nothing() -> None:
    places = (place(0, 0, 0.5, 1, identity="away"), place(0.5, 0, 0.5, 1))
    kept = arrange(Layout(preset=Preset.CUSTOM, panes=places), 640, 360, [], 0)
    assert boxes(kept) == [("away", 0, 0, 320, 360), ("", 320, 0, 320, 360)]
    assert arrange(Layout(preset=Preset.CUSTOM, panes=places, keep_absent=False), 640, 360, [], 0) == ()


def test_custom_panes_may_be_pixels_and_may_be_of_one_source() -> None:
    both = [Person("a", "camera", 0, True), Person("a", "screen", 0, True)]
    places = (place(11, 20, 301, 168, source="screen"), place(400, 0, 200, 100, identity="a", source="camera"))
    panes = arrange(Layout(preset=Preset.CUSTOM, panes=places), 640, 360, both, 0)
    assert [(pane.source, pane[2:6]) for pane in panes] == [
        ("screen", (12, 20, 300, 168)),
        ("camera", (400, 0, 200, 100)),
    ]


@given(parts=st.integers(1, 30), side=SIDES)
def test_custom_fractions_with_six_decimals_meet_exactly(parts: int, side: int) -> None:
    assume(side >= 2 * parts)
    cuts = [round(n / parts, 6) for n in range(parts + 1)]
    places = tuple(place(a, 0, round(b - a, 6), 1) for a, b in pairwise(cuts))
    panes = arrange(Layout(preset=Preset.CUSTOM, panes=places), side, 16, people(parts), 0)
    assert [pane.x for pane in panes][1:] == [pane.x + pane.width for pane in panes][:-1]


def test_a_custom_pane_beyond_the_canvas_is_refused() -> None:
    for wrong in (place(0.6, 0, 0.5, 1), place(600, 0, 100, 100)):
        with pytest.raises(ValueError, match=r"panes\[0\] reaches beyond"):
            check_layout(Layout(preset=Preset.CUSTOM, panes=(wrong,)), 640, 360)
    check_layout(Layout(preset=Preset.CUSTOM, panes=(place(1 / 3, 0, 2 / 3, 1),)), 640, 360)


def test_tables_are_chosen_by_how_many_are_there() -> None:
    """As Aliyun switches: the one with as many panes, else the next larger, else the largest."""
    side = Table(columns=10_000, rows=10_000, runs=(Run(x=21, y=2516, width=4968, height=4968, dx=4989, count=2),))
    layout = Layout(preset=Preset.TABLES, tables=(grid(1, 1), side, grid(2, 2)))
    found = {count: len(arrange(layout, 1280, 720, people(count), 0)) for count in (0, 1, 2, 3, 4, 9)}
    assert found == {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 9: 4}
    assert boxes(arrange(layout, 1280, 720, people(2), 0)) == [("p0", 2, 182, 636, 356), ("p1", 642, 182, 636, 356)]


def test_a_pinned_person_has_their_pane_of_a_table_while_they_are_there() -> None:
    large = Table(columns=2, rows=1, large=(0, 0, 1, 1), runs=(Run(x=1, y=0, width=1, height=1),))
    layout = Layout(preset=Preset.TABLES, tables=(large,), pins=(Pin(pane=0, identity="p1"),))
    assert [pane.identity for pane in arrange(layout, 640, 360, people(2), 0)] == ["p1", "p0"]
    assert [pane.identity for pane in arrange(layout, 640, 360, people(1), 0)] == ["p0"]
    second = Layout(preset=Preset.TABLES, tables=(large,), pins=(Pin(pane=1, identity="p0"),))
    assert [pane.identity for pane in arrange(second, 640, 360, people(2), 0)] == ["p1", "p0"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"columns": 2, "rows": 2},
        {"columns": 2, "rows": 2, "large": (0, 0, 3, 1)},
        {"columns": 2, "rows": 2, "runs": (Run(x=0, y=0, width=1, height=1, dx=1, count=3),)},
        {"columns": 0, "rows": 2, "large": (0, 0, 1, 1)},
    ],
)
def test_a_table_whose_panes_are_outside_of_it_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="table"):
        Table(**wrong)  # type: ignore[arg-type]


def said(**times: float) -> list[Person]:
    return [Person(who, "camera", n, True, spoke_ns=int(at * S)) for n, (who, at) in enumerate(times.items())]


def test_the_first_speaker_is_followed_at_once_and_a_cough_changes_nothing() -> None:
    speaker = Speaker()
    assert speaker.choose(said(a=0, b=0), 10 * S) == ""
    assert speaker.choose(said(a=10, b=0), 10 * S) == "a"
    assert speaker.choose(said(a=10, b=12.9), 13 * S) == "a"  # b has only just begun
    assert speaker.choose(said(a=10, b=12.9), 14 * S) == "a"  # ... and has ended


def test_another_speaker_takes_over_when_the_first_is_silent() -> None:
    speaker = Speaker()
    speaker.choose(said(a=10, b=0), 10 * S)
    assert speaker.choose(said(a=12, b=12), 12 * S) == "a"  # both talk: the first stays
    assert speaker.choose(said(a=12, b=12.8), 12_800_000_000) == "a"
    assert speaker.choose(said(a=12, b=13.5), 13_500_000_000) == "b"


def test_somebody_else_is_followed_when_the_speaker_leaves() -> None:
    speaker = Speaker()
    speaker.choose(said(a=10, b=10), 10 * S)
    assert speaker.choose(said(b=10.5), 10_500_000_000) == "b"


def test_a_custom_pane_keeps_its_own_placeholder_whoever_stands_in_it() -> None:
    own = Surface(color="", image="ab" * 32)
    places = (Place(x=0, y=0, width=0.5, height=1, placeholder=own), Place(x=0.5, y=0, width=0.5, height=1))
    layout = Layout(preset=Preset.CUSTOM, panes=places)
    alice = Person("alice", "camera", 0, True)
    assert [pane.placeholder for pane in arrange(layout, 640, 360, [alice], 0)] == [own, None]
    assert [pane.placeholder for pane in arrange(layout, 640, 360, [], 0)] == [own, None]
    scene = Scene(layout=layout)
    assert scene.images() == {"ab" * 32}
    named = scene.with_images({"ab" * 32: "cd" * 32}).layout.panes[0].placeholder
    assert named == Surface(color="", image="cd" * 32)


def test_panes_of_a_table_are_drawn_by_z_and_the_one_it_names_is_taken_first() -> None:
    runs = (Run(x=0, y=0, width=2, height=2, z=5), Run(x=2, y=2, width=2, height=2), Run(x=1, y=1, width=2, height=2))
    layout = Layout(preset=Preset.TABLES, tables=(Table(columns=4, rows=4, runs=runs, first=2),))
    people = [Person(name, "camera", order, True) for order, name in enumerate("abc")]
    shown = arrange(layout, 400, 400, people, 0)
    assert [(pane.identity, pane.x, pane.z) for pane in shown] == [("c", 200, 1), ("a", 100, 1), ("b", 0, 6)]
    assert [pane.identity for pane in arrange(layout, 400, 400, people[:1], 0)] == ["a"]
    pinned = Layout(preset=Preset.TABLES, tables=layout.tables, pins=(Pin(pane=2, identity="b"),))
    assert {pane.x: pane.identity for pane in arrange(pinned, 400, 400, people, 0)} == {100: "b", 0: "a", 200: "c"}


def test_overlays_belong_to_a_pane_whoever_stands_in_it() -> None:
    mark = Overlay(mark=Watermark(x=0, y=0, image="ab" * 32), vacant=True)
    table = Table(columns=2, rows=1, runs=(Run(x=0, y=0, width=1, height=1, dx=1, count=2),))
    layout = Layout(preset=Preset.TABLES, tables=(table,), pins=(Pin(pane=1, overlays=(mark,)),))
    people = [Person(name, "camera", order, True) for order, name in enumerate("ab")]
    shown = arrange(layout, 640, 360, people, 0)
    assert [(pane.identity, pane.overlays) for pane in shown] == [("a", ()), ("b", (mark,))]
    scene = Scene(layout=layout, backdrops=(Watermark(x=0, y=0, image="cd" * 32), Watermark(x=0, y=0, text="t")))
    assert scene.images() == {"ab" * 32, "cd" * 32}
    named = scene.with_images({"ab" * 32: "ef" * 32, "cd" * 32: ""})
    assert named.layout.pins[0].overlays[0].mark.image == "ef" * 32
    assert [backdrop.text for backdrop in named.backdrops] == ["t"]
    assert scene.with_images({"ab" * 32: "", "cd" * 32: ""}).layout.pins[0].overlays == ()
