"""Transport-wide feedback, read by a decoder of its own (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1)."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from reelroom.rtc.feedback import TransportFeedback

MS = 1_000_000
T0 = 1_800_000_000_000_000_000


@dataclass
class Message:
    base: int
    count: int
    feedback_count: int
    reference_ms: int
    arrivals: dict[int, int | None]  # number on the wire → microseconds since the reference's zero


def decode(data: bytes) -> Message:
    first, kind, words = struct.unpack_from("!BBH", data)
    assert (first & 0xDF, kind, 4 + 4 * words) == (0x8F, 205, len(data))
    if first & 0x20:
        assert 1 <= data[-1] <= 3
        data = data[: -data[-1]]
    sender, media, base, count, last = struct.unpack_from("!IIHHI", data, 4)
    assert (sender, media) == (11, 22)
    reference = last >> 8
    statuses: list[int] = []
    at = 20
    while len(statuses) < count:
        (chunk,) = struct.unpack_from("!H", data, at)
        at += 2
        if not chunk & 0x8000:
            statuses += [chunk >> 13] * (chunk & 0x1FFF)
        elif chunk & 0x4000:
            statuses += [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:
            statuses += [chunk >> shift & 1 for shift in range(13, -1, -1)]
    assert all(status == 0 for status in statuses[count:])
    arrivals: dict[int, int | None] = {}
    ticks = reference * 256
    for index, status in enumerate(statuses[:count]):
        assert status in (0, 1, 2)
        if status == 1:
            ticks += data[at]
            at += 1
        elif status == 2:
            ticks += struct.unpack_from("!h", data, at)[0]
            at += 2
        arrivals[(base + index) & 0xFFFF] = ticks * 250 if status else None
    assert at == len(data), "nothing but padding may be left"
    return Message(base, count, last & 0xFF, reference * 64, arrivals)


def messages(feedback: TransportFeedback) -> list[Message]:
    found = []
    while (data := feedback.message(11, 22)) is not None:
        assert len(data) <= 1350
        found.append(decode(data))
    return found


def close(told_us: int | None, at_ns: int) -> bool:
    return told_us is not None and 0 <= (at_ns - T0) // 1000 - told_us < 250


def test_nothing_arrived_says_nothing() -> None:
    assert TransportFeedback(T0).message(11, 22) is None


def test_in_order_with_a_gap_across_the_wrap() -> None:
    feedback = TransportFeedback(T0)
    times = {}
    for index, number in enumerate([65533, 65534, 65535, 2, 3]):
        times[number] = T0 + 100 * MS + index * 3 * MS
        feedback.arrived(number, times[number])
    (message,) = messages(feedback)
    assert message.base == 65533
    assert [number for number, at in message.arrivals.items() if at is None] == [0, 1]
    assert all(close(message.arrivals[number], at) for number, at in times.items())


def test_the_next_message_begins_where_the_last_ended_and_counts() -> None:
    feedback = TransportFeedback(T0)
    for number in (10, 11):
        feedback.arrived(number, T0)
    messages(feedback)
    feedback.arrived(14, T0 + 5 * MS)
    (message,) = messages(feedback)
    assert (message.base, message.count, message.feedback_count) == (12, 3, 1)
    assert message.arrivals[12] is message.arrivals[13] is None


def test_reordering_within_a_message_gives_negative_deltas() -> None:
    feedback = TransportFeedback(T0)
    order = [5, 7, 6, 9, 8]
    for index, number in enumerate(order):
        feedback.arrived(number, T0 + 640 * MS + index * 20 * MS)
    (message,) = messages(feedback)
    assert all(close(message.arrivals[n], T0 + 640 * MS + i * 20 * MS) for i, n in enumerate(order))


def test_a_packet_behind_the_last_message_does_not_unsay_what_was_told() -> None:
    feedback = TransportFeedback(T0)
    for number in (10, 12, 13):
        feedback.arrived(number, T0 + number * MS)
    messages(feedback)
    feedback.arrived(11, T0 + 30 * MS)
    (message,) = messages(feedback)
    assert message.base == 11
    assert close(message.arrivals[11], T0 + 30 * MS)
    assert close(message.arrivals[12], T0 + 12 * MS)
    feedback.arrived(14, T0 + 40 * MS)
    (message,) = messages(feedback)
    assert (message.base, message.count) == (14, 1)


def test_a_big_jump_and_back_stays_small_and_recovers() -> None:
    feedback = TransportFeedback(T0)
    for number in (1, 2, 30_000, 3, 4):
        feedback.arrived(number, T0 + number)
    told: dict[int, int | None] = {}
    for message in messages(feedback):
        assert message.count <= 1000
        told |= {n: at for n, at in message.arrivals.items() if at is not None}
    assert set(told) == {1, 2, 3, 4, 30_000}
    feedback.arrived(5, T0 + 50 * MS)
    assert any(close(message.arrivals.get(5), T0 + 50 * MS) for message in messages(feedback))


def test_arrivals_minutes_apart_are_no_lie() -> None:
    feedback = TransportFeedback(T0)
    feedback.arrived(1, T0)
    feedback.arrived(2, T0 + 60_000 * MS)
    (message,) = messages(feedback)
    assert close(message.arrivals[1], T0)
    assert message.arrivals.get(2) is None


def test_a_flood_is_told_in_messages_that_fit_a_datagram() -> None:
    feedback = TransportFeedback(T0)
    dice = random.Random(1)
    times = {}
    for number in range(0, 6000, 2):
        times[number] = T0 + 5000 * MS + dice.randint(0, 100 * MS)
        feedback.arrived(number, times[number])
    told: dict[int, int | None] = {}
    for message in messages(feedback):
        told |= {n: at for n, at in message.arrivals.items() if at is not None}
    assert set(told) == set(times)
    assert all(close(told[number], at) for number, at in times.items())


@settings(max_examples=60)
@given(
    st.integers(0, 65535),
    st.lists(st.tuples(st.integers(-20, 60), st.integers(0, 90), st.booleans()), min_size=1, max_size=120),
)
def test_whatever_arrives_is_told_once_with_its_time(start: int, steps: list[tuple[int, int, bool]]) -> None:
    feedback = TransportFeedback(T0)
    number, now, highest = start, T0, start
    sent: dict[int, int] = {}
    told: dict[int, int] = {}

    def tell() -> None:
        for message in messages(feedback):
            for wire, at in message.arrivals.items():
                if at is not None:
                    told[wire] = at
                else:
                    far = (highest - wire + 32768 & 0xFFFF) - 32768 >= 100
                    assert wire not in told or far, "told as lost after it was told as there"

    for step, wait, flush in steps:
        number += step
        highest = max(highest, number)
        now += wait * MS
        if number & 0xFFFF in sent:
            continue
        sent[number & 0xFFFF] = now
        feedback.arrived(number & 0xFFFF, now)
        if flush:
            tell()
    tell()
    late = {wire for wire, at in sent.items() if not close(told.get(wire), at)}
    # What is too far from its neighbours to be written (8 s) is told as lost; nothing else is.
    assert all(now - T0 > 8000 * MS for _ in late)
