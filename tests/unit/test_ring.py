"""What a ring keeps, and where looking back begins."""

from __future__ import annotations

import itertools

from reelroom.rooms.ring import Kept, Ring

S = 1_000_000_000
T0 = 1_800_000_000 * S


def fill(
    ring: Ring, seconds: float, *, gop_s: float = 2.0, fps: int = 10, size: int = 1000, from_s: float = 0.0
) -> None:
    first = round(from_s * fps)
    for n in range(first, first + round(seconds * fps)):
        key = n % round(gop_s * fps) == 0
        ring.append(Kept(b"h", bytes(size), n + 1, T0 + n * S // fps, key))


def times(frames: list[Kept]) -> list[float]:
    return [(frame.room_ns - T0) / S for frame in frames]


def test_video_reaches_back_to_the_newest_key_frame_that_is_old_enough() -> None:
    ring = Ring(video=True, length_ns=10 * S, max_bytes=1 << 30)
    fill(ring, 31)
    assert ring.first_seq - 1 == 200  # the key frame of second 20: 30 - 10
    assert 10 <= ring.seconds <= 12
    assert ring.bytes == 1000 * len(ring.after(0))


def test_a_look_back_begins_at_the_key_frame_at_or_before() -> None:
    ring = Ring(video=True, length_ns=10 * S, max_bytes=1 << 30)
    fill(ring, 31)
    for since, begins in ((25.0, 24), (24.0, 24), (30.9, 30), (31.0, 30), (3.0, 20)):
        frames = ring.since(T0 + int(since * S))
        assert frames[0].key and times(frames)[0] == begins
        assert [b.seq - a.seq for a, b in itertools.pairwise(frames)] == [1] * (len(frames) - 1)


def test_a_picture_of_long_ago_is_not_part_of_a_new_recording() -> None:
    ring = Ring(video=True, length_ns=10 * S, max_bytes=1 << 30)
    fill(ring, 5)
    assert times(ring.since(T0 + 6 * S))[0] == 4
    assert ring.since(T0 + 60 * S) == []
    assert ring.after(0), "a recorder that resumes still gets it"


def test_audio_is_kept_twice_as_long_and_begins_exactly() -> None:
    ring = Ring(video=False, length_ns=10 * S, max_bytes=1 << 30)
    fill(ring, 60, gop_s=0.1)
    assert 19 <= ring.seconds <= 20
    assert times(ring.since(T0 + 50 * S))[0] == 50
    assert times(ring.since(0))[0] == times(ring.after(0))[0]


def test_audio_that_is_still_heard_at_the_begin_is_part_of_it() -> None:
    ring = Ring(video=False, length_ns=10 * S, max_bytes=1 << 30)
    fill(ring, 2, fps=50)
    assert times(ring.since(T0 + S + 1))[:2] == [1.0, 1.02]
    assert times(ring.since(T0 + S - 1))[:2] == [0.98, 1.0]
    assert ring.since(T0 + 3 * S) == [], "what ended long before is not"


def test_bytes_win_over_time_and_undecodable_rests_are_not_offered() -> None:
    ring = Ring(video=True, length_ns=10 * S, max_bytes=50_000)
    fill(ring, 10, gop_s=30)
    assert ring.bytes <= 50_000
    assert ring.since(T0) == []
    fill(ring, 3, gop_s=1, from_s=10)
    frames = ring.since(T0)
    assert frames[0].key and times(frames)[0] == 10
    fill(ring, 40, gop_s=1, from_s=13)
    assert ring.bytes <= 50_000 and len(ring.after(0)) <= 50


def test_one_frame_larger_than_the_ring_stays_alone() -> None:
    ring = Ring(video=True, length_ns=10 * S, max_bytes=100)
    fill(ring, 1, size=1000)
    assert len(ring.after(0)) == 1


def test_after_gives_what_is_newer() -> None:
    ring = Ring(video=True, length_ns=10 * S, max_bytes=1 << 30)
    assert ring.after(0) == [] and ring.first_seq == 0 and ring.seconds == 0
    fill(ring, 3)
    assert [frame.seq for frame in ring.after(27)] == [28, 29, 30]
    assert ring.after(30) == []
