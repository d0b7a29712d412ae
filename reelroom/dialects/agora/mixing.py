"""Agora's mode mix → what the domain mixes: transcodingConfig, layout keys, audioProfile. Fetches no image.

Sections 3.4 and 4. The layout keys are the same in `start` (within transcodingConfig) and in `updateLayout`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reelroom.control.images import ImageSource
from reelroom.dialects.agora import errors, layouts, naming
from reelroom.dialects.agora.wire import LayoutKeys, RecordingConfig, Region, TranscodingConfig, parse
from reelroom.domain.mix import Mix
from reelroom.domain.scene import Fit, Layout, Place, Scene, Surface

HOLD_S = 3.5  # the last picture stays so long after a user's video stopped (section 3.4)
IMAGE_BYTES = 6_000_000
MAX_PIXELS = 1920 * 1080
FRAME_RATES = frozenset({1, 7, 10, 15, 24, 30, 60})
OTHER_RATE = 15  # what anything else behaves as
GOP_S = 3.0  # slices of 15 s end on one
#: audioProfile: channels and bit/s of AAC-LC at 48 kHz (section 3.3)
AUDIO_PROFILES = {0: (1, 48_000), 1: (1, 128_000), 2: (2, 192_000)}
_ROUNDED = 2e-6  # two numbers of six decimals, each rounded up: clients send thirds as 32-bit floats
_FITS = {0: Fit.CROP, 1: Fit.FIT}


@dataclass(frozen=True, slots=True)
class Shown:
    """A scene and where its images come from. Images that cannot be had are left out, as the vendor does."""

    scene: Scene
    images: Mapping[str, ImageSource]


def mix(config: RecordingConfig, where: str) -> tuple[Mix, Mapping[str, ImageSource]]:
    """What `recordingConfig` asks for in mode mix. ServiceError code 2."""
    if config.streamMode != "default":
        raise errors.invalid(f"{where}.streamMode is for mode individual; leave it out in mode mix")
    profile = config.audioProfile or 0
    if isinstance(profile, bool) or not isinstance(profile, (int, float)) or profile not in AUDIO_PROFILES:
        raise errors.invalid(f"{where}.audioProfile must be 0, 1 or 2")
    channels, audio_bitrate = AUDIO_PROFILES[int(profile)]
    inside = f"{where}.transcodingConfig"
    transcoding = parse(TranscodingConfig, config.transcodingConfig or {}, inside)
    width, height = transcoding.width, transcoding.height
    if width * height > MAX_PIXELS:
        raise errors.invalid(f"{inside}: width x height must be at most 1920 x 1080 pixels, not {width} x {height}")
    made = shown(transcoding, inside)
    return (
        Mix(
            width=width - width % 2,  # a picture with half the colour samples has even sides
            height=height - height % 2,
            fps=transcoding.fps if transcoding.fps in FRAME_RATES else OTHER_RATE,
            gop_s=GOP_S,
            video_bitrate=transcoding.bitrate * 1000,
            audio_bitrate=audio_bitrate,
            channels=channels,
            scene=made.scene,
        ),
        made.images,
    )


def shown(keys: LayoutKeys, where: str) -> Shown:
    """The scene of the layout keys; what is left out is as if it had never been given. ServiceError code 2."""
    images: dict[str, ImageSource] = {}

    def image(url: str | None, field: str) -> str:
        if not url:
            return ""
        if not url.startswith(("http://", "https://")):
            raise errors.invalid(f"{where}.{field} must be an http:// or https:// URL")
        source = ImageSource(url=url, optional=True, where=f"{where}.{field}", max_bytes=IMAGE_BYTES)
        images[source.reference] = source
        return source.reference

    own: dict[str, Surface] = {}
    for number, entry in enumerate(keys.backgroundConfig or ()):
        field = f"backgroundConfig.{number}"
        uid = naming.check_uid(entry.uid)
        own[uid] = Surface(color="", image=image(entry.image_url, f"{field}.image_url"), fit=_FITS[entry.render_mode])
    scene = Scene(
        layout=_layout(keys, where),
        background=Surface(color=keys.backgroundColor, image=image(keys.backgroundImage, "backgroundImage")),
        # A region without a picture and without an image of its own is seen through: to the background, and in layout
        # 0 to the user behind it.
        placeholder=Surface(color="", image=image(keys.defaultUserBackgroundImage, "defaultUserBackgroundImage")),
        placeholders=own,
        hold_s=HOLD_S,
        hold_bare=True,
    )
    return Shown(scene, images)


def _layout(keys: LayoutKeys, where: str) -> Layout:
    number = keys.mixedVideoLayout
    if (number == layouts.CUSTOM) != bool(keys.layoutConfig):
        raise errors.invalid(f"{where}.layoutConfig must be given with mixedVideoLayout 3, and only with it")
    if keys.maxResolutionUid:
        naming.check_uid(keys.maxResolutionUid)
    if number != layouts.CUSTOM:
        return layouts.preset(number, keys.maxResolutionUid or "")
    places = [_place(region, f"{where}.layoutConfig.{n}") for n, region in enumerate(keys.layoutConfig or ())]
    named = [place.identity for place in places if place.identity]
    if len(set(named)) != len(named):
        raise errors.invalid(f"{where}.layoutConfig: a uid may have one region only")
    return layouts.custom(places)


def _place(region: Region, where: str) -> Place:
    x, y, width, height = (round(value, 6) for value in (region.x_axis, region.y_axis, region.width, region.height))
    if x + width > 1 + _ROUNDED or y + height > 1 + _ROUNDED:
        raise errors.invalid(f"{where}: x_axis + width and y_axis + height must be at most 1")
    width, height = min(width, 1 - x), min(height, 1 - y)
    if not width or not height:  # it is nothing to see, and yet it is somebody's
        x = y = 0.0
        width = height = 1e-6
    return Place(
        x=x,
        y=y,
        width=width,
        height=height,
        alpha=region.alpha,
        fit=_FITS[region.render_mode],
        identity=naming.check_uid(region.uid) if region.uid else None,
    )


def update_layout(request: dict[str, Any]) -> Shown:
    """What `updateLayout` asks for. ServiceError code 1028 for whatever is wrong with it (section 1.8)."""
    try:
        return shown(parse(LayoutKeys, request, "clientRequest"), "clientRequest")
    except errors.ServiceError as error:
        raise errors.bad_layout(error.reason) from None
