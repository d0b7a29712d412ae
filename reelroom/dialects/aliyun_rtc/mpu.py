"""Custom layouts, which LayoutIds refer to (section 2.6): made, changed, listed, deleted. Draws nothing."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.dialects.aliyun_rtc import errors, layouts
from reelroom.dialects.aliyun_rtc.layouts import Shape
from reelroom.dialects.aliyun_rtc.wire import (
    LayoutCreate,
    LayoutList,
    LayoutModify,
    LayoutOne,
    MpuPane,
    SystemLayoutList,
    own,
    parse,
)
from reelroom.store import tables

DIALECT = "aliyun_rtc.mpu"  # of the rows
FOR_EVER_NS = 1 << 62
MAX_LAYOUTS = 1000  # of an app
_FIRST_ID = 10**8  # system layouts have small numbers
_SYSTEM_VOICES = 6
_IN_FRONT = (3, 4)  # system layouts whose second pane lies over the first


class MpuLayouts:
    """All custom layouts; each is an app's."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def shapes(self, app: AppContext, ids: Collection[int]) -> dict[int, Shape]:
        """Those of `ids` that are custom layouts of the app."""
        found = await self._kept(app, [one for one in ids if one >= _FIRST_ID])
        return {id_: _shape(kept) for id_, kept in found.items()}

    async def create(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        request = parse(LayoutCreate, given)
        own(app, request.AppId)
        kept = {
            "Name": request.Name,
            "AudioMixCount": request.AudioMixCount,
            "Panes": _checked(request.Panes),
        }
        if len(await self._kept(app)) >= MAX_LAYOUTS:
            raise errors.unsupported(f"more than {MAX_LAYOUTS} layouts of an app")
        while True:
            id_ = _FIRST_ID + secrets.randbelow(9 * _FIRST_ID)
            try:
                async with self._context.database.transaction() as session:
                    session.add(_row(app, id_, kept))
            except IntegrityError:
                continue  # the number is taken
            return {"LayoutId": id_}

    async def modify(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        """What is given replaces what was there. Tasks keep the layout that they began with."""
        request = parse(LayoutModify, given)
        own(app, request.AppId)
        changes: dict[str, Any] = {}
        if request.Name is not None:
            changes["Name"] = request.Name
        if request.AudioMixCount is not None:
            changes["AudioMixCount"] = request.AudioMixCount
        if request.Panes:
            changes["Panes"] = _checked(request.Panes)
        async with self._context.database.transaction() as session:
            row = await session.get(tables.DialectState, (DIALECT, _key(app, request.LayoutId)), with_for_update=True)
            if row is None:
                raise errors.wrong("LayoutIds", f"there is no custom layout {request.LayoutId}")
            row.data = {**row.data, **changes}
        return {}

    async def delete(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        request = parse(LayoutOne, given)
        own(app, request.AppId)
        await self._one(app, request.LayoutId)
        row = tables.DialectState
        async with self._context.database.transaction() as session:
            await session.execute(delete(row).where(row.dialect == DIALECT, row.key == _key(app, request.LayoutId)))
        return {}

    async def describe_all(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        """DescribeMPULayoutInfoList."""
        request = parse(LayoutList, given)
        own(app, request.AppId)
        found = await self._kept(app)
        chosen = {
            id_: kept
            for id_, kept in found.items()
            if (request.LayoutId is None or request.LayoutId == id_)
            and (request.Name is None or request.Name in kept["Name"])
        }
        return _page(chosen, request.PageNum, request.PageSize)

    async def describe_one(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        """DescribeMPULayoutInfo."""
        request = parse(LayoutOne, given)
        own(app, request.AppId)
        return {"Layout": _described(request.LayoutId, await self._one(app, request.LayoutId))}

    async def describe_ids(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        """DescribeMPULayoutList, the older form."""
        request = parse(LayoutList, given)
        own(app, request.AppId)
        return {"LayoutIds": {"LayoutId": list(await self._kept(app))}}

    async def describe_system(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        request = parse(SystemLayoutList, given)
        system = {
            id_: {
                "Name": layouts.NAMES[id_],
                "AudioMixCount": _SYSTEM_VOICES,
                "Panes": _system(shape, front=id_ in _IN_FRONT),
            }
            for id_, shape in layouts.SYSTEM.items()
        }
        return _page(system, request.PageNum, request.PageSize)

    async def _one(self, app: AppContext, id_: int) -> dict[str, Any]:
        found = await self._kept(app, [id_])
        if id_ not in found:
            raise errors.wrong("LayoutIds", f"there is no custom layout {id_}")
        return found[id_]

    async def _kept(self, app: AppContext, ids: Sequence[int] | None = None) -> dict[int, dict[str, Any]]:
        """By id, the newest first; all without `ids`."""
        row = tables.DialectState
        query = select(row).where(row.dialect == DIALECT, row.app == app.id)
        if ids is not None:
            if not ids:
                return {}
            query = query.where(row.key.in_([_key(app, id_) for id_ in ids]))
        async with self._context.database.reading() as session:
            found = (await session.scalars(query.order_by(row.created_ns.desc(), row.key))).all()
        return {int(one.key.rpartition("/")[2]): dict(one.data) for one in found}


def _row(app: AppContext, id_: int, kept: dict[str, Any]) -> tables.DialectState:
    return tables.DialectState(
        dialect=DIALECT,
        key=_key(app, id_),
        app=app.id,
        data=kept,
        created_ns=time.time_ns(),
        expires_ns=FOR_EVER_NS,
    )


def _key(app: AppContext, id_: int) -> str:
    return f"{app.id}/{id_}"


def _checked(panes: Sequence[MpuPane]) -> list[dict[str, Any]]:
    """By PaneId."""
    ordered = sorted(panes, key=lambda pane: pane.PaneId)
    if [pane.PaneId for pane in ordered] != list(range(len(ordered))):
        raise errors.wrong("Panes", "their PaneIds must be 0, 1, 2… without a gap")
    if sum(pane.MajorPane for pane in ordered) > 1:
        raise errors.wrong("Panes", "more than one is the MajorPane")
    for pane in ordered:
        if pane.X + pane.Width > 1 + 1e-9 or pane.Y + pane.Height > 1 + 1e-9:
            raise errors.wrong("Panes", f"pane {pane.PaneId} reaches beyond the canvas")
    return [pane.model_dump(mode="json") for pane in ordered]


def _shape(kept: Mapping[str, Any]) -> Shape:
    panes: list[dict[str, Any]] = kept["Panes"]
    return Shape(
        panes=tuple((one["X"], one["Y"], one["Width"], one["Height"]) for one in panes),
        z=tuple(one["ZOrder"] for one in panes),
        major=next((one["PaneId"] for one in panes if one["MajorPane"]), None),
        voices=kept["AudioMixCount"],
    )


def _system(shape: Shape, front: bool) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for number, (x, y, width, height) in enumerate(shape.panes):
        pane = {"PaneId": number, "MajorPane": int(not number), "X": x, "Y": y, "Width": width, "Height": height}
        made.append({**pane, "ZOrder": int(front and number == 1)})
    return made


def _page(found: Mapping[int, dict[str, Any]], number: int, size: int) -> dict[str, Any]:
    listed = [_described(id_, kept) for id_, kept in found.items()]
    return {
        "TotalNum": len(listed),
        "TotalPage": -(-len(listed) // size),
        "Layouts": {"Layout": listed[(number - 1) * size : number * size]},
    }


def _described(id_: int, kept: dict[str, Any]) -> dict[str, Any]:
    """As the vendor's clients read it: lists in an object of their own."""
    return {"LayoutId": id_, **kept, "Panes": {"Panes": kept["Panes"]}}
