"""VP9 payload descriptors of RFC 9628 by hand, layers, and superframes."""

from __future__ import annotations

import numpy as np
import pytest

from reelroom.rtc.depacketize.vp9 import Vp9Depacketizer, join_superframe, split_superframe
from tests.depacketize_clips import decoded, encoded

KEY = encoded("vp9")[0]
INTER = encoded("vp9")[1]
I, P, L, F, B, E, V = 0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02  # noqa: E741 (RFC 9628's names)


@pytest.mark.parametrize(
    ("flags", "fields"),
    [
        pytest.param(0, b"", id="nothing"),
        pytest.param(I, b"\x11", id="7 bit picture id"),
        pytest.param(I, b"\x81\x11", id="15 bit picture id"),
        pytest.param(I | L, b"\x81\x11\x00\x07", id="layers, TL0PICIDX"),
        pytest.param(I | L | F, b"\x81\x11\x00", id="flexible: no TL0PICIDX"),
        pytest.param(I | P | F, b"\x81\x11\x02", id="flexible: one reference"),
        pytest.param(I | P | F, b"\x81\x11\x03\x05\x06", id="flexible: three references"),
        pytest.param(V, b"\x18\x01\x40\x00\xb4\x01\x10", id="structure: one layer's size, picture group"),
        pytest.param(V, b"\x00", id="structure without size"),
        pytest.param(V, b"\x08\x02\x10\x28\x01\x02", id="structure: pictures with 0 and 2 references"),
    ],
)
def test_the_descriptor_is_taken_off_whatever_its_fields(flags: int, fields: bytes) -> None:
    frame = INTER if flags & P else KEY
    first = Vp9Depacketizer()
    assert first.push(bytes((flags | B,)) + fields + frame[:500], False) is None
    rest = fields if not flags & V else b""
    middle, last = bytes((flags & ~V,)) + rest, bytes((flags & ~V | E,)) + rest
    assert first.push(middle + frame[500:900], False) is None
    assert first.push(last + frame[900:], True) == frame
    assert first.keyframe == (not flags & P)
    if first.keyframe:
        assert (first.width, first.height) == (320, 180)


def test_a_key_frame_needs_both_its_header_and_its_descriptor() -> None:
    depacketizer = Vp9Depacketizer()
    for flags, frame, key in ((0, KEY, True), (P, KEY, False), (0, INTER, False), (P, INTER, False)):
        assert depacketizer.push(bytes((flags | B | E,)) + frame, True) == frame
        assert depacketizer.keyframe == key


def test_spatial_layers_of_a_picture_become_one_superframe() -> None:
    depacketizer = Vp9Depacketizer()
    # Two spatial layers of 160x90 and 320x180; the upper depends on the lower one (D=1).
    structure = b"\x30\x00\xa0\x00\x5a\x01\x40\x00\xb4"
    depacketizer.push(bytes((I | L | B | V,)) + b"\x01\x00\x07" + structure + KEY[:700], False)
    depacketizer.push(bytes((I | L | E,)) + b"\x01\x00\x07" + KEY[700:], False)
    depacketizer.push(bytes((I | P | L | B,)) + b"\x01\x03\x07" + INTER[:10], False)
    joined = depacketizer.push(bytes((I | P | L | E,)) + b"\x01\x03\x07" + INTER[10:], True)
    assert joined is not None
    assert joined.startswith(KEY + INTER)
    assert depacketizer.keyframe
    assert (depacketizer.width, depacketizer.height) == (320, 180)
    assert split_superframe(joined) == [KEY, INTER]
    # FFmpeg's reading of the index: both frames are there.
    pictures, expected = decoded("vp9", [joined]), decoded("vp9", [KEY, INTER])
    assert len(pictures) == 2
    assert all(np.array_equal(a, b) for a, b in zip(pictures, expected, strict=True))


def test_superframes_within_layers_are_not_nested() -> None:
    depacketizer = Vp9Depacketizer()
    depacketizer.push(bytes((L | B | E,)) + b"\x00\x01" + join_superframe([KEY, INTER]), False)
    joined = depacketizer.push(bytes((L | B | E,)) + b"\x03\x01" + INTER, True)
    assert joined == join_superframe([KEY, INTER, INTER])


def test_a_single_layer_keeps_the_superframe_it_is() -> None:
    frame = join_superframe([KEY, INTER])
    assert Vp9Depacketizer().push(bytes((B | E,)) + frame, True) == frame


@pytest.mark.parametrize("sizes", [(1, 2), (255, 3), (256, 70_000), (1,) * 8])
def test_the_index_gives_back_the_frames(sizes: tuple[int, ...]) -> None:
    frames = [bytes((0x86,)) * size for size in sizes]
    assert split_superframe(join_superframe(frames)) == frames


def test_after_a_loss_an_upper_layer_does_not_start_a_picture() -> None:
    depacketizer = Vp9Depacketizer()
    depacketizer.push(bytes((P | L | B | E,)) + b"\x00\x01" + INTER, False)
    depacketizer.reset()
    assert depacketizer.push(bytes((P | L | B | E,)) + b"\x02\x01" + INTER, True) is None
    assert depacketizer.push(bytes((P | L | B | E,)) + b"\x00\x02" + INTER, True) == INTER
    assert depacketizer.malformed == 0


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(bytes((B | E,)), id="descriptor only"),
        pytest.param(bytes((I | B | E, 0x80)), id="picture id cut"),
        pytest.param(bytes((I | P | F | B | E, 1, 3, 3, 3)) + INTER, id="four references"),
        pytest.param(bytes((V | B | E, 0xF8, 1)), id="structure cut"),
        pytest.param(bytes((E,)) + INTER, id="continuation of nothing"),
        pytest.param(bytes((B | E,)) + b"\0" + INTER, id="no frame marker"),
        pytest.param(bytes((B | E,)) + KEY[:1] + b"\0" + KEY[2:], id="no sync code"),
    ],
)
def test_a_malformed_picture_is_dropped_and_counted(payload: bytes) -> None:
    depacketizer = Vp9Depacketizer()
    depacketizer.push(bytes((P | B | E,)) + INTER, True)
    assert depacketizer.push(payload, True) is None
    assert depacketizer.malformed == 1
    assert depacketizer.push(bytes((P | B | E,)) + INTER, True) == INTER


def test_a_new_timestamp_ends_whole_layers_but_not_an_open_one() -> None:
    depacketizer = Vp9Depacketizer()
    depacketizer.push(bytes((P | B | E,)) + INTER, False)
    assert depacketizer.flush() == INTER
    depacketizer.push(bytes((P | B,)) + INTER, False)
    assert depacketizer.flush() is None
    assert depacketizer.malformed == 1
    assert depacketizer.push(bytes((P | B,)) + INTER, True) == INTER  # a sender that forgets E


def test_more_layers_than_a_superframe_holds_are_malformed() -> None:
    depacketizer = Vp9Depacketizer()
    for index in range(9):
        assert depacketizer.push(bytes((L | B | E, index % 8 << 1, 1)) + INTER, index == 8) is None
    assert depacketizer.malformed == 1
