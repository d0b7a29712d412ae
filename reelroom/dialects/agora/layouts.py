"""Agora's layouts 0 to 3 of mode mix (section 4) as layouts of the domain, whose engine gives the same geometry.

Draws nothing and knows no people: who is there decides at each frame.
"""

from __future__ import annotations

from collections.abc import Sequence

from reelroom.domain.layout import beside, floating, grid
from reelroom.domain.scene import Fit, Layout, Place, Preset, Run, Table, Vacant

FLOATING, BEST_FIT, VERTICAL, CUSTOM = range(4)
MAX_REGIONS = 17

_FLOATING = (floating(cell=235, gap=12, columns=4, rows=4),)
#: Four columns of fifths in the middle, and the seventeenth alone below them.
_SEVENTEEN = Table(
    columns=10,
    rows=5,
    runs=(
        *(Run(x=1, y=row, width=2, height=1, dx=2, count=4) for row in range(4)),
        Run(x=4, y=4, width=2, height=1),
    ),
)
_BEST_FIT = (grid(1, 1), grid(2, 1), grid(2, 2), grid(3, 3), grid(4, 4), _SEVENTEEN)
_VERTICAL = (beside(5, 4, 1), beside(7, 6, 1), beside(9, 8, 1), beside(10, 8, 2))


def preset(number: int, max_resolution_uid: str = "") -> Layout:
    """Layouts 0, 1 and 2. `max_resolution_uid` is for layout 2, "" when it is not given."""
    match number:
        case 0:
            return Layout(preset=Preset.TABLES, tables=_FLOATING, screen_fit=Fit.CROP, max_panes=MAX_REGIONS)
        case 1:
            return Layout(preset=Preset.TABLES, tables=_BEST_FIT, screen_fit=Fit.CROP, max_panes=MAX_REGIONS)
        case 2:
            return Layout(
                preset=Preset.TABLES,
                tables=_VERTICAL,
                screen_fit=Fit.CROP,
                large_fit=Fit.FIT,
                focus=max_resolution_uid,
                vacant=Vacant.EMPTY,
                alone_fills=True,
                max_panes=MAX_REGIONS,
            )
        case _:
            raise ValueError(f"layout {number} has no geometry of its own")


def custom(places: Sequence[Place]) -> Layout:
    """Layout 3: regions with a uid wait for that user, the others are taken in join order; later ones are above."""
    return Layout(
        preset=Preset.CUSTOM, panes=tuple(places), screen_fit=Fit.CROP, keep_absent=False, max_panes=MAX_REGIONS
    )
