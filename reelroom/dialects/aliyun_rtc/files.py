"""The files of tasks as DescribeRecordFiles has them, and an index of a part of one. Uploads nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import quote

import msgspec
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from reelroom.control.context import Context
from reelroom.deliver.playlists import PART
from reelroom.dialects.aliyun_rtc import errors
from reelroom.dialects.aliyun_rtc.templates import DIALECT
from reelroom.dialects.aliyun_rtc.times import iso
from reelroom.domain.lines import OutputOpened, Segment
from reelroom.domain.naming import Names
from reelroom.domain.recording import ACTIVE, RecordingSpec
from reelroom.store import tables


async def recordings(
    context: Context, app_id: str, tasks: Collection[str] = (), room: str | None = None, active: bool = False
) -> list[tables.Recording]:
    """The recordings of tasks, each of which may have several, one after the other; or just those that go on."""
    row = tables.Recording
    query = select(row).where(row.app == app_id, row.dialect == DIALECT).order_by(row.created_ns)
    if room is not None:
        query = query.where(row.room == room)
    if tasks:
        query = query.where(row.dialect_data["task"].as_string().in_(list(tasks)))
    if active:
        query = query.where(row.state.in_([str(state) for state in ACTIVE]))
    async with context.database.reading() as session:
        return list((await session.scalars(query)).all())


async def finished(
    context: Context, rows: Sequence[tables.Recording], from_ns: int | None, until_ns: int | None
) -> list[dict[str, Any]]:
    """Files that are in storage as a whole and overlap the time, the newest first."""
    if not rows:
        return []
    by_id = {row.id: row for row in rows}
    file = tables.File
    query = select(file).where(file.recording.in_(by_id), file.role.in_(("playlist", "file")), file.state == "uploaded")
    async with context.database.reading() as session:
        found = (await session.scalars(query)).all()
    listed = []
    for one in found:
        line = one.line
        if one.role == "playlist" and "last" not in line:
            continue  # it still grows
        if (from_ns is not None and line["end_ns"] < from_ns) or (until_ns is not None and line["start_ns"] > until_ns):
            continue
        listed.append((line["start_ns"], one.key, _described(by_id[one.recording], one)))
    return [described for _, _, described in sorted(listed, key=lambda each: each[:2], reverse=True)]


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
        found = select(file.line).where(mine, file.role == "segment", file.rendition == "hls").order_by(file.number)
        slices = [msgspec.convert(line, Segment) for line in (await session.scalars(found)).all()]
    made = []
    for output in outputs:
        part = [
            one for one in slices if one.output == output.output and one.end_ns > from_ns and one.start_ns < until_ns
        ]
        if part:
            made.append(await _make(context, recording, names, output, part))
    if made:
        context.uploader.poke(recording.id)
    return made


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
