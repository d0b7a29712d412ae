"""When missing packets are asked for, and when they are given up."""

from __future__ import annotations

from reelroom.rtc.loss import WAIT_NS, Missing

MS = 1_000_000


def test_asked_for_at_once_then_each_round_trip_then_given_up() -> None:
    missing = Missing()
    missing.add(10, 12, 0)
    asked = [now for now in range(0, WAIT_NS, 10 * MS) if missing.due(now)]
    assert asked[0] == 0
    assert 8 <= len(asked) <= 20
    assert missing.give_up(WAIT_NS - 1) is None
    assert missing.give_up(WAIT_NS) == 11
    assert not missing


def test_the_round_trip_is_learnt_from_packets_asked_for_once() -> None:
    for trip in (20 * MS, 180 * MS):
        missing = Missing()
        number, now = 0, 0
        for _ in range(60):
            missing.add(number, number + 1, now)
            missing.due(now)
            now += trip if trip < 60 * MS else 60 * MS
            assert missing.arrived(number, now)
            number += 1
        missing.add(number, number + 1, now)
        missing.due(now)
        again = next(wait for wait in range(300) if missing.due(now + wait * MS))
        assert again <= (45 if trip == 20 * MS else 90)


def test_what_arrived_is_not_asked_for_again() -> None:
    missing = Missing()
    missing.add(1, 4, 0)
    assert missing.due(0) == [1, 2, 3]
    assert missing.arrived(2, 10 * MS)
    assert not missing.arrived(2, 10 * MS)
    assert missing.due(500 * MS) == [1, 3]


def test_giving_up_one_gives_up_all_before_it() -> None:
    missing = Missing()
    missing.add(1, 3, 0)
    missing.add(5, 6, 900 * MS)
    assert missing.give_up(WAIT_NS) == 2
    assert missing.due(WAIT_NS) == [5]


def test_a_hole_of_any_size_costs_little_and_ends() -> None:
    missing = Missing()
    missing.add(0, 1_000_000, 0)
    assert len(missing) <= 1024
    assert missing.give_up(WAIT_NS) == 999_999
