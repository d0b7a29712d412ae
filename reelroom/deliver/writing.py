"""Uploads' results written down, those that came together in one transaction, and told of. Uploads nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from reelroom.deliver import pending
from reelroom.deliver.lanes import Lane
from reelroom.deliver.playlists import Playlists
from reelroom.deliver.results import Result, Stored, store
from reelroom.store.db import Database

log = structlog.get_logger("reelroom.uploads")

STORE_S = 0.2  # results are written down at most so often, but at once when the recording was stopped


class Writer:
    """Writes down the results of all lanes; `told` is called with a recording that has new events."""

    def __init__(
        self, database: Database, playlists: Playlists, pause_max_s: float, told: Callable[[str], None]
    ) -> None:
        self._database = database
        self._playlists = playlists  # for the database's transactions only
        self._pause_max_s = pause_max_s
        self._told = told
        self._failing: set[str] = set()  # recordings that were told "upload.failing" last

    async def start(self) -> None:
        """Before the first `add`: what was told in an earlier life."""
        self._failing = await self._database.run(pending.told_failing, reading=True)

    def add(self, lane: Lane, results: Sequence[Result]) -> None:
        """These are to be written down, soon."""
        lane.results += results
        if any(result.work.row.stopped_ns is not None for result in results):
            lane.hurry.set()
        if lane.storing is None:
            lane.storing = asyncio.create_task(self._store(lane), name="write down uploads")

    async def _store(self, lane: Lane) -> None:
        """Write down results until there are none, those that came together in one transaction."""
        try:
            while lane.results:
                results, lane.results = lane.results, []
                try:
                    stored = await self._database.run(partial(self._write, results))
                except (SQLAlchemyError, ValueError, KeyError) as error:  # their rows are still pending: done again
                    log.error("uploads' results cannot be stored", key=results[0].work.row.key, error=repr(error))
                    await asyncio.sleep(1)
                    stored = Stored({result.work.row.recording: 0 for result in results})
                for result in results:
                    lane.running.pop(result.work.row.id, None)
                self._stored(lane, stored)
                if lane.jobs and all(result.work.row.stopped_ns is None for result in lane.results):
                    await self._gather(lane)
        finally:
            lane.storing = None
            lane.wake.set()

    async def _gather(self, lane: Lane) -> None:
        """Let more results come in, unless nobody works on any or somebody waits for them."""
        lane.hurry.clear()
        try:
            await asyncio.wait_for(lane.hurry.wait(), STORE_S)
        except TimeoutError:
            pass

    def _write(self, results: Sequence[Result], connection: Connection) -> Stored:
        stored = store(connection, results, self._failing, self._pause_max_s)
        for file in stored.ended:
            self._playlists.forget(file)
        return stored

    def _stored(self, lane: Lane, stored: Stored) -> None:
        self._failing |= stored.failing
        self._failing -= stored.working
        for recording, ns in stored.next_ns.items():
            lane.look(recording, ns)
        for recording in stored.told:
            self._told(recording)
        lane.wake.set()
