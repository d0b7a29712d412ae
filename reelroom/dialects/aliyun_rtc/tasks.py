"""Record templates and record tasks of Alibaba Cloud RTC as use cases (sections 2.2 to 2.5, 2.9). Holds no HTTP."""

from __future__ import annotations

import asyncio
import glob
import time
import uuid
import weakref
from typing import Any

import msgspec
from sqlalchemy.exc import IntegrityError

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.errors import ControlError
from reelroom.control.recordings import SceneChange
from reelroom.control.templates import Template
from reelroom.dialects.aliyun_rtc import errors, files, translate
from reelroom.dialects.aliyun_rtc.templates import DIALECT, RECORD_TEMPLATES, body, opened
from reelroom.dialects.aliyun_rtc.times import iso, nanoseconds
from reelroom.dialects.aliyun_rtc.wire import (
    FileList,
    IndexRequest,
    StartTask,
    StopTask,
    TemplateDelete,
    TemplateList,
    TemplateRequest,
    TemplateUpdate,
    UpdateTask,
    parse,
)
from reelroom.domain.recording import ACTIVE, RecordingSpec, State
from reelroom.domain.rules import Per, Rule
from reelroom.store import tables

FOR_EVER_NS = 1 << 62
_NOT_SHOWN = frozenset({"AppId", "TemplateId"})


class Tasks:
    """Everything behind the actions; one per control process (it holds the locks)."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._locks: weakref.WeakValueDictionary[tuple[str, str], asyncio.Lock] = weakref.WeakValueDictionary()

    # templates

    async def add_template(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        request = parse(TemplateRequest, given)
        _own(app, request.AppId)
        translate.check_template(request, app)
        kept = request.model_dump(mode="json")
        made = await self._context.templates.create(app.id, RECORD_TEMPLATES, request.Name, kept, id=str(uuid.uuid4()))
        return {"TemplateId": made.id}

    async def update_template(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        """A replacement as a whole; tasks that run keep what they began with."""
        request = parse(TemplateUpdate, given)
        _own(app, request.AppId)
        translate.check_template(request, app)
        await self._template(app, request.TemplateId)
        kept = request.model_dump(mode="json", exclude={"TemplateId"})
        await self._context.templates.change(app.id, RECORD_TEMPLATES, request.TemplateId, request.Name, kept)
        return {"TemplateId": request.TemplateId}

    async def delete_template(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        request = parse(TemplateDelete, given)
        _own(app, request.AppId)
        await self._template(app, request.TemplateId)
        await self._context.templates.delete(app.id, RECORD_TEMPLATES, request.TemplateId)
        return {}

    async def list_templates(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        request = parse(TemplateList, given)
        _own(app, request.AppId)
        size = request.PageSize
        page, total = await self._context.templates.list(
            app.id, RECORD_TEMPLATES, request.TemplateIds, offset=(request.PageNum - 1) * size, limit=size
        )
        return {"TotalNum": total, "TotalPage": -(-total // size), "Templates": [_described(one) for one in page]}

    async def _template(self, app: AppContext, id_: str) -> TemplateRequest:
        try:
            found = await self._context.templates.get(app.id, RECORD_TEMPLATES, id_)
        except ControlError as error:
            if error.kind != "not_found":
                raise
            raise errors.no_template() from None
        return TemplateRequest.model_validate(found.body)

    # tasks

    async def start(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        """The task is a rule for its channel, which starts a recording now if somebody is there, else later."""
        request = parse(StartTask, given)
        _own(app, request.AppId)
        async with self._lock(app, request.TaskId):
            if await self._known(app, request.TaskId) is not None:
                raise errors.task_existed()
            template = await self._template(app, request.TemplateId)
            translate.spec(template, request, app, uuid.uuid4().hex, time.time_ns())  # whether it can be done
            made = await self._context.templates.create(app.id, DIALECT, request.TaskId, body(template, request))
            rule = Rule(
                template=made.id,
                per=Per.ROOM,
                room=glob.escape(request.ChannelId),
                resume_s=template.DelayStopTime,
            )
            try:
                stored = await self._context.rules.create(app.id, DIALECT, request.TaskId, rule)
                await self._remember(app, request.TaskId, {"template": made.id, "rule": stored.id})
            except (ControlError, IntegrityError):
                await self._context.templates.delete(app.id, DIALECT, made.id)
                raise
        return {}

    async def update(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        request = parse(UpdateTask, given)
        _own(app, request.AppId)
        async with self._lock(app, request.TaskId):
            known = await self._running(app, request.TaskId)
            kept = await self._context.templates.get(app.id, DIALECT, known["template"])
            _, before = opened(kept.body)
            if before.ChannelId != request.ChannelId:
                raise errors.wrong("ChannelId", "is not the task's")
            if before.MixMode == 0:
                raise errors.unsupported("a task of MixMode 0 cannot be updated")
            template = await self._template(app, request.TemplateId)
            task = StartTask.model_validate(request.model_dump())
            spec, images = translate.spec(template, task, app, uuid.uuid4().hex, time.time_ns())
            for row in await self._active(app, request.TaskId):
                _check_change(msgspec.convert(row.spec, RecordingSpec), spec)
                change = None
                if spec.mix is not None and spec.subscription.video is not None:
                    shown = spec.mix.scene
                    change = SceneChange(lambda _, shown=shown: shown, images)  # type: ignore[misc]
                await self._context.recordings.change(app.id, row.id, spec.subscription, change)
            await self._context.templates.change(app.id, DIALECT, known["template"], body=body(template, task))
            rule = self._context.rules.get(app.id, known["rule"]).rule
            resumed = msgspec.structs.replace(rule, resume_s=template.DelayStopTime)
            await self._context.rules.change(app.id, known["rule"], rule=resumed)
        return {}

    async def stop(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        request = parse(StopTask, given)
        _own(app, request.AppId)
        async with self._lock(app, request.TaskId):
            known = await self._running(app, request.TaskId)
            await self._context.rules.delete(app.id, known["rule"])
            await self._context.templates.delete(app.id, DIALECT, known["template"])
            await self._remember(app, request.TaskId, {**known, "stopped": True})
            for row in await self._active(app, request.TaskId):
                try:
                    await self._context.recordings.stop(app.id, row.id)
                except ControlError as error:
                    if error.kind != "conflict":  # it has just ended by itself
                        raise
        return {}

    # files

    async def list_files(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        request = parse(FileList, given)
        _own(app, request.AppId)
        from_ns = nanoseconds(request.StartTime, "StartTime") if request.StartTime else None
        until_ns = nanoseconds(request.EndTime, "EndTime") if request.EndTime else None
        rows = await files.recordings(self._context, app.id, request.TaskIds, request.ChannelId)
        found = await files.finished(self._context, rows, from_ns, until_ns)
        size, first = request.PageSize, (request.PageNum - 1) * request.PageSize
        total = len(found)
        return {"TotalNum": total, "TotalPage": -(-total // size), "RecordFiles": found[first : first + size]}

    async def index(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        """Ours: the overview promises an index of a chosen time, and no action of the vendor's makes one."""
        request = parse(IndexRequest, given)
        _own(app, request.AppId)
        from_ns, until_ns = nanoseconds(request.StartTime, "StartTime"), nanoseconds(request.EndTime, "EndTime")
        if from_ns >= until_ns:
            raise errors.wrong("EndTime", "must be later than StartTime")
        made = []
        for row in await files.recordings(self._context, app.id, [request.TaskId]):
            made += await files.index(self._context, row, from_ns, until_ns)
        if not made:
            raise files.no_files()
        return {"RecordInfos": made}

    # what they have in common

    def _lock(self, app: AppContext, task: str) -> asyncio.Lock:
        return self._locks.setdefault((app.id, task), asyncio.Lock())

    async def _known(self, app: AppContext, task: str) -> dict[str, Any] | None:
        async with self._context.database.reading() as session:
            row = await session.get(tables.DialectState, (DIALECT, _key(app, task)))
        return None if row is None else dict(row.data)

    async def _running(self, app: AppContext, task: str) -> dict[str, Any]:
        known = await self._known(app, task)
        if known is None or known.get("stopped"):
            raise errors.no_task()
        return known

    async def _remember(self, app: AppContext, task: str, data: dict[str, Any]) -> None:
        """Task ids are the caller's and are never used again: files are found by them."""
        async with self._context.database.transaction() as session:
            await session.merge(
                tables.DialectState(
                    dialect=DIALECT,
                    key=_key(app, task),
                    app=app.id,
                    data=data,
                    created_ns=time.time_ns(),
                    expires_ns=FOR_EVER_NS,
                )
            )

    async def _active(self, app: AppContext, task: str) -> list[tables.Recording]:
        found = await files.recordings(self._context, app.id, [task])
        return [row for row in found if State(row.state) in ACTIVE]


def _key(app: AppContext, task: str) -> str:
    return f"{app.id}/{task}"


def _own(app: AppContext, app_id: str) -> None:
    if app_id != app.secrets["aliyun"]["app_id"]:
        raise errors.no_app(app_id)


def _check_change(now: RecordingSpec, then: RecordingSpec) -> None:
    """What an encoder or a file that goes on cannot take over."""
    assert now.mix is not None and then.mix is not None  # tasks of MixMode 0 are not updated
    same = {"scene": now.mix.scene, "pushes": now.mix.pushes}
    if msgspec.structs.replace(then.mix, **same) != now.mix:
        raise errors.unsupported("another MediaEncode while the task records")
    for name in ("formats", "hls", "split_s", "naming"):
        if getattr(now, name) != getattr(then, name):
            raise errors.unsupported("a template with other files (Formats, OssFilePrefix, FileSplitInterval…)")
    if (now.subscription.video is None) != (then.subscription.video is None):
        raise errors.unsupported("pictures to begin or end while the task records")


def _described(template: Template) -> dict[str, Any]:
    fields = {
        name: value
        for name, value in template.body.items()
        if name not in _NOT_SHOWN and value is not None and value != ""
    }
    return {"TemplateId": template.id, "CreateTime": iso(template.created_ns), **fields}
