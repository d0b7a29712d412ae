"""Uploading: what goes where, when, and again. Reads the database, not journals; opens storage, calls nobody back.

Every destination has a lane of its own, so one that is away, slow or full holds up nobody else's files. In a
lane recordings take turns. A lane whose destination fails twice in a row goes on with a single upload at a time,
after a pause, until one works; a file that failed waits longer each time, for as long as its recording exists.

The database has the state: a killed process loses the knowledge of what it had begun, uploads that again under
the same name, and has told nobody of it yet, because a file's state and its events are one transaction.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from reelroom.deliver import joined
from reelroom.deliver.lanes import Lane
from reelroom.deliver.outbox import NEVER_NS, add_events, file_data, lock, now_ns, settle
from reelroom.deliver.pending import due, playlist_gap_ns, still_failing, told_failing, wake_playlist
from reelroom.deliver.playlists import Built, Playlists
from reelroom.deliver.storage import SourceGone, Storage, StorageError, open_storage
from reelroom.domain import events
from reelroom.domain.events import Draft
from reelroom.domain.recording import State
from reelroom.store.db import Database
from reelroom.store.secrets import SecretBox, SecretError
from reelroom.store.tables import Destination, File, Recording

log = structlog.get_logger("reelroom.uploads")

LOCAL = ""  # the lane of recordings without a destination: the server's own storage folder
PER_RECORDING = 4  # uploads of one recording at the same time
FIRST_PAUSE_S = 1.0


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
    ) -> None:
        """`concurrency` is per destination; `told` is called with a recording that has new events."""
        self._database = database
        self._box = box
        self._recordings = recordings
        self._storage = storage
        self._concurrency = concurrency
        self._pause_max_s = pause_max_s
        self._poll_s = poll_s
        self._told = told
        self._lanes: dict[str, Lane] = {}
        self._playlists = Playlists()
        self._failing: set[str] = set()  # recordings that were told "upload.failing" last
        self._inbox: asyncio.Queue[str] = asyncio.Queue()
        self._queued: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        self.uploaded = self.uploaded_bytes = self.failures = 0

    async def start(self) -> None:
        async with self._database.reading() as session:
            self._failing = await told_failing(session)
        self._task = asyncio.create_task(self._run(), name="uploads")

    async def stop(self) -> None:
        tasks = [lane.task for lane in self._lanes.values()]
        tasks += [task for lane in self._lanes.values() for task in lane.running.values()]
        running = [task for task in (self._task, *tasks) if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._lanes.clear()
        self._task = None

    def poke(self, recording: str) -> None:
        """Something of this recording may be to upload."""
        if recording not in self._queued:
            self._queued.add(recording)
            self._inbox.put_nowait(recording)

    async def stats(self) -> Stats:
        async with self._database.reading() as session:
            waiting = (File.state == "pending", File.due_ns < NEVER_NS)
            query = select(func.count(), func.coalesce(func.sum(File.bytes), 0)).where(*waiting)
            pending, size = (await session.execute(query)).one()
            failing = await session.scalar(select(func.count()).where(*waiting, File.error != ""))
        down = sum(lane.down for lane in self._lanes.values())
        return Stats(pending, size, failing or 0, down, self.uploaded, self.uploaded_bytes, self.failures)

    async def delete_objects(self, recording: str) -> None:
        """Remove everything of a recording from its storage. StorageError when the storage does not."""
        async with self._database.reading() as session:
            row = await session.get(Recording, recording)
            if row is None:
                return
            keys = (await session.scalars(select(File.key).where(File.recording == recording))).all()
        storage = await self._open(row.destination or LOCAL)
        for key in keys:
            await storage.delete(key)

    async def _run(self) -> None:
        await self._look_at_all()
        while True:
            try:
                recording = await asyncio.wait_for(self._inbox.get(), self._poll_s)
            except TimeoutError:
                await self._look_at_all()
                continue
            self._queued.discard(recording)
            try:
                async with self._database.reading() as session:
                    row = await session.get(Recording, recording)
                if row is not None:
                    self._enlist(row.destination or LOCAL, recording)
            except SQLAlchemyError as error:
                log.error("uploads cannot read the database", error=repr(error))

    async def _look_at_all(self) -> None:
        try:
            async with self._database.reading() as session:
                query = (
                    select(Recording.id, Recording.destination)
                    .distinct()
                    .join(File, File.recording == Recording.id)
                    .where(File.state == "pending", File.due_ns < NEVER_NS)
                )
                for id_, destination in (await session.execute(query)).all():
                    self._enlist(destination or LOCAL, id_)
                stuck = await session.scalars(select(Recording.id).where(Recording.state == State.UPLOADING))
                ids = stuck.all()
            for id_ in ids:
                await self._settle(id_)
        except SQLAlchemyError as error:
            log.error("uploads cannot read the database", error=repr(error))

    async def _settle(self, recording: str) -> None:
        async with self._database.transaction() as session:
            if await lock(session, recording) and await settle(session, recording):
                self._told(recording)

    def _enlist(self, destination: str, recording: str) -> None:
        lane = self._lanes.get(destination)
        if lane is None:
            lane = self._lanes[destination] = Lane(destination)
        lane.recordings[recording] = lane.recordings.get(recording, 0) + 1
        lane.wake.set()
        if lane.task is None:
            lane.task = asyncio.create_task(self._serve(lane), name=f"uploads to {destination or 'local'}")

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
                if not lane.recordings and not lane.running:
                    return
                try:
                    await asyncio.wait_for(lane.wake.wait(), min(max(pause, 0.01), 60.0))
                except TimeoutError:
                    pass
        finally:
            lane.task = None
            if self._lanes.get(lane.destination) is lane and not lane.recordings and not lane.running:
                del self._lanes[lane.destination]

    async def _fill(self, lane: Lane) -> float:
        """Start as many uploads as may run and return the seconds until there may be more."""
        width = 1 if lane.down else self._concurrency
        soonest = 60.0
        for recording in list(lane.recordings):
            room = min(width - len(lane.running), PER_RECORDING - lane.busy.get(recording, 0))
            if len(lane.running) >= width:
                break
            if room <= 0:
                continue
            lane.recordings.move_to_end(recording)  # the others first, next time
            pokes = lane.recordings[recording]
            async with self._database.reading() as session:
                rows, due_ns = await due(session, recording, lane.running.keys(), room)
            for row in rows:
                lane.busy[recording] = lane.busy.get(recording, 0) + 1
                task = asyncio.create_task(self._upload(lane, row), name=f"upload {row.key}")
                lane.running[row.id] = task
            if due_ns is not None:
                soonest = min(soonest, max(0.0, (due_ns - now_ns()) / 1e9))
            elif not lane.busy.get(recording) and lane.recordings[recording] == pokes:
                lane.recordings.pop(recording, None)
        return soonest

    async def _upload(self, lane: Lane, row: File) -> None:
        try:
            try:
                await self._attempt(lane, row)
            except StorageError as error:
                await self._failed(lane, row, str(error))
            except SourceGone:
                await self._gone(lane, row)
        except OSError as error:  # of this machine: the file cannot be read
            await self._failed(lane, row, f"{error.strerror}: {error.filename}")
        except SQLAlchemyError as error:  # done again when the database is back: the row is still pending
            log.error("an upload's result cannot be stored", key=row.key, error=repr(error))
            await asyncio.sleep(1)
        finally:
            lane.running.pop(row.id, None)
            busy = lane.busy.pop(row.recording, 1) - 1
            if busy:
                lane.busy[row.recording] = busy
            lane.wake.set()

    async def _attempt(self, lane: Lane, row: File) -> None:
        if lane.storage is None:
            lane.storage = await self._open(lane.destination)
        if row.role == "playlist":
            await self._put_playlist(lane.storage, row)
        elif row.role == joined.ROLE:
            await self._put_joined(lane.storage, row)
        else:
            folder = (self._recordings / row.recording).resolve()
            path = (folder / row.path).resolve()
            if not path.is_relative_to(folder):
                raise StorageError(f"{row.path!r} lies outside the recording's folder")
            await lane.storage.put_file(row.key, path)
            await self._done(row, None)
        self.uploaded += 1
        self.uploaded_bytes += row.bytes
        if lane.failures:
            log.info("storage works", destination=lane.destination or "local", failures=lane.failures)
        if lane.down:
            await self._retry_now(lane)
        lane.failures = 0

    async def _put_playlist(self, storage: Storage, row: File) -> None:
        async with self._database.reading() as session:
            recording = await session.get(Recording, row.recording)
            if recording is None:
                return
            built = await self._playlists.build(session, row, recording)
        if not built.segments:
            await self._leave_out(row)
            return
        data = built.text.encode()
        await storage.put_bytes(row.key, data)
        row.bytes = len(data)
        await self._done(row, built)

    async def _leave_out(self, row: File) -> None:
        """A playlist without segments: the first one in storage will wake it, unless there will be none."""
        async with self._database.transaction() as session:
            recording = await session.get(Recording, row.recording)
            if recording is None or not await lock(session, row.recording):
                return
            built = await self._playlists.build(session, row, recording)
            if built.segments:
                return  # meanwhile: it is still pending, and due
            values = {"state": "deleted"} if built.ended else {"due_ns": NEVER_NS}
            await session.execute(update(File).where(File.id == row.id).values(**values))
            ended = await settle(session, row.recording)
        if ended:
            self._told(row.recording)

    async def _put_joined(self, storage: Storage, row: File) -> None:
        async with self._database.reading() as session:
            data = (await joined.text(session, row)).encode()
        await storage.put_bytes(row.key, data)
        row.bytes, row.sha256 = len(data), hashlib.sha256(data).hexdigest()
        await self._done(row, None)

    async def _done(self, row: File, built: Built | None) -> None:
        """The object is in storage: say so, and wake what waited for it, in one transaction."""
        at = now_ns()
        async with self._database.transaction() as session:
            if not await lock(session, row.recording):
                return
            file = await session.get(File, row.id, populate_existing=True)
            recording = await session.get(Recording, row.recording, populate_existing=True)
            if file is None or recording is None:
                return
            drafts: list[Draft] = []
            first = file.uploaded_ns is None
            file.uploaded_ns, file.error, file.state, file.attempts = at, "", "uploaded", 0
            if built is not None:
                drafts += await self._playlist_done(session, file, recording, built, row.bytes, first)
            elif file.role == joined.ROLE:
                file.bytes, file.sha256 = row.bytes, row.sha256
                again = (await joined.text(session, file)).encode()
                if hashlib.sha256(again).hexdigest() != row.sha256:  # its playlists went on meanwhile
                    file.state = "pending"
                if first:
                    drafts.append(Draft(events.FILE_UPLOADED, at, file_data(file), f"uploaded {file.key}"))
            elif file.role == "file":
                drafts.append(Draft(events.FILE_UPLOADED, at, file_data(file), f"uploaded {file.key}"))
            else:
                await wake_playlist(session, file)
            await session.flush()
            if row.recording in self._failing and not await still_failing(session, row.recording):
                drafts.append(Draft(events.UPLOAD_RECOVERED, at, {}, f"recovered {at}"))
            told = await add_events(session, row.recording, drafts)
            ended = await settle(session, row.recording)
        if told or ended:
            self._told(row.recording)
        if ended or any(draft.type == events.UPLOAD_RECOVERED for draft in drafts):
            self._failing.discard(row.recording)

    async def _playlist_done(
        self, session: AsyncSession, file: File, recording: Recording, built: Built, size: int, first: bool
    ) -> list[Draft]:
        file.bytes = size
        again = await self._playlists.build(session, file, recording)
        if (again.segments, again.ended) != (built.segments, built.ended):
            gap_ns = 0 if again.ended else playlist_gap_ns(built.segments)
            file.state, file.due_ns = "pending", now_ns() + gap_ns
        if first or built.ended:
            await joined.wake(session, file, recording)
        data = file_data(file) | {"segments": built.segments, "ended": built.ended}
        drafts = []
        if first:
            drafts.append(Draft(events.FILE_UPLOADED, now_ns(), data, f"uploaded {file.key}"))
        if built.ended:
            self._playlists.forget(file.id)
            if not first:
                drafts.append(Draft(events.FILE_UPLOADED, now_ns(), data, f"ended {file.key}"))
        return drafts

    async def _failed(self, lane: Lane, row: File, error: str) -> None:
        self.failures += 1
        lane.failed(asyncio.get_running_loop().time())
        at = now_ns()
        lane.storage = lane.storage if lane.failures < 10 else None  # opened anew: its credentials may be new
        if lane.failures in (1, 2, 10) or lane.failures % 100 == 0:
            log.warning(
                "upload failed",
                recording=row.recording,
                key=row.key,
                destination=lane.destination or "local",
                failures=lane.failures,
                error=error,
            )
        async with self._database.transaction() as session:
            if not await lock(session, row.recording):
                return
            file = await session.get(File, row.id, populate_existing=True)
            if file is None or file.state != "pending":
                return
            file.attempts += 1
            file.error = error
            pause = min(FIRST_PAUSE_S * 2 ** min(file.attempts - 1, 20), self._pause_max_s)
            file.due_ns = at + int(pause * random.uniform(0.8, 1.0) * 1e9)
            told = 0
            if row.recording not in self._failing:
                data = {"key": file.key, "role": file.role, "error": error}
                cause = f"failing {file.key} {at}"
                told = await add_events(session, row.recording, [Draft(events.UPLOAD_FAILING, at, data, cause)])
        if told:
            self._failing.add(row.recording)
            self._told(row.recording)

    async def _gone(self, lane: Lane, row: File) -> None:
        """The local file is not there. Either it is in storage already (the database was rebuilt) or it is lost."""
        assert lane.storage is not None
        try:
            there = await lane.storage.size(row.key) == row.bytes
        except StorageError as error:
            await self._failed(lane, row, str(error))
            return
        if there:
            await self._done(row, None)
            return
        error_text = "the local file was gone before it was uploaded"
        log.error("file lost", recording=row.recording, key=row.key, path=row.path)
        async with self._database.transaction() as session:
            if not await lock(session, row.recording):
                return
            values = {"state": "deleted", "error": error_text}
            await session.execute(update(File).where(File.id == row.id).values(**values))
            data = {"key": row.key, "role": row.role, "error": error_text, "lost": True}
            await add_events(session, row.recording, [Draft(events.UPLOAD_FAILING, now_ns(), data, f"lost {row.key}")])
            if row.role in ("init", "segment"):
                await wake_playlist(session, row)
            await settle(session, row.recording)
        self._told(row.recording)

    async def _retry_now(self, lane: Lane) -> None:
        """The destination is back: what waits for its next try need not."""
        for recording in list(lane.recordings):
            async with self._database.transaction() as session:
                await session.execute(
                    update(File)
                    .where(
                        File.recording == recording,
                        File.state == "pending",
                        File.error != "",
                    )
                    .values(due_ns=0)
                )
        lane.wake.set()

    async def _open(self, destination: str) -> Storage:
        if destination == LOCAL:
            return open_storage("fs", {"root": str(self._storage)})
        async with self._database.reading() as session:
            row = await session.get(Destination, destination)
        if row is None:
            raise StorageError(f"destination {destination} is not in the database any more")
        try:
            options = self._box.open(row.options)
        except SecretError as error:
            raise StorageError(str(error)) from error
        return open_storage(row.service, options)
