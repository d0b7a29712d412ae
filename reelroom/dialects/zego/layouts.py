"""ZEGO's layouts 1 to 5 of mixed recordings (section 3) as layouts of the domain, whose engine gives the same geometry.

Tables are in the vendor's tiers: cells that nobody is in stay empty. Draws nothing and knows no people.
"""

from __future__ import annotations

from collections.abc import Sequence

from reelroom.domain.layout import grid
from reelroom.domain.scene import Fit, Layout, Place, Preset, Run, Table, Vacant

CUSTOM, TILE, HORIZONTAL, VERTICAL, FLOATING = range(1, 6)
MAX_VIEWS = 25

_TILE = tuple(
    grid(columns, rows)
    for columns, rows in ((1, 1), (2, 1), (2, 2), (3, 2), (3, 3), (4, 3), (4, 4), (5, 4), (5, 5))
)  # fmt: skip


def _row(x: int, y: int, count: int, dx: int = 1) -> Run:
    return Run(x=x, y=y, width=1, height=1, dx=dx, count=count)


def _column(x: int, y: int, count: int) -> Run:
    return Run(x=x, y=y, width=1, height=1, dy=1, count=count)


#: For up to 5, 9, 17 and 25 views, the large one among them.
_HORIZONTAL = (
    Table(columns=4, rows=4, large=(0, 1, 4, 3), runs=(_row(0, 0, 4),)),
    Table(columns=8, rows=8, large=(0, 1, 8, 7), runs=(_row(0, 0, 8),)),
    Table(columns=8, rows=8, large=(0, 2, 8, 6), runs=(_row(0, 0, 8), _row(0, 1, 8))),
    Table(columns=9, rows=8, large=(0, 2, 8, 6), runs=(_row(0, 0, 8), _row(0, 1, 8), _column(8, 0, 8))),
)
_VERTICAL = (
    Table(columns=4, rows=4, large=(0, 0, 3, 4), runs=(_column(3, 0, 4),)),
    Table(columns=8, rows=8, large=(0, 0, 7, 8), runs=(_column(7, 0, 8),)),
    Table(columns=8, rows=8, large=(0, 0, 6, 8), runs=(_column(6, 0, 8), _column(7, 0, 8))),
    Table(columns=8, rows=9, large=(0, 0, 6, 8), runs=(_column(6, 0, 8), _column(7, 0, 8), _row(0, 8, 8))),
)
_FLOATING = (
    Table(columns=4, rows=4, large=(0, 0, 4, 4), runs=(_row(3, 3, 4, -1),)),
    *(
        Table(columns=8, rows=8, large=(0, 0, 8, 8), runs=tuple(_row(7, 7 - row, 8, -1) for row in range(rows)))
        for rows in (1, 2, 3)
    ),
)
_TABLES = {TILE: _TILE, HORIZONTAL: _HORIZONTAL, VERTICAL: _VERTICAL, FLOATING: _FLOATING}
FITS = {1: Fit.CROP, 2: Fit.FIT}


def preset(mode: int, fill_mode: int | None = None, focus: str = "", source: str = "") -> Layout:
    """MixMode 2 to 5. `fill_mode` None: what the guide says, the large view whole and the others cropped.

    `focus` and `source`: whose picture is in the large view, "" when nobody is named.
    """
    large = mode != TILE
    fit = FITS[fill_mode or 1]
    return Layout(
        preset=Preset.TABLES,
        tables=_TABLES[mode],
        fit=fit,
        screen_fit=fit,
        large_fit=(Fit.FIT if fill_mode is None else fit) if large else None,
        focus=focus if large else "",
        focus_source=source if large else "",
        vacant=Vacant.WAIT,  # the large view of somebody named who is not there shows the background
        max_panes=MAX_VIEWS,
    )


def custom(places: Sequence[Place]) -> Layout:
    """MixMode 1: views with a stream wait for it, the others take the remaining streams in join order."""
    return Layout(preset=Preset.CUSTOM, panes=tuple(places), screen_fit=Fit.CROP, max_panes=MAX_VIEWS)
