"""A database with all tables, in memory but where asked, for unit tests. Holds no test.

SQLAlchemy compiles each table anew and crosses to SQLite's thread for each: that was half of what most such tests took.
"""

from __future__ import annotations

import functools
from pathlib import Path

from sqlalchemy import create_engine

from reelroom.store.db import Database
from reelroom.store.tables import Base


async def database(file: Path | None = None) -> Database:
    """Tables that are empty; whoever asks for it closes it. In memory it has one connection, so that nothing may go on
    in it while something else does; in a file it is as servers have it."""
    made = Database(f"sqlite:///{file}" if file else "sqlite://")
    async with made.engine.connect() as connection:
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        await raw.driver_connection.executescript(_script())
    return made


@functools.cache
def _script() -> str:
    """What SQLAlchemy makes of the tables, as SQLite has it."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
    raw = engine.raw_connection()
    assert raw.driver_connection is not None
    script = "\n".join(raw.driver_connection.iterdump())
    engine.dispose()
    return script
