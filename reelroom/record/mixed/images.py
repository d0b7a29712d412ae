"""Images of backgrounds, placeholders and watermarks: read from the recording's folder, bounded. Draws nothing."""

from __future__ import annotations

from pathlib import Path

import structlog
from PIL import Image, ImageOps

from reelroom.domain.scene import Fit
from reelroom.record.mixed.fitting import place

MAX_PIXELS = 34_000_000  # of one image's file: 8K
KEPT = 4096  # what is wider or higher is kept smaller: no canvas shows more
BUDGET = 64_000_000  # pixels of all that are kept at once: 256 MB
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")  # what control takes

log = structlog.get_logger(__name__)


class Images:
    """The folder's files, each named by its SHA-256. One that cannot be shown is told once, then left out.

    Those that were asked for last are kept, `BUDGET` pixels of them; others are read again when they are needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: dict[str, Image.Image | None] = {}

    def get(self, name: str) -> Image.Image | None:
        """The image in RGBA, upright; None when it is not there or is none that is taken."""
        if name in self._loaded:
            self._loaded[name] = self._loaded.pop(name)  # the last to be let go
        else:
            try:
                self._loaded[name] = load_image(self._folder / name)
            except (OSError, ValueError) as error:
                log.warning("image cannot be shown", image=name, error=str(error))
                self._loaded[name] = None
            self._shrink(name)
        return self._loaded[name]

    def _shrink(self, newest: str) -> None:
        """Let go of those that were asked for longest ago, as far as they are too many."""
        sizes = {name: image.width * image.height for name, image in self._loaded.items() if image is not None}
        total = sum(sizes.values())
        for name, size in sizes.items():
            if total <= BUDGET or name == newest:
                return
            del self._loaded[name]
            total -= size

    def keep(self, names: frozenset[str]) -> None:
        """Let go of all others."""
        for name in self._loaded.keys() - names:
            del self._loaded[name]


def load_image(path: Path) -> Image.Image:
    """The first picture of an image in RGBA, turned as its EXIF says, at most `KEPT` wide and high.

    OSError or ValueError if it is none, or has more than `MAX_PIXELS`.
    """
    try:
        with Image.open(path, formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"it has {image.width}x{image.height} pixels, more than {MAX_PIXELS}")
            image.draft("RGB", (KEPT, KEPT))  # a JPEG is decoded at half the size where that is enough
            turned = ImageOps.exif_transpose(image).convert("RGBA")
            turned.thumbnail((KEPT, KEPT))
            return turned
    except (SyntaxError, Image.DecompressionBombError) as error:  # what Pillow raises for some broken files
        raise ValueError(str(error)) from error


def fitted(image: Image.Image, width: int, height: int, fit: Fit) -> Image.Image:
    """`image` scaled onto an RGBA sheet of that even size, transparent where it does not reach."""
    placed = place(image.width, image.height, width, height, fit)
    scaled = image.resize((placed.width, placed.height), Image.Resampling.LANCZOS)
    sheet = Image.new("RGBA", (width, height))
    sheet.paste(scaled, (placed.x - placed.left, placed.y - placed.top))
    return sheet
