"""Queries cost what they answer: SQLite's steps for one do not grow with what else there is. A database in memory.

What counts all that matches, or looks within names and tags, grows, and is in docs/performance.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from sqlalchemy import insert, select

from reelroom.control.apps import AppContext
from reelroom.control.library import Library, MediaQuery
from reelroom.control.recorded import Recorded
from reelroom.deliver import pending
from reelroom.deliver.callbacks import _first
from reelroom.deliver.progress import Progress, _tell
from reelroom.dialects.aliyun_rtc import files
from reelroom.dialects.aliyun_rtc.routes import Rtc
from reelroom.dialects.once import Once
from reelroom.dialects.zego.queries import Queries
from reelroom.store import tables
from reelroom.store.db import Database
from tests import memory

S = 1_000_000_000
NOW = 2_000_000_000 * S
FEW, MANY = 50, 1000
STEPS = 20  # of SQLite's virtual machine, between two looks
MEDIA_TEXT = ("recording", "dialect", "mode", "room", "identity", "source", "kind", "stream", "format", "key", "sha256",
              "video_codec", "audio_codec")  # fmt: skip
MEDIA_NUMBERS = ("bytes", "duration_ns", "start_ns", "end_ns", "width", "height", "expires_ns")
APP = AppContext("dev", {"aliyun": {"app_id": "dev"}}, {})


def recording(number: int, state: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"{number:024x}00000000", "app": "dev", "room": f"room {number}", "mode": "individual", "state": state,
        "name": f"name-{number:06}", "labels": {}, "spec": {}, "dialect": "zego", "dialect_data": {"mode": 1},
        "callback": b"x", "created_ns": NOW - number, "started_ns": NOW, "finished_ns": NOW, "task": None,
        "event_seq": 0, **more,
    }  # fmt: skip


async def filled(database: Database, past: int) -> None:
    """So many past recordings, tasks, files and signatures, and one recording with as many segments and events."""
    kept = {"app_id": "dev", "url_base": "http://x"}
    rows = [recording(n, "finished") for n in range(past)]
    rows += [recording(10**6 + n, "finished", dialect="aliyun_rtc", task=f"t{n}", dialect_data=kept | {"task": f"t{n}"})
             for n in range(past)]  # fmt: skip
    long = {"mode": 1, "stream_type": 3, "vendor": 0, "base_url": "", "stream": ""}
    rows += [recording(10**7, "recording", dialect_data=long, created_ns=NOW - 10**9, event_seq=past)]
    file = {"recording": rows[-1]["id"], "output": "001", "rendition": "hls", "format": "hls", "path": ""}
    opened = {"output": "001", "identity": "u", "source": "camera", "kind": "av", "start_ns": 1, "end_ns": 2}
    opened |= {"duration_ns": 1, "last": 1}
    stored = [file | {"role": "playlist", "key": "p", "number": 0, "line": opened, "state": "uploaded"}]
    stored += [file | {"role": "segment", "key": f"s{n}", "number": n, "line": opened, "state": "uploaded"}
              for n in range(1, past + 1)]  # fmt: skip
    late = file | {"recording": f"{0:024x}00000000", "role": "segment", "line": opened, "state": "pending"}
    stored += [late | {"key": f"s{n}", "number": n} for n in range(1, past + 1)]  # while the storage is away
    whole = file | {"role": "file", "key": "f", "number": 1, "line": opened, "state": "uploaded"}
    stored += [whole | {"recording": f"{10**6 + n:024x}00000000"} for n in range(past)]
    async with database.transaction() as session:
        await session.execute(insert(tables.Recording), rows)
        await session.execute(insert(tables.File), stored)
        made = await session.execute(
            select(tables.File.id, tables.Recording.task, tables.Recording.room)
            .join(tables.Recording, tables.Recording.id == tables.File.recording)
            .where(tables.File.role == "file")
        )
        finished = [{"file": row.id, "app": "dev", "dialect": "aliyun_rtc", "room": row.room, "task": row.task,
                     "start_ns": row.id, "end_ns": row.id + 1} for row in made]  # fmt: skip
        await session.execute(insert(tables.Finished), finished)
        await session.execute(insert(tables.Output), [{"recording": file["recording"], "output": "001",
                                                       "segments": past, "bytes": past, "end_ns": past}])  # fmt: skip
        await session.execute(insert(tables.Task), [
            {"dialect": "aliyun_rtc", "app": "dev", "id": f"t{n}", "room": f"room {n}", "stopped": n > 0,
             "data": {}, "created_ns": n} for n in range(past)
        ])  # fmt: skip
        media: dict[str, Any] = dict.fromkeys(MEDIA_TEXT, "") | dict.fromkeys(MEDIA_NUMBERS, 0) | {"app": "dev"}
        await session.execute(insert(tables.Media), [
            media | {"id": f"m{n}", "name": f"name-{n:06}", "tags": [], "data": {}, "created_ns": n}
            for n in range(past)
        ])  # fmt: skip
        await session.execute(insert(tables.Event), [
            {"id": f"e{n}", "recording": file["recording"], "app": "dev", "seq": n, "type": "segment.closed",
             "at_ns": n, "data": {}, "state": "pending" if n == past else "delivered"} for n in range(1, past + 1)
        ])  # fmt: skip
        await session.execute(insert(tables.DialectState), [
            {"dialect": "once", "key": f"{n}", "app": "dev", "data": {}, "created_ns": 0, "expires_ns": NOW + S}
            for n in range(past)
        ])  # fmt: skip


def calls(database: Database) -> dict[str, Callable[[], Awaitable[Any]]]:
    nobody: Any = SimpleNamespace()
    recorded = Recorded(database)
    library = Library(database, nobody, nobody, nobody, b"k" * 32)
    settings = SimpleNamespace(recordings=nobody)
    context: Any = SimpleNamespace(
        database=database, recordings=recorded, settings=settings, url_key=b"k" * 32, library=library
    )
    rtc, zego = Rtc(context).actions, Queries(context)
    progress, once = Progress(database, lambda _: None, interval_of=lambda _: 60.0), Once(database, "once", S)
    long = f"{10**7:024x}00000000"
    waiting = {"recording": f"{0:024x}00000000", "now": NOW, "limit": 5}
    return {
        "files of a task": lambda: rtc["DescribeRecordFiles"](APP, {"AppId": "dev", "TaskIds": ["t7"]}),
        "files of a channel": lambda: rtc["DescribeRecordFiles"](APP, {"AppId": "dev", "ChannelId": "room 1000007"}),
        "a channel's tasks": lambda: rtc["DescribeRecordTasks"](APP, {"AppId": "dev", "ChannelId": "room 7"}),
        "tasks that wait": lambda: rtc["DescribeRecordTasks"](APP, {"AppId": "dev", "Status": "0"}),
        "recordings of a task": lambda: files.recordings(context, "dev", "t7"),
        "sums of a long task": lambda: zego._files._segments(long),
        "recordings that go on": lambda: recorded.list("dev", states=["recording", "paused"]),
        "a page of recordings": lambda: recorded.list("dev", limit=10),
        "a room's recordings": lambda: recorded.list("dev", room="room 7", states=["finished"]),
        "recordings by name": lambda: recorded.list("dev", name_prefix="name-000007"),
        "media by name": lambda: library.search("dev", MediaQuery(name_prefixes=["name-000007"])),
        "the outbox": lambda: database.look(lambda session: _first(long, session)),
        "who is told of progress": lambda: database.run(progress._due, reading=True),
        "the progress of one": lambda: database.run(lambda connection: _tell(connection, {long: 1})),
        "playlists to upload": lambda: database.run(
            lambda connection: connection.execute(pending._PLAYLISTS, waiting).all(), reading=True
        ),
        "who was told of failing": lambda: database.run(pending.told_failing, reading=True),
        "a signature": lambda: once.use("dev", "mark", NOW, reads=False),
    }


async def steps(past: int) -> dict[str, int]:
    """How often SQLite has looked up in each call, which is once in STEPS steps."""
    database = await memory.database()
    await filled(database, past)
    count = 0

    def looked() -> int:
        nonlocal count
        count += 1
        return 0

    async with database.engine.connect() as connection:  # in memory there is one for all
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        await raw.driver_connection.set_progress_handler(looked, STEPS)
    found = {}
    for name, call in calls(database).items():
        count = 0
        await call()
        found[name] = count
    await database.close()
    return found


async def test_no_query_grows_with_what_it_does_not_answer() -> None:
    few, many = await steps(FEW), await steps(MANY)
    assert {name for name in few if many[name] > few[name] * 1.5 + 10} == set(), (few, many)
    assert many["files of a task"] > 0
