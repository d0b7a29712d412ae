"""Watermarks and images, to the pixel, with real fonts and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reelroom.control.images import FORMATS
from reelroom.domain.scene import MAX_TEXT, Fit, Watermark
from reelroom.record.mixed import images as module
from reelroom.record.mixed.images import Images, fitted, load_image
from reelroom.record.mixed.planes import Planes, empty
from reelroom.record.mixed.watermark import drawn, says

SECOND = 1_000_000_000


def filled(color: str, width: int, height: int) -> Planes:
    planes = empty(width, height)
    planes.fill(color)
    return planes


def test_text_watermark_is_where_it_is_put_to_the_pixel() -> None:
    for x, y in ((20, 10), (21, 11)):
        mark = Watermark(x=x, y=y, width=40, height=20, text="I", background="#ffffff", color="#ffffff")
        placed = drawn(mark, mark.text, 200, 100, Images(Path()))
        assert placed is not None
        planes = filled("#000000", 200, 100)
        placed.sheet.lay_over(planes, placed.x, placed.y)
        rows, columns = np.nonzero(planes.y == 235)
        assert (columns.min(), columns.max(), rows.min(), rows.max()) == (x, x + 39, y, y + 19)


def test_watermark_placed_by_fractions_scales_with_the_canvas() -> None:
    mark = Watermark(x=0.5, y=0.25, width=0.25, height=0.5, fractions=True, text="x", background="#ff0000")
    placed = drawn(mark, mark.text, 400, 200, Images(Path()))
    assert placed is not None
    assert (placed.x, placed.y, placed.sheet.width, placed.sheet.height) == (200, 50, 100, 100)
    assert drawn(Watermark(x=1, y=0, fractions=True, text="x"), "x", 400, 200, Images(Path())) is None


def test_watermark_of_any_size_asked_for_costs_no_more_than_the_canvas(tmp_path: Path) -> None:
    halves = Image.new("RGB", (1000, 10), "#ffffff")
    halves.paste("#000000", (10, 0, 1000, 10))
    halves.save(tmp_path / ("a" * 64), "PNG")
    wide = Watermark(x=0, y=0, width=20_000, height=1_000_000, image="a" * 64)
    placed = drawn(wide, "", 400, 200, Images(tmp_path))
    assert placed is not None
    planes = filled("#ff0000", 400, 200)
    placed.sheet.lay_over(planes, placed.x, placed.y)
    assert (planes.y[:, 0] > 230).all()
    assert (planes.y[:, 140] > 230).all()  # its first hundredth is 200 pixels wide
    assert (planes.y[:, 260] < 20).all()
    long = Watermark(x=0, y=0, width=1e9, height=1e9, text="x\n" * 100, size=200, background="#ffffff")
    placed = drawn(long, long.text, 400, 200, Images(tmp_path))
    assert placed is not None
    assert (placed.sheet.width, placed.sheet.height) == (400, 200)


def test_long_text_is_cut_at_the_canvas() -> None:
    mark = Watermark(x=0, y=0, text="never ending " * 15, size=40)
    placed = drawn(mark, mark.text, 400, 200, Images(Path()))
    assert placed is not None
    assert placed.sheet.width <= 400


def test_box_smaller_than_its_margin_is_only_its_background() -> None:
    mark = Watermark(x=0, y=0, width=2, height=2, text="x", size=40, background="#ffffff")
    placed = drawn(mark, mark.text, 400, 200, Images(Path()))
    assert placed is not None
    assert (placed.sheet.width, placed.sheet.height) == (2, 2)


def test_clock_says_the_room_s_time() -> None:
    assert says(Watermark(x=0, y=0, clock="%M:%S"), 61 * SECOND + 999_999_999) == "01:01"
    assert says(Watermark(x=0, y=0, text="%M"), 61 * SECOND) == "%M"


def test_a_pattern_that_asks_for_thousands_of_digits_is_no_longer_than_a_text_may_be() -> None:
    padded = Watermark(x=0, y=0, clock="%60000d".ljust(MAX_TEXT, "."))
    assert says(padded, 61 * SECOND) == "0" * MAX_TEXT


@pytest.mark.parametrize("kind", FORMATS)  # what control takes is what is drawn
def test_images_of_the_kinds_that_are_taken(kind: str, tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), "#2040c0").save(tmp_path / "image", kind)
    image = load_image(tmp_path / "image")
    assert (image.mode, image.size) == ("RGBA", (30, 20))
    assert all(abs(a - b) < 8 for a, b in zip(image.getpixel((9, 9)), (0x20, 0x40, 0xC0, 255), strict=True))


@pytest.mark.parametrize("kind", ["ICO", "TIFF", "PPM"])
def test_images_of_other_kinds_are_not_taken(kind: str, tmp_path: Path) -> None:
    Image.new("RGB", (30, 20)).save(tmp_path / "image", kind)
    with pytest.raises(OSError):
        load_image(tmp_path / "image")


def test_images_are_turned_as_their_camera_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20)).save(tmp_path / "image", "JPEG", exif=exif)
    assert load_image(tmp_path / "image").size == (20, 30)


def test_images_with_too_many_pixels_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PIXELS", 599)
    Image.new("RGB", (30, 20)).save(tmp_path / "image", "PNG")
    with pytest.raises(ValueError, match="30x20"):
        load_image(tmp_path / "image")
    assert Images(tmp_path).get("image") is None


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_large_images_are_kept_smaller_in_their_shape(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT", 100)
    Image.new("RGB", (450, 300), "#2040c0").save(tmp_path / "image", kind)
    image = load_image(tmp_path / "image")
    assert image.width == 100
    assert abs(image.height - 67) <= 1


def test_broken_images_are_left_out(tmp_path: Path) -> None:
    Image.effect_noise((200, 200), 80).save(tmp_path / "whole", "PNG")
    data = (tmp_path / "whole").read_bytes()
    for cut in (0, 8, 40, len(data) // 2):
        (tmp_path / f"cut{cut}").write_bytes(data[:cut])
        assert Images(tmp_path).get(f"cut{cut}") is None


def test_images_are_read_once_until_they_are_let_go(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20)).save(tmp_path / "image", "PNG")
    images = Images(tmp_path)
    first = images.get("image")
    assert images.get("image") is first
    images.keep(frozenset())
    (tmp_path / "image").unlink()
    assert images.get("image") is None


def test_fitted_image_is_transparent_where_it_does_not_reach() -> None:
    sheet = fitted(Image.new("RGBA", (100, 50), "#ff0000"), 200, 200, Fit.FIT)
    assert sheet.size == (200, 200)
    assert sheet.getpixel((100, 45)) == (0, 0, 0, 0)
    assert sheet.getpixel((100, 100)) == (255, 0, 0, 255)
    assert np.asarray(fitted(Image.new("RGBA", (100, 50), "#ff0000"), 200, 200, Fit.CROP))[..., 3].min() == 255


def test_images_are_let_go_when_they_are_too_many_and_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUDGET", 250)  # two of them
    colors = {"a": "#ff0000", "b": "#00ff00", "c": "#0000ff"}
    for name, color in colors.items():
        Image.new("RGB", (10, 10), color).save(tmp_path / name, "PNG")
    images = Images(tmp_path)
    first = images.get("a")
    assert images.get("missing") is None
    images.get("b")
    assert images.get("a") is first
    images.get("c")
    assert set(images._loaded) == {"missing", "a", "c"}
    again = images.get("b")
    assert again is not None and again.getpixel((0, 0)) == (0, 255, 0, 255)
