"""The sound of a mixed recording: cut into the encoder's frames on the grid of media time. Mixes and encodes nothing.

Runs in the mixing thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from reelroom.domain.mix import Mix
from reelroom.domain.timeline import SECOND, Pauses
from reelroom.record.mixed.frames import Made
from reelroom.record.mixed.sound import SoundMixer
from reelroom.record.mixed.voice import SoundEncoder

_WARM_UP = 3  # frames that an encoder hears again when it goes on in the middle
FADE_NS = 5_000_000  # sound that was cut off hard at the end would click


class SoundStage:
    """Frame k of the sound holds the samples from k * `frame_samples` of media time on, and has the number k + 1."""

    def __init__(
        self,
        mix: Mix,
        sound: SoundMixer,
        encoder: Callable[[], SoundEncoder],
        each_second: Callable[[int], None] | None = None,
    ) -> None:
        """`each_second` is called with each whole second of media time that has been mixed."""
        self._rate = mix.sample_rate
        self._channels = mix.channels
        self._mixer = sound
        self._new_encoder = encoder
        self._encoder = encoder()
        self._samples = self._encoder.frame_samples
        self._shift = round(self._encoder.delay / self._samples)  # whole frames that come out late
        self._rest = self._encoder.delay - self._shift * self._samples
        self._next = 0  # number of the next frame, from 0
        self._fade = round(FADE_NS * self._rate / SECOND)
        self._end: int | None = None  # sample behind the last, once that is known
        self._fed: deque[int] = deque()  # frames that have gone in and not come out
        self._skip = self._shift  # the first that come out hold nothing
        self._last = 0  # `seq` of the last frame that came out
        self._times: dict[int, int] = {}
        self._each_second = each_second
        self._second = 0  # of media time that has been told

    def begin(self, seq: int) -> None:
        """Go on behind frame `seq`."""
        self._last = seq
        self._next = max(0, seq - _WARM_UP)
        self._second = seq * self._samples // self._rate

    @property
    def begins_ns(self) -> int:
        """The media time behind the last frame."""
        return self._last * self._samples * SECOND // self._rate

    def end(self, media_ns: int) -> None:
        """The sound is to end there: it fades out, and nothing is made of what follows."""
        self._end = media_ns * self._rate // SECOND

    def until(self, media_ns: int, start_ns: int, pauses: Pauses) -> list[Made]:
        """All frames that end by a media time; what comes out may be of earlier ones."""
        made: list[Made] = []
        last = media_ns * self._rate // SECOND
        if self._end is not None:
            last = min(last, self._end)
        while (self._next + 1) * self._samples <= last:
            made += self._frame(self._samples, start_ns, pauses)
        return made

    def skip(self, media_ns: int) -> list[Made]:
        """Leave out what is before a media time."""
        first = -(-media_ns * self._rate // (SECOND * self._samples))
        if first <= self._next:
            return []
        made = self._out(self._encoder.flush())
        self._restart(first)
        return made

    def rewind(self, media_ns: int) -> None:
        """What was made behind a media time does not count: a pause began there."""
        first = media_ns * self._rate // (SECOND * self._samples)
        if first < self._next:
            self._restart(first)

    def finish(self, media_ns: int, start_ns: int, pauses: Pauses) -> list[Made]:
        """The rest until the end, and what is in the encoder."""
        self.end(media_ns)
        made = self.until(media_ns, start_ns, pauses)
        rest = media_ns * self._rate // SECOND - self._next * self._samples
        if rest > 0:
            made += self._frame(rest, start_ns, pauses)
        return made + self._out(self._encoder.flush())

    def _restart(self, first: int) -> None:
        self._encoder = self._new_encoder()
        self._fed.clear()
        self._skip = self._shift
        self._next = first
        self._last = min(self._last, first)
        self._second = min(self._second, first * self._samples // self._rate)

    def _frame(self, samples: int, start_ns: int, pauses: Pauses) -> list[Made]:
        block: NDArray[np.float32] = np.zeros((self._channels, self._samples), np.float32)
        begin = self._next * self._samples
        done = 0
        while done < samples:
            room_ns = pauses.room_ns(start_ns, (begin + done) * SECOND // self._rate)
            if room_ns is None:
                break  # the recording ends in a pause
            piece = self._whole(samples - done, room_ns, pauses)
            block[:, done : done + piece] = self._mixer.mix(room_ns, piece)
            if done == 0:
                self._times[self._next] = room_ns
            done += piece
        if self._end is not None and self._end - self._fade < begin + self._samples:
            before_end = self._end - begin - np.arange(self._samples) - 0.5
            block *= (0.5 - 0.5 * np.cos(np.pi * np.clip(before_end / self._fade, 0, 1))).astype(np.float32)
        self._fed.append(self._next)
        self._next += 1
        second = self._next * self._samples // self._rate
        if second > self._second:
            self._second = second
            if self._each_second is not None:
                self._each_second(second)
        return self._out(self._encoder.encode(block))

    def _whole(self, samples: int, room_ns: int, pauses: Pauses) -> int:
        """How many samples there are until the next pause."""
        for begin_ns, _ in pauses.spans:
            if begin_ns > room_ns:
                return max(1, min(samples, -(-(begin_ns - room_ns) * self._rate // SECOND)))
        return samples

    def _out(self, payloads: list[bytes]) -> list[Made]:
        made: list[Made] = []
        for payload in payloads:
            if self._skip:
                self._skip -= 1
                continue
            if not self._fed:
                break  # the encoder's tail behind the last sample
            number = self._fed.popleft()
            room_ns = self._times.pop(number) - self._rest * SECOND // self._rate
            if number + 1 > self._last:
                self._last = number + 1
                made.append(Made(False, True, number + 1, room_ns, payload))
        return made
