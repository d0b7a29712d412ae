"""What wakes a recorder, and its waking control: sockets and a signal. Knows no frames and no commands."""

from __future__ import annotations

import errno
import os
import selectors
import signal
import socket
from pathlib import Path

from reelroom.record import paths


class Wakes:
    """The datagram socket that commands are announced on, a pipe for threads and signals, and control's socket."""

    def __init__(self, run: Path, recording: str) -> None:
        self._recording = recording
        self._path = paths.wake_socket(run, recording)
        self._control = os.fspath(paths.control_socket(run))
        self._poker = _datagrams()
        self._read, self._write = socket.socketpair()

    def listen(self, *among: selectors.BaseSelector) -> None:
        """Be told from now on, by each of the selectors, with a socket as the key's file: see `drain`."""
        self._path.unlink(missing_ok=True)
        wake = _datagrams()
        wake.bind(os.fspath(self._path))
        self._read.setblocking(False)
        self._write.setblocking(False)
        for selector in among:
            selector.register(wake, selectors.EVENT_READ, "commands")
            selector.register(self._read, selectors.EVENT_READ, "self")
        signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)

    def drain(self, sock: object) -> None:
        """Take what a selector has found to be readable."""
        assert isinstance(sock, socket.socket)
        try:
            while sock.recv(4096):
                pass
        except BlockingIOError:
            pass

    def wake_self(self) -> None:
        """Have the main thread look; any thread may call this."""
        try:
            self._write.send(b"w")
        except BlockingIOError:
            pass

    def poke_control(self) -> None:
        """Tell control that the journal has grown; it looks by itself now and then anyway."""
        try:
            self._poker.sendto(self._recording.encode(), self._control)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ECONNREFUSED, errno.EAGAIN, errno.ENOBUFS):
                raise

    def close(self) -> None:
        """Nobody finds this recorder any more."""
        self._path.unlink(missing_ok=True)


def _datagrams() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
