"""The write-ahead log of one open segment: bus messages as they came, appended. Decides no cuts, muxes nothing.

The file is `MAGIC | u32 length | msgpack Header | bus messages`. Appends are buffered and not synced: what a
killed recorder had in its buffer is still in the ingest's ring, what it had written is in the page cache.
Reading stops at the first record that is torn or makes no sense.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from reelroom.rooms import protocol
from reelroom.rooms.protocol import FRAME, FRAME_HEADER, FRAME_OVERHEAD, PREFIX

MAGIC = b"RRWAL\x00\x01\n"
_LENGTH = struct.Struct("!I")
_FRAME_LENGTH = FRAME_HEADER.size - _LENGTH.size  # what the length field says of a frame without payload
FLUSH_BYTES = 256 * 1024


class WalError(Exception):
    """A file that is no write-ahead log of this program, or has not even its header."""


class Header(Struct, frozen=True, kw_only=True):
    """What a salvager must know if the journal does not say it yet."""

    output: str
    identity: str
    source: str
    kind: str  # "av", "audio", "video"
    output_start_ns: int  # room time of the output's first frame
    ingest: str  # the ingest's life that frame numbers belong to
    number: int  # of this output's logs, from 1
    start_ns: int  # room time at which the segment begins


class Wal:
    """An open log. Append whole bus messages to `buffer`, call `flush` at `FLUSH_BYTES` and every 100 ms."""

    __slots__ = ("_fd", "buffer", "header", "path", "size", "tracks")

    def __init__(self, path: Path, header: Header, fd: int, size: int, tracks: set[int]) -> None:
        self.path = path
        self.header = header
        self.buffer = bytearray()
        self.size = size  # bytes in the file
        self.tracks = tracks  # announced in this log
        self._fd = fd

    @classmethod
    def create(cls, path: Path, header: Header) -> Wal:
        """Raises OSError (a full disk among them)."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        wal = cls(path, header, fd, 0, set())
        body = msgspec.msgpack.encode(header)
        wal.buffer += MAGIC + _LENGTH.pack(len(body)) + body
        return wal

    @classmethod
    def reopen(cls, contents: Contents, tracks: set[int]) -> Wal:
        """Go on with a log that a killed recorder left, behind its last whole record."""
        fd = os.open(contents.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        os.ftruncate(fd, contents.end)
        return cls(contents.path, contents.header, fd, contents.end, tracks)

    def flush(self) -> None:
        """Hand the buffer to the kernel. On OSError what was not written stays in the buffer."""
        while self.buffer:
            written = os.write(self._fd, self.buffer)
            self.size += written
            del self.buffer[:written]

    def sync(self) -> None:
        os.fsync(self._fd)

    def close(self) -> None:
        os.close(self._fd)


class Frame(NamedTuple):
    flags: int
    track: int
    seq: int
    room_ns: int
    rtp_ts: int
    level: int
    payload: memoryview

    def message(self) -> bytes:
        """The bus message it came as."""
        length = _FRAME_LENGTH + len(self.payload)
        head = FRAME_HEADER.pack(length, FRAME, self.flags, self.track, self.seq, self.room_ns, self.rtp_ts, self.level)
        return head + self.payload


class Contents:
    """A log read back. `records` yields frames and decoded control messages in their order; `end`, known when
    it was read through, is the offset behind the last whole record."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._data = path.read_bytes()
        begin = len(MAGIC) + _LENGTH.size
        if not self._data.startswith(MAGIC) or len(self._data) < begin:
            raise WalError(f"{path} is no write-ahead log")
        (length,) = _LENGTH.unpack_from(self._data, len(MAGIC))
        self._begin = begin + length
        try:
            self.header = msgspec.msgpack.decode(self._data[begin : self._begin], type=Header)
        except msgspec.DecodeError as error:
            raise WalError(f"{path} has no whole header: {error}") from error
        self.end = self._begin

    def records(self) -> Iterator[Frame | Struct]:
        data = memoryview(self._data)
        position, size = self._begin, len(data)
        self.end = position
        while size - position >= PREFIX.size:
            length, kind = PREFIX.unpack_from(data, position)
            after = position + _LENGTH.size + length
            if after > size or length < 1:
                return
            if kind == FRAME:
                if length < _FRAME_LENGTH:
                    return
                _, _, flags, track, seq, room_ns, rtp_ts, level = FRAME_HEADER.unpack_from(data, position)
                record: Frame | Struct = Frame(
                    flags, track, seq, room_ns, rtp_ts, level, data[position + FRAME_OVERHEAD : after]
                )
            else:
                try:
                    record = protocol.decode(kind, data[position + PREFIX.size : after])
                except (msgspec.DecodeError, KeyError):
                    return
            position = self.end = after
            yield record
