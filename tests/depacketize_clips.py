"""Short encoded clips for the depacketizers' tests, made in memory with PyAV. No files, no packets."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np

from reelroom.scheduling import same_priority
from tests.elsewhere import elsewhere

ENCODERS = {
    "h264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "threads=1:slices=3"}),
    "h265": (
        "libx265",
        {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "x265-params": "log-level=none:pools=1:frame-threads=1:slices=2",
        },
    ),
    "vp8": ("libvpx", {"deadline": "realtime", "cpu-used": "8"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    "av1": ("libsvtav1", {"preset": "11", "svtav1-params": "pred-struct=1:rc=2:lp=1"}),
}
DECODERS = {"h264": "h264", "h265": "hevc", "vp8": "vp8", "vp9": "vp9", "av1": "libdav1d"}


@functools.cache
def encoded(
    codec: str,
    width: int = 320,
    height: int = 180,
    frames: int = 12,
    pixels: str = "yuv420p",
    options: tuple[tuple[str, str], ...] = (),
) -> tuple[bytes, ...]:
    """Frames of moving noise at 2 Mbit/s, a key frame every 6, parameter sets in band.

    `options` override those of the encoder.
    """
    if codec == "av1":
        return elsewhere(encode, codec, width, height, frames, pixels, options)
    return encode(codec, width, height, frames, pixels, options)


def encode(
    codec: str, width: int, height: int, frames: int, pixels: str, options: tuple[tuple[str, str], ...]
) -> tuple[bytes, ...]:
    """The same, in this process."""
    name, defaults = ENCODERS[codec]
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, pixels
    encoder.time_base, encoder.framerate = Fraction(1, 30), Fraction(30)
    encoder.bit_rate, encoder.gop_size = 2_000_000, 6
    encoder.options = defaults | dict(options)
    with same_priority():
        encoder.open()
    noise = np.random.default_rng(7).integers(0, 255, (height, width, 3), dtype=np.uint8)
    packets: list[bytes] = []
    for index in range(frames):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.roll(noise, index * 4, 1)), format="rgb24")
        frame = frame.reformat(format=pixels)
        frame.pts = index
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    packets += [bytes(packet) for packet in encoder.encode(None)]
    return tuple(packets)


def decoded(codec: str, frames: Sequence[bytes]) -> list[np.ndarray]:
    """The pictures of `frames`; raises av.error.FFmpegError on what FFmpeg refuses."""
    decoder = av.CodecContext.create(DECODERS[codec], "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    pictures = [picture for frame in frames for picture in decoder.decode(av.Packet(frame))]
    return [picture.to_ndarray() for picture in pictures + list(decoder.decode(None))]


def nal_units(data: bytes) -> list[bytes]:
    """The NAL units of an Annex B access unit, without start codes."""
    return [nal.rstrip(b"\0") for nal in data.split(b"\0\0\1") if nal.strip(b"\0")]


def without_delimiter(unit: bytes) -> bytes:
    """An AV1 temporal unit without the temporal delimiter that encoders put first."""
    return unit[2:] if unit[:2] == b"\x12\0" else unit
