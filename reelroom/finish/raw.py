"""ADTS and MP3: frames one after the other. They carry no times, so silence stands where nothing was."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from reelroom.domain.recording import RecordingSpec
from reelroom.finish.part import Made, settle
from reelroom.finish.source import FinishError, Step
from reelroom.finish.transcode import channels, rate
from reelroom.record.mux import silent
from reelroom.record.mux.lengths import frame_samples
from reelroom.record.mux.ts import adts

_SECOND = 1_000_000_000


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
    expected_ns = base_ns  # where the next frame belongs
    sha256, size = hashlib.sha256(), 0
    try:
        with part.open("wb") as out:
            for step in steps:
                piece = step.audio
                if piece is None:
                    continue
                many, hertz, scale = channels(piece), rate(piece), piece.header.scale
                length = frame_samples(format_, hertz) * scale // hertz
                expected = (expected_ns * scale + _SECOND // 2) // _SECOND
                data = piece.path.read_bytes()
                block: list[bytes] = []
                table = piece.table
                for tick, offset, bytes_ in zip(
                    table.dts.tolist(), table.offsets.tolist(), table.sizes.tolist(), strict=True
                ):
                    if tick < expected - length // 2:
                        continue  # sound of before a split: in the file before
                    while tick - expected > length // 2:
                        silence = silent.frame(format_, many, hertz, spec.audio_bitrate)
                        block.append(_framed(format_, silence, many, hertz))
                        expected += length
                    block.append(_framed(format_, data[offset : offset + bytes_], many, hertz))
                    expected += length
                expected_ns = expected * _SECOND // scale
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


def _framed(format_: str, data: bytes, many: int, hertz: int) -> bytes:
    return adts(data, many, hertz) if format_ == "aac" else data
