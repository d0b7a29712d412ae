"""A recording's commands: reading and appending `commands.jsonl`, and which of them have an effect.

Holds no recorder: what a command does is in `process.py`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from pathlib import Path

import msgspec

from reelroom.domain.lines import (
    AnyCommand,
    AnyLine,
    Change,
    ChangeScene,
    Pause,
    Paused,
    Resume,
    Resumed,
    SceneChanged,
    Stop,
    Stopped,
    Subscribed,
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyCommand] = msgspec.json.Decoder(AnyCommand)


def append(path: Path, command: AnyCommand) -> None:
    """Add one command to a recording's `commands.jsonl` and sync it (the caller then wakes the recorder)."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, _encoder.encode(command) + b"\n")
        os.fsync(fd)
    finally:
        os.close(fd)


def wake(path: Path) -> bool:
    """Send the datagram that makes a recorder read its commands; False when no recorder listens there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        try:
            sock.sendto(b"c", os.fspath(path))
        except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
            return False  # it looks at the file's size each second anyway
    return True


class Reader:
    """Follows one `commands.jsonl`; a last line without its newline is left for later."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> list[AnyCommand]:
        """The commands since the last call; ValueError names the line that is not one."""
        try:
            if self._path.stat().st_size <= self._offset:
                return []
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        found: list[AnyCommand] = []
        for line in data[: data.rfind(b"\n") + 1].splitlines(keepends=True):
            self._offset += len(line)
            try:
                found.append(_decoder.decode(line))
            except msgspec.DecodeError as error:
                raise ValueError(f"{self._path}: not a command: {line[:200]!r}: {error}") from error
        return found


class Effective:
    """Drops commands without effect: a pause while paused, a resume while not, anything after a stop.

    What is left stands in the journal as Paused, Resumed, Subscribed, SceneChanged and Stopped lines in the same
    order, so
    `skip` of those lines tells a restarted recorder which commands it has carried out.
    """

    def __init__(self) -> None:
        self._paused = False
        self._stopped = False

    def take(self, command: AnyCommand) -> bool:
        if self._stopped:
            return False
        match command:
            case Pause():
                if self._paused:
                    return False
                self._paused = True
            case Resume():
                if not self._paused:
                    return False
                self._paused = False
            case Stop():
                self._stopped = True
            case Change() | ChangeScene():
                pass
        return True


def pausing(path: Path) -> bool:
    """Whether the last that the recorder was told of pauses is to make one, carried out or not."""
    told = [command for command in Reader(path).read() if isinstance(command, Pause | Resume)]
    return bool(told) and isinstance(told[-1], Pause)


def carried_out(lines: Iterable[AnyLine]) -> int:
    """How many effective commands a journal's lines show."""
    return sum(isinstance(line, Paused | Resumed | Subscribed | SceneChanged | Stopped) for line in lines)
