"""LayoutParams and the background of StartMCUMixTranscode (section 3.6) → what the domain shows. Fetches no image."""

from __future__ import annotations

from reelroom.dialects.tencent import errors, layouts, mixing
from reelroom.dialects.tencent.wire_mcu import EncodeBody, LayoutParamsBody
from reelroom.domain.scene import Fit, Layout, Place, Scene, Surface, Watermark

FLOATING, GRID, SCREEN, PICTURE_IN_PICTURE, CUSTOM = 0, 1, 2, 3, 4  # Template
_SOURCES = {0: "camera", 1: "screen"}


def scene(given: LayoutParamsBody, encode: EncodeBody, width: int, height: int) -> mixing.Shown:
    """What LayoutParams and the background of EncodeParams show on a canvas of that size."""
    images = mixing.Images()
    marks = []
    mark = given.WaterMarkParams
    if mark is not None:
        if not mark.WaterMarkUrl:
            raise errors.not_supported("LayoutParams.WaterMarkParams.WaterMarkId: give WaterMarkUrl")
        mixing.inside(
            mark.LocationX, mark.LocationY, mark.WaterMarkWidth, mark.WaterMarkHeight, "LayoutParams.WaterMarkParams",
            width, height,
        )  # fmt: skip
        marks.append(
            Watermark(
                x=mark.LocationX,
                y=mark.LocationY,
                width=mark.WaterMarkWidth,
                height=mark.WaterMarkHeight,
                image=images.add(mark.WaterMarkUrl, "LayoutParams.WaterMarkParams.WaterMarkUrl"),
            )
        )
    hold = given.PureAudioHoldPlaceMode
    made = Scene(
        layout=_layout(given, width, height),
        background=Surface(
            color=f"#{encode.BackgroundColor:06x}",
            image=images.add(encode.BackgroundImageUrl, "EncodeParams.BackgroundImageUrl"),
        ),
        placeholder=Surface(color=""),
        without_picture=given.Template in (PICTURE_IN_PICTURE, CUSTOM)
        or (hold == 1 or (hold == 0 and given.Template != SCREEN)),
        hold_s=mixing.HOLD_S,
        hold_bare=True,
        watermarks=tuple(marks),
    )
    return mixing.Shown(made, images.sources)


def _layout(given: LayoutParamsBody, width: int, height: int) -> Layout:
    fit = None if given.RenderMode is None else layouts.MCU_FITS[given.RenderMode]
    if given.Template == CUSTOM:
        return _preset(given, width, height)
    focus = given.MainVideoUserId
    source = _SOURCES[given.MainVideoStreamType] if focus else ""
    if given.Template == PICTURE_IN_PICTURE:
        return _small(given, focus, source, fit or Fit.CROP, width, height)
    return layouts.mcu(given.Template, fit, focus, source, bool(given.MainVideoRightAlign))


def _small(given: LayoutParamsBody, focus: str, source: str, fit: Fit, width: int, height: int) -> Layout:
    small = given.SmallVideoLayoutParams
    if small is None or not focus:
        what = "Template 3 needs MainVideoUserId and SmallVideoLayoutParams."
        raise errors.invalid("SmallVideoLayoutParams", what)
    wide, high = small.ImageWidth or width // 4, small.ImageHeight or height // 4
    if small.LocationX + wide > width or small.LocationY + high > height:
        raise errors.invalid("SmallVideoLayoutParams", "SmallVideoLayoutParams reaches beyond the canvas.")
    large = mixing.Box(0, 0, 1, 1, 0).finished(fit=fit, identity=focus, source=source)
    over = mixing.pixels(small.LocationX, small.LocationY, wide, high, width, height, z=1)
    return layouts.custom(
        [large, over.finished(fit=fit, identity=small.UserId, source=_SOURCES[small.StreamType])], keep_absent=False
    )


def _preset(given: LayoutParamsBody, width: int, height: int) -> Layout:
    if not given.PresetLayoutConfig:
        raise errors.missing("LayoutParams.PresetLayoutConfig", "PresetLayoutConfig")
    rank = layouts.ranks([each.ZOrder for each in given.PresetLayoutConfig])
    places: list[Place] = []
    for number, each in enumerate(given.PresetLayoutConfig):
        where = f"LayoutParams.PresetLayoutConfig.{number}"
        if each.MixInputType and not each.UserId:
            raise errors.not_supported(f"{where}.MixInputType other than 0 of a place without UserId")
        if each.PlaceImageId:
            raise errors.not_supported(f"{where}.PlaceImageId")
        if not each.ImageWidth or not each.ImageHeight:
            raise errors.invalid("PresetLayoutConfig", f"{where} must have an ImageWidth and ImageHeight above 0.")
        if each.LocationX + each.ImageWidth > width or each.LocationY + each.ImageHeight > height:
            raise errors.invalid("PresetLayoutConfig", f"{where} reaches beyond the canvas.")
        box = mixing.pixels(
            each.LocationX, each.LocationY, each.ImageWidth, each.ImageHeight, width, height, rank[each.ZOrder]
        )
        source = _SOURCES[each.StreamType] if each.UserId else ""
        places.append(box.finished(fit=layouts.MCU_FITS[each.RenderMode], identity=each.UserId, source=source))
    pinned = [(place.identity, place.source) for place in places if place.identity]
    if len(set(pinned)) != len(pinned):
        raise errors.invalid("PresetLayoutConfig", "PresetLayoutConfig has two places for the same user and stream.")
    return layouts.custom(places, keep_absent=bool(given.PlaceHolderMode))
