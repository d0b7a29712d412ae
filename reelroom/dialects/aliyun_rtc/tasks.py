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
from reelroom.control.rules import StoredRule
from reelroom.control.templates import Template
from reelroom.dialects.aliyun_rtc import errors, files, translate
from reelroom.dialects.aliyun_rtc.known import Known, shown
from reelroom.dialects.aliyun_rtc.layouts import Shape
from reelroom.dialects.aliyun_rtc.mpu import MpuLayouts
from reelroom.dialects.aliyun_rtc.templates import DIALECT, RECORD_TEMPLATES, body, opened
from reelroom.dialects.aliyun_rtc.times import iso, nanoseconds
from reelroom.dialects.aliyun_rtc.wire import (
    FileList,
    IndexRequest,
    StartTask,
    StopTask,
    TaskList,
    TemplateDelete,
    TemplateList,
    TemplateRequest,
    TemplateUpdate,
    UpdateTask,
    own,
    parse,
)
from reelroom.domain.recording import RecordingSpec
from reelroom.domain.rules import Per, Rule
from reelroom.store import tables

_NOT_SHOWN = frozenset({"AppId", "TemplateId"})


class Tasks:
    """Everything behind the actions; one per control process (it holds the locks)."""

    def __init__(self, context: Context, mpu: MpuLayouts) -> None:
        self._context = context
        self._known = Known(context)
        self._mpu = mpu
        self._locks: weakref.WeakValueDictionary[tuple[str, str], asyncio.Lock] = weakref.WeakValueDictionary()

    # templates

    async def add_template(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        request = parse(TemplateRequest, given)
        own(app, request.AppId)
        translate.check_template(request, await self._mpu.shapes(app, request.LayoutIds), app)
        kept = request.model_dump(mode="json")
        made = await self._context.templates.create(app.id, RECORD_TEMPLATES, request.Name, kept, id=str(uuid.uuid4()))
        return {"TemplateId": made.id}

    async def update_template(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        """A replacement as a whole; tasks that run keep what they began with."""
        request = parse(TemplateUpdate, given)
        own(app, request.AppId)
        translate.check_template(request, await self._mpu.shapes(app, request.LayoutIds), app)
        await self._template(app, request.TemplateId)
        kept = request.model_dump(mode="json", exclude={"TemplateId"})
        await self._context.templates.change(app.id, RECORD_TEMPLATES, request.TemplateId, request.Name, kept)
        return {"TemplateId": request.TemplateId}

    async def delete_template(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        request = parse(TemplateDelete, given)
        own(app, request.AppId)
        await self._template(app, request.TemplateId)
        await self._context.templates.delete(app.id, RECORD_TEMPLATES, request.TemplateId)
        return {}

    async def list_templates(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        request = parse(TemplateList, given)
        own(app, request.AppId)
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
        own(app, request.AppId)
        async with self._lock(app, request.TaskId):
            if await self._known.taken(app, request.TaskId):
                raise errors.task_existed()
            template = await self._template(app, request.TemplateId)
            custom = await self._custom(app, template, request)
            translate.spec(template, request, custom, app, uuid.uuid4().hex, time.time_ns())  # whether it can be done
            kept = body(template, request, custom)
            made = await self._context.templates.create(app.id, DIALECT, request.TaskId, kept)
            rule = Rule(
                template=made.id,
                per=Per.ROOM,
                room=glob.escape(request.ChannelId),
                resume_s=template.DelayStopTime,
            )
            try:
                # First of all the id: whatever dies in between, the task can be stopped.
                kept_here = {"template": made.id, **shown(request)}
                await self._known.add(app, request.TaskId, request.ChannelId, kept_here)
                await self._context.rules.create(app.id, DIALECT, request.TaskId, rule)
            except IntegrityError:
                await self._context.templates.delete(app.id, DIALECT, made.id)
                raise errors.task_existed() from None
            except ControlError:
                await self._known.remove(app, request.TaskId)
                await self._context.templates.delete(app.id, DIALECT, made.id)
                raise
        return {}

    async def update(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        request = parse(UpdateTask, given)
        own(app, request.AppId)
        async with self._lock(app, request.TaskId):
            known = await self._known.running(app, request.TaskId)
            kept = await self._context.templates.get(app.id, DIALECT, known["template"])
            _, before, _ = opened(kept.body)
            if before.ChannelId != request.ChannelId:
                raise errors.wrong("ChannelId", "is not the task's")
            if before.MixMode == 0:
                raise errors.unsupported("a task of MixMode 0 cannot be updated")
            template = await self._template(app, request.TemplateId)
            task = StartTask.model_validate(request.model_dump())
            custom = await self._custom(app, template, task)
            spec, images = translate.spec(template, task, custom, app, uuid.uuid4().hex, time.time_ns())
            for row in await self._active(app, request.TaskId):
                _check_change(msgspec.convert(row.spec, RecordingSpec), spec)
                change = None
                if spec.mix is not None:
                    scene = spec.mix.scene
                    change = SceneChange(lambda _, scene=scene: scene, images)  # type: ignore[misc]
                await self._context.recordings.change(app.id, row.id, spec.subscription, change)
            changed = body(template, task, custom)
            await self._context.templates.change(app.id, DIALECT, known["template"], body=changed)
            await self._known.change(app, request.TaskId, shown(task))
            for stored in self._rules(app, known):
                resumed = msgspec.structs.replace(stored.rule, resume_s=template.DelayStopTime)
                await self._context.rules.change(app.id, stored.id, rule=resumed)
        return {}

    async def stop(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        request = parse(StopTask, given)
        own(app, request.AppId)
        async with self._lock(app, request.TaskId):
            known = await self._known.running(app, request.TaskId)
            for stored in self._rules(app, known):
                await self._context.rules.delete(app.id, stored.id)
            await self._context.templates.delete(app.id, DIALECT, known["template"])
            await self._known.stop(app, request.TaskId)
            for row in await self._active(app, request.TaskId):
                try:
                    await self._context.recordings.stop(app.id, row.id)
                except ControlError as error:
                    if error.kind != "conflict":  # it has just ended by itself
                        raise
        return {}

    async def list_tasks(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        request = parse(TaskList, given)
        own(app, request.AppId)
        from_ns = nanoseconds(request.StartTime, "StartTime") if request.StartTime else None
        until_ns = nanoseconds(request.EndTime, "EndTime") if request.EndTime else None
        recording = await files.recording_now(self._context, app.id)
        return await self._known.list(app, request, from_ns, until_ns, recording)

    # files

    async def list_files(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        request = parse(FileList, given)
        own(app, request.AppId)
        from_ns = nanoseconds(request.StartTime, "StartTime") if request.StartTime else None
        until_ns = nanoseconds(request.EndTime, "EndTime") if request.EndTime else None
        size = request.PageSize
        found, total = await files.finished(
            self._context, app.id, request, (from_ns, until_ns), offset=(request.PageNum - 1) * size
        )
        return {"TotalNum": total, "TotalPage": -(-total // size), "RecordFiles": found}

    async def index(self, app: AppContext, given: dict[str, Any]) -> dict[str, Any]:
        """Ours: the overview promises an index of a chosen time, and no action of the vendor's makes one."""
        request = parse(IndexRequest, given)
        own(app, request.AppId)
        from_ns, until_ns = nanoseconds(request.StartTime, "StartTime"), nanoseconds(request.EndTime, "EndTime")
        if from_ns >= until_ns:
            raise errors.wrong("EndTime", "must be later than StartTime")
        made = []
        for row in await files.recordings(self._context, app.id, request.TaskId, from_ns, until_ns):
            made += await files.index(self._context, row, from_ns, until_ns)
        if not made:
            raise files.no_files()
        return {"RecordInfos": made}

    # what they have in common

    def _lock(self, app: AppContext, task: str) -> asyncio.Lock:
        return self._locks.setdefault((app.id, task), asyncio.Lock())

    def _rules(self, app: AppContext, known: dict[str, Any]) -> list[StoredRule]:
        """The rule of a task; none if everything died before there was one."""
        return [stored for stored in self._context.rules.of(app.id) if stored.rule.template == known["template"]]

    async def _custom(self, app: AppContext, template: TemplateRequest, task: UpdateTask) -> dict[int, Shape]:
        return await self._mpu.shapes(app, [*template.LayoutIds, *task.LayoutIds])

    async def _active(self, app: AppContext, task: str) -> list[tables.Recording]:
        return await files.recordings(self._context, app.id, task, active=True)


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
    # Only watermarks have one.
    fields["Backgrounds"] = [{k: v for k, v in one.items() if k != "Alpha"} for one in fields["Backgrounds"]]
    return {"TemplateId": template.id, "CreateTime": iso(template.created_ns), **fields}
