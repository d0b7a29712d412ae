"""What stands in holes: silence and black pictures, as samples among the others. Decides no hole."""

from __future__ import annotations

import av
import numpy as np

from reelroom.domain.timeline import SECOND
from reelroom.record.mux import lengths, silent
from reelroom.record.mux.entries import VideoConfig, video_config
from reelroom.record.mux.model import Fill, MuxError, Sample, SegmentJob, video_ticks
from reelroom.record.mux.video import EncoderLost, VideoEncoder

__all__ = ["Black", "Fill", "black", "silence"]

#: CELT silence of 20, 10, 5 and 2.5 ms, full-band, mono, which a stereo decoder takes as well (RFC 6716 §3.1).
_OPUS_SILENCE = (
    (20_000_000, b"\xf8\xff\xfe"),
    (10_000_000, b"\xf0\xff\xfe"),
    (5_000_000, b"\xe8\xff\xfe"),
    (2_500_000, b"\xe0\xff\xfe"),
)
#: A hole is told from when a packet of 20 ms would have ended, and not before its segment: the sound before it may end
#: this much earlier.
_EARLIER_NS = 250_000_000
_BLACK_NS = 1_000_000_000


class Black(Sample):
    """A picture of ours: says nothing about the sender's parameter sets."""

    __slots__ = ()


def silence(job: SegmentJob, heard_ns: int = -1, bitrate: int = 64_000) -> list[Sample]:
    """The job's copied packets with silence in the holes that ask for it, from where the sound before a hole ends.

    `heard_ns`: the end of the sound in the segments before, -1 when it is not known. A hole that goes on in the next
    segment is filled as far as whole packets reach; the next segment goes on there.
    """
    holes = [hole for hole in job.fill if hole.kind == "audio" and hole.how == "silence"]
    if not holes:
        return job.audio_samples
    source = job.audio
    if source is None:
        raise MuxError("silence needs to know the codec of the sound around it")
    added: list[Sample] = []
    ticks = lengths.scale(source)
    packets: tuple[tuple[int, bytes], ...] = _OPUS_SILENCE
    if source.codec != "opus":
        frame = silent.frame(source.codec, source.channels, ticks, bitrate)
        packets = ((lengths.packet_ticks(source, frame) * SECOND // ticks, frame),)
    least_ns = packets[-1][0]
    for hole in holes:
        before = next((s for s in reversed(job.audio_samples) if s.media_ns < hole.to_ns), None)
        if before is not None:
            heard_ns = before.media_ns + lengths.packet_ticks(source, before.data) * SECOND // ticks
        at = heard_ns if heard_ns >= hole.from_ns - _EARLIER_NS else hole.from_ns
        end = min(hole.to_ns, job.end_ns)
        if end < job.end_ns:
            end += least_ns // 2  # to the nearest packet, since the hole ends here
        for length, packet in packets:
            while at + length <= end:
                added.append(Sample(at, True, packet))
                at += length
        heard_ns = max(heard_ns, at)
    if not added:
        return job.audio_samples
    return sorted([*job.audio_samples, *added], key=lambda sample: sample.media_ns)


def black(job: SegmentJob, config: VideoConfig | None, unfilled: list[Fill], hung: list[str]) -> list[Sample]:
    """The job's frames with a black one a second in the holes that ask for it.

    A hole is left (and added to `unfilled`) where the frame after it needs the ones before the hole, where no
    picture size is known yet, or where no encoder comes back. Those that hung are told in `hung`.
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
        try:
            samples += _frames(VideoEncoder(job.video.codec, shown.width, shown.height, 50_000, hung), begin, end)
        except EncoderLost:
            unfilled.append(hole)
    return sorted(samples, key=lambda sample: sample.media_ns)


def _frames(encoder: VideoEncoder, begin: int, end: int) -> list[Black]:
    width, height = encoder.size
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
