"""MixTranscodeParams and MixLayoutParams (sections 3.5 and 3.6) → what the domain mixes. Fetches no image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reelroom.control.images import ImageSource
from reelroom.dialects.aliyun_live import errors
from reelroom.dialects.aliyun_live.wire import (
    AUDIO,
    Background,
    Coding,
    Panes,
    User,
    UserPane,
)
from reelroom.domain.mix import Mix, aac_most
from reelroom.domain.scene import Fit, Layout, Place, Preset, Scene, Surface

SOURCES = ("camera", "screen")  # by SourceType
SAMPLE_RATES = (8000, 16_000, 32_000, 44_100, 48_000)
CODECS = {"H.264": "h264", "H.265": "h265"}
LAST_FRAME = 0  # FrameFillType; 1: black
HOLD_S = 3.0  # how long the last frame bridges a stream that is interrupted
DEFAULT_SIZE = (640, 360)
MAX_PIXELS = 1920 * 1080
_SAMPLE_RATES = (8_000, 16_000, 32_000, 44_100, 48_000)
_FITS = (Fit.CROP, Fit.FIT)  # by RenderMode
_LAYOUT = "MixLayoutParams"
_CODING = "MixTranscodeParams"


@dataclass(frozen=True, slots=True)
class Shown:
    """A scene and where its images come from."""

    scene: Scene
    images: Mapping[str, ImageSource]


def mix(coding: Coding, scene: Scene, pictures: bool) -> Mix:
    """`pictures`: the output has video. AliyunError InvalidParameter.MixTranscodeParams."""
    if coding.AudioSampleRate not in _SAMPLE_RATES:
        raise errors.invalid(f"{_CODING}.AudioSampleRate", "must be 8000, 16000, 32000, 44100 or 48000")
    sound = {
        "audio_bitrate": min(coding.AudioBitrate * 1000, aac_most(coding.AudioSampleRate, coding.AudioChannels)),
        "channels": coding.AudioChannels,
        "sample_rate": coding.AudioSampleRate,
    }
    if not pictures:
        return Mix(**sound, scene=scene)  # type: ignore[arg-type]
    for name in ("VideoBitrate", "VideoFramerate", "VideoGop"):
        if getattr(coding, name) is None:
            raise errors.missing(f"{_CODING}.{name}")
    assert coding.VideoBitrate is not None and coding.VideoFramerate is not None and coding.VideoGop is not None
    if coding.VideoCodec not in CODECS:
        raise errors.invalid(f"{_CODING}.VideoCodec", "must be H.264 or H.265")
    width, height = _size(coding)
    return Mix(
        width=width,
        height=height,
        fps=coding.VideoFramerate,
        gop_s=coding.VideoGop / coding.VideoFramerate,
        video_codec=CODECS[coding.VideoCodec],
        video_bitrate=coding.VideoBitrate * 1000,
        scene=scene,
        **sound,  # type: ignore[arg-type]
    )


def _size(coding: Coding) -> tuple[int, int]:
    width, height = coding.VideoWidth, coding.VideoHeight
    if (width, height) == (0, 0):
        return DEFAULT_SIZE
    if min(width, height) < 16 or width * height > MAX_PIXELS:
        raise errors.invalid(_CODING, "VideoWidth and VideoHeight must be 16 or more, and 1920 x 1080 pixels at most")
    return width - width % 2, height - height % 2


def shown(params: Panes | None, users: Sequence[User], fill: int) -> Shown:
    """The scene of the layout; `fill`: FrameFillType. AliyunError InvalidParameter.MixLayoutParams.UserPanes."""
    if params is None:
        raise errors.missing(_LAYOUT)
    if not params.UserPanes:
        raise errors.missing(f"{_LAYOUT}.UserPanes")
    images: dict[str, ImageSource] = {}

    def surface(given: Background | None, color: str, where: str) -> Surface:
        if given is None or not given.Url:
            return Surface(color="#000000")
        if not given.Url.startswith(("http://", "https://")):
            raise errors.invalid(f"{where}.Url", "must be an http:// or https:// URL")
        source = ImageSource(url=given.Url, optional=False, where=f"{where}.Url")
        images[source.reference] = source
        return Surface(color=color, image=source.reference, fit=_FITS[given.RenderMode])

    seen = {(user.UserId, user.SourceType) for user in users if user.StreamType != AUDIO}
    taken: set[tuple[str, int]] = set()
    places = []
    for number, pane in enumerate(params.UserPanes, 1):
        where = f"{_LAYOUT}.UserPanes.{number}"
        if pane.UserId is not None:
            who = (pane.UserId, pane.SourceType)
            if who not in seen:
                raise errors.invalid(where, "UserId and SourceType must be subscribed, with video")
            if who in taken:
                raise errors.invalid(where, "this user and source have a pane already")
            taken.add(who)
        places.append(_place(pane, surface(pane.SubBackground, "#000000", f"{where}.SubBackground"), where))
    scene = Scene(
        layout=Layout(preset=Preset.CUSTOM, panes=tuple(places), screen_fit=Fit.CROP, max_panes=len(places)),
        background=surface(params.MixBackground, "#000000", f"{_LAYOUT}.MixBackground"),
        placeholder=Surface(color="#000000"),
        hold_s=HOLD_S if fill == LAST_FRAME else 0.0,
    )
    return Shown(scene, images)


def _place(pane: UserPane, background: Surface, where: str) -> Place:
    x, y, width, height = (round(value, 6) for value in (pane.X, pane.Y, pane.Width, pane.Height))
    if x + width > 1 + 1e-9 or y + height > 1 + 1e-9:
        raise errors.invalid(where, "X + Width and Y + Height must be at most 1")
    alpha = 1.0
    if not width or not height:  # nothing is to be seen of it, and yet it is somebody's
        x = y = alpha = 0.0
        width = height = 1.0
    return Place(
        x=x,
        y=y,
        width=width,
        height=height,
        z=pane.ZOrder,
        alpha=alpha,
        identity=pane.UserId,
        source="" if pane.UserId is None else SOURCES[pane.SourceType],
        placeholder=background,
    )
