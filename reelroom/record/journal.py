"""The journal file: reading, repairing, appending chained and signed lines. What lines say is `domain/lines.py`.

A line is one JSON object: n, at_ns, epoch, prev (SHA-256 of the whole line before), body, sig (Ed25519, base64,
over the same line with an empty sig). An append is one write and one fsync; a torn last line is cut off by
the next recorder that opens the file.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from reelroom.domain.lines import AnyLine

ZERO = "0" * 64
_SIG_BYTES = 88  # of base64 of 64 bytes
_TAIL = b'"sig":""}'


class JournalError(Exception):
    """A journal that cannot be read or appended to; the message says which file, which line and why."""


class FencedError(JournalError):
    """Another recorder has taken this recording over: nothing may be appended any more."""


class Entry(Struct, frozen=True, kw_only=True):
    """One line. `at_ns` is UTC when it was written, `epoch` counts the recorders' lives, from 1."""

    n: int
    at_ns: int
    epoch: int
    prev: str
    body: AnyLine
    sig: str = ""


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)


def parse(raw: bytes) -> Entry:
    """The entry of one line (with or without its newline); JournalError when it is none."""
    try:
        return _decoder.decode(raw)
    except msgspec.DecodeError as error:
        raise JournalError(f"not a journal line: {raw[:200]!r}: {error}") from error


def read_from(path: Path, offset: int = 0) -> tuple[list[Entry], int]:
    """The whole lines from byte `offset` on and the offset behind them; a torn last line is left alone.

    A journal that does not exist yet has no lines. Raises JournalError for a line that is none.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return [], offset
    end = data.rfind(b"\n") + 1
    return [parse(line) for line in data[:end].split(b"\n") if line], offset + end


def lines(path: Path) -> list[AnyLine]:
    """The bodies of all whole lines."""
    return [entry.body for entry in read_from(path)[0]]


def is_finished(path: Path) -> bool:
    """Whether the journal's last whole line is Finished: nothing is left to do for its recorder."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 65536))
            tail = file.read()
    except FileNotFoundError:
        return False
    last = tail[: tail.rfind(b"\n") + 1].rstrip(b"\n").rpartition(b"\n")[2]
    return b'"body":{"type":"finished"' in last


def sign(key: Ed25519PrivateKey, entry: Entry) -> bytes:
    """The line's bytes with its signature, without newline."""
    unsigned = _encoder.encode(entry)
    signature = base64.b64encode(key.sign(unsigned))
    return unsigned[: -len(_TAIL)] + b'"sig":"' + signature + b'"}'


def check_signature(raw: bytes, key: Ed25519PublicKey) -> None:
    """Check one line's signature over its very bytes; raises cryptography's InvalidSignature or ValueError."""
    head, found, tail = raw[: -_SIG_BYTES - 2], raw[-_SIG_BYTES - 2 : -2], raw[-2:]
    if not head.endswith(b'"sig":"') or tail != b'"}':
        raise ValueError("the line does not end with a signature")
    key.verify(base64.b64decode(found, validate=True), head + tail)


class Journal:
    """One recorder's hold on a journal file. Not thread-safe: one thread appends.

    Opening it cuts off a torn last line and begins the next epoch. The caller holds the recording's lock.
    """

    def __init__(self, path: Path, key: Ed25519PrivateKey, after: Callable[[], None] | None = None) -> None:
        self._path = path
        self._key = key
        self._after = after
        created = not path.exists()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if created:
            sync_folder(path.parent)
        data = os.pread(self._fd, os.fstat(self._fd).st_size, 0)
        self._size = data.rfind(b"\n") + 1
        if self._size != len(data):
            os.ftruncate(self._fd, self._size)
        raw = data[: self._size].split(b"\n")[:-1]
        self.entries = [parse(line) for line in raw]  # as found; `forget` frees them
        self._n = self.entries[-1].n if self.entries else 0
        self._prev = hashlib.sha256(raw[-1]).hexdigest() if raw else ZERO
        self.epoch = max((entry.epoch for entry in self.entries), default=0) + 1

    def forget(self) -> None:
        self.entries = []

    @property
    def public_key(self) -> str:
        return public_text(self._key)

    def next_epoch(self) -> None:
        """Begin another epoch: the ingest process is another one, frame numbers start anew."""
        self.epoch += 1

    def append(self, bodies: Sequence[AnyLine]) -> None:
        """Write and sync lines. On OSError (a full disk) none of them is in the file.

        Raises FencedError when somebody else has appended since.
        """
        if not bodies:
            return
        size = os.fstat(self._fd).st_size
        if size != self._size:
            raise FencedError(
                f"{self._path} has {size} bytes where this recorder (epoch {self.epoch}) left {self._size}: "
                "another recorder has taken over"
            )
        n, prev, now = self._n, self._prev, time.time_ns()
        chunk = bytearray()
        for body in bodies:
            n += 1
            raw = sign(self._key, Entry(n=n, at_ns=now, epoch=self.epoch, prev=prev, body=body))
            prev = hashlib.sha256(raw).hexdigest()
            chunk += raw
            chunk += b"\n"
        try:
            written = os.pwrite(self._fd, chunk, self._size)
            if written != len(chunk):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(self._path))
            os.fsync(self._fd)
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._size += len(chunk)
        self._n, self._prev = n, prev
        if self._after is not None:
            self._after()

    def close(self) -> None:
        os.close(self._fd)


def public_text(key: Ed25519PrivateKey) -> str:
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.b64encode(raw).decode()


def make_key(data: Path) -> Ed25519PrivateKey:
    """The key that signs journals, DATA/keys/journal.pem (0600), made with journal.pub where it is missing."""
    path = data / "keys" / "journal.pem"
    try:
        pem = path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = Ed25519PrivateKey.generate()
        private = new.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        draft = path.with_name(f"journal.pem.{os.getpid()}")
        write_synced(draft, (private,), 0o600)
        try:
            os.link(draft, path)  # several processes may come here at once: the first one's key counts
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        pem = path.read_bytes()
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise JournalError(f"{path} must hold an Ed25519 private key")
    public = path.with_name("journal.pub")
    if not public.exists():
        draft = public.with_name(f"journal.pub.{os.getpid()}")
        write_synced(draft, (public_text(key).encode() + b"\n",), 0o644)
        draft.replace(public)
    return key


def write_synced(path: Path, chunks: Iterable[bytes], mode: int = 0o600) -> None:
    """Write a whole file and sync it and its folder."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with open(fd, "wb", closefd=True) as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make names that were added to or taken from a folder last."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_and_hash(path: Path) -> tuple[int, str]:
    """Sync a file; its size and SHA-256."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest()
