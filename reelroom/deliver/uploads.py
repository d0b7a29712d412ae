"""Uploading: what goes where, when, and again. Reads the database, not journals; calls nobody back.

Every destination has a lane of its own, so one that is away, slow or full holds up nobody else's files. In a
lane recordings take turns (`serving.py`). A file that failed waits longer each time, for as long as its recording
exists.

The database has the state: a killed process loses the knowledge of what it had begun, uploads that again under
the same name, and has told nobody of it yet, because files' states and their events are one transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import structlog
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from reelroom.deliver import pending
from reelroom.deliver.lanes import Lane
from reelroom.deliver.openings import Guard, Openings, anywhere, lane_of
from reelroom.deliver.outbox import NEVER_NS, lock, settle
from reelroom.deliver.playlists import Playlists
from reelroom.deliver.serving import Serving
from reelroom.deliver.storage import Storage
from reelroom.deliver.writing import Writer
from reelroom.store.db import Database
from reelroom.store.secrets import SecretBox
from reelroom.store.tables import RECORDINGS, File, Recording

log = structlog.get_logger("reelroom.uploads")

MAX_KNOWN = 10_000  # recordings whose destination is remembered


class Stats(NamedTuple):
    """For /metrics. Counters are of this process's life."""

    pending: int
    pending_bytes: int
    failing: int  # pending files whose last try failed
    destinations_down: int
    uploaded: int
    uploaded_bytes: int
    failures: int


class Uploader:
    """Uploads pending files until none is left. One per control process."""

    def __init__(
        self,
        database: Database,
        box: SecretBox,
        recordings: Path,
        storage: Path,
        *,
        concurrency: int = 8,
        pause_max_s: float = 60.0,
        poll_s: float = 30.0,
        told: Callable[[str], None] = lambda recording: None,
        guard: Guard = anywhere,
    ) -> None:
        """`concurrency` is per destination; `told` is called with a recording that has new events.

        `guard` is asked whenever a destination that a caller named is opened; not for those of apps, which are the
        operator's.
        """
        self._database = database
        self._openings = Openings(database, box, storage, guard)
        self._poll_s = poll_s
        self._told = told
        self._lanes: dict[str, Lane] = {}
        playlists = Playlists()
        self._writer = Writer(database, playlists, pause_max_s, told)
        self._serving = Serving(database, self._openings, playlists, self._writer, recordings, concurrency)
        self._destinations: dict[str, str] = {}  # of recordings; a recording never gets another
        self._poked: set[str] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._writer.start()
        self._task = asyncio.create_task(self._run(), name="uploads")

    async def stop(self) -> None:
        tasks = [self._task]
        for lane in self._lanes.values():
            tasks += [lane.task, lane.storing, *lane.jobs]
        running = [task for task in tasks if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._lanes.clear()
        self._task = None

    def poke(self, recording: str) -> None:
        """Something of this recording may be to upload."""
        self._poked.add(recording)
        self._wake.set()

    async def stats(self) -> Stats:
        async with self._database.reading() as session:
            waiting = (File.state == "pending", File.due_ns < NEVER_NS)
            query = select(func.count(), func.coalesce(func.sum(File.bytes), 0)).where(*waiting)
            count, size = (await session.execute(query)).one()
            failing = await session.scalar(select(func.count()).where(*waiting, File.error != ""))
        down = sum(lane.down for lane in self._lanes.values())
        done = self._serving
        return Stats(count, size, failing or 0, down, done.uploaded, done.uploaded_bytes, done.failures)

    async def delete_objects(self, recording: str) -> None:
        """Remove everything of a recording from its storage. StorageError when the storage does not."""
        async with self._database.reading() as session:
            row = await session.get(Recording, recording)
            if row is None:
                return
            keys = (await session.scalars(select(File.key).where(File.recording == recording))).all()
        storage = await self._openings.open(lane_of(row.destination, row.app))
        for key in keys:
            await storage.delete(key)

    async def _run(self) -> None:
        await self._look_at_all()
        while True:
            try:
                await asyncio.wait_for(self._wake.wait(), self._poll_s)
            except TimeoutError:
                await self._look_at_all()
                continue
            self._wake.clear()
            poked, self._poked = self._poked, set()
            try:
                await self._enlist(poked)
            except SQLAlchemyError as error:
                log.error("uploads cannot read the database", error=repr(error))
                await asyncio.sleep(1)
                self._poked |= poked
                self._wake.set()

    async def _look_at_all(self) -> None:
        try:
            rows, stuck = await self._database.run(pending.unfinished, reading=True)
            for id_, destination, app in rows:
                self._look(lane_of(destination, app), id_)
            for id_ in stuck:
                if await self._database.run(partial(_settle, id_)):
                    self._told(id_)
        except SQLAlchemyError as error:
            log.error("uploads cannot read the database", error=repr(error))

    async def _enlist(self, recordings: set[str]) -> None:
        if unknown := recordings - self._destinations.keys():
            if len(self._destinations) > MAX_KNOWN:
                self._destinations.clear()
                unknown = recordings
            query = select(RECORDINGS.c.id, RECORDINGS.c.destination, RECORDINGS.c.app).where(
                RECORDINGS.c.id.in_(unknown)
            )
            rows = await self._database.run(lambda connection: connection.execute(query).all(), reading=True)
            self._destinations |= {row.id: lane_of(row.destination, row.app) for row in rows}
        for id_ in recordings & self._destinations.keys():
            self._look(self._destinations[id_], id_)

    def _look(self, destination: str, recording: str) -> None:
        lane = self._lanes.get(destination)
        if lane is None:
            lane = self._lanes[destination] = Lane(destination)
        lane.look(recording, 0)
        lane.wake.set()
        if lane.task is None:
            lane.task = asyncio.create_task(self._serve(lane), name=f"uploads to {destination}")

    async def _serve(self, lane: Lane) -> None:
        try:
            await self._serving.serve(lane)
        finally:
            lane.task = None
            if self._lanes.get(lane.destination) is lane and lane.idle:
                del self._lanes[lane.destination]

    async def storage(self, destination: str | None, app: str) -> Storage:
        """A destination, or an app's own part of the server's storage, opened anew. StorageError when it cannot be."""
        return await self._openings.open(lane_of(destination, app))


def _settle(recording: str, connection: Connection) -> bool:
    return recording in lock(connection, [recording]) and settle(connection, recording)
