"""CreateCloudRecording → what the domain records. Holds the rules between fields; no database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reelroom.control.destinations import DestinationSpec
from reelroom.control.images import ImageSource
from reelroom.dialects.tencent import errors, mixing, naming, playlists, storage
from reelroom.dialects.tencent.wire_cloud import CreateCloudRecording, RecordBody, StorageBody, Subscriptions, VodBody
from reelroom.domain.library import LibrarySpec
from reelroom.domain.recording import (
    MAX_PLAYLIST_S,
    Format,
    Gaps,
    Hls,
    Limits,
    Mode,
    RecordingSpec,
    Selection,
    Source,
    Subscription,
)

SINGLE, MIXED = 1, 2  # RecordMode
BOTH, AUDIO, VIDEO = 0, 1, 2  # StreamType
SLICE_S = 10.0
HOUR_NS = 3600 * 10**9
MAX_FILE = 2 * 1024**3  # bytes of an MP4 or AAC file
#: OutputFormat and TencentVod.MediaType.
OUTPUT_FORMATS = {
    0: (Format.HLS,),
    1: (Format.HLS, Format.MP4),
    2: (Format.HLS, Format.AAC),
    3: (Format.MP4,),
    4: (Format.AAC,),
}
MEDIA_TYPES = {
    0: (Format.MP4,),
    1: (Format.HLS,),
    2: (Format.AAC,),
    3: (Format.HLS, Format.MP4),
    4: (Format.HLS, Format.AAC),
}
_SOURCES = {
    0: None,
    1: (Source.MICROPHONE, Source.CAMERA),
    2: (Source.SCREEN, Source.SCREEN_AUDIO),
}
_EVERYBODY = "#all"
_META = re.compile(r"[*+?\[\](){}|\\^$]")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Everything that a start asks for but where its callbacks go."""

    spec: RecordingSpec
    images: Mapping[str, ImageSource]
    destination: DestinationSpec | None  # None: the library
    library: LibrarySpec | None
    vod: VodBody | None


def wanted(request: CreateCloudRecording, task: str, app: str, now_ns: int, own: bool = False) -> Wanted:
    """TencentError for the first rule that is broken. `own`: without CloudVod it goes to the app's own destination."""
    params = request.RecordParams
    room = naming.check_room(request.RoomId, request.RoomIdType)
    if params.SubscribeAbility:
        raise errors.not_supported("RecordParams.SubscribeAbility 1: there are no robots that mix back into the room")
    vod = _vod(request.StorageParams, own)
    formats = _formats(params, vod)
    prefix: list[str] = []
    destination = library = None
    if vod is not None:
        library = LibrarySpec(
            tags=tags(vod.SubAppId, vod.ClassId, "TrtcRecord"), expire_s=vod.ExpireTime, sources=naming.SOURCES
        )
    elif request.StorageParams.CloudStorage is not None:
        prefix = request.StorageParams.CloudStorage.FileNamePrefix
        destination = storage.destination(request.StorageParams.CloudStorage)
    named = naming.recording(request.SdkAppId, room, request.RoomIdType, prefix, vod.UserDefineRecordId if vod else "")
    subscribed = subscription(params.SubscribeStreamUserIds, params.StreamType, params.MediaId)
    limits = Limits(idle_s=params.MaxIdleTime, idle_by="people")
    own_tags = None if vod is not None else playlists.tags(params.RecordMode == MIXED)

    def hls(segment_s: float) -> Hls:
        return Hls(container="ts", segment_s=segment_s, split_s=MAX_PLAYLIST_S, tags=own_tags)

    split_s = params.MaxMediaFileDuration * 60 if formats != (Format.HLS,) else 0
    if params.RecordMode == MIXED:
        width, height = canvas(request)
        shown = mixing.shown(request.MixLayoutParams, width, height, params.FillType)
        mix = mixing.mix(request.MixTranscodeParams, shown.scene)
        spec = RecordingSpec(
            id=task, app=app, room=room, mode=Mode.MIXED, subscription=subscribed, formats=formats, naming=named,
            hls=hls(max(SLICE_S, mix.gop_s)), mix=mix, limits=limits, split_s=split_s, split_bytes=MAX_FILE,
            requested_ns=now_ns,
        )  # fmt: skip
        return Wanted(spec, shown.images, destination, library, vod)
    apart = Format.HLS in formats and not params.AvMerge
    spec = RecordingSpec(
        id=task, app=app, room=room, subscription=subscribed, formats=formats, naming=named,
        hls=hls(SLICE_S), tracks="apart" if apart else "together", merged=apart and Format.MP4 in formats,
        audio_codec="aac", limits=limits, split_s=split_s, split_bytes=MAX_FILE,
        gaps=Gaps(video="black" if params.FillType else "last"), requested_ns=now_ns,
    )  # fmt: skip
    return Wanted(spec, {}, destination, library, vod)


def data(request: CreateCloudRecording, vod: VodBody | None, now_ns: int) -> dict[str, Any]:
    """What the recording's row keeps of the request for later calls, for callbacks and the library."""
    params = request.RecordParams
    kept: dict[str, Any] = {
        "kind": "cloud",
        "user_id": request.UserId,
        "room": request.RoomId,
        "room_type": request.RoomIdType,
        "sdk_app_id": request.SdkAppId,
        "expires_ns": now_ns + request.ResourceExpiredHour * HOUR_NS,
        "mode": params.RecordMode,
        "stream_type": params.StreamType,
        "media": params.MediaId,
        "fill_type": params.FillType,
        "vod": vod is not None,
    }
    if params.RecordMode == MIXED:
        transcode = request.MixTranscodeParams
        kept |= {"fps": transcode.VideoParams.Fps, "sample_rate": mixing.SAMPLE_RATES[transcode.AudioParams.SampleRate]}
    if vod is not None:
        kept |= {"class_id": vod.ClassId, "sub_app_id": vod.SubAppId, "source_context": vod.SourceContext}
    return kept


def canvas(request: CreateCloudRecording) -> tuple[int, int]:
    video = request.MixTranscodeParams.VideoParams
    return mixing.even(video.Width), mixing.even(video.Height)


def tag(sub_app_id: int, class_id: int | None = None, source: str = "") -> str:
    """A place in VOD, as the library finds it again. `source`: TrtcRecord or Record."""
    return ":".join(
        [str(sub_app_id), *([] if class_id is None else ["class", str(class_id)]), *([source] if source else [])]
    )


def tags(sub_app_id: int, class_id: int, source: str) -> tuple[str, ...]:
    """All that a file is found by."""
    return tuple(tag(sub_app_id, number, kind) for number in (None, class_id) for kind in ("", source))


def _vod(given: StorageBody, own: bool) -> VodBody | None:
    if given.CloudStorage is not None and given.CloudVod is not None:
        raise errors.bad_request("StorageParams must have CloudStorage or CloudVod, not both.")
    if given.CloudVod is None:
        if given.CloudStorage is None and not own:
            raise errors.missing("StorageParams.CloudStorage", "CloudStorage")
        return None
    vod = given.CloudVod.TencentVod
    for name in ("Procedure", "SessionContext", "StorageRegion"):
        if getattr(vod, name):
            raise errors.not_supported(f"StorageParams.CloudVod.TencentVod.{name}; leave it out")
    return vod


def _formats(params: RecordBody, vod: VodBody | None) -> tuple[Format, ...]:
    """OutputFormat is for object storage and without meaning for VOD, which has MediaType."""
    if vod is not None:
        if vod.MediaType in (2, 4) and params.StreamType != AUDIO:
            where = "StorageParams.CloudVod.TencentVod.MediaType"
            raise errors.out_of_range(where, f"{vod.MediaType} (AAC) needs StreamType 1, audio only")
        return MEDIA_TYPES[vod.MediaType]
    formats = OUTPUT_FORMATS[params.OutputFormat]
    if Format.AAC in formats and params.StreamType == VIDEO:
        raise errors.out_of_range("RecordParams.OutputFormat", "is AAC, and StreamType 2 is video only")
    return formats


def subscription(given: Subscriptions, stream_type: int, media: int) -> Subscription:
    """Who is in the allow list (everybody where there is none), less who is in the block list."""
    audio = _selection(given.SubscribeAudioUserIds, given.UnSubscribeAudioUserIds, "Audio")
    video = _selection(given.SubscribeVideoUserIds, given.UnSubscribeVideoUserIds, "Video")
    return Subscription(
        audio=None if stream_type == VIDEO else audio,
        video=None if stream_type == AUDIO else video,
        sources=_SOURCES[media],
    )


def _selection(allow: list[str], block: list[str], kind: str) -> Selection:
    where = f"SubscribeStreamUserIds.{{}}{kind}UserIds"
    names, prefixes = _split(allow, where.format("Subscribe"))
    blocked, blocked_prefixes = _split(block, where.format("UnSubscribe"))
    if not allow:
        return Selection(exclude=blocked, exclude_prefixes=blocked_prefixes)
    return Selection(include=names, include_prefixes=prefixes, exclude=blocked, exclude_prefixes=blocked_prefixes)


def _split(entries: list[str], where: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names, and what is before `.*$`. Nothing more of regular expressions is documented."""
    names, prefixes = [], []
    for entry in entries:
        if entry == _EVERYBODY:
            prefixes.append("")
        elif entry.endswith(".*$"):
            prefix = entry.removesuffix(".*$").removeprefix("^")
            if _META.search(prefix):
                raise errors.not_supported(f"{where}: a pattern other than PREFIX.*$")
            prefixes.append(prefix)
        elif _META.search(entry):
            raise errors.not_supported(f"{where}: a pattern other than PREFIX.*$")
        else:
            names.append(entry)
    return tuple(names), tuple(prefixes)
