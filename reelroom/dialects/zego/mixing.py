"""ZEGO's `MixConfig` and `UpdateLayout` → what the domain mixes and shows (sections 2.3, 2.4, 3). Fetches no image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from reelroom.control.images import ImageSource
from reelroom.dialects.zego import errors, layouts, naming
from reelroom.dialects.zego.wire import FillFrame, LayoutKeys, MixConfig, VideoConfig, View, Views, parse
from reelroom.domain.mix import Mix
from reelroom.domain.recording import Selection, Subscription
from reelroom.domain.scene import Fit, Layout, Place, Scene, Surface, Watermark

AUDIO_ONLY, VIDEO_ONLY, TOGETHER, APART = range(1, 5)  # StreamType
BOTH = TOGETHER  # of one stream of a mix
KEEP_LAST, FILL, DO_NOT_FILL = range(1, 4)  # FrameFillMode
MAX_PIXELS = 1920 * 1080
NO_PICTURE = VideoConfig(Width=1280, Height=720, Bitrate=1_500_000)  # of StreamType 1, of no effect
IMAGE_BYTES = 5 * 1024 * 1024
HOLD_S = 172_800.0  # the last picture stays as long as the task
CLOCK = "%Y-%m-%d %H:%M"
MARGIN = 8  # pixels
SOUND_WAVES = {0: "stream_id", 1: "user_id"}  # SoundWaveType
BACKGROUND, WATERMARK, DEFAULT, OF_A_VIEW = range(1, 5)  # image_type of a callback


class Missing(NamedTuple):
    """An image that was asked for and could not be had."""

    type: int
    url: str


@dataclass(slots=True)
class Images:
    """Where the images of one call come from. None of them is needed: a task goes on without (section 2.4)."""

    sources: dict[str, ImageSource] = field(default_factory=dict)

    def add(self, url: str | None, where: str) -> str:
        """The name of an image in a scene; "" without one."""
        if not url:
            return ""
        source = ImageSource(url=url, optional=True, where=where, max_bytes=IMAGE_BYTES)
        self.sources[source.reference] = source
        return source.reference


def color(value: int) -> str:
    """0xRRGGBB00, as an unsigned or a negative 32-bit number."""
    return f"#{(value & 0xFFFFFFFF) >> 8:06x}"


def mix(
    config: MixConfig, stream_type: int, fill_blank: bool, fill_frame: object, clock_offset: int
) -> tuple[Mix, Mapping[str, ImageSource]]:
    """What to mix and the images it needs. ZegoError 300000004.

    `fill_blank`: views of those who leave stay; `fill_frame`: `RecordInputParams.FillFrame` as it came;
    `clock_offset`: minutes from UTC.
    """
    where = "RecordInputParams.MixConfig"
    images = Images()
    if stream_type == AUDIO_ONLY:
        video, scene = NO_PICTURE, Scene()
    else:
        video = parse(VideoConfig, config.MixOutputVideoConfig or {}, f"{where}.MixOutputVideoConfig")
        if video.Width * video.Height > MAX_PIXELS:
            raise errors.invalid(f"{where}.MixOutputVideoConfig: Width x Height must be at most 1920 x 1080")
        scene = _scene(config, video, fill_blank, fill_frame, clock_offset, images, where)
    made = Mix(
        width=video.Width - video.Width % 2,  # a picture with half the colour samples has even sides
        height=video.Height - video.Height % 2,
        fps=video.Fps,
        video_bitrate=video.Bitrate,
        audio_bitrate=config.MixOutputAudioConfig.Bitrate,
        at_once=config.IsAlwaysMix,
        wait_s=config.ClearInputStreamTimeout / 1000,
        loudness=SOUND_WAVES[config.SoundWaveType] if config.RecordSoundWave else "",
        scene=scene,
    )
    return made, images.sources


def _scene(
    config: MixConfig,
    video: VideoConfig,
    fill_blank: bool,
    fill_frame: object,
    clock_offset: int,
    images: Images,
    where: str,
) -> Scene:
    fill = parse(FillFrame, fill_frame or {}, "RecordInputParams.FillFrame")
    filled = color(fill.FrameFillColor) if fill.FrameFillMode == FILL else ""
    waits = fill_blank and fill.FrameFillMode == DO_NOT_FILL
    default = config.DefaultMixStreamBackgroundImage if waits else None
    watermarks = []
    if config.MixOutputWatermarkImage:
        rectangle = config.MixOutputWatermarkImageConfig
        image = images.add(config.MixOutputWatermarkImage, f"{where}.MixOutputWatermarkImage")
        x = y = width = height = 0
        if rectangle is not None:
            corners = (rectangle.Left, rectangle.Top, rectangle.Right, rectangle.Bottom)
            _check_rectangle(corners, video.Width, video.Height, f"{where}.MixOutputWatermarkImageConfig")
            x, y, width, height = corners[0], corners[1], corners[2] - corners[0], corners[3] - corners[1]
        if rectangle is None or (width and height):
            watermarks.append(Watermark(x=x, y=y, width=width, height=height, image=image))
    if config.MixOutputWatermarkTimestampConfig is not None:
        size = config.MixOutputWatermarkTimestampConfig.FontSize
        x = video.Width - MARGIN
        watermarks.append(
            Watermark(x=x, y=MARGIN, anchor_x=1.0, clock=CLOCK, size=size, utc_offset_minutes=clock_offset)
        )
    return Scene(
        layout=layout(config, config.FillMode, video.Width, video.Height, images, where),
        background=Surface(
            color=color(config.MixOutputBackgroundColor),
            image=images.add(config.MixOutputBackgroundImage, f"{where}.MixOutputBackgroundImage"),
            fit=Fit.STRETCH,
        ),
        # A view without a picture is seen through to the canvas, unless it is to be filled. Images are for streams that
        # are not there, not for those whose camera is off.
        bare=Surface(color=filled),
        placeholder=Surface(
            color=filled,
            image=images.add(default, f"{where}.DefaultMixStreamBackgroundImage"),
            fit=Fit.STRETCH,
        ),
        leavers="stay" if fill_blank else "go",
        hold_s=HOLD_S if fill.FrameFillMode == KEEP_LAST else 0.0,
        watermarks=tuple(watermarks),
    )


def layout(keys: LayoutKeys, fill_mode: int | None, width: int, height: int, images: Images, where: str) -> Layout:
    """The layout of a canvas of `width` × `height`. ZegoError 300000004."""
    prefix = f"{where}." if where else ""
    if keys.MixMode != layouts.CUSTOM:
        focus = naming.StreamName("", "")
        if keys.MixMaxResolutionStreamId and keys.MixMode != layouts.TILE:
            focus = naming.stream(keys.MixMaxResolutionStreamId, f"{prefix}MixMaxResolutionStreamId")
        return layouts.preset(keys.MixMode, fill_mode, focus.identity, focus.source)
    views = parse(Views, {"MixInputList": keys.MixInputList}, where).MixInputList
    if sum(view.ViewType == 2 for view in views) > 1:
        raise errors.invalid(f"{prefix}MixInputList: at most one entry may have ViewType 2")
    order = {layer: z for z, layer in enumerate(sorted({view.Layer for view in views}))}
    places: list[Place] = []
    for number, view in enumerate(views):
        at = f"{prefix}MixInputList.{number}"
        stream = naming.stream(view.StreamId, f"{at}.StreamId") if view.StreamId else None
        image = images.add(view.BackgroundImage if stream else None, f"{at}.BackgroundImage")
        places.append(_place(view, stream, image, order[view.Layer], width, height, at))
    named = [(place.identity, place.source) for place in places if place.identity]
    if len(set(named)) != len(named):
        raise errors.invalid(f"{prefix}MixInputList: a StreamId may have one entry only")
    return layouts.custom(places)


def _check_rectangle(corners: tuple[int, int, int, int], width: int, height: int, where: str) -> None:
    left, top, right, bottom = corners
    if not left <= right <= width:
        raise errors.invalid(f"{where}: Left must be at most Right, and Right at most the picture's width, {width}")
    if not top <= bottom <= height:
        raise errors.invalid(f"{where}: Top must be at most Bottom, and Bottom at most the picture's height, {height}")


def _place(
    view: View, stream: naming.StreamName | None, image: str, z: int, width: int, height: int, where: str
) -> Place:
    _check_rectangle((view.Left, view.Top, view.Right, view.Bottom), width, height, where)
    x, y = view.Left / width, view.Top / height
    wide, high = (view.Right - view.Left) / width, (view.Bottom - view.Top) / height
    if not wide or not high:  # it is nothing to see, and yet it is somebody's
        x, y, wide, high = 0.0, 0.0, 1e-6, 1e-6
    return Place(
        x=x,
        y=y,
        width=wide,
        height=high,
        z=z,
        fit=layouts.FITS[view.FillMode],
        identity=stream.identity if stream else None,
        source=stream.source if stream else "",
        placeholder=Surface(color="", image=image, fit=Fit.STRETCH) if image else None,
    )


def subscription(config: MixConfig, stream_type: int) -> Subscription:
    """Whose sound and picture go into the mix: `StreamType`, and `StreamConfigList` where that has an effect."""
    audio = None if stream_type == VIDEO_ONLY else Selection()
    video = None if stream_type == AUDIO_ONLY else Selection()
    if stream_type not in (TOGETHER, APART) or not config.StreamConfigList:
        return Subscription(audio=audio, video=video)
    where = "RecordInputParams.MixConfig.StreamConfigList"
    usual = BOTH
    wanted: dict[naming.StreamName, int] = {}
    for number, entry in enumerate(config.StreamConfigList):
        kind = entry.StreamType or BOTH
        if entry.StreamId:
            wanted[naming.stream(entry.StreamId, f"{where}.{number}.StreamId")] = kind
        else:
            usual = kind
    each = {
        source: _selected({name.identity: kind for name, kind in wanted.items() if name.source == output}, usual, kinds)
        for output, sources in naming.SOURCES.items()
        for source, kinds in zip(sources, ((VIDEO_ONLY, BOTH), (AUDIO_ONLY, BOTH)), strict=True)
    }
    return Subscription(audio=audio, video=video, each=each)


def _selected(wanted: Mapping[str, int], usual: int, kinds: tuple[int, ...]) -> Selection:
    if usual in kinds:
        return Selection(exclude=tuple(who for who, kind in wanted.items() if kind not in kinds))
    return Selection(include=tuple(who for who, kind in wanted.items() if kind in kinds))


def missing(asked: Scene, got: Scene, images: Mapping[str, ImageSource]) -> list[Missing]:
    """The images of `asked` that `got`, the scene that is shown, had to do without."""
    found = []
    if asked.background.image and not got.background.image:
        found.append(Missing(BACKGROUND, asked.background.image))
    if any(mark.image for mark in asked.watermarks) and not any(mark.image for mark in got.watermarks):
        found += [Missing(WATERMARK, mark.image) for mark in asked.watermarks if mark.image]
    if asked.placeholder.image and not got.placeholder.image:
        found.append(Missing(DEFAULT, asked.placeholder.image))
    for wanted, shown in zip(asked.layout.panes, got.layout.panes, strict=True):
        if wanted.placeholder is not None and not (shown.placeholder is not None and shown.placeholder.image):
            found.append(Missing(OF_A_VIEW, wanted.placeholder.image))
    return [Missing(kind, images[reference].url) for kind, reference in found]
