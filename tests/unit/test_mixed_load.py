"""When a mix that does not keep up encodes with less effort, and when with more again."""

from __future__ import annotations

from reelroom.domain.timeline import SECOND
from reelroom.record.mixed.load import Load


def run(load: Load, begin_s: float, seconds: float, late_s: object, busy: float) -> list[tuple[float, int]]:
    """Ten ticks a second, each late by `late_s(t)`, `busy` of the time; the answers that are not 0."""
    found = []
    for index in range(round(seconds * 10)):
        at = begin_s + index / 10
        answer = load.look(round(at * SECOND), round(late_s(at) * SECOND), round(busy * SECOND / 10))  # type: ignore[operator]
        if answer:
            found.append((at, answer))
    return found


def test_who_keeps_up_stays_as_they_are() -> None:
    assert run(Load(), 1, 120, lambda at: 0.01, 0.7) == []


def test_who_falls_behind_more_and_more_takes_less_effort() -> None:
    load = Load()
    assert run(load, 1, 5, lambda at: 0.01, 0.9) == []
    found = run(load, 6, 10, lambda at: (at - 6) * 0.2, 1.0)
    assert found
    assert {answer for _, answer in found} == {-1}


def test_who_catches_up_is_left_in_peace() -> None:
    assert run(Load(), 1, 9, lambda at: 10 - at, 1.0) == []


def test_who_stood_still_for_a_moment_is_left_in_peace() -> None:
    load = Load()
    assert run(load, 1, 9, lambda at: 0.01, 0.3) == []
    assert run(load, 12.5, 1, lambda at: 2.5 - 2 * (at - 12.5), 1.0) == []  # nobody looked for 2.5 s
    assert run(load, 13.5, 9, lambda at: 0.01, 0.3) == []


def test_who_is_late_for_long_takes_less_effort_whoever_it_waits_for() -> None:
    load = Load()
    assert run(load, 1, 9, lambda at: 0.01, 0.3) == []
    assert [answer for _, answer in run(load, 10, 9, lambda at: 0.6 + at * 0.01, 0.3)][:1] == [-1]


def test_who_does_not_catch_up_takes_less_effort() -> None:
    assert [answer for _, answer in run(Load(), 1, 30, lambda at: 8 + at * 0.01, 1.0)][:1] == [-1]


def test_effort_comes_back_when_it_has_been_easy_for_long_and_later_after_a_mistake() -> None:
    load = Load()
    (first,) = run(load, 1, 65, lambda at: 0.01, 0.3)
    assert first[1] == 1
    found = run(load, 66, 10, lambda at: 0.3 + (at - 66) * 0.3, 1.0)
    assert found[0][1] == -1
    late = run(load, 76, 130, lambda at: 0.01, 0.3)
    assert late[0][1] == 1
    assert late[0][0] - 76 > 110
