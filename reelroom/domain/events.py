"""Events: what happened to a recording, made of its journal's lines. Holds no database and no delivery."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import msgspec

from reelroom.domain import lines

STARTED = "recording.started"
RECOVERED = "recording.recovered"  # another recorder took over after one had died
PAUSED = "recording.paused"
RESUMED = "recording.resumed"
SCENE_CHANGED = "recording.scene_changed"
QUIET = "recording.quiet"
IMAGE_MISSING = "image.missing"
STREAM_MISSING = "stream.missing"  # one that was named at the start and is not there; it is recorded when it comes
STOPPED = "recording.stopped"
FINISHED = "recording.finished"
FAILED = "recording.failed"
PARTICIPANT_JOINED = "participant.joined"
PARTICIPANT_LEFT = "participant.left"
TRACK = {
    "added": "track.added",
    "removed": "track.removed",
    "muted": "track.muted",
    "unmuted": "track.unmuted",
}
SEGMENT_CLOSED = "segment.closed"
GAP = "gap"
FILE_UPLOADED = "file.uploaded"
UPLOAD_FAILING = "upload.failing"
UPLOAD_RECOVERED = "upload.recovered"
UPLOAD_DELAYED = "upload.delayed"  # the recording has ended, and its storage still refuses some of it
UPLOAD_PROGRESS = "upload.progress"  # these two are made for dialects that have words for them
MISPLACED = "recording.misplaced_call"  # a call that did not fit its state

#: Notices that are events, by their code.
NOTICES = {
    "encoder_preset": "encoder.preset_changed",
    "encoder_hardware": "encoder.hardware_unavailable",
    "encoder_hung": "encoder.hung",
    "mix_hung": "mix.hung",
    "mix_failed": "mix.failed",
    "push_started": "push.started",
    "push_failing": "push.failing",
    "push_recovered": "push.recovered",
}

TYPES = (
    STARTED,
    RECOVERED,
    PAUSED,
    RESUMED,
    SCENE_CHANGED,
    QUIET,
    IMAGE_MISSING,
    STREAM_MISSING,
    STOPPED,
    FINISHED,
    FAILED,
    PARTICIPANT_JOINED,
    PARTICIPANT_LEFT,
    *TRACK.values(),
    SEGMENT_CLOSED,
    GAP,
    FILE_UPLOADED,
    UPLOAD_FAILING,
    UPLOAD_RECOVERED,
    UPLOAD_DELAYED,
    UPLOAD_PROGRESS,
    MISPLACED,
    *NOTICES.values(),
)


class Draft(NamedTuple):
    """An event before it has its number. `cause` is what it follows from: same cause, same id."""

    type: str
    at_ns: int
    data: dict[str, Any]
    cause: str


class Rendered(NamedTuple):
    """One HTTP request that tells a dialect's client of an event; `body` is sent, and signed, as it is."""

    url: str
    headers: dict[str, str]
    body: bytes
    timeout_s: float = 0  # how long an answer may take; 0: as long as with everybody


def event_id(recording: str, cause: str) -> str:
    """32 hexadecimal digits that stay the same when the database is rebuilt from the journals."""
    return hashlib.sha256(f"{recording}\n{cause}".encode()).hexdigest()[:32]


def of_line(number: int, at_ns: int, line: lines.AnyLine) -> Draft | None:
    """The event that journal line `number`, appended at `at_ns`, tells of; None for a line that is none."""
    cause = f"line {number}"
    data: dict[str, Any]
    match line:
        case lines.Opened(resumed=False):
            return Draft(STARTED, line.room_ns, {}, cause)
        case lines.Opened():
            return Draft(RECOVERED, line.room_ns, {}, cause)
        case lines.Participant():
            data = {"identity": line.identity, "session": line.session}
            if line.joined:
                return Draft(PARTICIPANT_JOINED, line.at_ns, data, cause)
            return Draft(PARTICIPANT_LEFT, line.at_ns, data | {"reason": line.reason}, cause)
        case lines.Track():
            info = line.info
            data = {
                "identity": info.identity,
                "session": info.session,
                "source": str(info.source),
                "kind": info.kind,
                "codec": info.codec,
                "reason": line.reason,
            }
            return Draft(TRACK[line.change], line.at_ns, data, cause)
        case lines.Segment():
            return Draft(SEGMENT_CLOSED, at_ns, segment_data(line), cause)
        case lines.Gap():
            data = {
                "output": line.output,
                "identity": line.identity,
                "kind": line.kind,
                "from_ns": line.from_ns,
                "to_ns": line.to_ns,
                "reason": line.reason,
                "packets": line.packets,
                "filled": line.filled,
            }
            return Draft(GAP, line.to_ns, data, cause)
        case lines.Notice(code=code) if code in NOTICES:
            return Draft(NOTICES[code], at_ns, {"about": line.about, "message": line.message}, cause)
        case lines.Paused():
            return Draft(PAUSED, line.at_ns, {}, cause)
        case lines.Resumed():
            return Draft(RESUMED, line.at_ns, {}, cause)
        case lines.Quiet():
            return Draft(QUIET, line.at_ns, {"since_ns": line.since_ns}, cause)
        case lines.SceneChanged():
            return Draft(SCENE_CHANGED, line.at_ns, {"scene": msgspec.to_builtins(line.scene)}, cause)
        case lines.Stopped():
            return Draft(STOPPED, line.at_ns, {"reason": line.reason, "message": line.message}, cause)
        case _:
            return None


def segment_data(line: lines.Segment) -> dict[str, Any]:
    """What a "segment.closed" event says of its segment."""
    return {
        "output": line.output,
        "rendition": line.rendition,
        "number": line.number,
        "container": line.container,
        "bytes": line.bytes,
        "sha256": line.sha256,
        "start_ns": line.start_ns,
        "end_ns": line.end_ns,
        "duration_ns": line.media_end_ns - line.media_start_ns,
        "video_codec": line.video_codec,
        "audio_codec": line.audio_codec,
        "salvaged": line.salvaged,
    }
