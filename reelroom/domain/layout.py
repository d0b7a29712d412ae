"""Who stands where on the canvas of a mixed recording: people and a layout in, panes out. Pure; draws nothing.

Geometry is whole numbers of a table's units (or exact fractions) until the last step, where each edge goes to the
nearest even pixel. Neighbours share an edge, so they never overlap and leave no gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import cache
from typing import NamedTuple

from reelroom.domain.scene import Fit, Layout, Overlay, Pin, Place, Preset, Run, Surface, Table, Vacant

_EXACT = 1_000_000  # denominators up to here are restored from floats: six decimals, and all thirds and sevenths
_SECOND = 1_000_000_000


class Person(NamedTuple):
    """Somebody who may have a pane: one per picture, so that a camera and a screen are two of them."""

    identity: str
    source: str  # "camera" or "screen"
    order: int  # who came first has the least
    picture: bool  # whether they send one now
    width: int = 0  # of their picture in pixels; 0: not known
    height: int = 0
    spoke_ns: int = 0  # room time at which they last spoke; 0: never


class Pane(NamedTuple):
    """A rectangle of the canvas in even pixels, and whose picture goes into it."""

    identity: str  # "": nobody's, the placeholder is drawn
    source: str
    x: int
    y: int
    width: int
    height: int
    z: int
    fit: Fit
    alpha: float
    placeholder: Surface | None = None  # instead of the scene's
    overlays: tuple[Overlay, ...] = ()  # from back to front


class _Rect(NamedTuple):
    """Fractions of the canvas, and what a table's pane has besides."""

    x: Fraction
    y: Fraction
    width: Fraction
    height: Fraction
    z: int = 0
    overlays: tuple[Overlay, ...] = ()


_Seat = tuple[Person | None, _Rect, bool]  # who, where, whether it is the large one
_WHOLE = _Rect(Fraction(0), Fraction(0), Fraction(1), Fraction(1))


def arrange(
    layout: Layout, width: int, height: int, people: Iterable[Person], now_ns: int, speaker: str | None = None
) -> tuple[Pane, ...]:
    """The panes from back to front. `width` and `height` of the canvas must be even.

    `speaker`: whom `Speaker` chose; None: whoever spoke last (which jumps to and fro between two who talk at once).
    """
    present = sorted(people, key=lambda person: (person.order, person.source != "camera", person.identity))
    if layout.preset is Preset.CUSTOM:
        return _custom(layout, width, height, present)
    if speaker is None:
        speaker = max(
            (person for person in present if 0 < person.spoke_ns <= now_ns),
            key=lambda person: person.spoke_ns,
            default=Person("", "", 0, False),
        ).identity
    return _seated(layout, width, height, present, speaker)


def _seated(layout: Layout, width: int, height: int, present: list[Person], speaker: str) -> tuple[Pane, ...]:
    grid = layout.preset is Preset.BEST_FIT
    reserved = layout.vacant is Vacant.EMPTY or (layout.vacant is Vacant.WAIT and layout.focus != "")
    focus = None if grid else _large(layout, reserved, present, speaker)
    if layout.preset is Preset.SCREEN_SHARE and focus is None and not reserved:
        grid = True  # nothing is shared
    shown = [person for person in present if person is not focus][: layout.max_panes - (focus is not None)]
    if focus is not None:
        shown = sorted([focus, *shown], key=present.index)
    if layout.alone_fills and len(present) == 1 and not layout.focus:
        return _panes(layout, width, height, [(present[0], _WHOLE, True)])
    tables = [best_fit(len(shown), portrait=height > width)] if grid else _tables(layout)
    table = _choose(tables, len(shown), focus is not None)
    seats: list[_Seat] = []
    if table.large is not None:
        seats.append((focus, _rect(table, *table.large), True))
        shown = [person for person in shown if person is not focus]
    first = len(seats) + table.first
    seats += [(None, rect, False) for rect in _cells(table)]
    if layout.pins:
        shown = _pin(layout.pins, seats, shown)
    waiting = iter(shown)
    for number in [first, *range(len(seats))] if table.first else range(len(seats)):
        person, rect, large = seats[number]
        if person is None and not large:
            seats[number] = (next(waiting, None), rect, large)
    return _panes(layout, width, height, [seat for seat in seats if seat[0] is not None])


def _large(layout: Layout, reserved: bool, present: list[Person], speaker: str) -> Person | None:
    """Who has the large pane of a preset that has one."""
    if layout.focus:
        for person in present:
            if person.identity == layout.focus and layout.focus_source in ("", person.source):
                return person
    if reserved or not present:
        return None
    if layout.preset is Preset.SCREEN_SHARE:
        return next((person for person in present if person.source == "screen"), None)
    if layout.follow_speaker and speaker:
        for person in present:
            if person.identity == speaker and person.source == "camera":
                return person
    return present[0]


def _pin(pins: Sequence[Pin], seats: list[_Seat], others: list[Person]) -> list[Person]:
    """Seat who is pinned, and return who is left."""
    left = [seat for seat, *_ in seats if seat is not None] + others
    pinned: dict[int, Person] = {}
    for pin in pins:
        if pin.pane < len(seats) and pin.overlays:
            seat, rect, large = seats[pin.pane]
            seats[pin.pane] = (seat, rect._replace(overlays=pin.overlays), large)
        found = next((p for p in left if p.identity == pin.identity and pin.source in ("", p.source)), None)
        if found is not None and pin.identity and pin.pane < len(seats):
            pinned[pin.pane] = found
            left.remove(found)
    for number, (seat, rect, large) in enumerate(seats):
        if number in pinned:
            seats[number] = (pinned[number], rect, large)
        elif seat is not None and seat not in left:  # who was large is pinned elsewhere
            seats[number] = (left.pop(0) if left else None, rect, large)
        elif seat is not None:
            left.remove(seat)
    return left


def _custom(layout: Layout, width: int, height: int, present: list[Person]) -> tuple[Pane, ...]:
    waiting = list(present)
    owners: list[Person | None] = []
    for place in layout.panes:
        owner = None
        if place.identity is not None:
            owner = next((p for p in waiting if p.identity == place.identity and place.source in ("", p.source)), None)
            if owner is not None:
                waiting.remove(owner)
        owners.append(owner)
    panes: list[tuple[int, Pane]] = []
    for place, pinned in zip(layout.panes, owners, strict=True):
        owner = pinned
        if place.identity is None:
            owner = next((p for p in waiting if place.source in ("", p.source)), None)
            if owner is not None:
                waiting.remove(owner)
        if owner is None and not layout.keep_absent:
            continue
        pane = _place(layout, place, width, height, owner)
        if pane is not None:
            panes.append((place.z, pane))
    return tuple(pane for _, pane in sorted(panes, key=lambda found: found[0]))  # stable: later ones in front


def _place(layout: Layout, place: Place, width: int, height: int, owner: Person | None) -> Pane | None:
    x, y, w, h = (Fraction(value).limit_denominator(_EXACT) for value in (place.x, place.y, place.width, place.height))
    if not place.fractions:
        x, y, w, h = x / width, y / height, w / width, h / height
    box = _pixels(_Rect(x, y, w, h), width, height)
    if box is None or place.alpha == 0:
        return None
    identity = owner.identity if owner else place.identity or ""
    source = owner.source if owner else place.source or "camera"
    fit = place.fit or _fit(layout, owner, False)
    return Pane(identity, source, *box, place.z, fit, place.alpha, place.placeholder)


def _panes(layout: Layout, width: int, height: int, seats: Iterable[_Seat]) -> tuple[Pane, ...]:
    made = []
    for person, rect, large in seats:
        box = _pixels(rect, width, height)
        if box is not None and person is not None:
            fit = _fit(layout, person, large)
            z = 0 if large else 1 + rect.z
            made.append(Pane(person.identity, person.source, *box, z, fit, 1.0, overlays=rect.overlays))
    return tuple(sorted(made, key=lambda pane: pane.z))  # stable: later ones in front


def _fit(layout: Layout, person: Person | None, large: bool) -> Fit:
    if large and layout.large_fit is not None:
        return layout.large_fit
    return layout.screen_fit if person is not None and person.source == "screen" else layout.fit


def check_layout(layout: Layout, width: int, height: int) -> None:
    """ValueError when a custom pane does not lie within a canvas of this size."""
    for number, place in enumerate(layout.panes):
        right, bottom = (1, 1) if place.fractions else (width, height)
        if place.x + place.width > right + 1e-6 or place.y + place.height > bottom + 1e-6:
            raise ValueError(f"layout.panes[{number}] reaches beyond the canvas ({right} x {bottom})")


# From fractions to pixels


def _even(value: Fraction) -> int:
    """The nearest even number; of two that are as near, the higher."""
    return 2 * ((value + 1) // 2)


def _pixels(rect: _Rect, width: int, height: int) -> tuple[int, int, int, int] | None:
    """x, y, width, height in even pixels within the canvas; None when nothing is left."""
    left, top = _even(rect.x * width), _even(rect.y * height)
    right, bottom = _even((rect.x + rect.width) * width), _even((rect.y + rect.height) * height)
    right, bottom = min(right, width), min(bottom, height)
    return (left, top, right - left, bottom - top) if left < right and top < bottom else None


def _rect(table: Table, x: int, y: int, width: int, height: int) -> _Rect:
    columns, rows = table.columns, table.rows
    return _Rect(Fraction(x, columns), Fraction(y, rows), Fraction(width, columns), Fraction(height, rows))


def _cells(table: Table) -> Iterator[_Rect]:
    for run in table.runs:
        for n in range(run.count):
            yield _rect(table, run.x + n * run.dx, run.y + n * run.dy, run.width, run.height)._replace(z=run.z)


# The presets' tables


def _choose(tables: Sequence[Table], people: int, focus: bool) -> Table:
    """The first with a pane for everybody, else the last. Without a focus a large pane is nobody's."""
    return next((t for t in tables if t.cells + (focus and t.large is not None) >= people), tables[-1])


def _tables(layout: Layout) -> Sequence[Table]:
    return layout.tables if layout.preset is Preset.TABLES else PRESETS[layout.preset]


def grid(columns: int, rows: int) -> Table:
    """Equal cells over the whole canvas, row by row."""
    return Table(
        columns=columns,
        rows=rows,
        runs=tuple(Run(x=0, y=row, width=1, height=1, dx=1, count=columns) for row in range(rows)),
    )


@cache
def best_fit(count: int, portrait: bool = False) -> Table:
    """The grid nearest to a square that has `count` cells (64 at most); a last row that is not full is centred."""
    count = min(max(count, 1), 64)
    long = next(n for n in range(1, 9) if n * n >= count)
    short = -(-count // long)
    columns, rows = (short, long) if portrait else (long, short)
    runs = []
    for row in range(rows):
        here = min(columns, count - row * columns)
        if here > 0:  # half cells are the unit, for the centred row
            runs.append(Run(x=columns - here, y=row, width=2, height=1, dx=2, count=here))
    return Table(columns=2 * columns, rows=rows, runs=tuple(runs))


def floating(cell: int, gap: int, columns: int, rows: int) -> Table:
    """Small panes over a large one, from the lower left to the right and upwards. Thousandths of each side."""
    step = cell + gap
    return Table(
        columns=1000,
        rows=1000,
        large=(0, 0, 1000, 1000),
        runs=tuple(
            Run(x=gap, y=1000 - (row + 1) * step, width=cell, height=cell, dx=step, count=columns)
            for row in range(rows)
        ),
    )


def beside(columns: int, rows: int, strips: int, below: int = 0) -> Table:
    """A large pane at the upper left, `strips` columns of small ones at the right from the top down, and `below` in
    the lowest row, which the large pane then leaves free."""
    runs = [Run(x=columns - strips + n, y=0, width=1, height=1, dy=1, count=rows) for n in range(strips)]
    if below:
        runs.append(Run(x=0, y=rows - 1, width=1, height=1, dx=1, count=below))
    return Table(columns=columns, rows=rows, large=(0, 0, columns - strips, rows - bool(below)), runs=tuple(runs))


def transposed(table: Table) -> Table:
    """Rows for columns."""
    large = table.large and (table.large[1], table.large[0], table.large[3], table.large[2])
    runs = tuple(
        Run(x=run.y, y=run.x, width=run.height, height=run.width, dx=run.dy, dy=run.dx, count=run.count)
        for run in table.runs
    )
    return Table(columns=table.rows, rows=table.columns, large=large, runs=runs)


_ALONE = Table(columns=1, rows=1, large=(0, 0, 1, 1))
_BESIDE = (_ALONE, beside(5, 4, 1), beside(7, 6, 1), beside(9, 8, 1), beside(10, 8, 2), beside(10, 8, 2, below=8))

PRESETS: dict[Preset, tuple[Table, ...]] = {
    Preset.FLOATING: (floating(235, 12, 4, 4), floating(188, 10, 5, 5)),
    Preset.VERTICAL: _BESIDE,
    Preset.HORIZONTAL: tuple(transposed(table) for table in _BESIDE),
    Preset.SCREEN_SHARE: _BESIDE,
    Preset.PICTURE_IN_PICTURE: (
        Table(columns=40, rows=40, large=(0, 0, 40, 40), runs=(Run(x=29, y=29, width=10, height=10),)),
    ),
}


# Who speaks


class Speaker:
    """Whom a layout follows. Somebody else takes over who has spoken for `START_S` while they have been silent for
    `SILENT_S`, and at the earliest `STAY_S` after the last change: coughs and "mhm" change nothing."""

    START_S = 0.6
    SILENT_S = 1.0
    STAY_S = 2.0

    def __init__(self) -> None:
        self._current = ""
        self._since_ns = 0
        self._talking: dict[str, tuple[int, int]] = {}  # identity → room time since when they talk, and last did

    def choose(self, people: Iterable[Person], now_ns: int) -> str:
        """The identity to follow; "" while nobody has spoken. Call it at least a few times a second."""
        silent_ns = int(self.SILENT_S * _SECOND)
        talking: dict[str, tuple[int, int]] = {}
        here = set()
        for person in people:
            here.add(person.identity)
            if person.spoke_ns and now_ns - person.spoke_ns < silent_ns:
                since, _ = self._talking.get(person.identity, (person.spoke_ns, 0))
                talking[person.identity] = (since, person.spoke_ns)
        self._talking = talking
        if self._current not in here:
            self._current, self._since_ns = "", 0
        if self._current in talking or (self._current and now_ns - self._since_ns < self.STAY_S * _SECOND):
            return self._current
        least_ns = int(self.START_S * _SECOND) if self._current else 0  # the first one is shown at once
        ready = {who: times for who, times in talking.items() if times[1] - times[0] >= least_ns}
        if ready:
            self._current = max(ready, key=lambda who: (ready[who][1], -ready[who][0], who))
            self._since_ns = now_ns
        return self._current
