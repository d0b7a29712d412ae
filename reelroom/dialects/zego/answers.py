"""Tasks and their files → `Data` of DescribeRecordStatus and DescribeTasks (sections 2.13, 2.14). Reads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from reelroom.domain.naming import stream_name
from reelroom.domain.recording import State, StopReason

INITIALISING, RECORDING, ENDED, ABNORMAL, PAUSED = range(1, 6)  # Status of a task
# Status of a file
BEING_RECORDED, UPLOADING, UPLOADED, IN_BACKUP, LOST = range(1, 6)
AUDIO, VIDEO, BOTH = 1, 2, 3  # MediaTrackType
_KINDS = {"audio": AUDIO, "video": VIDEO, "av": BOTH}
SOUND_WAVE = "sw"  # a file beside the others that no list names
OUTPUT_FORMATS = {"opus": "ogg"}  # formats that ZEGO calls otherwise


class Kept(NamedTuple):
    """A file of a task: finished, or being recorded."""

    key: str
    format: str
    identity: str
    source: str
    tracks: int  # AUDIO, VIDEO or BOTH
    start_ns: int
    bytes: int = 0
    duration_ns: int = 0
    width: int = 0
    height: int = 0
    status: int = UPLOADED
    url: str | None = None  # None: the vendor reports none
    media: str = ""  # its id in the library

    @property
    def name(self) -> str:
        """The FileId."""
        return self.key.rpartition("/")[2]


def tracks(line: Mapping[str, Any]) -> int:
    """What is in a file by its codecs; by what it was made for while these are not known."""
    has = bool(line.get("audio_codec")) * AUDIO + bool(line.get("video_codec")) * VIDEO
    return has or _KINDS[line.get("kind") or "av"]


def names(kept: Kept, mix_stream: str) -> tuple[str, str]:
    """User id (and name), stream id: of a mix both are what `MixOutputStreamId` said."""
    if not kept.identity:
        return mix_stream, mix_stream
    return kept.identity, stream_name(kept.identity, kept.source)


def task_status(state: str, reason: str, stopped: bool) -> int:
    """`stopped`: StopRecord was called, and the recorder has not said so yet."""
    match State(state):
        case State.STARTING if not stopped:
            return INITIALISING
        case State.RECORDING if not stopped:
            return RECORDING
        case State.PAUSED if not stopped:
            return PAUSED
        case State.FAILED:
            return ABNORMAL
    return ENDED if reason in ("", StopReason.REQUESTED) else ABNORMAL


def record_files(files: Iterable[Kept], mix_stream: str) -> list[dict[str, Any]]:
    """`RecordFiles`, in order of their beginning."""
    listed = []
    for kept in sorted(files, key=lambda one: (one.start_ns, one.key)):
        user, stream = names(kept, mix_stream)
        listed.append(
            {
                "UserId": user,
                "UserName": user,
                "StreamId": stream,
                "FileId": kept.name,
                "VideoId": kept.media,
                **({} if kept.url is None else {"FileUrl": kept.url}),
                "OutputFileFormat": OUTPUT_FORMATS.get(kept.format, kept.format),
                "FileSize": kept.bytes,
                "Duration": kept.duration_ns // 1_000_000,
                "ResolutionWidth": kept.width,
                "ResolutionHeight": kept.height,
                "MediaTrackType": kept.tracks,
                "BeginTimestamp": kept.start_ns // 1_000_000,
                "Status": kept.status,
            }
        )
    return listed


def tasks(rows: Sequence[tuple[str, str, int, int]], page: int, size: int, total: int) -> dict[str, Any]:
    """DescribeTasks. `rows`: task, room, begin (UTC ns), status. The vendor spells `TaskidList` so."""
    return {
        "PageOffset": page,
        "PageSize": size,
        "TotalCount": total,
        "TaskidList": [
            {"RecordBeginTimestamp": begin_ns // 1_000_000, "TaskId": task, "RoomId": room, "Status": status}
            for task, room, begin_ns, status in rows
        ],
    }
