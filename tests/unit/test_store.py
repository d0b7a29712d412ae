"""The migrations make exactly the tables that the code uses; sealed credentials open only with their key."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from cryptography.fernet import Fernet
from sqlalchemy import select

from reelroom.store.db import Database, async_url
from reelroom.store.migrations import upgrade
from reelroom.store.secrets import SecretBox, SecretError
from reelroom.store.tables import App, Base


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
