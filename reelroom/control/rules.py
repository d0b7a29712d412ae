"""Auto-record rules as an app keeps them. Starts nothing: control/autorecord.py does."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from sqlalchemy import delete as delete_rows
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from reelroom.control.errors import ControlError
from reelroom.control.templates import Templates
from reelroom.domain.rules import Rule
from reelroom.store import tables
from reelroom.store.db import Database

MAX_RULES = 1000  # of one app
MAX_NAME = 255


@dataclass(frozen=True, slots=True)
class StoredRule:
    id: str
    app: str
    dialect: str  # of its template
    name: str
    rule: Rule
    created_ns: int


class Rules:
    """All rules of all apps, kept in memory too: each stream that comes is held against them."""

    def __init__(self, database: Database, templates: Templates) -> None:
        self._database = database
        self._templates = templates
        self._by_app: dict[str, dict[str, StoredRule]] = {}
        self.changed: Callable[[str], None] = lambda app: None  # called with an app whose rules have changed

    async def load(self) -> None:
        async with self._database.reading() as session:
            rows = (await session.scalars(select(tables.Rule).order_by(tables.Rule.created_ns, tables.Rule.id))).all()
        by_app: dict[str, dict[str, StoredRule]] = {}
        for row in rows:
            by_app.setdefault(row.app, {})[row.id] = _stored(row)
        self._by_app = by_app

    def of(self, app: str) -> list[StoredRule]:
        """The app's rules, the oldest first."""
        return list(self._by_app.get(app, {}).values())

    def find(self, app: str, id: str) -> StoredRule | None:
        return self._by_app.get(app, {}).get(id)

    def list(self, app: str, dialect: str | None = None) -> list[StoredRule]:
        """The same, those of one dialect if it is named."""
        return [rule for rule in self.of(app) if dialect in (None, rule.dialect)]

    def get(self, app: str, id: str) -> StoredRule:
        """ControlError("not_found") when it is not there, or another app's."""
        found = self.find(app, id)
        if found is None:
            raise ControlError("not_found", f"no rule {id!r}"[:160])
        return found

    async def create(self, app: str, dialect: str, name: str, rule: Rule) -> StoredRule:
        """A rule of an app. It holds for streams that are there already, too. The template must be of `dialect`."""
        await self._check(app, dialect, name, rule)
        if len(self.of(app)) >= MAX_RULES:
            raise ControlError("conflict", f"an app has at most {MAX_RULES} rules")
        row = tables.Rule(
            id=uuid.uuid4().hex,
            app=app,
            dialect=dialect,
            name=name,
            template=rule.template,
            rule=msgspec.to_builtins(rule),
            created_ns=time.time_ns(),
        )
        try:
            async with self._database.transaction() as session:
                session.add(row)
        except IntegrityError as error:
            raise ControlError("invalid", "its template has just been deleted", "template") from error
        return self._keep(_stored(row))

    async def change(self, app: str, id: str, name: str | None = None, rule: Rule | None = None) -> StoredRule:
        """Replace what is given. What it has started goes on to its own end."""
        known = self.get(app, id)
        await self._check(app, known.dialect, known.name if name is None else name, rule or known.rule)
        try:
            async with self._database.transaction() as session:
                row = await session.get(tables.Rule, id, with_for_update=True)
                if row is None:
                    raise ControlError("not_found", f"no rule {id!r}"[:160])
                row.name = row.name if name is None else name
                if rule is not None:
                    row.template, row.rule = rule.template, msgspec.to_builtins(rule)
        except IntegrityError as error:
            raise ControlError("invalid", "its template has just been deleted", "template") from error
        return self._keep(_stored(row))

    async def delete(self, app: str, id: str) -> None:
        """What it has started goes on to its own end."""
        self.get(app, id)
        async with self._database.transaction() as session:
            await session.execute(delete_rows(tables.Rule).where(tables.Rule.id == id))
        self._by_app.get(app, {}).pop(id, None)
        self.changed(app)

    def _keep(self, stored: StoredRule) -> StoredRule:
        self._by_app.setdefault(stored.app, {})[stored.id] = stored
        self.changed(stored.app)
        return stored

    async def _check(self, app: str, dialect: str, name: str, rule: Rule) -> None:
        if not name or len(name) > MAX_NAME or "\0" in name:
            raise ControlError("invalid", f"must have 1 to {MAX_NAME} characters", "name")
        try:
            await self._templates.get(app, dialect, rule.template)
        except ControlError as error:
            raise ControlError("invalid", error.message, "template") from error


def _stored(row: tables.Rule) -> StoredRule:
    rule = msgspec.convert(row.rule, Rule)
    return StoredRule(row.id, row.app, row.dialect, row.name, rule, row.created_ns)
