"""The migrations make exactly the tables that the code uses; sealed credentials open only with their key."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from cryptography.fernet import Fernet
from sqlalchemy import inspect, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from reelroom.store.db import Database, async_url
from reelroom.store.migrations import upgrade
from reelroom.store.secrets import SecretBox, SecretError
from reelroom.store.tables import App, Base, Media, Recording


async def test_migrations_make_the_tables_of_the_code() -> None:
    database = Database("sqlite://")
    await upgrade(database.engine)
    await upgrade(database.engine)  # again: nothing to do
    async with database.engine.connect() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), Base.metadata)
        )
    assert differences == []
    async with database.transaction() as session:
        session.add(App(id="a", secrets=b"x", key_hash="h", defaults={}, created_ns=1))
    async with database.reading() as session:
        assert (await session.scalars(select(App.id))).all() == ["a"]
    await database.close()


@pytest.mark.parametrize("revision", ["0001", "0002", "0003"])
async def test_a_database_of_an_earlier_version_keeps_its_recordings(revision: str) -> None:
    database = Database("sqlite://")
    await upgrade(database.engine, revision)
    async with database.engine.begin() as connection:
        columns = await connection.run_sync(lambda sync: inspect(sync).get_columns("recordings"))
        numbers = {column["name"] for column in columns if column["type"].python_type is int}
        values = {column["name"]: 7 if column["name"] in numbers else "x" for column in columns}
        values |= {"id": "r", "app": "a", "spec": "{}", "labels": "{}", "dialect_data": "{}", "destination": None}
        values |= {name: None for name in ("library", "match") if name in values}
        names = ", ".join(values)
        await connection.execute(text("INSERT INTO apps (id, secrets, key_hash, defaults, created_ns) VALUES "
                                      "('a', x'00', 'h', '{}', 1)"))  # fmt: skip
        places = ", ".join(f":{name}" for name in values)
        await connection.execute(text(f"INSERT INTO recordings ({names}) VALUES ({places})"), values)
    await upgrade(database.engine)
    async with database.engine.connect() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), Base.metadata)
        )
    assert differences == []
    async with database.reading() as session:
        row = await session.get(Recording, "r")
        assert row is not None
        assert (row.app, row.created_ns, row.library, row.match) == ("a", 7, None, None)
        assert (await session.scalars(select(Media.id))).all() == []
    await database.close()


def test_drivers_are_put_into_plain_urls() -> None:
    assert async_url("sqlite:////x/y.db") == "sqlite+aiosqlite:////x/y.db"
    assert async_url("postgresql://u:p@h/d") == "postgresql+asyncpg://u:p@h/d"
    assert async_url("postgresql+psycopg://u:p@h/d") == "postgresql+psycopg://u:p@h/d"


def test_sealed_credentials_open_only_with_their_key() -> None:
    box = SecretBox(Fernet.generate_key())
    sealed = box.seal({"secret": "hunter2"})
    assert b"hunter2" not in sealed
    assert box.open(sealed) == {"secret": "hunter2"}
    with pytest.raises(SecretError):
        SecretBox(Fernet.generate_key()).open(sealed)
    with pytest.raises(SecretError):
        box.open(sealed[:-1])
    assert box.derive("a") != box.derive("b")


@pytest.mark.parametrize("file", [True, False])
async def test_a_look_sees_what_was_committed_and_nothing_else(file: bool, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'r.db'}" if file else "sqlite://")
    await upgrade(database.engine)

    def apps(session: Session) -> list[str]:
        return list(session.scalars(select(App.id).order_by(App.id)).all())

    def fails(session: Session) -> None:
        apps(session)
        raise LookupError

    assert await database.look(apps) == []
    async with database.transaction() as session:
        session.add(App(id="a", secrets=b"x", key_hash="h", defaults={}, created_ns=1))
        await session.flush()
        if file:  # in memory there is one connection for everything
            assert await database.look(apps) == []
    assert await database.look(apps) == ["a"]
    with pytest.raises(LookupError):
        await database.look(fails)
    await database.run(lambda connection: connection.execute(update(App).values(id="b")))
    assert await database.look(apps) == ["b"]  # no snapshot is left over
    row = await database.look(lambda session: session.get(App, "b"))
    assert row is not None and row.key_hash == "h"  # loaded, without its session
    await database.close()


@pytest.mark.parametrize("file", [True, False])
async def test_what_is_written_is_there_as_a_whole_or_not_at_all(file: bool, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'r.db'}" if file else "sqlite://")
    await upgrade(database.engine)

    def app(id: str) -> App:
        return App(id=id, secrets=b"x", key_hash="h", defaults={"id": id}, created_ns=1)

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
