"""HTTP connections with bounds that uvicorn does not have: size and time of a request's head, and how many there are.

Holds no route and no bound on bodies: `control/middleware.py` has those.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 64 << 10  # bytes of a request's line and headers
HEAD_S = 15.0  # from the connection, or from the first byte after an answer, to the end of the head
MAX_CONNECTIONS = 2000  # at one time; each costs a file descriptor

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: application/problem+json\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%b"
)
_PROBLEM = (
    b'{"type":"urn:reelroom:too-large","title":"Request Header Fields Too Large","status":431,'
    b'"detail":"the request line and headers may have at most %d bytes"}' % MAX_HEAD
)


class BoundedHttp(HttpToolsProtocol):
    """One connection. Who sends no whole head in time is hung up on; who sends too long a one is told 431."""

    _waiting: asyncio.TimerHandle | None = None
    _in_head = False
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
            return
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and self._head_bytes > MAX_HEAD:
            self._refuse()
        elif self._waiting is None and self._idle:
            self._wait()  # uvicorn's own timer ended with this data, which may be no request at all

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._arrived()
        super().on_headers_complete()

    @property
    def _idle(self) -> bool:
        """No request is being answered."""
        cycle: Any = self.cycle
        return cycle is None or bool(cycle.response_complete)

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(HEAD_S, self._too_slow)

    def _arrived(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _too_slow(self) -> None:
        self._waiting = None
        if not self.transport.is_closing():
            self.transport.abort()

    def _refuse(self) -> None:
        self._arrived()
        if self._idle:
            self.transport.write(_TOO_LARGE % (len(_PROBLEM), _PROBLEM))
            self.transport.close()
        else:
            self.transport.abort()  # another answer is under way: nothing may be said in its middle
