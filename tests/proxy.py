"""A TCP proxy that gets in the way: refuses, stalls, resets, answers 503, or lets everything through."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Self

_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Proxy:
    """In front of `host:port`. `mode`: "pass", "refuse" (reset at once), "stall", "reset" (midway), "503"."""

    def __init__(self, host: str, port: int, mode: str = "pass") -> None:
        self._upstream = (host, port)
        self.mode = mode
        self.port = 0
        self.connections = 0
        self.reset_after = 4096  # bytes towards the server, in mode "reset"
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def set(self, mode: str) -> None:
        """Change the mode and drop the connections of the old one."""
        self.mode = mode
        self.cut()

    def cut(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            if self.mode == "refuse":
                _reset(writer)
            elif self.mode == "stall":
                await asyncio.sleep(3600)
            elif self.mode == "503":
                await reader.readuntil(b"\r\n\r\n")
                writer.write(_UNAVAILABLE)
                await writer.drain()
            else:
                await self._pass(reader, writer)
        except (asyncio.CancelledError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            _reset(writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        there = asyncio.create_task(self._pump(reader, up_writer, towards_server=True))
        back = asyncio.create_task(self._pump(up_reader, writer, towards_server=False))
        try:
            await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
        finally:
            there.cancel()
            back.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
            up_writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, towards_server: bool) -> None:
        passed = 0
        while data := await reader.read(65536):
            passed += len(data)
            if towards_server and self.mode == "reset" and passed > self.reset_after:
                return
            writer.write(data)
            await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
