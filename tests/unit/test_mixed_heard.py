"""Until when a mix renders: never beyond what ingest and main thread have taken, for a while. No pictures, no sound."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from reelroom.domain.recording import Subscription
from reelroom.domain.timeline import SECOND
from reelroom.record.mixed import mixer as module
from reelroom.record.mixed.feed import Feed
from reelroom.record.mixed.mixer import HEARD_NS, LATENCY_NS, Mixer, Stages
from reelroom.rooms import protocol

T0 = 1_700_000_000 * SECOND
TICK_NS = SECOND // 10  # of a mix without pictures


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
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


def test_how_far_the_ingest_is_holds_until_the_connection_is_gone() -> None:
    feed = Feed(Subscription(), None, None, lambda _: None, lambda _: None)
    feed.message(protocol.Hello(ingest="life1", room_ns=T0, ring_s=10))
    feed.message(protocol.Heard(room_ns=T0 + SECOND))
    assert feed.ingest_ns == T0 + SECOND
    feed.disconnected()
    assert feed.ingest_ns > T0 + 1000 * SECOND
