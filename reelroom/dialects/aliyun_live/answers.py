"""A task and its files → TaskInfo of DescribeRtcCloudRecordingFiles (section 3.11). Reads no database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from reelroom.domain.recording import ACTIVE, ENDED, State
from reelroom.store.tables import File, Media

_LISTS = {"hls": "HlsFileList", "mp4": "Mp4FileList", "mp3": "Mp3FileList"}


def status(state: State, stopped: bool) -> str:
    """`stopped`: the stop call was made, which the recorder may not have heard yet."""
    if state in ENDED:
        return "STOPPED"
    return "RUNNING" if state in ACTIVE and not stopped else "STOPPING"


def task_info(task_id: str, said: str, files: Iterable[File], media: Sequence[Media]) -> dict[str, Any]:
    listed: dict[str, Any] = {"HlsFileList": [], "Mp4FileList": [], "Mp3FileList": [], "VodMediaList": []}
    for file in files:
        if file.format in _LISTS:
            listed[_LISTS[file.format]].append(file.key)
    streams: dict[str, dict[str, Any]] = {}
    for one in media:
        name = stream(one)
        entry = streams.setdefault(name, {"Stream": name, "MediaIds": [], "MergedIds": []})
        entry["MergedIds" if one.format == "hls" else "MediaIds"].append(one.id)
    listed["VodMediaList"] = list(streams.values())
    return {"TaskId": task_id, "Status": said, "RecordFileList": listed}


def stream(media: Media) -> str:
    """What the vendor calls the stream that a file in VOD shows."""
    if not media.identity:
        return "Mix"
    pictures = bool(media.video_codec)
    kind = "AV" if pictures and media.audio_codec else "V" if pictures else "A"
    suffix = kind if kind == "A" else f"{kind}::{'S' if media.source == 'screen' else 'C'}"
    return f"Single::{media.identity}::{suffix}"
