"""What has to be drawn again when some of what lies over each other changed: judged by drawing with letters. Pure."""

from hypothesis import given
from hypothesis import strategies as st

from reelroom.record.mixed.stack import Rect, Stack

SIDE = 6
RECTS = st.builds(
    lambda x, y, w, h: Rect(x, y, min(w, SIDE - x), min(h, SIDE - y)),
    st.integers(0, SIDE - 1),
    st.integers(0, SIDE - 1),
    st.integers(0, SIDE),
    st.integers(0, SIDE),
)
LAYERS = st.lists(st.tuples(RECTS, st.booleans()), max_size=6)
Sheet = dict[tuple[int, int], tuple[object, ...]]


def pixels(rect: Rect) -> list[tuple[int, int]]:
    return [(x, y) for x in range(rect.x, rect.x + rect.width) for y in range(rect.y, rect.y + rect.height)]


def paint(sheet: Sheet, rect: Rect, opaque: bool, what: object) -> None:
    for pixel in pixels(rect):
        sheet[pixel] = (what,) if opaque else (*sheet[pixel], what)


def whole(stack: Stack, contents: list[int]) -> Sheet:
    sheet: Sheet = {(x, y): ("ground",) for x in range(SIDE) for y in range(SIDE)}
    for index, rect in enumerate(stack.rects):
        paint(sheet, rect, stack.opaque[index], (index, contents[index]))
    return sheet


def again(sheet: Sheet, stack: Stack, contents: list[int], what: tuple[list[int], list[Rect]]) -> Sheet:
    sheet = dict(sheet)
    for rect in what[1]:
        for pixel in pixels(rect):
            sheet[pixel] = ("ground",)
    for index in what[0]:
        paint(sheet, stack.rects[index], stack.opaque[index], (index, contents[index]))
    return sheet


@given(LAYERS, st.data())
def test_drawing_what_spread_says_is_as_good_as_drawing_everything(
    layers: list[tuple[Rect, bool]], data: st.DataObject
) -> None:
    stack = Stack([rect for rect, _ in layers], [opaque for _, opaque in layers])
    contents = [0] * len(layers)
    before = whole(stack, contents)
    changed = data.draw(st.sets(st.sampled_from(range(len(layers))))) if layers else set()
    for index in changed:
        contents[index] = 1
    assert again(before, stack, contents, stack.spread(changed)) == whole(stack, contents)


@given(LAYERS, st.data())
def test_it_is_too_when_some_moved_or_are_seen_through_now(
    layers: list[tuple[Rect, bool]], data: st.DataObject
) -> None:
    old = Stack([rect for rect, _ in layers], [opaque for _, opaque in layers])
    before = whole(old, [0] * len(layers))
    changed = data.draw(st.sets(st.sampled_from(range(len(layers))))) if layers else set()
    moved = [(data.draw(RECTS), data.draw(st.booleans())) if n in changed else layer for n, layer in enumerate(layers)]
    new = Stack([rect for rect, _ in moved], [opaque for _, opaque in moved])
    contents = [int(n in changed) for n in range(len(layers))]
    assert again(before, new, contents, new.spread(changed, old)) == whole(new, contents)


def test_neighbours_are_left_alone() -> None:
    stack = Stack([Rect(0, 0, 2, 2), Rect(2, 0, 2, 2), Rect(0, 2, 4, 2)], [True, True, True])
    assert stack.spread([1]) == ([1], [])
