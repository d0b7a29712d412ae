"""A recorder at the bus: what it wants, what it has been sent, what still waits to be written. Holds no rooms."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from reelroom.domain.recording import Subscription
from reelroom.rooms import protocol
from reelroom.rooms.ring import Kept

#: Bytes that may wait for a recorder that does not read. Beyond it frames stay in the ring only, and are taken from
#: there when it reads again: a stalled recorder costs no memory.
MAX_WAITING = 64 * 1024 * 1024
_IOV = 512  # buffers in one sendmsg


class Outbox:
    """Messages waiting for one socket. `flush` writes what the socket takes without blocking."""

    __slots__ = ("_socket", "_waiting", "bytes")

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._waiting: deque[bytes | memoryview] = deque()
        self.bytes = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, data: bytes) -> None:
        self._waiting.append(data)
        self.bytes += len(data)

    def flush(self) -> bool:
        """True when everything is written; False when the socket is full. OSError when it is broken."""
        waiting = self._waiting
        while waiting:
            batch = [waiting[i] for i in range(_IOV)] if len(waiting) > _IOV else list(waiting)
            try:
                sent = self._socket.sendmsg(batch)
            except BlockingIOError:
                return False
            self.bytes -= sent
            for part in batch:
                if sent < len(part):
                    waiting[0] = memoryview(part)[sent:]
                    break
                sent -= len(part)
                waiting.popleft()
            else:
                continue
            return False
        return True


class Subscriber:
    """One recording's subscription to one room."""

    def __init__(self, request: protocol.Subscribe, outbox: Outbox) -> None:
        self.recording = request.recording
        self.app = request.app
        self.room = request.room
        self.subscription: Subscription = request.subscription
        self.outbox = outbox
        self.positions: dict[int, int] = {}  # bus track → seq of the last frame put into the outbox
        self.lagging = False
        self._wants_heard = request.heard

    def heard(self, room_ns: int) -> None:
        """Everything until then has been pushed."""
        if self._wants_heard and not self.lagging:
            self.tell(protocol.Heard(room_ns=room_ns))

    def tell(self, message: Struct) -> None:
        self.outbox.put(protocol.encode(message))

    def push(self, track: int, seq: int, header: bytes, data: bytes) -> None:
        """One new frame; the hot path."""
        outbox = self.outbox
        if self.lagging or outbox.bytes > MAX_WAITING:
            self.lagging = True
            return
        outbox.put(header)
        outbox.put(data)
        self.positions[track] = seq

    def replay(self, track: int, frames: Iterable[Kept]) -> None:
        """Frames from a ring, in order."""
        for frame in frames:
            self.outbox.put(frame.header)
            self.outbox.put(frame.data)
            self.positions[track] = frame.seq
