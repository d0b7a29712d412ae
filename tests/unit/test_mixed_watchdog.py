"""When a thread counts as one that hangs. No thread, no clock."""

from __future__ import annotations

from reelroom.domain.timeline import SECOND
from reelroom.record.mixed.watchdog import HUNG_NS, Watchdog

TICK = SECOND // 10


def after(watchdog: Watchdog, begin: int, seconds: float, rounds: int | None, busy: bool = True) -> list[bool]:
    """Answers of looks ten times a second; `rounds` None: they rise."""
    looks = range(begin, begin + round(seconds * SECOND), TICK)
    return [watchdog.hung(at, at // TICK if rounds is None else rounds, busy) for at in looks]


def test_who_gets_on_or_waits_does_not_hang() -> None:
    watchdog = Watchdog()
    assert not any(after(watchdog, SECOND, 60, None))
    assert not any(after(watchdog, 61 * SECOND, 60, 7, busy=False))


def test_who_is_busy_in_one_round_for_long_hangs() -> None:
    watchdog = Watchdog()
    after(watchdog, SECOND, 5, None)
    answers = after(watchdog, 6 * SECOND, 10, 7)
    assert answers.index(True) == HUNG_NS // TICK
    assert all(answers[answers.index(True) :])


def test_a_round_that_ends_begins_the_count_anew() -> None:
    watchdog = Watchdog()
    for rounds in range(5):
        begin = (1 + 5 * rounds) * SECOND
        assert not any(after(watchdog, begin, 5, rounds))


def test_a_process_that_stood_still_does_not_hang() -> None:
    watchdog = Watchdog()
    after(watchdog, SECOND, 2, 7)
    assert not watchdog.hung(3600 * SECOND, 7, True)
    assert not any(after(watchdog, 3600 * SECOND, 3, 7))
