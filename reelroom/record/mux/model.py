"""What goes into a rendition and what comes out of it. Holds no codec, container or file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

#: Ticks a second of the two kinds of track in every container that lets us choose.
VIDEO_SCALE = 90_000
AUDIO_SCALE = 48_000


class MuxError(ValueError):
    """Samples that cannot be written as asked; the message says which and what would be right."""


class Sample(NamedTuple):
    """One encoded access unit (video) or packet (audio), at its media time."""

    media_ns: int
    key: bool
    data: bytes | memoryview
    rotation: int = 0  # degrees clockwise that a display turns it by: 0, 90, 180, 270; looked at in key frames


@dataclass(frozen=True, slots=True)
class TrackConfig:
    """What a track's samples are: `codec` of domain/media; `channels` and `clock_rate` of audio."""

    codec: str
    channels: int = 0
    clock_rate: int = 0


class Fill(NamedTuple):
    """A hole to be filled: `kind` "audio" with `how` "silence", or "video" with "black"."""

    kind: str
    from_ns: int
    to_ns: int
    how: str


@dataclass(slots=True)
class SegmentJob:
    """One segment's samples in decode order. Times are media time: `end_ns` is the next segment's start."""

    number: int
    start_ns: int
    end_ns: int
    video: TrackConfig | None = None
    video_samples: list[Sample] = field(default_factory=list)
    audio: TrackConfig | None = None
    audio_samples: list[Sample] = field(default_factory=list)
    last: bool = False
    fill: list[Fill] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Muxed:
    """What was written: `init` is a new initialisation segment, or None while the one in force stays."""

    init: bytes | None
    video_codec: str
    audio_codec: str
    width: int
    height: int
    video_frames: int
    audio_frames: int
    transcoded: tuple[str, ...]
    discontinuity: bool
    rotation: int = 0  # degrees clockwise that `init` has pictures turned by when they are shown
    unturned: int = 0  # the same, where the container cannot say so: players show them unturned
    channels: int = 0  # of the sound
    sample_rate: int = 0  # Hz
    unfilled: tuple[Fill, ...] = ()  # holes left as they are, see `fill.black`
    hung: tuple[str, ...] = ()  # encoders that were left behind while this was made


def video_ticks(media_ns: int) -> int:
    """Nanoseconds as 90 kHz ticks, to the nearest."""
    return (media_ns * 9 + 50_000) // 100_000


def audio_ticks(media_ns: int) -> int:
    """Nanoseconds as 48 kHz ticks, to the nearest."""
    return (media_ns * 6 + 62_500) // 125_000
