"""From journals to the database, as they grow. What lines mean is `index.py`; uploads nothing.

Every batch of lines becomes one transaction together with how far the journal was read: whatever is killed
when, each line counts exactly once. The journals stay the truth: with `journal_offset` back at 0, or in an
empty database, the same rows come again, with the same names and event ids.

Lines that somebody waits for (begun, paused, stopped, a finished file) are indexed at once. Closed segments and the
like come together with those of all other recordings, twice a second at most.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import msgspec
import structlog
from sqlalchemy import Connection, Row, insert, select
from sqlalchemy.exc import SQLAlchemyError

from reelroom.deliver.index import FOLLOWED, Known, index, load
from reelroom.deliver.journals import Entry, JournalBroken, quiet, read
from reelroom.deliver.outbox import now_ns
from reelroom.deliver.pending import tick_after
from reelroom.domain.recording import ACTIVE, RecordingSpec, State
from reelroom.store.db import Database
from reelroom.store.tables import RECORDINGS

log = structlog.get_logger("reelroom.follow")

MAX_KNOWN = 1000  # recordings kept in memory between their lines
MAX_POKED = 100_000
AT_ONCE = 32  # journals indexed in one transaction
INLINE_BYTES = 1 << 16  # so much is read without a thread
_WAITING = select(RECORDINGS.c.id, RECORDINGS.c.journal_offset).where(RECORDINGS.c.state.in_(FOLLOWED))
_Batch = tuple[Known, list[Entry], int]


class Follower:
    """Indexes every unfinished recording's journal. One per control process.

    Poked by datagrams on `socket_path` (a recording's id each), and looking at all of them every `poll_s`.
    `changed` is called after a batch that made rows, `ended` after one of a recording that was stopped, both in the
    event loop; they must not block.
    """

    def __init__(
        self,
        database: Database,
        recordings: Path,
        socket_path: Path | None = None,
        *,
        changed: Callable[[str], None] = lambda recording: None,
        ended: Callable[[str], None] = lambda recording: None,
        poll_s: float = 2.0,
    ) -> None:
        self._database = database
        self._recordings = recordings
        self._socket_path = socket_path
        self._changed = changed
        self._ended = ended
        self._poll_s = poll_s
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._poked: set[str] = set()
        self._hurry = False  # something poked cannot wait for the next tick
        self._tick_ns = 0  # before this, unhurried lines wait
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None
        self.lines = 0  # indexed by this process
        self.broken: set[str] = set()  # recordings whose journal cannot be read

    async def start(self) -> None:
        """Bind the socket, catch up with every unfinished recording once, then follow in the background."""
        if self._socket_path is not None:
            self._bind(self._socket_path)
        await self.catch_up()
        self._task = asyncio.create_task(self._run(), name="follow journals")

    async def stop(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def poke(self, recording: str) -> None:
        """Look at this recording's journal soon; at once, if something new there cannot wait."""
        self._poked.add(recording)
        if not self._hurry and now_ns() < self._tick_ns:
            known = self._known.get(recording)
            self._hurry = known is None or not quiet(self._journal(recording), known.offset)
        self._wake.set()

    async def catch_up(self) -> None:
        """Index whatever stands in the journals of unfinished recordings."""
        waiting = await self._database.run(_waiting, reading=True)
        for row in waiting:
            if row.id in self._known and self._known[row.id].offset != row.journal_offset:
                del self._known[row.id]  # somebody else indexed it, or has it read again
        await self._follow_all([row.id for row in waiting if self._size(row.id) > row.journal_offset])

    async def follow(self, recording: str) -> int:
        """Index what is new in one journal and return how many lines that was. Raises JournalBroken."""
        count = 0
        self._known.pop(recording, None)
        while True:
            more, broken = await self._round([recording])
            if broken:
                raise broken[recording]
            if not more:
                return count
            count += more[recording]

    async def rebuild(self) -> int:
        """Make rows for recordings that only their folders know (the database is new), and return how many.

        Their destination and callback were in the lost database alone: they get the default destination and
        no callback. Call this before anything else runs.
        """
        made = 0
        for folder in sorted(self._recordings.iterdir()) if self._recordings.is_dir() else []:
            try:
                text = await asyncio.to_thread((folder / "spec.json").read_bytes)
                spec = msgspec.json.decode(text, type=RecordingSpec)
            except FileNotFoundError:
                continue
            except msgspec.MsgspecError as error:
                log.error("spec.json cannot be read", folder=folder.name, error=str(error))
                continue
            if spec.id != folder.name:
                log.error("spec.json belongs to another recording", folder=folder.name, id=spec.id)
                continue
            made += await self._database.run(partial(_adopt, spec))
        return made

    def _bind(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(os.fspath(path))
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._receive)

    def _receive(self) -> None:
        assert self._socket is not None
        for _ in range(256):
            try:
                datagram = self._socket.recv(256)
            except BlockingIOError:
                return
            id_ = datagram.decode("ascii", "replace")
            if len(id_) == 32 and id_.isalnum() and len(self._poked) < MAX_POKED:
                self.poke(id_)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        looked = loop.time()
        while True:
            now = now_ns()
            if not self._poked or (now < self._tick_ns and not self._hurry):
                pause = (self._tick_ns - now) / 1e9 if self._poked else looked + self._poll_s - loop.time()
                self._wake.clear()
                try:
                    await asyncio.wait_for(self._wake.wait(), max(pause, 0.001))
                except TimeoutError:
                    pass
            try:
                if self._poked and (self._hurry or now_ns() >= self._tick_ns):
                    poked, self._poked, self._hurry = self._poked, set(), False
                    self._tick_ns = tick_after(now_ns())
                    await self._follow_all(poked)
                if loop.time() - looked >= self._poll_s:  # pokes may get lost
                    looked = loop.time()
                    await self.catch_up()
            except (SQLAlchemyError, OSError) as error:
                log.error("following journals failed, tried again", error=repr(error))
                await asyncio.sleep(self._poll_s)

    async def _follow_all(self, recordings: Iterable[str]) -> None:
        """Index what is new in these journals; one that cannot be read is told once and holds up no other."""
        todo = sorted(recordings)
        while todo:
            now, todo = todo[:AT_ONCE], todo[AT_ONCE:]
            done, broken = await self._round(now)
            self.broken.difference_update(set(now) - broken.keys())
            for recording, error in broken.items():
                if recording not in self.broken:
                    log.error("journal cannot be read", recording=recording, error=str(error))
                self.broken.add(recording)
            todo += [id_ for id_ in done if id_ in self._known and self._size(id_) > self._known[id_].offset]

    async def _round(self, recordings: list[str]) -> tuple[dict[str, int], dict[str, JournalBroken]]:
        """One transaction with the next lines of each. Which had how many new ones, and which cannot be read."""
        async with self._turn:
            batches, broken = await self._read(recordings)
            if not batches:
                return {}, broken
            for known, _, _ in batches:
                del self._known[known.id]  # unless this goes well
            done = await self._database.run(lambda connection: _index(connection, batches, broken))
            for known, _, _ in batches:
                if known.id in done and known.state in FOLLOWED:
                    self._known[known.id] = known
            while len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
        self.lines += sum(done.values())
        for recording in done:
            self._changed(recording)
        for known, _, _ in batches:
            if known.id in done and known.state not in ACTIVE:
                self._ended(known.id)
        return done, broken

    async def _read(self, recordings: list[str]) -> tuple[list[_Batch], dict[str, JournalBroken]]:
        if unknown := [recording for recording in recordings if recording not in self._known]:
            self._known |= await self._database.run(lambda connection: load(connection, unknown), reading=True)
        batches: list[_Batch] = []
        broken: dict[str, JournalBroken] = {}
        for recording in recordings:
            known = self._known.get(recording)
            if known is None:
                continue
            path = self._journal(recording)
            try:
                if self._size(recording) - known.offset <= INLINE_BYTES:
                    found, end = read(path, known.offset)
                else:
                    found, end = await asyncio.to_thread(read, path, known.offset)
            except JournalBroken as error:
                broken[recording] = error
                continue
            if found:
                batches.append((known, found, end))
        return batches, broken

    def _journal(self, recording: str) -> Path:
        return self._recordings / recording / "journal.jsonl"

    def _size(self, recording: str) -> int:
        try:
            return self._journal(recording).stat().st_size
        except FileNotFoundError:
            return 0


def _waiting(connection: Connection) -> list[Row[tuple[str, int]]]:
    return list(connection.execute(_WAITING))


def _index(connection: Connection, batches: list[_Batch], broken: dict[str, JournalBroken]) -> dict[str, int]:
    """How many lines of each were indexed; none of those that another process was faster with."""
    done = {}
    for known, entries, end in batches:
        try:
            if index(connection, known, entries, end):
                done[known.id] = len(entries)
        except JournalBroken as error:
            broken[known.id] = error
    return done


def _adopt(spec: RecordingSpec, connection: Connection) -> bool:
    if connection.scalar(select(RECORDINGS.c.id).where(RECORDINGS.c.id == spec.id)) is not None:
        return False
    connection.execute(
        insert(RECORDINGS).values(
            id=spec.id,
            app=spec.app,
            room=spec.room,
            mode=str(spec.mode),
            state=str(State.STARTING),
            spec=msgspec.to_builtins(spec.masked),
            dialect="native",
            created_ns=spec.requested_ns or now_ns(),
        )
    )
    return True
