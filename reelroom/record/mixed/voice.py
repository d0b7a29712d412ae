"""The mix's sound to encoded frames: AAC, Opus or MP3, one after the other without a gap. Mixes nothing."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

from reelroom.domain.mix import Mix

_ENCODERS = {"aac": "aac", "opus": "libopus", "mp3": "libmp3lame"}
_OPTIONS: dict[str, dict[str, str]] = {
    "aac": {"aac_coder": "twoloop"},
    "opus": {"application": "audio", "frame_duration": "20"},
    "mp3": {"reservoir": "0"},  # each frame stands for itself: a file may be cut between any two
}
#: Samples by which what a decoder gives is behind: AAC's first block, LAME's encoder and decoder delay, and
#: libopus's look-ahead with the application "audio" (6.5 ms).
_DELAYS = {"aac": 1024, "mp3": 1105, "opus": 312}


class SoundEncoder:
    """Takes float samples of -1..1 in blocks of `frame_samples`; frames come out later than they went in.

    Frame n that comes out (from 0) decodes to the samples from `n * frame_samples - delay` on: the first hold nothing
    but what the codec needs to get going (priming).
    """

    def __init__(self, mix: Mix) -> None:
        context = av.CodecContext.create(_ENCODERS[mix.audio_codec], "w")
        if not isinstance(context, AudioCodecContext):
            raise ValueError(f"FFmpeg's {context.name} is no audio encoder")
        self._channels = mix.channels
        self._layout = "stereo" if mix.channels == 2 else "mono"
        self._format = "flt" if mix.audio_codec == "opus" else "fltp"
        self._base = Fraction(1, mix.sample_rate)
        self._rate = mix.sample_rate
        context.sample_rate = mix.sample_rate
        context.layout = self._layout
        context.format = self._format
        context.bit_rate = mix.audio_bitrate
        context.time_base = self._base
        context.options = dict(_OPTIONS[mix.audio_codec])
        context.open()
        self._context = context
        self._pts = 0
        self.frame_samples: int = context.frame_size
        self.delay = _DELAYS[mix.audio_codec]

    @property
    def extradata(self) -> bytes:
        """AAC's AudioSpecificConfig or OpusHead; MP3 has none."""
        return self._context.extradata or b""

    def encode(self, samples: NDArray[np.float32]) -> list[bytes]:
        """Encode one block of [channels, frame_samples]; ValueError for any other shape."""
        if samples.shape != (self._channels, self.frame_samples):
            raise ValueError(f"a block is ({self._channels}, {self.frame_samples}) samples, not {samples.shape}")
        block = samples.T.reshape(1, -1) if self._format == "flt" else samples
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block, np.float32), self._format, self._layout)
        frame.sample_rate, frame.time_base, frame.pts = self._rate, self._base, self._pts
        self._pts += self.frame_samples
        return self._out(frame)

    def flush(self) -> list[bytes]:
        """What is still in the encoder. Nothing can be encoded afterwards."""
        return self._out(None)

    def _out(self, frame: av.AudioFrame | None) -> list[bytes]:
        return [bytes(packet) for packet in self._context.encode(frame)]
