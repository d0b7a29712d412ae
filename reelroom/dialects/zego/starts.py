"""StartRecord as a use case: storage, limits, ClientTaskId, the recording. Holds no HTTP and no rules of fields."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping
from typing import Any

import structlog
from sqlalchemy import delete, func, select

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.new_recording import NewRecording
from reelroom.dialects.zego import errors, naming, translate
from reelroom.dialects.zego.notes import tell_missing_images, tell_missing_streams
from reelroom.dialects.zego.settings import callback, settings
from reelroom.dialects.zego.storage import Storage, storage
from reelroom.dialects.zego.tasks import DAY_S, DIALECT, SECOND_NS, Locks, over
from reelroom.dialects.zego.wire import StartRequest, parse
from reelroom.domain.library import LibrarySpec
from reelroom.domain.recording import ACTIVE
from reelroom.store import tables

log = structlog.get_logger("reelroom.zego")


class Starts:
    """One per control process (it holds locks)."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._locks = Locks()
        self._telling: set[asyncio.Task[None]] = set()

    async def start(self, app: AppContext, app_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        request = parse(StartRequest, body)
        client = request.RecordInputParams.ClientTaskId or request.ClientTaskId
        if client is None:
            return {"TaskId": await self._start(app, app_id, request)}
        key = f"{app.id}:{hashlib.sha256(client.encode()).hexdigest()}"
        async with self._locks.of(app, "client", key):
            known = await self._claimed(app, key)
            if known is None:
                known = await self._start(app, app_id, request)
                await self._claim(app, key, known, request.RecordInputParams.MaxRecordTime)
        return {"TaskId": known}

    async def _start(self, app: AppContext, app_id: str, request: StartRequest) -> str:
        chosen, now = settings(app), time.time_ns()
        task = naming.task_id(now // SECOND_NS)
        where = self._storage(app, request)
        asked = translate.start(
            request, task=task, app=app.id, requested_ns=now, settings=chosen, library=where.library
        )
        if where.library and asked.spec.mix is not None and asked.spec.mix.loudness:
            raise errors.invalid(f"RecordSoundWave: Vendor {where.vendor} takes no such file")
        async with self._locks.of(app, "start"):
            if chosen.max_recordings and await self._running(app) >= chosen.max_recordings:
                raise errors.too_many_tasks()
            new = NewRecording(
                app=app,
                spec=asked.spec,
                destination=where.destination,
                must_resolve=not where.ours,  # wrong storage is found out when files go there, as with the vendor
                callback=callback(app, request.RecordOutputParams.CallbackUrl),
                dialect=DIALECT,
                dialect_data={
                    **asked.kept,
                    "app_id": app_id,
                    "vendor": where.vendor,
                    "base_url": where.base_url,
                },
                images=asked.images,
                library=LibrarySpec(name=naming.literal(where.title)) if where.library else None,
            )
            row = await self._context.starts.start(new)
        if asked.spec.mix is not None:
            await tell_missing_images(self._context, row, asked.spec.mix.scene, asked.images)
        if asked.streams:
            telling = asyncio.create_task(tell_missing_streams(self._context, row, asked.streams))
            self._telling.add(telling)
            telling.add_done_callback(self._told)
        return task

    def _told(self, task: asyncio.Task[None]) -> None:
        self._telling.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("streams that are not there could not be told of", error=repr(error))

    def _storage(self, app: AppContext, request: StartRequest) -> Storage:
        """Where files go: what the call says, unless the operator wants everything in the app's own storage."""
        if settings(app).storage == "app":
            return Storage(0, None)
        if request.StorageParams is None:
            if app.destination is None:
                raise errors.invalid("StorageParams is required")
            return Storage(0, None)
        return storage(request.StorageParams, request.RecordOutputParams.OutputFileFormat)

    async def _claimed(self, app: AppContext, key: str) -> str | None:
        """The task that this ClientTaskId made, while that runs and for a day after its start."""
        async with self._context.database.reading() as session:
            made = await session.get(tables.DialectState, (DIALECT, key))
            task = "" if made is None else naming.recording_id(str(made.data["task"]))
            row = await session.get(tables.Recording, task) if task else None
        if row is None or row.app != app.id:
            return None
        young = time.time_ns() < row.created_ns + DAY_S * SECOND_NS
        return naming.task_of(row.id) if young or not over(row) else None

    async def _claim(self, app: AppContext, key: str, task: str, longest_s: int) -> None:
        now = time.time_ns()
        async with self._context.database.transaction() as session:
            expired = tables.DialectState.dialect == DIALECT, tables.DialectState.expires_ns < now
            await session.execute(delete(tables.DialectState).where(*expired))
            await session.merge(
                tables.DialectState(
                    dialect=DIALECT,
                    key=key,
                    app=app.id,
                    data={"task": task},
                    created_ns=now,
                    expires_ns=now + (longest_s + DAY_S) * SECOND_NS,
                )
            )

    async def _running(self, app: AppContext) -> int:
        row = tables.Recording
        active = row.state.in_([str(state) for state in ACTIVE])
        query = select(func.count()).select_from(row).where(row.app == app.id, row.dialect == DIALECT, active)
        async with self._context.database.reading() as session:
            return await session.scalar(query) or 0
