"""The four recording actions of Alibaba Cloud Live as use cases: start, update, stop, describe. Holds no HTTP."""

from __future__ import annotations

import time
import uuid
from typing import Any

import msgspec

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.errors import ControlError
from reelroom.control.library import MediaQuery
from reelroom.control.new_recording import NewRecording
from reelroom.control.recordings import SceneChange
from reelroom.dialects.aliyun_live import answers, errors, translate
from reelroom.dialects.aliyun_live.naming import recording_id, task_id
from reelroom.dialects.aliyun_live.wire import StartRequest, TaskRequest, UpdateRequest, parse
from reelroom.domain.recording import ACTIVE, RecordingSpec, State
from reelroom.store import tables

DIALECT = "aliyun_live"
ASKED_NS = 3 * 86_400 * 10**9  # tasks that are older cannot be described
MAX_MEDIA = 5000


class Tasks:
    """Everything behind the actions."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def start(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        request = parse(StartRequest, given)
        if request.AppId != app.secrets["aliyun"]["app_id"]:
            raise errors.invalid("AppId", "does not belong to this account")
        id_, now = uuid.uuid4().hex, time.time_ns()
        made = translate.start(request, app, id_, now)
        await self._check_users(app, made.spec.room)
        coding = request.MixTranscodeParams
        new = NewRecording(
            app=app,
            spec=made.spec,
            destination=made.destination,
            must_resolve=made.must_resolve,
            callback=made.callback,
            dialect=DIALECT,
            dialect_data={
                "app_id": request.AppId,
                "formats": made.formats,
                "stream_type": request.RecordParams.StreamType,
                "fill": coding.FrameFillType if coding else 0,
            },
            images=made.images,
            library=made.library,
        )
        await self._context.starts.start(new)
        return {"TaskId": task_id(id_)}

    async def _check_users(self, app: AppContext, room: str) -> None:
        """A task fails to start in a channel that nobody is in."""
        try:
            found = await self._context.rooms.get(app.id, room)
        except ControlError as error:
            if error.kind != "not_found":
                raise
            found = {"participants": []}
        if not found["participants"]:
            raise errors.invalid("ChannelId", "nobody is in the channel")

    async def update(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        request = parse(UpdateRequest, given)
        row = await self._running(app, request.TaskId)
        spec = msgspec.convert(row.spec, RecordingSpec)
        subscription, shown = translate.update(request, spec, row.dialect_data)
        change = None if shown is None else SceneChange(lambda _: shown.scene, shown.images)
        await self._context.recordings.change(app.id, row.id, subscription, change)
        return {"TaskId": request.TaskId}

    async def stop(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        row = await self._running(app, parse(TaskRequest, given).TaskId)
        await self._context.recordings.stop(app.id, row.id)
        async with self._context.database.transaction() as session:
            kept = await session.get_one(tables.Recording, row.id, with_for_update=True)
            kept.dialect_data = {**kept.dialect_data, "stopped": True}  # the recorder takes a moment to say so itself
        return {"TaskId": task_id(row.id)}

    async def describe(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        row = await self._task(app, parse(TaskRequest, given).TaskId)
        if row.created_ns < time.time_ns() - ASKED_NS:
            raise errors.no_task()
        files: list[tables.File] = []
        media: list[tables.Media] = []
        if row.library is None:
            found = await self._context.recordings.files(app.id, row.id, ("playlist", "file"))
            # A playlist that grows is pending again and again.
            files = [file for file in found if file.uploaded_ns is not None and file.state != "deleted"]
        else:
            query = MediaQuery(recordings=[row.id])
            page, _ = await self._context.library.search(app.id, query, limit=MAX_MEDIA, ascending=True)
            media = list(page)
        said = answers.status(State(row.state), bool(row.dialect_data.get("stopped")))
        return {"TaskInfo": answers.task_info(task_id(row.id), said, files, media)}

    async def _task(self, app: AppContext, task: str) -> tables.Recording:
        try:
            row = await self._context.recordings.get(app.id, recording_id(task))
        except ControlError as error:
            if error.kind != "not_found":
                raise
            raise errors.no_task() from None
        if row.dialect != DIALECT:
            raise errors.no_task()
        return row

    async def _running(self, app: AppContext, task: str) -> tables.Recording:
        row = await self._task(app, task)
        if State(row.state) not in ACTIVE or row.dialect_data.get("stopped"):
            raise errors.not_running("the task is not running")
        return row
