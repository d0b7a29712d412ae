"""Keeps a sum of voices below full scale by turning it down in time, and leaves alone what is. Pure arithmetic."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from reelroom.record.mixed.resample import Sound

CEILING = 0.97  # -0.26 dBFS: room for what a lossy codec makes of a peak
_LOOK = 4  # steps that a peak is known before it is heard
_STEP_S = 1 / 750
_RELEASE_S = 0.15


class Limiter:
    """A stream of samples; what comes out is `_LOOK` steps (5.3 ms) and a part of one behind what went in.

    The gain is a line from step to step, of all channels the same: down over the steps before a peak, up again
    exponentially. Where no peak is near, samples pass unchanged.
    """

    def __init__(self, rate: int, channels: int) -> None:
        self._step = round(rate * _STEP_S)
        self._keep = math.exp(-self._step / (rate * _RELEASE_S))
        self._rest: Sound = np.zeros((channels, 0), np.float32)
        self._gain = 1.0  # at the first sample of `_rest`
        self._begun = False

    def wants(self, samples: int) -> int:
        """How many samples have to go in before at least so many come out."""
        steps = -(-samples // self._step) + _LOOK
        return max(0, steps * self._step - len(self._rest[0]))

    def push(self, sound: Sound) -> Sound:
        buffer = np.concatenate((self._rest, sound), axis=1)
        steps = buffer.shape[1] // self._step
        out = max(0, steps - _LOOK)
        ready = buffer[:, : out * self._step]
        self._rest = buffer[:, out * self._step :]
        if not out:
            return ready
        if self._gain < 1 or max(float(buffer.max()), -float(buffer.min())) > CEILING:
            ready = ready * self._gains(buffer[:, : steps * self._step], steps, out)
        self._begun = True
        return ready

    def _gains(self, buffer: Sound, steps: int, out: int) -> NDArray[np.float32]:
        peaks = np.abs(buffer).reshape(-1, steps, self._step).max(axis=(0, 2))
        allowed = np.minimum(1, CEILING / np.maximum(peaks, 1e-9)).tolist()
        # At the border of two steps what both allow, and never steeper than from 1 to 0 within the steps looked ahead.
        borders = [*(min(a, b) for a, b in pairwise(allowed)), allowed[-1]]
        for index in range(len(borders) - 2, -1, -1):
            borders[index] = min(borders[index], borders[index + 1] + 1 / _LOOK)
        if not self._begun:
            self._gain = min(allowed[0], borders[0] + 1 / _LOOK)  # nothing was heard yet: no way down is needed
        gains = [self._gain]
        for border in borders[:out]:
            risen = 1 - (1 - gains[-1]) * self._keep
            gains.append(min(border, 1.0 if risen > 0.9999 else risen))
        self._gain = gains[-1]
        return np.interp(np.arange(out * self._step) / self._step, np.arange(out + 1), gains).astype(np.float32)
