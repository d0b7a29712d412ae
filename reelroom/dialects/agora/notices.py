"""Which of Agora's notifications an event is, and their `details` (section 6.4). Signs and addresses nothing.

One event of ours can be several of Agora's: the end of a recording is its upload's end and its session's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from reelroom.dialects.agora.answers import MIXED_UID, TRACK_TYPES, Index, file_list, status
from reelroom.dialects.agora.postponed import AUDIO_MIX
from reelroom.dialects.agora.translate import INDIVIDUAL, MIX
from reelroom.domain import events
from reelroom.domain.recording import State, StopReason

SERVICE, RECORDER, UPLOADER, TRANSCODER = 0, 1, 2, 7  # serviceType
RECORDING_MODES = {INDIVIDUAL: 0, MIX: 1}  # as the English edition has them; the Chinese one has them swapped
MINOR, MEDIUM, MAJOR, FATAL = 2, 3, 4, 5  # errorLevel
STORAGE_WRONG, UPLOAD_FAILED, START_TIMEOUT, UID_TAKEN = 32, 47, 52, 53  # errorCode
REUPLOADED, TO_BACKUP = 31, 32  # warnCode
LEAVE_CODES = {StopReason.REQUESTED: 16, StopReason.IDLE: 4, StopReason.MAX_DURATION: 16, StopReason.DISK_FULL: 2}

#: Gaps in which a stream was away, so that it started again afterwards; lost packets are no interruption.
INTERRUPTIONS = frozenset({"mute", "left", "reconnect", "ingest_restart", "stall"})
#: What storages say when it is the configuration that is wrong: not a matter of waiting (section 7.3).
_WRONG_STORAGE = ("permission", "denied", "notfound", "nosuchbucket", "unauthenticated", "configinvalid", "signature")


@dataclass(frozen=True, slots=True)
class About:
    """What notices say of the recording as a whole. `postponed`: what is made after its end, see `postponed.py`."""

    uid: str = ""
    mode: str = INDIVIDUAL
    postponed: str = ""


class Notice(NamedTuple):
    type: int
    service: int
    details: dict[str, Any]
    later: bool = False  # it tells of postponed work


def _notice(type_: int, service: int, name: str, **details: Any) -> Notice:
    return Notice(type_, service, {"msgName": name, **details})


def notices(
    type_: str, event_id: str, at_ns: int, data: dict[str, Any], recording: str, about: About | None = None
) -> list[Notice]:
    """The notifications of one event of a recording, in order; none for what Agora has no word for."""
    make = _MAKERS.get(type_)
    return make(_Event(type_, event_id, at_ns, data, recording, about or About())) if make else []


class _Event(NamedTuple):
    type: str
    id: str
    at_ns: int
    data: dict[str, Any]
    recording: str
    about: About


def _started(event: _Event) -> list[Notice]:
    return [
        _notice(13, SERVICE, "high_availability_register_success"),
        _notice(40, RECORDER, "recorder_started", status=0),
        _notice(30, UPLOADER, "uploader_started", status=0),
    ]


def _taken_over(event: _Event) -> list[Notice]:
    """Another recorder process goes on, in the same files and as the same user."""
    return [_notice(12, SERVICE, "session_failover", newUid=int(event.about.uid or 0))]


def _misplaced(event: _Event) -> list[Notice]:
    data = event.data
    mode = RECORDING_MODES.get(event.about.mode, RECORDING_MODES[INDIVIDUAL])
    now = status(State(data["state"]), data["uploaded"])
    said = {"status": now, "recordingMode": mode, "fileList": data["key"]}
    return [_notice(3, SERVICE, "cloud_recording_status_update", **said)]


def _progress(event: _Event) -> list[Notice]:
    return [_notice(33, UPLOADER, "uploading_progress", progress=event.data["share"])]


def _delayed(event: _Event) -> list[Notice]:
    """What the storage refuses is kept and follows by itself, as from the vendor's backup storage."""
    return [_notice(32, UPLOADER, "backuped", status=0, fileList=file_list(_indexes(event)))]


def _stream_state(event: _Event) -> list[Notice]:
    state = 0 if event.type in (events.TRACK["added"], events.TRACK["unmuted"]) else 1
    number = 43 if event.data["kind"] == "audio" else 44
    at_ms = event.at_ns // 1_000_000
    name = f"recorder_{event.data['kind']}_stream_state_changed"
    # The documentation has UtcMs, some receivers read utcMs (section 6.4).
    uid = event.data["identity"]
    return [_notice(number, RECORDER, name, streamUid=uid, state=state, UtcMs=at_ms, utcMs=at_ms)]


def _slice_start(data: dict[str, Any], start_ns: int, discontinued_ns: int) -> Notice:
    return _notice(
        42,
        RECORDER,
        "recorder_slice_start",
        startUtcMs=start_ns // 1_000_000,
        discontinueUtcMs=discontinued_ns // 1_000_000,
        mixedAllUser=not data["identity"],
        streamUid=data["identity"] or MIXED_UID,
        trackType=TRACK_TYPES[data["kind"]],
    )


def _file_uploaded(event: _Event) -> list[Notice]:
    """An index's first upload says that its stream has begun; the very first one that there are files."""
    data = event.data
    if data["role"] != "playlist" or event.id != events.event_id(event.recording, f"uploaded {data['key']}"):
        return []
    made = [_slice_start(data, data["start_ns"], data["start_ns"])]
    if data["output"] == "001" or not data["identity"]:  # the first one's, or the mix's, which is the only one
        made.append(_notice(4, SERVICE, "cloud_recording_file_infos", fileList=data["key"]))
    return made


def _gap(event: _Event) -> list[Notice]:
    if event.data["reason"] not in INTERRUPTIONS:
        return []
    return [_slice_start(event.data, event.data["to_ns"], event.data["from_ns"])]


def _upload_failing(event: _Event) -> list[Notice]:
    said = str(event.data.get("error", ""))
    if event.data.get("lost"):
        return [_error(1, MAJOR, UPLOAD_FAILED, said)]
    if any(word in said.lower().replace(" ", "") for word in _WRONG_STORAGE):
        return [_error(1, MAJOR, STORAGE_WRONG, said)]
    return [_notice(2, SERVICE, "cloud_recording_warning", module=1, warnCode=TO_BACKUP)]


def _upload_recovered(event: _Event) -> list[Notice]:
    return [_notice(2, SERVICE, "cloud_recording_warning", module=1, warnCode=REUPLOADED)]


def _error(module: int, level: int, code: int, message: str) -> Notice:
    return _notice(
        1, SERVICE, "cloud_recording_error", module=module, errorLevel=level, errorCode=code, stat=0, errorMsg=message
    )


def _stopped(event: _Event) -> list[Notice]:
    reason = event.data["reason"]
    left = _notice(41, RECORDER, "recorder_leave", leaveCode=LEAVE_CODES.get(reason, 0))
    if reason != StopReason.ERROR:
        return [left]
    message = str(event.data.get("message", ""))
    return [_error(2, FATAL, UID_TAKEN if "is taken by" in message else START_TIMEOUT, message), left]


def _indexes(event: _Event) -> list[Index]:
    """What was recorded: playlists and a mix's MP4, without what is made after the end."""
    return [
        Index(file["key"], file["identity"], file["kind"], file["start_ns"])
        for file in event.data.get("files", ())
        if file["role"] in ("playlist", "joined")
        or (file["role"] == "file" and not file["identity"] and not event.about.postponed)
    ]


def _ended(event: _Event) -> list[Notice]:
    indexes = _indexes(event)
    made = []
    if indexes:
        made.append(_notice(33, UPLOADER, "uploading_progress", progress=10_000))
        made.append(_notice(31, UPLOADER, "uploaded", status=0, fileList=file_list(indexes)))
    made.append(_notice(11, SERVICE, "session_exit", exitStatus=0 if event.type == events.FINISHED else 1))
    if indexes and event.about.postponed:
        made += _postponed(event)
    return made


def _postponed(event: _Event) -> list[Notice]:
    """What became of the postponed work, in the vendor's order: after the end of the recording itself."""
    found: dict[str, list[str]] = {}
    for file in event.data["files"]:
        if event.about.postponed == AUDIO_MIX:
            found.setdefault(MIXED_UID, [])
        elif file["identity"]:
            found.setdefault(file["identity"], [])
        if file["role"] == "file":
            found[file["identity"] or MIXED_UID].append(file["key"])
    done = sum(bool(files) for files in found.values())
    each, whole = "partial_success", "partial_success"
    if done == len(found):
        each, whole = "all_success", "total_success"
    elif not done:
        each, whole = "fail", "failed"
    uids = [
        {"uid": uid, "result": "success" if files else "fail", "fileList": _named(files)}
        for uid, files in sorted(found.items(), key=lambda item: (len(item[0]), item[0]))
    ]
    files = _named([key for _, keys in sorted(found.items()) for key in keys])
    return [
        _notice(80, TRANSCODER, "transcoder_started")._replace(later=True),
        _notice(81, TRANSCODER, "transcoder_completed", result=each, uids=uids)._replace(later=True),
        _notice(1001, SERVICE, "postpone_transcode_final_result", result=whole, fileList=files)._replace(later=True),
    ]


def _named(keys: list[str]) -> list[dict[str, str]]:
    """The English documentation has fileName, the Chinese one filename (section 6.4)."""
    return [{"fileName": key, "filename": key} for key in keys]


_MAKERS: dict[str, Callable[[_Event], list[Notice]]] = {
    events.STARTED: _started,
    events.RECOVERED: _taken_over,
    events.MISPLACED: _misplaced,
    **dict.fromkeys(events.TRACK.values(), _stream_state),
    events.FILE_UPLOADED: _file_uploaded,
    events.GAP: _gap,
    events.UPLOAD_FAILING: _upload_failing,
    events.UPLOAD_RECOVERED: _upload_recovered,
    events.UPLOAD_PROGRESS: _progress,
    events.UPLOAD_DELAYED: _delayed,
    events.STOPPED: _stopped,
    events.FINISHED: _ended,
    events.FAILED: _ended,
}
#: Events that never are a notification: counting may leave them out.
SILENT = frozenset(events.TYPES) - _MAKERS.keys()
