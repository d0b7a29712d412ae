"""A file in the making: `*.part` until it is whole, synced and named. Knows no format."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_BLOCK = 4 << 20


class Made(NamedTuple):
    bytes: int
    sha256: str


class Range(NamedTuple):
    """A stretch of another file."""

    path: Path
    offset: int
    length: int


def settle(part: Path, path: Path) -> None:
    """Sync `part` and its folder and give it its name."""
    file = os.open(part, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
    part.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def digest(path: Path) -> Made:
    with path.open("rb") as file:
        return Made(os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest())


def coalesce(ranges: Sequence[Range]) -> list[Range]:
    """The same bytes with neighbours in one file joined."""
    out: list[Range] = []
    for item in ranges:
        if out and out[-1].path == item.path and out[-1].offset + out[-1].length == item.offset:
            out[-1] = Range(item.path, out[-1].offset, out[-1].length + item.length)
        else:
            out.append(item)
    return out


class _Hasher(threading.Thread):
    """Hashes what is being written, from the sources: hashlib and read leave the interpreter's lock alone."""

    def __init__(self, head: bytes, ranges: Sequence[Range]) -> None:
        super().__init__(daemon=True)
        self._hash = hashlib.sha256(head)
        self._ranges = ranges
        self._buffer = bytearray(_BLOCK)
        self._error: OSError | None = None

    def run(self) -> None:
        view = memoryview(self._buffer)
        opened, file = None, -1
        try:
            for item in self._ranges:
                if item.path != opened:
                    if file >= 0:
                        os.close(file)
                    file, opened = os.open(item.path, os.O_RDONLY), item.path
                at, left = item.offset, item.length
                while left:
                    got = os.preadv(file, [view[: min(left, _BLOCK)]], at)
                    if not got:
                        raise OSError(f"{item.path} ends at {at}, {left} bytes too early")
                    self._hash.update(view[:got])
                    at += got
                    left -= got
        except OSError as error:
            self._error = error
        finally:
            if file >= 0:
                os.close(file)

    def result(self) -> str:
        self.join()
        if self._error is not None:
            raise self._error
        return self._hash.hexdigest()


def join(path: Path, head: bytes, ranges: Sequence[Range]) -> Made:
    """Write `head` and then the `ranges` to `path` through a `.part`; the kernel copies, a thread hashes.

    Raises OSError when a source is shorter than its range, or the disk is full; the `.part` is removed then.
    """
    ranges = coalesce(ranges)
    part = path.with_name(path.name + ".part")
    hasher = _Hasher(head, ranges)
    hasher.start()
    total = len(head) + sum(item.length for item in ranges)
    try:
        with part.open("wb", buffering=0) as out:
            out.write(head)
            for item in ranges:
                _copy(item, out.fileno())
        sha256 = hasher.result()
        settle(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    return Made(total, sha256)


def _copy(item: Range, out: int) -> None:
    file = os.open(item.path, os.O_RDONLY)
    try:
        at, left = item.offset, item.length
        while left:
            sent = os.sendfile(out, file, at, left)
            if not sent:
                raise OSError(f"{item.path} ends at {at}, {left} bytes too early")
            at += sent
            left -= sent
    finally:
        os.close(file)
