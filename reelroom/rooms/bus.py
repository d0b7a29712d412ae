"""The bus's server side: Unix connections, their messages in and out. Knows no rooms: see `ingest.py`."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from reelroom.rooms import protocol
from reelroom.rooms.subscriber import MAX_WAITING, Outbox, Subscriber

log = structlog.get_logger(__name__)

_CHUNK = 256 * 1024
_SEND_BUFFER = 4 * 1024 * 1024
_MAX_REQUEST = 1024 * 1024  # clients send small things only
_MAX_UNREAD = 16 * 1024 * 1024  # bytes of replies waiting for a client that reads none
_STALLED_S = 60.0


class Connection:
    """One client of the bus: a recorder after its Subscribe, or somebody with requests."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop, server: BusServer) -> None:
        self.outbox = Outbox(sock)
        self.subscriber: Subscriber | None = None
        self._socket = sock
        self._loop = loop
        self._server = server
        self._buffer = bytearray()
        self._writing = False
        self._closed = False
        self._progress_s = loop.time()
        loop.add_reader(sock, self._readable)

    def tell(self, message: Struct) -> None:
        self.outbox.put(protocol.encode(message))
        self.flush()
        if self.subscriber is None and self.outbox.bytes > _MAX_UNREAD:
            log.warning("bus client does not read what it asked for", waiting=self.outbox.bytes)
            self.close()

    def flush(self) -> None:
        if self._closed:
            return
        before = self.outbox.bytes
        try:
            done = self.outbox.flush()
        except OSError:
            self.close()
            return
        if done or self.outbox.bytes < before:
            self._progress_s = self._loop.time()
        elif before > MAX_WAITING and self._loop.time() - self._progress_s > _STALLED_S:
            # What waits may be all that still holds frames which their ring has let go.
            log.warning("bus client has stopped reading: it may come back and resume", waiting=before)
            self.close()
            return
        if done and self._writing:
            self._writing = False
            self._loop.remove_writer(self._socket)
        elif not done and not self._writing:
            self._writing = True
            self._loop.add_writer(self._socket, self.flush)
        if done and self.subscriber is not None and self.subscriber.lagging:
            self._server.drained(self)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._socket)
        if self._writing:
            self._loop.remove_writer(self._socket)
        self._socket.close()
        self._server.gone(self)

    def _readable(self) -> None:
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._buffer += data
        while len(self._buffer) >= protocol.PREFIX.size:
            length, kind = protocol.PREFIX.unpack_from(self._buffer)
            if not 1 <= length <= _MAX_REQUEST:
                log.warning("bus client sent a message of an impossible length", length=length)
                self.close()
                return
            if len(self._buffer) < 4 + length:
                return
            body = bytes(self._buffer[protocol.PREFIX.size : 4 + length])
            del self._buffer[: 4 + length]
            try:
                message = protocol.decode(kind, body)
            except (msgspec.DecodeError, msgspec.ValidationError, KeyError) as error:
                log.warning("bus client sent a message that cannot be read", kind=kind, error=str(error))
                self.close()
                return
            self._server.on_message(self, message)
            if self._closed:
                return


class BusServer:
    """Listens on the socket file; every message goes to `on_message`."""

    def __init__(
        self,
        on_message: Callable[[Connection, Struct], None],
        on_gone: Callable[[Connection], None],
        on_drained: Callable[[Connection], None],
    ) -> None:
        self.on_message = on_message
        self._on_gone = on_gone
        self.drained = on_drained
        self.connections: set[Connection] = set()
        self._socket: socket.socket | None = None

    def open(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        path.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        before = os.umask(0o077)
        try:
            sock.bind(str(path))
        finally:
            os.umask(before)
        sock.listen(256)
        self._socket = sock
        loop.add_reader(sock, self._accept, loop)

    def heard(self, room_ns: int) -> None:
        """Everything that came until then has been handed out."""
        for connection in self.connections:
            if connection.subscriber is not None:
                connection.subscriber.heard(room_ns)

    def flush(self) -> None:
        """Write what has gathered for the recorders."""
        for connection in list(self.connections):
            if connection.outbox:
                connection.flush()

    def gone(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self._on_gone(connection)

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        for connection in list(self.connections):
            connection.flush()
            connection.close()
        if self._socket is not None:
            loop.remove_reader(self._socket)
            self._socket.close()

    def _accept(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._socket is None:
            return
        try:
            sock, _ = self._socket.accept()
        except BlockingIOError:
            return
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        self.connections.add(Connection(sock, loop, self))
