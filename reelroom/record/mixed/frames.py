"""What the mixing thread hands to the main thread: encoded frames and marks between them. Holds no queue."""

from __future__ import annotations

from typing import NamedTuple

from reelroom.domain.media import TrackInfo
from reelroom.domain.mix import Mix
from reelroom.domain.recording import Source

#: Numbers of the mix's own two tracks, which no ingest ever gives.
PICTURE, SOUND = 0xFFFF_FFFE, 0xFFFF_FFFF
LIFE = "mixed"  # what stands for the ingest's life in the mix's logs: its numbers go on over every restart
OUTPUT = "000"  # the mix's output: before those of participants, whatever there is of them


class Made(NamedTuple):
    """One encoded frame of the mix. `seq`: the tick, or the number of the sound frame, from 1."""

    video: bool
    key: bool
    seq: int
    room_ns: int
    payload: bytes


class Mark(NamedTuple):
    """Something between two frames: "pause" from a room time on; "overload" or "ring": nothing from there to there."""

    what: str
    from_ns: int
    to_ns: int


class Resume(NamedTuple):
    """Where an earlier recorder stopped: the output's first room time, and the `seq` of its last frames (0: none)."""

    start_ns: int
    picture: int
    sound: int


def track_info(mix: Mix, video: bool) -> TrackInfo:
    """The mix's track as a log announces it."""
    if video:
        return TrackInfo(track=PICTURE, identity="", source=Source.MIXED, codec=mix.video_codec, clock_rate=90_000)
    return TrackInfo(
        track=SOUND,
        identity="",
        source=Source.MIXED_AUDIO,
        codec=mix.audio_codec,
        clock_rate=mix.sample_rate,
        channels=mix.channels,
    )
