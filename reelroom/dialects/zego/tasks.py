"""ZEGO's calls as use cases: start, stop, describe, list, layout, pause, resume. Holds no HTTP.

What each call says in each state of a task is here (sections 2.8 to 2.15). `sessions.py` is its name in other dialects.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import structlog
from msgspec.structs import replace
from sqlalchemy import delete, func, select

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.errors import ControlError
from reelroom.control.images import ImageSource
from reelroom.control.new_recording import NewRecording
from reelroom.control.recordings import SceneChange
from reelroom.deliver.outbox import add_events, lock
from reelroom.dialects.native.auth import query as signed_query
from reelroom.dialects.zego import answers, errors, mixing, naming, translate
from reelroom.dialects.zego.files import Files
from reelroom.dialects.zego.settings import callback, settings
from reelroom.dialects.zego.storage import TENCENT_VOD, WITHOUT_URL, Storage, object_url, storage
from reelroom.dialects.zego.translate import MIXED
from reelroom.dialects.zego.wire import LayoutRequest, ListRequest, StartRequest, TaskRequest, parse
from reelroom.domain import events
from reelroom.domain.events import Draft
from reelroom.domain.library import LibrarySpec, media_id
from reelroom.domain.mix import Mix
from reelroom.domain.recording import ACTIVE, State
from reelroom.domain.scene import Scene
from reelroom.store import tables

log = structlog.get_logger("reelroom.zego")

DIALECT = "zego"
SECOND_NS = 10**9
DAY_S = 86_400
KEPT_NS = 3 * DAY_S * SECOND_NS  # for so long a task can be asked for
SLACK_MS = 60_000  # of a caller's clock, where "three days ago" is the limit
SETTLE_S = 2.0  # how long a stop waits for the recorder to say that it did


class Tasks:
    """Everything behind the routes; one per control process (it holds the locks)."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._files = Files(context.database, context.settings.recordings)
        self._locks: weakref.WeakValueDictionary[tuple[str, ...], asyncio.Lock] = weakref.WeakValueDictionary()

    # StartRecord

    async def start(self, app: AppContext, app_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        request = parse(StartRequest, body)
        client = request.RecordInputParams.ClientTaskId or request.ClientTaskId
        if client is None:
            return {"TaskId": await self._start(app, app_id, request)}
        key = f"{app.id}:{hashlib.sha256(client.encode('utf-8', 'surrogatepass')).hexdigest()}"
        async with self._lock(app, "client", key):
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
        async with self._lock(app, "start"):
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
            await self._tell_missing(row, asked.spec.mix.scene, asked.images)
        return task

    def _storage(self, app: AppContext, request: StartRequest) -> Storage:
        """Where files go: what the call says, unless the operator wants everything in the app's own storage."""
        if settings(app).storage == "app":
            return Storage(0, None)
        if request.StorageParams is None:
            if app.destination is None:
                raise errors.invalid("StorageParams is required")
            return Storage(0, None)
        return storage(request.StorageParams, request.RecordOutputParams.OutputFileFormat)

    async def _tell_missing(self, row: tables.Recording, asked: Scene, images: Mapping[str, ImageSource]) -> None:
        """An event for each image that could not be had: the task goes on without (section 5.3, event 3)."""
        shown = msgspec.convert(row.spec["mix"], Mix).scene
        missing = mixing.missing(asked, shown, images)
        if not missing:
            return
        now = time.time_ns()
        drafts = [
            Draft(events.IMAGE_MISSING, now, {"image_type": one.type, "url": one.url}, f"image {now} {number}")
            for number, one in enumerate(missing)
        ]

        def add(session: Any) -> None:
            connection = session.connection()
            lock(connection, [row.id])
            add_events(connection, row.id, drafts)

        async with self._context.database.transaction() as session:
            await session.run_sync(add)
        self._context.callbacks.poke(row.id)

    async def _claimed(self, app: AppContext, key: str) -> str | None:
        """The task that this ClientTaskId made, while that runs and for a day after its start."""
        async with self._context.database.reading() as session:
            made = await session.get(tables.DialectState, (DIALECT, key))
            task = "" if made is None else naming.recording_id(str(made.data["task"]))
            row = await session.get(tables.Recording, task) if task else None
        if row is None or row.app != app.id:
            return None
        young = time.time_ns() < row.created_ns + DAY_S * SECOND_NS
        return naming.task_of(row.id) if young or not _over(row) else None

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
                    # Pauses do not count as recording time, so a task may take longer than its longest time.
                    expires_ns=now + (longest_s + 30 * DAY_S) * SECOND_NS,
                )
            )

    async def _running(self, app: AppContext) -> int:
        row = tables.Recording
        active = row.state.in_([str(state) for state in ACTIVE])
        query = select(func.count()).select_from(row).where(row.app == app.id, row.dialect == DIALECT, active)
        async with self._context.database.reading() as session:
            return await session.scalar(query) or 0

    # StopRecord, PauseRecord, ResumeRecord, UpdateLayout

    async def stop(self, app: AppContext, body: Mapping[str, Any]) -> None:
        task = naming.recording_id(parse(TaskRequest, body).TaskId)
        async with self._lock(app, task):
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
        async with self._lock(app, task):
            row = await self._active(app, task)
            if row.dialect_data["mode"] != MIXED:
                raise errors.invalid("TaskId: only tasks of RecordMode 2 can be paused")
            await self._context.recordings.pause(app.id, task)

    async def resume(self, app: AppContext, body: Mapping[str, Any]) -> None:
        task = naming.recording_id(parse(TaskRequest, body).TaskId)
        async with self._lock(app, task):
            row = await self._active(app, task)
            if row.state != State.PAUSED:
                raise errors.not_paused()
            await self._context.recordings.resume(app.id, task)

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
        await self._tell_missing(changed, replace(mix.scene, layout=layout), images.sources)

    # DescribeRecordStatus, DescribeTasks

    async def describe(self, app: AppContext, body: Mapping[str, Any], host: str) -> dict[str, Any]:
        row = await self._task(app, naming.recording_id(parse(TaskRequest, body).TaskId))
        kept = row.dialect_data
        stopped = bool(kept.get("stopped"))
        files = await self._files.of(row, self._url(app, row, host), stopped)
        if row.library is not None:
            files = await self._in_library(app, row, files, host)
        answer: dict[str, Any] = {
            "RoomId": row.room,
            "RecordMode": kept["mode"],
            "StreamType": kept["stream_type"],
            "RecordBeginTimestamp": row.created_ns // 1_000_000,
            "RecordEndTimestamp": (row.stopped_ns or 0) // 1_000_000,
            "Status": answers.task_status(row.state, row.reason, stopped),
        }
        if files or not _over(row):
            answer["RecordFiles"] = answers.record_files(files, kept["stream"])
        return answer

    def _url(self, app: AppContext, row: tables.Recording, host: str) -> Callable[[str], str | None]:
        kept = row.dialect_data
        vendor, base_url = kept["vendor"], kept["base_url"]
        if vendor in WITHOUT_URL:
            return lambda key: None
        if vendor or row.library is not None:
            return lambda key: object_url(base_url, key)
        query, _ = signed_query(self._context.url_key, app.id, row.id)
        base = f"{host}/api/v1/recordings/{row.id}/files"  # the app's own storage, which this server reads
        return lambda key: f"{object_url(base, key)}?{query}"

    async def _in_library(
        self, app: AppContext, row: tables.Recording, files: list[answers.Kept], host: str
    ) -> list[answers.Kept]:
        """The same with the files' ids in the library, and addresses where the vendor has them."""
        ids = {kept.key: media_id(row.id, kept.key) for kept in files}
        found = await self._context.library.many(app.id, ids.values())
        made = []
        for kept in files:
            media = found.get(ids[kept.key])
            if media is None:
                made.append(kept)
                continue
            url = self._context.library.url(host, media) if row.dialect_data["vendor"] == TENCENT_VOD else None
            made.append(kept._replace(media=media.id, url=url))
        return made

    async def list(self, app: AppContext, body: Mapping[str, Any]) -> dict[str, Any]:
        request = parse(ListRequest, body)
        now_ms = time.time_ns() // 1_000_000
        if request.StartTime < now_ms - KEPT_NS // 1_000_000 - SLACK_MS:
            raise errors.invalid("StartTime must not be earlier than 3 days ago")
        if request.EndTime <= request.StartTime:
            raise errors.invalid("EndTime must be later than StartTime")
        if request.EndTime - request.StartTime > KEPT_NS // 1_000_000:
            raise errors.invalid("EndTime must be at most 3 days after StartTime")
        row = tables.Recording
        active = [str(state) for state in ACTIVE]
        begin_ns, end_ns = (min(ms, 9 * 10**12) * 1_000_000 for ms in (request.StartTime, request.EndTime))
        wanted = [
            row.app == app.id,
            row.dialect == DIALECT,
            row.state.in_(active) if request.Status == answers.RECORDING else row.state.not_in(active),
            row.created_ns >= begin_ns,
            row.created_ns <= end_ns,
        ]
        if request.RoomId:
            wanted.append(row.room == request.RoomId)
        page = request.PageOffset or 1
        query = select(row).where(*wanted).order_by(row.created_ns.desc(), row.id.desc())
        async with self._context.database.reading() as session:
            total = await session.scalar(select(func.count()).select_from(row).where(*wanted)) or 0
            rows = await session.scalars(query.offset((page - 1) * request.PageSize).limit(request.PageSize))
            found = [
                (
                    naming.task_of(one.id),
                    one.room,
                    one.created_ns,
                    answers.task_status(one.state, one.reason, bool(one.dialect_data.get("stopped"))),
                )
                for one in rows
            ]
        return answers.tasks(found, page, request.PageSize, total)

    # what the calls have in common

    def _lock(self, app: AppContext, *names: str) -> asyncio.Lock:
        """One at a time for what the names say; there is one control process, so a lock in memory will do."""
        return self._locks.setdefault((app.id, *names), asyncio.Lock())

    async def _task(self, app: AppContext, task: str) -> tables.Recording:
        """ZegoError 300001000 when there is none of this app and API, or it began more than three days ago."""
        try:
            row = await self._context.recordings.get(app.id, task)
        except ControlError as error:
            if error.kind != "not_found":
                raise
            raise errors.no_task() from None
        if row.dialect != DIALECT or (_over(row) and row.created_ns < time.time_ns() - KEPT_NS):
            raise errors.no_task()
        return row

    async def _active(self, app: AppContext, task: str) -> tables.Recording:
        row = await self._task(app, task)
        if _over(row):
            raise errors.task_ended()
        return row


def _over(row: tables.Recording) -> bool:
    return row.state not in ACTIVE or bool(row.dialect_data.get("stopped"))
