"""When a destination's row may go: nobody needs its credentials any more. Opens none."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from reelroom.store.tables import App, Destination, Media, Recording


async def forget(session: AsyncSession, id: str | None) -> bool:
    """Delete a destination unless an app, a recording or a file in a library has it: True."""
    if id is None:
        return False
    for used in (App.destination, Recording.destination, Media.destination):
        if await session.scalar(select(used).where(used == id).limit(1)) is not None:
            return False
    await session.execute(delete(Destination).where(Destination.id == id))
    return True
