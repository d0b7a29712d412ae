"""One MPEG-TS segment from H.264/H.265 and AAC or MP3. Times and counters go on over segments; chooses no times."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np

from reelroom.record.mux.entries import AAC_RATES
from reelroom.record.mux.model import AUDIO_SCALE, VIDEO_SCALE

#: Added to every time, in 90 kHz ticks: room for the clock reference to run ahead. Constant over a recording.
OFFSET = 126_000
_BASE = Fraction(1, VIDEO_SCALE)
_PACKET = 188


@dataclass(slots=True)
class Pictures:
    codec: str
    dts: Sequence[int]
    keys: Sequence[bool]
    data: Sequence[bytes]  # Annex B


@dataclass(slots=True)
class Sound:
    codec: str
    ticks: Sequence[int]  # of 1/rate s
    data: Sequence[bytes | memoryview]  # raw AAC-LC frames, or MP3 frames
    channels: int
    rate: int


class Counters:
    """Continuity counters by PID: each segment goes on where the one before stopped (RFC 8216 §6.2.1)."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: dict[int, int] = {}

    def renumber(self, data: bytes) -> bytes:
        """The same packets with counters that follow those of the segment before."""
        packets = np.frombuffer(data, np.uint8).reshape(-1, _PACKET).copy()
        pids = (packets[:, 1].astype(np.int32) & 0x1F) << 8 | packets[:, 2]
        for pid in np.unique(pids).tolist():
            rows = np.flatnonzero(pids == pid)
            counters = packets[rows, 3] & 15
            if pid in self._last:
                shift = self._last[pid] + 1 - int(counters[0])
                counters = (counters.astype(np.int32) + shift & 15).astype(np.uint8)
                packets[rows, 3] = packets[rows, 3] & 0xF0 | counters
            self._last[pid] = int(counters[-1])
        return packets.tobytes()


def adts(data: bytes | memoryview, channels: int, rate: int = AUDIO_SCALE) -> bytes:
    """A raw AAC-LC frame with an ADTS header (ISO/IEC 13818-7 §6.2)."""
    size = len(data) + 7
    head = 0xFFF1 << 40 | 1 << 38 | AAC_RATES[rate] << 34 | channels << 30 | size << 13 | 0x7FF << 2
    return head.to_bytes(7, "big") + bytes(data)


def segment(pictures: Pictures | None, sound: Sound | None, counters: Counters) -> bytes:
    """A whole segment: PAT and PMT first, then both tracks interleaved by time."""
    sink = io.BytesIO()
    options = {"mpegts_copyts": "1", "max_delay": "700000"}
    with av.open(sink, "w", format="mpegts", options=options) as out:
        packets: list[tuple[int, int, av.Packet[Any]]] = []
        if pictures is not None:
            stream = out.add_mux_stream("hevc" if pictures.codec == "h265" else pictures.codec, width=16, height=16)
            for tick, key, data in zip(pictures.dts, pictures.keys, pictures.data, strict=True):
                packet = av.Packet(data)
                packet.stream = stream
                packet.time_base = _BASE
                packet.pts = packet.dts = tick + OFFSET
                packet.is_keyframe = key
                packets.append((tick, 0, packet))
        if sound is not None:
            stream = out.add_mux_stream(sound.codec, rate=sound.rate)
            for tick, frame in zip(sound.ticks, sound.data, strict=True):
                packet = av.Packet(adts(frame, sound.channels, sound.rate) if sound.codec == "aac" else bytes(frame))
                packet.stream = stream
                packet.time_base = _BASE
                tick = (tick * VIDEO_SCALE + sound.rate // 2) // sound.rate
                packet.pts = packet.dts = tick + OFFSET
                packet.is_keyframe = True
                packets.append((tick, 1, packet))
        packets.sort(key=lambda item: item[:2])
        for _, _, packet in packets:
            out.mux_one(packet)
    return counters.renumber(sink.getvalue())
