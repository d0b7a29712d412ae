"""How much sound one packet of each copied codec holds, and which clock its track has. Opens nothing."""

from __future__ import annotations

from reelroom.record.mux.model import AUDIO_SCALE, TrackConfig
from reelroom.record.mux.timing import opus_ticks

#: Codecs whose frames hold so many samples of their own rate, whatever is in them.
_AAC, _MP3, _MP3_LOW = 1024, 1152, 576
_LOW_RATE = 32_000  # MP3 below it has frames of half the length (ISO/IEC 13818-3)


def scale(source: TrackConfig) -> int:
    """Ticks a second of the track's clock when it is copied: the sound's own rate, so that packets are whole ticks."""
    return source.clock_rate if source.codec in ("aac", "mp3") and source.clock_rate else AUDIO_SCALE


def frame_samples(codec: str, rate: int) -> int:
    """Samples in a frame of "aac" or "mp3"."""
    if codec == "aac":
        return _AAC
    return _MP3 if rate >= _LOW_RATE else _MP3_LOW


def packet_ticks(source: TrackConfig, packet: bytes | memoryview) -> int:
    """How much sound a packet holds, in ticks of `scale`."""
    return opus_ticks(packet) if source.codec == "opus" else frame_samples(source.codec, scale(source))
