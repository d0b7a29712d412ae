"""What one million pixels cost on this machine to encode, decode and scale: printed as JSON. Takes some seconds.

A process of its own: `python -m reelroom.record.mixed.measure`. CPU time is measured, and the best of some rounds
counts: on a busy machine the same work takes more of it, as caches and the processor's threads are shared.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable

import av
import numpy as np

from reelroom.domain.mix import Mix
from reelroom.record.mixed.encoder import Encoded, PictureEncoder

WIDTH, HEIGHT, FRAMES = 640, 360, 60
ROUNDS = 3


def frames() -> list[av.VideoFrame]:
    """Something like a room with a person who moves: soft shapes that shift, and a little noise of a camera."""
    dice = np.random.default_rng(1)
    coarse = dice.integers(40, 215, (HEIGHT // 8 + 8, WIDTH // 8 + 24)).astype(np.float32)
    soft = np.kron(coarse, np.ones((8, 8), np.float32))
    for axis in (0, 1):
        soft = sum(np.roll(soft, shift, axis) for shift in range(-6, 7)) / 13  # type: ignore[assignment]
    noise = dice.normal(0, 1.5, (4, HEIGHT, WIDTH)).astype(np.float32)
    made = []
    for number in range(FRAMES):
        picture = soft[:HEIGHT, :WIDTH].copy()
        left = 160 + 2 * number
        picture[90:330, left : left + 220] = soft[90:330, 2 * number + 8 : 2 * number + 228]
        luma = np.clip(picture + noise[number % 4], 16, 235).astype(np.uint8)
        colour = np.full((HEIGHT // 2, WIDTH), 128, np.uint8)
        made.append(av.VideoFrame.from_ndarray(np.vstack((luma, colour)), format="yuv420p"))
    return made


def cpu_s(work: Callable[[], None]) -> float:
    """CPU seconds of all threads of this process."""
    before = time.process_time()
    work()
    return time.process_time() - before


def measure() -> dict[str, float]:
    """Core seconds per million pixels: "encode", "decode", "draw"."""
    pictures = frames()
    rounds = [measured(pictures) for _ in range(ROUNDS)]
    return {name: min(found[name] for found in rounds) for name in rounds[0]}


def measured(pictures: list[av.VideoFrame]) -> dict[str, float]:
    """The same, of one round."""
    encoded: list[Encoded] = []
    encoder = PictureEncoder(Mix(width=WIDTH, height=HEIGHT, fps=30, video_bitrate=800_000))

    def encode() -> None:
        for number, picture in enumerate(pictures):
            encoded.extend(encoder.encode(picture, number, False))
        encoded.extend(encoder.flush())

    def decode() -> None:
        decoder = av.CodecContext.create("h264", "r")
        decoder.thread_count = 1
        found = 0
        for one in encoded:
            found += len(decoder.decode(av.Packet(one.payload)))
        if found + len(decoder.decode(None)) != FRAMES:
            raise RuntimeError(f"{FRAMES} pictures were encoded and {found} decoded")

    def draw() -> None:
        for picture in pictures:
            picture.reformat(WIDTH // 2, HEIGHT // 2)

    million = WIDTH * HEIGHT * FRAMES / 1e6
    spent = {"encode": cpu_s(encode), "decode": cpu_s(decode), "draw": cpu_s(draw)}
    return {name: round(seconds / million, 6) for name, seconds in spent.items()}


if __name__ == "__main__":
    os.nice(5)  # whatever records goes first
    print(json.dumps(measure()))
