"""Opening the storage that a recording's files go to: an app's part of the server's own, or a destination's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from sqlalchemy import select

from reelroom.deliver.storage import Storage, StorageError, local_root, open_storage
from reelroom.store.db import Database
from reelroom.store.secrets import SecretBox, SecretError
from reelroom.store.tables import App, Destination

LOCAL = "local:"  # and the app: the lane of recordings without a destination, in the server's own storage folder

#: Raises, with a reason, when requests may not go to a service with these options (now: names change hosts).
Guard = Callable[[str, dict[str, str]], Awaitable[None]]


async def anywhere(_service: str, _options: dict[str, str]) -> None:
    """No guard."""


def lane_of(destination: str | None, app: str) -> str:
    """What an uploader calls the place of a recording's files."""
    return destination or LOCAL + app


class Openings:
    """Opens what lanes name. `guard` is asked before, but not for an app's own destination: that is the operator's."""

    def __init__(self, database: Database, box: SecretBox, storage: Path, guard: Guard) -> None:
        """`storage`: the server's own storage folder."""
        self._database = database
        self._box = box
        self._storage = storage
        self._guard = guard

    async def open(self, lane: str) -> Storage:
        """Opened anew, with the credentials of now. StorageError when it cannot be."""
        if lane.startswith(LOCAL):
            return open_storage("fs", {"root": str(local_root(self._storage, lane.removeprefix(LOCAL)))})
        async with self._database.reading() as session:
            row = await session.get(Destination, lane)
            own = await session.scalar(select(App.id).where(App.destination == lane).limit(1))
        if row is None:
            raise StorageError(f"destination {lane} is not in the database any more")
        try:
            options = self._box.open(row.options)
        except SecretError as error:
            raise StorageError(str(error)) from error
        if own is None:
            try:
                await self._guard(row.service, options)
            except Exception as error:  # the guard's own kind, which this layer does not know
                raise StorageError(str(error)) from error
        return open_storage(row.service, options)
