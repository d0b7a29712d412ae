"""How far the uploads of running recordings are, told again and again to those whose dialect has words for it.

A dialect's `callbacks.py` says with `PROGRESS_S` how often. Counts rows, uploads nothing and calls nobody back.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import structlog
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from reelroom.deliver.outbox import add_events, lock, now_ns
from reelroom.domain import events
from reelroom.domain.events import Draft
from reelroom.domain.recording import ACTIVE, ENDED, State
from reelroom.store.db import Database
from reelroom.store.tables import EVENTS, FILES, OUTPUTS, RECORDINGS

log = structlog.get_logger("reelroom.progress")

AT_ONCE = 20  # recordings in one transaction
WHOLE = 10_000  # `share` of an upload that is complete
_S = 1_000_000_000
_file = FILES.c
_row = RECORDINGS.c
_SEGMENTS = select(func.coalesce(func.sum(OUTPUTS.c.segments), 0))
_COUNT = select(func.count()).select_from(FILES)


@cache
def interval_s(dialect: str) -> float:
    """Seconds between two tellings, 0: this dialect wants none."""
    try:
        module = importlib.import_module(f"reelroom.dialects.{dialect}.callbacks")
    except ModuleNotFoundError:  # it calls nobody back
        return 0.0
    return float(getattr(module, "PROGRESS_S", 0.0))


class Progress:
    """Looks every `poll_s`. One per control process; `told` is called with a recording that has new events."""

    def __init__(
        self,
        database: Database,
        told: Callable[[str], None],
        *,
        interval_of: Callable[[str], float] = interval_s,
        poll_s: float = 10.0,
    ) -> None:
        self._database = database
        self._told = told
        self._interval_of = interval_of
        self._poll_s = poll_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="progress of uploads")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def look(self) -> None:
        """Tell what is due now."""
        due = await self._database.run(self._due, reading=True)
        todo = list(due.items())
        while todo:
            some, todo = dict(todo[:AT_ONCE]), todo[AT_ONCE:]
            for recording in await self._database.run(partial(_tell, due=some)):
                self._told(recording)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            try:
                await self.look()
            except SQLAlchemyError as error:
                log.error("the progress of uploads could not be told, tried again", error=repr(error))

    def _due(self, connection: Connection) -> dict[str, int]:
        """Recordings that are to be told of now, and which turn it is."""
        dialects = connection.scalars(select(_row.dialect).where(_going()).distinct())
        wanted = {dialect: every for dialect in dialects if (every := self._interval_of(dialect))}
        if not wanted:
            return {}
        query = select(_row.id, _row.dialect, _row.started_ns).where(_going(), _row.dialect.in_(wanted))
        now = now_ns()
        turns = {
            row.id: int((now - row.started_ns) / _S / wanted[row.dialect]) for row in connection.execute(query).all()
        }
        causes = {events.event_id(id_, _cause(turn)): id_ for id_, turn in turns.items() if turn > 0}
        told = set(connection.scalars(select(EVENTS.c.id).where(EVENTS.c.id.in_(causes))))
        return {id_: turns[id_] for event, id_ in causes.items() if event not in told}


def _going() -> Any:
    going = [str(state) for state in State if state not in ENDED and state != State.STARTING]  # by an index
    return _row.callback.is_not(None) & _row.started_ns.is_not(None) & _row.state.in_(going)


def _cause(turn: int) -> str:
    return f"progress {turn}"


def _tell(connection: Connection, due: dict[str, int]) -> list[str]:
    told = []
    for id_, row in lock(connection, due).items():
        if row.state in ENDED:
            continue
        drafts = _drafts(connection, id_, State(row.state), due[id_])
        if add_events(connection, id_, drafts):
            told.append(id_)
    return told


def _drafts(connection: Connection, recording: str, state: State, turn: int) -> list[Draft]:
    recorded = int(connection.scalar(_SEGMENTS.where(OUTPUTS.c.recording == recording)) or 0)  # PostgreSQL: a Decimal
    recorded += connection.scalar(_COUNT.where(_file.recording == recording, _file.role == "file")) or 0
    # Segments that are not there are few, those that are may be thousands.
    away = ("pending", "uploading", "deleted")
    missing = connection.scalars(select(_file.role).where(_file.recording == recording, _file.state.in_(away)))
    done = recorded - sum(role in ("segment", "file") for role in missing)
    if not recorded:
        return []
    # What is being recorded counts, too. The whole is reached at the very end, of which another event tells.
    share = min(done * WHOLE // (recorded + (state in ACTIVE)), WHOLE - 1)
    share = max(share, _before(connection, recording))
    data = {"uploaded": done, "recorded": recorded, "share": share}
    return [Draft(events.UPLOAD_PROGRESS, now_ns(), data, _cause(turn))]


def _before(connection: Connection, recording: str) -> int:
    """The share that was told last: it never goes back."""
    query = select(EVENTS.c.data).where(EVENTS.c.recording == recording, EVENTS.c.type == events.UPLOAD_PROGRESS)
    data = connection.scalar(query.order_by(EVENTS.c.seq.desc()).limit(1))
    return int(data["share"]) if data else 0
