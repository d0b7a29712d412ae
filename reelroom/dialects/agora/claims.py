"""Which recording a resource id was used for: one start each. The ids themselves are sealed in `resource.py`."""

from __future__ import annotations

from sqlalchemy import delete

from reelroom.dialects.agora.resource import Resource
from reelroom.store import tables
from reelroom.store.db import Database

DIALECT = "agora"
HOUR_NS = 3600 * 10**9


async def claimed(database: Database, resource: Resource) -> str | None:
    """The sid that this resource id was used for."""
    async with database.reading() as session:
        row = await session.get(tables.DialectState, (DIALECT, resource.nonce))
    return None if row is None else str(row.data["sid"])


async def claim(database: Database, resource: Resource, sid: str, now: int) -> None:
    """Note the use before the recording exists: whatever dies in between, a retry gets the same sid."""
    async with database.transaction() as session:
        expired = tables.DialectState.dialect == DIALECT, tables.DialectState.expires_ns < now
        await session.execute(delete(tables.DialectState).where(*expired))
        await session.merge(
            tables.DialectState(
                dialect=DIALECT,
                key=resource.nonce,
                app=resource.app,
                data={"sid": sid},
                created_ns=now,
                expires_ns=now + resource.expired_hour * HOUR_NS,
            )
        )
