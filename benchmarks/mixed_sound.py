"""CPU seconds a second of mixed sound: voices decoded, placed, summed, limited, encoded. In one process, no bus."""

from __future__ import annotations

import time

import av
import numpy as np

from reelroom.domain.mix import Mix
from reelroom.record.mixed.sound import SoundMixer
from reelroom.record.mixed.voice import SoundEncoder

_START = 1_700_000_000_000_000_000
_PACKET_NS = 20_000_000


def voice(seconds: int, seed: int) -> list[bytes]:
    """Something like speech, mono, 32 kbit/s, as a browser sends it."""
    random = np.random.default_rng(seed)
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format = 48_000, "mono", "flt"
    context.bit_rate, context.options = 32_000, {"application": "voip"}
    times = np.arange(seconds * 48_000) / 48_000
    pitch = 110 + 17 * seed
    sound = sum(np.sin(2 * np.pi * pitch * n * times + n) / n for n in range(1, 12))
    sound *= 0.1 * (1 + np.sin(2 * np.pi * 2.7 * times + seed)) + 0.005 * random.standard_normal(len(times))
    packets: list[bytes] = []
    for index, block in enumerate(sound.astype(np.float32).reshape(-1, 1, 960)):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), "flt", "mono")
        frame.sample_rate, frame.pts = 48_000, index * 960
        packets += [bytes(packet) for packet in context.encode(frame)]
    return packets


def cores(voices: int, rate: int, codec: str, seconds: int = 30) -> tuple[float, float]:
    """Cores for mixing, and for mixing and encoding; every sender's clock drifts."""
    mix = Mix(audio_codec=codec, sample_rate=rate)
    mixer, encoder = SoundMixer(rate, mix.channels), SoundEncoder(mix)
    for track in range(voices):
        mixer.add(track, "opus", 48_000, 2)
        drift = 1 + (track % 5 - 2) * 50e-6
        for index, packet in enumerate(voice(seconds, track)):
            mixer.put(track, _START + round(index * _PACKET_NS * drift) + track * 3_141_593, packet, 30)
    size, encoding = encoder.frame_samples, 0.0
    began = time.process_time()
    for at in range(0, (seconds - 1) * rate, size):
        block = mixer.mix(_START + at * 1_000_000_000 // rate, size)
        before = time.process_time()
        encoder.encode(block)
        encoding += time.process_time() - before
    whole = time.process_time() - began
    return (whole - encoding) / (seconds - 1), whole / (seconds - 1)


def run() -> list[dict[str, float | int | str]]:
    rows: list[dict[str, float | int | str]] = []
    for voices, rate, codec in ((1, 48_000, "aac"), (4, 48_000, "aac"), (16, 48_000, "aac"), (4, 44_100, "aac"),
                                (16, 16_000, "aac"), (4, 48_000, "opus"), (4, 48_000, "mp3")):  # fmt: skip
        mixing, whole = cores(voices, rate, codec)
        rows.append(
            {
                "voices": voices,
                "rate": rate,
                "codec": codec,
                "mixing": round(mixing, 4),
                "with encoder": round(whole, 4),
            }
        )
    return rows
