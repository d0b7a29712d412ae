"""Recordings and files, the library's too, as Tencent's responses have them (sections 2.7, 3.8). Reads no database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from reelroom.domain.recording import ENDED, State
from reelroom.store import tables

IDLE, IN_PROGRESS, EXITED = "Idle", "InProgress", "Exited"
TRACK_TYPES = {"audio": "audio", "video": "video", "av": "audio_video"}
FOREVER = "9999-12-31T23:59:59Z"
#: Sections of a MediaInfo, of which two are filled.
SECTIONS = (
    "BasicInfo", "MetaData", "TranscodeInfo", "AnimatedGraphicsInfo", "SampleSnapshotInfo", "ImageSpriteInfo",
    "SnapshotByTimeOffsetInfo", "KeyFrameDescInfo", "AdaptiveDynamicStreamingInfo", "MiniProgramReviewInfo",
    "SubtitleInfo", "ReviewInfo", "MPSAiMediaInfo", "ImageUnderstandingInfo", "KnowledgeBasesInfo",
    "FaceRecognitionInfo",
)  # fmt: skip
#: Filters of a request → sections.
FILTERS = {section[0].lower() + section[1:]: section for section in SECTIONS} | {"mpsAiMediaInfo": "MPSAiMediaInfo"}
_CONTAINERS = {"hls": "hls", "mp4": "mp4", "flv": "flv", "aac": "aac", "mp3": "mp3"}
_TYPES = {"hls": "m3u8"}


def status(state: State, stopped: bool, tracks: int) -> str:
    """Of a task that can be asked for. `stopped`: Delete was called; `tracks`: that flow now."""
    if stopped or state in ENDED or state in (State.FINISHING, State.UPLOADING):
        return EXITED
    return IN_PROGRESS if tracks else IDLE


def storage_files(playlists: Iterable[tables.File]) -> list[dict[str, Any]]:
    """Their names without the path, which the caller knows."""
    return [
        {
            "UserId": row.line["identity"],
            "FileName": row.key.rpartition("/")[2],
            "TrackType": TRACK_TYPES[row.line["kind"]],
            "BeginTimeStamp": row.line["start_ns"] // 1_000_000,
        }
        for row in sorted(playlists, key=lambda row: (row.line["start_ns"], row.key))
    ]


def time(ns: int) -> str:
    """ISO 8601 in UTC, whole seconds."""
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def media_info(media: tables.Media, url: str, sections: Collection[str], users: Sequence[str]) -> dict[str, Any]:
    """One file of the library. Sections that were not asked for, and those that this server has not, are null.

    `users`: whom it shows or lets hear, of API 3.0's files.
    """
    made = {"BasicInfo": lambda: _basic(media, url, users), "MetaData": lambda: _meta(media)}
    return {
        "FileId": media.id,
        **{name: made[name]() if name in made and name in sections else None for name in SECTIONS},
    }


def _basic(media: tables.Media, url: str, users: Sequence[str]) -> dict[str, Any]:
    class_id = int(media.data.get("class_id", 0))
    return {
        "Name": media.name,
        "Description": "",
        "CreateTime": time(media.created_ns),
        "UpdateTime": time(media.created_ns),
        "ExpireTime": time(media.expires_ns) if media.expires_ns else FOREVER,
        "ClassId": class_id,
        "ClassName": "",
        "ClassPath": "",
        "CoverUrl": "",
        "Type": _TYPES.get(media.format, media.format),
        "MediaUrl": url,
        "SourceInfo": _source(media, users),
        "StorageRegion": "local",
        "StoragePath": f"/{media.key}",
        "TagSet": [],
        "Vid": media.id,
        "Category": "Audio" if media.kind == "audio" else "Video",
        "Status": "Normal",
        "StorageClass": "STANDARD",
    }


def _source(media: tables.Media, users: Sequence[str]) -> dict[str, Any]:
    data = media.data
    if data.get("kind") == "cloud":
        return {
            "SourceType": "TrtcRecord",
            "SourceContext": data.get("source_context", ""),
            "LiveRecordInfo": None,
            "TrtcRecordInfo": {
                "SdkAppId": data["sdk_app_id"],
                "RoomId": data["room"],
                "TaskId": media.recording,
                "UserIds": [*users],
            },
            "WebPageRecordInfo": None,
        }
    stream = data.get("stream") or media.stream
    domain, path = data.get("domain", ""), data.get("path", "live")
    return {
        "SourceType": "Record",
        "SourceContext": f"rtmp://{domain}/{path}/{stream}?{data.get('stream_param', '')}",
        "LiveRecordInfo": {
            "Domain": domain,
            "Path": path,
            "StreamId": stream,
            "RecordStartTime": time(media.start_ns),
            "RecordEndTime": time(media.end_ns),
        },
        "TrtcRecordInfo": None,
        "WebPageRecordInfo": None,
    }


def _meta(media: tables.Media) -> dict[str, Any]:
    seconds = media.duration_ns / 1e9
    rate = round(media.bytes * 8 / seconds) if seconds else 0
    video = []
    if media.video_codec:
        one = {"Bitrate": rate, "Height": media.height, "Width": media.width, "Codec": media.video_codec}
        one["Fps"] = media.data.get("fps", 0)  # a mix's; participants' may change at any time
        video.append({**one, "CodecTag": "", "DynamicRangeInfo": {"Type": "SDR", "HDRType": ""}})
    audio = []
    if media.audio_codec:
        audio.append(
            {
                "Bitrate": 0 if video else rate,
                "SamplingRate": media.data.get("sample_rate", 48_000),
                "Codec": media.audio_codec,
            }
        )
    return {
        "Size": media.bytes,
        "Container": _CONTAINERS.get(media.format, media.format),
        "Bitrate": rate,
        "Height": media.height,
        "Width": media.width,
        "Duration": round(seconds, 3),
        "Rotate": 0,
        "VideoStreamSet": video,
        "AudioStreamSet": audio,
        "VideoDuration": round(seconds, 3) if video else 0.0,
        "AudioDuration": round(seconds, 3) if audio else 0.0,
        "Md5": "",
    }
