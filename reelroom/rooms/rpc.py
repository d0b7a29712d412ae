"""Client of an ingest process's requests over its Unix socket. Knows no method's meaning."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import msgspec

from reelroom.rooms import protocol

TIMEOUT_S = 5.0
CONNECT_S = 2.0  # how long a call waits for an ingest process that is being restarted
_RETRY_S = 0.03


class RpcError(Exception):
    """The ingest process refused; `code` says how: "sdp", "not_found", "conflict", "invalid"…"""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class RpcUnavailable(Exception):
    """There is no ingest process at the other end, it did not answer in time, or it went away meanwhile."""


class RpcClient:
    """Requests to one ingest process: many at a time on one connection, made again when it breaks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[protocol.Reply]] = {}
        self._connecting = asyncio.Lock()
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def call(self, method: str, params: dict[str, Any] | None = None, timeout_s: float = TIMEOUT_S) -> Any:
        """The result of `method`. RpcError when it was refused, RpcUnavailable when nobody answered."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._call(method, params or {})
        except TimeoutError:
            raise RpcUnavailable(f"the ingest process did not answer {method} within {timeout_s:g} s") from None

    async def _call(self, method: str, params: dict[str, Any]) -> Any:
        writer = await self._connected()
        number = next(self._ids)
        future: asyncio.Future[protocol.Reply] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            writer.write(protocol.encode(protocol.Request(id=number, method=method, params=params)))
            await writer.drain()
            reply = await future
        except ConnectionError as error:
            raise RpcUnavailable(f"the ingest process went away during {method}") from error
        finally:
            self._waiting.pop(number, None)
        if reply.error:
            raise RpcError(reply.code, reply.error)
        return reply.result

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._connecting:
            if self._writer is not None and not self._writer.is_closing():
                return self._writer
            deadline = asyncio.get_running_loop().time() + CONNECT_S
            while True:
                try:
                    reader, writer = await asyncio.open_unix_connection(str(self.path))
                    break
                except OSError as error:
                    if asyncio.get_running_loop().time() > deadline:
                        raise RpcUnavailable(f"no ingest process listens on {self.path.name}") from error
                    await asyncio.sleep(_RETRY_S)
            self._writer = writer
            self._reading = asyncio.create_task(self._read(reader, writer))
            return writer

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        problem = ConnectionResetError("the ingest process closed the connection")
        try:
            while True:
                length, kind = protocol.PREFIX.unpack(await reader.readexactly(protocol.PREFIX.size))
                if not 1 <= length <= protocol.MAX_MESSAGE:
                    raise ConnectionAbortedError(f"a message of {length} bytes")
                body = await reader.readexactly(length - 1)
                if kind != protocol.REPLY:
                    continue  # nothing else is asked for on this connection
                reply = protocol.decode(kind, body)
                future = self._waiting.get(reply.id)
                if future is not None and not future.done():
                    future.set_result(reply)
        except (asyncio.IncompleteReadError, ConnectionError, msgspec.DecodeError) as error:
            problem.__cause__ = error
        finally:
            writer.close()
            if self._writer is writer:
                self._writer = None
                for future in self._waiting.values():
                    if not future.done():
                        future.set_exception(problem)

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
