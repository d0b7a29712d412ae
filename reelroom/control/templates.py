"""Templates: starts of recordings that an app keeps by name, each in its dialect's own shape. Starts nothing."""

from __future__ import annotations

import importlib
import inspect
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete as delete_rows
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from reelroom.control.apps import AppContext
from reelroom.control.errors import ControlError
from reelroom.control.new_recording import NewRecording
from reelroom.domain.rules import Match
from reelroom.store import tables
from reelroom.store.db import Database
from reelroom.store.secrets import SecretBox

MAX_NAME = 255
MAX_TEMPLATES = 1000  # of one app and dialect


@dataclass(frozen=True, slots=True)
class Template:
    """`body` is what the dialect calls a start, as JSON; there may be secrets in it."""

    id: str
    app: str
    dialect: str
    name: str
    body: dict[str, Any] = field(repr=False)
    created_ns: int
    changed_ns: int


class Templates:
    """All templates; each is an app's within a dialect. ControlError("not_found") for another's."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box

    async def create(self, app: str, dialect: str, name: str, body: dict[str, Any], id: str | None = None) -> Template:
        """Keep a start. `id`: at most 36 characters; 32 hexadecimal digits by default. "conflict" when it is taken."""
        _check_name(name)
        now = time.time_ns()
        row = tables.Template(
            id=id or uuid.uuid4().hex,
            app=app,
            dialect=dialect,
            name=name,
            body=self._box.seal(body),
            created_ns=now,
            changed_ns=now,
        )
        mine = tables.Template.app == app, tables.Template.dialect == dialect
        try:
            async with self._database.transaction() as session:
                count = await session.scalar(select(func.count()).select_from(tables.Template).where(*mine)) or 0
                if count >= MAX_TEMPLATES:
                    raise ControlError("conflict", f"an app has at most {MAX_TEMPLATES} templates")
                session.add(row)
        except IntegrityError as error:
            raise ControlError("conflict", f"template {row.id} exists already", "id") from error
        return self._opened(row)

    async def get(self, app: str, dialect: str, id: str) -> Template:
        async with self._database.reading() as session:
            row = await session.get(tables.Template, id)
        if row is None or (row.app, row.dialect) != (app, dialect):
            raise ControlError("not_found", f"no template {id!r}"[:160], "template")
        return self._opened(row)

    async def list(
        self, app: str, dialect: str, ids: Iterable[str] = (), *, offset: int = 0, limit: int = 50
    ) -> tuple[Sequence[Template], int]:
        """A page of those with `ids` (of all without), the newest first, and how many there are."""
        template = tables.Template
        wanted = [template.app == app, template.dialect == dialect]
        if chosen := list(ids):
            wanted.append(template.id.in_(chosen))
        query = select(template).where(*wanted).order_by(template.created_ns.desc(), template.id)
        async with self._database.reading() as session:
            total = await session.scalar(select(func.count()).select_from(template).where(*wanted)) or 0
            rows = (await session.scalars(query.offset(offset).limit(limit))).all()
        return [self._opened(row) for row in rows], total

    async def change(
        self, app: str, dialect: str, id: str, name: str | None = None, body: dict[str, Any] | None = None
    ) -> Template:
        """Replace what is given. Recordings that go on keep what they began with; the next start has the new body."""
        await self.get(app, dialect, id)
        if name is not None:
            _check_name(name)
        async with self._database.transaction() as session:
            row = await session.get(tables.Template, id, with_for_update=True)
            if row is None:  # deleted meanwhile
                raise ControlError("not_found", f"no template {id!r}"[:160], "template")
            row.name = row.name if name is None else name
            row.body = row.body if body is None else self._box.seal(body)
            row.changed_ns = time.time_ns()
        return self._opened(row)

    async def delete(self, app: str, dialect: str, id: str) -> None:
        """ControlError("conflict") while a rule uses it."""
        await self.get(app, dialect, id)
        try:
            async with self._database.transaction() as session:
                await session.execute(delete_rows(tables.Template).where(tables.Template.id == id))
        except IntegrityError as error:
            raise ControlError("conflict", "a rule uses this template", "template") from error

    def _opened(self, row: tables.Template) -> Template:
        return Template(
            id=row.id,
            app=row.app,
            dialect=row.dialect,
            name=row.name,
            body=self._box.open(row.body),
            created_ns=row.created_ns,
            changed_ns=row.changed_ns,
        )


class Declined(Exception):
    """A template has nothing to record of this match; no mistake of anybody's."""


async def recording_of(
    template: Template, app: AppContext, room: str, now_ns: int, match: Match | None = None
) -> NewRecording:
    """What `template` would start in `room`, made by `reelroom.dialects.<dialect>.templates`.

    That has `new_recording(app, body, room, now_ns, match)`, plain or async: a NewRecording, ControlError or Declined.
    `match` is what an auto-record rule starts it for, None at a start by hand.
    """
    module = importlib.import_module(f"reelroom.dialects.{template.dialect}.templates")
    made = module.new_recording(app, template.body, room, now_ns, match)
    if inspect.isawaitable(made):
        made = await made
    return made  # type: ignore[no-any-return]


def _check_name(name: str) -> None:
    if not name or len(name) > MAX_NAME or "\0" in name:
        raise ControlError("invalid", f"must have 1 to {MAX_NAME} characters", "name")
