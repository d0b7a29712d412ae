"""What recordings are reckoned to cost, and what the ledger has left."""

from __future__ import annotations

import pytest

from reelroom.control.capacity import shape
from reelroom.domain.cost import EXPECTED, UNKNOWN_PIXELS, Ledger, Rates, Shape, estimate
from reelroom.domain.mix import Mix
from reelroom.domain.recording import Format, Hls, Mode, RecordingSpec, Selection, Subscription

RATES = Rates(encode=0.01, decode=0.002, draw=0.001, voice=0.005, base=0.03, person=0.01)
HD = 1280 * 720 * 30


def test_a_mix_costs_its_canvas_and_what_it_decodes() -> None:
    four = Shape(mix=Mix(), pixels=(HD,) * 4, voices=4, people=4)
    assert estimate(four, RATES) == pytest.approx(0.03 + HD / 1e6 * (0.011 + 4 * 0.002) + 4 * 0.005)
    half = Shape(mix=Mix(fps=15), pixels=(HD,) * 4, voices=4, people=4)
    assert estimate(four, RATES) - estimate(half, RATES) == pytest.approx(HD / 2e6 * 0.011)


def test_an_empty_room_is_reckoned_with_people_to_come() -> None:
    empty, two = (
        Shape(mix=Mix()),
        Shape(mix=Mix(), pixels=(UNKNOWN_PIXELS,) * EXPECTED, voices=EXPECTED, people=EXPECTED),
    )
    assert estimate(empty, RATES) == pytest.approx(estimate(two, RATES))
    assert estimate(Shape(mix=None), RATES) == pytest.approx(0.01)


def test_sound_alone_costs_no_pictures_and_individual_streams_cost_extra() -> None:
    sound = Shape(mix=Mix(), voices=4, people=4, picture=False)
    assert estimate(sound, RATES) == pytest.approx(0.03 + 4 * 0.005)
    both = Shape(mix=Mix(individual=True), voices=4, people=4, picture=False)
    assert estimate(both, RATES) == pytest.approx(estimate(sound, RATES) + 4 * 0.01)


def test_other_codecs_cost_more_than_h264() -> None:
    costs = [estimate(Shape(mix=Mix(video_codec=codec)), RATES) for codec in ("h264", "vp9", "h265")]
    assert costs == sorted(costs) and costs[0] < costs[1]


def room(*codecs: str, width: int = 640, height: int = 360) -> list[dict]:
    return [
        {
            "identity": f"p{n}",
            "tracks": [
                {"source": "camera", "kind": "video", "codec": codec, "width": width, "height": height},
                {"source": "microphone", "kind": "audio", "codec": "opus"},
            ],
        }
        for n, codec in enumerate(codecs)
    ]


def test_the_shape_is_of_the_tracks_that_are_wanted_and_knows_what_is_transcoded() -> None:
    names = {"id": "0" * 32, "app": "a", "room": "r"}
    ts = RecordingSpec(**names, formats=(Format.HLS,), hls=Hls(container="ts"))  # type: ignore[arg-type]
    found = shape(ts, room("h264", "vp8"))
    assert (found.people, found.voices, len(found.pixels), found.transcoded) == (2, 2, 2, 1)
    webm = RecordingSpec(**names, formats=(Format.HLS, Format.WEBM))  # type: ignore[arg-type]
    assert shape(webm, room("h264")).transcoded == 0  # it is made after the end
    only = Subscription(video=Selection(include=("p0",)), audio=None)
    mixed = RecordingSpec(**names, mode=Mode.MIXED, mix=Mix(), subscription=only)  # type: ignore[arg-type]
    found = shape(mixed, room("h264", "vp8"))
    assert (found.people, found.voices, found.pixels) == (1, 0, (640 * 360 * 30,))
    assert (found.picture, found.sound, found.transcoded) == (True, False, 0)


def test_what_is_booked_counts_until_it_is_measured_at_work() -> None:
    ledger = Ledger(1.8)
    ledger.book("a", 0.6, 0.0)
    assert ledger.balance().free == pytest.approx(1.2)
    ledger.seen({"a": 0.4}, 0.1, 5.0)  # it works, but has not settled: the rest is kept for it
    assert (ledger.balance().used, ledger.balance().booked) == (pytest.approx(0.5), pytest.approx(0.2))
    ledger.seen({"a": 0.4}, 0.1, 25.0)
    assert (ledger.balance().used, ledger.balance().booked) == (pytest.approx(0.5), 0)
    assert ledger.cost_of("a") == (0.4, 0.0)


def test_a_recording_of_a_room_in_which_nobody_is_yet_keeps_its_booking() -> None:
    ledger = Ledger(1.8)
    ledger.book("a", 0.6, 0.0)
    ledger.seen({"a": 0.01}, 0.0, 3600.0)
    assert ledger.balance().free == pytest.approx(1.2)


def test_what_costs_more_than_was_reckoned_counts_as_measured() -> None:
    ledger = Ledger(1.8)
    ledger.book("a", 0.6, 0.0)
    ledger.seen({"a": 1.5}, 0.0, 5.0)
    assert ledger.balance().free == pytest.approx(0.3)
    assert ledger.fits(0.3) and not ledger.fits(0.31)


def test_a_recording_that_ended_or_never_began_frees_what_was_kept_for_it() -> None:
    ledger = Ledger(1.8)
    ledger.book("a", 0.6, 0.0)
    ledger.book("b", 0.6, 0.0)
    ledger.release("b")
    ledger.seen({}, 0.0, 5.0)
    assert ledger.balance().free == pytest.approx(1.2)  # its process may still come
    ledger.seen({}, 0.0, 20.0)
    assert ledger.balance().free == pytest.approx(1.8)


def test_without_a_limit_everything_fits() -> None:
    ledger = Ledger(0.0, cores=8.0)
    ledger.seen({"a": 5.0}, 0.0, 0.0)
    assert ledger.fits(100.0)
    assert ledger.balance().free == pytest.approx(3.0)  # of what there is
