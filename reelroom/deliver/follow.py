"""From journals to the database: files to upload, events to tell, the recording's state. Uploads nothing.

Every batch of lines becomes one transaction together with how far the journal was read: whatever is killed
when, each line counts exactly once. The journals stay the truth: with `journal_offset` back at 0, or in an
empty database, the same rows come again, with the same names and event ids.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import structlog
from msgspec import Struct
from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from reelroom.deliver.outbox import NEVER_NS, add_events, lock, now_ns, settle
from reelroom.domain import events, lines
from reelroom.domain.naming import Names, distinct
from reelroom.domain.recording import TRANSITIONS, Format, RecordingSpec, State
from reelroom.store.db import Database
from reelroom.store.tables import File, Recording

log = structlog.get_logger("reelroom.follow")

BATCH_LINES = 256
BATCH_BYTES = 1 << 20
MAX_LINE = 16 << 20  # a journal's line is some hundred bytes; more than this is no journal
FOLLOWED = (State.STARTING, State.RECORDING, State.PAUSED, State.FINISHING)


class Entry(Struct, frozen=True):
    """One journal line as far as the index needs it; hashes and signatures are for `reelroom verify`."""

    n: int
    at_ns: int
    epoch: int
    body: lines.AnyLine


_decoder = msgspec.json.Decoder(Entry)


class JournalBroken(Exception):
    """A complete line of a journal that cannot be read; says which file and where."""


class Follower:
    """Indexes every unfinished recording's journal. One per control process.

    Poked by datagrams on `socket_path` (a recording's id each), and looking at all of them every `poll_s`.
    `changed` is called after a batch that made rows, in the event loop; it must not block.
    """

    def __init__(
        self,
        database: Database,
        recordings: Path,
        socket_path: Path | None = None,
        *,
        changed: Callable[[str], None] = lambda recording: None,
        poll_s: float = 2.0,
    ) -> None:
        self._database = database
        self._recordings = recordings
        self._socket_path = socket_path
        self._changed = changed
        self._poll_s = poll_s
        self._poked: set[str] = set()
        self._wake = asyncio.Event()
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
        """Look at this recording's journal now."""
        self._poked.add(recording)
        self._wake.set()

    async def catch_up(self) -> None:
        """Index whatever stands in the journals of unfinished recordings."""
        async with self._database.reading() as session:
            query = select(Recording.id, Recording.journal_offset).where(Recording.state.in_(FOLLOWED))
            waiting = [(id_, offset) for id_, offset in await session.execute(query)]
        for id_, offset in waiting:
            if self._size(id_) > offset:
                await self._follow_safely(id_)

    async def follow(self, recording: str) -> int:
        """Index what is new in one journal and return how many lines that was. Raises JournalBroken."""
        count = 0
        while done := await self._batch(recording):
            count += done
            self._changed(recording)
        return count

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
            async with self._database.transaction() as session:
                if await session.get(Recording, spec.id) is None:
                    session.add(_adopted(spec))
                    made += 1
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
            if len(id_) == 32 and id_.isalnum() and len(self._poked) < 100_000:
                self.poke(id_)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        looked = loop.time()
        while True:
            try:
                await asyncio.wait_for(self._wake.wait(), self._poll_s)
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                for _ in range(len(self._poked)):
                    await self._follow_safely(self._poked.pop())
                if loop.time() - looked >= self._poll_s:  # pokes may get lost
                    await self.catch_up()
                    looked = loop.time()
            except (SQLAlchemyError, OSError) as error:
                log.error("following journals failed, tried again", error=repr(error))
                await asyncio.sleep(self._poll_s)

    async def _follow_safely(self, recording: str) -> None:
        try:
            await self.follow(recording)
            self.broken.discard(recording)
        except JournalBroken as error:
            if recording not in self.broken:
                log.error("journal cannot be read", recording=recording, error=str(error))
            self.broken.add(recording)

    def _size(self, recording: str) -> int:
        try:
            return (self._recordings / recording / "journal.jsonl").stat().st_size
        except FileNotFoundError:
            return 0

    async def _batch(self, recording: str) -> int:
        async with self._database.reading() as session:
            row = await session.get(Recording, recording)
        if row is None or row.state not in FOLLOWED:
            return 0
        path = self._recordings / recording / "journal.jsonl"
        found, end = await asyncio.to_thread(_read, path, row.journal_offset)
        if not found:
            return 0
        async with self._database.transaction() as session:
            if not await lock(session, recording):
                return 0
            moved = await session.execute(
                update(Recording)
                .where(Recording.id == recording, Recording.journal_offset == row.journal_offset)
                .values(journal_offset=end, journal_lines=Recording.journal_lines + len(found))
                .returning(Recording.id)
            )
            if moved.first() is None:
                return 0  # somebody else indexed these lines
            fresh = await session.get(Recording, recording, populate_existing=True)
            assert fresh is not None
            try:
                await _Index(session, fresh).apply(found)
            except (ValueError, KeyError, msgspec.MsgspecError) as error:
                raise JournalBroken(f"{path} after byte {row.journal_offset}: {error!r}") from error
        self.lines += len(found)
        return len(found)


class _Index:
    """Turns one batch of lines into rows, in a transaction that is under way."""

    def __init__(self, session: AsyncSession, recording: Recording) -> None:
        self._session = session
        self._recording = recording
        self._spec = msgspec.convert(recording.spec, RecordingSpec)
        self._names = Names(self._spec)
        self._hls = Format.HLS in self._spec.formats
        self._drafts: list[events.Draft] = []

    async def apply(self, entries: list[Entry]) -> None:
        finished = False
        for entry in entries:
            draft = events.of_line(entry.n, entry.at_ns, entry.body)
            if draft and not (self._hls and getattr(entry.body, "rendition", "hls") != "hls"):
                self._drafts.append(draft)  # beside HLS, the finisher's own copies are nobody's news
            match entry.body:
                case lines.Opened() as opened:
                    if self._recording.started_ns is None:
                        self._recording.started_ns = opened.room_ns
                    self._become(State.RECORDING)
                case lines.Paused():
                    self._become(State.PAUSED)
                case lines.Resumed():
                    self._become(State.RECORDING)
                case lines.Stopped() as stopped:
                    await self._stopped(stopped)
                case lines.OutputOpened() as output:
                    await self._output(output)
                case lines.Init() as init:
                    await self._init(init)
                case lines.Segment() as segment:
                    await self._segment(segment)
                case lines.File() as file:
                    key = self._names.file(file)
                    await self._add("file", file, file.output, key, file.format, file.sequence)
                case lines.Finished() as done:
                    self._become(State.UPLOADING)
                    if done.failed:
                        said = (self._recording.message, *done.failed)
                        self._recording.message = "; ".join(filter(None, said))
                    finished = True
        await self._session.flush()
        await add_events(self._session, self._recording.id, self._drafts)
        if finished:
            await settle(self._session, self._recording.id)

    def _become(self, state: State) -> None:
        now = State(self._recording.state)
        if now != state and state in TRANSITIONS[now]:
            self._recording.state = state

    async def _stopped(self, line: lines.Stopped) -> None:
        if self._recording.started_ns is None:
            self._recording.started_ns = line.at_ns
        self._recording.stopped_ns = line.at_ns
        self._recording.reason, self._recording.message = line.reason, line.message
        self._become(State.FINISHING)
        await self._session.flush()
        await self._session.execute(  # every playlist once more, with its end
            update(File)
            .where(File.recording == self._recording.id, File.role == "playlist")
            .values(state="pending", due_ns=0)
        )

    async def _output(self, line: lines.OutputOpened) -> None:
        """An output's playlist. Its row also is where later lines find what the output is."""
        if not self._hls:
            return
        key = self._names.playlist(line)
        await self._add("playlist", line, line.output, key, "hls", 0, rendition="hls", due_ns=NEVER_NS)

    async def _init(self, line: lines.Init) -> None:
        if not self._hls or line.rendition != "hls":
            return
        key = self._names.init(await self._opened(line.output), line)
        await self._add("init", line, line.output, key, "hls", line.number, rendition="hls")

    async def _segment(self, line: lines.Segment) -> None:
        if not self._hls or line.rendition != "hls":
            return
        key = self._names.segment(await self._opened(line.output), line)
        await self._add("segment", line, line.output, key, "hls", line.number, rendition="hls")

    async def _opened(self, output: str) -> lines.OutputOpened:
        playlist = await self._session.scalar(
            select(File).where(File.recording == self._recording.id, File.output == output, File.role == "playlist")
        )
        if playlist is None:
            raise JournalBroken(f"{self._recording.id}: output {output} has a segment but was never opened")
        return msgspec.convert(playlist.line, lines.OutputOpened)

    async def _add(
        self,
        role: str,
        line: lines.AnyLine,
        output: str,
        key: str,
        format_: str,
        number: int,
        *,
        rendition: str = "",
        due_ns: int = 0,
    ) -> None:
        path: str = getattr(line, "path", "")
        same = (
            File.recording == self._recording.id,
            File.role == role,
            File.output == output,
            File.number == number,
            File.path == path,
        )
        if (await self._session.scalar(select(File.id).where(*same))) is not None:
            return  # the journal is read again
        self._session.add(
            File(
                recording=self._recording.id,
                role=role,
                output=output,
                rendition=rendition,
                number=number,
                key=await self._free(key, output),
                path=path,
                format=format_,
                line=_as_json(line),
                bytes=getattr(line, "bytes", 0),
                sha256=getattr(line, "sha256", ""),
                state="pending",
                due_ns=due_ns,
            )
        )
        await self._session.flush()

    async def _free(self, key: str, output: str) -> str:
        async def taken(candidate: str) -> bool:
            found = select(File.id).where(File.recording == self._recording.id, File.key == candidate)
            return (await self._session.scalar(found)) is not None

        if not await taken(key):
            return key
        tried: list[str] = [key]
        while True:  # `distinct` is pure: tell it one taken name more each time
            candidate = distinct(key, output, lambda name: name in tried)
            if not await taken(candidate):
                return candidate
            tried.append(candidate)


def _read(path: Path, offset: int) -> tuple[list[Entry], int]:
    """Whole lines from `offset` on, bounded, and the offset behind them. Raises JournalBroken."""
    found: list[Entry] = []
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return found, offset
    with file:
        file.seek(offset)
        start = offset
        while len(found) < BATCH_LINES and offset - start < BATCH_BYTES:
            line = file.readline(MAX_LINE)
            if not line.endswith(b"\n"):
                if len(line) >= MAX_LINE:
                    raise JournalBroken(f"{path} has a line longer than {MAX_LINE} bytes at {offset}")
                break  # being written, or torn: the next recorder cuts it off
            try:
                found.append(_decoder.decode(line))
            except msgspec.MsgspecError as error:
                raise JournalBroken(f"{path} at byte {offset}: {error}") from error
            offset += len(line)
    return found, offset


def _as_json(line: lines.AnyLine) -> dict[str, Any]:
    value: dict[str, Any] = msgspec.to_builtins(line)
    value.pop("through", None)  # the recorder's own bookkeeping
    return value


def _adopted(spec: RecordingSpec) -> Recording:
    return Recording(
        id=spec.id,
        app=spec.app,
        room=spec.room,
        mode=str(spec.mode),
        state=State.STARTING,
        spec=msgspec.to_builtins(spec),
        dialect="native",
        created_ns=spec.requested_ns or now_ns(),
        journal_offset=0,
        journal_lines=0,
        event_seq=0,
    )
