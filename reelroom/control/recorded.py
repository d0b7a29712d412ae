"""What is known of recordings: rows of one app's recordings, files, events. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import bindparam, exists, select

from reelroom.control.errors import ControlError
from reelroom.control.listing import after, newest, next_cursor, starting_with
from reelroom.store import tables
from reelroom.store.db import Database

MAX_NS = (1 << 63) - 1  # what the database's integers hold: the year 2262

MANY = frozenset({"segment", "init"})  # roles of files of which there may be thousands
_file, _of = tables.FILES.c, tables.FILES.alias("of").c
#: Of a file: its output has a media segment.
SLICED = exists().where(_of.recording == _file.recording, _of.output == _file.output, _of.role == "segment")
_ALL = (
    select(tables.File)
    .where(tables.File.recording == bindparam("recording"))
    .order_by(tables.File.output, tables.File.rendition, tables.File.role, tables.File.number)
)
_OF_ROLES = _ALL.where(tables.File.role.in_(bindparam("roles", expanding=True)))
_DESTINATIONS = select(tables.Destination).where(tables.Destination.id.in_(bindparam("ids", expanding=True)))
_ONE = select(tables.Recording).where(tables.Recording.id == bindparam("id"))


class Recorded:
    """Answers about all recordings of all apps; a call that names an app finds that app's only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, app_id: str, id: str) -> tables.Recording:
        """ControlError("not_found") when it is not there or another app's."""
        row = await self.find(id)
        if row is None or row.app != app_id:
            raise ControlError("not_found", f"no recording {id!r}"[:160])
        return row

    async def find(self, id: str) -> tables.Recording | None:
        """Whichever app's it is: for callers that look themselves, and say so in their own words."""
        return await self._database.look(lambda session: session.scalar(_ONE, {"id": id}))

    async def list(
        self,
        app_id: str,
        *,
        room: str | None = None,
        states: Iterable[str] = (),
        since_ns: int | None = None,
        until_ns: int | None = None,
        name_prefix: str = "",
        limit: int = 50,
        cursor: str = "",
    ) -> tuple[Sequence[tables.Recording], str]:
        """The newest first, and a cursor for the next page (empty: there is none)."""
        row = tables.Recording
        wanted = [row.app == app_id]
        if room is not None:
            wanted.append(row.room == room)
        if since_ns is not None:
            wanted.append(row.created_ns >= _bounded(since_ns))
        if until_ns is not None:
            wanted.append(row.created_ns < _bounded(until_ns))
        if name_prefix:
            wanted.append(starting_with(row.name, name_prefix))
        if cursor:
            wanted.append(after(row.created_ns, row.id, cursor))
        async with self._database.reading() as session:
            found = (await session.scalars(newest(wanted, map(str, states), limit + 1))).all()
        page = found[:limit]
        return page, next_cursor(page[-1].created_ns, page[-1].id) if len(found) > limit else ""

    async def files(self, app_id: str, id: str, roles: Iterable[str] = ()) -> Sequence[tables.File]:
        """Its objects in storage to be, in order of output, rendition and number."""
        await self.get(app_id, id)
        wanted = set(roles)
        asked: dict[str, Any] = {"recording": id}
        if wanted:
            asked["roles"] = sorted(wanted)
        if wanted and not wanted & MANY:
            return await self._database.look(lambda session: session.scalars(_OF_ROLES, asked).all())
        async with self._database.reading() as session:
            return (await session.scalars(_OF_ROLES if wanted else _ALL, asked)).all()

    async def file(self, app_id: str, id: str, name: str) -> tables.File:
        """One of them by its name in storage, or by its path in the recording's folder."""
        await self.get(app_id, id)
        file = tables.File
        async with self._database.reading() as session:
            query = select(file).where(file.recording == id)
            found = await session.scalar(query.where(file.key == name))
            if found is None:
                found = await session.scalar(query.where(file.path == name, file.path != ""))
        if found is None:
            raise ControlError("not_found", "the recording has no such file")
        return found

    async def output_files(self, id: str, output: str, rendition: str) -> Sequence[tables.File]:
        """The init and media segments of one output's rendition, in order."""
        file = tables.File
        query = select(file).where(file.recording == id, file.output == output, file.rendition == rendition)
        async with self._database.reading() as session:
            return (await session.scalars(query.order_by(file.number))).all()

    async def last_match(self, match: str) -> tables.Recording | None:
        """The newest recording for a rule's match, whatever became of it."""
        row = tables.Recording
        async with self._database.reading() as session:
            query = select(row).where(row.match == match).order_by(row.created_ns.desc(), row.id.desc())
            return (await session.scalars(query.limit(1))).first()

    async def app_of(self, id: str) -> str:
        """Whose recording this is, for those who show a signature instead of a key."""
        wanted = select(tables.Recording.app).where(tables.Recording.id == id)
        app = await self._database.look(lambda session: session.scalar(wanted))
        if app is None:
            raise ControlError("not_found", "no such recording")
        return app

    async def destinations(self, ids: Iterable[str]) -> dict[str, tables.Destination]:
        """Rows of destinations by id, their credentials sealed."""
        asked = {"ids": list(set(ids))}
        rows = await self._database.look(lambda session: session.scalars(_DESTINATIONS, asked).all())
        return {row.id: row for row in rows}

    async def events(
        self, app_id: str, id: str, after_seq: int = 0, limit: int = 200
    ) -> Sequence[tuple[tables.Event, Sequence[tables.Attempt]]]:
        """Its events in order, each with the tries to deliver it."""
        await self.get(app_id, id)
        event, attempt = tables.Event, tables.Attempt
        async with self._database.reading() as session:
            query = select(event).where(event.recording == id, event.seq > after_seq)
            rows = (await session.scalars(query.order_by(event.seq).limit(limit))).all()
            tries = await session.scalars(
                select(attempt).where(attempt.event.in_([row.id for row in rows])).order_by(attempt.id)
            )
            by_event: dict[str, list[tables.Attempt]] = {row.id: [] for row in rows}
            for one in tries:
                by_event[one.event].append(one)
        return [(row, by_event[row.id]) for row in rows]


def _bounded(ns: int) -> int:
    return min(max(ns, 0), MAX_NS)
