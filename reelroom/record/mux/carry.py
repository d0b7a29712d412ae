"""What an audio encoder still held when a segment closed, kept beside the segments. Not part of the journal.

An encoder gives a packet only when it knows what follows, so up to three frames of sound are in no segment yet.
After a crash the next encoder hears the last packets again and goes on where the dead one's packets ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from reelroom.record.mux.audio import AudioEncoder
from reelroom.record.mux.model import Sample, TrackConfig

#: Enough for what an encoder holds (86 ms), and for the decoder to find its state.
_PACKETS = 16


class _Carry(msgspec.Struct):
    target: str
    channels: int
    given: int
    codec: str
    source_channels: int
    clock_rate: int
    samples: list[tuple[int, bytes]]


def _path(segment: Path, number: int) -> Path:
    return segment.with_name(f"carry{number}.tmp")


def save(segment: Path, number: int, encoder: AudioEncoder, source: TrackConfig, samples: Sequence[Sample]) -> None:
    """Keep what segment `number` leaves behind, beside that of the one before: its journal line may be missing."""
    kept = [(sample.media_ns, bytes(sample.data)) for sample in samples[-_PACKETS:]]
    carry = _Carry(
        encoder.target, encoder.channels, encoder.given, source.codec, source.channels, source.clock_rate, kept
    )
    _path(segment, number).write_bytes(msgspec.msgpack.encode(carry))
    _path(segment, number - 2).unlink(missing_ok=True)


def clear(segment: Path, number: int) -> None:
    """The recording is over: nothing is carried any further."""
    for old in (number, number - 1, number - 2):
        _path(segment, old).unlink(missing_ok=True)


def load(segment: Path, number: int, target: str, bitrate: int, start_ns: int) -> AudioEncoder | None:
    """The encoder that goes on after segment `number - 1`; None if that one left nothing that fits."""
    try:
        carry = msgspec.msgpack.decode(_path(segment, number - 1).read_bytes(), type=_Carry)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError:
        return None  # cut short by the crash: then the next encoder starts afresh, with a hole of 3 frames
    if carry.target != target or not carry.samples or carry.samples[-1][0] > start_ns:
        return None
    encoder = AudioEncoder(target, carry.channels, bitrate)
    encoder.given = carry.given
    source = TrackConfig(carry.codec, carry.source_channels, carry.clock_rate)
    encoder.feed(source, [Sample(at, True, data) for at, data in carry.samples])
    return encoder
