"""The files of tasks as DescribeRecordFiles has them, and an index of a part of one. Uploads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any
from urllib.parse import quote

import msgspec
from sqlalchemy import Select, bindparam, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from reelroom.control.context import Context
from reelroom.deliver.playlists import PART
from reelroom.dialects.aliyun_rtc import errors
from reelroom.dialects.aliyun_rtc.templates import DIALECT
from reelroom.dialects.aliyun_rtc.times import iso
from reelroom.dialects.aliyun_rtc.wire import FileList
from reelroom.domain.lines import OutputOpened, Segment
from reelroom.domain.naming import Names
from reelroom.domain.recording import ACTIVE, RecordingSpec
from reelroom.store import tables

_ACTIVE = [str(state) for state in ACTIVE]
_PAGE = 200  # slices
_SLACK_NS = 600 * 10**9  # between a row's times and those of what its recording has (prerolls, the last slice)


async def recordings(
    context: Context,
    app_id: str,
    task: str,
    from_ns: int | None = None,
    until_ns: int | None = None,
    active: bool = False,
) -> list[tables.Recording]:
    """The recordings of a task, one after the other: those that may have something of a time; or that go on."""
    row = tables.Recording
    query = select(row).where(row.app == app_id, row.dialect == DIALECT, row.task == task)
    if active:
        query = query.where(row.state.in_(_ACTIVE))
    if from_ns is not None:
        query = query.where(or_(row.stopped_ns.is_(None), row.stopped_ns >= from_ns - _SLACK_NS))
    if until_ns is not None:
        query = query.where(row.created_ns <= until_ns + _SLACK_NS)
    async with context.database.reading() as session:
        return list((await session.scalars(query.order_by(row.created_ns))).all())


async def recording_now(context: Context, app_id: str) -> list[str]:
    """The tasks that record now."""
    row = tables.Recording
    # Not DISTINCT: SQLite would go through all tasks in their order.
    query = select(row.task).where(row.app == app_id, row.dialect == DIALECT, row.state.in_(_ACTIVE))
    tasks = await context.database.look(lambda session: session.scalars(query).all())
    return sorted({task for task in tasks if task is not None})


async def finished(
    context: Context, app_id: str, asked: FileList, times: tuple[int | None, int | None], offset: int
) -> tuple[list[dict[str, Any]], int]:
    """A page of files that are in storage as a whole and overlap the time, the newest first; and how many there are."""
    given = {"tasks": asked.TaskIds or None, "room": asked.ChannelId, "from_ns": times[0], "until_ns": times[1]}
    values = {name: value for name, value in given.items() if value is not None}
    page, count = _statements(frozenset(values))
    values["app"] = app_id

    def look(session: Session) -> list[dict[str, Any]]:
        rows = session.execute(page, values | {"offset": offset, "size": asked.PageSize})
        return [_described(row, one) for one, row in rows]

    found = await context.database.look(look)
    if 0 < len(found) < asked.PageSize or not (found or offset):
        return found, offset + len(found)  # the last page: nobody has to count
    async with context.database.reading() as session:  # there may be very many
        return found, await session.scalar(count, values) or 0


@cache
def _statements(given: frozenset[str]) -> tuple[Select[tables.File, tables.Recording], Select[int]]:
    """A page of files, and how many there are, by what is given: made once, for making takes longer than asking."""
    of, file, recording = tables.Finished, tables.File, tables.Recording
    conditions = {
        "tasks": of.task.in_(bindparam("tasks", expanding=True)),
        "room": of.room == bindparam("room"),
        "from_ns": of.end_ns >= bindparam("from_ns"),
        "until_ns": of.start_ns <= bindparam("until_ns"),
    }
    wanted = [of.app == bindparam("app"), of.dialect == DIALECT, *(conditions[name] for name in sorted(given))]
    page = select(of.file, of.start_ns).where(*wanted).order_by(of.start_ns.desc(), of.file.desc())
    shown = page.offset(bindparam("offset")).limit(bindparam("size")).subquery()
    files = (
        select(file, recording)
        .join(shown, shown.c.file == file.id)
        .join(recording, recording.id == file.recording)
        .order_by(shown.c.start_ns.desc(), shown.c.file.desc())
    )
    return files, select(func.count()).select_from(of).where(*wanted)


def _described(recording: tables.Recording, file: tables.File) -> dict[str, Any]:
    kept, line = recording.dialect_data, file.line
    return {
        "AppId": kept["app_id"],
        "ChannelId": recording.room,
        "TaskId": kept["task"],
        "CreateTime": iso(file.uploaded_ns or line["end_ns"]),
        "StartTime": iso(line["start_ns"]),
        "StopTime": iso(line["end_ns"]),
        "Duration": round(line["duration_ns"] / 1e9, 3),
        "Url": f"{kept['url_base']}/{quote(file.key)}",
    }


async def index(context: Context, recording: tables.Recording, from_ns: int, until_ns: int) -> list[dict[str, Any]]:
    """Playlists of the slices of a recording that overlap the time: one of each output, none where there are none."""
    names = Names(msgspec.convert(recording.spec, RecordingSpec))
    file = tables.File
    async with context.database.reading() as session:
        mine = file.recording == recording.id
        opened = select(file.line).where(mine, file.role == "playlist", file.number == 0)
        outputs = [msgspec.convert(line, OutputOpened) for line in (await session.scalars(opened)).all()]
        parts = [await _part(session, recording.id, output.output, from_ns, until_ns) for output in outputs]
    made = []
    for output, part in zip(outputs, parts, strict=True):
        if part:
            made.append(await _make(context, recording, names, output, part))
    if made:
        context.uploader.poke(recording.id)
    return made


async def _part(session: AsyncSession, recording: str, output: str, from_ns: int, until_ns: int) -> list[Segment]:
    """An output's slices that overlap the time. They follow each other in time, so the first is found by halves."""
    file = tables.File
    mine = file.recording == recording, file.output == output, file.rendition == "hls", file.role == "segment"
    sums = await session.get(tables.Output, (recording, output))
    low, high = 1, 1 + (sums.segments if sums else 0)  # numbers are from 1, without holes
    while low < high:
        middle = (low + high) // 2
        line = await session.scalar(select(file.line).where(*mine, file.number == middle))
        if line is not None and line["end_ns"] <= from_ns:
            low = middle + 1
        else:
            high = middle
    found: list[Segment] = []
    while True:
        query = select(file.line).where(*mine, file.number >= low).order_by(file.number).limit(_PAGE)
        page = [msgspec.convert(line, Segment) for line in (await session.scalars(query)).all()]
        part = [one for one in page if one.end_ns > from_ns and one.start_ns < until_ns]
        found += part
        if len(page) < _PAGE or page[-1].start_ns >= until_ns:
            return found
        low = page[-1].number + 1


async def _make(
    context: Context, recording: tables.Recording, names: Names, output: OutputOpened, part: Sequence[Segment]
) -> dict[str, Any]:
    """A row for the uploader; one that is there already is as good."""
    start_ns, end_ns = part[0].start_ns, part[-1].end_ns
    key = names.playlist(output, 1, start_ns, end_ns).removesuffix(".m3u8") + "_index.m3u8"
    duration_ns = part[-1].media_end_ns - part[0].media_start_ns
    row = tables.File(
        recording=recording.id,
        role=PART,
        output=output.output,
        rendition="hls",
        number=part[0].number,
        key=key,
        path="",
        format="hls",
        line={
            **msgspec.to_builtins(output),
            "first": part[0].number,
            "last": part[-1].number,
            "start_ns": start_ns,
            "end_ns": end_ns,
            "duration_ns": duration_ns,
        },
        due_ns=0,
    )
    described = {
        "TaskId": recording.dialect_data["task"],
        "RecordUrl": f"{recording.dialect_data['url_base']}/{quote(key)}",
        "OssObject": key,
        "StartTime": iso(start_ns),
        "EndTime": iso(end_ns),
        "Duration": round(duration_ns / 1e9, 3),
    }
    try:
        async with context.database.transaction() as session:
            session.add(row)
    except IntegrityError:
        pass  # the same part has been asked for before
    return described


def no_files() -> Exception:
    return errors.wrong("StartTime", "nothing was recorded from StartTime to EndTime")
