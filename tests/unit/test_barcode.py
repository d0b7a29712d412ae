"""The bar code survives scaling, noise and cropping, and says no when it is damaged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelroom.demo import barcode
from reelroom.demo.barcode import Code

codes = st.builds(
    Code,
    st.integers(0, barcode.MAX_PARTICIPANT),
    st.integers(0, barcode.MAX_FRAME),
    st.integers(0, barcode.MAX_MS),
)


def picture(code: Code, width: int = 640, height: int = 360) -> np.ndarray:
    luma = np.full((height, width), 120, dtype=np.uint8)
    barcode.draw(luma, code)
    return luma


@given(codes)
def test_bits_carry_every_code(code: Code) -> None:
    assert barcode.from_bits(barcode.to_bits(code)) == code


@given(codes, st.integers(0, 63), st.integers(0, 63))
def test_one_or_two_flipped_bits_are_noticed(code: Code, one: int, other: int) -> None:
    damaged = barcode.to_bits(code) ^ (1 << one | 1 << other)
    assert barcode.from_bits(damaged) is None


@given(codes)
def test_is_read_from_the_picture_it_was_drawn_into(code: Code) -> None:
    assert barcode.read(picture(code)) == code


@pytest.mark.parametrize("size", [(1280, 720), (640, 360), (320, 180), (854, 480), (720, 1280)])
def test_is_read_at_every_size(size: tuple[int, int]) -> None:
    assert barcode.read(picture(Code(5, 1234, 41133), *size)) == Code(5, 1234, 41133)


def test_is_read_when_scaled_to_a_quarter_and_noisy() -> None:
    noise = np.random.default_rng(1).normal(0, 25, (180, 320))
    small = picture(Code(9, 300, 10000), 1280, 720)[::4, ::4]
    assert barcode.read(np.clip(small + noise, 0, 255).astype(np.uint8)) == Code(9, 300, 10000)


def test_is_read_from_a_pane_of_a_composition_and_from_one_cropped_to_4_by_3() -> None:
    canvas = np.zeros((720, 1280), dtype=np.uint8)
    canvas[360:, 640:] = picture(Code(3, 7, 233))
    assert barcode.read(canvas, (640, 360, 640, 360)) == Code(3, 7, 233)
    assert barcode.read(canvas) is None
    cropped = picture(Code(3, 7, 233))[:, 80:560]
    assert barcode.read(cropped, (-80, 0, 640, 360)) == Code(3, 7, 233)


def test_flat_pictures_have_no_code() -> None:
    assert barcode.read(np.full((360, 640), 16, dtype=np.uint8)) is None


@pytest.mark.parametrize("code", [Code(64, 0, 0), Code(0, 1 << 18, 0), Code(0, 0, 1 << 22), Code(-1, 0, 0)])
def test_fields_out_of_range_are_refused(code: Code) -> None:
    with pytest.raises(ValueError, match="outside"):
        barcode.to_bits(code)
