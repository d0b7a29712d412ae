"""How long after the stop an hour's files are there: 720p30 H.264 at 1.5 Mbit/s with Opus, from its segments.

Encodes six real seconds, writes them 600 times over as a recorder does, and makes the files. Disk and hashing
count. `python benchmarks/finish_hour.py [--minutes 60] [--formats mp4,flv] [--folder DIR] [--json]`
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from reelroom.domain.lines import AnyLine, File, Init, OutputOpened, Segment
from reelroom.domain.recording import Format, RecordingSpec
from reelroom.finish import make_files
from reelroom.record.mux import Rendition, Sample, SegmentJob, TrackConfig

SECOND = 1_000_000_000
SEGMENT_S = 6


def pictures() -> list[tuple[bool, bytes]]:
    """Six seconds of moving noise at about 1.5 Mbit/s."""
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = 1280, 720, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 30), Fraction(30)
    context.gop_size, context.max_b_frames, context.bit_rate = SEGMENT_S * 30, 0, 1_850_000
    context.options = {
        "preset": "ultrafast",
        "x264-params": "vbv-maxrate=1900:vbv-bufsize=1900:scenecut=0:sliced-threads=0:log=-1",
    }
    random = np.random.default_rng(7)
    noise = random.integers(16, 235, (720, 2560), np.uint8)
    out: list[tuple[bool, bytes]] = []
    for index in range(SEGMENT_S * 30):
        picture = np.full((1080, 1280), 128, np.uint8)
        picture[:720] = noise[:, index * 4 : index * 4 + 1280]
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts = index
        out += [(packet.is_keyframe, bytes(packet)) for packet in context.encode(frame)]
    return out + [(packet.is_keyframe, bytes(packet)) for packet in context.encode(None)]


def sound() -> list[bytes]:
    """Six seconds of Opus at 32 kbit/s."""
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format = 48_000, "mono", "flt"
    context.bit_rate, context.time_base = 32_000, Fraction(1, 48_000)
    noise = np.random.default_rng(3).normal(0, 0.1, (SEGMENT_S * 50, 1, 960)).astype(np.float32)
    out: list[bytes] = []
    for index, block in enumerate(noise):
        frame = av.AudioFrame.from_ndarray(block, "flt", "mono")
        frame.sample_rate, frame.pts = 48_000, index * 960
        out += [bytes(packet) for packet in context.encode(frame)]
    return (out + [bytes(packet) for packet in context.encode(None)])[: SEGMENT_S * 50]


def record(folder: Path, spec: RecordingSpec, segments: int) -> tuple[list[AnyLine], float, int]:
    """The journal lines, the seconds it took to write the segments, and how many samples they hold."""
    video, audio = pictures(), sound()
    lines: list[AnyLine] = [
        OutputOpened(output="001", identity="ann", source="camera", kind="av", start_ns=0),
    ]
    renditions: dict[str, Rendition] = {}
    inits: dict[str, int] = {}
    took, samples = 0.0, 0
    for index in range(segments):
        start = index * SEGMENT_S * SECOND
        job = SegmentJob(
            index + 1,
            start,
            start + SEGMENT_S * SECOND,
            TrackConfig("h264"),
            [Sample(start + i * SECOND // 30, key, data) for i, (key, data) in enumerate(video)],
            TrackConfig("opus", 2, 48_000),
            [Sample(start + i * 20_000_000, True, data) for i, data in enumerate(audio)],
            last=index == segments - 1,
        )
        samples += len(video) + len(audio)
        for name, container in Rendition.plan(spec, "av", "h264", "opus"):
            rendition = renditions.setdefault(name, Rendition(name, container, spec))
            path = f"segments/001/{name}/{index + 1:05d}.m4s"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            began = time.process_time()
            muxed = rendition.write(job, folder / path)
            took += time.process_time() - began
            if muxed.init is not None:
                inits[name] = inits.get(name, 0) + 1
                init = f"segments/001/{name}/init{inits[name]}.mp4"
                (folder / init).write_bytes(muxed.init)
                lines.append(Init(output="001", rendition=name, number=inits[name], path=init, bytes=0, sha256=""))
            lines.append(
                Segment(
                    output="001",
                    rendition=name,
                    container=container,
                    number=index + 1,
                    path=path,
                    bytes=0,
                    sha256="",
                    start_ns=job.start_ns,
                    end_ns=job.end_ns,
                    media_start_ns=job.start_ns,
                    media_end_ns=job.end_ns,
                    video_codec=muxed.video_codec,
                    audio_codec=muxed.audio_codec,
                    width=muxed.width,
                    height=muxed.height,
                    video_frames=muxed.video_frames,
                    audio_frames=muxed.audio_frames,
                    init=inits[name],
                    transcoded=muxed.transcoded,
                )
            )
    return lines, took, samples


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--formats", default="hls,mp4")
    parser.add_argument("--folder", type=Path, help="where to work; removed afterwards")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    formats = tuple(Format(name) for name in options.formats.split(","))
    spec = RecordingSpec(id="0" * 32, app="bench", room="hour", formats=formats)
    folder = Path(tempfile.mkdtemp(prefix="reelroom-hour-", dir=options.folder))
    try:
        lines, mux_s, samples = record(folder, spec, round(options.minutes * 60 / SEGMENT_S))
        # A recorder has synced every segment long before the stop.
        for path in folder.rglob("*.m4s"):
            with path.open("rb") as file:
                os.fsync(file.fileno())
        rows: list[dict[str, object]] = []
        began = last = time.perf_counter()
        cpu = time.process_time()
        for item in make_files(folder, spec, lines):
            now = time.perf_counter()
            if not isinstance(item, File):
                print(item, file=sys.stderr)
                return 1
            rows.append({"format": item.format, "seconds": round(now - last, 3), "bytes": item.bytes})
            last = now
        total = last - began
        cpu = time.process_time() - cpu
    finally:
        shutil.rmtree(folder)
    result = {
        "media_s": options.minutes * 60,
        "samples": samples,
        "mux_us_per_sample": round(mux_s / samples * 1e6, 2),
        "files": rows,
        "total_s": round(total, 3),
        "total_cpu_s": round(cpu, 3),
    }
    if options.json:
        print(json.dumps(result))
        return 0
    print(f"{samples} samples, {result['mux_us_per_sample']} µs of processor each to write the segments")
    for row in rows:
        print(f"{row['format']:>5} {row['seconds']:8} s {row['bytes']:>12} bytes")
    print(f"total {total:8.3f} s, of a processor {cpu:.3f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
