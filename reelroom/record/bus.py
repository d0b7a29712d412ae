"""The recorder's end of the bus: connecting, cutting the byte stream into messages, sending. Knows no outputs."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from msgspec import Struct

from reelroom.rooms import protocol
from reelroom.rooms.protocol import MAX_MESSAGE, PREFIX

_CHUNK = 1024 * 1024


class BusError(Exception):
    """The ingest said something that is no bus message; the connection is of no more use."""


class Bus:
    """One connection. `buffer[begin:end]` is what has been received and not been taken.

    The reader cuts messages out of it in place (see `intake.py`) and moves `begin`; `receive` makes room.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = bytearray(2 * _CHUNK)
        self.view = memoryview(self.buffer)
        self.begin = 0
        self.end = 0

    @classmethod
    def connect(cls, path: Path) -> Bus:
        """Raises OSError when nobody listens there."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            sock.connect(os.fspath(path))
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    def fileno(self) -> int:
        return self.sock.fileno()

    def send(self, message: Struct) -> None:
        """Send a whole message (they are small: it blocks only if the ingest hangs). Raises OSError."""
        self.sock.sendall(protocol.encode(message))

    def receive(self) -> bool:
        """Take what has arrived into the buffer; False at the end of the stream. Raises OSError, BusError."""
        if self.begin == self.end:
            self.begin = self.end = 0
        elif len(self.buffer) - self.end < _CHUNK // 2:
            self._make_room()
        try:
            count = self.sock.recv_into(self.view[self.end :], 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        self.end += count
        return count > 0

    def _make_room(self) -> None:
        held = self.end - self.begin
        length = 0
        if held >= PREFIX.size:
            length = PREFIX.unpack_from(self.buffer, self.begin)[0]
            if not 1 <= length <= MAX_MESSAGE:
                raise BusError(f"a bus message of {length} bytes (1 to {MAX_MESSAGE} are allowed)")
        data = bytes(self.view[self.begin : self.end])
        if length + _CHUNK > len(self.buffer):
            self.view.release()
            self.buffer = bytearray(length + _CHUNK)
            self.view = memoryview(self.buffer)
        self.buffer[:held] = data
        self.begin, self.end = 0, held

    def close(self) -> None:
        self.view.release()
        self.sock.close()
