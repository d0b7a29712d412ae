"""Clips with a flash and a beep every second, cut into segment jobs, and FFmpeg as the judge. No test in here."""

from __future__ import annotations

import hashlib
import json
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from reelroom.domain.lines import AnyLine, Init, OutputOpened, Segment
from reelroom.domain.recording import RecordingSpec
from reelroom.record.mux import Muxed, Rendition, Sample, SegmentJob, TrackConfig
from reelroom.scheduling import same_priority
from tests.elsewhere import elsewhere
from tests.needs import need

FPS = 30
SECOND = 1_000_000_000
ENCODERS = {
    "h264": ("libx264", {"preset": "ultrafast", "x264-params": "bframes=0:log=-1:rc-lookahead=0:scenecut=0"}),
    "h265": ("libx265", {"preset": "ultrafast", "x265-params": "bframes=0:log-level=none:repeat-headers=1"}),
    "vp8": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    "av1": ("libsvtav1", {"preset": "12", "svtav1-params": "pred-struct=1:rc=2:lp=1"}),
}


def pictures(codec: str, seconds: float, width: int = 320, height: int = 180, start_ns: int = 0, gop: int = FPS):
    """Frames at 30/s, a key frame each second; the first 5 frames of every second are white."""
    made = (
        elsewhere(encode, codec, seconds, width, height, gop)
        if codec == "av1"
        else encode(codec, seconds, width, height, gop)
    )
    return [sample._replace(media_ns=start_ns + sample.media_ns) for sample in made]


def encode(codec: str, seconds: float, width: int, height: int, gop: int) -> list[Sample]:
    """The same from time 0 on, in this process."""
    name, options = ENCODERS[codec]
    context = av.CodecContext.create(name, "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, FPS), Fraction(FPS)
    context.gop_size, context.max_b_frames, context.bit_rate = gop, 0, 300_000
    context.thread_count = 1
    context.options = dict(options)
    with same_priority():
        context.open()
    out: list[Sample] = []

    def take(packets) -> None:
        for packet in packets:
            data = bytes(packet)
            if codec == "av1" and data[:2] == b"\x12\0":
                data = data[2:]
            out.append(Sample(packet.pts * SECOND // FPS, packet.is_keyframe, data))

    for index in range(round(seconds * FPS)):
        picture = np.full((height * 3 // 2, width), 128, np.uint8)
        picture[:height] = 235 if index % FPS < 5 else 16 + index % 40
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts = index
        if index % gop == 0:
            frame.pict_type = av.video.frame.PictureType.I
        take(context.encode(frame))
    take(context.encode(None))
    return out


def tone(seconds: float, rate: int, start_s: float = 0.0) -> np.ndarray:
    """1 kHz for the first 100 ms of every second."""
    times = start_s + np.arange(round(seconds * rate)) / rate
    return np.where(times % 1.0 < 0.1, 0.5 * np.sin(2 * np.pi * 1000 * times), 0).astype(np.float32)


def opus(seconds: float, start_ns: int = 0, channels: int = 1) -> list[Sample]:
    """20 ms packets of `tone`. Encoded with restricted delay: what is left is 2.5 ms."""
    context = av.CodecContext.create("libopus", "w")
    layout = "stereo" if channels == 2 else "mono"
    context.sample_rate, context.layout, context.format = 48_000, layout, "flt"
    context.bit_rate, context.time_base = 32_000 * channels, Fraction(1, 48_000)
    context.options = {"application": "lowdelay"}
    sound = np.repeat(tone(seconds, 48_000, start_ns / SECOND), channels).reshape(-1, 1, 960 * channels)
    packets: list[bytes] = []
    for index, block in enumerate(sound):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), "flt", layout)
        frame.sample_rate, frame.pts = 48_000, index * 960
        packets += [bytes(packet) for packet in context.encode(frame)]
    packets += [bytes(packet) for packet in context.encode(None)]
    return [Sample(start_ns + i * 20_000_000, True, data) for i, data in enumerate(packets[: len(sound)])]


def pcmu(seconds: float) -> list[Sample]:
    context = av.CodecContext.create("pcm_mulaw", "w")
    context.sample_rate, context.layout, context.format = 8000, "mono", "s16"
    context.time_base = Fraction(1, 8000)
    sound = (tone(seconds, 8000) * 32767).astype(np.int16).reshape(-1, 1, 160)
    out = []
    for index, block in enumerate(sound):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), "s16", "mono")
        frame.sample_rate, frame.pts = 8000, index * 160
        out += [bytes(packet) for packet in context.encode(frame)]
    return [Sample(i * 20_000_000, True, data) for i, data in enumerate(out)]


def jobs(
    video: list[Sample],
    audio: list[Sample],
    video_codec: str = "h264",
    audio_codec: str = "opus",
    channels: int = 2,
    segment_s: int = 2,
    end_ns: int | None = None,
) -> list[SegmentJob]:
    ends = ([video[-1].media_ns + SECOND // FPS] if video else []) + (
        [audio[-1].media_ns + 20_000_000] if audio else []
    )
    end = end_ns or max(ends)
    length = segment_s * SECOND
    out = []
    for number in range(-(-end // length)):
        begin, stop = number * length, min(end, (number + 1) * length)
        job = SegmentJob(number + 1, begin, stop, last=stop == end)
        if video:
            job.video = TrackConfig(video_codec)
            job.video_samples = [sample for sample in video if begin <= sample.media_ns < stop]
        if audio:
            job.audio = TrackConfig(audio_codec, channels, 48_000)
            job.audio_samples = [sample for sample in audio if begin <= sample.media_ns < stop]
        out.append(job)
    return out


class Recorder:
    """Writes one output as the recorder does: renditions of the plan, and the lines of a journal."""

    def __init__(self, folder: Path, spec: RecordingSpec, kind: str = "av") -> None:
        self.folder, self.spec, self.kind = folder, spec, kind
        self.renditions: dict[str, Rendition] = {}
        self.inits: dict[str, int] = {}
        self.muxed: dict[str, list[Muxed]] = {}
        self.lines: list[AnyLine] = [
            OutputOpened(output="001", identity="ann", source="camera", kind=kind, start_ns=SECOND)
        ]

    def write(self, job: SegmentJob) -> None:
        video = job.video.codec if job.video else ""
        audio = job.audio.codec if job.audio else ""
        for name, container in Rendition.plan(self.spec, self.kind, video, audio):
            rendition = self.renditions.setdefault(name, Rendition(name, container, self.spec))
            base = f"segments/001/{name}"
            (self.folder / base).mkdir(parents=True, exist_ok=True)
            path = f"{base}/{job.number:05d}.{'ts' if container == 'ts' else 'm4s'}"
            muxed = rendition.write(job, self.folder / path)
            self.muxed.setdefault(name, []).append(muxed)
            if muxed.init is not None:
                number = self.inits[name] = self.inits.get(name, 0) + 1
                init = f"{base}/init{number}.mp4"
                (self.folder / init).write_bytes(muxed.init)
                self.lines.append(
                    Init(output="001", rendition=name, number=number, path=init, bytes=len(muxed.init), sha256="")
                )
            self.lines.append(
                Segment(
                    output="001", rendition=name, container=container, number=job.number, path=path,
                    bytes=(self.folder / path).stat().st_size, sha256="",
                    start_ns=SECOND + job.start_ns, end_ns=SECOND + job.end_ns,
                    media_start_ns=job.start_ns, media_end_ns=job.end_ns,
                    video_codec=muxed.video_codec, audio_codec=muxed.audio_codec,
                    width=muxed.width, height=muxed.height, rotation=muxed.rotation,
                    video_frames=muxed.video_frames, audio_frames=muxed.audio_frames,
                    init=self.inits.get(name, 0) if container == "fmp4" else 0,
                    discontinuity=muxed.discontinuity, transcoded=muxed.transcoded,
                )
            )  # fmt: skip

    def playlist(self, name: str = "hls") -> Path:
        """A plain playlist of one rendition, for FFmpeg's HLS demuxer."""
        rows = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:10"]
        init = 0
        for line in self.lines:
            if not isinstance(line, Segment) or line.rendition != name:
                continue
            if line.discontinuity:
                rows.append("#EXT-X-DISCONTINUITY")
            if line.init != init:
                init = line.init
                rows.append(f'#EXT-X-MAP:URI="segments/001/{name}/init{init}.mp4"')
            rows.append(f"#EXTINF:{(line.media_end_ns - line.media_start_ns) / SECOND},\n{line.path}")
        path = self.folder / f"{name}.m3u8"
        path.write_text("\n".join([*rows, "#EXT-X-ENDLIST", ""]))
        return path


def record(folder: Path, spec: RecordingSpec, segment_jobs: list[SegmentJob], kind: str = "av") -> Recorder:
    recorder = Recorder(folder, spec, kind)
    for job in segment_jobs:
        recorder.write(job)
    return recorder


def spec(**fields) -> RecordingSpec:
    return RecordingSpec(id="0" * 32, app="dev", room="room", **fields)


def complaints(path: Path, level: str = "error") -> str:
    """What ffmpeg says while it decodes everything; good files are silent."""
    need("ffmpeg", "ffprobe")
    command = ["ffmpeg", "-v", level, "-i", str(path), "-f", "null", "-"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120).stderr


def probe(path: Path) -> dict[str, dict]:
    """ffprobe's streams by type, with frames counted, and "format"."""
    need("ffmpeg", "ffprobe")
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-show_format", "-of", "json", str(path)]
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)
    return {**{stream["codec_type"]: stream for stream in answer["streams"]}, "format": answer["format"]}


def flashes_and_beeps(path: Path) -> tuple[list[float], list[float]]:
    """When picture turns white and when sound begins, in seconds of the file's presentation time."""
    flashes: list[float] = []
    beeps: list[float] = []
    with av.open(str(path)) as source:
        if source.streams.video:
            white = False
            for frame in source.decode(source.streams.video[0]):
                light = float(frame.to_ndarray(format="gray8").mean()) > 150
                if light and not white:
                    flashes.append(float(frame.pts * frame.time_base))
                white = light
    with av.open(str(path)) as source:
        if source.streams.audio:
            resampler = av.AudioResampler("fltp", "mono", 48_000)
            quiet = 10**9
            for frame in source.decode(source.streams.audio[0]):
                start = float(frame.pts * frame.time_base)
                for item in resampler.resample(frame):
                    loud = np.abs(item.to_ndarray()[0]) > 0.1
                    for index in np.flatnonzero(loud).tolist():
                        if quiet + index > 4800:
                            beeps.append(start + index / 48_000)
                        quiet = -index
                    quiet += len(loud)
                resampler = av.AudioResampler("fltp", "mono", 48_000)
    return flashes, beeps


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
