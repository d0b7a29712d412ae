"""What is left out of media time besides pauses."""

from __future__ import annotations

import pytest

from reelroom.domain.recording import Gaps, RecordingSpec
from reelroom.domain.timeline import SECOND, Pauses
from reelroom.record.cuts import Cuts


def placed(cuts: Cuts, *times_s: float, kind: str = "audio", pauses: Pauses | None = None) -> list[float]:
    """Media times in seconds of frames at room times in seconds, of an output that begins at 0."""
    pauses = pauses or Pauses()
    times = [round(at * SECOND) for at in times_s]
    return [cuts.place(kind, at, pauses.media_ns(0, at), pauses) / SECOND for at in times]


def test_an_absence_is_left_out_and_what_follows_goes_on_at_once() -> None:
    cuts = Cuts(["left"])
    assert placed(cuts, 0.0, 1.0, 1.98) == [0.0, 1.0, 1.98]
    cuts.note("left")
    assert placed(cuts, 12.0, 12.02) == [2.0, 2.02]
    cuts.note("left")
    assert placed(cuts, 20.04, 21.04) == pytest.approx([2.04, 3.04])
    assert cuts.total_ns == 18 * SECOND


def test_a_gap_without_the_reason_takes_its_time() -> None:
    cuts = Cuts(["left"])
    assert placed(cuts, 0.0, 5.0) == [0.0, 5.0]
    cuts.note("mute")
    assert placed(cuts, 9.0) == [9.0]
    cuts.note("left")
    assert placed(cuts, 9.1) == [9.1]  # too short to be an absence
    assert placed(cuts, 19.0) == [19.0]


def test_while_something_comes_nothing_is_cut() -> None:
    cuts = Cuts(["left", "mute"])
    placed(cuts, 0.0)
    cuts.note("mute")
    assert placed(cuts, 0.02, 0.04, 5.0) == [0.02, 0.04, 5.0]


def test_what_comes_late_from_before_the_cut_does_not_go_back() -> None:
    cuts = Cuts(["left"])
    placed(cuts, 0.0, 1.0)
    cuts.note("left")
    assert placed(cuts, 10.0) == [1.02]
    assert placed(cuts, 9.9, 10.01, kind="video") == [1.02, 1.03]


def test_a_pause_within_an_absence_is_left_out_once() -> None:
    cuts = Cuts(["left"])
    pauses = Pauses(((2 * SECOND, 4 * SECOND),))
    placed(cuts, 0.0, 0.98, pauses=pauses)
    cuts.note("left")
    assert placed(cuts, 7.0, pauses=pauses) == [1.0]
    assert cuts.total_ns == 4 * SECOND


def test_another_recorder_goes_on_with_what_was_cut() -> None:
    cuts = Cuts(["left"])
    cuts.restore(12 * SECOND, 10 * SECOND)
    cuts.note("left")  # every track is new to it
    assert placed(cuts, 12.0) == [2.0]
    cuts.note("left")
    assert placed(cuts, 20.0) == [2.02]


def test_what_is_cut_is_not_filled() -> None:
    with pytest.raises(ValueError, match="not filled"):
        RecordingSpec(id="a" * 32, app="a", room="r", cuts=("left",), gaps=Gaps(audio="silence"))
    with pytest.raises(ValueError, match="cuts"):
        RecordingSpec(id="a" * 32, app="a", room="r", cuts=("loss",))
