"""Which of ZEGO's callback events an event is, and their `detail` (section 5.3). Signs and addresses nothing.

What a stop is called depends on what came before it, so events are told in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from reelroom.dialects.zego import answers
from reelroom.dialects.zego.answers import Kept
from reelroom.dialects.zego.storage import TENCENT_VOD, WITHOUT_URL, object_url
from reelroom.domain import events
from reelroom.domain.recording import StopReason

UPLOADED, ABNORMAL, IMAGE, NO_STREAM, EXITED, STREAM, UPLOADING, PLAYLIST = 1, 2, 3, 4, 5, 6, 7, 102
PAUSED, RESUMED = 201, 202
#: quit_reason (section 5.3.2); everything else is 1001, "unknown recording error".
QUIT_REASONS = {StopReason.IDLE: 3, StopReason.MAX_DURATION: 4, StopReason.DISK_FULL: 1004}
NEVER_STARTED, UNKNOWN = 1, 1001


class Notice(NamedTuple):
    type: int
    detail: dict[str, Any]


class Teller:
    """Tells a task's events one after the other. `kept`: what its start left for callbacks."""

    def __init__(self, recording: str, kept: Mapping[str, Any]) -> None:
        self._recording = recording
        self._kept = kept
        self._started = self._lost = False
        self._made = bool(kept.get("always"))  # there will be a file

    def tell(self, type_: str, event_id: str, data: Mapping[str, Any]) -> list[Notice]:
        """The vendor's events of one of ours, in order; none for what ZEGO has no word for."""
        match type_:
            case events.STARTED:
                self._started = True
            case "track.added":
                self._made = True
            case events.UPLOAD_FAILING:
                self._lost |= bool(data.get("lost"))
            case events.QUIET:
                return [Notice(NO_STREAM, {})]
            case events.PAUSED:
                return [Notice(PAUSED, {})]
            case events.RESUMED:
                return [Notice(RESUMED, {})]
            case events.IMAGE_MISSING:
                return [Notice(IMAGE, {"image_type": data["image_type"], "image_url": data["url"]})]
            case events.STREAM_MISSING:
                return [Notice(STREAM, {"stream_id": data["stream"]})]
            case events.FILE_UPLOADED:
                return self._playlist(event_id, data)
            case events.STOPPED:
                return self._stopped(data)
            case events.UPLOAD_DELAYED:
                return [self._ended(data, whole=False)]
            case events.FINISHED | events.FAILED:
                return [self._ended(data)]
        return []

    def _playlist(self, event_id: str, data: Mapping[str, Any]) -> list[Notice]:
        """A playlist is there for the first time, of a task that asked for HLS in real time."""
        first = event_id == events.event_id(self._recording, f"uploaded {data['key']}")
        if not (self._kept.get("realtime") and data["role"] == "playlist" and first):
            return []
        kept = self._file(data)
        detail = {
            "stream_id": answers.names(kept, self._kept["stream"])[1],
            "file_id": kept.name,
            "file_url": object_url(self._kept.get("base_url", ""), kept.key),
            "media_track_type": kept.tracks,
        }
        return [Notice(PLAYLIST, detail)]

    def _stopped(self, data: Mapping[str, Any]) -> list[Notice]:
        reason = data["reason"]
        if reason == StopReason.REQUESTED:
            made = [Notice(EXITED, {})]
        else:
            unknown = UNKNOWN if self._started else NEVER_STARTED
            made = [Notice(ABNORMAL, {"quit_reason": QUIT_REASONS.get(reason, unknown)})]
        if self._made:
            made.append(Notice(UPLOADING, {}))
        return made

    def _ended(self, data: Mapping[str, Any], whole: bool = True) -> Notice:
        """`whole`: all that there is is in storage; else the rest is on this server, as it would be in a backup."""
        said = [one for one in data.get("files", ()) if one["role"] in ("playlist", "file")]
        files = [self._file(one) for one in said if one["format"] != answers.SOUND_WAVE]
        listed = [self._info(kept) for kept in sorted(files, key=lambda kept: (kept.start_ns, kept.key))]
        return Notice(UPLOADED, {"upload_status": 2 if self._lost or not whole else 1, "file_info": listed})

    def _info(self, kept: Kept) -> dict[str, Any]:
        user, stream = answers.names(kept, self._kept["stream"])
        vendor = self._kept.get("vendor")
        url = {}
        if vendor not in WITHOUT_URL:
            # Where it is, or will be. Of the library they are made anew, and for a time, whenever somebody asks.
            base_url = "" if vendor == TENCENT_VOD else self._kept.get("base_url", "")
            url = {"file_url": object_url(base_url, kept.key)}
        return {
            "user_id": user,
            "user_name": user,
            "stream_id": stream,
            "file_id": kept.name,
            "video_id": kept.media,
            **url,
            "output_file_format": answers.OUTPUT_FORMATS.get(kept.format, kept.format),
            "file_size": kept.bytes,
            "duration": kept.duration_ns // 1_000_000,
            "resolution_width": kept.width,
            "resolution_height": kept.height,
            "media_track_type": kept.tracks,
            "begin_timestamp": kept.start_ns // 1_000_000,
            "status": kept.status,
        }

    def _file(self, data: Mapping[str, Any]) -> Kept:
        """What an event says of a file."""
        picture = data["role"] == "playlist" and self._kept.get("sound_alone")
        return Kept(
            key=data["key"],
            format=data["format"],
            identity=data["identity"],
            source=data["source"],
            tracks=answers.VIDEO if picture else answers.tracks(data),
            start_ns=data["start_ns"],
            bytes=data.get("media_bytes") or data["bytes"],
            duration_ns=data.get("duration_ns") or 0,
            width=data.get("width") or 0,
            height=data.get("height") or 0,
            media=data.get("media", ""),
            status=answers.UPLOADED if data.get("stored", True) else answers.IN_BACKUP,
        )


#: Events that neither are a callback nor change what others are: telling may leave them out.
SILENT = frozenset(events.TYPES) - {
    events.STARTED,
    "track.added",
    events.UPLOAD_FAILING,
    events.QUIET,
    events.PAUSED,
    events.RESUMED,
    events.IMAGE_MISSING,
    events.STREAM_MISSING,
    events.FILE_UPLOADED,
    events.UPLOAD_DELAYED,
    events.STOPPED,
    events.FINISHED,
    events.FAILED,
}
