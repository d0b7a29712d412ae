"""Queueing delay by absolute send times: wrap-around, drift, silence, clocks that are set."""

from __future__ import annotations

from collections.abc import Callable

from reelroom.rtc.delay import SendDelay

MS = 1_000_000
S = 1_000_000_000
T0 = 1_800_000_000 * S


def second(delay: SendDelay, number: float, path: Callable[[int], int], *, ahead_ns: int = 0, ppm: int = 0) -> int:
    """30 frames from second `number` on, of a sender whose clock is `ahead_ns`; what `take` says then."""
    for index in range(30):
        sent = T0 + int(number * S) + index * S // 30
        shown = sent + (sent - T0) * ppm // 1_000_000 + ahead_ns
        delay.sample((shown << 18) // S & 0xFFFFFF, sent + path(index))
    return delay.take()


def test_nothing_seen_is_no_queue() -> None:
    assert SendDelay().take() == 0


def test_an_even_path_has_no_queue_through_several_wraps_of_64_s() -> None:
    delay = SendDelay()
    assert max(second(delay, n, lambda i: (20 + i % 7) * MS) for n in range(300)) < MS


def test_a_clock_that_drifts_is_no_queue() -> None:
    for ppm in (-200, 200):
        delay = SendDelay()
        assert max(second(delay, n, lambda _: 20 * MS, ppm=ppm) for n in range(600)) < 30 * MS


def test_a_growing_queue_is_told_and_one_late_packet_is_not() -> None:
    delay = SendDelay()
    second(delay, 0, lambda _: 20 * MS)
    assert second(delay, 1, lambda i: 900 * MS if i == 4 else 20 * MS) < MS
    assert abs(second(delay, 2, lambda _: 170 * MS) - 150 * MS) < MS
    assert second(delay, 3, lambda _: 20 * MS) < MS


def test_silence_for_longer_than_the_24_bits_count_is_no_queue() -> None:
    delay = SendDelay()
    second(delay, 0, lambda _: 20 * MS)
    assert second(delay, 45, lambda _: 20 * MS) < MS
    assert second(delay, 3000, lambda _: 20 * MS) < MS


def test_a_clock_that_is_set_begins_anew() -> None:
    delay = SendDelay()
    second(delay, 0, lambda _: 20 * MS)
    assert second(delay, 1, lambda _: 20 * MS, ahead_ns=-20 * S) < MS
    assert second(delay, 2, lambda _: 140 * MS, ahead_ns=-20 * S) > 100 * MS
