"""Where segments are cut: at key frames, by time without video, by force, and where late frames go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reelroom.record.segmenter import CURRENT, CUT, EARLY_NS, GRACE_NS, NEVER, OLD, SECOND, Segmenter

VIDEO, AUDIO = 1, 2
TARGET = 2 * SECOND
MS = 1_000_000


def av(start_ns: int = 0) -> Segmenter:
    """With a picture and a sound in its first segment."""
    cutter = Segmenter(TARGET)
    assert cutter.place(VIDEO, True, True, start_ns, 0) == CUT
    cutter.video_live = True
    assert cutter.place(AUDIO, False, True, start_ns, 0) == CURRENT
    return cutter


def test_cuts_at_the_first_key_frame_after_the_target() -> None:
    cutter = av()
    assert cutter.place(VIDEO, True, True, 1 * SECOND, 0) == CURRENT
    assert cutter.place(VIDEO, True, False, 3 * SECOND, 0) == CURRENT
    assert cutter.place(VIDEO, True, True, 3 * SECOND + 1, 0) == CUT
    assert cutter.start_ns == cutter.cut_ns == 3 * SECOND + 1


def test_a_key_frame_that_is_early_by_a_little_jitter_counts() -> None:
    assert av().place(VIDEO, True, True, TARGET - EARLY_NS, 0) == CUT
    assert av().place(VIDEO, True, True, TARGET - EARLY_NS - 1, 0) == CURRENT


def test_sound_from_before_the_cut_goes_to_the_old_segment_until_sound_has_passed_it() -> None:
    cutter = av()
    cutter.place(VIDEO, True, True, 2 * SECOND, 0)
    assert cutter.place(AUDIO, False, True, 2 * SECOND - 1, 0) == OLD
    assert not cutter.old_done(0)
    assert cutter.place(AUDIO, False, True, 2 * SECOND, 0) == CURRENT
    assert cutter.old_done(0)
    assert cutter.place(AUDIO, False, True, 2 * SECOND - 1, 0) == CURRENT  # never back: numbers stay in order


def test_the_old_segment_is_closed_after_the_grace_and_later_frames_go_on() -> None:
    cutter = av()
    cutter.place(VIDEO, True, True, 2 * SECOND, 7)
    assert not cutter.old_done(7 + GRACE_NS - 1)
    assert cutter.old_done(7 + GRACE_NS)
    cutter.old_closed()
    assert cutter.place(AUDIO, False, True, 2 * SECOND - 1, 8 + GRACE_NS) == CURRENT


def test_without_live_video_sound_cuts_by_time() -> None:
    cutter = av()
    cutter.video_live = False
    assert cutter.place(AUDIO, False, True, TARGET, 0) == CUT


def test_sound_does_not_cut_while_pictures_flow_until_the_limit() -> None:
    cutter = av()
    assert cutter.place(AUDIO, False, True, 59 * SECOND, 0) == CURRENT
    assert cutter.place(AUDIO, False, True, 60 * SECOND, 0) == CUT


def test_without_a_key_frame_a_picture_cuts_at_the_limit() -> None:
    cutter = av()
    assert cutter.place(VIDEO, True, False, 60 * SECOND - 1, 0) == CURRENT
    assert cutter.place(VIDEO, True, False, 60 * SECOND, 0) == CUT


def test_another_track_of_a_kind_forces_a_cut_and_the_other_kind_of_track_does_not() -> None:
    cutter = Segmenter(TARGET)
    cutter.place(AUDIO, False, True, 0, 0)
    assert cutter.place(VIDEO, True, True, 500 * MS, 0) == CURRENT
    assert cutter.place(9, False, True, 600 * MS, 0) == CUT


def test_key_frames_are_asked_for_at_the_target_and_again_each_second() -> None:
    cutter = av()
    asked = [at for at in range(0, 5000, 100) if cutter.wants_key(at * MS)]
    assert asked == [2000, 3000, 4000]


def test_no_key_frame_is_asked_for_while_video_is_muted() -> None:
    cutter = av()
    cutter.video_live = False
    assert not cutter.wants_key(10 * SECOND)


def test_after_a_stop_frames_from_before_it_still_land_in_the_old_segment() -> None:
    cutter = av()
    cutter.stop(1 * SECOND, 0)
    assert cutter.place(VIDEO, True, False, 1 * SECOND - 1, 0) == OLD
    assert cutter.place(AUDIO, False, True, 1 * SECOND, 0) == CUT
    assert cutter.start_ns == 1 * SECOND


frames = st.lists(
    st.tuples(st.sampled_from([VIDEO, AUDIO]), st.integers(-200, 200), st.booleans(), st.integers(0, 40)), max_size=400
)


@given(frames)
def test_every_frame_has_one_place_and_the_short_way_agrees_with_the_long_one(steps: list[tuple]) -> None:
    """Frames of two tracks with jitter in room time and in arrival."""
    cutter = Segmenter(TARGET)
    clock = {VIDEO: 1000, AUDIO: 1000}
    now = 0
    last: dict[int, int] = {}  # track → number of the segment of its last frame
    number = 0
    for track, jitter, key, wait in steps:
        clock[track] += 33 if track == VIDEO else 20
        room = (clock[track] + jitter) * MS
        now += wait * MS
        if cutter.old_done(now):
            cutter.old_closed()
        short = room < cutter.short_until(track, track == VIDEO)
        closing = cutter.closing
        place = cutter.place(track, track == VIDEO, key, room, now)
        assert not short or place == CURRENT
        assert place != OLD or (closing and room < cutter.cut_ns)
        number += place == CUT
        segment = number - 1 if place == OLD else number
        assert segment >= last.get(track, 0)  # a track's frames never go back to an earlier segment
        last[track] = segment
        if place == CUT:
            assert cutter.start_ns is not None and cutter.start_ns >= room
    assert cutter.start_ns is None or cutter.short_until(3, True) == NEVER
