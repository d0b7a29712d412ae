"""Uploading: what goes where, when, and again. Reads the database, not journals; calls nobody back.

Every destination has a lane of its own, so one that is away, slow or full holds up nobody else's files. In a
lane recordings take turns. A lane whose destination fails twice in a row goes on with a single upload at a time,
after a pause, until one works; a file that failed waits longer each time, for as long as its recording exists.

The database has the state: a killed process loses the knowledge of what it had begun, uploads that again under
the same name, and has told nobody of it yet, because files' states and their events are one transaction.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import structlog
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from reelroom.deliver import pending
from reelroom.deliver.lanes import Lane
from reelroom.deliver.openings import Guard, Openings, anywhere, lane_of
from reelroom.deliver.outbox import NEVER_NS, lock, now_ns, settle
from reelroom.deliver.pending import Taken, Work
from reelroom.deliver.playlists import Playlists
from reelroom.deliver.putting import jobs, put
from reelroom.deliver.results import Result, Stored, store
from reelroom.deliver.storage import Storage, StorageError
from reelroom.store.db import Database
from reelroom.store.secrets import SecretBox
from reelroom.store.tables import RECORDINGS, File, Recording

log = structlog.get_logger("reelroom.uploads")

PER_RECORDING = 4  # uploads of one recording at the same time
STORE_S = 0.2  # results are written down at most so often, but at once when the recording was stopped
AFTER_TICK_S = 0.03  # the follower works at ticks too: what it finds goes together with what was due then
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
        self._recordings = recordings
        self._concurrency = concurrency
        self._pause_max_s = pause_max_s
        self._poll_s = poll_s
        self._told = told
        self._lanes: dict[str, Lane] = {}
        self._playlists = Playlists()  # for the database's transactions only
        self._failing: set[str] = set()  # recordings that were told "upload.failing" last
        self._destinations: dict[str, str] = {}  # of recordings; a recording never gets another
        self._poked: set[str] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.uploaded = self.uploaded_bytes = self.failures = 0

    async def start(self) -> None:
        self._failing = await self._database.run(pending.told_failing, reading=True)
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
        return Stats(count, size, failing or 0, down, self.uploaded, self.uploaded_bytes, self.failures)

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
        """Runs while the lane's recordings have something pending, now or later."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                lane.wake.clear()
                pause = lane.not_before - loop.time()
                if pause <= 0 or not lane.down:
                    try:
                        pause = await self._fill(lane)
                    except SQLAlchemyError as error:
                        log.error("uploads cannot read the database", error=repr(error))
                        pause = 1.0
                if lane.idle:
                    return
                try:
                    await asyncio.wait_for(lane.wake.wait(), min(max(pause, 0.01), 60.0))
                except TimeoutError:
                    pass
        finally:
            lane.task = None
            if self._lanes.get(lane.destination) is lane and lane.idle:
                del self._lanes[lane.destination]

    async def _fill(self, lane: Lane) -> float:
        """Start as many uploads as may run and return the seconds until there may be more."""
        slots = (1 if lane.down else self._concurrency) - len(lane.jobs)
        now = now_ns()
        due = [each for each, ns in lane.recordings.items() if ns <= now and lane.busy[each] < PER_RECORDING]
        if slots > 0 and due:
            error = ""
            if lane.storage is None:
                try:
                    lane.storage = await self._openings.open(lane.destination)
                except StorageError as trouble:
                    error = str(trouble)
            together = lane.storage.together if lane.storage and not lane.down else 1
            rooms = {each: (PER_RECORDING - lane.busy[each]) * together for each in due}
            taken = await self._take(lane, rooms, slots * together)
            for job in jobs(taken.work, together):
                self._begin(lane, job, error)
            slots = (1 if lane.down else self._concurrency) - len(lane.jobs)
        lane.drop_idle()
        if slots <= 0:
            return 60.0
        soonest = min((ns for each, ns in lane.recordings.items() if lane.busy[each] < PER_RECORDING), default=NEVER_NS)
        after_s = AFTER_TICK_S if soonest % pending.TICK_NS == 0 else 0.0
        return (soonest - now_ns()) / 1e9 + after_s

    async def _take(self, lane: Lane, rooms: dict[str, int], total: int) -> Taken:
        running = frozenset(lane.running)
        for recording in rooms:
            lane.recordings[recording] = NEVER_NS  # unless it is poked meanwhile
        try:
            taken = await self._database.run(
                lambda connection: pending.take(connection, self._playlists, rooms, running, total), reading=True
            )
        except SQLAlchemyError:
            for recording in rooms:
                lane.look(recording, 0)
            raise
        for recording, ns in taken.next_ns.items():
            lane.look(recording, ns)
        for work in taken.work:
            lane.recordings.move_to_end(work.row.recording)  # the others first, next time
        return taken

    def _begin(self, lane: Lane, job: list[Work], error: str) -> None:
        for work in job:
            lane.running[work.row.id] = work.row.recording
        recordings = {work.row.recording for work in job}
        lane.busy.update(recordings)
        task = asyncio.create_task(self._upload(lane, job, error), name=f"upload {job[0].row.key}")
        lane.jobs.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            lane.jobs.discard(task)
            lane.busy -= Counter(recordings)
            if not lane.jobs:
                lane.hurry.set()
            lane.wake.set()

        task.add_done_callback(ended)

    async def _upload(self, lane: Lane, job: list[Work], error: str) -> None:
        try:
            results = [Result(work, error) for work in job] if error else await self._put(lane, job)
        except Exception as trouble:  # a mistake of ours: uploads that failed, not the end of the lane
            log.exception("upload broke off", key=job[0].row.key)
            results = [Result(work, f"broke off: {trouble!r}"[:300]) for work in job]
        await self._judge(lane, results)
        lane.results += results
        if any(work.row.stopped_ns is not None for work in job):
            lane.hurry.set()
        if lane.storing is None:
            lane.storing = asyncio.create_task(self._store(lane), name="write down uploads")

    async def _put(self, lane: Lane, job: list[Work]) -> list[Result]:
        assert lane.storage is not None
        return await put(lane.storage, job, self._recordings)

    async def _judge(self, lane: Lane, results: list[Result]) -> None:
        """What the results say of the destination."""
        for result in results:
            if result.error is None and not result.lost:
                self.uploaded += 1
                self.uploaded_bytes += result.work.row.bytes if result.work.data is None else len(result.work.data)
        failed = [result for result in results if result.error is not None]
        self.failures += len(failed)
        if len(failed) < len(results):
            if lane.failures:
                log.info("storage works", destination=lane.destination or "local", failures=lane.failures)
            if lane.down:
                recordings = list(lane.recordings)
                try:
                    await self._database.run(lambda connection: pending.retry_now(connection, recordings))
                except SQLAlchemyError as error:
                    log.error("uploads cannot write to the database", error=repr(error))
                for recording in recordings:
                    lane.look(recording, 0)
            lane.failures = 0
            return
        lane.failed(asyncio.get_running_loop().time())
        lane.storage = lane.storage if lane.failures < 10 else None  # opened anew: its credentials may be new
        if lane.failures in (1, 2, 10) or lane.failures % 100 == 0:
            row = failed[0].work.row
            log.warning(
                "upload failed",
                recording=row.recording,
                key=row.key,
                destination=lane.destination or "local",
                failures=lane.failures,
                error=failed[0].error,
            )

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

    async def storage(self, destination: str | None, app: str) -> Storage:
        """A destination, or an app's own part of the server's storage, opened anew. StorageError when it cannot be."""
        return await self._openings.open(lane_of(destination, app))


def _settle(recording: str, connection: Connection) -> bool:
    return recording in lock(connection, [recording]) and settle(connection, recording)
