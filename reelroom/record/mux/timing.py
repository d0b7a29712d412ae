"""Media times to ticks and durations: strictly increasing, seamless where the sound is. Touches no bytes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from reelroom.record.mux.model import AUDIO_SCALE, Sample, video_ticks

#: Packets this near to where the one before ends follow it seamlessly; beyond, their own time counts.
SNAP_S = 0.002
_SECOND = 1_000_000_000


class VideoClock:
    """Ticks of one video track over its segments."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = -1

    def ticks(self, samples: Sequence[Sample], end_ns: int) -> tuple[list[int], list[int]]:
        """DTS and durations at 90 kHz; the last sample lasts until `end_ns`, at least one tick."""
        if not samples:
            return [], []
        times = np.fromiter((sample[0] for sample in samples), np.int64, len(samples))
        ticks = (times * 9 + 50_000) // 100_000
        ticks[0] = max(int(ticks[0]), self._last + 1)
        steps = np.arange(len(ticks))
        ticks = np.maximum.accumulate(ticks - steps) + steps  # each at least one tick after the one before
        end = max(video_ticks(end_ns), int(ticks[-1]) + 1)
        durations = np.diff(ticks, append=end)
        self._last = int(ticks[-1])
        return ticks.tolist(), durations.tolist()


class AudioClock:
    """Ticks of one audio track over its segments, `scale` a second. A hole makes the sample before it last longer."""

    __slots__ = ("_expected", "_last", "_snap", "scale")

    def __init__(self, scale: int = AUDIO_SCALE) -> None:
        self.scale = scale
        self._snap = round(scale * SNAP_S)
        self._expected = self._last = -1

    @property
    def end_ns(self) -> int:
        """Media time at which the sound so far ends, -1 before the first."""
        return self._expected * _SECOND // self.scale if self._expected >= 0 else -1

    def ticks(self, samples: Sequence[Sample], nominal: Sequence[int]) -> tuple[list[int], list[int]]:
        """DTS and durations; `nominal` is how much sound each sample holds, in ticks."""
        dts: list[int] = []
        expected, last = self._expected, self._last
        for sample, length in zip(samples, nominal, strict=True):
            tick = (sample[0] * self.scale + _SECOND // 2) // _SECOND
            if expected >= 0 and -self._snap <= tick - expected <= self._snap:
                tick = expected
            if tick <= last:
                tick = last + 1
            dts.append(tick)
            last = tick
            expected = tick + length
        if not dts:
            return [], []
        durations = [b - a for a, b in pairwise(dts)]
        durations.append(nominal[len(dts) - 1])
        self._expected, self._last = expected, last
        return dts, durations


_CONFIG_TICKS = (480, 960, 1920, 2880) * 3 + (480, 960) * 2 + (120, 240, 480, 960) * 4


def opus_ticks(packet: bytes | memoryview) -> int:
    """How much sound an Opus packet holds, in 48 kHz ticks (RFC 6716 §3.1); 20 ms for a broken one."""
    if not len(packet):
        return 960
    toc = packet[0]
    frame = _CONFIG_TICKS[toc >> 3]
    code = toc & 3
    if code == 0:
        return frame
    if code < 3:
        return 2 * frame
    count = packet[1] & 63 if len(packet) > 1 else 1
    return frame * count if 0 < count * frame <= 5760 else 960
