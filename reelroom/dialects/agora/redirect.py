"""Giving a running recording another destination, for `update.storageConfig`. Knows no wire types."""

from __future__ import annotations

from reelroom.control import destinations
from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.destinations import DestinationSpec
from reelroom.deliver.storage import local_root
from reelroom.store import tables


async def redirect(
    context: Context, app: AppContext, recording: str, destination: DestinationSpec, must_resolve: bool
) -> None:
    """What is not uploaded yet goes to `destination`. ControlError("invalid") when a caller may not name it."""
    settings = context.settings
    root = local_root(settings.storage, app.id)
    checked = await destinations.check(destination, root, settings.allow_private, must_resolve=must_resolve)
    row = destinations.row(app.id, checked, context.box)
    async with context.database.transaction() as session:
        found = await session.get_one(tables.Recording, recording, with_for_update=True)
        own = found.destination and found.destination != app.destination
        if own and (old := await session.get(tables.Destination, found.destination)):
            # In place: whoever uploads has it open under this id, and opens it anew when it stops working.
            old.service, old.options, old.described = row.service, row.options, row.described
        else:
            session.add(row)
            await session.flush()
            found.destination = row.id
