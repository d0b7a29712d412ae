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

FOR_EVER_NS = 1 << 62
WAITS, RECORDS, STOPPED = 0, 1, 2  # Status; the vendor does not say its numbers


class Known:
    """All tasks, also those that have been stopped: files are found by their ids."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def get(self, app: AppContext, task: str) -> dict[str, Any] | None:
        """What is known of a task: its `template` here, `stopped`, and what lists show."""
        async with self._context.database.reading() as session:
            row = await session.get(tables.DialectState, (DIALECT, _key(app, task)))
        return None if row is None else dict(row.data)

    async def running(self, app: AppContext, task: str) -> dict[str, Any]:
        """AliyunError when there is no such task, or it has been stopped."""
        known = await self.get(app, task)
        if known is None or known.get("stopped"):
            raise errors.no_task()
        return known

    async def add(self, app: AppContext, task: str, data: dict[str, Any]) -> None:
        """IntegrityError when there is one already."""
        async with self._context.database.transaction() as session:
            session.add(
                tables.DialectState(
                    dialect=DIALECT,
                    key=_key(app, task),
                    app=app.id,
                    data={**data, "stopped": False},
                    created_ns=time.time_ns(),
                    expires_ns=FOR_EVER_NS,
                )
            )

    async def remove(self, app: AppContext, task: str) -> None:
        """As if it had never been: it could not be started."""
        row = tables.DialectState
        async with self._context.database.transaction() as session:
            await session.execute(delete(row).where(row.dialect == DIALECT, row.key == _key(app, task)))

    async def change(self, app: AppContext, task: str, data: dict[str, Any]) -> None:
        async with self._context.database.transaction() as session:
            row = await session.get_one(tables.DialectState, (DIALECT, _key(app, task)), with_for_update=True)
            row.data = {**row.data, **data}

    async def list(
        self, app: AppContext, asked: TaskList, from_ns: int | None, until_ns: int | None, recording: Sequence[str]
    ) -> dict[str, Any]:
        """A page of them, the newest first. Times are of their creation; `recording`: ids of tasks that record now."""
        row = tables.DialectState
        wanted = [row.dialect == DIALECT, row.app == app.id]
        now = [_key(app, task) for task in recording]
        stopped = row.data["stopped"].as_boolean()
        if asked.TaskIds:
            wanted.append(row.key.in_([_key(app, task) for task in asked.TaskIds]))
        if asked.ChannelId is not None:
            wanted.append(row.data["ChannelId"].as_string() == asked.ChannelId)
        if from_ns is not None:
            wanted.append(row.created_ns >= from_ns)
        if until_ns is not None:
            wanted.append(row.created_ns <= until_ns)
        if asked.Status is not None:
            wanted.append(stopped.is_(True) if asked.Status == STOPPED else stopped.is_not(True))
        if asked.Status in (WAITS, RECORDS):
            wanted.append(row.key.in_(now) if asked.Status == RECORDS else row.key.not_in(now))
        size = asked.PageSize
        query = select(row).where(*wanted).order_by(row.created_ns.desc(), row.key)
        async with self._context.database.reading() as session:
            total = await session.scalar(select(func.count()).select_from(row).where(*wanted)) or 0
            rows = (await session.scalars(query.offset((asked.PageNum - 1) * size).limit(size))).all()
        listed = [_described(app, one, one.key in now) for one in rows]
        return {"TotalNum": total, "TotalPage": -(-total // size), "RecordTasks": listed}


def shown(task: UpdateTask) -> dict[str, Any]:
    """What lists show of a task's parameters."""
    return {
        "ChannelId": task.ChannelId,
        "TemplateId": task.TemplateId,
        "SubSpecUsers": list(task.SubSpecUsers),
        "UserPanes": [
            {"PaneId": pane.PaneId, "UserId": pane.UserId or "", "Source": pane.SourceType}
            for pane in task.UserPanes
            if pane.PaneId is not None
        ],
    }


def _described(app: AppContext, row: tables.DialectState, records: bool) -> dict[str, Any]:
    data = {"ChannelId": "", "TemplateId": "", "SubSpecUsers": [], "UserPanes": [], **row.data}  # of earlier versions
    return {
        "TaskId": row.key.partition("/")[2],
        "AppId": app.secrets["aliyun"]["app_id"],
        "ChannelId": data["ChannelId"],
        "TemplateId": data["TemplateId"],
        "Status": STOPPED if data.get("stopped") else RECORDS if records else WAITS,
        "SubSpecUsers": data["SubSpecUsers"],
        "UserPanes": data["UserPanes"],
        "CreateTime": iso(row.created_ns),
    }


def _key(app: AppContext, task: str) -> str:
    return f"{app.id}/{task}"
