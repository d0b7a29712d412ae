"""Stored encoded frames and their file. Standard library only, so any Python can read it; makes no media."""

from __future__ import annotations

import json
import os
import struct
from dataclasses import asdict, dataclass
from pathlib import Path

_MAGIC = b"reelroom clip 1\n"
_ENTRY = struct.Struct("<qIB")


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One access unit: H.264/H.265 as Annex B, VP8/VP9 as a frame, AV1 as a temporal unit, Opus as a packet.

    `pts_ns` counts from the start of the clip. Every audio frame counts as a key frame.
    """

    pts_ns: int
    data: bytes
    key: bool


@dataclass(frozen=True, slots=True)
class ClipSpec:
    """What a clip was made to be; see `clip.make_clip` for the units."""

    seconds: int
    fps: int
    width: int
    height: int
    codec: str
    video_kbps: int
    pitch_hz: int
    tone_hz: int
    gop: int
    participant: int
    beep_ms: int


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip of `spec.seconds` s: a video frame every 1/fps s, an Opus packet every 20 ms, both from 0."""

    spec: ClipSpec
    video: list[EncodedFrame]
    audio: list[EncodedFrame]

    @property
    def duration_ns(self) -> int:
        return self.spec.seconds * 1_000_000_000

    def save(self, path: Path) -> None:
        """Write the clip to a file, whole or not at all."""
        parts = [_MAGIC, json.dumps(asdict(self.spec)).encode() + b"\n"]
        for frames in (self.video, self.audio):
            parts.append(struct.pack("<I", len(frames)))
            for frame in frames:
                parts += (_ENTRY.pack(frame.pts_ns, len(frame.data), frame.key), frame.data)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
        temporary.write_bytes(b"".join(parts))
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path) -> Clip:
        """Read a file that `save` wrote; ValueError when it is none."""
        blob = path.read_bytes()
        if not blob.startswith(_MAGIC):
            raise ValueError(f"{path} is no clip file of this version; delete it and it is made anew")
        end = blob.index(b"\n", len(_MAGIC))
        spec = ClipSpec(**json.loads(blob[len(_MAGIC) : end]))
        at, tracks = end + 1, []
        for _ in range(2):
            (count,) = struct.unpack_from("<I", blob, at)
            at += 4
            frames = []
            for _ in range(count):
                pts_ns, size, key = _ENTRY.unpack_from(blob, at)
                at += _ENTRY.size
                frames.append(EncodedFrame(pts_ns, blob[at : at + size], bool(key)))
                at += size
            tracks.append(frames)
        return cls(spec, tracks[0], tracks[1])


def ticks(pts_ns: int, clock_rate: int) -> int:
    """Nanoseconds to RTP ticks, rounded: exact for every frame rate that divides the clock rate."""
    return (pts_ns * clock_rate + 500_000_000) // 1_000_000_000
