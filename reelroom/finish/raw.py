"""ADTS and MP3: frames one after the other. They carry no times, so silence stands where nothing was."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from reelroom.domain.recording import RecordingSpec
from reelroom.finish.part import Made, settle
from reelroom.finish.source import FinishError, Step
from reelroom.finish.transcode import channels
from reelroom.record.mux import Sample, TrackConfig
from reelroom.record.mux.audio import AudioEncoder
from reelroom.record.mux.ts import adts

_FRAME = {"aac": 1024, "mp3": 1152}
_OPUS_SILENCE = b"\xf8\xff\xfe"


def write(
    path: Path,
    format_: str,
    steps: Iterable[Step],
    base_ns: int,
    spec: RecordingSpec,
    progress: Callable[[float], None],
) -> Made:
    """Write the file; media time `base_ns` is its time 0. Raises FinishError or OSError."""
    part = path.with_name(path.name + ".part")
    length = _FRAME[format_]
    expected = (base_ns * 6 + 62_500) // 125_000
    sha256, size = hashlib.sha256(), 0
    silences: dict[int, bytes] = {}
    try:
        with part.open("wb") as out:
            for step in steps:
                piece = step.audio
                if piece is None:
                    continue
                many = channels(piece)
                data = piece.path.read_bytes()
                block: list[bytes] = []
                table = piece.table
                for tick, offset, bytes_ in zip(
                    table.dts.tolist(), table.offsets.tolist(), table.sizes.tolist(), strict=True
                ):
                    if tick < expected - length // 2:
                        continue  # sound of before a split: in the file before
                    while tick - expected > length // 2:
                        if many not in silences:
                            silences[many] = _framed(format_, _silence(format_, many, spec), many)
                        block.append(silences[many])
                        expected += length
                    block.append(_framed(format_, data[offset : offset + bytes_], many))
                    expected += length
                whole = b"".join(block)
                out.write(whole)
                sha256.update(whole)
                size += len(whole)
        if not size:
            raise FinishError("there is no sound")
        settle(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    progress(1.0)
    return Made(size, sha256.hexdigest())


def _framed(format_: str, data: bytes, many: int) -> bytes:
    return adts(data, many) if format_ == "aac" else data


def _silence(format_: str, many: int, spec: RecordingSpec) -> bytes:
    encoder = AudioEncoder(format_, many, spec.audio_bitrate)
    encoder.feed(TrackConfig("opus", many, 48_000), [Sample(i * 20_000_000, True, _OPUS_SILENCE) for i in range(12)])
    return encoder.take()[4].data
