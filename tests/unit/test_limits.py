"""What ends a recording by itself."""

from __future__ import annotations

from reelroom.domain.limits import LimitWatch
from reelroom.domain.recording import Limits, StopReason
from reelroom.domain.timeline import SECOND, Pauses


def test_no_limits_never_end_it() -> None:
    assert LimitWatch(Limits(), 0).due(1 << 60, Pauses()) is None


def test_idle_counts_from_the_start_when_nobody_ever_publishes() -> None:
    watch = LimitWatch(Limits(idle_s=30), 5 * SECOND)
    assert watch.due(35 * SECOND - 1, Pauses()) is None
    assert watch.due(36 * SECOND, Pauses()) == (StopReason.IDLE, 35 * SECOND)


def test_idle_counts_anew_from_when_the_last_track_went() -> None:
    watch = LimitWatch(Limits(idle_s=30), 0)
    watch.published(2, 10 * SECOND)
    assert watch.due(99 * SECOND, Pauses()) is None
    watch.published(0, 100 * SECOND)
    watch.published(0, 110 * SECOND)
    assert watch.due(129 * SECOND, Pauses()) is None
    assert watch.due(131 * SECOND, Pauses()) == (StopReason.IDLE, 130 * SECOND)


def test_the_duration_leaves_pauses_out_and_does_not_end_it_within_one() -> None:
    watch = LimitWatch(Limits(duration_s=10), 0)
    watch.published(1, 0)
    paused = Pauses().pause(4 * SECOND)
    assert watch.due(60 * SECOND, paused) is None
    resumed = paused.resume(60 * SECOND)
    assert watch.due(65 * SECOND, resumed) is None
    assert watch.due(67 * SECOND, resumed) == (StopReason.MAX_DURATION, 66 * SECOND)


def test_an_idle_recording_says_so_every_half_minute_where_it_is_asked_to() -> None:
    watch = LimitWatch(Limits(idle_s=300, tell_idle=True), 0)
    watch.published(1, 0)
    assert watch.quiet(40 * SECOND, Pauses()) is None
    watch.published(0, 50 * SECOND)
    told = [second for second in range(50, 130) if watch.quiet(second * SECOND, Pauses()) == 50 * SECOND]
    assert told == [65, 95, 125]
    watch.published(1, 131 * SECOND)
    assert watch.quiet(170 * SECOND, Pauses()) is None
    watch.published(0, 180 * SECOND)
    assert watch.quiet(195 * SECOND, Pauses().pause(190 * SECOND)) is None
    assert watch.quiet(196 * SECOND, Pauses()) == 180 * SECOND
    assert LimitWatch(Limits(), 0).quiet(1 << 60, Pauses()) is None


def test_pauses_may_count_and_then_nobody_is_idle_in_one() -> None:
    watch = LimitWatch(Limits(idle_s=30, duration_s=300, pauses_count=True), 0)
    paused = Pauses(((10 * SECOND, None),))
    assert watch.due(200 * SECOND, paused) is None
    assert watch.due(301 * SECOND, paused) == (StopReason.MAX_DURATION, 300 * SECOND)
    resumed = Pauses(((10 * SECOND, 100 * SECOND),))
    assert watch.due(129 * SECOND, resumed) is None
    assert watch.due(130 * SECOND, resumed) == (StopReason.IDLE, 130 * SECOND)
    watch.published(1, 131 * SECOND)
    watch.published(0, 140 * SECOND)
    assert watch.due(169 * SECOND, resumed) is None
    assert watch.due(171 * SECOND, resumed) == (StopReason.IDLE, 170 * SECOND)
