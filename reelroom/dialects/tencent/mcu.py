"""Mixes that a client starts and stops: StartMCUMixTranscode and StopMCUMixTranscode, by either kind of room (3.6)."""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
import weakref
from typing import Any

import structlog

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.errors import ControlError
from reelroom.control.new_recording import NewRecording
from reelroom.control.recordings import SceneChange
from reelroom.dialects.tencent import errors, mixing, naming, streams
from reelroom.dialects.tencent.mcu_scene import CUSTOM, FLOATING, GRID, SCREEN, scene
from reelroom.dialects.tencent.recordings import DIALECT, MCU, active, check_app, mark_stopped, people
from reelroom.dialects.tencent.settings import sdk_app_id, settings
from reelroom.dialects.tencent.wire_mcu import (
    PresetBody,
    StartMix,
    StartMixByStrRoomId,
    StopMix,
    StopMixByStrRoomId,
)
from reelroom.domain.mix import SAMPLE_RATES, Mix, Push, aac_most
from reelroom.domain.recording import Format, Hls, Limits, Mode, RecordingSpec, Selection, Source, Subscription
from reelroom.store import tables

log = structlog.get_logger("reelroom.tencent")

IDLE_S = 30.0  # a mix ends when nobody has been there for so long
VIDEO = ("VideoWidth", "VideoHeight", "VideoBitrate", "VideoFramerate", "VideoGop")
#: Which track of a StreamType a MixInputType leaves out: 1 is the picture alone, 2 the sound alone.
_TRACKS = {0: {1: Source.MICROPHONE, 2: Source.CAMERA}, 1: {1: Source.SCREEN_AUDIO, 2: Source.SCREEN}}
Start = StartMix | StartMixByStrRoomId
Stop = StopMix | StopMixByStrRoomId


class Mixes:
    """Everything behind the routes; one per control process (it holds the locks)."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._locks: weakref.WeakValueDictionary[tuple[str, str], asyncio.Lock] = weakref.WeakValueDictionary()

    async def start(self, app: AppContext, request: Start, host: str) -> dict[str, Any]:
        """Begin a mix, or show another layout in the one that runs."""
        check_app(app, request.SdkAppId, recording=False)
        room = _room(request)
        _check(request)
        encode = request.EncodeParams
        canvas = mixing.even(encode.VideoWidth or 360), mixing.even(encode.VideoHeight or 640)
        with errors.as_said():
            shown = scene(request.LayoutParams, encode, *canvas)
        async with self._locks.setdefault((app.id, room), asyncio.Lock()):
            running = await self._running(app, room)
            if running is not None:
                mixed = running.dialect_data["mix"]
                if mixed == _fixed(app, request):
                    change = SceneChange(lambda _: shown.scene, shown.images)
                    await self._context.recordings.change(app.id, running.id, subscription(request), change)
                    return {}
                if mixed["audio"] != _fixed(app, request)["audio"] and mixed["stream"] == _stream(app, request):
                    what = "The sound's codec, sample rate, bit rate and channels cannot be changed during a mix."
                    raise errors.invalid("AudioEncodeParams", what)
                await self._end(app, running.id)
            if not await people(self._context, app, room):
                raise errors.no_room(room)
            await self._context.starts.start(self._new(app, request, room, canvas, shown, host))
        return {}

    def _new(
        self, app: AppContext, request: Start, room: str, canvas: tuple[int, int], shown: mixing.Shown, host: str
    ) -> NewRecording:
        now = time.time_ns()
        encode, output, chosen = request.EncodeParams, request.OutputParams, settings(app)
        formats = (Format.MP3,) if output.RecordAudioOnly else streams.formats(chosen.formats)
        urls = request.PublishCdnParams.PublishCdnUrls if request.PublishCdnParams else []
        try:
            mix = Mix(
                width=canvas[0],
                height=canvas[1],
                fps=encode.VideoFramerate or 15,
                gop_s=float(encode.VideoGop or 2),
                video_bitrate=(encode.VideoBitrate or 500) * 1000,
                audio_bitrate=min(encode.AudioBitrate * 1000, aac_most(encode.AudioSampleRate, encode.AudioChannels)),
                sample_rate=encode.AudioSampleRate,
                channels=encode.AudioChannels,
                scene=shown.scene,
                pushes=tuple(Push(id=f"cdn{number}", url=url) for number, url in enumerate(urls)),
            )
        except ValueError as error:
            raise errors.invalid("PublishCdnUrls", f"{error}.") from None
        spec = RecordingSpec(
            id=uuid.uuid4().hex,
            app=app.id,
            room=room,
            mode=Mode.MIXED,
            subscription=subscription(request),
            formats=formats,
            hls=Hls(container="ts", segment_s=streams.SLICE_S),
            split_s=chosen.file_minutes * 60 if formats != (Format.HLS,) else 0,
            naming=streams.NAMING,
            limits=Limits(idle_s=IDLE_S, idle_by="people"),
            mix=mix,
            requested_ns=now,
        )
        stream = _stream(app, request)
        user = request.LayoutParams.MainVideoUserId
        data = streams.data(app, MCU, room, user, stream, output.RecordId, now, pushes=False)
        return NewRecording(
            app=app,
            spec=spec,
            callback=streams.told(app, host, self._context.library.key.hex()),
            dialect=DIALECT,
            dialect_data=data
            | {"mix": _fixed(app, request), "fps": encode.VideoFramerate, "sample_rate": encode.AudioSampleRate},
            images=shown.images,
            library=streams.library(app, stream, output.RecordId),
        )

    async def stop(self, app: AppContext, request: Stop, _host: str) -> dict[str, Any]:
        check_app(app, request.SdkAppId, recording=False)
        room = _room(request)
        async with self._locks.setdefault((app.id, room), asyncio.Lock()):
            running = await self._running(app, room)
            if running is None:
                raise errors.no_mix(room)
            await self._end(app, running.id)
        return {}

    async def _running(self, app: AppContext, room: str) -> tables.Recording | None:
        rows = await active(self._context, app, room)
        return next((row for row in rows if row.dialect_data.get("kind") == MCU), None)

    async def _end(self, app: AppContext, id: str) -> None:
        try:
            await self._context.recordings.stop(app.id, id)
        except ControlError as error:
            if error.kind != "conflict":  # it is ending already
                raise
        await mark_stopped(self._context, id)


def _room(request: Start | Stop) -> str:
    if isinstance(request, (StartMix, StopMix)):
        return str(request.RoomId)
    try:
        return naming.check_room(request.StrRoomId, naming.STRING_ROOM)
    except errors.TencentError as error:
        raise errors.invalid("StrRoomId", error.message) from None


def _stream(app: AppContext, request: Start) -> str:
    """Its id; without one, what this server calls it."""
    return request.OutputParams.StreamId or f"{sdk_app_id(app)}_{_room(request)}_mix"


def _fixed(app: AppContext, request: Start) -> dict[str, Any]:
    """What a mix that goes on keeps: of a call that says otherwise there is another mix, in another file."""
    encode, output = request.EncodeParams, request.OutputParams
    urls = request.PublishCdnParams.PublishCdnUrls if request.PublishCdnParams else []
    return {
        "stream": _stream(app, request),
        "record_id": output.RecordId,
        "forms": [output.PureAudioStream, output.RecordAudioOnly],
        "audio": [encode.AudioCodec, encode.AudioSampleRate, encode.AudioBitrate, encode.AudioChannels],
        "video": [getattr(encode, name) for name in VIDEO],
        "pushes": hashlib.sha256("\n".join(urls).encode()).hexdigest() if urls else "",  # there are keys in them
    }


def _all_named(places: list[PresetBody]) -> bool:
    return bool(places) and all(place.UserId for place in places)


def subscription(request: Start) -> Subscription:
    """Who is heard and seen: where places are all for somebody nobody else is, and with MixVideoUids only those are
    seen. Places may be for one of both only."""
    layout = request.LayoutParams
    places = layout.PresetLayoutConfig if layout.Template == CUSTOM else []
    heard = Selection(include=tuple({place.UserId: None for place in places})) if _all_named(places) else Selection()
    each: dict[Source, Selection] = {}
    for place in places:
        if place.MixInputType:
            source = _TRACKS[place.StreamType][place.MixInputType]
            each[source] = Selection(exclude=(*each.get(source, Selection()).exclude, place.UserId))
    named = layout.MixVideoUids if layout.Template in (FLOATING, GRID, SCREEN) else []
    video = Selection(include=tuple(named)) if named else Selection()
    return Subscription(audio=heard, video=None if request.OutputParams.PureAudioStream else video, each=each)


def _check(request: Start) -> None:
    """The rules between fields, and what this server has not."""
    encode, output = request.EncodeParams, request.OutputParams
    if not output.StreamId and not output.RecordId:
        raise errors.missing("OutputParams.StreamId", "StreamId")
    if not output.RecordId:
        why = "a mix that is not recorded (this server relays to nobody by itself: give OutputParams.RecordId)"
        raise errors.not_supported(why)
    if encode.AudioSampleRate not in SAMPLE_RATES:
        message = "EncodeParams.AudioSampleRate must be 48000, 44100, 32000, 24000, 16000 or 8000."
        raise errors.invalid("AudioEncodeParams", message)
    if encode.AudioCodec:
        raise errors.not_supported("EncodeParams.AudioCodec other than 0 (LC-AAC)")
    if encode.BackgroundImageId and not encode.BackgroundImageUrl:
        raise errors.not_supported("EncodeParams.BackgroundImageId: give BackgroundImageUrl")
    if not output.PureAudioStream:
        if any(getattr(encode, name) is None for name in VIDEO):
            raise errors.missing("EncodeParams.Video...", "VideoEncodeParams")
        if min(encode.VideoWidth or 0, encode.VideoHeight or 0) < 16:
            raise errors.invalid("VideoResolution", "EncodeParams: VideoWidth and VideoHeight must be 16 or more.")
    cdn = request.PublishCdnParams
    if cdn is not None and not cdn.PublishCdnUrls:
        raise errors.missing("PublishCdnParams.PublishCdnUrls", "PublishCdnUrls")
