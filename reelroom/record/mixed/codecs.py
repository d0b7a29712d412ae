"""Which encoder makes the mix's pictures, with which settings for real time; which hardware really has one.

Every encoder gives one frame for one picture, in order, and a key frame only where it is told. Encodes nothing
but a test picture.
"""

from __future__ import annotations

import os
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import av
import av.error
import av.logging
from av.codec.hwaccel import HWAccel
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from reelroom.domain.mix import Mix

HARDWARE = ("nvenc", "vaapi", "qsv")
UNKNOWN = "hardware"  # one of them
_NEVER = "100000"  # pictures between key frames that nobody asked for
_SINGLE = 1280 * 720 * 30  # pixels a second that one thread of SVT-AV1 just keeps up with
_LARGE = 1920 * 1080 * 31  # pixels a second; beyond them two threads are too few
_HARDWARE_NAMES = {"h264": "h264", "h265": "hevc", "vp9": "vp9", "av1": "av1"}
_SOFTWARE = {"h264": "libx264", "h265": "libx265", "vp9": "libvpx-vp9", "av1": "libsvtav1"}
#: From more effort to less; what is first keeps up with 720p30 on half a core (H.265: a whole one).
_PRESETS: dict[str, tuple[str, ...]] = {
    "libx264": ("veryfast", "superfast", "ultrafast"),
    "libx265": ("ultrafast",),
    "libvpx-vp9": ("7", "8"),
    "libsvtav1": ("10", "11"),
}


class Choice(NamedTuple):
    """An encoder that works here. `why`: what was configured and could not be had, "" if nothing."""

    name: str
    presets: tuple[str, ...]  # from more effort to less, at least one
    why: str
    alone: bool = False  # with one thread only: it hung with more


def choose(mix: Mix, hardware: tuple[str, ...] = (), hung: frozenset[str] = frozenset()) -> Choice:
    """The first of `hardware` (of HARDWARE) that encodes a test picture of this size, else software.

    `hung`: encoders that did not come back in this recording, or UNKNOWN when that was while one was chosen: no
    hardware is asked again that may have been it, and software gets one thread. Raises ValueError for hardware of an
    unknown name.
    """
    reasons: list[str] = []
    for kind in hardware:
        if kind not in HARDWARE:
            raise ValueError(f"a hardware encoder is one of {', '.join(HARDWARE)}, not {kind!r}")
        name = f"{_HARDWARE_NAMES[mix.video_codec]}_{kind}"
        if not hung.isdisjoint((name, UNKNOWN)):
            reasons.append(f"{name}: it hung")
            continue
        reason = _trial(name, mix.width, mix.height, mix.fps, mix.video_bitrate, mix.profile, mix.video_codec)
        if not reason:
            return Choice(name, ("",), "; ".join(reasons))
        reasons.append(f"{name}: {reason}")
    name = _SOFTWARE[mix.video_codec]
    return Choice(name, _PRESETS[name], "; ".join(reasons), name in hung)


@lru_cache(maxsize=32)
def _trial(name: str, width: int, height: int, fps: int, bitrate: int, profile: str, codec: str) -> str:
    """Why the encoder cannot be used on this machine; "" if it can."""
    if name not in av.codecs_available:
        return "FFmpeg was built without it"
    mix = Mix(width=width, height=height, fps=fps, video_bitrate=bitrate, profile=profile, video_codec=codec)
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)  # "cannot load libcuda" says more than "operation not permitted"
    try:
        with av.logging.Capture(local=True) as said:
            reason = _encodes(mix, name)
    finally:
        av.logging.set_level(level)
    return said[0][2].strip() if reason and said else reason


def _encodes(mix: Mix, name: str) -> str:
    try:
        context = open_encoder(mix, name, "")
        picture = av.VideoFrame(mix.width, mix.height, "yuv420p")
        for plane in picture.planes:
            plane.update(bytes([128]) * plane.buffer_size)
        packets = 0
        for tick in range(3):
            picture.pts, picture.time_base = tick, Fraction(1, mix.fps)
            picture.pict_type = PictureType.I if not tick else PictureType.NONE
            packets += len(context.encode(picture))
        packets += len(context.encode(None))
    except (av.error.FFmpegError, OSError, ValueError, RuntimeError, NotImplementedError) as error:
        return getattr(error, "strerror", None) or str(error) or type(error).__name__
    return "" if packets == 3 else f"it made {packets} frames of 3 pictures"


def open_encoder(mix: Mix, name: str, preset: str, alone: bool = False) -> VideoCodecContext:
    """A new encoder, which FFmpeg opens with its first picture. `alone`: software has one thread for its work."""
    accelerated = HWAccel("vaapi") if name.endswith("_vaapi") else None  # the others take pictures from memory
    context = av.CodecContext.create(name, "w", hwaccel=accelerated)
    if not isinstance(context, VideoCodecContext):
        raise ValueError(f"FFmpeg's {name} is no video encoder")
    context.width, context.height = mix.width, mix.height
    context.pix_fmt = "nv12" if name.endswith(("_qsv", "_vaapi")) else "yuv420p"
    context.time_base = Fraction(1, mix.fps)
    context.framerate = Fraction(mix.fps)
    context.bit_rate = mix.video_bitrate
    context.gop_size = int(_NEVER)
    context.max_b_frames = 0
    threads = 1 if alone else 2 if mix.width * mix.height * mix.fps <= _LARGE else 4
    context.thread_count = threads
    context.options = _options(mix, name, preset, alone)
    return context


def _options(mix: Mix, name: str, preset: str, alone: bool) -> dict[str, str]:
    # Peaks of half as much again, over two seconds: what a live push's line can be expected to take.
    peaks = {"maxrate": str(mix.video_bitrate * 3 // 2), "bufsize": str(mix.video_bitrate * 2)}
    if name == "libx264":
        # Without lookahead and macroblock tree: 15 % less CPU for 0.2 dB, and one picture of delay, not eleven.
        x264 = "scenecut=0:rc-lookahead=0:sync-lookahead=0:mbtree=0:force-cfr=1:log=-1"
        return {"preset": preset, "profile": mix.profile, "forced-idr": "1", "bf": "0", "x264-params": x264, **peaks}
    if name == "libx265":
        x265 = "bframes=0:scenecut=0:rc-lookahead=0:keyint=-1:repeat-headers=1:log-level=none"
        x265 += ":pools=none:frame-threads=1" if alone else ""
        return {"preset": preset, "forced-idr": "1", "x265-params": x265, **peaks}
    if name == "libvpx-vp9":
        realtime = {"deadline": "realtime", "cpu-used": preset, "lag-in-frames": "0", "auto-alt-ref": "0"}
        return {**realtime, "row-mt": "0" if alone else "1", "tile-columns": "1", **peaks}
    if name == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # errors only; it writes to the standard error by itself
        # SVT-AV1 4.1 does not come back from its first picture in one of 40 starts with two threads, in one of 10 with
        # three, and hardly ever with one.
        threads = 1 if alone or mix.width * mix.height * mix.fps <= _SINGLE else 2
        return {"preset": preset, "svtav1-params": f"pred-struct=1:rc=2:lp={threads}:force-key-frames=1"}
    options = dict(peaks)
    if name.startswith("h264"):
        options["profile"] = (
            "constrained_baseline" if (name, mix.profile) == ("h264_vaapi", "baseline") else mix.profile
        )
    if name.endswith("_nvenc"):
        options |= {"preset": "p4", "tune": "ll", "rc": "vbr", "forced-idr": "1", "delay": "0", "zerolatency": "1"}
    elif name.endswith("_qsv"):
        options |= {"preset": "veryfast", "forced_idr": "1", "async_depth": "1"}
    else:
        options |= {"async_depth": "1"}
    return options
