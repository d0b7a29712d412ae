"""What stays of recordings that are done, and for how long. Never touches the journal, and no storage by itself.

By default everything stays. With `delete_local_after_s` the media of a finished recording goes when everything of it
has been in storage for that long: segments, finished files and what is left of the write-ahead log. The spec, the
commands and the journal stay, so the timeline and the proof of what was recorded do. Files that a recording could
not deliver (its row says "failed", or a file of it is not in storage) are kept.

Files in the library that have expired go too, by `shelf.py`: from storage, from this machine and from the list.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import structlog
from sqlalchemy import exists, select
from sqlalchemy.exc import SQLAlchemyError

from reelroom.deliver.outbox import now_ns
from reelroom.domain.recording import State
from reelroom.store.db import Database
from reelroom.store.tables import File, Recording

log = structlog.get_logger("reelroom.retention")

#: Deletes what is due: how many that were, and when the next is (UTC nanoseconds, None: no time is known).
Sweep = Callable[[], Awaitable[tuple[int, int | None]]]

MEDIA = ("segments", "files", "wal")
BATCH = 100


class Retention:
    """Looks every `poll_s` for recordings whose time has come. One per control process."""

    def __init__(
        self,
        database: Database,
        recordings: Path,
        delete_local_after_s: float | None = None,
        poll_s: float = 60.0,
        others: Sequence[Sweep] = (),
    ) -> None:
        """`delete_local_after_s`: seconds after the last upload; None: never. `others`: what else has an end."""
        if delete_local_after_s is not None and delete_local_after_s < 0:
            raise ValueError(f"delete_local_after_s must not be negative, is {delete_local_after_s}")
        self._database = database
        self._recordings = recordings
        self._after_s = delete_local_after_s
        self._poll_s = poll_s
        self._others = others
        self._done: tuple[int, str] = (0, "")  # finished_ns and id of the last one that was looked at
        self._task: asyncio.Task[None] | None = None
        self.deleted = 0  # recordings whose media went, in this process's life

    async def start(self) -> None:
        if self._after_s is not None or self._others:
            self._task = asyncio.create_task(self._run(), name="retention")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def sweep(self) -> int:
        """Delete what is due now and return of how many recordings. After a restart it looks at all of them once."""
        if self._after_s is None:
            return 0
        count = 0
        until = now_ns() - int(self._after_s * 1e9)
        while batch := await self._batch(until):
            for id_, finished_ns in batch:
                count += await asyncio.to_thread(delete_media, self._recordings / id_)
                self._done = (finished_ns, id_)
        self.deleted += count
        return count

    async def _batch(self, until: int) -> list[tuple[str, int]]:
        at, last = self._done
        undelivered = exists().where(
            File.recording == Recording.id, File.state.in_(("pending", "uploading", "deleted")), File.error != ""
        )
        query = (
            select(Recording.id, Recording.finished_ns)
            .where(Recording.state == State.FINISHED, Recording.finished_ns <= until, ~undelivered)
            .where((Recording.finished_ns > at) | ((Recording.finished_ns == at) & (Recording.id > last)))
            .order_by(Recording.finished_ns, Recording.id)
            .limit(BATCH)
        )
        async with self._database.reading() as session:
            return [(id_, finished_ns or 0) for id_, finished_ns in await session.execute(query)]

    async def _run(self) -> None:
        while True:
            pause_s = self._poll_s
            for sweep in (self._local, *self._others):
                try:
                    _, next_ns = await sweep()
                except (SQLAlchemyError, OSError) as error:
                    log.error("what has expired could not be deleted, tried again", error=repr(error))
                    continue
                if next_ns is not None:
                    pause_s = min(pause_s, max((next_ns - now_ns()) / 1e9, 0.0) + 0.01)
            await asyncio.sleep(pause_s)

    async def _local(self) -> tuple[int, int | None]:
        return await self.sweep(), None


def delete_media(folder: Path) -> bool:
    """Remove a recording's media from its folder; False: there was none."""
    gone = False
    for name in MEDIA:
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
            gone = True
    return gone
