"""Engine and sessions of the database, SQLite or PostgreSQL. Holds no queries, tables or migrations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

T = TypeVar("T")
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
    if _in_memory(url):
        options["poolclass"] = StaticPool  # every connection must see the same memory
    engine = create_async_engine(url, **options)
    _listen(engine.sync_engine)
    return engine


def _make_direct(url: str) -> Engine | None:
    """A second engine for SQLite files, without asyncio; None: this database has none."""
    made = make_url(async_url(url))
    if made.get_backend_name() != "sqlite" or _in_memory(url):
        return None
    engine = create_engine(
        made.set(drivername="sqlite"),
        pool_size=1,
        max_overflow=0,
        connect_args={"timeout": BUSY_MS / 1000, "check_same_thread": False},
    )
    _listen(engine)
    return engine


def _in_memory(url: str) -> bool:
    return make_url(url).database in (None, "", ":memory:")


def _listen(engine: Engine) -> None:
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)


def _on_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin by itself: `_on_begin` does
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin(connection: Any) -> None:
    # A deferred transaction that reads first and writes later fails at once with "database is locked" when
    # somebody else wrote in between; an immediate one waits for its turn instead.
    if not connection.get_execution_options().get("reelroom_reading"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return
    cursor = connection.connection.cursor()  # a tenth of the time, and this one cannot fail
    cursor.execute("BEGIN")
    cursor.close()


class Database:
    """Sessions on one engine. Hold neither kind across network calls: on SQLite a writer blocks writers."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)
        reading = self.engine.execution_options(reelroom_reading=True)
        self._write = async_sessionmaker(self.engine, expire_on_commit=False)
        self._read = async_sessionmaker(reading, expire_on_commit=False)
        self._reading = reading
        self._direct = _make_direct(url)
        self._direct_reading = self._direct and self._direct.execution_options(reelroom_reading=True)
        self._thread = ThreadPoolExecutor(1, "database")  # its connection is opened at the first use
        self._here = _make_direct(url)  # for `look`, which has one connection from its first use on
        self._look: Connection | None = None

    async def run(self, work: Callable[[Connection], T], *, reading: bool = False) -> T:
        """`work` as one transaction: committed when it returns, rolled back when it raises.

        For what happens often. On a SQLite file all of its statements cross to a thread and back once, whereas
        each of a session's does. `work` must neither block nor touch what the event loop changes meanwhile.
        """
        direct = self._direct_reading if reading else self._direct
        if direct is not None:
            return await asyncio.get_running_loop().run_in_executor(self._thread, _transact, direct, work)
        async with (self._reading if reading else self.engine).begin() as connection:
            return await connection.run_sync(work)

    async def write(self, work: Callable[[Session], T]) -> T:
        """The same with rows as objects. Those that `work` was given or returns are nobody's afterwards, and loaded."""

        def whole(connection: Connection) -> T:
            with Session(connection, expire_on_commit=False) as session:
                made = work(session)
                session.flush()
                session.expunge_all()
                return made

        return await self.run(whole)

    async def look(self, work: Callable[[Session], T]) -> T:
        """What `work` finds, as one snapshot. For what requests ask again and again: rows by a key, one recording's.

        On a SQLite file it is done on the event loop at once: it takes less than handing it to a thread would, and
        waits for no writer. So `work` must be short: what may go over many rows is for `reading`.
        """
        if self._here is not None:
            if self._look is None:
                self._look = self._here.connect().execution_options(reelroom_reading=True)
            with Session(self._look, expire_on_commit=False) as session:
                return work(session)
        async with self._read() as session:
            return await session.run_sync(work)

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
        await asyncio.to_thread(self._thread.shutdown)
        if self._look is not None:
            self._look.close()
        for engine in (self._direct, self._here):
            if engine is not None:
                engine.dispose()
        await self.engine.dispose()


def _transact(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.begin() as connection:
        return work(connection)
