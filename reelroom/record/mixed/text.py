"""Text as pixels, in any script that a font is there for. Knows no panes and no planes.

Fonts come with the package: Noto Sans for Latin, Greek, Cyrillic, Devanagari, Chinese, Japanese, Korean, Arabic,
Hebrew, Thai, Lao, Khmer, Myanmar. What none of them has is looked for among the system's with fontconfig; a box is
drawn where it has none either.
"""

from __future__ import annotations

import re
import subprocess
import unicodedata
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

# Packages that hold font files and nothing else that is used.
_CJK = "noto_cjk_sans_otc", "NotoSansCJK-Regular.ttc"
_JAPANESE, _KOREAN, _CHINESE = 0, 1, 2  # numbers of the collection's fonts: the same characters in each land's shapes
_LATIN = "fontpkg_noto_sans", "files/NotoSans[wdth,wght].ttf"
_OTHERS = (
    ("justmytype_intl_rtl", "fonts/ofl/notosansarabic/NotoSansArabic[wdth,wght].ttf"),
    ("justmytype_intl_rtl", "fonts/ofl/notosanshebrew/NotoSansHebrew[wdth,wght].ttf"),
    ("justmytype_intl_sea", "fonts/ofl/notosansthai/NotoSansThai[wdth,wght].ttf"),
    ("justmytype_intl_sea", "fonts/ofl/notosanslao/NotoSansLao[wdth,wght].ttf"),
    ("justmytype_intl_sea", "fonts/ofl/notosanskhmer/NotoSansKhmer[wdth,wght].ttf"),
    ("justmytype_intl_sea", "fonts/ofl/notosansmyanmar/NotoSansMyanmar[wdth,wght].ttf"),
)
_KANA = re.compile("[\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f]")
_HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]")
_NOBODYS = "\U0010ffff"  # a character that no font has
_SYSTEM_LOOKS = 16  # how often fontconfig is asked at most: it takes milliseconds
_LOOK_S = 5
_ELLIPSIS = "…"
_REGULAR = 400  # the default of some files is thin


class Face(NamedTuple):
    """One font of a file."""

    path: str
    number: int = 0
    variable: bool = False


class _Run(NamedTuple):
    """Letters of one font that are read in one direction."""

    text: str
    face: Face
    backwards: bool  # from right to left

    @property
    def direction(self) -> str:
        return "rtl" if self.backwards else "ltr"


def draw_text(text: str, size: int, color: str, max_width: int | None = None) -> Image.Image:
    """One line on a transparent RGBA sheet, its letters `size` pixels high (em), cut with an ellipsis at `max_width`.

    The sheet's height depends on `size` only, so that lines of any script stand on one base line.
    """
    text = clean(text)
    if max_width is not None and _width(text, size) > max_width:
        text = _cut(text, size, max_width)
    runs = _visual(text)
    sheet = Image.new("RGBA", (max(1, round(_width(text, size))), line_height(size)), color + "00")
    # Weights are drawn on their own: drawn into RGBA, glyphs that touch would wipe out each other's edges.
    weights = Image.new("L", sheet.size)
    pen = ImageDraw.Draw(weights)
    x = 0.0
    for run in runs:
        font = _font(run.face, size)
        pen.text((x, _base_line(size)), run.text, font=font, fill=255, anchor="ls", direction=run.direction)
        x += font.getlength(run.text, direction=run.direction)
    sheet.putalpha(weights)
    return sheet


def line_height(size: int) -> int:
    """Of one line, in pixels."""
    return _base_line(size) + round(size * 0.45)


def clean(text: str) -> str:
    """On one line, without control characters."""
    text = " ".join(text.split())
    return "".join(char for char in text if unicodedata.category(char) not in ("Cc", "Cs", "Cn", "Co"))


def _base_line(size: int) -> int:
    return round(size * 1.1)


def _cut(text: str, size: int, max_width: int) -> str:
    short, long = 0, len(text)
    while short < long:
        middle = (short + long + 1) // 2
        if _width(text[:middle].rstrip() + _ELLIPSIS, size) <= max_width:
            short = middle
        else:
            long = middle - 1
    while short and unicodedata.combining(text[short : short + 1] or " "):
        short -= 1  # a letter keeps its marks or goes with them
    return text[:short].rstrip() + _ELLIPSIS if short else ""


def _width(text: str, size: int) -> float:
    return sum(_font(run.face, size).getlength(run.text, direction=run.direction) for run in _visual(text))


@lru_cache(maxsize=512)
def _visual(text: str) -> tuple[_Run, ...]:
    """Pieces of one font and direction from left to right: what the Unicode rules say without embeddings.

    Within a piece the shaper puts the letters in order.
    """
    directions = _directions(text)
    runs: list[_Run] = []
    for char, backwards in zip(text, directions, strict=True):
        before = runs[-1] if runs else None
        face = _face_for(char, text, before.face if before is not None else None)
        if before is not None and before.face == face and before.backwards == backwards:
            runs[-1] = before._replace(text=before.text + char)
        else:
            runs.append(_Run(char, face, backwards))
    groups = [list(group) for _, group in groupby(runs, key=lambda run: run.backwards)]
    ordered = [group[::-1] if group[0].backwards else group for group in groups]
    if _base_backwards(text):
        ordered.reverse()
    return tuple(run for group in ordered for run in group)


def _directions(text: str) -> list[bool]:
    """Of each character: whether it is read from right to left."""
    base = _base_backwards(text)
    strong = [_backwards(char) for char in text]
    found: list[bool] = []
    for index, own in enumerate(strong):
        if own is not None:
            found.append(own)
            continue
        before = next((one for one in reversed(strong[:index]) if one is not None), base)
        after = next((one for one in strong[index + 1 :] if one is not None), base)
        number = unicodedata.bidirectional(text[index]) in ("EN", "AN", "NSM")
        found.append(before if number or before == after else base)
    return found


def _base_backwards(text: str) -> bool:
    return next((own for own in map(_backwards, text) if own is not None), False)


def _backwards(char: str) -> bool | None:
    """None: as what it stands next to."""
    kind = unicodedata.bidirectional(char)
    return kind != "L" if kind in ("L", "R", "AL") else None


def _face_for(char: str, text: str, current: Face | None) -> Face:
    if current is not None and _backwards(char) is None and (_joins(char) or _has(current, char)):
        return current  # spaces, digits, marks and joiners stay with what they stand next to
    if current is not None and _joins(char) and _has(current, char):
        return current
    faces: Sequence[Face] = (_file(*_LATIN), _chinese(text), *(_file(*other) for other in _OTHERS))
    for face in (*faces, *_found):
        if _has(face, char):
            return face
    if len(_looked) < _SYSTEM_LOOKS and char not in _looked:
        _looked.add(char)
        system = _system(char)
        if system is not None:
            _found.append(system)
            return system
    return faces[0]


def _chinese(text: str) -> Face:
    """The font for Chinese characters, as they are written where the rest of `text` is from."""
    if _KANA.search(text):
        return _file(*_CJK, _JAPANESE)
    return _file(*_CJK, _KOREAN if _HANGUL.search(text) else _CHINESE)


@cache
def _file(package: str, path: str, number: int = 0) -> Face:
    return Face(str(Path(str(files(package))) / path), number, "wght" in path)


def _joins(char: str) -> bool:
    return unicodedata.category(char) in ("Mn", "Me", "Mc", "Cf")


_found: list[Face] = []  # system fonts that were needed
_looked: set[str] = set()  # characters that fontconfig was asked for


def _system(char: str) -> Face | None:
    """What fontconfig has for it; None when there is nothing, or no fontconfig."""
    command = ["fc-match", "-f", "%{file}\n%{index}", f":charset={ord(char):x}:scalable=true:color=false"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_LOOK_S, check=True).stdout
        path, _, number = answer.partition("\n")
        face = Face(path, int(number) & 0xFFFF)
        return face if _has(face, char) else None
    except (OSError, ValueError, subprocess.SubprocessError):
        return None  # a box is drawn


@lru_cache(maxsize=4096)
def _has(face: Face, char: str) -> bool:
    font = _font(face, 16)
    mask, nobody = font.getmask(char), _missing(face)
    return (mask.size, bytes(mask)) != nobody


@cache
def _missing(face: Face) -> tuple[tuple[int, int], bytes]:
    mask = _font(face, 16).getmask(_NOBODYS)
    return mask.size, bytes(mask)


@lru_cache(maxsize=64)
def _font(face: Face, size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.truetype(face.path, size, index=face.number)
    if face.variable:
        weights: list[float] = []
        for axis in font.get_variation_axes():
            weights.append(_REGULAR if axis["name"] == b"Weight" else axis["default"] or 0)
        font.set_variation_by_axes(weights)
    return font
