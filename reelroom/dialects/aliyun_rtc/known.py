"""Which tasks there are and were: ids are the caller's, and none is used twice. Starts and stops nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, func, select

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.dialects.aliyun_rtc import errors
from reelroom.dialects.aliyun_rtc.templates import DIALECT
from reelroom.dialects.aliyun_rtc.times import iso
from reelroom.dialects.aliyun_rtc.wire import TaskList, UpdateTask
from reelroom.store import tables

WAITS, RECORDS, STOPPED = 0, 1, 2  # Status; the vendor does not say its numbers


class Known:
    """All tasks, also those that have been stopped: files are found by their ids."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def taken(self, app: AppContext, task: str) -> bool:
        """Whether there is or was a task of this id."""
        return await self._row(app, task) is not None

    async def running(self, app: AppContext, task: str) -> dict[str, Any]:
        """What is known of a task: its `template` here, and what lists show. AliyunError when there is none, or it
        has been stopped."""
        row = await self._row(app, task)
        if row is None or row.stopped:
            raise errors.no_task()
        return dict(row.data)

    async def _row(self, app: AppContext, task: str) -> tables.Task | None:
        async with self._context.database.reading() as session:
            return await session.get(tables.Task, (DIALECT, app.id, task))

    async def add(self, app: AppContext, task: str, channel: str, data: dict[str, Any]) -> None:
        """IntegrityError when there is one already."""
        async with self._context.database.transaction() as session:
            session.add(
                tables.Task(
                    dialect=DIALECT,
                    app=app.id,
                    id=task,
                    room=channel,
                    stopped=False,
                    data=data,
                    created_ns=time.time_ns(),
                )
            )

    async def remove(self, app: AppContext, task: str) -> None:
        """As if it had never been: it could not be started."""
        row = tables.Task
        async with self._context.database.transaction() as session:
            await session.execute(delete(row).where(row.dialect == DIALECT, row.app == app.id, row.id == task))

    async def change(self, app: AppContext, task: str, data: dict[str, Any]) -> None:
        """What lists show of it is something else now."""
        async with self._context.database.transaction() as session:
            row = await session.get_one(tables.Task, (DIALECT, app.id, task), with_for_update=True)
            row.data = {**row.data, **data}

    async def stop(self, app: AppContext, task: str) -> None:
        """From now on it is one that has been."""
        async with self._context.database.transaction() as session:
            row = await session.get_one(tables.Task, (DIALECT, app.id, task), with_for_update=True)
            row.stopped = True

    async def list(
        self, app: AppContext, asked: TaskList, from_ns: int | None, until_ns: int | None, recording: Sequence[str]
    ) -> dict[str, Any]:
        """A page of them, the newest first. Times are of their creation; `recording`: ids of tasks that record now."""
        row = tables.Task
        wanted = [row.dialect == DIALECT, row.app == app.id]
        if asked.TaskIds:
            wanted.append(row.id.in_(asked.TaskIds))
        if asked.ChannelId is not None:
            wanted.append(row.room == asked.ChannelId)
        if from_ns is not None:
            wanted.append(row.created_ns >= from_ns)
        if until_ns is not None:
            wanted.append(row.created_ns <= until_ns)
        if asked.Status is not None:
            wanted.append(row.stopped == (asked.Status == STOPPED))
        if asked.Status in (WAITS, RECORDS):
            wanted.append(row.id.in_(recording) if asked.Status == RECORDS else row.id.not_in(recording))
        size = asked.PageSize
        newest = (row.created_ns.desc(), row.id.desc())
        page = select(row.id).where(*wanted).order_by(*newest).offset((asked.PageNum - 1) * size).limit(size)
        found = page.subquery()
        query = select(row).join(found, found.c.id == row.id).where(row.dialect == DIALECT, row.app == app.id)
        async with self._context.database.reading() as session:
            total = await session.scalar(select(func.count()).select_from(row).where(*wanted)) or 0
            rows = (await session.scalars(query.order_by(*newest))).all()
        now = set(recording)
        listed = [_described(app, one, one.id in now) for one in rows]
        return {"TotalNum": total, "TotalPage": -(-total // size), "RecordTasks": listed}


def shown(task: UpdateTask) -> dict[str, Any]:
    """What lists show of a task's parameters, but its channel."""
    return {
        "TemplateId": task.TemplateId,
        "SubSpecUsers": list(task.SubSpecUsers),
        "UserPanes": [
            {"PaneId": pane.PaneId, "UserId": pane.UserId or "", "Source": pane.SourceType}
            for pane in task.UserPanes
            if pane.PaneId is not None
        ],
    }


def _described(app: AppContext, row: tables.Task, records: bool) -> dict[str, Any]:
    data = {"TemplateId": "", "SubSpecUsers": [], "UserPanes": [], **row.data}  # of earlier versions
    return {
        "TaskId": row.id,
        "AppId": app.secrets["aliyun"]["app_id"],
        "ChannelId": row.room,
        "TemplateId": data["TemplateId"],
        "Status": STOPPED if row.stopped else RECORDS if records else WAITS,
        "SubSpecUsers": data["SubSpecUsers"],
        "UserPanes": data["UserPanes"],
        "CreateTime": iso(row.created_ns),
    }
