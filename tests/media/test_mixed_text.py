"""Names and watermarks in the world's scripts, with the fonts that are installed with the package."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from reelroom.record.mixed.text import _has, _visual, clean, draw_text, line_height

NAMES = {
    "Latin": "Agnès Łukasz Žižek Şükrü Nguyễn Văn Ánh",
    "Greek": "Ελένη Παπαδοπούλου",
    "Cyrillic": "Дмитрий Їжак",
    "Chinese": "张伟 王小明 龍 㐂",
    "Japanese": "山田太郎 さくら サクラ",
    "Korean": "김민수 이서연",
    "Arabic": "علي محمد ١٢٣",
    "Hebrew": "שלום דוד",
    "Thai": "สมชาย ใจดี",
    "Devanagari": "नमस्ते राम",
    "Lao": "ສະບາຍດີ",
    "Khmer": "សុខា",
    "Burmese": "မင်္ဂလာ",
}


def ink(image: Image.Image) -> np.ndarray:
    return np.asarray(image.getchannel("A")) > 100


@pytest.mark.parametrize("script", NAMES)
def test_every_letter_has_a_glyph_in_a_packaged_font(script: str) -> None:
    for run in _visual(clean(NAMES[script])):
        assert "site-packages" in run.face.path
        for char in run.text:
            assert _has(run.face, char), f"U+{ord(char):04X}"


@pytest.mark.parametrize("script", NAMES)
def test_letters_are_inside_of_the_sheet(script: str) -> None:
    for size in (8, 24, 60):
        drawn = draw_text(NAMES[script], size, "#ffffff")
        assert drawn.height == line_height(size)
        marks = ink(drawn)
        assert marks.any()
        if size == 60:
            assert not marks[0].any(), "cut at the top"
            assert not marks[-1].any(), "cut at the bottom"
            assert 0.01 < marks.mean() < 0.6


def test_chinese_characters_are_shaped_as_where_the_name_is_from() -> None:
    sheets = [ink(draw_text(text, 60, "#ffffff"))[:, :60] for text in ("直角", "直か", "直한")]
    assert not np.array_equal(sheets[0], sheets[1])


def test_right_to_left_letters_stand_in_their_order_among_others() -> None:
    order = ["".join(run.text for run in _visual(text)) for text in ("Ali علي (host)", "علي Ali محمد", "דוד 12")]
    assert order == ["Ali علي (host)", "محمد Aliعلي ", "דוד 12"]  # a space in backward letters is at their left
    # Drawn: the first letter of a Hebrew word is at the right.
    word, first = ink(draw_text("לו", 60, "#ffffff")), ink(draw_text("ל", 60, "#ffffff"))
    width = first.shape[1] - 6
    assert np.array_equal(word[:20, -width:].any(axis=1), first[:20, -width:].any(axis=1))


def test_long_text_is_cut_with_an_ellipsis() -> None:
    whole = draw_text("a name that is too long", 24, "#ffffff")
    cut = draw_text("a name that is too long", 24, "#ffffff", 120)
    assert 90 <= cut.width <= 120 < whole.width
    assert draw_text("a name", 24, "#ffffff", 2000).size == draw_text("a name", 24, "#ffffff").size
    assert not ink(draw_text("a name", 24, "#ffffff", 3)).any()


def test_control_characters_and_odd_text_do_no_harm() -> None:
    assert clean(" a\nb\t\x00c\ud800 ") == "a b c"
    for text in (
        "",
        "\u200d",
        "\u202e\u202d",
        "\u0301" * 50,
        "\U0001f469\u200d\U0001f469\u200d\U0001f467",
        "\ufffd",
        "\u0e49" * 9,
    ):
        assert draw_text(text, 24, "#ffffff", 300).height == line_height(24)


def test_character_that_no_font_has_is_a_box() -> None:
    assert ink(draw_text("\U00012000", 24, "#ffffff")).any()  # cuneiform: packaged in no font, maybe of the system
