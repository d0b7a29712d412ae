"""Which streams are published now, as the ingest processes tell it: nobody is polled. Records nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog

from reelroom.domain.recording import Source
from reelroom.domain.rules import Stream
from reelroom.record.paths import ingest_socket
from reelroom.rooms import protocol

log = structlog.get_logger("reelroom.streams")

_RETRY_S = 0.25  # between tries to reach an ingest process that is being restarted
_CONNECT_S = 5.0


@dataclass(slots=True)
class Present:
    """A stream that is there. Times are room time in nanoseconds."""

    stream: Stream
    since_ns: int  # its first frame
    joined_ns: int  # when the oldest of its sessions that are there came
    tracks: dict[int, protocol.Published] = field(default_factory=dict, repr=False)  # by number on the bus

    @property
    def sources(self) -> frozenset[Source]:
        return frozenset(track.info.source for track in self.tracks.values())


#: What is told of a stream, whether it is there, and why it is not ("left", "timeout"…).
Listener = Callable[[Present, bool, str], None]


class Streams:
    """One connection to each ingest process, made again when it breaks.

    While one is away its streams count as there: they may be, and recorders wait for them. What it says when it is back
    holds; what it then does not name is gone.
    """

    def __init__(self, run: Path, workers: int) -> None:
        self._paths = [ingest_socket(run, index) for index in range(workers)]
        self._present: list[dict[Stream, Present]] = [{} for _ in self._paths]
        self._listeners: list[Listener] = []
        self._tasks: list[asyncio.Task[None]] = []

    def listen(self, listener: Listener) -> None:
        """Call it, in the event loop, when a stream comes and goes. It must not block."""
        self._listeners.append(listener)

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._follow(index), name=f"streams of {path.name}")
            for index, path in enumerate(self._paths)
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def get(self, stream: Stream) -> Present | None:
        return next((each[stream] for each in self._present if stream in each), None)

    def all(self, app: str, room: str | None = None) -> list[Present]:
        """The app's streams, those of one room if it is named."""
        found = (present for each in self._present for present in each.values())
        return [one for one in found if one.stream.app == app and room in (None, one.stream.room)]

    async def _follow(self, index: int) -> None:
        told = False
        while True:
            try:
                async with asyncio.timeout(_CONNECT_S):
                    reader, writer = await asyncio.open_unix_connection(str(self._paths[index]))
            except (OSError, TimeoutError):
                await asyncio.sleep(_RETRY_S)
                continue
            try:
                writer.write(protocol.encode(protocol.Watch()))
                await self._read(index, reader)
            except (asyncio.IncompleteReadError, ConnectionError, msgspec.MsgspecError, KeyError) as error:
                if not told or not isinstance(error, asyncio.IncompleteReadError):
                    log.warning("an ingest process no longer tells its streams", index=index, error=repr(error))
                told = True
            finally:
                writer.close()
            await asyncio.sleep(_RETRY_S)

    async def _read(self, index: int, reader: asyncio.StreamReader) -> None:
        first: dict[Stream, Present] | None = {}
        while True:
            length, kind = protocol.PREFIX.unpack(await reader.readexactly(protocol.PREFIX.size))
            if not 1 <= length <= protocol.MAX_MESSAGE:
                raise ConnectionAbortedError(f"a message of {length} bytes")
            message = protocol.decode(kind, await reader.readexactly(length - 1))
            if isinstance(message, protocol.CaughtUp) and first is not None:
                self._replace(index, first)
                first = None
            elif isinstance(message, protocol.Published):
                if first is None:
                    self._changed(index, message)
                else:
                    _put(first, message)

    def _replace(self, index: int, now: dict[Stream, Present]) -> None:
        """All that there is, after a connection was made."""
        before, self._present[index] = self._present[index], now
        for stream, present in before.items():
            if stream not in now:
                self._tell(present, False, "ingest_restart")
        for present in now.values():
            self._tell(present, True, "")

    def _changed(self, index: int, message: protocol.Published) -> None:
        known = self._present[index]
        if message.here:
            present, new = _put(known, message)
            if new:
                self._tell(present, True, "")
            return
        stream = _stream(message)
        gone = known.get(stream)
        if gone is not None and gone.tracks.pop(message.info.track, None) is not None and not gone.tracks:
            del known[stream]
            self._tell(gone, False, message.reason)

    def _tell(self, present: Present, here: bool, reason: str) -> None:
        for listener in self._listeners:
            listener(present, here, reason)


def _stream(message: protocol.Published) -> Stream:
    info = message.info
    return Stream(app=message.app, room=message.room, identity=info.identity, output=info.source.output)


def _put(known: dict[Stream, Present], message: protocol.Published) -> tuple[Present, bool]:
    """The stream with one track more, and whether it was not there before."""
    stream = _stream(message)
    present = known.get(stream)
    new = present is None
    if present is None:
        present = known[stream] = Present(stream, message.room_ns, message.joined_ns)
    present.since_ns = min(present.since_ns, message.room_ns)
    present.joined_ns = min(present.joined_ns, message.joined_ns)
    present.tracks[message.info.track] = message
    return present, new
