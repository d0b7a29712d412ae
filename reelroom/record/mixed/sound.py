"""The mix's sound: all voices by room time, summed, at the wanted rate, below full scale. Encodes nothing."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reelroom.record.mixed.limiter import Limiter
from reelroom.record.mixed.listener import FADE, RATE, Listener, to_ticks
from reelroom.record.mixed.loudness import Meter
from reelroom.record.mixed.resample import Converter, Sound

_STAY_NS = 1_000_000_000  # who is heard among many stays so long after the last word
_SEAMLESS_NS = 50_000  # so far a call may be from where the one before ended, and still go on there


class SoundMixer:
    """`add`, `put` and `remove` may be called from another thread than `mix` and `spoke`."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        """`sample_rate` in Hz, at most 48000; `channels` 1 or 2."""
        self._rate = sample_rate
        self._channels = channels
        self._lock = threading.Lock()
        self._voices: dict[int, Listener] = {}
        self._leaving: list[Listener] = []
        self.most = 0  # so many voices are heard at once; 0: all
        self._muted: list[Listener] = []  # the others, when there are more
        self._next_ns = -1  # where the next call goes on
        self._rest_ns = 0.0  # and what is too little for a nanosecond
        self._tick = 0  # of what is summed next
        self._ready: Sound = np.zeros((channels, 0), np.float32)
        self._fade = FADE * sample_rate // RATE
        self._gone: Sound = self._ready  # what is still to be faded out of where the sound came from
        self._convert: Converter | None = None
        self._limiter = Limiter(sample_rate, channels)
        self.meter: Meter | None = None

    def add(self, track: int, codec: str, clock_rate: int, channels: int) -> None:
        """From now on there may be packets of it. Raises ValueError for a codec or rate that is not mixed."""
        rate = RATE if codec == "opus" else 8000
        if clock_rate != rate or channels not in (0, 1, 2):
            raise ValueError(f"{codec} is mixed at {rate} Hz with 1 or 2 channels, not at {clock_rate} with {channels}")
        voice = Listener(codec, self._channels)
        with self._lock:
            if track in self._voices:
                raise ValueError(f"track {track} is mixed already")
            self._voices[track] = voice

    def put(self, track: int, room_ns: int, payload: bytes, level: int) -> None:
        """A packet of the track, in order; `level` is 0..127 -dBov, 255 when the sender did not say."""
        self._voices[track].put(room_ns, payload, level)

    def remove(self, track: int) -> None:
        """The track is faded out at the next `mix`."""
        with self._lock:
            voice = self._voices.pop(track)
            voice.leave()
            self._leaving.append(voice)

    def mix(self, from_ns: int, samples: int) -> Sound:
        """[channels, samples] from a room time on, values within -1..1.

        Calls follow each other; where one does not begin at the end of the one before (up to half a second before it,
        or anywhere behind it), the sound goes over within 5 ms.
        """
        if abs(from_ns - self._next_ns) > _SEAMLESS_NS:
            gone = self._go_over(self._ready[:, : self._fade])
            self._begin(from_ns)
            self._gone = gone
        # What is ready beyond this call fades out should the next one be elsewhere.
        while self._ready.shape[1] < samples + self._fade:
            missing = samples + self._fade - self._ready.shape[1]
            self._sum(-(-self._limiter.wants(missing) * RATE // self._rate))
        out, self._ready = self._go_over(self._ready[:, :samples]), self._ready[:, samples:]
        self._gone = self._gone[:, samples:]  # the next call goes on with the rest
        self._rest_ns += samples * 1e9 / self._rate
        whole_ns = int(self._rest_ns)
        self._next_ns, self._rest_ns = self._next_ns + whole_ns, self._rest_ns - whole_ns
        return out

    def _go_over(self, sound: Sound) -> Sound:
        """From what was heard before to `sound`, as far as it has not."""
        left = self._gone.shape[1]
        size = min(left, sound.shape[1])
        if not size:
            return sound
        rising = np.linspace(0, 1, self._fade, dtype=np.float32)[self._fade - left :][:size]
        sound = sound.copy()
        sound[:, :size] = sound[:, :size] * rising + self._gone[:, :size] * (1 - rising)
        return sound

    def spoke(self, now_ns: int) -> dict[int, int]:
        """Room time at which each track was last heard to speak, not later than now; who never spoke is missing."""
        with self._lock:
            return {track: min(voice.spoke_ns, now_ns) for track, voice in self._voices.items() if voice.spoke_ns}

    def volumes(self) -> dict[int, int]:
        """How loud each track was since the last call, 0..100; `meter` is there."""
        assert self.meter is not None
        heard = self.meter.take()
        with self._lock:
            return {track: heard.get(id(voice), 0) for track, voice in self._voices.items()}

    def _begin(self, from_ns: int) -> None:
        self._next_ns, self._rest_ns = from_ns, 0.0
        self._tick = to_ticks(from_ns)
        self._ready = np.zeros((self._channels, 0), np.float32)
        self._limiter = Limiter(self._rate, self._channels)
        self._convert = Converter(RATE, self._rate, self._channels) if self._rate != RATE else None

    def _gains(self, voices: Sequence[Listener], count: int) -> dict[int, NDArray[np.float32]]:
        """By how much those are heard who are not heard as they are, by id. Whoever leaves is faded out anyway."""
        before, staying = self._muted, [voice for voice in voices if not voice.leaves]
        self._muted = self._too_many(staying) if self.most and len(staying) > self.most else []
        ramp = np.linspace(0, 1, min(FADE, count), dtype=np.float32)
        gains: dict[int, NDArray[np.float32]] = {}
        for voice in staying if before or self._muted else ():
            was, now = voice not in before, voice not in self._muted
            if not (was and now):
                gain = gains[id(voice)] = np.full(count, now, np.float32)
                if was is not now:
                    gain[: len(ramp)] = ramp if now else ramp[::-1]
        return gains

    def _too_many(self, voices: Sequence[Listener]) -> list[Listener]:
        """All but those who spoke last, and of those who have not, the first; who is heard and spoke just now stays."""
        since_ns = max(0, max(voice.spoke_ns for voice in voices) - _STAY_NS)
        order = {id(voice): number for number, voice in enumerate(voices)}

        def rank(voice: Listener) -> tuple[bool, bool, int, int]:
            lately = voice.spoke_ns > since_ns
            return lately and voice not in self._muted, lately, voice.spoke_ns, -order[id(voice)]

        return sorted(voices, key=rank, reverse=True)[self.most :]

    def _sum(self, count: int) -> None:
        with self._lock:
            voices = [*self._voices.values(), *self._leaving]
        mono = np.zeros(count, np.float32)
        both: Sound | None = None
        gains = self._gains(voices, count)
        for voice in voices:
            gain = gains.get(id(voice))
            for offset, sound in voice.read(self._tick, count):
                size = sound.shape[1]
                if self.meter is not None:
                    self.meter.heard(id(voice), sound)
                if gain is not None:
                    sound = sound * gain[offset : offset + size]
                if sound.shape[0] == 1:
                    mono[offset : offset + size] += sound[0]
                else:
                    if both is None:
                        both = np.zeros((2, count), np.float32)
                    both[:, offset : offset + size] += sound
        with self._lock:
            self._leaving = [voice for voice in self._leaving if not voice.gone]
        self._tick += count
        if self.meter is not None:
            self.meter.passed(count)
        if both is not None:
            total: Sound = both + mono
        else:
            total = np.repeat(mono[None], self._channels, axis=0)
        if self._convert is not None:
            total = self._convert.push(total)
        self._ready = np.concatenate((self._ready, self._limiter.push(total)), axis=1)
