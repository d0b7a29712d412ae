"""What every database has to do, whichever it is: checks that tests on SQLite and on PostgreSQL have in common."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from reelroom.store.db import Database
from reelroom.store.migrations import upgrade
from reelroom.store.tables import App, Base, Finished, Media, MediaTag, Output, Recording, Task

S = 1_000_000_000
TIMES = {"start_ns": 1_785_226_400 * S, "end_ns": 1_785_228_200 * S}
REVISIONS = ("0001", "0002", "0003", "0004")


def app(id: str) -> App:
    return App(id=id, secrets=b"x", key_hash="h", defaults={"id": id}, created_ns=1)


async def _differences(database: Database) -> list[Any]:
    async with database.engine.connect() as connection:
        return await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), Base.metadata)  # type: ignore[return-value]
        )


async def makes_the_tables_of_the_code(url: str) -> None:
    """From nothing; a second time there is nothing to do."""
    database = Database(url)
    await upgrade(database.engine)
    await upgrade(database.engine)
    assert await _differences(database) == []
    async with database.transaction() as session:
        session.add(app("a"))
    async with database.reading() as session:
        assert (await session.scalars(select(App.id))).all() == ["a"]
    await database.close()


class Rows:
    """Rows for tables as they are by now, whatever the code has; columns that are not given get 7 or x."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._there = sa.MetaData()
        self._there.reflect(connection)

    def add(self, table: str, **values: Any) -> None:
        row: dict[str, Any] = {}
        for column in self._there.tables[table].c:
            if column.name in values:
                row[column.name] = values[column.name]
            elif not column.nullable and not (column.primary_key and column.type.python_type is int):
                row[column.name] = _some(column.type)
        json = {name: sa.JSON() for name, value in values.items() if isinstance(value, dict | list)}
        typed = sa.table(table, *(sa.column(name, json.get(name)) for name in row))
        self._connection.execute(typed.insert(), row)


def _some(type_: Any) -> Any:
    kind = type_.python_type
    return {int: 7, bytes: b"x", bool: False, dict: "{}"}.get(kind, "x")


async def keeps_the_recordings_of(url: str, revision: str) -> None:
    """A database that an earlier version made."""
    database = Database(url)
    await upgrade(database.engine, revision)

    def fill(connection: sa.Connection) -> None:
        rows = Rows(connection)
        rows.add("apps", id="a", defaults={})
        rows.add("recordings", id="r", app="a", spec={}, labels={}, dialect_data={})

    await database.run(fill)
    await upgrade(database.engine)
    assert await _differences(database) == []
    async with database.reading() as session:
        row = await session.get(Recording, "r")
        assert row is not None
        assert (row.app, row.created_ns, row.library, row.match, row.task) == ("a", 7, None, None, None)
        assert (await session.scalars(select(Media.id))).all() == []
    await database.close()


def _fill_0004(connection: sa.Connection) -> None:
    rows = Rows(connection)
    rows.add("apps", id="a", defaults={})
    for id_, dialect in (("r", "aliyun_rtc"), ("n", "native")):
        data = {"task": "t1", "url_base": "x"}
        rows.add("recordings", id=id_, app="a", room="c", dialect=dialect, spec={}, labels={}, dialect_data=data)
        common: dict[str, Any] = {"recording": id_, "output": "001", "rendition": "hls", "due_ns": 0, "attempts": 0}
        kinds = (("playlist", 0, TIMES | {"last": 60}, "uploaded"), ("playlist", 1, TIMES, "uploaded"),
                 ("file", 1, TIMES, "uploaded"), ("file", 2, TIMES, "pending"))  # fmt: skip
        for role, number, line, state in kinds:
            rows.add("files", **common, role=role, number=number, key=f"{role}{number}", line=line, state=state)
        for number in (1, 2):
            line = {"media_end_ns": number * 30 * S, "width": 640 * number} | ({"height": 360} if number > 1 else {})
            key = f"segment{number}"
            rows.add("files", **common, role="segment", number=number, key=key, line=line, bytes=3 * S)
        rows.add("files", **common | {"output": "002"}, role="playlist", number=0, key="empty", line={})
    kept = {"template": "x", "stopped": True, "ChannelId": "c", "TemplateId": "y"}
    for key, given in (("a/t1", kept), ("a/t/2", {"template": "old"})):
        rows.add("dialect_state", dialect="aliyun_rtc", key=key, app="a", data=given, created_ns=5)
    rows.add("dialect_state", dialect="agora", key="nonce", app="a", data={})
    rows.add("media", id="m", app="a", tags=["lesson", 'é"x'], data={})


async def fills_in_what_queries_ask_for(url: str) -> None:
    """0005: tasks, finished files, sums of outputs and tags are made of what 0004 has, beyond 32 bits too."""
    database = Database(url)
    await upgrade(database.engine, "0004")
    await database.run(_fill_0004)
    await upgrade(database.engine)
    async with database.reading() as session:
        tasks = (await session.scalars(select(Task).order_by(Task.id))).all()
        assert [(one.app, one.id, one.room, one.stopped, one.data, one.created_ns) for one in tasks] == [
            ("a", "t/2", "", False, {"template": "old"}, 5),
            ("a", "t1", "c", True, {"template": "x", "TemplateId": "y"}, 5),
        ]
        rows = await session.execute(text("SELECT dialect FROM dialect_state"))
        assert rows.scalars().all() == ["agora"]
        found = (await session.scalars(select(Recording))).all()
        assert {row.id: row.task for row in found} == {"r": "t1", "n": None}
        sums = (await session.scalars(select(Output).order_by(Output.recording, Output.output))).all()
        whole, none = (2, 6 * S, 60 * S, 1280, 360), (0, 0, 0, 0, 0)
        assert [(one.segments, one.bytes, one.end_ns, one.width, one.height) for one in sums] == [
            whole, none, whole, none,
        ]  # fmt: skip
        listed = (await session.scalars(select(Finished))).all()
        assert {(one.app, one.dialect, one.room, one.task, one.start_ns, one.end_ns) for one in listed} == {
            ("a", "aliyun_rtc", "c", "t1", *TIMES.values())
        }
        assert len(listed) == 2
        assert sorted((await session.scalars(select(MediaTag.tag))).all()) == sorted(["lesson", 'é"x'])
    await database.close()


async def looks_at_what_was_committed(url: str, *, several: bool) -> None:
    """`several`: it has more than one connection, as all have but one in memory."""
    database = Database(url)
    await upgrade(database.engine)

    def apps(session: Session) -> list[str]:
        return list(session.scalars(select(App.id).order_by(App.id)).all())

    def fails(session: Session) -> None:
        apps(session)
        raise LookupError

    assert await database.look(apps) == []
    async with database.transaction() as session:
        session.add(app("a"))
        await session.flush()
        if several:
            assert await database.look(apps) == []
    assert await database.look(apps) == ["a"]
    with pytest.raises(LookupError):
        await database.look(fails)
    await database.run(lambda connection: connection.execute(update(App).values(id="b")))
    assert await database.look(apps) == ["b"]  # no snapshot is left over
    row = await database.look(lambda session: session.get(App, "b"))
    assert row is not None and row.key_hash == "h"  # loaded, without its session
    await database.close()


async def writes_as_a_whole_or_not_at_all(url: str) -> None:
    database = Database(url)
    await upgrade(database.engine)

    def add(session: Session) -> App:
        made = app("a")
        session.add(made)
        return made

    def fails(session: Session) -> None:
        session.add_all([app("b"), app("a")])

    row = await database.write(add)
    assert (row.id, row.defaults) == ("a", {"id": "a"})
    with pytest.raises(IntegrityError):
        await database.write(fails)
    assert await database.look(lambda session: session.scalars(select(App.id)).all()) == ["a"]
    await database.close()
