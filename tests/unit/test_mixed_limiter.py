"""The mix's limiter and resamplers: never above the ceiling, nothing touched below it, tones in level and place."""

from __future__ import annotations

import numpy as np
import pytest

from reelroom.record.mixed.limiter import CEILING, Limiter
from reelroom.record.mixed.resample import REACH, Converter, interpolate

RATES = [16_000, 32_000, 44_100, 48_000]


def through(stream: Limiter | Converter, sound: np.ndarray, sizes: list[int]) -> np.ndarray:
    """The sound pushed in pieces of these sizes, over and over."""
    pieces, at, turn = [], 0, 0
    while at < sound.shape[1]:
        size = sizes[turn % len(sizes)]
        pieces.append(stream.push(sound[:, at : at + size]))
        at, turn = at + size, turn + 1
    return np.concatenate(pieces, axis=1)


def tone(hertz: float, rate: int, seconds: float = 1.0, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)[None]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("sizes", [[1024], [1, 7, 960, 61], [4800]])
def test_what_is_below_the_ceiling_passes_to_the_bit(rate, sizes):
    sound = np.repeat(tone(440, rate, level=0.96), 2, axis=0)
    out = through(Limiter(rate, 2), sound, sizes)
    assert out.shape[1] > sound.shape[1] - rate // 100
    assert (out == sound[:, : out.shape[1]]).all()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("rate", RATES)
def test_nothing_is_ever_above_the_ceiling(rate, seed):
    random = np.random.default_rng(seed)
    sound = random.normal(0, 0.05, (2, rate)).astype(np.float32)
    for at in random.integers(0, rate - 600, 30):  # bursts of any length, up to 16 times full scale
        sound[:, at : at + random.integers(1, 600)] *= random.uniform(1, 80)
    out = through(Limiter(rate, 2), sound, random.integers(1, 3000, 20).tolist())
    assert np.abs(sound).max() > 2
    assert np.abs(out).max() <= CEILING + 1e-6
    assert np.abs(out).max() > CEILING - 0.05  # and not just silenced


def test_the_gain_comes_down_before_a_peak_and_goes_back_to_one():
    rate = 48_000
    sound = tone(1000, rate, 3, 0.5)
    sound[:, rate : rate + 480] *= 4
    out = through(Limiter(rate, 1), sound, [1024])
    gain = np.abs(out[0, 12::48]) / np.abs(sound[0, 12 : out.shape[1] : 48])  # at the tone's peaks, each millisecond
    assert gain[:990].min() == 1
    assert (np.abs(np.diff(gain)) < 0.2).all()  # never a step
    assert gain[1000:1010].max() <= CEILING / 2 + 1e-3
    assert gain[1020] < 0.8  # it is let go slowly
    assert gain[2600:].min() == 1


def test_how_much_it_wants_is_enough():
    limiter = Limiter(44_100, 1)
    for samples in (1, 58, 59, 60, 1024, 3):
        wanted = limiter.wants(samples)
        assert limiter.push(np.zeros((1, wanted), np.float32)).shape[1] >= samples


@pytest.mark.parametrize("rate", [16_000, 32_000, 44_100])
@pytest.mark.parametrize("sizes", [[1024], [5, 960, 1]])
def test_another_rate_keeps_a_tone_in_level_and_place(rate, sizes):
    for hertz in (50, 997, rate * 0.4):
        out = through(Converter(48_000, rate, 1), tone(hertz, 48_000), sizes)[0]
        wanted = tone(hertz, rate)[0][: len(out)]
        assert len(out) > rate * 0.998
        assert np.abs(out - wanted)[200:].max() < 0.5 * 0.01


@pytest.mark.parametrize(("rate", "hertz"), [(16_000, 9500), (16_000, 15_000), (32_000, 18_000), (44_100, 23_500)])
def test_what_a_rate_cannot_hold_is_taken_out(rate, hertz):
    out = through(Converter(48_000, rate, 1), tone(hertz, 48_000), [960])[0]
    assert np.abs(out[500:-500]).max() < 0.5 * 10 ** (-60 / 20)


@pytest.mark.parametrize("hertz", [100, 1000, 8000, 16_000])
@pytest.mark.parametrize("step", [1.001, 0.999, 0.9999, 1 / 6])
def test_reading_between_samples_follows_the_wave(hertz, step):
    sound = tone(hertz, 48_000, 0.2)
    places = REACH + 0.37 + np.arange(int(8000 / max(1, step))) * step
    wanted = 0.5 * np.sin(2 * np.pi * hertz * places / 48_000)
    assert np.abs(interpolate(sound, places)[0] - wanted).max() < 0.5 * 0.003
