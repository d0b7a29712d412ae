"""Sound at other rates and between samples, by windowed sines. Pure arithmetic on arrays: knows no time, no codec."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Sound = NDArray[np.float32]  # [channels, samples]
_BETA = 8.0  # of the Kaiser window: what should not be there is 80 dB down
_PHASES = 2048
TAPS = 32
REACH = TAPS // 2  # samples on either side that `interpolate` looks at


def _kernel(taps: int, phases: int, cutoff: float) -> NDArray[np.float32]:
    """Row p holds the weights of samples -taps/2+1..taps/2 for the place p/phases; `cutoff` in Nyquist frequencies."""
    offsets = np.arange(-taps // 2 + 1, taps // 2 + 1)
    distance = np.arange(phases + 1)[:, None] / phases - offsets
    window = np.i0(_BETA * np.sqrt(np.clip(1 - (2 * distance / taps) ** 2, 0, None))) / np.i0(_BETA)
    rows = cutoff * np.sinc(cutoff * distance) * window
    weights: NDArray[np.float32] = (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)
    return weights


_BETWEEN = _kernel(TAPS, _PHASES, 1.0)


def interpolate(sound: Sound, places: NDArray[np.float64]) -> Sound:
    """The sound at fractional places. `sound` must reach REACH samples further than they do on both sides."""
    whole = np.floor(places).astype(np.int64)
    weights = _BETWEEN[np.rint((places - whole) * _PHASES).astype(np.int64)]
    windows = sliding_window_view(sound, TAPS, axis=1)[:, whole - (REACH - 1)]
    between: Sound = np.einsum("cnt,nt->cn", windows, weights)
    return between


class Converter:
    """A stream from one rate to another, without delay: what goes in is cut off at both Nyquist frequencies."""

    def __init__(self, source: int, target: int, channels: int) -> None:
        step = Fraction(source, target)
        self._step, self._phases = step.numerator, step.denominator
        cutoff = min(1.0, target / source) * 0.93
        taps = 2 * round(24 / cutoff)
        self._taps = taps
        self._weights = _kernel(taps, self._phases, cutoff)
        # Before the first sample is silence. `_place`: where in the buffer the next sample comes from, in phases.
        self._rest: Sound = np.zeros((channels, taps // 2 - 1), np.float32)
        self._place = (taps // 2 - 1) * self._phases

    def push(self, sound: Sound) -> Sound:
        """What can be told after these samples: the kernel wants half its length to the right."""
        buffer = np.concatenate((self._rest, sound), axis=1)
        last = (buffer.shape[1] - self._taps // 2) * self._phases - 1  # the last place with a whole kernel
        count = max(0, (last - self._place) // self._step + 1)
        if not count:
            self._rest = buffer
            return buffer[:, :0]
        places = self._place + np.arange(count) * self._step
        whole = places // self._phases
        windows = sliding_window_view(buffer, self._taps, axis=1)[:, whole - (self._taps // 2 - 1)]
        out: Sound = np.einsum("cnt,nt->cn", windows, self._weights[places % self._phases])
        place = self._place + count * self._step
        done = place // self._phases - (self._taps // 2 - 1)
        self._rest = buffer[:, done:]
        self._place = place - done * self._phases
        return out
