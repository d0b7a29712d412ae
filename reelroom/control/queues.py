"""Message queues of apps, on the database: send, receive, remove. What is received is hidden until it is removed or its
visibility time-out is over. Knows no callback and no vendor's protocol."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import ColumnElement, Connection, delete, func, select, update
from sqlalchemy.exc import IntegrityError

from reelroom.control.errors import ControlError
from reelroom.deliver import queues
from reelroom.deliver.outbox import now_ns
from reelroom.store import tables
from reelroom.store.db import Database

MAX_NAME = 120
MAX_BATCH = 16
MAX_WAIT_S = 30.0
MAX_VISIBILITY_S = 12 * 3600
MAX_RETENTION_S = 7 * 86_400
MAX_QUEUES = 1000  # of one app
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,119}")
_POLL_S = 0.5  # while somebody waits: messages may come from elsewhere
_S = 1_000_000_000


def check_queue(name: str, where: str = "queue") -> str:
    """ControlError("invalid") unless a queue can be called so: letters, digits, '-', 1 to 120, no '-' in front."""
    if not _NAME.fullmatch(name):
        raise ControlError("invalid", "must have 1 to 120 of A-Z a-z 0-9 and -, and no - in front", where)
    return name


def is_queue(url: str, where: str) -> bool:
    """Whether a callback goes to a queue (`queue://NAME`). ControlError("invalid") when to an impossible one."""
    if not url.startswith(queues.SCHEME):
        return False
    check_queue(url.removeprefix(queues.SCHEME), where)
    return True


@dataclass(frozen=True, slots=True)
class Received:
    """A message that is the receiver's until `visible_ns`; `receipt` removes it or puts that off."""

    id: str
    receipt: str
    body: bytes
    received: int  # how often, this time included
    first_ns: int  # when it was received first
    visible_ns: int
    created_ns: int


class Queues:
    """All queues of all apps. ControlError("not_found") for a queue that is not there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, app: str, name: str, visibility_s: int = queues.VISIBILITY_S, retention_s: int = queues.RETENTION_S
    ) -> tables.Queue:
        """A queue, or the one of that name with these settings from now on."""
        check_queue(name)
        if not 1 <= visibility_s <= MAX_VISIBILITY_S:
            raise ControlError("invalid", f"must be 1 to {MAX_VISIBILITY_S} seconds", "visibility_s")
        if not 60 <= retention_s <= MAX_RETENTION_S:
            raise ControlError("invalid", f"must be 60 to {MAX_RETENTION_S} seconds", "retention_s")
        try:
            return await self._settled(app, name, visibility_s, retention_s)
        except IntegrityError:  # somebody else has made it meanwhile
            return await self._settled(app, name, visibility_s, retention_s)

    async def _settled(self, app: str, name: str, visibility_s: int, retention_s: int) -> tables.Queue:
        async with self._database.transaction() as session:
            row = await session.get(tables.Queue, (app, name), with_for_update=True)
            if row is None:
                count = select(func.count()).select_from(tables.Queue).where(tables.Queue.app == app)
                if (await session.scalar(count) or 0) >= MAX_QUEUES:
                    raise ControlError("invalid", f"an app has at most {MAX_QUEUES} queues")
                row = tables.Queue(app=app, name=name, created_ns=now_ns())
                session.add(row)
            row.visibility_s, row.retention_s = visibility_s, retention_s
        return row

    async def list(self, app: str) -> Sequence[tuple[tables.Queue, int]]:
        """The app's queues by name, each with how many messages it holds."""
        message = tables.Message
        count = (
            select(func.count())
            .where(message.app == tables.Queue.app, message.queue == tables.Queue.name)
            .correlate(tables.Queue)
            .scalar_subquery()
        )
        async with self._database.reading() as session:
            query = select(tables.Queue, count).where(tables.Queue.app == app).order_by(tables.Queue.name)
            return [(row[0], row[1]) for row in await session.execute(query)]

    async def get(self, app: str, name: str) -> tables.Queue:
        async with self._database.reading() as session:
            row = await session.get(tables.Queue, (app, name))
        if row is None:
            raise ControlError("not_found", f"no queue {name!r}"[:160], "queue")
        return row

    async def delete(self, app: str, name: str) -> None:
        """With all messages that are in it."""
        await self.get(app, name)
        async with self._database.transaction() as session:
            mine = tables.Message.app == app, tables.Message.queue == name
            await session.execute(delete(tables.Message).where(*mine))
            await session.execute(delete(tables.Queue).where(tables.Queue.app == app, tables.Queue.name == name))

    async def send(self, app: str, name: str, body: bytes, cause: str = "") -> str:
        """Put a message; its id. While one of the same `cause` is there it is not put again."""
        check_queue(name)
        if not body or len(body) > queues.MAX_BODY:
            raise ControlError("invalid", f"must have 1 to {queues.MAX_BODY} bytes", "body")
        cause = cause or secrets.token_hex(16)
        try:
            number = await self._database.run(lambda connection: queues.put(connection, app, name, body, cause))
        except IntegrityError as error:
            raise ControlError("unavailable", "the queue is being written to: try again") from error
        return str(number)

    async def receive(
        self, app: str, name: str, limit: int = 1, wait_s: float = 0.0, visibility_s: int | None = None
    ) -> Sequence[Received]:
        """Up to `limit` messages, the oldest first; waits up to `wait_s` for one. No two receivers get the same."""
        if not 1 <= limit <= MAX_BATCH:
            raise ControlError("invalid", f"must be 1 to {MAX_BATCH}", "limit")
        if not 0 <= wait_s <= MAX_WAIT_S:
            raise ControlError("invalid", f"must be 0 to {MAX_WAIT_S:g} seconds", "wait_s")
        hidden_s = (await self.get(app, name)).visibility_s if visibility_s is None else visibility_s
        _check_visibility(hidden_s)
        deadline = time.monotonic() + wait_s
        look = partial(_any, app=app, name=name)
        take = partial(_take, app=app, name=name, limit=limit, hidden_s=hidden_s)
        while True:
            if await self._database.run(look, reading=True) and (taken := await self._database.run(take)):
                return taken
            left = deadline - time.monotonic()
            if left <= 0:
                return []
            await asyncio.sleep(min(left, _POLL_S))

    async def peek(self, app: str, name: str, limit: int = 1) -> Sequence[Received]:
        """What would be received next, without receiving it: receipts are empty, or an earlier receiver's."""
        await self.get(app, name)
        message = tables.Message
        mine = message.app == app, message.queue == name, message.visible_ns <= now_ns()
        async with self._database.reading() as session:
            rows = await session.scalars(select(message).where(*mine).order_by(message.id).limit(limit))
            return [_received(row) for row in rows]

    async def depth(self, app: str, name: str) -> tuple[int, int]:
        """How many messages could be received now, and how many are hidden: somebody has them."""
        message = tables.Message
        mine = message.app == app, message.queue == name
        now = message.visible_ns <= now_ns()
        async with self._database.reading() as session:
            count = select(func.count()).select_from(message)
            here = await session.scalar(count.where(*mine, now)) or 0
            return here, await session.scalar(count.where(*mine, ~now)) or 0

    async def remove(self, app: str, name: str, receipt: str) -> None:
        """The message was dealt with. ControlError("not_found") when somebody else has it by now, or it is gone."""
        async with self._database.transaction() as session:
            gone = await session.execute(
                delete(tables.Message).where(*_held(app, name, receipt)).returning(tables.Message.id)
            )
            if gone.first() is None:
                raise ControlError("not_found", "this receipt holds no message any more", "receipt")

    async def postpone(self, app: str, name: str, receipt: str, visibility_s: int) -> Received:
        """Hide a received message for another `visibility_s` from now (0: show it at once); it gets a new receipt."""
        if visibility_s:
            _check_visibility(visibility_s)
        async with self._database.transaction() as session:
            row = await session.scalar(select(tables.Message).where(*_held(app, name, receipt)).with_for_update())
            if row is None:
                raise ControlError("not_found", "this receipt holds no message any more", "receipt")
            row.receipt, row.visible_ns = secrets.token_hex(16), now_ns() + visibility_s * _S
        return _received(row)

    async def sweep(self) -> tuple[int, int | None]:
        """Delete messages that are older than their queue keeps them (a `Sweep` of deliver/retention)."""
        queue, message = tables.Queue, tables.Message
        count = 0
        async with self._database.reading() as session:
            rows = (await session.execute(select(queue.app, queue.name, queue.retention_s))).all()
        for app, name, retention_s in rows:
            old = message.app == app, message.queue == name, message.created_ns < now_ns() - retention_s * _S
            async with self._database.transaction() as session:
                gone = await session.execute(delete(message).where(*old).returning(message.id))
                count += len(gone.all())
        return count, None


def _check_visibility(seconds: int) -> None:
    if not 1 <= seconds <= MAX_VISIBILITY_S:
        raise ControlError("invalid", f"must be 1 to {MAX_VISIBILITY_S} seconds", "visibility_s")


def _held(app: str, name: str, receipt: str) -> tuple[ColumnElement[bool], ...]:
    message = tables.Message
    return message.app == app, message.queue == name, message.receipt == receipt, message.receipt != ""


def _any(connection: Connection, app: str, name: str) -> bool:
    message = tables.Message
    query = select(message.id).where(message.app == app, message.queue == name, message.visible_ns <= now_ns())
    return connection.scalar(query.limit(1)) is not None


def _take(connection: Connection, app: str, name: str, limit: int, hidden_s: int) -> list[Received]:
    message, now = tables.Message, now_ns()
    query = (
        select(message)
        .where(message.app == app, message.queue == name, message.visible_ns <= now)
        .order_by(message.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = []
    for row in connection.execute(query).all():
        receipt, until = secrets.token_hex(16), now + hidden_s * _S
        first = row.first_ns or now
        values = {"receipt": receipt, "visible_ns": until, "received": row.received + 1, "first_ns": first}
        connection.execute(update(message).where(message.id == row.id).values(**values))
        taken.append(Received(str(row.id), receipt, row.body, row.received + 1, first, until, row.created_ns))
    return taken


def _received(row: tables.Message) -> Received:
    return Received(str(row.id), row.receipt, row.body, row.received, row.first_ns, row.visible_ns, row.created_ns)
