"""Native API: the shape of a recording's timeline, as `control/timeline.py` reads it from the journal. Reads nothing.

All `*_ns` are UTC nanoseconds, `media_*_ns` time within an output's files.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, WithJsonSchema

from reelroom.control.openapi import shape_of
from reelroom.domain.scene import Scene


class Epoch(BaseModel):
    """From when on a recorder had the recording."""

    room_ns: int
    resumed: bool


class Rendition(BaseModel):
    segments: int
    bytes: int
    video_frames: int
    audio_frames: int
    salvaged: int = Field(description="segments that were made from what a killed recorder had written")
    transcoded: list[Literal["video", "audio"]]


class Gap(BaseModel):
    """Nothing was received, and why."""

    kind: Literal["audio", "video"]
    identity: str
    from_ns: int
    to_ns: int
    reason: str
    packets: int
    filled: str = Field(description="silence, last or black, where the recording asked for it")


class OutputFile(BaseModel):
    format: str
    sequence: int
    media_start_ns: int
    duration_ns: int
    transcoded: list[Literal["video", "audio"]]


class Output(BaseModel):
    """A participant's camera or screen, or the mix."""

    output: str
    identity: str
    source: str
    kind: Literal["av", "audio", "video"]
    start_ns: int
    end_ns: int
    media_end_ns: int
    renditions: dict[str, Rendition]
    gaps: list[Gap]
    files: list[OutputFile]


class Pause(BaseModel):
    from_ns: int
    to_ns: int | None


class SceneChange(BaseModel):
    at_ns: int
    scene: Annotated[dict[str, Any], WithJsonSchema(shape_of(Scene))]


class Stay(BaseModel):
    """A participant in the room."""

    identity: str
    session: str
    from_ns: int
    to_ns: int | None
    reason: str = Field(description="why they left")


class TrackChange(BaseModel):
    at_ns: int
    change: Literal["added", "removed", "muted", "unmuted"]
    reason: str
    kind: Literal["audio", "video"]
    track: int
    identity: str
    source: str
    codec: str
    session: str


class Notice(BaseModel):
    code: str
    message: str
    output: str


class Stop(BaseModel):
    at_ns: int
    reason: str
    message: str


class Timeline(BaseModel):
    epochs: list[Epoch]
    outputs: list[Output]
    pauses: list[Pause]
    scenes: list[SceneChange]
    participants: list[Stay]
    tracks: list[TrackChange]
    notices: list[Notice]
    stopped: Stop | None
