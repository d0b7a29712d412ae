"""CPU seconds that drawing a mixed picture costs, step by step, per second of media. No bus, no sound, no files.

    python -m benchmarks.compose [--people 4] [--lines 720] [--seconds 10] [--codec h264]

CPU time of the whole process, not the clock on the wall: it means the same on a machine that others use too. Each step
is run `--rounds` times and the best is taken.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
from av.video.reformatter import Interpolation, VideoReformatter

from reelroom.demo.clip import make_clip
from reelroom.demo.clipfile import Clip
from reelroom.domain.layout import Pane, Person, arrange
from reelroom.domain.scene import Border, Layout, Names, Scene, Watermark
from reelroom.record.mixed.canvas import Canvas
from reelroom.record.mixed.decoder import DECODERS, Picture, PictureDecoder
from reelroom.record.mixed.images import Images
from reelroom.record.mixed.planes import empty, planes_of

WIDTH, HEIGHT, FPS = 1280, 720, 30
START_NS = 1_700_000_000_000_000_000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=4)
    parser.add_argument("--lines", type=int, default=720)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--codec", default="h264", choices=sorted(DECODERS))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    size = (options.lines * 16 // 9 & ~1, options.lines)
    kbps = 1500 if options.lines >= 720 else 500
    clips = [
        make_clip(options.seconds, participant=n, size=size, codec=options.codec, video_kbps=kbps)
        for n in range(options.people)
    ]

    def step(name: str, run: Callable[[], object]) -> None:
        best = min(_cpu(run) for _ in range(options.rounds))
        print(f"{name:42} {best / options.seconds:7.4f}")

    print(f"{options.people} x {size[0]}x{size[1]} {options.codec} -> {WIDTH}x{HEIGHT}: CPU s per s of media")
    decoded = [_decode(clip, options.codec, frames=30) for clip in clips]
    step("decode", lambda: sum(len(_decode(clip, options.codec, keep=False)) for clip in clips))
    panes = _panes(options.people)
    pane = panes[0]
    repeat = options.seconds * FPS // len(decoded[0])
    for how in ("FAST_BILINEAR", "BILINEAR", "AREA", "BICUBIC", "LANCZOS"):
        step(f"scale, {how.lower()}", partial(_scale, decoded, pane.width, pane.height, Interpolation[how], repeat))
    step("copy", lambda: _copy(options.people, pane.width, pane.height, options.seconds * FPS))
    plain = Scene()
    step("canvas: scale, copy", lambda: _draw(decoded, plain, options.seconds))
    step("canvas: nothing changed", lambda: _draw([frames[:1] for frames in decoded], plain, options.seconds))
    rich = Scene(
        names=Names(),
        border=Border(width=2),
        watermarks=(Watermark(x=20, y=20, clock="%Y-%m-%d %H:%M:%S"), Watermark(x=900, y=20, text="Reelroom")),
    )
    step("canvas: with names, borders, watermarks", lambda: _draw(decoded, rich, options.seconds))
    drawn: list[av.VideoFrame] = []
    _together(clips, options.codec, min(3, options.seconds), drawn)
    step("encode x264 veryfast", lambda: _encode(drawn, options.seconds * FPS))
    step("decoders, canvas, encoder together", lambda: _together(clips, options.codec, options.seconds))


def _cpu(run: Callable[[], object]) -> float:
    before = time.process_time()
    run()
    return time.process_time() - before


def _decode(clip: Clip, codec: str, frames: int = 1 << 30, keep: bool = True) -> list[av.VideoFrame]:
    context = av.CodecContext.create(DECODERS[codec], "r")
    assert isinstance(context, av.VideoCodecContext)
    context.thread_count = 1
    decoded: list[av.VideoFrame] = []
    for frame in clip.video[:frames]:
        got = context.decode(av.Packet(frame.data))
        decoded = decoded + got if keep else got
    return decoded


def _scale(decoded: Sequence[Sequence[av.VideoFrame]], width: int, height: int, how: Interpolation, repeat: int) -> int:
    for frames in decoded:
        scaler = VideoReformatter()
        for _ in range(repeat):
            for frame in frames:
                scaler.reformat(frame, width, height, "yuv420p", interpolation=how, threads=1)
    return repeat * len(decoded[0])


def _copy(people: int, width: int, height: int, count: int) -> int:
    target = empty(WIDTH, HEIGHT).part(0, 0, width, height)
    source = av.VideoFrame(width, height, "yuv420p")
    for _ in range(people * count):
        target.copy_from(planes_of(source))
    return count


def _panes(people: int) -> tuple[Pane, ...]:
    return arrange(Layout(), WIDTH, HEIGHT, [Person(f"p{n}", "camera", n, True) for n in range(people)], START_NS)


def _draw(decoded: Sequence[Sequence[av.VideoFrame]], scene: Scene, seconds: int) -> int:
    canvas, images = Canvas(WIDTH, HEIGHT), Images(Path())
    panes = _panes(len(decoded))
    for tick in range(seconds * FPS):
        pictures = {
            (f"p{n}", "camera"): Picture(frames[tick % len(frames)], 0, 0, 1 + tick % len(frames))
            for n, frames in enumerate(decoded)
        }
        canvas.draw(panes, pictures, scene, images, START_NS + tick * 1_000_000_000 // FPS)
    return seconds * FPS


def _together(clips: Sequence[Clip], codec: str, seconds: int, drawn: list[av.VideoFrame] | None = None) -> int:
    """The way the mixing thread does it. With `drawn`, pictures are put there instead of being encoded."""
    decoders = [PictureDecoder(codec, lambda: None) for _ in clips]
    encoder = _encoder()
    canvas, images, scene = Canvas(WIDTH, HEIGHT), Images(Path()), Scene()
    panes = _panes(len(clips))
    for decoder, clip in zip(decoders, clips, strict=True):
        for frame in clip.video:
            decoder.put(frame.data, START_NS + frame.pts_ns, frame.key, False)
    for tick in range(seconds * FPS):
        at_ns = START_NS + tick * 1_000_000_000 // FPS
        while not all(decoder.ready(at_ns) for decoder in decoders):
            time.sleep(0.002)
        pictures = {(f"p{n}", "camera"): decoder.at(at_ns) for n, decoder in enumerate(decoders)}
        canvas.draw(panes, pictures, scene, images, at_ns)
        if drawn is not None:
            drawn.append(av.VideoFrame(WIDTH, HEIGHT, "yuv420p"))
            planes_of(drawn[-1]).copy_from(planes_of(canvas.frame))
        else:
            canvas.frame.pts = tick
            encoder.encode(canvas.frame)
    encoder.encode(None)
    for decoder in decoders:
        decoder.close()
    return seconds * FPS


def _encode(drawn: Sequence[av.VideoFrame], count: int) -> int:
    encoder = _encoder()
    for tick in range(count):
        frame = drawn[tick % len(drawn)]
        frame.pts = tick
        encoder.encode(frame)
    encoder.encode(None)
    return count


def _encoder() -> av.VideoCodecContext:
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, FPS), Fraction(FPS)
    encoder.bit_rate, encoder.gop_size, encoder.max_b_frames = 2_000_000, 60, 0
    encoder.options = {"preset": "veryfast", "x264-params": "scenecut=0:bframes=0"}
    return encoder


if __name__ == "__main__":
    main()
