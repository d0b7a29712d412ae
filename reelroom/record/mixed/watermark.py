"""Watermarks: an image, a text or the wall clock, as sheets to lay over the canvas. Knows no panes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

from PIL import Image

from reelroom.domain.scene import MAX_TEXT, Watermark
from reelroom.record.mixed.images import Images
from reelroom.record.mixed.planes import Sheet
from reelroom.record.mixed.text import draw_text, line_height

_DAY_MINUTES = 1440
_SECOND = 1_000_000_000


class Mark(NamedTuple):
    """A sheet, and the even pixel of the canvas where its corner goes."""

    sheet: Sheet
    x: int
    y: int


def says(mark: Watermark, at_ns: int) -> str:
    """Its text at a room time; "" for an image. "%9999d" is a pattern too: a clock is no longer than a text may be."""
    return clock(mark.clock, at_ns, mark.utc_offset_minutes)[:MAX_TEXT] if mark.clock else mark.text


def clock(pattern: str, at_ns: int, utc_offset_minutes: int) -> str:
    """The wall clock so far east of UTC, by a strftime pattern."""
    # Made of whole numbers: as a float, a time of today is some hundred ns off.
    utc = datetime.fromtimestamp(at_ns // _SECOND, UTC) + timedelta(microseconds=at_ns % _SECOND // 1000)
    offset = timedelta(minutes=utc_offset_minutes)
    if abs(utc_offset_minutes) < _DAY_MINUTES:
        return utc.astimezone(timezone(offset)).strftime(pattern)
    return (utc.replace(tzinfo=None) + offset).strftime(pattern)  # a whole day is no time zone


def drawn(mark: Watermark, text: str, width: int, height: int, images: Images) -> Mark | None:
    """On a canvas of that size, with `text` as `says` has it. None: nothing of it is seen."""
    across, down = (width, height) if mark.fractions else (1, 1)
    x, y = round(mark.x * across), round(mark.y * down)
    box = round(mark.width * across), round(mark.height * down)
    pixels = _image(mark, box, (width, height), images) if mark.image else _text(mark, text, box, (width, height))
    if pixels is None or mark.opacity == 0 or x >= width + bool(mark.anchor_x) or y >= height + bool(mark.anchor_y):
        return None
    x = max(0, x - round(mark.anchor_x * pixels.width))
    y = max(0, y - round(mark.anchor_y * pixels.height))
    # Chroma has half the pixels: the sheet begins at an even one, whatever the watermark does.
    sheet = Image.new(
        "RGBA", (min(pixels.width, width) + (x & 1) + 1 & ~1, min(pixels.height, height) + (y & 1) + 1 & ~1)
    )
    sheet.paste(pixels, (x & 1, y & 1))
    return Mark(Sheet(sheet, mark.opacity), x & ~1, y & ~1)


def _image(mark: Watermark, box: tuple[int, int], limit: tuple[int, int], images: Images) -> Image.Image | None:
    """At its own size; at a width and height if both are given; with one of them, in its own shape. Cut at `limit`."""
    image = images.get(mark.image)
    if image is None:
        return None
    width, height = box
    if not width and not height:
        return image
    width = width or max(1, round(image.width * height / image.height))
    height = height or max(1, round(image.height * width / image.width))
    # Only what can be seen is made: the numbers are a client's, who may ask for any size.
    seen = min(width, limit[0]), min(height, limit[1])
    part = (0, 0, image.width * seen[0] / width, image.height * seen[1] / height)
    return image.resize(seen, Image.Resampling.LANCZOS, part)


def _text(mark: Watermark, text: str, box: tuple[int, int], limit: tuple[int, int]) -> Image.Image | None:
    """Lines one below the other on the background, cut at the box where it has one, and at `limit`."""
    margin = mark.size // 4 if mark.background else 0
    room = max(0, min(box[0] or limit[0], limit[0]) - 2 * margin)
    step = line_height(mark.size)
    lines = [draw_text(line, mark.size, mark.color, room) for line in text.splitlines()[: limit[1] // step + 1]]
    if not lines:
        return None
    width = box[0] or max(line.width for line in lines) + 2 * margin
    size = min(width, limit[0]), min(box[1] or step * len(lines), limit[1])
    sheet = Image.new("RGBA", size, mark.background or mark.color + "00")
    for number, line in enumerate(lines):
        if number * step < size[1] and margin < size[0]:
            shown = line.crop((0, 0, min(line.width, size[0] - margin), line.height))
            sheet.alpha_composite(shown, (margin, number * step))
    return sheet
