"""Calling back: events to the URL their recording has, in order, until somebody takes them. Makes no events.

Per recording the next event goes only after the one before was taken or given up. Recordings are independent of each
other, and endpoints that fail have a pool of their own, so that however many of them hang, the others do not wait.
The outbox is the table of events; each try is a row, in the same transaction as what it means for its event.
Delivery is at least once: a process killed between an answer and its commit sends that event again, with the same id.
"""

from __future__ import annotations

import asyncio
import importlib
import random
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import structlog
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from reelroom.deliver import queues
from reelroom.deliver.outbox import now_ns
from reelroom.deliver.request import Poster, Result
from reelroom.domain.events import Rendered
from reelroom.store.db import Database
from reelroom.store.secrets import SecretBox, SecretError
from reelroom.store.tables import Attempt, Event, Recording

log = structlog.get_logger("reelroom.callbacks")

PER_HOST = 4  # callbacks to one host at the same time
PAUSE_MAX_S = 3600.0
MAX_MUTE = 10_000
GONE = 410  # RFC 9110, 15.5.11: the endpoint wants no more of this


class Renderer(NamedTuple):
    """A dialect's `callbacks.py`. `silent`: event types whose predecessors' count it need not know; None: any.

    `pauses`: seconds before each further try of an event, after the last of which it is given up; None: our own rule.
    `give_up_s`: how old an event may be, with `pauses`, to be tried once more.
    `worth_another`: whether there is a further try after an answer of this status (None: no answer).
    """

    render: Callable[..., Rendered | Sequence[Rendered] | None]
    silent: frozenset[str] | None
    pauses: Sequence[float] | Callable[[Recording], Sequence[float]] | None = None
    worth_another: Callable[[int | None], bool] | None = None
    give_up_s: Callable[[Recording], float] | None = None


def renderer(dialect: str) -> Renderer:
    """The renderer of `reelroom.dialects.<dialect>.callbacks`; ModuleNotFoundError when there is none.

    `render(event, recording, callback, app)` makes the requests of one event, none if the dialect has no word for it.
    A module with a `SILENT` numbers what it sends: it is given `earlier`, (type, id, at_ns, data) of the recording's
    events before this one that are not in `SILENT`. `PAUSES_S` is a vendor's own rule of retries, or
    a function that says it for a recording; `worth_another(status)` and `give_up_s(recording)` belong to such a rule.
    """
    module = importlib.import_module(f"reelroom.dialects.{dialect}.callbacks")
    names = {"pauses": "PAUSES_S", "worth_another": "worth_another", "give_up_s": "give_up_s"}
    own = {field: getattr(module, name, None) for field, name in names.items()}
    return Renderer(module.render, getattr(module, "SILENT", None), **own)


_FIRST = (
    select(Event)
    .where(Event.recording == bindparam("recording"), Event.state == "pending")
    .order_by(Event.seq)
    .limit(1)
)


@dataclass(slots=True)
class _Queue:
    """A recording with events to deliver."""

    due_ns: int = 0
    host: str = ""  # of its URL, once it was opened
    running: bool = False
    pokes: int = 0


class Callbacks:
    """Delivers pending events. One per control process."""

    def __init__(
        self,
        database: Database,
        box: SecretBox,
        poster: Poster,
        app_of: Callable[[str], Awaitable[Any]],
        *,
        renderer_of: Callable[[str], Renderer] = renderer,
        concurrency: int = 16,
        pause_s: float = 5.0,
        give_up_s: float = 86_400.0,
        poll_s: float = 30.0,
    ) -> None:
        """`app_of`: an app's context by its id, for the renderers. `pause_s`: the first pause, doubled each time."""
        self._database = database
        self._box = box
        self._poster = poster
        self._app_of = app_of
        self._renderer_of = renderer_of
        self._concurrency = concurrency
        self._pause_s = pause_s
        self._give_up_s = give_up_s
        self._poll_s = poll_s
        self._queues: dict[str, _Queue] = {}
        self._mute: OrderedDict[str, None] = OrderedDict()  # recordings that call nobody back, the last ones
        self._hosts: Counter[str] = Counter()  # callbacks under way
        self._sick: set[str] = set()  # hosts whose last callback failed
        self._tasks: dict[asyncio.Task[None], bool] = {}  # → whether it is in the pool of the sick
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.delivered = self.failures = self.given_up = 0

    async def start(self) -> None:
        await self._look_at_all()
        self._task = asyncio.create_task(self._run(), name="callbacks")

    async def stop(self) -> None:
        tasks = [task for task in (self._task, *self._tasks) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._task = None
        await self._poster.close()

    def poke(self, recording: str) -> None:
        """This recording may have new events."""
        if recording in self._mute:
            return
        queue = self._queues.setdefault(recording, _Queue())
        queue.pokes += 1
        self._wake.set()

    async def replay(self, app: str, recording: str, event: str) -> bool:
        """Deliver an event once more, whatever became of it; False: the recording has none such, or no callback."""
        async with self._database.transaction() as session:
            changed = await session.execute(
                update(Event)
                .where(Event.id == event, Event.recording == recording, Event.app == app)
                .where(Event.recording.in_(select(Recording.id).where(Recording.callback.is_not(None))))
                .values(state="pending", attempts=0, due_ns=0)
                .returning(Event.recording)
            )
            row = changed.first()
        if row is None:
            return False
        self._queues.setdefault(row[0], _Queue()).due_ns = 0
        self.poke(row[0])
        return True

    @property
    def waiting(self) -> int:
        """Recordings with events that are not delivered."""
        return len(self._queues)

    @property
    def hosts_failing(self) -> int:
        return len(self._sick)

    async def _look_at_all(self) -> None:
        try:
            async with self._database.reading() as session:
                query = select(Event.recording).where(Event.state == "pending").distinct()
                for recording in (await session.scalars(query)).all():
                    self.poke(recording)
        except SQLAlchemyError as error:
            log.error("callbacks cannot read the database", error=repr(error))

    async def _run(self) -> None:
        looked = time.monotonic()
        while True:
            self._wake.clear()
            pause = self._start_due()
            try:
                await asyncio.wait_for(self._wake.wait(), min(max(pause, 0.005), self._poll_s))
            except TimeoutError:
                pass
            if time.monotonic() - looked > self._poll_s:
                await self._look_at_all()
                looked = time.monotonic()

    def _start_due(self) -> float:
        """Start what may run now and return the seconds until more is due."""
        now, soonest = now_ns(), self._poll_s
        sick_running = sum(self._tasks.values())
        fit_running = len(self._tasks) - sick_running
        for recording, queue in list(self._queues.items()):
            if queue.running:
                continue
            if queue.due_ns > now:
                soonest = min(soonest, (queue.due_ns - now) / 1e9)
                continue
            sick = queue.host in self._sick
            if (sick_running if sick else fit_running) >= self._concurrency:
                continue
            if queue.host and self._hosts[queue.host] >= PER_HOST:
                continue
            queue.running = True
            if queue.host:
                self._hosts[queue.host] += 1
            task = asyncio.create_task(
                self._serve(recording, queue, queue.host, sick), name=f"callbacks of {recording}"
            )
            self._tasks[task] = sick
            task.add_done_callback(self._ended)
            sick_running, fit_running = sick_running + sick, fit_running + (not sick)
        return soonest

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        self._wake.set()

    async def _serve(self, recording: str, queue: _Queue, host: str, sick: bool) -> None:
        """Deliver a recording's events until one fails or none is left."""
        try:
            while queue.due_ns <= now_ns():
                pokes = queue.pokes
                try:
                    more = await self._next(recording, queue)
                except SQLAlchemyError as error:
                    log.error("a callback's result cannot be stored", recording=recording, error=repr(error))
                    queue.due_ns = now_ns() + 1_000_000_000
                    return
                if not more and queue.pokes == pokes:
                    self._queues.pop(recording, None)
                    return
                if queue.host != host or (host in self._sick) != sick:
                    return  # its host is known now, or has failed or recovered: come back in the right pool
        finally:
            queue.running = False
            if host:
                self._hosts[host] -= 1
                if not self._hosts[host]:
                    del self._hosts[host]

    async def _next(self, recording: str, queue: _Queue) -> bool:
        """Try the first pending event; False: there is none."""
        event, row = await self._database.look(partial(_first, recording))
        if event is None or row is None:
            if row is not None and row.callback is None:  # it never gets one
                self._mute[recording] = None
                if len(self._mute) > MAX_MUTE:
                    self._mute.popitem(last=False)
            return False
        if event.due_ns > now_ns():
            queue.due_ns = event.due_ns
            return True
        try:
            callback = self._box.open(row.callback) if row.callback else None
        except SecretError as error:
            await self._store(event, queue, Result(None, str(error), 0), now_ns())
            return True
        if callback is None or (callback.get("events") is not None and event.type not in callback["events"]):
            await self._skip(event)
            return True
        host = urlsplit(callback["url"]).netloc
        if not queue.host:
            queue.host = host
            return True  # taken up again, with its host counted
        try:
            requests = await self._render(event, row, callback)
        except SQLAlchemyError:
            raise
        except Exception as error:  # a dialect's mistake: an attempt that failed, not the end of the queue
            log.exception("event cannot be rendered", recording=recording, id=event.id, dialect=row.dialect)
            await self._store(event, queue, Result(None, f"cannot be rendered: {error!r}"[:300], 0), now_ns())
            return True
        if not requests:
            await self._skip(event)
            return True
        at, result = now_ns(), Result(None, "", 0)
        rule = self._renderer_of(row.dialect)
        lost: Result | None = None  # the first that was refused for good: the others are sent all the same
        for number, request in enumerate(requests):
            result = await self._send(event, number, request)
            if result.ok:
                continue
            if rule.worth_another is None or rule.worth_another(result.status):
                break
            lost = lost or result
        else:
            result = lost or result
        if result.ok:
            self._sick.discard(host)
        else:
            self._sick.add(host)
        pauses = rule.pauses(row) if callable(rule.pauses) else rule.pauses
        too_old = rule.give_up_s is not None and now_ns() - event.at_ns > rule.give_up_s(row) * 1e9
        if result is lost or too_old:
            pauses = ()
        await self._store(event, queue, result, at, pauses)
        return True

    async def _send(self, event: Event, number: int, request: Rendered) -> Result:
        if request.url.startswith(queues.SCHEME):
            cause = f"{event.id}.{number}"
            return await queues.deliver(self._database, event.app, request.url, request.body, cause)
        return await self._poster.post(request)

    async def _render(self, event: Event, row: Recording, callback: dict[str, Any]) -> Sequence[Rendered]:
        made = self._renderer_of(row.dialect)
        more: dict[str, Any] = {}
        if made.silent is not None:
            async with self._database.reading() as session:
                query = (
                    select(Event.type, Event.id, Event.at_ns, Event.data)
                    .where(Event.recording == row.id, Event.seq < event.seq, Event.type.not_in(made.silent))
                    .order_by(Event.seq)
                )
                more["earlier"] = [tuple(known) for known in await session.execute(query)]
        rendered = made.render(event, row, callback, await self._app_of(row.app), **more)
        if rendered is None:
            return ()
        return (rendered,) if isinstance(rendered, Rendered) else rendered

    async def _skip(self, event: Event) -> None:
        async with self._database.transaction() as session:
            await session.execute(update(Event).where(Event.id == event.id).values(state="none"))

    async def _store(
        self, event: Event, queue: _Queue, result: Result, at: int, pauses: Sequence[float] | None = None
    ) -> None:
        attempts, now = event.attempts + 1, now_ns()
        values: dict[str, Any] = {"attempts": attempts}
        if result.ok:
            values["state"] = "delivered"
            self.delivered += 1
        else:
            self.failures += 1
            over = now - event.at_ns > self._give_up_s * 1e9 if pauses is None else attempts > len(pauses)
            if over or (result.status == GONE and pauses is None):
                values["state"] = "given_up"
                self.given_up += 1
                log.error(
                    "callback given up", recording=event.recording, id=event.id, type=event.type, error=result.error
                )
            else:
                pause = min(self._pause_s * 2 ** min(attempts - 1, 20), PAUSE_MAX_S) * random.uniform(0.9, 1.0)
                if pauses is not None:
                    pause = pauses[attempts - 1]
                values["due_ns"] = queue.due_ns = now + int(pause * 1e9)
        async with self._database.transaction() as session:
            found = await session.execute(
                update(Event).where(Event.id == event.id, Event.state == "pending").values(**values).returning(Event.id)
            )
            if found.first() is None:
                return  # deleted meanwhile
            session.add(
                Attempt(event=event.id, at_ns=at, took_ns=result.took_ns, status=result.status, error=result.error)
            )

    async def pending(self) -> tuple[int, int]:
        """Events not delivered yet, and those of them whose last try failed."""
        async with self._database.reading() as session:
            query = select(func.count()).where(Event.state == "pending")
            total = await session.scalar(query) or 0
            return total, await session.scalar(query.where(Event.attempts > 0)) or 0


def _first(recording: str, session: Session) -> tuple[Event | None, Recording | None]:
    """The first event that is to be delivered, and whose it is."""
    return session.scalar(_FIRST, {"recording": recording}), session.get(Recording, recording)
