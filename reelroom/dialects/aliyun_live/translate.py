"""Start and update requests of Alibaba Cloud Live → what the domain records. Holds the rules between fields.

Section 3.8's rules, by the vendor's errors. No HTTP, no database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from reelroom.control.apps import AppContext
from reelroom.control.destinations import DestinationSpec
from reelroom.control.images import ImageSource
from reelroom.control.new_recording import CallbackSpec
from reelroom.dialects.aliyun import storage
from reelroom.dialects.aliyun_live import errors, mixing, naming
from reelroom.dialects.aliyun_live.settings import settings
from reelroom.dialects.aliyun_live.wire import (
    AUDIO,
    AV,
    FORMATS,
    MIXED,
    OSS,
    SCREEN,
    SINGLE,
    VIDEO,
    VOD,
    Coding,
    FileWanted,
    StartRequest,
    Storage,
    UpdateRequest,
    User,
    Vod,
)
from reelroom.domain.library import LibrarySpec
from reelroom.domain.recording import (
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
from reelroom.domain.scene import Scene

LONGEST_S = 72 * 3600  # of a task
AUDIO_BITRATE = 64_000  # of a single stream's sound, which comes as Opus and becomes AAC
_USERS = "SubscribeParams.SubscribeUserIdList"


@dataclass(frozen=True, slots=True)
class Started:
    """Everything that a start request comes to."""

    spec: RecordingSpec
    images: Mapping[str, ImageSource]
    destination: DestinationSpec | None
    must_resolve: bool
    library: LibrarySpec | None
    callback: CallbackSpec | None
    formats: list[str]  # that RecordFileUploaded is told of
    users: list[User] = field(default_factory=list)


def start(request: StartRequest, app: AppContext, recording: str, now_ns: int) -> Started:
    """AliyunError for whatever the vendor refuses, and for what is not supported here."""
    record, users = request.RecordParams, request.SubscribeParams.SubscribeUserIdList
    mixed = record.RecordMode == MIXED
    if not mixed:
        for name in ("MixTranscodeParams", "MixLayoutParams"):
            if getattr(request, name) is not None:
                raise errors.invalid(name, "must not be given in individual recording mode")
    wanted = subscription(users, record.RecordMode, record.StreamType)
    infos, library = _where(request.StorageParams, app)
    both = not mixed and both_sources(users)
    names = naming.naming(infos, recording, request.AppId, mixed, both, settings(app).utc_offset_s)
    formats = tuple(dict.fromkeys((Format.HLS, *(naming.FORMATS[info.Format] for info in infos))))
    if record.StreamType == VIDEO and Format.MP3 in formats:
        raise errors.invalid("StorageParams.FileInfo", "MP3 has no pictures, and RecordParams.StreamType is 2")
    hls = next(info for info in infos if info.Format == "HLS")
    slice_s = hls.SliceDuration or naming.SLICE_S
    if library is not None:
        names = replace(names, prefix="{recording}/")
        formats = (Format.HLS, Format.MP4) if _vod(request.StorageParams).AutoCompose else (Format.MP4,)
    images: Mapping[str, ImageSource] = {}
    spec = RecordingSpec(
        id=recording,
        app=app.id,
        room=_room(request.ChannelId),
        subscription=wanted,
        formats=formats,
        # A library's playlist is what puts the parts together.
        hls=Hls(container="ts", segment_s=slice_s, split_s=0 if library else record.MaxFileDuration),
        split_s=record.MaxFileDuration,
        audio_codec="aac",
        audio_bitrate=AUDIO_BITRATE,
        gaps=Gaps(audio="silence", video="last"),
        rejoin_s=0 if mixed else request.MaxIdleTime,
        naming=names,
        limits=Limits(idle_s=request.MaxIdleTime, duration_s=LONGEST_S),
        requested_ns=now_ns,
    )
    if mixed:
        coding = request.MixTranscodeParams
        if coding is None:
            raise errors.missing("MixTranscodeParams")
        made = mixing.Shown(Scene(), {})
        if record.StreamType != AUDIO:
            made = mixing.shown(request.MixLayoutParams, users, coding.FrameFillType)
        mix = mixing.mix(coding, made.scene, record.StreamType != AUDIO)
        if record.StreamType != AUDIO:  # a slice cannot be shorter than from key frame to key frame
            spec = replace(spec, hls=replace(spec.hls, segment_s=max(slice_s, mix.gop_s)))
        spec, images = replace(spec, mode=Mode.MIXED, mix=mix, gaps=Gaps(), audio_bitrate=_mp3(coding)), made.images
    destination, must_resolve = (None, False) if library else _bucket(request.StorageParams, app)
    return Started(
        spec=spec,
        images=images,
        destination=destination,
        must_resolve=must_resolve,
        library=library,
        callback=_callback(request),
        formats=_told(request, [info.Format for info in infos], library is not None),
        users=list(users),
    )


def _mp3(coding: Coding) -> int:
    """What MP3 is made with, which has less room than AAC."""
    return min(max(coding.AudioBitrate * 1000, 16_000), 320_000)


def subscription(users: Sequence[User], mode: int, output: int) -> Subscription:
    """Whose tracks are recorded; `output`: RecordParams.StreamType. AliyunError by rules 1 to 5 of section 3.8."""
    seen: set[tuple[str, int]] = set()
    for number, user in enumerate(users, 1):
        where = f"{_USERS}.{number}"
        _name(user.UserId, where)
        source = user.SourceType if user.StreamType != AUDIO else -1
        if (user.UserId, source) in seen:
            raise errors.invalid(where, "this user and source are in the list already")
        seen.add((user.UserId, source))
        if mode == SINGLE and user.StreamType == VIDEO:
            raise errors.invalid(where, "StreamType 2 is not for individual recording mode")
        if mode == SINGLE and (output, user.StreamType) in ((AUDIO, VIDEO), (VIDEO, AUDIO)):
            raise errors.invalid(where, f"StreamType {user.StreamType} contradicts RecordParams.StreamType {output}")
    kinds = {user.StreamType for user in users}
    if mode == MIXED and ((output == AUDIO and kinds == {VIDEO}) or (output == VIDEO and kinds == {AUDIO})):
        raise errors.invalid(_USERS, f"nobody has what RecordParams.StreamType {output} records")
    each: dict[Source, list[str]] = {source: [] for source in Source if source.output != "mixed"}
    for user in users:
        screen = user.SourceType == SCREEN and user.StreamType != AUDIO
        if output != VIDEO and user.StreamType in (AV, AUDIO):
            each[Source.SCREEN_AUDIO if screen else Source.MICROPHONE].append(user.UserId)
            if screen and mode == MIXED:  # one voice, whatever is seen of somebody
                each[Source.MICROPHONE].append(user.UserId)
        if output != AUDIO and user.StreamType in (AV, VIDEO):
            each[Source.SCREEN if screen else Source.CAMERA].append(user.UserId)
    return Subscription(
        audio=None if output == VIDEO else Selection(),
        video=None if output == AUDIO else Selection(),
        each={source: Selection(include=tuple(dict.fromkeys(who))) for source, who in each.items()},
    )


def both_sources(users: Sequence[User]) -> bool:
    """Whether somebody's camera and screen are both subscribed to."""
    cameras = {user.UserId for user in users if user.SourceType != SCREEN or user.StreamType == AUDIO}
    screens = {user.UserId for user in users if user.SourceType == SCREEN and user.StreamType != AUDIO}
    return bool(cameras & screens)


def update(
    request: UpdateRequest, spec: RecordingSpec, data: dict[str, int]
) -> tuple[Subscription, mixing.Shown | None]:
    """The new subscription and, of a mix with pictures, the new scene. `data`: what `kept` kept at the start."""
    mixed = spec.mode is Mode.MIXED
    users = request.SubscribeParams.SubscribeUserIdList
    output = data["stream_type"]
    wanted = subscription(users, MIXED if mixed else SINGLE, output)
    if not mixed:
        if request.MixLayoutParams is not None:
            raise errors.invalid("MixLayoutParams", "must not be given in individual recording mode")
        if both_sources(users) and "{source}" not in spec.naming.file:
            why = "a camera and a screen of one user need {SourceType} in the FileNamePattern of the start"
            raise errors.invalid(_USERS, why)
        return wanted, None
    if output == AUDIO:
        return wanted, None
    return wanted, mixing.shown(request.MixLayoutParams, users, data["fill"])


def _where(params: Storage, app: AppContext) -> tuple[list[FileWanted], LibrarySpec | None]:
    """What files are made and, with VOD, that they go into the library."""
    if params.StorageType == OSS:
        if params.OSSParams is None:
            raise errors.missing("StorageParams.OSSParams")
        return naming.complete(params.FileInfo), None
    if params.StorageType != VOD:
        raise errors.invalid("StorageParams.StorageType", "must be 1 (OSS) or 2 (VOD)")
    vod = _vod(params)
    where = "StorageParams.VodParams"
    for name in ("VodTranscodeGroupId", "ComposeVodTranscodeGroupId"):
        if getattr(vod, name):
            raise errors.not_supported(f"{where}.{name}", "there are no transcoding templates; leave it out")
    if vod.StorageLocation and vod.StorageLocation != settings(app).vod_storage_location:
        raise errors.invalid(f"{where}.StorageLocation", "is not the app's vod_storage_location")
    return naming.complete([]), LibrarySpec(utc_offset_s=settings(app).utc_offset_s)


def _vod(params: Storage) -> Vod:
    if params.VodParams is None:
        raise errors.missing("StorageParams.VodParams")
    return params.VodParams


def _bucket(params: Storage, app: AppContext) -> tuple[DestinationSpec | None, bool]:
    """OSSParams as a destination, checked even when the operator wants everything in the app's own."""
    oss = params.OSSParams
    assert oss is not None  # `_where` has seen to it
    try:
        place = storage.bucket(app, oss.OSSBucket, endpoint=oss.OSSEndpoint)
    except ValueError as error:
        raise errors.invalid("StorageParams.OSSParams", str(error)) from None
    if settings(app).storage == "app":
        return None, False
    return DestinationSpec(place.service, place.options), not place.ours


def _callback(request: StartRequest) -> CallbackSpec | None:
    if not request.NotifyUrl:
        return None
    if not request.NotifyUrl.startswith(("http://", "https://")):
        raise errors.invalid("NotifyUrl", "must be an http:// or https:// URL")
    return CallbackSpec(url=request.NotifyUrl, secret=request.NotifyAuthKey)


def _told(request: StartRequest, made: Sequence[str], vod: bool) -> list[str]:
    where = "NotifyFileUploadedFormat"
    if request.NotifyFileUploadedFormat and vod:
        raise errors.invalid(where, "is not for VOD storage")
    for format_ in request.NotifyFileUploadedFormat:
        if format_ not in FORMATS or format_ not in made:
            raise errors.invalid(where, f"{format_[:20]!r} is no format of StorageParams.FileInfo")
    return [str(naming.FORMATS[format_]) for format_ in dict.fromkeys(request.NotifyFileUploadedFormat)]


def _room(channel: str) -> str:
    _name(channel, "ChannelId")
    return channel


def _name(text: str, where: str) -> None:
    if len(text.encode()) > 128 or any(ord(letter) < 0x20 or ord(letter) == 0x7F for letter in text):
        raise errors.invalid(where, "must be 1 to 128 bytes without control characters")
