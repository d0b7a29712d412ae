"""Files out of the library: those that somebody deletes and those that have expired. Puts none into it.

First go a file's objects in storage, then what this machine still has of it, at last its row: whatever is killed in
between is done again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import structlog
from sqlalchemy import delete, select, update

from reelroom.deliver.outbox import now_ns
from reelroom.deliver.retention import delete_media
from reelroom.deliver.storage import StorageError
from reelroom.deliver.uploads import Uploader
from reelroom.domain.recording import ENDED
from reelroom.store.db import Database
from reelroom.store.destinations import forget
from reelroom.store.tables import File, Media, MediaObject, Recording

log = structlog.get_logger("reelroom.library")

AT_ONCE = 16  # objects that are deleted at the same time
BATCH = 100
CHUNK = 500  # keys in one statement


class Shelf:
    """Takes files out of the library. One per control process."""

    def __init__(self, database: Database, uploader: Uploader, recordings: Path) -> None:
        self._database = database
        self._uploader = uploader
        self._recordings = recordings
        self._later: set[str] = set()  # recordings whose files went before their end: local media goes after it

    async def remove(self, id: str) -> bool:
        """Delete a file with its objects; False: there is none. StorageError when the storage does not let it go."""
        async with self._database.reading() as session:
            media = await session.get(Media, id)
            if media is None:
                return False
            along = (await session.scalars(select(MediaObject.key).where(MediaObject.media == id))).all()
        storage = await self._uploader.storage(media.destination, media.app)
        await storage.delete(media.key)  # the playlist before what it names
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(key: str) -> StorageError | None:
            async with gate:
                try:
                    await storage.delete(key)
                except StorageError as error:
                    return error
            return None

        for outcome in await asyncio.gather(*(one(key) for key in along)):
            if outcome is not None:
                raise outcome
        async with self._database.transaction() as session:
            keys = [media.key, *along]
            for begin in range(0, len(keys), CHUNK):
                mine = File.recording == media.recording, File.key.in_(keys[begin : begin + CHUNK])
                await session.execute(update(File).where(*mine).values(state="deleted", error=""))
            await session.execute(delete(Media).where(Media.id == id))
            await forget(session, media.destination)
        await self._forget_local(media.recording, keys)
        return True

    async def _forget_local(self, recording: str, keys: Sequence[str]) -> None:
        """What this machine has of these objects goes, and all media with a recording's last file in the library."""
        async with self._database.reading() as session:
            row = await session.get(Recording, recording)
            if row is None:
                return  # its folder went with it
            if row.state not in ENDED:
                self._later.add(recording)  # other files are still made of the same segments
                return
            left = await session.scalar(select(Media.id).where(Media.recording == recording).limit(1))
            paths: list[str] = []
            for begin in range(0, len(keys), CHUNK):
                mine = File.recording == recording, File.key.in_(keys[begin : begin + CHUNK]), File.path != ""
                paths += (await session.scalars(select(File.path).where(*mine))).all()
        await asyncio.to_thread(_unlink, self._recordings / recording, paths, left is None)

    async def sweep(self) -> tuple[int, int | None]:
        """Delete what has expired: how many went, and when the next one does (UTC ns; None: none does)."""
        for recording in list(self._later):
            self._later.discard(recording)
            await self._forget_local(recording, ())
        count, last = 0, (0, "")
        until = now_ns()
        while batch := await self._expired(until, last):
            for id_, expires_ns in batch:
                last = (expires_ns, id_)
                try:
                    count += await self.remove(id_)
                except StorageError as error:
                    log.error("an expired file stays in storage, tried again", media=id_, error=str(error))
        async with self._database.reading() as session:
            query = select(Media.expires_ns).where(Media.expires_ns > until).order_by(Media.expires_ns).limit(1)
            return count, await session.scalar(query)

    async def _expired(self, until: int, last: tuple[int, str]) -> list[tuple[str, int]]:
        at, id_ = last
        query = (
            select(Media.id, Media.expires_ns)
            .where(Media.expires_ns > 0, Media.expires_ns <= until)
            .where((Media.expires_ns > at) | ((Media.expires_ns == at) & (Media.id > id_)))
            .order_by(Media.expires_ns, Media.id)
            .limit(BATCH)
        )
        async with self._database.reading() as session:
            return [(row.id, row.expires_ns) for row in await session.execute(query)]


def _unlink(folder: Path, paths: Sequence[str], everything: bool) -> None:
    for path in paths:
        target = folder / path
        if target.resolve().is_relative_to(folder.resolve()):
            target.unlink(missing_ok=True)
    if everything:
        delete_media(folder)
