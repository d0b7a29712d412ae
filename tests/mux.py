"""Puts a clip's stored frames into a file by stream copy, for tests; judges nothing."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av

from reelroom.demo.clipfile import Clip

_NS = Fraction(1, 1_000_000_000)
_CODECS = {"h264": "h264", "h265": "hevc", "vp8": "vp8", "vp9": "vp9", "av1": "av1"}


def mux(
    clip: Clip,
    path: Path,
    *,
    audio_shift_ms: float = 0.0,
    keep: Callable[[int], bool] = lambda number: True,
    container: str | None = None,
) -> Path:
    """Copy a clip into `path`: its sound late by `audio_shift_ms`, and the video frames that `keep` wants."""
    with av.open(str(path), "w", format=container) as output:
        spec = clip.spec
        video = output.add_mux_stream(_CODECS[spec.codec], width=spec.width, height=spec.height)
        audio = output.add_stream("libopus", rate=48_000, layout="mono")
        frames = [(f.pts_ns, video, f) for number, f in enumerate(clip.video) if keep(number)]
        frames += [(f.pts_ns + round(audio_shift_ms * 1e6), audio, f) for f in clip.audio]
        for pts_ns, stream, frame in sorted(frames, key=lambda f: f[0]):
            packet = av.Packet(frame.data)
            packet.stream, packet.time_base = stream, _NS
            packet.pts = packet.dts = pts_ns
            packet.is_keyframe = frame.key
            output.mux(packet)
    return path
