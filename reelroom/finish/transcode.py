"""Steps whose codec a format does not take, turned into steps that it takes. Writes scratch segments only.

What a recording foresaw was transcoded while it ran; this is for what it could not foresee.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reelroom.domain.recording import RecordingSpec
from reelroom.finish.choose import Plan
from reelroom.finish.read import read_init, read_segment
from reelroom.finish.source import FinishError, Piece, Step
from reelroom.record.mux import Rendition, Sample, SegmentJob, TrackConfig, annexb


def samples(piece: Piece, codec: str) -> list[Sample]:
    """A piece's samples as a decoder takes them: H.264 and H.265 as Annex B."""
    data = piece.path.read_bytes()
    table, scale = piece.table, piece.header.scale
    out: list[Sample] = []
    rows = zip(table.dts.tolist(), table.keys.tolist(), table.offsets.tolist(), table.sizes.tolist(), strict=True)
    for dts, key, offset, size in rows:
        payload = data[offset : offset + size]
        if codec in ("h264", "h265"):
            payload = annexb.from_lengths(payload)
        out.append(Sample((dts * 1_000_000_000 + scale // 2) // scale, key, payload, piece.header.rotation))
    return out


def channels(piece: Piece) -> int:
    """The channel count of an audio sample entry (ISO/IEC 14496-12 §12.2.3)."""
    entry = piece.header.entries[0]
    return int.from_bytes(entry[24:26], "big")


def rate(piece: Piece) -> int:
    """The sampling rate of an audio sample entry in Hz (ISO/IEC 14496-12 §12.2.3)."""
    return int.from_bytes(piece.header.entries[0][32:34], "big")


class Transcoder:
    """Turns one kind of track of a whole file from its pieces' codecs to `target`."""

    def __init__(self, kind: str, target: str, spec: RecordingSpec, scratch: Path, hung: list[str]) -> None:
        self._kind = kind
        self._hung = hung
        self._target = target
        self._scratch = scratch
        self._rendition = Rendition(target, "fmp4", spec)
        self._init = b""
        self._count = 0

    def piece(self, step: Step, last: bool) -> Piece | None:
        piece = step.video if self._kind == "video" else step.audio
        line = step.pick.video if self._kind == "video" else step.pick.audio
        if piece is None or line is None:
            return None
        codec = line.video_codec if self._kind == "video" else line.audio_codec
        if codec == self._target:
            if self._count:
                raise FinishError(f"{self._kind} changes to {codec}, which is copied, within a file")
            return piece
        job = SegmentJob(step.pick.timing.number, line.media_start_ns, line.media_end_ns, last=last)
        if self._kind == "video":
            job.video, job.video_samples = TrackConfig(codec), samples(piece, codec)
        else:
            job.audio, job.audio_samples = TrackConfig(codec, channels(piece), rate(piece)), samples(piece, codec)
        self._count += 1
        path = self._scratch / f"{self._kind}{self._count}.m4s"
        muxed = self._rendition.write(job, path)
        self._hung += muxed.hung
        self._init = muxed.init or self._init
        table = next(iter(read_segment(path).values()), None)
        if table is None or not len(table.dts):
            return None
        header = next(iter(read_init(self._init).values()))
        return Piece(header, self._init, path, table)


def transcoded(
    steps: Iterator[Step], plan: Plan, spec: RecordingSpec, scratch: Path, hung: list[str]
) -> Iterator[Step]:
    """The same steps with every track in the plan's codecs; segments that fit are passed on as they are.

    `hung` is told of encoders that were left behind.
    """
    video = Transcoder("video", plan.video_codec, spec, scratch, hung) if plan.video_codec else None
    audio = Transcoder("audio", plan.audio_codec, spec, scratch, hung) if plan.audio_codec else None
    last_video = max((n for n, pick in enumerate(plan.picks) if pick.video), default=0)
    last_audio = max((n for n, pick in enumerate(plan.picks) if pick.audio), default=0)
    for number, step in enumerate(steps):  # one for each pick
        yield Step(
            step.pick,
            video.piece(step, number >= last_video) if video else None,
            audio.piece(step, number >= last_audio) if audio else None,
        )
