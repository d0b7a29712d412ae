"""Tencent's layouts as layouts of the domain, whose engine gives the same geometry (section 2.6).

Modes 1 to 3 of MixLayoutParams; the templates of StartMCUMixTranscode have no geometry of their own documented, so
they have the same for up to 16. Draws nothing and knows no people: who is there decides at each frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from reelroom.domain.layout import beside, floating, grid
from reelroom.domain.scene import Fit, Layout, Place, Preset, Run, Table, Vacant

FLOATING, SCREEN, GRID, CUSTOM = 1, 2, 3, 4  # MixLayoutMode
MAX_PANES = 25
MAX_MCU = 16

FITS = {0: Fit.STRETCH, 1: Fit.CROP, 2: Fit.FIT, 3: Fit.SMART}  # RenderMode of API 3.0
MCU_FITS = {0: Fit.CROP, 1: Fit.STRETCH, 2: Fit.FIT}  # of StartMCUMixTranscode: crop, scale, scale with bars

_GRID = (grid(1, 1), grid(2, 1), grid(2, 2), grid(3, 3), grid(4, 4), grid(5, 5))
_FLOATING = (floating(235, 12, 4, 4), floating(188, 10, 5, 5))
_BESIDE = (beside(5, 4, 1), beside(7, 6, 1), beside(9, 8, 1), beside(10, 8, 2), beside(10, 8, 2, below=8))
_MCU_FLOATING = (floating(235, 12, 4, 4),)
_MCU_BESIDE = _BESIDE[:4]


def _mirrored(table: Table) -> Table:
    """Left for right."""

    def run(old: Run) -> Run:
        return Run(
            x=table.columns - old.x - old.width,
            y=old.y, width=old.width, height=old.height, dx=-old.dx, dy=old.dy, count=old.count,
        )  # fmt: skip

    x, y, width, height = table.large or (0, 0, table.columns, table.rows)
    return Table(
        columns=table.columns,
        rows=table.rows,
        large=None if table.large is None else (table.columns - x - width, y, width, height),
        runs=tuple(run(old) for old in table.runs),
    )


def template(mode: int, fit: Fit, focus: str = "", focus_source: str = "", right: bool = False) -> Layout:
    """Modes 1 to 3. `focus`: MaxResolutionUserId, "" when it is not given. `right`: mode 2, the large one there."""
    made = Layout(preset=Preset.TABLES, tables=_GRID, fit=fit, screen_fit=fit, max_panes=MAX_PANES)
    if mode == FLOATING:
        vacant = Vacant.WAIT if focus else Vacant.FILL
        return msgspec.structs.replace(made, tables=_FLOATING, focus=focus, focus_source=focus_source, vacant=vacant)
    if mode == SCREEN:
        tables = tuple(_mirrored(table) for table in _BESIDE) if right else _BESIDE
        return msgspec.structs.replace(made, tables=tables, focus=focus, focus_source=focus_source, vacant=Vacant.EMPTY)
    if mode == GRID:
        return made
    raise ValueError(f"layout mode {mode} has no geometry of its own")


def custom(places: Sequence[Place], keep_absent: bool, fit: Fit = Fit.CROP) -> Layout:
    """Mode 4: places with a user wait for that user, the others are taken in the order of entry."""
    return Layout(
        preset=Preset.CUSTOM, panes=tuple(places), fit=fit, screen_fit=fit, keep_absent=keep_absent, max_panes=MAX_PANES
    )


def ranks(layers: Sequence[int]) -> dict[int, int]:
    """Layers as the domain numbers them, in the same order."""
    return {layer: rank for rank, layer in enumerate(sorted(set(layers)))}


def mcu(template_: int, fit: Fit | None, focus: str = "", focus_source: str = "", right: bool = False) -> Layout:
    """Templates 0 floating, 1 grid, 2 screen share of StartMCUMixTranscode."""
    small = fit or Fit.CROP
    made = Layout(preset=Preset.TABLES, tables=_GRID[:5], fit=small, screen_fit=small, max_panes=MAX_MCU)
    if template_ == 1:
        return made
    named = msgspec.structs.replace(made, focus=focus, focus_source=focus_source)
    if template_ == 0:
        return msgspec.structs.replace(named, tables=_MCU_FLOATING, vacant=Vacant.WAIT if focus else Vacant.FILL)
    tables = tuple(_mirrored(table) for table in _MCU_BESIDE) if right else _MCU_BESIDE
    return msgspec.structs.replace(named, tables=tables, vacant=Vacant.EMPTY, large_fit=fit or Fit.STRETCH)
