"""What is done with a task that was started: stop, pause, resume, another layout; and finding it. Holds no HTTP.

What each call says in each state of a task is here (sections 2.8 to 2.11). StartRecord is in `starts.py`; the calls
that change nothing are in `queries.py`.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.errors import ControlError
from reelroom.control.recordings import SceneChange
from reelroom.dialects.zego import errors, mixing, naming
from reelroom.dialects.zego.notes import tell_missing_images
from reelroom.dialects.zego.translate import MIXED
from reelroom.dialects.zego.wire import LayoutRequest, TaskRequest, parse
from reelroom.domain.mix import Mix
from reelroom.domain.recording import ACTIVE, State
from reelroom.store import tables

DIALECT = "zego"
SECOND_NS = 10**9
DAY_S = 86_400
KEPT_NS = 3 * DAY_S * SECOND_NS  # for so long a task can be asked for
SETTLE_S = 2.0  # how long a stop waits for the recorder to say that it did


class Locks:
    """One at a time for what names say; there is one control process, so a lock in memory will do."""

    def __init__(self) -> None:
        self._locks: weakref.WeakValueDictionary[tuple[str, ...], asyncio.Lock] = weakref.WeakValueDictionary()

    def of(self, app: AppContext, *names: str) -> asyncio.Lock:
        return self._locks.setdefault((app.id, *names), asyncio.Lock())


class Tasks:
    """One per control process (it holds locks)."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._locks = Locks()

    async def stop(self, app: AppContext, body: Mapping[str, Any]) -> None:
        task = naming.recording_id(parse(TaskRequest, body).TaskId)
        async with self._locks.of(app, task):
            await self._active(app, task)
            await self._context.recordings.stop(app.id, task)
            await self._context.recordings.wait(app.id, task, set(State) - ACTIVE, SETTLE_S)
            async with self._context.database.transaction() as session:
                row = await session.get_one(tables.Recording, task, with_for_update=True)
                if row.state in ACTIVE:  # the recorder takes a moment to say so itself
                    row.dialect_data = {**row.dialect_data, "stopped": True}

    async def pause(self, app: AppContext, body: Mapping[str, Any]) -> None:
        """Pausing what is paused changes nothing (unpublished)."""
        task = naming.recording_id(parse(TaskRequest, body).TaskId)
        async with self._locks.of(app, task):
            row = await self._active(app, task)
            if row.dialect_data["mode"] != MIXED:
                raise errors.invalid("TaskId: only tasks of RecordMode 2 can be paused")
            await self._context.recordings.pause(app.id, task)

    async def resume(self, app: AppContext, body: Mapping[str, Any]) -> None:
        task = naming.recording_id(parse(TaskRequest, body).TaskId)
        async with self._locks.of(app, task):
            await self._active(app, task)
            try:
                await self._context.recordings.resume(app.id, task)
            except ControlError as error:
                raise errors.not_paused() if error.kind == "conflict" else error from None

    async def update_layout(self, app: AppContext, body: Mapping[str, Any]) -> None:
        request = parse(LayoutRequest, body)
        row = await self._active(app, naming.recording_id(request.TaskId))
        kept = row.dialect_data
        if kept["mode"] != MIXED:
            raise errors.invalid("TaskId: only tasks of RecordMode 2 have a layout")
        if kept["stream_type"] == mixing.AUDIO_ONLY:
            return  # no layout has an effect on what is not seen
        mix = msgspec.convert(row.spec["mix"], Mix)
        images = mixing.Images()
        layout = mixing.layout(request, kept["fill_mode"], mix.width, mix.height, images, "")
        # Everything else stays as it was given at the start (section 2.9).
        change = SceneChange(lambda scene: replace(scene, layout=layout), images.sources)
        changed = await self._context.recordings.change(app.id, row.id, scene=change)
        await tell_missing_images(self._context, changed, replace(mix.scene, layout=layout), images.sources)

    async def _active(self, app: AppContext, task: str) -> tables.Recording:
        row = await found(self._context, app, task)
        if over(row):
            raise errors.task_ended()
        return row


async def found(context: Context, app: AppContext, task: str) -> tables.Recording:
    """ZegoError 300001000 when there is none of this app and API, or it began more than three days ago."""
    try:
        row = await context.recordings.get(app.id, task)
    except ControlError as error:
        if error.kind != "not_found":
            raise
        raise errors.no_task() from None
    if row.dialect != DIALECT or (over(row) and row.created_ns < time.time_ns() - KEPT_NS):
        raise errors.no_task()
    return row


def over(row: tables.Recording) -> bool:
    return row.state not in ACTIVE or bool(row.dialect_data.get("stopped"))
