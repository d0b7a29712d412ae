"""Media time without pauses, and gaps found once each with their reason."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelroom.domain.timeline import SECOND, STEP_NS, GapFinder, Hole, Monotonic, Pauses, end_of

MS = 1_000_000


def test_media_time_leaves_pauses_out() -> None:
    pauses = Pauses().pause(10).resume(15).pause(30)
    assert [pauses.media_ns(5, room) for room in (5, 10, 12, 15, 20, 30, 99)] == [0, 5, 5, 5, 10, 20, 20]
    assert pauses.media_ns(20, 25) == 5  # an output that came after the pause


def test_a_frame_is_in_a_pause_from_its_begin_until_before_its_end() -> None:
    pauses = Pauses().pause(10).resume(15)
    assert [pauses.covers(room) for room in (9, 10, 14, 15)] == [False, True, True, False]
    assert Pauses().pause(10).covers(1 << 62)


def test_pausing_twice_or_resuming_without_a_pause_is_an_error() -> None:
    with pytest.raises(ValueError, match="paused already"):
        Pauses().pause(1).pause(2)
    with pytest.raises(ValueError, match="not paused"):
        Pauses().resume(1)


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=20), st.integers(0, 1000), st.lists(st.integers(0, 1000)))
def test_media_time_never_runs_backwards(edges: list[int], start: int, rooms: list[int]) -> None:
    pauses = Pauses()
    for edge in sorted(edges):
        pauses = pauses.resume(edge) if pauses.paused else pauses.pause(edge)
    media = [pauses.media_ns(start, room) for room in sorted(r for r in rooms if r >= start)]
    assert media == sorted(media)


def test_frames_at_their_pace_are_no_gap() -> None:
    finder = GapFinder()
    assert not any(finder.frame("audio", at * 20 * MS) for at in range(100))
    assert not any(finder.frame("video", at * 900 * MS) for at in range(10))


def test_a_silence_without_any_other_reason_is_a_stall() -> None:
    finder = GapFinder()
    finder.frame("audio", 0)
    assert finder.frame("audio", 201 * MS) == [Hole("audio", 0, 201 * MS, "stall")]
    assert finder.frame("audio", 221 * MS) == ()


def test_a_mute_is_one_gap_with_that_reason() -> None:
    finder = GapFinder()
    finder.frame("video", 0)
    finder.note("video", "mute")
    assert finder.open_since("video", 5 * SECOND) == 0
    assert finder.frame("video", 9 * SECOND) == [Hole("video", 0, 9 * SECOND, "mute")]
    assert finder.frame("video", 11 * SECOND) == [Hole("video", 9 * SECOND, 11 * SECOND, "stall")]


def test_loss_is_a_gap_however_short() -> None:
    finder = GapFinder()
    finder.frame("audio", 0)
    finder.seen("audio", 0, 40 * MS, 1, "loss")
    assert finder.frame("audio", 40 * MS) == [Hole("audio", 0, 40 * MS, "loss", 1)]


def test_a_silence_in_which_packets_were_lost_is_loss_and_a_mute_with_one_lost_packet_a_mute() -> None:
    for packets, reason in ((60, "loss"), (1, "mute")):
        finder = GapFinder()
        finder.frame("video", 0)
        finder.note("video", "mute")
        finder.seen("video", 0, 2 * SECOND, packets, "loss")
        (hole,) = finder.frame("video", 2 * SECOND)
        assert (hole.reason, hole.packets) == (reason, packets)


def test_loss_within_a_reconnect_is_one_gap() -> None:
    finder = GapFinder()
    finder.frame("video", 0)
    finder.seen("video", 0, 4 * SECOND, 7, "loss")
    finder.note("video", "reconnect")
    assert finder.frame("video", 4 * SECOND) == [Hole("video", 0, 4 * SECOND, "reconnect", 7)]


def test_a_gap_of_unknown_ends_lies_between_the_frames() -> None:
    finder = GapFinder()
    finder.frame("audio", 10 * MS)
    finder.seen("audio", 0, 0, 0, "ring")
    assert finder.frame("audio", 90 * MS) == [Hole("audio", 10 * MS, 90 * MS, "ring")]


def test_dtx_silence_is_no_gap_until_it_is_too_long_for_dtx() -> None:
    finder = GapFinder()
    finder.frame("audio", 0, small=True)
    assert finder.frame("audio", 400 * MS, small=True) == []
    assert finder.frame("audio", 1500 * MS) == [Hole("audio", 400 * MS, 1500 * MS, "stall")]


def test_a_pause_is_no_gap_but_what_is_missing_after_it_is() -> None:
    pauses = Pauses().pause(1 * SECOND).resume(9 * SECOND)
    finder = GapFinder()
    finder.frame("video", 1 * SECOND)
    assert finder.frame("video", 9 * SECOND + 5, pauses=pauses) == []
    finder = GapFinder()
    finder.frame("video", 1 * SECOND)
    assert finder.frame("video", 9_700 * MS, pauses=pauses) == [Hole("video", 9 * SECOND, 9_700 * MS, "pause")]


def test_what_else_is_known_of_a_hole_after_a_pause_is_its_reason() -> None:
    pauses = Pauses().pause(1 * SECOND).resume(9 * SECOND)
    finder = GapFinder()
    finder.frame("video", 1 * SECOND)
    finder.note("video", "mute")
    assert finder.frame("video", 11 * SECOND, pauses=pauses) == [Hole("video", 9 * SECOND, 11 * SECOND, "mute")]


def test_nothing_is_missing_before_the_first_frame() -> None:
    finder = GapFinder()
    finder.note("video", "mute")
    assert finder.frame("video", 99 * SECOND) == []


def test_pictures_from_before_the_begin_stay_apart_in_files_that_count_milliseconds() -> None:
    clock = Monotonic(STEP_NS["video"])
    times = [clock.next(ms * 1_000_000 - 70_000_000) for ms in (0, 33, 67, 71, 104)]
    for ticks_a_second in (1000, 90_000):
        ticks = [round(time * ticks_a_second / SECOND) for time in times]
        assert all(a < b for a, b in itertools.pairwise(ticks)), ticks
    ticks = [round(round(time * 90_000 / SECOND) / 90) for time in times]  # a file made from another one
    assert ticks == [0, 1, 2, 3, 34]


@given(st.lists(st.integers(-1000, 1000)))
def test_media_times_of_a_track_strictly_increase_from_zero(times: list[int]) -> None:
    clock = Monotonic(10)
    given_out = [clock.next(time) for time in times]
    assert all(b - a >= 10 for a, b in itertools.pairwise(given_out))
    assert all(time >= 0 for time in given_out)


def test_the_last_frame_lasts_as_long_as_the_one_before() -> None:
    assert end_of([0, 20 * MS, 40 * MS], "audio") == 60 * MS
    assert end_of([0], "audio") == 20 * MS
    assert end_of([0, 5 * SECOND], "video") == 5 * SECOND + 33_333_333
    assert end_of([], "video") is None
