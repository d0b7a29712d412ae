"""Finds a clip's beeps in decoded sound, to about a millisecond; knows nothing of files or pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# A beep this much weaker than the strongest ones is none: what remains of a torn one, or a neighbour's leak.
_RELATIVE_THRESHOLD = 0.5
_ABSOLUTE_THRESHOLD = 0.01
_APART_S = 0.5
# Of all the energy while it sounds, a beep has at least this share, even among others in a mix; what leaks in
# from the edges of a neighbour's beep has up to 0.05.
_SHARE = 0.08

Samples = NDArray[np.float32]


def envelope(samples: Samples, rate: int, pitch_hz: float, beep_ms: int = 30) -> NDArray[np.float64]:
    """The amplitude of `pitch_hz` in the `beep_ms` that *begin* at each sample: peaks where a beep begins."""
    length = rate * beep_ms // 1000
    if len(samples) < length:
        return np.zeros(0)
    phase = np.exp(-2j * np.pi * pitch_hz / rate * np.arange(len(samples)))
    total = np.concatenate(([0], np.cumsum(samples * phase)))
    return np.abs(total[length:] - total[:-length]) * (2 / length)


def onsets(samples: Samples, rate: int, pitch_hz: float, beep_ms: int = 30) -> list[float]:
    """Sample positions (fractions allowed) where beeps of that pitch begin, at least half a second apart.

    The envelope of a beep under a filter of its own length is a triangle with its tip at the onset; the
    centre of gravity of its upper half is that tip, and does not jump with noise as a maximum does.
    """
    # Silence around it, so that a beep at the very start or end makes a whole triangle too.
    pad = rate * beep_ms // 1000
    curve = envelope(np.pad(samples, pad), rate, pitch_hz, beep_ms)
    if not len(curve):
        return []
    found: list[tuple[float, float]] = []
    apart = round(_APART_S * rate)
    energy = np.concatenate(([0], np.cumsum(np.pad(samples, pad).astype(np.float64) ** 2)))
    # The highest of each block, so that an hour is not searched anew for each of its beeps.
    rest = np.pad(curve, (0, -len(curve) % apart))
    blocks = rest.reshape(-1, apart)
    tops = blocks.max(axis=1)
    while True:
        top = int(tops.argmax())
        peak = top * apart + int(blocks[top].argmax())
        height = float(rest[peak])
        if height < _ABSOLUTE_THRESHOLD or (found and height < _RELATIVE_THRESHOLD * found[0][1]):
            break
        share = height**2 / 2 * pad / (energy[peak + pad] - energy[peak])
        rest[max(0, peak - apart) : peak + apart] = 0
        near = slice(max(0, top - 1), top + 2)
        tops[near] = blocks[near].max(axis=1)
        if share < _SHARE:
            continue
        low, high = max(0, peak - pad), min(len(curve), peak + pad)
        part = curve[low:high] - height / 2
        weights = np.clip(part, 0, None)
        found.append((low + float((weights * np.arange(len(weights))).sum() / weights.sum()) - pad, height))
    return sorted(at for at, _ in found)
