"""Native API: the shapes of what a mixed recording shows and how it is encoded, and their translation. Holds no routes.

Ranges that the domain checks anyway are given here too where they help a reader of the OpenAPI document.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from pydantic import Field

from reelroom.control.errors import ControlError
from reelroom.control.images import MAX_BYTES, ImageSource
from reelroom.control.recordings import SceneChange
from reelroom.dialects.native.shapes import LEFT_OUT, NO_CONTROL, NO_NUL, Body, Identity
from reelroom.domain import mix as domain
from reelroom.domain import scene

Color = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$", examples=["#102030"])]
Opacity = Annotated[float, Field(ge=0, le=1)]
Whole = Annotated[int, Field(ge=0, le=100_000)]
_Struct = TypeVar("_Struct", scene.Scene, domain.Mix)
_MAX_BASE64 = MAX_BYTES * 4 // 3 + 4
Fit = Annotated[scene.Fit, Field(strict=False)]
Preset = Annotated[scene.Preset, Field(strict=False)]
Vacant = Annotated[scene.Vacant, Field(strict=False)]
Box = Annotated[tuple[Whole, Whole, Whole, Whole], Field(strict=False)]


class Images:
    """Collects the images that a request names, under the names that its scene has for them."""

    def __init__(self) -> None:
        self.sources: dict[str, ImageSource] = {}

    def name(self, image: Image | None, where: str) -> str:
        """What the scene calls it; "" for none. ControlError when it is not exactly one thing."""
        if image is None:
            return ""
        if sum(map(bool, (image.url, image.data, image.sha256))) != 1:
            raise ControlError("invalid", "give exactly one of url, data and sha256", where)
        try:
            data = base64.b64decode(image.data or "", validate=True)
        except (binascii.Error, ValueError) as error:
            raise ControlError("invalid", f"data is not base64: {error}", where) from error
        source = ImageSource(url=image.url or "", data=data, sha256=image.sha256 or "", where=where)
        self.sources[source.reference] = source
        return source.reference


class Image(Body):
    """Exactly one of the three. PNG, JPEG, WebP, GIF (first picture) or BMP; at most 5 MB and 16.7 million pixels."""

    url: str | None = Field(default=None, max_length=2048, description="fetched once, now")
    data: str | None = Field(default=None, max_length=_MAX_BASE64, description="base64")
    sha256: str | None = Field(
        default=None, pattern="^[0-9a-f]{64}$", description="in a change: an image that the recording has already"
    )


class Place(Body):
    """One pane of `custom`, in pixels of the canvas or, when all four numbers are 0 to 1, in fractions of it."""

    x: float = Field(ge=0, le=3840)
    y: float = Field(ge=0, le=3840)
    width: float = Field(gt=0, le=3840)
    height: float = Field(gt=0, le=3840)
    z: int = Field(default=0, ge=-100, le=100, description="higher is in front; of equal ones the later")
    alpha: Opacity = 1
    fit: Fit | None = Field(default=None, description="default: the layout's")
    identity: Identity | None = Field(default=None, description="default: the next participant who has no pane")
    source: Literal["", "camera", "screen"] = Field(default="", description='"": any')


class Run(Body):
    """`count` panes of one size, each `dx`, `dy` further than the one before, in units of its table."""

    x: Whole
    y: Whole
    width: Whole
    height: Whole
    dx: int = Field(default=0, ge=-100_000, le=100_000)
    dy: int = Field(default=0, ge=-100_000, le=100_000)
    count: int = Field(default=1, ge=1, le=scene.MAX_PANES)


class Table(Body):
    """Where panes are for up to as many participants as it has panes: whole numbers of a canvas cut into so many
    columns and rows."""

    columns: int = Field(ge=1, le=100_000)
    rows: int = Field(ge=1, le=100_000)
    large: Box | None = Field(default=None, description="x, y, width, height")
    runs: list[Run] = Field(default=[], max_length=scene.MAX_PANES)


class Pin(Body):
    """Who has the pane of `tables` with this number (0: the large one, if there is one) while they are there."""

    pane: int = Field(ge=0, lt=scene.MAX_PANES)
    identity: Identity
    source: Literal["", "camera", "screen"] = ""


class Layout(Body):
    """Who stands where. A change replaces it as a whole."""

    preset: Preset = scene.Preset.BEST_FIT
    fit: Fit = Field(default=scene.Fit.CROP, description="how pictures fill their panes")
    screen_fit: Fit = Field(default=scene.Fit.FIT, description="the same for shared screens")
    large_fit: Fit | None = Field(default=None, description="the same for the large pane; default: as elsewhere")
    focus: str = Field(
        default="", max_length=128, pattern=NO_CONTROL, description='who stands large; "": the preset\'s own choice'
    )
    focus_source: Literal["", "camera", "screen"] = ""
    vacant: Vacant = Field(
        default=scene.Vacant.FILL,
        description="without the focus the large pane is another's, waits for a focus that is named, or is empty",
    )
    alone_fills: bool = Field(default=False, description="who is alone, with no focus named, fills the canvas")
    follow_speaker: bool = Field(default=False, description="whoever speaks stands large when no focus is named")
    max_panes: int = Field(default=17, ge=1, le=scene.MAX_PANES, description="of a preset; others are heard, not seen")
    panes: list[Place] = Field(default=[], max_length=scene.MAX_PANES, description='of "custom"')
    keep_absent: bool = Field(
        default=True, description="custom panes of participants who are away: placeholder, or nothing"
    )
    tables: list[Table] = Field(
        default=[], max_length=scene.MAX_PANES, description='of "tables": the first with panes enough, else the last'
    )
    pins: list[Pin] = Field(default=[], max_length=scene.MAX_PANES, description='of "tables"')


class Surface(Body):
    """A colour, and over it an image."""

    color: Annotated[str, Field(pattern=r"^(#[0-9a-fA-F]{6})?$")] = Field(
        default="#000000", description='of a placeholder also "": what lies behind it is seen'
    )
    image: Image | None = None
    fit: Fit = scene.Fit.CROP


class Border(Body):
    """A frame within each pane's edge."""

    width: int = Field(default=0, ge=0, le=64, description="pixels")
    color: Color = "#ffffff"


class Names(Body):
    """A label in each pane's lower left corner."""

    size: int = Field(default=24, ge=8, le=200, description="height of the letters in pixels")
    color: Color = "#ffffff"
    background: Color = "#000000"
    opacity: Opacity = Field(default=0.6, description="of the background")
    texts: dict[Identity, Annotated[str, Field(max_length=scene.MAX_TEXT, pattern=NO_NUL)]] = Field(
        default={}, max_length=1000, description="by identity; others show their identity"
    )


class Watermark(Body):
    """An image, a text or the wall clock over everything: exactly one of `image`, `text`, `clock`."""

    x: float = Field(ge=0, le=3840, description="of its upper left corner, pixels (`fractions`: 0 to 1)")
    y: float = Field(ge=0, le=3840)
    width: float = Field(default=0, ge=0, le=3840, description="0: its own")
    height: float = Field(default=0, ge=0, le=3840)
    fractions: bool = False
    opacity: Opacity = 1
    image: Image | None = None
    text: str = Field(default="", max_length=scene.MAX_TEXT, pattern=NO_NUL)
    clock: str = Field(default="", max_length=scene.MAX_TEXT, pattern=NO_NUL, examples=["%Y-%m-%d %H:%M:%S"])
    utc_offset_minutes: int = Field(default=0, ge=-1440, le=1440)
    size: int = Field(default=24, ge=8, le=200, description="height of the letters in pixels")
    color: Color = "#ffffff"
    background: Annotated[str, Field(pattern=r"^(#[0-9a-fA-F]{6})?$")] = Field(default="", description='"": none')


class Scene(Body):
    """Everything that is seen but the participants' own pictures."""

    layout: Layout = Layout()
    background: Surface = Surface()
    placeholder: Surface = Field(default=Surface(color="#202020"), description="of a pane without a picture")
    placeholders: dict[Identity, Surface] = Field(default={}, max_length=scene.MAX_PANES, description="by identity")
    without_picture: bool = Field(default=True, description="who sends no picture has a pane too")
    hold_s: float = Field(default=0, ge=0, le=3600, description="the last picture stays so long after it stopped")
    hold_bare: bool = Field(default=False, description="... and on where the placeholder has no image")
    border: Border = Border()
    names: Names | None = None
    watermarks: list[Watermark] = Field(default=[], max_length=scene.MAX_WATERMARKS)

    def to_domain(self, images: Images, where: str) -> scene.Scene:
        """ControlError("invalid") on what only the domain's rules refuse."""
        return made(scene.Scene, self.values(images, where), where)

    def values(self, images: Images, where: str) -> dict[str, Any]:
        """As the domain's struct is made of, its images under the names that `images` gives them."""
        found = self.model_dump(mode="json")
        surfaces = [("background", self.background, found["background"])]
        surfaces.append(("placeholder", self.placeholder, found["placeholder"]))
        surfaces += [
            (f"placeholders.{identity}", surface, found["placeholders"][identity])
            for identity, surface in self.placeholders.items()
        ]
        for path, surface, values in surfaces:
            values["image"] = images.name(surface.image, f"{where}.{path}.image")
        for number, watermark in enumerate(self.watermarks):
            path = f"{where}.watermarks.{number}.image"
            found["watermarks"][number]["image"] = images.name(watermark.image, path)
        return found


class Push(Body):
    """A live stream of the mix, from the recording's start to its end. Answers never show what follows the host."""

    id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="what events call it")
    url: str = Field(
        max_length=2048, pattern="^(rtmp|rtmps|srt)://[!-~]+$", examples=["rtmp://live.example.com/app/key"]
    )


class Mix(Body):
    """One picture and one sound of the whole room. No picture when the subscription has no video; no sound likewise."""

    width: int = Field(default=1280, ge=16, le=domain.MAX_SIDE_4K, multiple_of=2, description="pixels")
    height: int = Field(
        default=720, ge=16, le=domain.MAX_SIDE_4K, multiple_of=2, description="above 1920 only where it is configured"
    )
    fps: int = Field(default=30, ge=1, le=60, description="constant")
    gop_s: float = Field(default=2, ge=0.5, le=30, description="seconds between key frames, at most hls.segment_s")
    video_codec: Literal["h264", "h265", "vp9", "av1"] = "h264"
    video_bitrate: int = Field(default=2_000_000, ge=50_000, le=50_000_000, description="bit/s")
    profile: Literal["baseline", "main", "high"] = Field(default="high", description="of h264")
    audio_codec: Literal["aac", "opus", "mp3"] = "aac"
    audio_bitrate: int = Field(
        default=96_000,
        ge=16_000,
        le=320_000,
        description="bit/s; aac: at most six times sample_rate and channels; opus: 256000 a channel; "
        "mp3: the nearest of its steps, from 32000, and below 32 kHz to 160000",
    )
    sample_rate: Literal[16000, 32000, 44100, 48000] = Field(default=48_000, description="Hz; opus: 48000")
    channels: int = Field(default=2, ge=1, le=2)
    individual: bool = Field(default=False, description="also keep every participant's own streams")
    scene: Scene = Scene()
    pushes: list[Push] = Field(default=[], max_length=domain.MAX_PUSHES, description="fixed at the start")

    def to_domain(self, images: Images) -> domain.Mix:
        """ControlError("invalid") on what only the domain's rules refuse."""
        most = domain.aac_most(self.sample_rate, self.channels)
        if self.audio_codec == "aac" and self.audio_bitrate > most:
            message = f"must be at most {most} bit/s with aac at {self.sample_rate} Hz and so many channels"
            raise ControlError("invalid", message, "mix.audio_bitrate")
        if self.profile != "high" and self.video_codec != "h264":
            message = f"is of h264; {self.video_codec} has one profile here, so leave it out"
            raise ControlError("invalid", message, "mix.profile")
        values = self.model_dump(mode="json") | {"scene": self.scene.values(images, "mix.scene")}
        return made(domain.Mix, values, "mix")


class ChangeScene(Body):
    """What is given replaces that part of the scene; the rest stays."""

    layout: Layout = LEFT_OUT
    focus: str = Field(
        default=LEFT_OUT,
        max_length=128,
        pattern=NO_CONTROL,
        description='who stands large in the layout from now on; "": the preset\'s own choice',
    )
    background: Surface = LEFT_OUT
    placeholder: Surface = LEFT_OUT
    placeholders: dict[Identity, Surface] = Field(default=LEFT_OUT, max_length=scene.MAX_PANES)
    without_picture: bool = LEFT_OUT
    hold_s: float = Field(default=LEFT_OUT, ge=0, le=3600)
    hold_bare: bool = LEFT_OUT
    border: Border = LEFT_OUT
    names: Names | None = Field(default=None, description="null: no names")
    watermarks: list[Watermark] = Field(default=LEFT_OUT, max_length=scene.MAX_WATERMARKS)

    def to_domain(self) -> SceneChange:
        """ControlError("invalid") on what only the domain's rules refuse."""
        given = self.model_fields_set - {"focus"}
        images = Images()
        parts = {name: getattr(self, name) for name in given}
        whole = Scene(**parts).to_domain(images, "scene")
        new = {name: getattr(whole, name) for name in given}
        focus = self.focus if "focus" in self.model_fields_set else None

        def edit(present: scene.Scene) -> scene.Scene:
            changed = msgspec.structs.replace(present, **new)
            if focus is None:
                return changed
            return msgspec.structs.replace(changed, layout=msgspec.structs.replace(changed.layout, focus=focus))

        return SceneChange(edit, images.sources)


def made(struct: type[_Struct], values: dict[str, Any], where: str) -> _Struct:
    """The domain's struct of these values."""
    try:
        return msgspec.convert(values, struct)
    except (ValueError, msgspec.ValidationError) as error:
        raise ControlError("invalid", str(error), where) from error
