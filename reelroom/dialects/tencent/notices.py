"""Which of Tencent's recording events (301 to 312) an event is, and their Payload (section 4.3). Signs nothing.

One event of ours can be several of Tencent's: the end of a recording is the end of its uploads and of its files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from reelroom.dialects.tencent.answers import TRACK_TYPES
from reelroom.domain import events
from reelroom.domain.recording import StopReason

STARTED, STOPPED, UPLOADING, FILE_INFO, UPLOADED, FAILOVER, SLICE = 301, 302, 303, 304, 305, 306, 307
UPLOAD_ERROR, IMAGE_ERROR, MP4_STOP, VOD_COMMIT, VOD_STOP = 308, 309, 310, 311, 312
#: Whose EventTs is a string (section 4.2).
TEXT_TIMES = frozenset({STARTED, STOPPED, SLICE})

#: What is told only of tasks that were called for.
CALLED = frozenset({FILE_INFO, SLICE, MP4_STOP})

LEAVE_CODES = {StopReason.REQUESTED: 0, StopReason.IDLE: 99, StopReason.MAX_DURATION: 3, StopReason.DISK_FULL: 3}
_TWICE, _REMOVED = 101, 3
MEDIA_IDS = {"camera": "main", "screen": "aux", "mixed": "mix"}

Known = tuple[str, str, int, dict[str, Any]]  # type, id, at_ns and data of an event


class Notice(NamedTuple):
    type: int
    payload: dict[str, Any]


class Told(NamedTuple):
    """An event of a recording with what a notice of it depends on."""

    type: str
    id: str
    at_ns: int
    data: dict[str, Any]
    earlier: Sequence[Known]
    recording: str
    vod: bool
    auto: bool  # nobody called for this task
    url: Callable[[str, str], str]  # of a file in the library: id, key

    def had(self, type_: str) -> bool:
        return any(known[0] == type_ for known in self.earlier)

    @property
    def first_upload(self) -> bool:
        """Of this object: later ones of a playlist have another cause."""
        return self.id == events.event_id(self.recording, f"uploaded {self.data['key']}")


def notices(told: Told) -> list[Notice]:
    """In order; none for what Tencent has no word for."""
    make = _MAKERS.get(told.type)
    made = make(told) if make else []
    return [notice for notice in made if notice.type not in CALLED] if told.auto else made


def _name(key: str) -> str:
    return key.rpartition("/")[2]


def _started(told: Told) -> list[Notice]:
    made = [Notice(STARTED, {"Status": 0})]
    if not told.vod:
        made.append(Notice(UPLOADING, {"Status": 0}))
    return made


def _moved(_told: Told) -> list[Notice]:
    return [Notice(FAILOVER, {"Status": 0})]


def _stopped(told: Told) -> list[Notice]:
    reason = told.data["reason"]
    code = LEAVE_CODES.get(reason, _REMOVED)
    if reason == StopReason.ERROR and "same UserId" in str(told.data.get("message", "")):
        code = _TWICE
    return [Notice(STOPPED, {"LeaveCode": code})]


def _file(told: Told) -> list[Notice]:
    data = told.data
    if told.vod:
        return [_committed(told)] if "media" in data else []
    if data["role"] != "playlist" or not told.first_upload:
        return []
    sliced = {
        "FileName": _name(data["key"]),
        "UserId": data["identity"],
        "TrackType": TRACK_TYPES[data["kind"]],
        "BeginTimeStamp": data["start_ns"] // 1_000_000,
    }
    made = [Notice(SLICE, sliced)]
    if not any(type_ == events.FILE_UPLOADED and known["role"] == "playlist" for type_, _, _, known in told.earlier):
        made.append(Notice(FILE_INFO, {"FileList": _name(data["key"])}))
    return made


def _committed(told: Told) -> Notice:
    data = told.data
    begin = data["start_ns"] // 1_000_000
    end = data.get("end_ns")
    file = {
        "UserId": data["identity"],
        "TrackType": TRACK_TYPES[data["kind"]],
        "MediaId": MEDIA_IDS.get(data["source"], "main"),
        "FileId": data["media"],
        "VideoUrl": told.url(data["media"], data["key"]),
        "CacheFile": _name(data["key"]),
        "StartTimeStamp": begin,
        "EndTimeStamp": (told.at_ns if end is None else end) // 1_000_000,
    }
    return Notice(VOD_COMMIT, {"Status": 0, "TencentVod": file})


def _failing(told: Told) -> list[Notice]:
    data = told.data
    said = str(data.get("error", ""))
    if told.vod:
        return _uncommitted(data, said)
    made = [Notice(UPLOAD_ERROR, {"Code": "FileLost" if data.get("lost") else "UploadFailed", "Message": said})]
    if told.had(events.STOPPED) and not told.had(events.UPLOAD_FAILING):
        made.append(Notice(UPLOADED, {"Status": 1}))
    return made


def _uncommitted(data: dict[str, Any], said: str) -> list[Notice]:
    """Of a whole file: it stays on the server until the library's storage takes it, or is gone."""
    if data["role"] in ("init", "segment"):
        return []
    file = {
        "UserId": data["identity"],
        "TrackType": TRACK_TYPES.get(data["kind"], "audio_video"),
        "CacheFile": _name(data["key"]),
    }
    return [Notice(VOD_COMMIT, {"Status": 2 if data.get("lost") else 1, "Errmsg": said, "TencentVod": file})]


def _missing_image(told: Told) -> list[Notice]:
    return [Notice(IMAGE_ERROR, {"Url": told.data["url"]})]


def _ended(told: Told) -> list[Notice]:
    files = told.data.get("files", ())
    lost = any(type_ == events.UPLOAD_FAILING and known.get("lost") for type_, _, _, known in told.earlier)
    unmade = "/" in str(told.data.get("message", "")) and any(
        f"/{format_}:" in str(told.data["message"]) for format_ in ("mp4", "aac")
    )
    if told.vod:
        bad = lost or unmade or told.type == events.FAILED
        return [Notice(VOD_STOP, {"Status": 1 if bad else 0})]
    made = []
    late = _failed_after_stop(told)
    made.append(Notice(UPLOADED, {"Status": 1 if lost else 2 if late else 0}))
    finished = [file for file in files if file["role"] == "file"]
    if finished or unmade:
        payload = {
            "Status": 2 if unmade else 1 if lost else 0,
            "FileList": [_name(file["key"]) for file in finished],
            "FileMessage": [_message(file) for file in finished],
        }
        made.append(Notice(MP4_STOP, payload))
    return made


def _failed_after_stop(told: Told) -> bool:
    """Whether uploads failed when the recording had been stopped: 305 has said that something is left."""
    stopped = False
    for type_, _, _, _ in told.earlier:
        stopped |= type_ == events.STOPPED
        if stopped and type_ == events.UPLOAD_FAILING:
            return True
    return False


def _message(file: dict[str, Any]) -> dict[str, Any]:
    return {
        "FileName": _name(file["key"]),
        "UserId": file["identity"],
        "TrackType": TRACK_TYPES[file["kind"]],
        "MediaId": MEDIA_IDS.get(file["source"], "main"),
        "StartTimeStamp": (file["start_ns"] or 0) // 1_000_000,
        "EndTimeStamp": (file["end_ns"] or 0) // 1_000_000,
    }


_MAKERS: dict[str, Callable[[Told], list[Notice]]] = {
    events.STARTED: _started,
    events.RECOVERED: _moved,
    events.STOPPED: _stopped,
    events.FILE_UPLOADED: _file,
    events.UPLOAD_FAILING: _failing,
    "image.missing": _missing_image,
    events.FINISHED: _ended,
    events.FAILED: _ended,
}
