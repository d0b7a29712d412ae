"""`./run bench queries`: what a query costs by how much there is: past recordings, segments, events, signatures.

Run as a script it measures the `reelroom` that it finds, on an SQLite file that it fills at the schema of 0004 and then
upgrades: so an older checkout (`--against`) is measured with the same rows, in turns with this one.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

S = 1_000_000_000
APP = "dev"
OLDEST_S = 2 * 86_400  # ZEGO lists three days
LETTERS = {"aliyun_rtc": "a", "zego": "b", "native": "c"}  # that ids begin with
LONG = "f" * 24 + "00000000"  # a recording that goes on
ACTIVE = 20

Measured = dict[str, float]


def run(small: int, large: int, against: Path | None, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Milliseconds of CPU a call, by query: of this code, and of the checkout `against`."""
    folders = {"now": Path(__file__).parents[1], **({"before": against} if against else {})}
    found: dict[str, dict[int, Measured]] = {name: {} for name in folders}
    for many in (small, large):
        for name, folder in folders.items():
            say(f"{name}: {many} of everything")
            command = [sys.executable, __file__, str(many)]
            environment = {**os.environ, "PYTHONPATH": str(folder)}
            done = subprocess.run(command, env=environment, cwd=folder, stdout=subprocess.PIPE, check=True)
            found[name][many] = json.loads(done.stdout)
    return [
        {"query": query} | {f"{name}, {many}": ms[query] for name, by in found.items() for many, ms in by.items()}
        for query in found["now"][small]
    ]


def _fill(path: Path, many: int) -> None:
    import msgspec

    from reelroom.domain.recording import Format, RecordingSpec

    now = time.time_ns()
    step = OLDEST_S * S // many
    made = RecordingSpec(id=LONG, app=APP, room="room", formats=(Format.HLS, Format.MP4), requested_ns=now)
    spec = msgspec.to_builtins(made)
    connection = sqlite3.connect(path)

    def put(table: str, rows: Iterable[dict[str, Any]]) -> None:
        rendered = [
            {name: json.dumps(value) if isinstance(value, dict | list) else value for name, value in row.items()}
            for row in rows
        ]
        names = ", ".join(rendered[0])
        places = ", ".join(f":{name}" for name in rendered[0])
        connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", rendered)

    def recording(dialect: str, number: int, state: str = "finished", **more: Any) -> dict[str, Any]:
        at = now - max(number, 0) * step - 60 * S
        return {
            "id": f"{LETTERS[dialect]}{number % 16**8:023x}00000000", "app": APP, "room": f"{dialect}-{number % 7}",
            "mode": "individual", "state": state, "reason": "", "message": "", "labels": {},
            "name": f"name-{number}", "spec": spec, "dialect": dialect, "dialect_data": {}, "callback": b"sealed",
            "created_ns": at, "started_ns": at, "stopped_ns": at + 10 * S,
            "finished_ns": at + 20 * S if state == "finished" else None,
            "journal_offset": 0, "journal_lines": 0, "event_seq": 0, **more,
        }  # fmt: skip

    kept = {"app_id": "dev", "url_base": "http://x", "mode": 1, "stream_type": 3, "vendor": 0, "base_url": "http://x"}
    kept |= {"stream": ""}
    put("apps", [{"id": APP, "secrets": b"", "key_hash": "", "defaults": {}, "created_ns": 1}])
    for dialect in LETTERS:
        rows = [recording(dialect, n, dialect_data={**kept, "task": f"t{n}"}) for n in range(many)]
        put("recordings", rows)
        put("recordings", [recording(dialect, -1 - n, "recording", dialect_data={**kept, "task": f"a{n}"})
                           for n in range(ACTIVE)])  # fmt: skip
    long = recording("zego", 0, "recording") | {"id": LONG, "dialect_data": {**kept, "task": "long"}}
    long |= {"created_ns": now - many * 6 * S, "stopped_ns": None, "event_seq": many}
    put("recordings", [long, {**long, "id": "e" * 32, "dialect": "aliyun_rtc"}])
    put("dialect_state", [
        {"dialect": "aliyun_rtc", "key": f"{APP}/t{n}", "app": APP, "created_ns": now - n * step, "expires_ns": 1 << 62,
         "data": {"template": "x", "stopped": n > 5, "ChannelId": f"aliyun_rtc-{n % 7}", "TemplateId": "y"}}
        for n in range(many)
    ])  # fmt: skip

    def file(recording: str, role: str, number: int, **more: Any) -> dict[str, Any]:
        return {
            "recording": recording, "role": role, "output": "001", "rendition": "hls", "number": number,
            "key": f"{role}{number}", "path": "", "format": "hls", "line": {}, "bytes": 1000, "sha256": "",
            "state": "uploaded", "attempts": 0, "error": "", "due_ns": 0, "uploaded_ns": now, **more,
        }  # fmt: skip

    opened = {"output": "001", "identity": "u", "source": "camera", "kind": "av"}
    files = []
    for n in range(many):
        id_, at = f"a{n:023x}00000000", now - n * step - 60 * S
        line = {**opened, "start_ns": at, "end_ns": at + 10 * S, "duration_ns": 10 * S, "first": 1, "last": 1}
        files += [file(id_, "playlist", 0, line=line), file(id_, "file", 1, line=line, format="mp4")]
    put("files", files)
    start = now - many * 6 * S
    for id_ in (LONG, "e" * 32):
        put("files", [file(id_, "playlist", 0, line={**opened, "start_ns": start})])
        put("files", [
            file(id_, "segment", n, line={
                "t": "segment", "output": "001", "rendition": "hls", "container": "ts", "number": n, "path": "x",
                "bytes": 1000, "sha256": "", "start_ns": start + n * 6 * S, "end_ns": start + (n + 1) * 6 * S,
                "media_start_ns": n * 6 * S, "media_end_ns": (n + 1) * 6 * S, "width": 1280, "height": 720,
            })
            for n in range(1, many + 1)
        ])  # fmt: skip
    put("events", [
        {"id": f"e{n:031x}", "recording": LONG, "app": APP, "seq": n, "at_ns": now, "data": {"share": 1},
         "type": ("track.added", "track.removed", "upload.progress")[n % 3], "attempts": 0, "due_ns": 0,
         "state": "pending" if n == many else "delivered"}
        for n in range(1, many + 1)
    ])  # fmt: skip
    put("dialect_state", [
        {"dialect": "once", "key": f"{n:064x}", "app": APP, "data": {}, "created_ns": now, "expires_ns": now + 900 * S}
        for n in range(many)
    ])  # fmt: skip
    put("media", [
        {"id": f"m{n}", "app": APP, "recording": f"n{n}", "dialect": "native", "mode": "individual",
         "room": f"r{n % 7}", "identity": "u", "source": "camera", "kind": "av", "stream": "s", "name": f"name-{n}",
         "tags": ["all", f"tag-{n}"], "data": {}, "format": "mp4", "key": f"k{n}", "bytes": 1, "sha256": "",
         "duration_ns": 1, "start_ns": 1, "end_ns": 1, "video_codec": "", "audio_codec": "", "width": 0, "height": 0,
         "created_ns": now - n * step, "expires_ns": 0}
        for n in range(many)
    ])  # fmt: skip
    put("queues", [{"app": APP, "name": "q", "visibility_s": 1, "retention_s": 1000, "created_ns": now}])
    put("messages", [
        {"app": APP, "queue": "q", "cause": f"c{n}", "body": b"x", "receipt": "", "received": 0, "first_ns": 0,
         "visible_ns": now, "created_ns": now}
        for n in range(many)
    ])  # fmt: skip
    connection.commit()
    connection.close()


async def _measure(many: int) -> Measured:
    from reelroom.store.db import Database
    from reelroom.store.migrations import upgrade

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reelroom.db"
        database = Database(f"sqlite:///{path}")
        await upgrade(database.engine, "0004")
        await database.engine.dispose()
        _fill(path, many)
        began = time.process_time()
        await upgrade(database.engine)
        found = {"upgrade of the schema": (time.process_time() - began) * 1e3}
        for name, call in _queries(database, Path(folder), many).items():
            found[name] = await _cost(call)
        await database.close()
    return found


def _queries(database: Any, folder: Path, many: int) -> dict[str, Callable[[], Awaitable[Any]]]:
    from reelroom.control.apps import AppContext
    from reelroom.control.library import Library, MediaQuery
    from reelroom.control.queues import Queues
    from reelroom.control.recorded import Recorded
    from reelroom.deliver import pending, retention
    from reelroom.deliver.callbacks import _first
    from reelroom.deliver.progress import Progress, _tell
    from reelroom.dialects.aliyun_rtc.routes import Rtc
    from reelroom.dialects.once import Once
    from reelroom.dialects.tencent.tasks import _FLOWING
    from reelroom.dialects.zego import naming
    from reelroom.dialects.zego.queries import Queries

    nobody: Any = SimpleNamespace(poke=lambda recording: None)
    recorded = Recorded(database)
    library = Library(database, nobody, nobody, folder, b"k" * 32)
    context: Any = SimpleNamespace(
        database=database, recordings=recorded, uploader=nobody, library=library, url_key=b"k" * 32,
        settings=SimpleNamespace(recordings=folder),
    )  # fmt: skip
    app = AppContext(APP, {"aliyun": {"app_id": "dev"}}, {})
    rtc, zego = Rtc(context).actions, Queries(context)
    once, queues, progress = Once(database, "once", 900 * S), Queues(database), Progress(database, lambda _: None)
    sweeping = retention.Retention(database, folder, 10**9)
    middle = many // 2
    marks = iter(range(10**9))

    def rtc_call(action: str, **given: Any) -> Callable[[], Awaitable[Any]]:
        return lambda: rtc[action](app, {"AppId": "dev", **given})

    def reading(work: Callable[[Any], Any]) -> Callable[[], Awaitable[Any]]:
        return lambda: database.run(work, reading=True)

    def listed(**wanted: Any) -> Callable[[], Awaitable[Any]]:
        return lambda: recorded.list(APP, **wanted)

    def searched(**wanted: Any) -> Callable[[], Awaitable[Any]]:
        return lambda: library.search(APP, MediaQuery(**wanted))

    def day(seconds: float) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds))

    now_ms = time.time_ns() // 1_000_000
    three_days = {"StartTime": now_ms - 3 * 86_400_000 + 1000, "EndTime": now_ms}
    found = {
        "aliyun_rtc: files of a task": rtc_call("DescribeRecordFiles", TaskIds=[f"t{middle}"]),
        "aliyun_rtc: files of a channel": rtc_call("DescribeRecordFiles", ChannelId="aliyun_rtc-3"),
        "aliyun_rtc: newest files": rtc_call("DescribeRecordFiles"),
        "aliyun_rtc: files of an hour": rtc_call("DescribeRecordFiles", StartTime=day(7200), EndTime=day(3600)),
        "aliyun_rtc: tasks of a channel": rtc_call("DescribeRecordTasks", ChannelId="aliyun_rtc-3"),
        "aliyun_rtc: tasks that record": rtc_call("DescribeRecordTasks", Status="1"),
        "aliyun_rtc: index of a minute": rtc_call(
            "CreateRecordIndexFiles", TaskId="long", StartTime=day(3 * many + 30), EndTime=day(3 * many - 30)
        ),
        "zego: status of a long task": lambda: zego.describe(app, {"TaskId": naming.task_of(LONG)}, "http://x"),
        "zego: tasks that go on": lambda: zego.list(app, three_days | {"Status": 2, "PageSize": 10}),
        "zego: ended tasks": lambda: zego.list(app, three_days | {"Status": 3, "PageSize": 10}),
        "native: newest recordings": listed(),
        "native: ... that go on": listed(states=["recording"]),
        "native: ... that failed": listed(states=["failed"]),
        "native: ... by a name's beginning": listed(name_prefix=f"name-{middle}"),
        "library: newest": searched(),
        "library: by a tag": searched(tags=[f"tag-{middle}"]),
        "library: by a name's beginning": searched(name_prefixes=[f"name-{middle}"]),
        "library: by a part of a name": searched(names=[f"-{middle}"]),
        "tencent: tracks that flow": reading(lambda connection: connection.scalar(_FLOWING, {"recording": LONG})),
        "a signature is noted": lambda: once.use(APP, str(next(marks)), time.time_ns(), reads=False),
        "outbox: next event of a recording": lambda: database.look(lambda session: _first(LONG, session)),
        "uploads: what is to be done": reading(pending.unfinished),
        "uploads: who was told of failing": reading(pending.told_failing),
        "uploads: whose progress is due": reading(progress._due),
        "uploads: progress of one": lambda: database.run(lambda connection: _tell(connection, {LONG: next(marks)})),
        "retention: nothing is due": sweeping.sweep,
        "queue: receive one": lambda: queues.receive(APP, "q"),
    }  # fmt: skip
    for name, call in found.items():
        assert inspect.isfunction(call) or inspect.ismethod(call), name
    return found


async def _cost(call: Callable[[], Awaitable[Any]]) -> float:
    """Milliseconds of this process's CPU a call: the best of three rounds."""
    await call()
    best = float("inf")
    for _ in range(3):
        calls, began = 0, time.process_time()
        while calls < 200 and time.process_time() - began < 0.1:
            await call()
            calls += 1
        best = min(best, (time.process_time() - began) / calls)
    return best * 1e3


def table(rows: Sequence[dict[str, Any]]) -> str:
    """As Markdown."""
    names = [name for name in rows[0] if name != "query"]
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    lines += [f"| {row['query']} | " + " | ".join(f"{row[name]:.2f}" for name in names) + " |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_measure(int(sys.argv[1])))))
