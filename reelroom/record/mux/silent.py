"""Frames of AAC and MP3 that hold silence, for holes. Decides no hole."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from reelroom.record.mux.model import MuxError

_NAMES = {"aac": "aac", "mp3": "libmp3lame"}
_SETTLED = 4  # frames after which an encoder's own beginning is over


@lru_cache(maxsize=32)
def frame(codec: str, channels: int, rate: int, bitrate: int) -> bytes:
    """One frame of silence that may stand between any two others."""
    context = av.CodecContext.create(_NAMES[codec], "w")
    if not isinstance(context, AudioCodecContext):
        raise MuxError(f"FFmpeg's {_NAMES[codec]} is no audio encoder")
    layout = "stereo" if channels > 1 else "mono"
    context.sample_rate, context.layout, context.format = rate, layout, "fltp"
    context.bit_rate, context.time_base = bitrate, Fraction(1, rate)
    if codec == "mp3":
        context.options = {"reservoir": "0"}
    context.open()
    made: list[bytes] = []
    silence = np.zeros((2 if channels > 1 else 1, context.frame_size), np.float32)
    for index in range(12):
        block = av.AudioFrame.from_ndarray(silence, "fltp", layout)
        block.sample_rate, block.pts, block.time_base = rate, index * context.frame_size, Fraction(1, rate)
        made += [bytes(packet) for packet in context.encode(block)]
    return made[_SETTLED]
