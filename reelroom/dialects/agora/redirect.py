"""Giving a running recording another destination, for `update.storageConfig`. Knows no wire types."""

from __future__ import annotations

from sqlalchemy import delete, select

from reelroom.control import destinations
from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.destinations import DestinationSpec
from reelroom.store import tables


async def redirect(context: Context, app: AppContext, recording: str, destination: DestinationSpec) -> None:
    """What is not uploaded yet goes to `destination`. ControlError("invalid") when a caller may not name it."""
    settings = context.settings
    checked = await destinations.check(destination, settings.storage, settings.allow_private)
    row = destinations.row(app.id, checked, context.box)
    async with context.database.transaction() as session:
        session.add(row)
        await session.flush()
        found = await session.get_one(tables.Recording, recording, with_for_update=True)
        before, found.destination = found.destination, row.id
        await session.flush()
        used = select(tables.Recording.id).where(tables.Recording.destination == before).limit(1)
        if before and before != app.destination and await session.scalar(used) is None:
            await session.execute(delete(tables.Destination).where(tables.Destination.id == before))
