"""Until when a mix renders: never beyond what ingest and main thread have taken, for a while. No pictures, no sound."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from reelroom.domain import lines
from reelroom.domain.recording import Subscription
from reelroom.domain.timeline import SECOND
from reelroom.record.mixed import mixer as module
from reelroom.record.mixed.feed import Feed
from reelroom.record.mixed.frames import Mark
from reelroom.record.mixed.mixer import HEARD_NS, LATENCY_NS, Mixer, Stages
from reelroom.record.mixed.recording import MixedRecording
from reelroom.rooms import protocol

T0 = 1_700_000_000 * SECOND
TICK_NS = SECOND // 10  # of a mix without pictures


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def test_a_mix_waits_for_what_its_main_thread_has_not_taken_yet() -> None:
    feed = Feed(Subscription(), None, None, lambda _: None, lambda _: None)
    feed.message(protocol.Hello(ingest="life1", room_ns=T0, ring_s=10))
    feed.message(protocol.CaughtUp(room_ns=T0))
    feed.heard_ns = T0 + SECOND
    now_ns = T0 + 4 * SECOND
    mixer = Mixer(0, feed, lambda: Stages(None, None), lambda: now_ns, lambda: None, T0, None, at_latest_ns=T0)
    mixer.start()
    try:
        for heard_ns in (T0 + SECOND, T0 + 3 * SECOND):
            feed.heard_ns = heard_ns
            last_ns = T0 + (heard_ns - HEARD_NS - T0) // TICK_NS * TICK_NS
            wait(lambda last_ns=last_ns: mixer.at_ns == last_ns + TICK_NS)  # type: ignore[misc]
            rounds = mixer.rounds
            wait(lambda rounds=rounds: mixer.rounds > rounds + 5)  # type: ignore[misc]
            assert mixer.at_ns == last_ns + TICK_NS
        feed.heard_ns = now_ns
        mixer.stop_at(now_ns - LATENCY_NS - TICK_NS)
        wait(lambda: mixer.done)
        assert mixer.error is None
    finally:
        mixer.abandon()


def test_a_mix_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ALONE_NS", SECOND // 5)
    feed = Feed(Subscription(), None, None, lambda _: None, lambda _: None)
    feed.message(protocol.Hello(ingest="life1", room_ns=T0, ring_s=10))
    feed.message(protocol.CaughtUp(room_ns=T0))
    feed.heard_ns = T0  # and then nothing more
    now_ns = T0 + 4 * SECOND
    mixer = Mixer(0, feed, lambda: Stages(None, None), lambda: now_ns, lambda: None, T0, None, at_latest_ns=T0)
    mixer.stop_at(now_ns - LATENCY_NS - TICK_NS)
    mixer.start()
    try:
        wait(lambda: mixer.done)
        assert mixer.error is None
    finally:
        mixer.abandon()


@pytest.mark.parametrize("stopped", [True, False])
def test_who_is_much_too_late_leaves_something_out_unless_it_only_has_to_come_to_an_end(stopped: bool) -> None:
    feed = Feed(Subscription(), None, None, lambda _: None, lambda _: None)
    feed.message(protocol.Hello(ingest="life1", room_ns=T0, ring_s=10))
    feed.message(protocol.CaughtUp(room_ns=T0))
    now_ns, stop_ns = T0 + SECOND, T0 + 30 * SECOND
    mixer = Mixer(0, feed, lambda: Stages(None, None), lambda: now_ns, lambda: None, T0, None, at_latest_ns=T0)
    mixer.start()
    try:
        wait(lambda: mixer.at_ns > T0 and not mixer.busy)
        if stopped:
            mixer.stop_at(stop_ns)
        now_ns = stop_ns + 20 * SECOND
        if not stopped:
            wait(lambda: bool(mixer.made))
            mixer.stop_at(now_ns - LATENCY_NS - TICK_NS)
        wait(lambda: mixer.done)
        assert [mark.what for mark in mixer.made if isinstance(mark, Mark)] == ([] if stopped else ["overload"])
    finally:
        mixer.abandon()


def test_what_was_left_out_at_the_very_end_is_a_gap() -> None:
    told: list[lines.AnyLine] = []
    recording = MixedRecording.__new__(MixedRecording)
    opened = lines.OutputOpened(output="000", identity="", source="mixed", kind="av", start_ns=T0)
    left_out = {True: Mark("overload", T0 + SECOND, T0 + 9 * SECOND)}  # sound came again
    recording._output = SimpleNamespace(opened=opened, left_out=left_out)  # type: ignore[assignment]
    recording._worker = SimpleNamespace(lines=told.extend)  # type: ignore[assignment]
    recording._tell_lost(None, T0 + 5 * SECOND)
    (gap,) = told
    assert isinstance(gap, lines.Gap)
    assert (gap.kind, gap.reason, gap.identity) == ("video", "overload", "")
    assert (gap.from_ns, gap.to_ns) == (T0 + SECOND, T0 + 5 * SECOND)


def test_how_far_the_ingest_is_holds_until_the_connection_is_gone() -> None:
    feed = Feed(Subscription(), None, None, lambda _: None, lambda _: None)
    feed.message(protocol.Hello(ingest="life1", room_ns=T0, ring_s=10))
    feed.message(protocol.Heard(room_ns=T0 + SECOND))
    assert feed.ingest_ns == T0 + SECOND
    feed.disconnected()
    assert feed.ingest_ns > T0 + 1000 * SECOND
