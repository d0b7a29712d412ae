"""Engine and sessions of the database, SQLite or PostgreSQL. Holds no queries, tables or migrations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import StaticPool

BUSY_MS = 15_000  # how long SQLite waits for another writer before "database is locked"


def async_url(url: str) -> str:
    """`sqlite:///x` and `postgresql://…` with the async driver put in; other drivers are left alone."""
    parsed = make_url(url)
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
    if driver := drivers.get(parsed.drivername):
        parsed = parsed.set(drivername=driver)
    return parsed.render_as_string(hide_password=False)


def make_engine(url: str) -> AsyncEngine:
    """An engine for `url`. SQLite gets WAL, foreign keys, full syncing and explicit BEGINs."""
    url = async_url(url)
    if not url.startswith("sqlite"):
        return create_async_engine(url, pool_pre_ping=True)
    options: dict[str, Any] = {"connect_args": {"timeout": BUSY_MS / 1000}}
    if make_url(url).database in (None, "", ":memory:"):
        options["poolclass"] = StaticPool  # every connection must see the same memory
    engine = create_async_engine(url, **options)
    event.listen(engine.sync_engine, "connect", _on_connect)
    event.listen(engine.sync_engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin by itself: `_on_begin` does
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin(connection: Any) -> None:
    # A deferred transaction that reads first and writes later fails at once with "database is locked" when
    # somebody else wrote in between; an immediate one waits for its turn instead.
    reading = connection.get_execution_options().get("reelroom_reading")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


class Database:
    """Sessions on one engine. Hold neither kind across network calls: on SQLite a writer blocks writers."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)
        reading = self.engine.execution_options(reelroom_reading=True)
        self._write = async_sessionmaker(self.engine, expire_on_commit=False)
        self._read = async_sessionmaker(reading, expire_on_commit=False)

    def session(self) -> AsyncSession:
        """A session that may write; commit it yourself: `async with db.session() as s, s.begin(): …`"""
        return self._write()

    def reading(self) -> AsyncSession:
        """A session that only reads: it waits for nobody and blocks nobody."""
        return self._read()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A writing session that commits at the end of the block and rolls back on an exception."""
        async with self._write() as session, session.begin():
            yield session

    async def close(self) -> None:
        await self.engine.dispose()
