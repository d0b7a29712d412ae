"""Agora's start and update requests → what the domain records. Holds the rules between fields; no HTTP, no database.

Every rule raises ServiceError code 2 with the JSON path of what is wrong and what would be right.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypedDict

from reelroom.control.images import ImageSource
from reelroom.dialects.agora import errors, mixing, naming
from reelroom.dialects.agora.playlists import TAGS
from reelroom.dialects.agora.postponed import Postponed, postponed
from reelroom.dialects.agora.storage import Storage, storage
from reelroom.dialects.agora.wire import (
    AcquireRequest,
    RecordingConfig,
    RecordingFileConfig,
    StartRequest,
    StorageConfig,
    StreamSubscribe,
    Subscriptions,
    UpdateRequest,
)
from reelroom.domain.recording import Format, Hls, Limits, Mode, Naming, RecordingSpec, Selection, Subscription

EVERYBODY = "#allstream#"
SLICE_S = 15.0  # section 5.3: at least 15 seconds and a key frame
AUDIO_BITRATE = 48_000  # section 3.3: AAC-LC, 48 kbps
AUDIO, VIDEO, BOTH = 0, 1, 2
LAYERS = {0: "high", 1: "low"}  # videoStreamType
INDIVIDUAL, MIX = "individual", "mix"  # as paths have them
MP4_S = 7200.0  # the next MP4 of a mix begins after so long, or so much (section 5.3)
MP4_BYTES = 2_000_000_000
COMMUNICATION = 0  # channelType
WEB = 1  # scene


class _Common(TypedDict):
    """What both modes have."""

    id: str
    app: str
    room: str
    subscription: Subscription
    naming: Naming
    limits: Limits
    requested_ns: int


def check_acquire(request: AcquireRequest) -> None:
    """What `acquire` refuses by itself; a wrong `startParameter` is refused at start (section 2.1)."""
    if not 1 <= request.resourceExpiredHour <= 720:
        raise errors.invalid("Acquire: invalid resourceExpiredHour value! It must be 1 to 720")
    if request.scene == WEB:
        raise errors.not_supported("clientRequest.scene 1 (web page recording)")
    if request.region and request.region not in ("CN", "AP", "EU", "NA"):
        raise errors.invalid("clientRequest.region must be CN, AP, EU or NA")


def spec(
    request: StartRequest,
    *,
    sid: str,
    app: str,
    cname: str,
    prefix: str,
    requested_ns: int,
    mode: str = INDIVIDUAL,
    scene: int = 0,
    slice_s: float = SLICE_S,
) -> tuple[RecordingSpec, Mapping[str, ImageSource]]:
    """What to record, and the images that it shows. `prefix`: of file names, from the storage configuration; `scene`:
    of the acquire; `slice_s`: as the app has it."""
    where = "clientRequest"
    if request.snapshotConfig is not None:
        raise errors.not_supported(f"{where}.snapshotConfig; leave it out")
    config = request.recordingConfig
    _check_recording_config(config, f"{where}.recordingConfig")
    formats = _formats(request.recordingFileConfig, mode, f"{where}.recordingFileConfig.avFileType")
    later = postponed(request, scene, mode == INDIVIDUAL, config.streamTypes == AUDIO)
    common = _Common(
        id=sid,
        app=app,
        room=cname,
        subscription=subscription(
            config, config.streamTypes, f"{where}.recordingConfig", LAYERS[config.videoStreamType]
        ),
        naming=naming.naming(prefix),
        limits=Limits(idle_s=config.maxIdleTime, idle_by="people" if config.channelType == COMMUNICATION else "tracks"),
        requested_ns=requested_ns,
    )
    if mode == MIX:
        mix, images = mixing.mix(config, f"{where}.recordingConfig")
        hls = Hls(container="ts", segment_s=slice_s, tags=TAGS)
        mixed = RecordingSpec(
            **common, mode=Mode.MIXED, mix=mix, formats=formats, hls=hls, split_s=MP4_S, split_bytes=MP4_BYTES
        )
        return mixed, images
    return _individual(common, config, formats, later, slice_s), {}


def _individual(
    common: _Common, config: RecordingConfig, formats: tuple[Format, ...], later: Postponed | None, slice_s: float
) -> RecordingSpec:
    original = config.streamMode == "original" and config.streamTypes == AUDIO
    mix = later.mix if later else None
    transcoded = later is not None and mix is None
    return RecordingSpec(
        **common,
        mode=Mode.INDIVIDUAL if mix is None else Mode.MIXED,
        mix=mix,
        formats=(*formats, Format.MP4) if transcoded else formats,
        merged=transcoded,
        # Sound as it was sent is Opus, which HLS has in fMP4 only; everything else is Agora's TS.
        hls=Hls(container="fmp4" if original else "ts", segment_s=slice_s, tags=TAGS),
        tracks="apart" if mix is None else "together",  # of sound alone there is nothing to keep apart
        joined=config.streamMode == "standard" and mix is None,
        audio_codec="auto" if original else "aac",
        audio_bitrate=AUDIO_BITRATE,
    )


def where_to(config: StorageConfig, now_s: int) -> Storage:
    """`storageConfig` of start and update; `now_s`: Unix seconds."""
    return storage(config, "clientRequest.storageConfig", now_s)


def _check_recording_config(config: RecordingConfig, where: str) -> None:
    if config.decryptionMode:
        raise errors.not_supported(f"{where}.decryptionMode {config.decryptionMode}: only 0 (no encryption)")
    if config.streamMode not in ("default", "standard", "original"):
        raise errors.invalid(f"{where}.streamMode must be 'default', 'standard' or 'original'")
    if config.privateParams:
        try:
            private = json.loads(config.privateParams)
        except ValueError:
            private = None
        if not isinstance(private, dict):
            raise errors.invalid(f"{where}.privateParams must be a string holding a JSON object")
        if unknown := private.keys() - {"correctEXTINF"}:
            raise errors.not_supported(f"{where}.privateParams: {', '.join(sorted(unknown))[:200]}")
        if private.get("correctEXTINF") is False:
            raise errors.not_supported(f"{where}.privateParams.correctEXTINF false: playlists follow RFC 8216")


def _formats(config: RecordingFileConfig, mode: str, where: str) -> tuple[Format, ...]:
    """Individual mode makes HLS and nothing else; mix may make MP4 as well (section 3.5)."""
    wanted = set(config.avFileType)
    if wanted == {"hls"}:
        return (Format.HLS,)
    if wanted == {"hls", "mp4"} and mode == MIX:
        return (Format.HLS, Format.MP4)
    allowed = '["hls"] or ["hls","mp4"]' if mode == MIX else '["hls"]'
    raise errors.invalid(f"{where} must be {allowed} in mode {mode}")


def subscription(lists: Subscriptions, stream_types: int, where: str, layer: str = LAYERS[0]) -> Subscription:
    """The four lists and `streamTypes` (section 3.3.2): one kind's list alone means nothing of the other kind."""
    audio = _selection(lists.subscribeAudioUids, lists.unSubscribeAudioUids, "Audio", where)
    video = _selection(lists.subscribeVideoUids, lists.unSubscribeVideoUids, "Video", where)
    if stream_types == AUDIO and video is not None:
        raise errors.invalid(f"{where}: a list of video uids contradicts streamTypes 0 (audio only)")
    if stream_types == VIDEO and audio is not None:
        raise errors.invalid(f"{where}: a list of audio uids contradicts streamTypes 1 (video only)")
    if audio is None and video is None:
        audio = Selection() if stream_types in (AUDIO, BOTH) else None
        video = Selection() if stream_types in (VIDEO, BOTH) else None
    return Subscription(audio=audio, video=video, layer=layer)


def _selection(allow: list[str] | None, deny: list[str] | None, kind: str, where: str) -> Selection | None:
    if allow is not None and deny is not None:
        raise errors.invalid(f"{where}: subscribe{kind}Uids and unSubscribe{kind}Uids exclude each other")
    for uids in (allow, deny):
        if uids is not None and EVERYBODY in uids and len(uids) > 1:
            raise errors.invalid(f'{where}: "{EVERYBODY}" must be the only entry of a list')
    if allow is not None:
        return Selection() if allow == [EVERYBODY] else Selection(include=tuple(allow))
    if deny is not None:
        return Selection(include=()) if deny == [EVERYBODY] else Selection(exclude=tuple(deny))
    return None


def update_subscription(request: StreamSubscribe, stream_types: int, layer: str = LAYERS[0]) -> Subscription:
    """The subscription after `update`: its lists replace those before (section 2.4), and `layer` stays the start's."""
    where = "clientRequest.streamSubscribe"
    audio, video = request.audioUidList or Subscriptions(), request.videoUidList or Subscriptions()
    if audio.subscribeVideoUids or audio.unSubscribeVideoUids:
        raise errors.invalid(f"{where}.audioUidList must not hold video uids")
    if video.subscribeAudioUids or video.unSubscribeAudioUids:
        raise errors.invalid(f"{where}.videoUidList must not hold audio uids")
    lists = Subscriptions(
        subscribeAudioUids=audio.subscribeAudioUids,
        unSubscribeAudioUids=audio.unSubscribeAudioUids,
        subscribeVideoUids=video.subscribeVideoUids,
        unSubscribeVideoUids=video.unSubscribeVideoUids,
    )
    return subscription(lists, stream_types, where, layer)


def check_update(request: UpdateRequest, mode: str) -> None:
    for name in ("webRecordingConfig", "rtmpPublishConfig"):
        if getattr(request, name) is not None:
            raise errors.invalid(f"clientRequest.{name} is for mode web, not {mode}")
    if request.streamSubscribe is None and request.storageConfig is None:
        raise errors.invalid("clientRequest must hold streamSubscribe or storageConfig")
