"""Which bytes are taken as images of a mixed recording."""

import io

import pytest
from PIL import Image

from reelroom.control.images import MAX_SIDE, ImageSource, check_image


def encoded(kind: str, size: tuple[int, int] = (32, 18), mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, 128).save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_an_image_is_taken_by_what_its_bytes_say(kind: str) -> None:
    check_image(encoded(kind))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        (b"GIF89a", "not an image|cannot be read"),
        (encoded("TIFF"), "not an image"),
        (encoded("PNG")[:-30], "cannot be read|not an image"),
        (encoded("JPEG", (640, 360))[:500], "cannot be read"),
        (encoded("PNG", (MAX_SIDE + 1, 1), "L"), "pixels"),
        (encoded("PNG", (8192, 8192), "1"), "pixels"),
    ],
)
def test_what_is_no_whole_image_of_bounded_size_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_image(data)


def test_a_source_has_the_same_name_each_time() -> None:
    assert ImageSource(url="http://a/b").reference == ImageSource(url="http://a/b", where="x").reference
    assert ImageSource(url="http://a/b").reference != ImageSource(url="http://a/c").reference
    assert ImageSource(sha256="0" * 64).reference == "0" * 64
