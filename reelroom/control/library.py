"""An app's media library: search, details, delete, and how a file in it is read. Puts nothing into it."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from reelroom.control.errors import ControlError
from reelroom.control.listing import starting_with
from reelroom.deliver.outbox import now_ns
from reelroom.deliver.shelf import Shelf
from reelroom.deliver.storage import StorageError
from reelroom.deliver.uploads import Uploader
from reelroom.store import tables
from reelroom.store.db import Database

URL_TTL_S = 12 * 3600
LINK_S = 6 * 3600  # of a link into a storage that a reader is sent on to
MAX_PAGE = 5000
MAX_NS = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class MediaQuery:
    """Which files: values within one list are alternatives, all that is given must hold. Times in UTC nanoseconds."""

    ids: Sequence[str] | None = None
    name_prefixes: Sequence[str] | None = None
    names: Sequence[str] | None = None  # it has one of these anywhere in its name
    streams: Sequence[str] | None = None
    rooms: Sequence[str] | None = None
    identities: Sequence[str] | None = None
    recordings: Sequence[str] | None = None
    formats: Sequence[str] | None = None
    kinds: Sequence[str] | None = None  # "av", "audio", "video"
    sources: Sequence[str] | None = None
    dialects: Sequence[str] | None = None
    modes: Sequence[str] | None = None
    tags: Sequence[str] | None = None  # any of them
    created_from_ns: int | None = None  # at or after
    created_until_ns: int | None = None  # before
    expires_from_ns: int | None = None  # of files that expire at all
    expires_until_ns: int | None = None


class Content(NamedTuple):
    """An object that only this server can read for others."""

    size: int
    chunks: AsyncIterator[bytes]


class Library:
    """The libraries of all apps; every call names the app. Expired files are not there, even while storage has them."""

    def __init__(self, database: Database, uploader: Uploader, shelf: Shelf, recordings: Path, key: bytes) -> None:
        """`key` signs the URLs of files."""
        self._database = database
        self._uploader = uploader
        self._shelf = shelf
        self._recordings = recordings
        self.key = key

    async def search(
        self, app: str, query: MediaQuery, *, offset: int = 0, limit: int = 10, ascending: bool = False
    ) -> tuple[Sequence[tables.Media], int]:
        """A page of what matches, by creation (the newest first unless `ascending`), and how much matches in all."""
        if offset < 0 or not 0 <= limit <= MAX_PAGE:
            raise ControlError("invalid", f"offset must be 0 or more, limit 0 to {MAX_PAGE}", "limit")
        media = tables.Media
        wanted = [media.app == app, _living(), *_conditions(app, query)]
        order = (media.created_ns.asc(), media.id.asc()) if ascending else (media.created_ns.desc(), media.id.desc())
        async with self._database.reading() as session:
            total = await session.scalar(select(func.count()).select_from(media).where(*wanted)) or 0
            page = select(media.id).where(*wanted).order_by(*order).offset(offset).limit(limit)  # by indexes alone
            rows = await session.scalars(select(media).where(media.id.in_(page)).order_by(*order))
            return rows.all(), total

    async def get(self, app: str, id: str) -> tables.Media:
        """ControlError("not_found") when there is none, or another app's."""
        found = (await self.many(app, [id])).get(id)
        if found is None:
            raise ControlError("not_found", f"no file {id!r} in the library"[:160], "id")
        return found

    async def many(self, app: str, ids: Iterable[str]) -> dict[str, tables.Media]:
        """Those of the ids that there are."""
        media = tables.Media
        async with self._database.reading() as session:
            rows = await session.scalars(select(media).where(media.app == app, _living(), media.id.in_(set(ids))))
            return {row.id: row for row in rows}

    async def delete(self, app: str, id: str) -> None:
        """Remove a file from storage, from this machine and from the library.

        ControlError("not_found"), or "unavailable" when the storage does not let it go: it is still listed then.
        """
        await self.get(app, id)
        try:
            await self._shelf.remove(id)
        except StorageError as error:
            raise ControlError("unavailable", f"the storage does not delete: {error}") from error

    def url(self, base: str, media: tables.Media, ttl_s: int = URL_TTL_S) -> str:
        """Where anybody reads the file from this server: `base` is its own, "https://host". Whole hours, so that two
        answers in a row say the same."""
        return media_url(self.key, base, media.id, media.key, ttl_s)

    def _sign(self, id: str, expires_s: int) -> str:
        return _signature(self.key, id, expires_s)

    async def open(self, token: str, id: str, key: str) -> Path | str | bytes | Content:
        """An object of a file by what `url` made, or by a name that its playlist has: a local file, a URL to go to, or
        its bytes, all at once if it is a playlist. ControlError("forbidden") for a wrong or old token, "not_found",
        "unavailable"."""
        expires, _, signature = token.partition("-")
        valid = expires.isascii() and expires.isdigit() and len(expires) < 16
        if not valid or not hmac.compare_digest(self._sign(id, int(expires)).encode(), signature.encode()):
            raise ControlError("forbidden", "the signature of this URL is wrong")
        if int(expires) < time.time():
            raise ControlError("forbidden", "this URL has expired: ask for the file again")
        media, local = await self._object(id, key)
        if local is not None and await _is_file(local):
            return local
        try:
            storage = await self._uploader.storage(media.destination, media.app)
            if not key.endswith(".m3u8"):  # its names are relative: it cannot be read from elsewhere
                reached = await storage.reach(key, LINK_S)
                if isinstance(reached, str) or (reached is not None and await _is_file(reached)):
                    return reached
                size = await storage.size(key)
                if reached is None and size is not None:
                    return Content(size, storage.chunks(key))
                raise ControlError("not_found", "the storage has this object no more")
            data = await storage.read(key)
        except StorageError as error:
            raise ControlError("unavailable", f"the storage does not give it: {error}") from error
        if data is None:
            raise ControlError("not_found", "the storage has this object no more")
        return data

    async def _object(self, id: str, key: str) -> tuple[tables.Media, Path | None]:
        """The file, once `key` is known to belong to it, and where this machine may still have that."""
        file = tables.File
        async with self._database.reading() as session:
            media = await session.scalar(select(tables.Media).where(tables.Media.id == id, _living()))
            if media is None:
                raise ControlError("not_found", "no such file in the library")
            if key != media.key and await session.get(tables.MediaObject, (id, key)) is None:
                playlists = await self._joins(session, media, key)
                if not playlists:
                    raise ControlError("not_found", "the file has no such object")
            path = await session.scalar(
                select(file.path).where(file.recording == media.recording, file.key == key, file.path != "")
            )
        folder = self._recordings / media.recording
        local = folder / path if path else None
        return media, local if local is not None and local.resolve().is_relative_to(folder.resolve()) else None

    async def _joins(self, session: Any, media: tables.Media, key: str) -> bool:
        """Whether `key` is of one of the playlists that a joined one names."""
        if media.format != "hls" or media.bytes:
            return False
        other, along = tables.Media, tables.MediaObject
        query = select(other.id).outerjoin(along, along.media == other.id)
        query = query.where(other.recording == media.recording, other.format == "hls")
        query = query.where(other.identity == media.identity, other.source == media.source)
        found = await session.scalar(query.where(or_(other.key == key, along.key == key)).limit(1))
        return found is not None


def media_url(signing: bytes, base: str, id: str, key: str, ttl_s: int) -> str:
    """What `Library.url` says, for those who have its key alone: callbacks, which are made without a library."""
    expires = (int(time.time()) + ttl_s) // 3600 * 3600 + 3600
    return f"{base.rstrip('/')}/media/{expires}-{_signature(signing, id, expires)}/{id}/{quote(key)}"


def _signature(signing: bytes, id: str, expires_s: int) -> str:
    return hmac.new(signing, f"media\n{id}\n{expires_s}".encode(), hashlib.sha256).hexdigest()[:40]


async def _is_file(path: Path) -> bool:
    return path.is_file()


def _living() -> ColumnElement[bool]:
    return or_(tables.Media.expires_ns == 0, tables.Media.expires_ns > now_ns())


def _conditions(app: str, query: MediaQuery) -> list[ColumnElement[bool]]:
    media = tables.Media
    lists: list[tuple[InstrumentedAttribute[str], Sequence[str] | None]] = [
        (media.id, query.ids),
        (media.stream, query.streams),
        (media.room, query.rooms),
        (media.identity, query.identities),
        (media.recording, query.recordings),
        (media.format, query.formats),
        (media.kind, query.kinds),
        (media.source, query.sources),
        (media.dialect, query.dialects),
        (media.mode, query.modes),
    ]
    found: list[ColumnElement[bool]] = [column.in_(list(values)) for column, values in lists if values is not None]
    if query.name_prefixes is not None:
        found.append(or_(False, *(starting_with(media.name, prefix) for prefix in query.name_prefixes)))
    if query.names is not None:
        found.append(or_(False, *(_has(media.name, name) for name in query.names)))
    if query.tags is not None:
        tagged = select(tables.MediaTag.media).where(
            tables.MediaTag.app == app, tables.MediaTag.tag.in_(list(query.tags))
        )
        found.append(media.id.in_(tagged))
    bounds = (
        (media.created_ns, query.created_from_ns, query.created_until_ns),
        (media.expires_ns, query.expires_from_ns, query.expires_until_ns),
    )
    for column, begin, end in bounds:
        if begin is not None:
            found.append(column >= min(max(begin, 0), MAX_NS))
        if end is not None:
            found.append(column < min(max(end, 0), MAX_NS))
    if query.expires_from_ns is not None or query.expires_until_ns is not None:
        found.append(media.expires_ns > 0)
    return found


def _has(column: Any, text: str) -> ColumnElement[bool]:
    """Contains, with case: LIKE of SQLite has none."""
    return func.replace(column, text, "") != column if text else column == column  # type: ignore[no-any-return]
