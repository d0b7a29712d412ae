"""Opening a destination and writing objects into it, whole and bounded in memory. Schedules and retries nothing.

What opendal 0.47's wheel has was tried: fs, s3, oss, cos, obs, gcs, azblob, tos, swift and webdav are there (as
are b2, azdls, azfile and upyun); sftp, hdfs, pcloud, supabase and vercel-blob are not. Kodo, KS3, EOS, BOS and
MinIO speak the S3 protocol: service "s3" with their endpoint. `fs` does not go through opendal: a hard link is
faster than a copy. Object tags have no place in opendal's writers, so nothing here takes them.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import httpx
import opendal
from opendal import exceptions
from opendal.layers import RetryLayer, TimeoutLayer

from reelroom.deliver.tagging import TagError, Tagger, parse_tags
from reelroom.domain.naming import safe

CHUNK = 8 << 20  # of a file that goes in parts; smaller files go in one request
READ = 1 << 20  # of what is read back
MAX_PARTS = 9000  # S3 and those like it take 10,000
CONTROL_TIMEOUT_S = 30
CHUNK_TIMEOUT_S = 60

CONTENT_TYPES: dict[str, str] = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".m4s": "video/iso.segment",
    ".mp4": "video/mp4",
    ".ts": "video/mp2t",
    ".webm": "video/webm",
    ".flv": "video/x-flv",
    ".aac": "audio/aac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".m4a": "audio/mp4",
}

#: Options whose values errors may repeat.
PLAIN = frozenset(
    {
        "bucket", "container", "endpoint", "region", "root", "account_name", "username", "default_acl",
        "default_storage_class", "server_side_encryption", "checksum_algorithm", "enable_virtual_host_style",
        "predefined_acl", "disable_config_load", "disable_ec2_metadata", "disable_vm_metadata",
        "disable_write_with_if_match",
    }
)  # fmt: skip

_DAL_ERRORS: tuple[type[Exception], ...] = tuple(
    error for error in vars(exceptions).values() if isinstance(error, type) and issubclass(error, Exception)
)


_OPEN_ERRORS: tuple[type[Exception], ...] = (*_DAL_ERRORS, TypeError)
_READ_ERRORS: tuple[type[Exception], ...] = (*_DAL_ERRORS, OSError)
_CONTEXT = re.compile(r", context: \{.*?\}(?= =>)", re.DOTALL)  # the same on one line, in errors of files
_ANSWERED = re.compile(r"response: Parts \{ status: (\d{3})")
_SERVICES_WORDS = re.compile(r"\w+Error \{")  # an answer in the service's own form, read by opendal
_SENDING = "send http request"  # it did not get as far as an answer: then the cause is worth telling


class StorageError(Exception):
    """A destination did not take or give an object. The message holds no credential."""


class SourceGone(Exception):
    """The local file that was to be written into storage is not there."""


Outcome = StorageError | SourceGone | OSError | None  # None: the object is there; OSError: of this machine


class Storage(Protocol):
    """One destination. Every method raises StorageError, and only that, for trouble with the destination."""

    together: int  # objects that are best put at once

    async def put_all(self, objects: Sequence[tuple[str, Path | bytes]]) -> list[Outcome]:
        """Store local files and bytes under their keys, in this order, and say what became of each."""

    async def put_file(self, key: str, path: Path) -> None:
        """Store a local file under `key`; SourceGone when there is none."""

    async def put_bytes(self, key: str, data: bytes) -> None: ...

    async def size(self, key: str) -> int | None:
        """Bytes of an object, None when there is none."""

    async def delete(self, key: str) -> None:
        """Remove an object; no error when there is none."""

    async def read(self, key: str) -> bytes | None:
        """A small object's bytes, a playlist's; None when there is none."""

    async def reach(self, key: str, expires_s: int) -> Path | str | None:
        """How a reader gets an object: a local file, a URL that is good for `expires_s`; None: only by `chunks`."""

    def chunks(self, key: str) -> AsyncIterator[bytes]:
        """An object's bytes, a bounded part at a time."""


def open_storage(service: str, options: dict[str, str]) -> Storage:
    """A destination's storage. StorageError when its options do not even make one; nothing is contacted yet."""
    if service == "fs":
        return LocalStorage(Path(options["root"]))
    return ObjectStorage(service, options)


def local_root(storage: Path, app: str) -> Path:
    """An app's own folder of the server's storage: no app's names can hit another's files."""
    return storage / safe(app)


def content_type(key: str) -> str:
    return CONTENT_TYPES.get(os.path.splitext(key)[1], "application/octet-stream")


class LocalStorage:
    """A folder: hard links where the file system allows, else copies; objects appear whole or not at all."""

    together = 64

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put_all(self, objects: Sequence[tuple[str, Path | bytes]]) -> list[Outcome]:
        return await asyncio.to_thread(self._put_all, objects)

    def _put_all(self, objects: Sequence[tuple[str, Path | bytes]]) -> list[Outcome]:
        """Their folders are synced once, at the end: none of them counts as stored before."""
        outcomes: list[Outcome] = []
        folders: dict[Path, list[int]] = {}
        for number, (key, what) in enumerate(objects):
            try:
                folder = self._make(key, what)
                folders.setdefault(folder, []).append(number)
                outcomes.append(None)
            except (StorageError, SourceGone) as error:
                outcomes.append(error)
            except OSError as error:
                outcomes.append(_trouble(error))
        for folder, numbers in folders.items():
            try:
                _sync(folder)
            except OSError as error:
                for number in numbers:
                    outcomes[number] = _trouble(error)
        return outcomes

    async def put_file(self, key: str, path: Path) -> None:
        await self._in_thread(lambda: _sync(self._make(key, path)))

    async def put_bytes(self, key: str, data: bytes) -> None:
        await self._in_thread(lambda: _sync(self._make(key, data)))

    async def size(self, key: str) -> int | None:
        def look(target: Path) -> int | None:
            return target.stat().st_size if target.is_file() else None

        return await self._in_thread(lambda: look(self._target(key)))  # type: ignore[no-any-return]

    async def delete(self, key: str) -> None:
        await self._in_thread(lambda: self._target(key).unlink(missing_ok=True))

    async def read(self, key: str) -> bytes | None:
        try:
            return await self._in_thread(self._target(key).read_bytes)  # type: ignore[no-any-return]
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise

    async def reach(self, key: str, expires_s: int) -> Path | str | None:
        return self._target(key)

    async def chunks(self, key: str) -> AsyncIterator[bytes]:
        try:
            with self._target(key).open("rb") as file:
                while data := await asyncio.to_thread(file.read, READ):
                    yield data
        except OSError as error:
            raise _trouble(error) from error

    async def _in_thread(self, function: Any, *args: Any) -> Any:
        try:
            return await asyncio.to_thread(function, *args)
        except OSError as error:
            raise _trouble(error) from error

    def _target(self, key: str) -> Path:
        target = self._root / key
        root = self._root.resolve()
        if not target.parent.resolve().is_relative_to(root) or ".." in Path(key).parts:
            raise StorageError(f"{key!r} would lie outside {self._root}")
        return target

    def _make(self, key: str, what: Path | bytes) -> Path:
        """The object, and the folder that is to be synced before it counts."""
        target = self._target(key)
        part = target.with_name(f".{target.name[:200]}.part")
        target.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)  # of a process that was killed
        if isinstance(what, Path):
            _link(what, part)
        else:
            with part.open("wb") as file:
                file.write(what)
                file.flush()
                os.fsync(file.fileno())
        os.replace(part, target)
        part.unlink(missing_ok=True)  # replacing one hard link of a file by another leaves both
        return target.parent


def _link(path: Path, part: Path) -> None:
    try:
        os.link(path, part)
    except FileNotFoundError as error:
        if not path.exists():
            raise SourceGone(str(path)) from error
        raise
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP):
            raise
        with path.open("rb") as source, part.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _trouble(error: OSError) -> StorageError:
    return StorageError(f"{error.strerror or error}: {error.filename2 or error.filename}")


class ObjectStorage:
    """A service through opendal. Files above CHUNK go in parts, which only become an object when all are there."""

    together = 1

    def __init__(self, service: str, options: dict[str, str]) -> None:
        if service == "s3" and options.get("endpoint"):
            options = {"region": "us-east-1"} | options  # what S3-like services that have no regions are called with
        tags = options.get("tagging", "")
        options = {name: value for name, value in options.items() if name != "tagging"}  # opendal has no such option
        self._service = service
        self._options = options
        hidden = (value for name, value in options.items() if name not in PLAIN and len(value) > 3)
        self._secrets = sorted(hidden, key=len, reverse=True)
        try:
            operator = opendal.AsyncOperator(service, **options)
            operator = operator.layer(TimeoutLayer(timeout=CONTROL_TIMEOUT_S, io_timeout=CHUNK_TIMEOUT_S))
            self._operator = operator.layer(RetryLayer(max_times=1, min_delay=0.2, jitter=True))
            capability = self._operator.capability()
        except _OPEN_ERRORS as error:
            raise self._said(error) from None
        try:
            self._tagger = Tagger(service, options, parse_tags(tags)) if tags else None
        except ValueError as error:
            raise StorageError(f"tagging: {error}") from None
        self._parts: bool = capability.write_can_multi
        self._typed: bool = capability.write_with_content_type
        self._links: bool = capability.presign_read
        self._cached: bool = capability.write_with_cache_control

    async def put_all(self, objects: Sequence[tuple[str, Path | bytes]]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for key, what in objects:
            try:
                await (self.put_file(key, what) if isinstance(what, Path) else self.put_bytes(key, what))
                outcomes.append(None)
            except (StorageError, SourceGone, OSError) as error:
                outcomes.append(error)
        return outcomes

    async def put_file(self, key: str, path: Path) -> None:
        try:
            size = (await asyncio.to_thread(path.stat)).st_size
            if size <= CHUNK:
                data = await asyncio.to_thread(path.read_bytes)
                await self._operator.write(key, data, **self._more(key))
            elif self._parts:
                await self._put_parts(key, path, size)
            elif self._service == "webdav":
                await self._put_webdav(key, path, size)
            else:
                raise StorageError(f"not supported: {self._service} takes no file above {CHUNK} bytes")
        except FileNotFoundError as error:
            raise SourceGone(str(path)) from error
        except _DAL_ERRORS as error:
            raise self._said(error) from None
        await self._tag(key)

    async def put_bytes(self, key: str, data: bytes) -> None:
        try:
            await self._operator.write(key, data, **self._more(key))
        except _DAL_ERRORS as error:
            raise self._said(error) from None
        await self._tag(key)

    async def _tag(self, key: str) -> None:
        """An object without its tags does not count as stored: it is put again."""
        if self._tagger is not None:
            try:
                await self._tagger.tag(key)
            except TagError as error:
                raise StorageError(self._masked(str(error))) from None

    async def size(self, key: str) -> int | None:
        try:
            return int((await self._operator.stat(key)).content_length)
        except exceptions.NotFound:
            return None
        except _DAL_ERRORS as error:
            raise self._said(error) from None

    async def delete(self, key: str) -> None:
        try:
            await self._operator.delete(key)
        except exceptions.NotFound:
            return
        except _DAL_ERRORS as error:
            raise self._said(error) from None

    async def read(self, key: str) -> bytes | None:
        try:
            return bytes(await self._operator.read(key))
        except exceptions.NotFound:
            return None
        except _DAL_ERRORS as error:
            raise self._said(error) from None

    async def reach(self, key: str, expires_s: int) -> Path | str | None:
        if not self._links:
            return None
        try:
            return str((await self._operator.presign_read(key, expires_s)).url)
        except _DAL_ERRORS as error:
            raise self._said(error) from None

    async def chunks(self, key: str) -> AsyncIterator[bytes]:
        try:
            async with await self._operator.open(key, "rb") as file:  # type: ignore[misc]
                while data := await file.read(READ):
                    yield bytes(data)
        except _READ_ERRORS as error:
            raise self._said(error) from None

    def _more(self, key: str) -> dict[str, Any]:
        more: dict[str, Any] = {}
        if self._typed:
            more["content_type"] = content_type(key)
        if self._cached and key.endswith(".m3u8"):
            more["cache_control"] = "no-cache"  # it grows
        return more

    async def _put_parts(self, key: str, path: Path, size: int) -> None:
        chunk = max(CHUNK, -(-size // MAX_PARTS))
        with path.open("rb") as file:
            # No `async with`: leaving it on an error would complete the object with what is there.
            writer = await self._operator.open(key, "wb", chunk=chunk, concurrent=2, **self._more(key))
            while data := await asyncio.to_thread(file.read, chunk):
                try:
                    await writer.write(data)
                except OSError as error:  # what opendal's files raise instead of its own exceptions
                    raise self._said(error) from None
        try:
            await writer.close()
        except OSError as error:
            raise self._said(error) from None

    async def _put_webdav(self, key: str, path: Path, size: int) -> None:
        """opendal would hold the whole file in memory: WebDAV has no parts."""
        folder = key.rpartition("/")[0]
        if folder:
            await self._operator.create_dir(folder + "/")
        options = self._options
        root = "/".join(filter(None, (options["endpoint"].rstrip("/"), quote(options.get("root", "").strip("/")))))
        headers = {"Content-Length": str(size), "Content-Type": content_type(key)}
        auth = None
        if options.get("token"):
            headers["Authorization"] = f"Bearer {options['token']}"
        elif options.get("username"):
            auth = (options["username"], options.get("password", ""))
        try:
            async with httpx.AsyncClient(timeout=CHUNK_TIMEOUT_S, auth=auth, trust_env=False) as client:
                answer = await client.put(f"{root}/{quote(key)}", content=_chunks(path), headers=headers)
        except httpx.HTTPError as error:
            raise StorageError(self._masked(f"{type(error).__name__}: {error}")) from None
        if answer.status_code not in (200, 201, 204):
            raise StorageError(f"webdav answered {answer.status_code}")

    def _said(self, error: Exception) -> StorageError:
        """What opendal says, without its backtrace, URLs (signed ones hold credentials) and any option's value.

        An answer that is not in the service's own form is left out but for its status: callers name the endpoint,
        and what some other server there says to us is not for them.
        """
        whole = str(error).partition("Backtrace:")[0]
        what, _, rest = _CONTEXT.sub("", whole).partition(" => ")
        said, _, more = rest.partition("\n\nContext:")
        status = _ANSWERED.search(whole)
        if status and not _SERVICES_WORDS.match(said):
            said = f"the answer was {status[1]}"
        elif said.startswith(_SENDING):
            cause = [line.strip() for line in more.partition("Source:")[2].splitlines() if "http" not in line]
            said = "; ".join([said, *filter(None, cause)])
        told = " => ".join(filter(None, (what.partition("\n\nContext:")[0], said.replace("\n", " "))))
        return StorageError(self._masked(f"{type(error).__name__}: {told}"))

    def _masked(self, text: str) -> str:
        for value in self._secrets:
            text = text.replace(value, "***")
        return text[:500]


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while data := await asyncio.to_thread(file.read, 1 << 20):
            yield data
