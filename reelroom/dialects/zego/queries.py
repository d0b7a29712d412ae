"""The calls that change nothing: DescribeRecordStatus, DescribeTasks (sections 2.13, 2.14). Holds no HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import func, select

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.listing import newest
from reelroom.dialects.native.auth import query as signed_query
from reelroom.dialects.zego import answers, errors, naming
from reelroom.dialects.zego.files import Files
from reelroom.dialects.zego.storage import TENCENT_VOD, WITHOUT_URL, object_url
from reelroom.dialects.zego.tasks import DIALECT, KEPT_NS, found, over
from reelroom.dialects.zego.wire import ListRequest, TaskRequest, parse
from reelroom.domain.library import media_id
from reelroom.domain.recording import ACTIVE, State
from reelroom.store import tables

SLACK_MS = 60_000  # of a caller's clock, where "three days ago" is the limit


class Queries:
    """One per control process (it remembers how far it has read journals)."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._files = Files(context.database, context.settings.recordings)

    async def describe(self, app: AppContext, body: Mapping[str, Any], host: str) -> dict[str, Any]:
        row = await found(self._context, app, naming.recording_id(parse(TaskRequest, body).TaskId))
        kept = row.dialect_data
        stopped = bool(kept.get("stopped"))
        files = await self._files.of(row, self._url(app, row, host), stopped)
        if row.library is not None:
            files = await self._in_library(app, row, files, host)
        status = answers.task_status(row.state, row.reason, stopped)
        if files and status == answers.INITIALISING:
            status = answers.RECORDING  # the journal is ahead of the database
        answer: dict[str, Any] = {
            "RoomId": row.room,
            "RecordMode": kept["mode"],
            "StreamType": kept["stream_type"],
            "RecordBeginTimestamp": row.created_ns // 1_000_000,
            "RecordEndTimestamp": (row.stopped_ns or 0) // 1_000_000,
            "Status": status,
        }
        if files or not over(row):
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
        known = await self._context.library.many(app.id, ids.values())
        made = []
        for kept in files:
            media = known.get(ids[kept.key])
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
        states = [str(state) for state in State if (state in ACTIVE) == (request.Status == answers.RECORDING)]
        begin_ns, end_ns = (min(ms, 9 * 10**12) * 1_000_000 for ms in (request.StartTime, request.EndTime))
        wanted = [
            row.app == app.id,
            row.dialect == DIALECT,
            row.created_ns >= begin_ns,
            row.created_ns <= end_ns,
        ]
        if request.RoomId:
            wanted.append(row.room == request.RoomId)
        page = request.PageOffset or 1
        query = newest(wanted, states, request.PageSize, (page - 1) * request.PageSize)
        count = select(func.count()).select_from(row).where(*wanted, row.state.in_(states))
        async with self._context.database.reading() as session:
            total = await session.scalar(count) or 0
            rows = await session.scalars(query)
            listed = [
                (
                    naming.task_of(one.id),
                    one.room,
                    one.created_ns,
                    answers.task_status(one.state, one.reason, bool(one.dialect_data.get("stopped"))),
                )
                for one in rows
            ]
        return answers.tasks(listed, page, request.PageSize, total)
