"""A record template and a task's parameters → what the domain records (sections 2.2 to 2.5). No HTTP, no database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from reelroom.control.apps import AppContext
from reelroom.control.destinations import DestinationSpec
from reelroom.control.images import ImageSource
from reelroom.control.new_recording import CallbackSpec
from reelroom.control.providers import Place as Bucket
from reelroom.control.queues import check_queue
from reelroom.deliver.queues import SCHEME
from reelroom.dialects.aliyun import storage
from reelroom.dialects.aliyun_rtc import errors, layouts, naming
from reelroom.dialects.aliyun_rtc.layouts import Shape
from reelroom.dialects.aliyun_rtc.settings import DEFAULT_ENDPOINT, settings
from reelroom.dialects.aliyun_rtc.wire import (
    ALL,
    Clock,
    Picture,
    StartTask,
    TemplateRequest,
    UpdateTask,
    UserPane,
)
from reelroom.domain.mix import Mix
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
from reelroom.domain.scene import MAX_WATERMARKS, Overlay, Pin, Scene, Surface, Watermark

FORMATS = {"m3u8": Format.HLS, "mp4": Format.MP4, "flv": Format.FLV}
SLICE_S = 30.0
AUDIO_BITRATE = 64_000
_SOURCES = {"camera": "camera", "shareScreen": "screen"}
NEVER, ALWAYS, WITHOUT_VIDEO = 0, 1, 2  # Display


@dataclass(slots=True)
class _Images:
    """Where the images of a scene come from, by the name that they have there."""

    sources: dict[str, ImageSource] = field(default_factory=dict)

    def add(self, url: str, where: str) -> str:
        if not url.startswith(("http://", "https://")):
            raise errors.wrong(f"{where}.Url", "must be an http:// or https:// URL")
        source = ImageSource(url=url, where=f"{where}.Url")
        self.sources[source.reference] = source
        return source.reference


def check_template(request: TemplateRequest, custom: Mapping[int, Shape], app: AppContext) -> None:
    """The rules between a template's parameters. AliyunError."""
    for format_ in request.Formats:
        if format_ not in FORMATS:
            raise errors.wrong("Formats", "each must be m3u8, mp4 or flv")
    if len(set(request.Formats)) != len(request.Formats):
        raise errors.wrong("Formats", "one is named twice")
    shapes = layouts.chosen(request.LayoutIds, custom)
    layouts.check_profile(request.TaskProfile, layouts.coding(request.MediaEncode), shapes)
    naming.check_prefix(request.OssFilePrefix)
    bucket(request, app)
    if bool(request.MnsQueue) == bool(request.HttpCallbackUrl):
        raise errors.wrong("MnsQueue", "exactly one of MnsQueue and HttpCallbackUrl must be given")
    callback(request)
    images = _Images()
    backdrops(request, images)
    watermarks(request, images)


def bucket(request: TemplateRequest, app: AppContext) -> Bucket:
    try:
        return storage.bucket(app, request.OssBucket, endpoint=request.OssEndpoint or DEFAULT_ENDPOINT)
    except ValueError as error:
        raise errors.wrong("OssEndpoint" if request.OssEndpoint else "OssBucket", str(error)) from None


def destination(request: TemplateRequest, app: AppContext) -> tuple[DestinationSpec | None, bool]:
    """Where files go, and whether that host must be known at the start; None: to the app's own storage."""
    place = bucket(request, app)
    if settings(app).storage == "app":
        return None, False
    return DestinationSpec(place.service, place.options), not place.ours


def url_base(request: TemplateRequest, app: AppContext) -> str:
    endpoint = (request.OssEndpoint or DEFAULT_ENDPOINT).rpartition("://")[2].rstrip("/")
    return settings(app).url_base.rstrip("/") or f"http://{request.OssBucket}.{endpoint}"


def callback(request: TemplateRequest) -> CallbackSpec:
    if request.MnsQueue:
        try:
            return CallbackSpec(url=SCHEME + check_queue(request.MnsQueue, "MnsQueue"))
        except Exception as error:
            raise errors.wrong("MnsQueue", str(error)) from None
    url = request.HttpCallbackUrl or ""
    if not url.startswith(("http://", "https://")):
        raise errors.wrong("HttpCallbackUrl", "must be an http:// or https:// URL")
    return CallbackSpec(url=url)


def spec(
    template: TemplateRequest,
    task: StartTask,
    custom: Mapping[int, Shape],
    app: AppContext,
    recording: str,
    now_ns: int,
) -> tuple[RecordingSpec, Mapping[str, ImageSource]]:
    """What a task records by its template, and the images that are shown. `custom`: layouts by id. AliyunError."""
    check_task(task)
    mixed = task.MixMode == 1
    encode = template.MediaEncode if task.MediaEncode is None else task.MediaEncode
    coding = layouts.coding(encode if mixed else template.MediaEncode)
    shapes = layouts.chosen(task.LayoutIds or template.LayoutIds, custom)
    layouts.check_profile(task.TaskProfile or template.TaskProfile, coding, shapes)
    pictures = bool(coding.fps) if mixed else task.StreamType == 0
    images = _Images()
    mix = None
    if mixed:
        sound = {"audio_bitrate": coding.kbps * 1000 if not pictures else AUDIO_BITRATE, "channels": 2}
        if pictures:
            shown = scene(template, task, shapes, images)
            video_bitrate = coding.kbps * 1000 - AUDIO_BITRATE  # the table has what both make together
            mix = Mix(
                width=coding.width,
                height=coding.height,
                fps=coding.fps,
                video_bitrate=video_bitrate,
                scene=shown,
                **sound,  # type: ignore[arg-type]
            )
        else:
            mix = Mix(**sound, scene=Scene(voices=layouts.voices(shapes)))  # type: ignore[arg-type]
    made = RecordingSpec(
        id=recording,
        app=app.id,
        room=task.ChannelId,
        mode=Mode.MIXED if mixed else Mode.INDIVIDUAL,
        subscription=subscription(task, pictures),
        formats=tuple(FORMATS[format_] for format_ in template.Formats),
        hls=Hls(
            container="ts",
            segment_s=SLICE_S,
            split_s=template.FileSplitInterval,
            whole=True,
            dated=template.EnableM3u8DateTime,
        ),
        split_s=template.FileSplitInterval,
        audio_codec="aac",
        audio_bitrate=AUDIO_BITRATE,
        gaps=Gaps(),
        naming=naming.naming(template.OssFilePrefix, task.AppId, task.TaskId, mixed, settings(app).utc_offset_s),
        limits=Limits(idle_s=template.DelayStopTime),
        requested_ns=now_ns,
        mix=mix,
    )
    return made, images.sources


def check_task(task: UpdateTask) -> None:
    for where, text in (("ChannelId", task.ChannelId), ("AppId", task.AppId)):
        if len(text.encode()) > 128 or any(ord(letter) < 0x20 or ord(letter) == 0x7F for letter in text):
            raise errors.wrong(where, "must be 1 to 128 bytes without control characters")


def subscription(task: StartTask, pictures: bool) -> Subscription:
    """Whose tracks: of single streams everybody's, of a mix by the lists of users."""
    if task.MixMode == 0:
        sources: tuple[Source, ...] | None = None
        if task.SourceType == "camera":
            sources = (Source.MICROPHONE, Source.CAMERA)
        who = _selection(task.SubSpecUsers, [], [])
        return Subscription(audio=who, video=who if pictures else None, sources=sources)
    audio = _selection(task.SubSpecAudioUsers, task.UnsubSpecAudioUsers, task.SubSpecUsers)
    each = {
        Source.MICROPHONE: audio,
        Source.SCREEN_AUDIO: audio,
        Source.CAMERA: _selection(task.SubSpecCameraUsers, task.UnsubSpecCameraUsers, task.SubSpecUsers),
        Source.SCREEN: _selection(task.SubSpecShareScreenUsers, task.UnsubSpecShareScreenUsers, task.SubSpecUsers),
    }
    return Subscription(audio=Selection(), video=Selection() if pictures else None, each=each)


def _selection(only: Sequence[str], never: Sequence[str], otherwise: Sequence[str]) -> Selection:
    """Those of a kind's own list, else of the general one, else everybody; less those who are excluded."""
    if ALL in never:
        return Selection(include=())
    chosen = only or otherwise
    if not chosen or ALL in chosen:
        return Selection(exclude=tuple(never))
    return Selection(include=tuple(one for one in dict.fromkeys(chosen) if one not in never))


def scene(template: TemplateRequest, task: UpdateTask, shapes: Sequence[Shape], images: _Images) -> Scene:
    pins: dict[int, Pin] = {}
    for number, pane in enumerate(task.UserPanes):
        where = f"UserPanes.{number + 1}"
        if pane.PaneId is None:
            continue  # an older client of the vendor makes such entries of a pane's images and texts
        overlays = _overlays(pane, where, images)
        if pane.UserId is None and not (pane.Images or pane.Texts):
            raise errors.missing(f"{where}.UserId")
        if pane.PaneId in pins:
            raise errors.wrong(where, f"pane {pane.PaneId} is somebody's already")
        source = "" if pane.UserId is None else _SOURCES[pane.SourceType]
        pins[pane.PaneId] = Pin(pane=pane.PaneId, identity=pane.UserId or "", source=source, overlays=overlays)
    color = "#000000" if not template.BackgroundColor else _color(template.BackgroundColor)
    return Scene(
        layout=layouts.layout(shapes, task.CropMode == 1, list(pins.values())),
        background=Surface(color=color),
        backdrops=backdrops(template, images),
        placeholder=Surface(color="#000000"),
        watermarks=watermarks(template, images),
        voices=layouts.voices(shapes),
    )


def backdrops(template: TemplateRequest, images: _Images) -> tuple[Watermark, ...]:
    """Images behind all panes, from back to front."""
    shown = [(number, one) for number, one in enumerate(template.Backgrounds, 1) if one.Display]
    ordered = sorted(shown, key=lambda each: each[1].ZOrder)
    return tuple(_placed(one, images.add(one.Url, f"Backgrounds.{number}")) for number, one in ordered)


def _overlays(pane: UserPane, where: str, images: _Images) -> tuple[Overlay, ...]:
    """A pane's images and texts from back to front; where they are is in fractions of the pane."""
    made: list[tuple[int, Overlay]] = []
    for number, image in enumerate(pane.Images, 1):
        if image.Display != NEVER:
            mark = _placed(image, images.add(image.Url, f"{where}.Images.{number}"))
            made.append((image.ZOrder, Overlay(mark=mark, vacant=image.Display == WITHOUT_VIDEO)))
    for number, text in enumerate(pane.Texts, 1):
        _check_font(text.FontType, f"{where}.Texts.{number}")
        mark = Watermark(
            x=text.X, y=text.Y, fractions=True, text=text.Text, size=text.FontSize, color=_color(text.FontColor)
        )
        made.append((text.ZOrder, Overlay(mark=mark)))
    return tuple(overlay for _, overlay in sorted(made, key=lambda each: each[0]))


def watermarks(template: TemplateRequest, images: _Images) -> tuple[Watermark, ...]:
    made: list[tuple[int, Watermark]] = []
    for number, one in enumerate(template.Watermarks):
        if one.Display:
            image = images.add(one.Url, f"Watermarks.{number + 1}")
            made.append((one.ZOrder, msgspec.structs.replace(_placed(one, image), opacity=one.Alpha)))
    made += [(clock.ZOrder, _clock(clock)) for clock in template.ClockWidgets]
    if len(made) > MAX_WATERMARKS:
        raise errors.not_supported("Watermarks", f"more than {MAX_WATERMARKS} with the clocks")
    return tuple(watermark for _, watermark in sorted(made, key=lambda each: each[0]))


def _placed(one: Picture, image: str) -> Watermark:
    """An image where it says; one of no width or height has its own."""
    return Watermark(x=one.X, y=one.Y, width=one.Width, height=one.Height, fractions=True, image=image)


def _check_font(font: int, where: str) -> None:
    if font != 0:
        raise errors.not_supported(f"{where}.FontType", "other fonts than Noto")


def _clock(clock: Clock) -> Watermark:
    _check_font(clock.FontType, "ClockWidgets")
    return Watermark(
        x=clock.X,
        y=clock.Y,
        fractions=True,
        clock="%Y-%m-%d %H:%M:%S",
        utc_offset_minutes=480,
        size=clock.FontSize,
        color=_color(clock.FontColor),
    )


def _color(value: int) -> str:
    """R + G·256 + B·65536."""
    return f"#{value & 255:02x}{value >> 8 & 255:02x}{value >> 16 & 255:02x}"
