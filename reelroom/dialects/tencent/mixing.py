"""MixTranscodeParams and MixLayoutParams (sections 2.5, 2.6) → what the domain mixes and shows. Fetches no image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from reelroom.control.images import ImageSource
from reelroom.dialects.tencent import errors, layouts
from reelroom.dialects.tencent.wire_cloud import LayoutBody, MixLayout, TranscodeBody, WaterMark
from reelroom.domain.mix import Mix
from reelroom.domain.scene import Fit, Layout, Place, Scene, Surface, Watermark

SAMPLE_RATES = {1: 48_000, 2: 44_100, 3: 16_000}
MAX_PIXELS = 1920 * 1080
MEDIA = {0: "camera", 1: "screen"}  # MediaId of a layout
HOLD_S = 172_800.0  # FillType 0: the last picture stays
CLOCK_SIZE = 24  # height of a time stamp's digits
CLOCK_MARGIN = 10
_COLOR = re.compile(r"(#|0[xX])([0-9a-fA-F]{6})")
_URL = re.compile(r"https?://[a-zA-Z0-9\-._~:/?#\[\]@!&()*+,%=]+")
_IMAGE = re.compile(r"\.(jpg|jpeg|png)(\?.*)?\Z", re.IGNORECASE)
#: Pos of a time stamp: fractions of the canvas, and of the text.
_POSITIONS = {0: (0.0, 0.0), 1: (1.0, 0.0), 2: (0.0, 1.0), 3: (1.0, 1.0), 4: (0.5, 0.0), 5: (0.5, 1.0), 6: (0.5, 0.5)}


@dataclass(frozen=True, slots=True)
class Shown:
    """A scene and where its images come from. Those that cannot be had are left out; event 309 says so."""

    scene: Scene
    images: Mapping[str, ImageSource]


class Images:
    """Collects the images that a request names."""

    def __init__(self) -> None:
        self.sources: dict[str, ImageSource] = {}

    def add(self, url: str, where: str) -> str:
        """What the scene calls it; "" for no URL. TencentError for one that the vendor would not take."""
        if not url:
            return ""
        if not _URL.fullmatch(url) or not _IMAGE.search(url):
            raise errors.out_of_range(where, "must be an http(s) URL that ends with .jpg, .jpeg or .png")
        source = ImageSource(url=url, optional=True, where=where)
        self.sources[source.reference] = source
        return source.reference


def color(text: str, where: str, default: str = "") -> str:
    """`#RRGGBB` or `0xRRGGBB` as the domain has it; `default` for an empty one."""
    if not text:
        return default
    found = _COLOR.fullmatch(text)
    if found is None:
        raise errors.out_of_range(where, "must be a colour, #RRGGBB or 0xRRGGBB")
    return "#" + found[2].lower()


def even(pixels: int) -> int:
    """A picture with half the colour samples has even sides."""
    return pixels - pixels % 2


def mix(given: TranscodeBody, scene: Scene) -> Mix:
    video, audio = given.VideoParams, given.AudioParams
    if video.Width * video.Height > MAX_PIXELS:
        where = "MixTranscodeParams.VideoParams"
        raise errors.out_of_range(where, f"Width x Height must be at most {MAX_PIXELS} pixels")
    return Mix(
        width=even(video.Width),
        height=even(video.Height),
        fps=video.Fps,
        gop_s=float(video.Gop),
        video_bitrate=video.BitRate,
        audio_bitrate=audio.BitRate,
        sample_rate=SAMPLE_RATES[audio.SampleRate],
        channels=audio.Channel,
        scene=scene,
    )


def shown(given: LayoutBody | None, width: int, height: int, fill_type: int) -> Shown:
    """The whole scene: what is left out is as if it had never been given. None: the grid."""
    where = "MixLayoutParams"
    given = given or LayoutBody(MixLayoutMode=layouts.GRID)
    images = Images()
    if given.MixLayoutMode == layouts.CUSTOM:
        layout = _custom(given, width, height, images)
    else:
        if given.MixLayoutList:
            raise errors.out_of_range(f"{where}.MixLayoutList", "is for MixLayoutMode 4")
        layout = layouts.template(
            given.MixLayoutMode,
            layouts.FITS[given.RenderMode],
            given.MaxResolutionUserId,
            MEDIA[given.MediaId] if given.MaxResolutionUserId else "",
            bool(given.MaxResolutionUserAlign),
        )
    placeholder = images.add(given.DefaultSubBackgroundImage, f"{where}.DefaultSubBackgroundImage")
    scene = Scene(
        layout=layout,
        background=Surface(
            color=color(given.BackGroundColor, f"{where}.BackGroundColor", "#000000"),
            image=images.add(given.BackgroundImageUrl, f"{where}.BackgroundImageUrl"),
            fit=layouts.FITS[given.BackgroundImageRenderMode],
        ),
        placeholder=Surface(color="#000000" if fill_type else "", image=placeholder if given.PlaceHolderMode else ""),
        without_picture=not given.PureAudioDisableLayout or given.MixLayoutMode == layouts.CUSTOM,
        hold_s=0.0 if fill_type else HOLD_S,
        hold_bare=not fill_type,
        watermarks=tuple(
            _watermark(mark, f"{where}.WaterMarkList.{n}", width, height, images)
            for n, mark in enumerate(given.WaterMarkList)
        ),
    )
    used = scene.images()
    return Shown(scene, {name: source for name, source in images.sources.items() if name in used})


def _custom(given: LayoutBody, width: int, height: int, images: Images) -> Layout:
    where = "MixLayoutParams.MixLayoutList"
    if not given.MixLayoutList:
        raise errors.out_of_range(where, "is required with MixLayoutMode 4")
    rank = layouts.ranks([each.ImageLayer for each in given.MixLayoutList])
    places = []
    for number, each in enumerate(given.MixLayoutList):
        at = f"{where}.{number}"
        image = images.add(each.SubBackgroundImage, f"{at}.SubBackgroundImage")
        place = _place(each, at, rank[each.ImageLayer], width, height)
        if image and given.PlaceHolderMode:
            own = Surface(color="", image=image, fit=layouts.FITS[each.RenderMode])
            place = msgspec.structs.replace(place, placeholder=own)
        places.append(place)
    pinned = [(place.identity, place.source) for place in places if place.identity is not None]
    if len(set(pinned)) != len(pinned):
        raise errors.out_of_range(where, "has two places for the same UserId and MediaId")
    return layouts.custom(places, keep_absent=bool(given.PlaceHolderMode))


def _place(each: MixLayout, where: str, z: int, width: int, height: int) -> Place:
    if not each.Width or not each.Height:
        raise errors.out_of_range(where, "must have a Width and a Height above 0")
    if each.Left + each.Width > width or each.Top + each.Height > height:
        raise errors.out_of_range(where, f"reaches beyond the canvas of {width} x {height}")
    return pixels(each.Left, each.Top, each.Width, each.Height, width, height, z=z).finished(
        alpha=1 - each.Alpha / 255,
        fit=layouts.FITS[each.RenderMode],
        identity=each.UserId,
        source=MEDIA[each.MediaId] if each.UserId else "",
    )


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in fractions of the canvas: pixels of 1 or less would be taken for those."""

    x: float
    y: float
    width: float
    height: float
    z: int

    def finished(self, *, alpha: float = 1.0, fit: Fit, identity: str, source: str) -> Place:
        return Place(
            x=self.x, y=self.y, width=self.width, height=self.height, z=self.z, alpha=alpha, fit=fit,
            identity=identity or None, source=source,
        )  # fmt: skip


def pixels(left: int, top: int, wide: int, high: int, width: int, height: int, z: int) -> Box:
    """A rectangle in pixels of a canvas of `width` and `height`."""
    return Box(left / width, top / height, wide / width, high / height, z)


def _watermark(mark: WaterMark, where: str, width: int, height: int, images: Images) -> Watermark:
    if mark.WaterMarkType == 0:
        image = mark.WaterMarkImage
        if image is None:
            raise errors.missing(f"{where}.WaterMarkImage")
        inside(image.Left, image.Top, image.Width, image.Height, where, width, height)
        return Watermark(
            x=image.Left,
            y=image.Top,
            width=image.Width,
            height=image.Height,
            image=images.add(image.WaterMarkUrl, f"{where}.WaterMarkImage.WaterMarkUrl"),
        )
    if mark.WaterMarkType == 1:
        text = mark.WaterMarkChar
        if text is None:
            raise errors.missing(f"{where}.WaterMarkChar")
        _font(text.Font, where)
        inside(text.Left, text.Top, text.Width, text.Height, where, width, height)
        return Watermark(
            x=text.Left,
            y=text.Top,
            width=text.Width,
            height=text.Height,
            text=text.Chars,
            size=text.FontSize,
            color=color(text.FontColor, f"{where}.WaterMarkChar.FontColor", "#ffffff"),
            background=color(text.BackGroundColor, f"{where}.WaterMarkChar.BackGroundColor"),
        )
    stamp = mark.WaterMarkTimestamp
    if stamp is None:
        raise errors.missing(f"{where}.WaterMarkTimestamp")
    _font(stamp.Font, where)
    across, down = _POSITIONS[stamp.Pos]
    return Watermark(
        x=CLOCK_MARGIN + across * max(0, width - 2 * CLOCK_MARGIN),
        y=CLOCK_MARGIN + down * max(0, height - 2 * CLOCK_MARGIN),
        anchor_x=across,
        anchor_y=down,
        clock="%Y-%m-%d %H:%M:%S",
        utc_offset_minutes=stamp.TimeZone * 60,
        size=CLOCK_SIZE,
    )


def inside(left: int, top: int, wide: int, high: int, where: str, width: int, height: int) -> None:
    """TencentError unless a rectangle has a size and lies on the canvas of `width` and `height`."""
    if left + wide > width or top + high > height or not wide or not high:
        raise errors.out_of_range(where, f"must have a size and lie on the canvas of {width} x {height}")


def _font(name: str, where: str) -> None:
    if name not in ("", "Tencent", "SourceHanSans"):
        raise errors.out_of_range(where, "has a Font other than Tencent and SourceHanSans")
