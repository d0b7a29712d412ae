"""Where pictures land in panes of other shapes. Pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelroom.domain.scene import Fit
from reelroom.record.mixed.fitting import Placed, place

SIZES = st.integers(min_value=1, max_value=4096)
EVEN = st.integers(min_value=1, max_value=1024).map(lambda half: 2 * half)


@given(SIZES, SIZES, EVEN, EVEN, st.sampled_from(Fit))
def test_part_shown_is_even_and_inside_of_picture_and_pane(w: int, h: int, width: int, height: int, fit: Fit) -> None:
    placed = place(w, h, width, height, fit)
    assert all(number % 2 == 0 for number in placed)
    assert placed.x + placed.shown_width <= width
    assert placed.y + placed.shown_height <= height
    assert placed.left + placed.shown_width <= placed.width
    assert placed.top + placed.shown_height <= placed.height
    assert min(placed.shown_width, placed.shown_height) >= 2


@given(SIZES, SIZES, EVEN, EVEN)
def test_crop_fills_the_pane(w: int, h: int, width: int, height: int) -> None:
    placed = place(w, h, width, height, Fit.CROP)
    assert (placed.x, placed.y, placed.shown_width, placed.shown_height) == (0, 0, width, height)


@given(SIZES, SIZES, EVEN, EVEN)
def test_fit_shows_all_of_it_and_touches_two_edges(w: int, h: int, width: int, height: int) -> None:
    placed = place(w, h, width, height, Fit.FIT)
    assert (placed.left, placed.top) == (0, 0)
    assert (placed.shown_width, placed.shown_height) == (placed.width, placed.height)
    assert placed.width == width or placed.height == height


def test_shapes_are_kept_and_centred() -> None:
    assert place(1280, 720, 640, 360, Fit.CROP) == Placed(640, 360, 0, 0, 0, 0, 640, 360)
    assert place(1280, 720, 360, 360, Fit.CROP) == Placed(640, 360, 140, 0, 0, 0, 360, 360)
    assert place(1280, 720, 360, 360, Fit.FIT) == Placed(360, 202, 0, 0, 0, 78, 360, 202)
    assert place(720, 1280, 640, 360, Fit.FIT) == Placed(202, 360, 0, 0, 218, 0, 202, 360)
    assert place(720, 1280, 640, 360, Fit.STRETCH) == Placed(640, 360, 0, 0, 0, 0, 640, 360)


@pytest.mark.parametrize("fit", list(Fit))
@pytest.mark.parametrize("source", [(4096, 2), (2, 4096), (8192, 1), (1, 1)])
def test_a_picture_that_is_a_mere_line_is_never_scaled_to_many_times_the_rectangle(
    source: tuple[int, int], fit: Fit
) -> None:
    placed = place(*source, 1280, 720, fit)
    assert placed.width <= 8 * 1280
    assert placed.height <= 8 * 720
    assert (placed.x + placed.shown_width <= 1280, placed.y + placed.shown_height <= 720) == (True, True)
    assert fit is Fit.FIT or (placed.shown_width, placed.shown_height) == (1280, 720)
