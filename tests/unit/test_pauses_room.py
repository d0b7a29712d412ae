"""Media time back to room time, over pauses."""

from __future__ import annotations

import pytest

from reelroom.domain.timeline import Pauses

START = 1_000


@pytest.mark.parametrize("media_ns", [0, 1, 99, 100, 101, 149, 150, 151, 10_000])
def test_room_time_of_a_media_time_is_the_inverse_of_media_time(media_ns: int) -> None:
    pauses = Pauses(((500, 600), (1_100, 1_300), (1_350, 1_900)))
    room_ns = pauses.room_ns(START, media_ns)
    assert room_ns is not None
    assert not pauses.covers(room_ns)
    assert pauses.media_ns(START, room_ns) == media_ns


def test_a_media_time_on_a_pause_lies_behind_it() -> None:
    assert Pauses(((1_100, 1_300),)).room_ns(START, 100) == 1_300
    assert Pauses(((1_100, 1_300),)).room_ns(START, 99) == 1_099


def test_behind_an_open_pause_there_is_nothing_yet() -> None:
    pauses = Pauses(((1_100, None),))
    assert pauses.room_ns(START, 99) == 1_099
    assert pauses.room_ns(START, 100) is None


def test_a_start_within_a_pause_is_its_end() -> None:
    assert Pauses(((900, 1_200),)).room_ns(START, 0) == 1_200
    assert Pauses(((900, 1_200),)).room_ns(START, 5) == 1_205
