"""Beeps are found where they begin, and only those of the pitch that is asked for."""

import numpy as np
import pytest

from reelroom.demo.clip import beep_hz, sound, tone_hz
from reelroom.demo.clipfile import ClipSpec
from tests.onset import onsets


def spec(participant: int) -> ClipSpec:
    pitch, tone = beep_hz(participant), tone_hz(participant)
    return ClipSpec(4, 30, 640, 360, "h264", 500, pitch, tone, 60, participant, 30)


@pytest.mark.parametrize("participant", [0, 1, 30, 63])
def test_beeps_are_found_to_a_tenth_of_a_millisecond(participant: int) -> None:
    samples = sound(spec(participant), -24_000 - 7, 4 * 48_000)
    found = onsets(samples, 48_000, beep_hz(participant))
    assert len(found) == 4
    assert np.abs(np.array(found) - (24_007 + 48_000 * np.arange(4))).max() < 5


def test_a_beep_at_the_very_start_is_found_there() -> None:
    assert onsets(sound(spec(1), 0, 24_000), 48_000, beep_hz(1))[0] == pytest.approx(0, abs=5)


def test_other_pitches_do_not_count_and_do_not_disturb() -> None:
    mix = sound(spec(1), -24_000, 96_000) + sound(spec(2), -23_000, 96_000) + sound(spec(9), -25_000, 96_000)
    for participant, first in ((1, 24_000), (2, 23_000), (9, 25_000)):
        found = onsets(mix / 3, 48_000, beep_hz(participant))
        assert np.abs(np.array(found) - [first, first + 48_000]).max() < 48
    assert not onsets(sound(spec(1), -24_000, 96_000)[:20_000], 48_000, beep_hz(1))


def test_silence_and_scraps_have_no_beeps() -> None:
    assert onsets(np.zeros(48_000, dtype=np.float32), 48_000, 1000) == []
    assert onsets(np.zeros(10, dtype=np.float32), 48_000, 1000) == []
