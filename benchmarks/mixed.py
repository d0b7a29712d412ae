"""`./run bench mixed`: this recorder, ffmpeg and GStreamer mix the same stored streams, each in real time; and what
nobody can do without ("floor").

Holds no mixer. All get H.264 and Opus of everybody at the pace of the clock, draw the same rectangles on a canvas of
1280x720 at 30 frames a second, and encode with x264 veryfast at 2 Mbit/s without B-frames and AAC at 96 kbit/s.
"""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import av

from benchmarks.peers.measure import cpu_and_rss
from reelroom.demo.clip import make_clip
from reelroom.demo.clipfile import Clip
from reelroom.domain.lines import Segment
from reelroom.domain.media import TrackInfo
from reelroom.domain.mix import Mix
from reelroom.domain.recording import Format, Hls, Mode, Source
from reelroom.domain.scene import Fit, Layout, Scene
from tests.fakebus import FakeBus, Track
from tests.media.recorderkit import Fleet, Recording

WIDTH, HEIGHT, FPS, GOP = 1280, 720, 30, 60
VIDEO_BITRATE, AUDIO_BITRATE = 2_000_000, 96_000
SIZES = {720: (1280, 720), 360: (640, 360)}
#: What `record/mixed/codecs.py` gives x264 besides the preset, for everybody.
X264 = "scenecut=0:rc-lookahead=0:sync-lookahead=0:mbtree=0"
CLIP_S = 10
SETTLE_S = 3.0
RECORDERS = ("reelroom", "ffmpeg", "gstreamer", "floor")


@dataclass(slots=True)
class Row:
    """One mixer with one number of participants of one size."""

    recorder: str
    participants: int
    lines: int  # of every participant's picture
    cores: float  # CPU seconds a second of media
    frames: int  # pictures written
    frames_due: int


def run(counts: Sequence[int], sizes: Sequence[int], seconds: int, recorders: Sequence[str],
        say: Callable[[str], None]) -> list[Row]:  # fmt: skip
    """All rows, one after the other, in one go."""
    rows = []
    for size in sizes:
        for count in counts:
            clips = [make_clip(CLIP_S, participant=i, size=SIZES[size], video_kbps=_kbps(size)) for i in range(count)]
            for name in recorders:
                with tempfile.TemporaryDirectory(prefix="reelroom-bench-") as folder:
                    cores, frames, due = _MIXERS[name](clips, seconds, Path(folder))
                rows.append(Row(name, count, size, cores, frames, due))
                say(f"{name}, {count} at {size}p: {cores:.2f} cores, {frames} of {due} pictures")
    return rows


def _kbps(lines: int) -> int:
    return 1500 if lines == 720 else 500


def rectangles(count: int) -> list[tuple[int, int, int, int]]:
    """Where 16:9 pictures stand in a grid: x, y, width, height; each is shown whole in the middle of its cell."""
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    found = []
    for index in range(count):
        x, right = (round(WIDTH * c / columns / 2) * 2 for c in (index % columns, index % columns + 1))
        y, bottom = (round(HEIGHT * r / rows / 2) * 2 for r in (index // columns, index // columns + 1))
        width = min(right - x, (bottom - y) * 16 // 9) // 2 * 2
        height = min(bottom - y, (right - x) * 9 // 16) // 2 * 2
        found.append((x + (right - x - width) // 4 * 2, y + (bottom - y - height) // 4 * 2, width, height))
    return found


# this server


def _tracks(clips: Sequence[Clip]) -> list[Track]:
    begin_ns = time.time_ns()
    found = []
    for index, clip in enumerate(clips):
        for number, source, codec, rate, frames, step in (
            (2 * index + 1, Source.CAMERA, clip.spec.codec, 90_000, clip.video, Fraction(10**9, clip.spec.fps)),
            (2 * index + 2, Source.MICROPHONE, "opus", 48_000, clip.audio, Fraction(20_000_000)),
        ):
            info = TrackInfo(
                track=number, identity=f"p{index:02}", source=source, codec=codec, clock_rate=rate,
                channels=1 if source is Source.MICROPHONE else 0, session=f"s{index}",
            )  # fmt: skip
            found.append(Track(info, [(f.key, f.data) for f in frames], round(step), begin_ns))
    return found


def _reelroom(clips: Sequence[Clip], seconds: int, folder: Path) -> tuple[float, int, int]:
    """The recorder process with everything that it does, WAL and segments among it; the bus it reads is a replay."""
    fleet = Fleet()
    bus = FakeBus(fleet.run / "ingest-0.sock", _tracks(clips))
    try:
        mix = Mix(
            width=WIDTH, height=HEIGHT, fps=FPS, gop_s=GOP / FPS, video_bitrate=VIDEO_BITRATE,
            audio_bitrate=AUDIO_BITRATE, scene=Scene(layout=Layout(fit=Fit.FIT)),
        )  # fmt: skip
        recording = Recording(fleet, mode=Mode.MIXED, mix=mix, formats=(Format.HLS,), hls=Hls(segment_s=6))
        pid = recording.start()
        time.sleep(SETTLE_S)
        before, began = cpu_and_rss(pid)[0], time.monotonic()
        time.sleep(seconds)
        used, window = cpu_and_rss(pid)[0] - before, time.monotonic() - began
        recording.stop()
        segments = [one for one in recording.lines(Segment) if one.rendition == "hls"]
        due = sum(one.media_end_ns - one.media_start_ns for one in segments) * FPS / 1e9
        return used / window, sum(one.video_frames for one in segments), round(due)
    finally:
        bus.close()
        fleet.close()


# peers


def _store(clip: Clip, rounds: int, path: Path) -> Path:
    """A clip's frames again and again, in Matroska, as they are."""
    with av.open(path, "w", format="matroska") as container:
        video = container.add_stream("libx264", rate=clip.spec.fps)
        video.width, video.height, video.time_base = clip.spec.width, clip.spec.height, Fraction(1, 1000)
        audio = container.add_stream("libopus", rate=48_000)
        streams = [(frame, video) for frame in clip.video] + [(frame, audio) for frame in clip.audio]
        streams.sort(key=lambda entry: entry[0].pts_ns)
        for turn in range(rounds):
            for frame, stream in streams:
                packet = av.Packet(frame.data)
                packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 10**9), frame.key
                packet.pts = packet.dts = turn * clip.duration_ns + frame.pts_ns
                container.mux(packet)
    return path


def _stored(clips: Sequence[Clip], seconds: int, folder: Path) -> list[Path]:
    rounds = math.ceil(seconds / CLIP_S)
    return [_store(clip, rounds, folder / f"in{index:02}.mkv") for index, clip in enumerate(clips)]


def _child(command: Sequence[str], seconds: float) -> float:
    """CPU seconds of a command, all of it waited for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, timeout=seconds * 8 + 60, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.decode(errors='replace')[-1500:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _pictures(path: Path) -> int:
    with av.open(path) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)


def _composed(count: int) -> list[str]:
    """ffmpeg's filters from its first inputs' pictures to [v]."""
    places = rectangles(count)
    graph = [f"[{i}:v]scale={w}:{h}:flags=bilinear[v{i}]" for i, (_, _, w, h) in enumerate(places)]
    layout = "|".join(f"{x}_{y}" for x, y, _, _ in places)
    drawn = "".join(f"[v{i}]" for i in range(count))
    graph.append(f"{drawn}xstack=inputs={count}:layout={layout}:fill=black[stack]" if count > 1 else "[v0]null[stack]")
    graph.append(f"[stack]pad={WIDTH}:{HEIGHT}:0:0,fps={FPS},format=yuv420p[v]")
    return graph


_ENCODE = (
    "-c:v", "libx264", "-preset", "veryfast", "-b:v", str(VIDEO_BITRATE), "-bf", "0", "-g", str(GOP),
    "-x264-params", X264, "-threads", "2",
)  # fmt: skip


def _floor(clips: Sequence[Clip], seconds: int, folder: Path) -> tuple[float, int, int]:
    """What nobody can do without: ffmpeg decodes the pictures, and encodes a composed one, each by itself, at full
    speed. No sound, no scaling, no files."""
    inputs = _stored(clips, seconds, folder)
    command = ["ffmpeg", "-v", "error", "-y"]
    for path in inputs:
        command += ["-threads", "1", "-i", os.fspath(path)]
    every = [word for index in range(len(inputs)) for word in ("-map", f"{index}:v")]
    used = _child([*command, *every, "-t", str(seconds), "-f", "null", "-"], seconds)
    raw = folder / "composed.yuv"
    graph = ["-filter_complex", ";".join(_composed(len(inputs))), "-map", "[v]", "-t", str(seconds)]
    _child([*command, *graph, "-f", "rawvideo", os.fspath(raw)], seconds)
    out = folder / "out.mp4"
    picture = ["-f", "rawvideo", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS), "-pix_fmt", "yuv420p", "-i", os.fspath(raw)]
    used += _child(["ffmpeg", "-v", "error", "-y", *picture, *_ENCODE, os.fspath(out)], seconds)
    return used / seconds, _pictures(out), seconds * FPS


def _ffmpeg(clips: Sequence[Clip], seconds: int, folder: Path) -> tuple[float, int, int]:
    inputs = _stored(clips, seconds, folder)
    graph = _composed(len(inputs))
    heard = "".join(f"[{i}:a]" for i in range(len(inputs)))
    graph.append(f"{heard}amix=inputs={len(inputs)}:normalize=0,alimiter[a]")
    out = folder / "out.mp4"
    command = ["ffmpeg", "-v", "error", "-y"]
    for path in inputs:
        command += ["-re", "-threads", "1", "-i", os.fspath(path)]
    command += ["-filter_complex", ";".join(graph), "-map", "[v]", "-map", "[a]", "-t", str(seconds)]
    command += [*_ENCODE, "-c:a", "aac", "-b:a", str(AUDIO_BITRATE)]
    command += ["-movflags", "+frag_keyframe+empty_moov", os.fspath(out)]
    used = _child(command, seconds)
    return used / seconds, _pictures(out), seconds * FPS


def _gstreamer(clips: Sequence[Clip], seconds: int, folder: Path) -> tuple[float, int, int]:
    inputs = _stored(clips, seconds, folder)
    places = rectangles(len(inputs))
    out = folder / "out.mp4"
    seats = " ".join(
        f"sink_{i}::xpos={x} sink_{i}::ypos={y} sink_{i}::width={w} sink_{i}::height={h}"
        for i, (x, y, w, h) in enumerate(places)
    )
    parts = [
        f"compositor name=c background=black {seats} ! video/x-raw,format=I420,width={WIDTH},height={HEIGHT},"
        f"framerate={FPS}/1 ! queue ! x264enc speed-preset=veryfast bitrate={VIDEO_BITRATE // 1000} bframes=0 "
        f"key-int-max={GOP} option-string={X264} threads=2 ! h264parse ! queue ! mux.",
        f"audiomixer name=a ! audioconvert ! audio/x-raw,channels=2,rate=48000 ! avenc_aac bitrate={AUDIO_BITRATE} ! "
        f"aacparse ! queue ! mux. matroskamux name=mux ! filesink location={out}",
    ]
    for index, path in enumerate(inputs):
        parts.append(
            f"filesrc location={path} ! matroskademux name=d{index} "
            f"d{index}. ! queue ! h264parse ! identity sync=true ! avdec_h264 max-threads=1 ! videoconvert ! queue ! "
            f"c.sink_{index} d{index}. ! queue ! opusparse ! opusdec ! audioconvert ! queue ! a."
        )
    used = _child(["gst-launch-1.0", "-q", *" ".join(parts).split()], seconds)
    length = math.ceil(seconds / CLIP_S) * CLIP_S
    return used / length, _pictures(out), length * FPS


_MIXERS: dict[str, Callable[[Sequence[Clip], int, Path], tuple[float, int, int]]] = {
    "reelroom": _reelroom,
    "ffmpeg": _ffmpeg,
    "gstreamer": _gstreamer,
    "floor": _floor,
}


def as_json(rows: Sequence[Row]) -> str:
    return json.dumps([asdict(row) for row in rows])
