"""What a mixed recording shows, all of which can change while it runs: layout, background, names, watermarks.

Holds no geometry (`layout.py`) and no pixels (`record/mixed`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field
from msgspec.structs import replace

from reelroom.domain.names import check_name

MAX_PANES = 64
MAX_WATERMARKS = 25
MAX_OVERLAYS = 32  # of one pane
MAX_TEXT = 256  # characters of one watermark or name
_COLOR = re.compile(r"#[0-9a-fA-F]{6}\Z")
_IMAGE = re.compile(r"[0-9a-f]{64}\Z")


class Fit(StrEnum):
    """How a picture fills a rectangle of another shape."""

    CROP = "crop"  # fill it, cut off what is too much
    FIT = "fit"  # show all of it, with bars
    STRETCH = "stretch"
    SMART = "smart"  # as CROP, but at most a fifth of a side is cut off; the rest is stretched


class Preset(StrEnum):
    """Who stands where; `layout.py` says exactly."""

    BEST_FIT = "best_fit"  # a grid, all of one size
    FLOATING = "floating"  # the large one fills the canvas, the others stand in rows over its lower edge
    VERTICAL = "vertical"  # the large one at the left, the others in columns at the right
    HORIZONTAL = "horizontal"  # the large one at the top, the others in rows below
    SCREEN_SHARE = "screen_share"  # vertical with the shared screen large; while nobody shares one, best_fit
    PICTURE_IN_PICTURE = "picture_in_picture"  # the large one fills the canvas, one other in a corner
    CUSTOM = "custom"  # `panes`
    TABLES = "tables"  # `tables`


class Vacant(StrEnum):
    """Who has the large pane when `Layout.focus` does not."""

    FILL = "fill"  # the speaker where `follow_speaker`, else whoever joined first
    WAIT = "wait"  # nobody while a focus is named that is not there; else as FILL
    EMPTY = "empty"  # nobody, ever


class Place(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One pane of a custom layout, in pixels of the canvas or, when all four are 0..1, in fractions of it."""

    x: float
    y: float
    width: float
    height: float
    z: int = 0  # higher is in front, -100..100
    alpha: float = 1.0  # 0 (not seen)..1
    fit: Fit | None = None  # None: the layout's
    identity: str | None = None  # None: the next participant who has no pane
    source: str = ""  # "camera", "screen"; "": any
    placeholder: Surface | None = None  # of this pane, whoever's it is; None: the scene's

    def __post_init__(self) -> None:
        if self.identity is not None:
            check_name("identity", self.identity)
        check_source(self.source)
        if min(self.x, self.y) < 0 or min(self.width, self.height) <= 0:
            raise ValueError("a pane needs x and y of 0 or more and a width and height above 0")
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"a pane's alpha must be 0 to 1, not {self.alpha}")
        if not -100 <= self.z <= 100:
            raise ValueError(f"a pane's z must be -100 to 100, not {self.z}")

    @property
    def fractions(self) -> bool:
        """Whether the four numbers are fractions of the canvas, not pixels."""
        return max(self.x, self.y, self.width, self.height) <= 1


class Run(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`count` panes of one size, each `dx`, `dy` further than the one before. In units of its table."""

    x: int
    y: int
    width: int
    height: int
    dx: int = 0
    dy: int = 0
    count: int = 1
    z: int = 0  # higher is in front of other runs, 0..100

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MAX_PANES:
            raise ValueError(f"a run has 1 to {MAX_PANES} panes, not {self.count}")
        if not 0 <= self.z <= 100:
            raise ValueError(f"a run's z must be 0 to 100, not {self.z}")


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the panes of a preset are for up to so many people: whole numbers of a canvas cut into `columns` × `rows`.

    Whole numbers, because thirds are no floating point numbers and neighbours have to meet exactly.
    """

    columns: int  # 1..100_000
    rows: int
    large: tuple[int, int, int, int] | None = None  # x, y, width, height; behind the runs
    runs: tuple[Run, ...] = ()  # the other panes in the order in which they are taken
    first: int = 0  # the number of the one among them that is taken before all others

    def __post_init__(self) -> None:
        if not 1 <= self.columns <= 100_000 or not 1 <= self.rows <= 100_000:
            raise ValueError("a table has 1 to 100000 columns and rows")
        if self.large is None and not self.runs:
            raise ValueError("a table has a large pane, runs or both")
        if self.cells > MAX_PANES:
            raise ValueError(f"a table has at most {MAX_PANES} panes")
        if not 0 <= self.first < max(1, self.cells):
            raise ValueError(f"a table's first pane must be one that it has, not {self.first}")
        rectangles = [] if self.large is None else [self.large]
        for run in self.runs:
            for n in (0, run.count - 1):
                rectangles.append((run.x + n * run.dx, run.y + n * run.dy, run.width, run.height))
        for x, y, width, height in rectangles:
            if min(x, y) < 0 or min(width, height) <= 0 or x + width > self.columns or y + height > self.rows:
                raise ValueError(f"a table's pane ({x}, {y}, {width}, {height}) is empty or outside of it")

    @property
    def cells(self) -> int:
        """How many panes it has besides the large one."""
        return sum(run.count for run in self.runs)


class Pin(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who has the pane of a table with this number as long as they are there; somebody else when they are not."""

    pane: int  # 0: the first, which is the large one where there is one
    identity: str = ""  # "": whoever comes to sit there
    source: str = ""  # "camera", "screen"; "": any
    overlays: tuple[Overlay, ...] = ()  # over whoever sits there

    def __post_init__(self) -> None:
        if self.identity:
            check_name("identity", self.identity)
        if len(self.overlays) > MAX_OVERLAYS:
            raise ValueError(f"a pane has at most {MAX_OVERLAYS} overlays")
        check_source(self.source)
        if not 0 <= self.pane < MAX_PANES:
            raise ValueError(f"a pin's pane must be 0 to {MAX_PANES - 1}, not {self.pane}")


class Layout(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which preset, and how pictures fill their panes."""

    preset: Preset = Preset.BEST_FIT
    fit: Fit = Fit.CROP
    screen_fit: Fit = Fit.FIT  # of shared screens: text at their edges is not to be cut off
    large_fit: Fit | None = None  # of whatever stands in the large pane; None: as elsewhere
    focus: str = ""  # identity that stands large; "": the preset's own choice
    focus_source: str = ""  # "camera", "screen"; "": any
    vacant: Vacant = Vacant.FILL
    alone_fills: bool = False  # who is alone, with no focus named, has the whole canvas whatever the table says
    follow_speaker: bool = False  # whoever speaks takes the large pane (when there is no focus)
    max_panes: int = 17  # of a preset, 1..MAX_PANES; participants beyond it are heard, not seen
    panes: tuple[Place, ...] = ()  # of the preset "custom"
    keep_absent: bool = True  # a custom pane whose participant is not there shows the placeholder; else nothing
    tables: tuple[Table, ...] = ()  # of the preset "tables": the first with panes enough is taken, else the last
    pins: tuple[Pin, ...] = ()  # of the preset "tables"

    def __post_init__(self) -> None:
        if (self.preset == Preset.CUSTOM) != bool(self.panes):
            raise ValueError("panes are given with the preset 'custom', and only with it")
        if (self.preset == Preset.TABLES) != bool(self.tables):
            raise ValueError("tables are given with the preset 'tables', and only with it")
        if self.pins and self.preset != Preset.TABLES:
            raise ValueError("pins are for the preset 'tables'; pin a pane of 'custom' by its identity")
        if len(self.panes) > MAX_PANES or not 1 <= self.max_panes <= MAX_PANES:
            raise ValueError(f"a layout has 1 to {MAX_PANES} panes")
        if len(self.tables) > MAX_PANES:
            raise ValueError(f"a layout has at most {MAX_PANES} tables")
        if self.focus:
            check_name("focus", self.focus)
        check_source(self.focus_source)
        pinned = [(pane.identity, pane.source) for pane in self.panes if pane.identity is not None]
        if len(set(pinned)) != len(pinned):
            raise ValueError("two panes are pinned to the same identity and source")
        if len({pin.pane for pin in self.pins}) != len(self.pins):
            raise ValueError("two pins are for the same pane")


class Surface(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is seen where no picture is: a colour, and over it an image of the recording's `images` folder."""

    color: str = "#000000"  # of a placeholder also "": what lies behind it is seen
    image: str = ""  # SHA-256 of the image's bytes, in hex: its file's name; "": none
    fit: Fit = Fit.CROP

    def __post_init__(self) -> None:
        if self.color:
            check_color(self.color)
        check_image(self.image)


class Border(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A frame within each pane's edge."""

    width: int = 0  # pixels, 0..64
    color: str = "#ffffff"

    def __post_init__(self) -> None:
        check_color(self.color)
        if not 0 <= self.width <= 64:
            raise ValueError(f"a border is 0 to 64 pixels wide, not {self.width}")


class Names(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A label in each pane's lower left corner."""

    size: int = 24  # height of the letters in pixels, 8..200
    color: str = "#ffffff"
    background: str = "#000000"
    opacity: float = 0.6  # of the background
    texts: dict[str, str] = field(default_factory=dict)  # identity → what to show; others show their identity

    def __post_init__(self) -> None:
        check_color(self.color)
        check_color(self.background)
        if not 8 <= self.size <= 200:
            raise ValueError(f"names are 8 to 200 pixels high, not {self.size}")
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"opacity must be 0 to 1, not {self.opacity}")
        if any(len(text) > MAX_TEXT for text in self.texts.values()):
            raise ValueError(f"a name has at most {MAX_TEXT} characters")


class Watermark(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An image, a text or the wall clock, over everything. Exactly one of `image`, `text`, `clock`."""

    x: float  # of its upper left corner: fraction of the canvas where `fractions`, else pixels
    y: float
    width: float = 0  # of an image or of the text's box; 0: its own size
    height: float = 0
    fractions: bool = False
    anchor_x: float = 0.0  # what of it is at `x`: 0 its left edge, 1 its right edge
    anchor_y: float = 0.0  # ... and at `y`: 0 the upper edge, 1 the lower edge
    opacity: float = 1.0
    image: str = ""  # SHA-256 as in Surface
    text: str = ""
    clock: str = ""  # strftime pattern, as in "%Y-%m-%d %H:%M:%S"
    utc_offset_minutes: int = 0  # of the clock, -1440..1440
    size: int = 24  # of letters, pixels, 1..200
    color: str = "#ffffff"
    background: str = ""  # "": none

    def __post_init__(self) -> None:
        if sum(map(bool, (self.image, self.text, self.clock))) != 1:
            raise ValueError("a watermark has exactly one of image, text and clock")
        check_image(self.image)
        check_color(self.color)
        if self.background:
            check_color(self.background)
        if max(len(self.text), len(self.clock)) > MAX_TEXT:
            raise ValueError(f"a watermark's text has at most {MAX_TEXT} characters")
        if min(self.x, self.y, self.width, self.height) < 0:
            raise ValueError("a watermark's x, y, width and height must be 0 or more")
        if self.fractions and max(self.x, self.y, self.width, self.height) > 1:
            raise ValueError("a watermark placed by fractions needs numbers of 0 to 1")
        if not 0 <= min(self.anchor_x, self.anchor_y) <= max(self.anchor_x, self.anchor_y) <= 1:
            raise ValueError("a watermark's anchor_x and anchor_y must be 0 to 1")
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"opacity must be 0 to 1, not {self.opacity}")
        if not 1 <= self.size <= 200:
            raise ValueError(f"a watermark's text is 1 to 200 pixels high, not {self.size}")
        if not -1440 <= self.utc_offset_minutes <= 1440:
            raise ValueError("utc_offset_minutes must be -1440 to 1440")


class Overlay(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An image or a text over one pane, whose sides are what fractions are of."""

    mark: Watermark
    vacant: bool = False  # only while there is no picture in the pane

    def __post_init__(self) -> None:
        if self.mark.clock:
            raise ValueError("an overlay is an image or a text, not a clock")


class Scene(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that is seen but the participants' own pictures."""

    layout: Layout = field(default_factory=Layout)
    background: Surface = field(default_factory=Surface)
    backdrops: tuple[Watermark, ...] = ()  # images and texts on the background, behind all panes
    placeholder: Surface = field(default_factory=lambda: Surface(color="#202020"))  # of a pane without a picture
    placeholders: dict[str, Surface] = field(default_factory=dict)  # by identity
    bare: Surface | None = None  # instead of a placeholder, of those who are there and send no picture; None: as others
    without_picture: bool = True  # participants who send no picture have a pane too
    hold_s: float = 0.0  # how long their last picture stays when they stop sending, 0..172800; then the placeholder
    hold_bare: bool = False  # ... and it stays on where the placeholder has no image
    #: Of those who leave: "hold", a pane that waits for them shows their last picture as of those who stop sending;
    #: "go", it shows the placeholder at once; "stay", every pane waits for its participant, with the last picture as
    #: above unless they have a placeholder with an image of their own.
    leavers: str = "hold"
    border: Border = field(default_factory=Border)
    names: Names | None = None
    watermarks: tuple[Watermark, ...] = ()
    voices: int = 0  # how many are heard at once, 0..MAX_PANES: those who spoke last; 0: everybody

    def __post_init__(self) -> None:
        if not 0 <= self.voices <= MAX_PANES:
            raise ValueError(f"voices must be 0 to {MAX_PANES}, not {self.voices}")
        if len(self.watermarks) > MAX_WATERMARKS:
            raise ValueError(f"a scene has at most {MAX_WATERMARKS} watermarks")
        if len(self.backdrops) > MAX_WATERMARKS or any(backdrop.clock for backdrop in self.backdrops):
            raise ValueError(f"a scene has at most {MAX_WATERMARKS} backdrops, none of them a clock")
        if len(self.placeholders) > MAX_PANES:
            raise ValueError(f"a scene has placeholders for at most {MAX_PANES} participants")
        for identity in self.placeholders:
            check_name("identity", identity)
        if self.leavers not in ("hold", "go", "stay"):
            raise ValueError(f"leavers must be 'hold', 'go' or 'stay', not {self.leavers!r}")
        if not self.background.color:
            raise ValueError("the background needs a colour")
        if not 0 <= self.hold_s <= 172_800:
            raise ValueError(f"hold_s must be 0 to 172800 seconds, not {self.hold_s}")

    def images(self) -> frozenset[str]:
        """Names of all image files that it needs."""
        own = (pane.placeholder for pane in self.layout.panes if pane.placeholder is not None)
        bare = () if self.bare is None else (self.bare,)
        surfaces = (self.background, self.placeholder, *self.placeholders.values(), *own, *bare)
        overlays = (overlay.mark for pin in self.layout.pins for overlay in pin.overlays)
        marks = (*self.watermarks, *self.backdrops, *overlays)
        return frozenset({s.image for s in surfaces} | {mark.image for mark in marks}) - {""}

    def with_images(self, names: Mapping[str, str]) -> Scene:
        """The same with each image's name replaced by `names`; "" there: without it, and so without its mark,
        and without a pane's or somebody's own placeholder of which nothing is left."""

        def surface(old: Surface) -> Surface:
            return replace(old, image=names[old.image]) if old.image else old

        def own(old: Surface) -> Surface | None:
            return surface(old) if old.color or not old.image or names[old.image] else None

        def marks(old: tuple[Watermark, ...]) -> tuple[Watermark, ...]:
            kept = (mark for mark in old if not mark.image or names[mark.image])
            return tuple(replace(mark, image=names[mark.image]) if mark.image else mark for mark in kept)

        def overlays(pin: Pin) -> tuple[Overlay, ...]:
            return tuple(replace(old, mark=mark) for old in pin.overlays for mark in marks((old.mark,)))

        panes = tuple(
            pane if pane.placeholder is None else replace(pane, placeholder=own(pane.placeholder))
            for pane in self.layout.panes
        )
        pins = tuple(replace(pin, overlays=overlays(pin)) if pin.overlays else pin for pin in self.layout.pins)
        return replace(
            self,
            layout=replace(self.layout, panes=panes, pins=pins),
            background=surface(self.background),
            backdrops=marks(self.backdrops),
            placeholder=surface(self.placeholder),
            bare=None if self.bare is None else surface(self.bare),
            placeholders={
                identity: found for identity, old in self.placeholders.items() if (found := own(old)) is not None
            },
            watermarks=marks(self.watermarks),
        )


def check_source(value: str) -> None:
    """ValueError unless it is a kind of picture, or empty for any."""
    if value not in ("", "camera", "screen"):
        raise ValueError(f"a pane's source must be 'camera', 'screen' or '', not {value!r}")


def check_color(value: str) -> None:
    """ValueError unless it is "#rrggbb"."""
    if not _COLOR.match(value):
        raise ValueError(f"a colour is '#rrggbb', not {value!r}")


def check_image(value: str) -> None:
    """ValueError unless it is empty or a SHA-256 in lower case hex."""
    if value and not _IMAGE.match(value):
        raise ValueError("an image is named by its SHA-256 in lower case hex")
