"""What is done in one destination's lane: taking turns, uploading, judging the destination. Knows one lane at a time.

A lane whose destination fails twice in a row goes on with a single upload at a time, after a pause, until one works.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError

from reelroom.deliver import pending
from reelroom.deliver.lanes import Lane
from reelroom.deliver.openings import Openings
from reelroom.deliver.outbox import NEVER_NS, now_ns
from reelroom.deliver.pending import Taken, Work
from reelroom.deliver.playlists import Playlists
from reelroom.deliver.putting import jobs, put
from reelroom.deliver.results import Result
from reelroom.deliver.storage import StorageError
from reelroom.deliver.writing import Writer
from reelroom.store.db import Database

log = structlog.get_logger("reelroom.uploads")

PER_RECORDING = 4  # uploads of one recording at the same time
AFTER_TICK_S = 0.03  # the follower works at ticks too: what it finds goes together with what was due then


class Serving:
    """Works off lanes, those of one control process. Counts what it did."""

    def __init__(
        self,
        database: Database,
        openings: Openings,
        playlists: Playlists,
        writer: Writer,
        recordings: Path,
        concurrency: int,
    ) -> None:
        """`concurrency` is per destination; `recordings` is the folder of all of them."""
        self._database = database
        self._openings = openings
        self._playlists = playlists  # for the database's transactions only
        self._writer = writer
        self._recordings = recordings
        self._concurrency = concurrency
        self.uploaded = self.uploaded_bytes = self.failures = 0

    async def serve(self, lane: Lane) -> None:
        """Runs while the lane's recordings have something pending, now or later."""
        loop = asyncio.get_running_loop()
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
        self._writer.add(lane, results)

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
