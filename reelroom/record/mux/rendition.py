"""One rendition of one output: jobs in, segment files out. Holds encoders and the init, no journal."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from reelroom.domain.recording import RecordingSpec
from reelroom.record.mux import annexb, boxes, carry, fill, fragment, lengths, ts
from reelroom.record.mux.audio import AudioEncoder
from reelroom.record.mux.entries import AudioConfig, VideoConfig, audio_config, video_config
from reelroom.record.mux.model import AUDIO_SCALE, VIDEO_SCALE, Muxed, MuxError, Sample, SegmentJob
from reelroom.record.mux.plan import plan, stored_audio, stored_video
from reelroom.record.mux.timing import AudioClock, VideoClock
from reelroom.record.mux.video import VideoTranscoder

VIDEO_TRACK, AUDIO_TRACK = 1, 2


class _Audio(NamedTuple):
    codec: str
    scale: int  # ticks a second, and the rate of the sound
    dts: list[int]
    durations: list[int]
    data: list[bytes | memoryview]


class Rendition:
    """Writes an output's segments in one form; `plan` says which an output needs. Not thread-safe.

    Segments are written in order, each whole, by `write`. Encoders go on from one to the next, and so do the
    times. After a MuxError the rendition can go on with the next job.
    """

    plan = staticmethod(plan)

    def __init__(self, name: str, container: str, spec: RecordingSpec) -> None:
        if container not in ("fmp4", "ts"):
            raise MuxError(f"a rendition's container must be 'fmp4' or 'ts', not {container!r}")
        self.name = name
        self.container = container
        self._spec = spec
        self._video_clock = VideoClock()
        self._audio_clock = AudioClock()
        self._source_config: VideoConfig | None = None  # of what comes in
        self._video_config: VideoConfig | None = None  # of what is written
        self._rotation = 0  # of what comes in
        self._audio_config: AudioConfig | None = None
        self._in_force: tuple[object, ...] | None = None
        self._transcoder: VideoTranscoder | None = None
        self._encoder: AudioEncoder | None = None
        self._hung: list[str] = []  # encoders, since the last segment
        self._stuffer = ts.Counters()

    @property
    def damaged(self) -> int:
        """Samples that a transcode had to leave out because they could not be decoded."""
        transcoder = self._transcoder.damaged if self._transcoder else 0
        return transcoder + (self._encoder.damaged if self._encoder else 0)

    def _told(self) -> tuple[str, ...]:
        """The encoders that hung since the last segment that was written; those of one that failed wait for it."""
        hung = tuple(self._hung)
        self._hung.clear()  # the same list: the encoders hold it
        return hung

    def write(self, job: SegmentJob, path: Path) -> Muxed:
        """Write one segment to `path` (not synced). Raises MuxError for samples that make no segment."""
        video_in = job.video.codec if job.video else ""
        audio_in = job.audio.codec if job.audio else ""
        video_codec = stored_video(self.name, self.container, video_in)
        audio_codec = stored_audio(self.name, self.container, audio_in, self._spec)
        transcoded: list[str] = []
        unfilled: list[fill.Fill] = []
        video = self._pictures(job, video_codec, unfilled)
        if video and video_codec != video_in:
            transcoded.append("video")
        audio: _Audio | None = None
        if job.audio and audio_codec:
            if audio_codec != audio_in:
                transcoded.append("audio")
                audio = self._encode(job, audio_codec, path)
            else:
                audio = self._copy_audio(job)
        video_config_ = self._video_config if video_codec else None
        if video_config_ is None and audio is None:
            # Nothing that this rendition holds: the number is kept, the config in force stays.
            path.write_bytes(b"" if self.container == "ts" else b"".join(fragment.segment(job.number, [])))
            return Muxed(None, "", "", 0, 0, 0, 0, (), False, unfilled=tuple(unfilled), hung=self._told())
        channels = self._encoder.channels if self._encoder and audio_codec != audio_in else 2
        if audio is not None:
            if audio_codec == audio_in and job.audio and job.audio.channels:
                channels = job.audio.channels
            if self._audio_config is None or (audio.codec, channels, audio.scale) != self._audio_config[:3]:
                self._audio_config = audio_config(audio.codec, channels, audio.scale)
        audio_config_ = self._audio_config if audio is not None else None
        copied = video_config_ is not None and video_codec == video_in  # a transcode has turned the pixels
        rotation = self._rotation if copied and self.container == "fmp4" else 0
        signature = (
            (video_config_.signature, rotation) if video_config_ else None,
            audio_config_[:3] if audio_config_ else None,
        )
        changed = signature != self._in_force
        discontinuity = changed and self._in_force is not None
        dts, durations = self._video_clock.ticks(video, job.end_ns)
        init: bytes | None = None
        if self.container == "ts":
            pictures = ts.Pictures(video_codec, dts, [s.key for s in video], [bytes(s.data) for s in video])
            sound = ts.Sound(audio.codec, audio.dts, audio.data, channels, audio.scale) if audio else None
            path.write_bytes(ts.segment(pictures if video_config_ else None, sound, self._stuffer))
        else:
            if changed:
                init = boxes.init_segment(_headers(video_config_, rotation, audio_config_))
            runs: list[fragment.Run] = []
            if video:
                data = [bytes(sample.data) for sample in video]
                if video_codec in ("h264", "h265"):
                    data = [annexb.to_lengths(item) for item in data]
                keys = [sample.key for sample in video]
                runs.append(fragment.Run(VIDEO_TRACK, VIDEO_SCALE, dts, durations, data, keys))
            if audio:
                runs.append(fragment.Run(AUDIO_TRACK, audio.scale, audio.dts, audio.durations, audio.data))
            path.write_bytes(b"".join(fragment.segment(job.number, runs)))
        self._in_force = signature
        return Muxed(
            init,
            video_codec if video_config_ else "",
            audio_codec if audio else "",
            video_config_.width if video_config_ else 0,
            video_config_.height if video_config_ else 0,
            len(video),
            len(audio.dts) if audio else 0,
            tuple(transcoded),
            discontinuity,
            rotation,
            self._rotation - rotation if copied else 0,
            channels if audio else 0,
            audio.scale if audio else 0,
            tuple(unfilled),
            self._told(),
        )

    def _pictures(self, job: SegmentJob, stored: str, unfilled: list[fill.Fill]) -> list[Sample]:
        """The frames to write; sets the config in force. None before the first key frame."""
        if job.video is None or not stored:
            return []
        codec = job.video.codec
        if self._source_config is not None and self._source_config.codec != codec:
            self._source_config = None
        samples = fill.black(job, self._source_config, unfilled, self._hung)
        for sample in samples:
            if sample.key and not isinstance(sample, fill.Black):
                self._source_config = video_config(codec, bytes(sample.data))
                self._rotation = sample.rotation
                break
        if self._source_config is None:
            self._video_config = None
            return []
        if stored == codec:
            self._video_config = self._source_config
            return samples
        if self._transcoder is None or self._transcoder.target != stored:
            self._transcoder = VideoTranscoder(stored, self._spec.video_bitrate, self._hung)
        samples = self._transcoder.segment(codec, samples, self._rotation)
        first = next((sample for sample in samples if sample.key), None)
        if first is not None:
            self._video_config = video_config(stored, bytes(first.data))
        elif self._video_config is not None and self._video_config.codec != stored:
            self._video_config = None
        return samples

    def _copy_audio(self, job: SegmentJob) -> _Audio:
        if job.audio is None:
            raise MuxError("no audio to copy")
        scale = lengths.scale(job.audio)
        if self._audio_clock.scale != scale:
            self._audio_clock = AudioClock(scale)
        samples = fill.silence(job, self._audio_clock.end_ns, self._spec.audio_bitrate)
        nominal = [lengths.packet_ticks(job.audio, sample[2]) for sample in samples]
        dts, durations = self._audio_clock.ticks(samples, nominal)
        return _Audio(job.audio.codec, scale, dts, durations, [sample[2] for sample in samples])

    def _encode(self, job: SegmentJob, target: str, path: Path) -> _Audio:
        if job.audio is None:
            raise MuxError("no audio to encode")
        # WebRTC declares every Opus stream as stereo; its packets say whether they are (RFC 6716 §3.1).
        stereo = job.audio.channels > 1 and (
            job.audio.codec != "opus" or any(len(s.data) and s.data[0] & 4 for s in job.audio_samples)
        )
        if self._encoder is None:
            self._encoder = carry.load(path, job.number, target, self._spec.audio_bitrate, job.start_ns)
        if self._encoder is None:
            self._encoder = AudioEncoder(target, 2 if stereo else 1, self._spec.audio_bitrate)
        elif stereo and self._encoder.channels == 1:
            self._encoder = self._encoder.to_stereo()
        silences = [item for item in job.fill if item.kind == "audio" and item.how == "silence"]
        self._encoder.feed(job.audio, job.audio_samples, silences)
        if job.last:
            self._encoder.flush()
            carry.clear(path, job.number)
        else:
            carry.save(path, job.number, self._encoder, job.audio, job.audio_samples)
        packets = self._encoder.take(drop_before=0 if self.container == "fmp4" else -AUDIO_SCALE)
        ticks, durations = [p.tick for p in packets], [p.length for p in packets]
        return _Audio(target, AUDIO_SCALE, ticks, durations, [p.data for p in packets])


def _headers(video: VideoConfig | None, rotation: int, audio: AudioConfig | None) -> list[boxes.TrackHeader]:
    headers: list[boxes.TrackHeader] = []
    if video:
        entry = (video.entry,)
        headers.append(boxes.TrackHeader(VIDEO_TRACK, "video", VIDEO_SCALE, entry, video.width, video.height, rotation))
    if audio:
        headers.append(boxes.TrackHeader(AUDIO_TRACK, "audio", audio.rate, (audio.entry,)))
    return headers
