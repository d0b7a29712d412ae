"""What stands in holes: Opus silence and black pictures, as samples among the others. Decides no hole."""

from __future__ import annotations

import av
import numpy as np

from reelroom.record.mux.entries import VideoConfig, video_config
from reelroom.record.mux.model import Fill, Sample, SegmentJob, video_ticks
from reelroom.record.mux.video import VideoEncoder

__all__ = ["Black", "Fill", "black", "silence"]

_PACKET_NS = 20_000_000
#: 20 ms of full-band CELT silence, mono, which a stereo decoder takes as well (RFC 6716 §3.1).
_OPUS_SILENCE = b"\xf8\xff\xfe"
_BLACK_NS = 1_000_000_000


class Black(Sample):
    """A picture of ours: says nothing about the sender's parameter sets."""

    __slots__ = ()


def silence(job: SegmentJob) -> list[Sample]:
    """The job's Opus packets with silence in the holes that ask for it."""
    added: list[Sample] = []
    for hole in job.fill:
        if hole.kind != "audio" or hole.how != "silence":
            continue
        # On a grid from the hole's beginning: a hole over many segments stays seamless.
        first = max(0, -(-(job.start_ns - hole.from_ns) // _PACKET_NS))
        at = hole.from_ns + first * _PACKET_NS
        while at < job.end_ns and at + _PACKET_NS <= hole.to_ns:
            added.append(Sample(at, True, _OPUS_SILENCE))
            at += _PACKET_NS
    if not added:
        return job.audio_samples
    return sorted([*job.audio_samples, *added], key=lambda sample: sample.media_ns)


def black(job: SegmentJob, config: VideoConfig | None, unfilled: list[Fill]) -> list[Sample]:
    """The job's frames with a black one a second in the holes that ask for it.

    A hole is left (and added to `unfilled`) where the frame after it needs the ones before the hole, or
    where no picture size is known yet.
    """
    holes = [hole for hole in job.fill if hole.kind == "video" and hole.how == "black"]
    if not holes or job.video is None:
        return job.video_samples
    samples = list(job.video_samples)
    for hole in holes:
        begin, end = max(hole.from_ns, job.start_ns), min(hole.to_ns, job.end_ns)
        after = next((sample for sample in job.video_samples if sample.media_ns >= end), None)
        before = next(
            (s for s in reversed(job.video_samples) if s.key and s.media_ns < end and s.media_ns <= begin),
            None,
        )
        shown = video_config(job.video.codec, bytes(before.data)) if before else config
        if begin >= end or shown is None or shown.codec != job.video.codec or (after and not after.key):
            unfilled.append(hole)
            continue
        samples += _frames(job.video.codec, shown.width, shown.height, begin, end)
    return sorted(samples, key=lambda sample: sample.media_ns)


def _frames(codec: str, width: int, height: int, begin: int, end: int) -> list[Black]:
    encoder = VideoEncoder(codec, width, height, 50_000)
    rows = height + 2 * ((height + 1) // 2)
    picture = np.full((rows, width), 128, np.uint8)
    picture[:height] = 16
    even = width % 2 == 0 and height % 2 == 0
    out: list[Sample] = []
    at = begin
    while at < end:
        if even:
            frame = av.VideoFrame.from_ndarray(picture[: height * 3 // 2], format="yuv420p")
        else:
            frame = av.VideoFrame.from_ndarray(np.zeros((height, width, 3), np.uint8), format="rgb24")
            frame = frame.reformat(format="yuv420p")
        out += encoder.encode(frame, video_ticks(at), key=at == begin)
        at += _BLACK_NS
    out += encoder.encode(None)
    return [Black(*sample) for sample in out]
