"""Which recording a resource id was used for: one start each. The ids themselves are sealed in `resource.py`."""

from __future__ import annotations

from sqlalchemy import delete
from sqlalchemy.orm import Session

from reelroom.dialects.agora.resource import Resource
from reelroom.store import tables
from reelroom.store.db import Database

DIALECT = "agora"
HOUR_NS = 3600 * 10**9


async def claimed(database: Database, resource: Resource) -> str | None:
    """The sid that this resource id was used for."""
    row = await database.look(lambda session: session.get(tables.DialectState, (DIALECT, resource.nonce)))
    return None if row is None else str(row.data["sid"])


async def claim(database: Database, resource: Resource, sid: str, now: int) -> None:
    """Note the use before the recording exists: whatever dies in between, a retry gets the same sid."""
    row = tables.DialectState(
        dialect=DIALECT,
        key=resource.nonce,
        app=resource.app,
        data={"sid": sid},
        created_ns=now,
        expires_ns=now + resource.expired_hour * HOUR_NS,
    )

    def write(session: Session) -> None:
        expired = tables.DialectState.dialect == DIALECT, tables.DialectState.expires_ns < now
        session.execute(delete(tables.DialectState).where(*expired))
        session.merge(row)

    await database.write(write)
