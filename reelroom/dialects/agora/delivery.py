"""The end of a session: waiting for its files, and calls that do not fit its state. Stops nothing by itself."""

from __future__ import annotations

import time

from sqlalchemy import Connection

from reelroom.control.context import Context
from reelroom.deliver.outbox import add_events, lock
from reelroom.dialects.agora import errors
from reelroom.dialects.agora.files import Files, known_name, listed
from reelroom.domain import events
from reelroom.domain.events import Draft
from reelroom.domain.recording import ACTIVE, ENDED, State
from reelroom.store import tables

STOP_WAIT_S = 20.0  # a synchronous stop; section 7.1
BACKUP_AFTER_S = 8.0  # then a storage that refuses is "backuped": official clients hang up after 10 s
POLL_S = 0.25  # of the recorded part, when more is made after the end: it has no state of its own to wait for


async def delivered(context: Context, row: tables.Recording, identifiers: dict[str, str]) -> tuple[str, Files]:
    """Wait until what was recorded is in storage ("uploaded"), or kept because the storage refuses it ("backuped").

    ServiceError 50 when neither is so in time, 435 when nothing was recorded. What is made after the end is not
    waited for.
    """
    began = time.monotonic()
    for limit_s in (BACKUP_AFTER_S, STOP_WAIT_S):
        state, files = await _wait(context, row, began + limit_s)
        if state in ENDED or _stored(row, state, files):
            uploading = "uploaded"
            break
        if files.failing and state is State.UPLOADING:
            uploading = "backuped"
            break
    else:
        raise errors.upload_timeout(**identifiers)
    if not files.indexes:
        raise errors.no_recorded_data(**identifiers)
    return uploading, files


async def _wait(context: Context, row: tables.Recording, until_s: float) -> tuple[State, Files]:
    """The recording's state and files once what was recorded is in storage, or at `until_s` (monotonic)."""
    while True:
        left_s = max(until_s - time.monotonic(), 0.0)
        pause_s = min(left_s, POLL_S) if _postpones(row) else left_s
        state = State((await context.recordings.wait(row.app, row.id, ENDED, pause_s)).state)
        files = await listed(context.database, row)
        if state in ENDED or _stored(row, state, files) or time.monotonic() >= until_s:
            return state, files


def _postpones(row: tables.Recording) -> bool:
    return bool(row.dialect_data.get("postponed"))


def _stored(row: tables.Recording, state: State, files: Files) -> bool:
    """All but what is made after the end is in storage."""
    return _postpones(row) and state not in ACTIVE and not files.waiting


async def misplaced(context: Context, row: tables.Recording, call: str) -> None:
    """Tell the receiver of notifications, too, that a call did not fit the recording's state (event 3)."""
    if row.state in ENDED:
        return
    files = await listed(context.database, row)
    key = known_name(row) or next((index.key for index in files.indexes), "")
    leaving = row.dialect_data.get("stopped") and row.state in ACTIVE  # the recorder has not said so yet
    state = str(State.FINISHING) if leaving else row.state
    data = {"call": call, "state": state, "uploaded": files.uploaded, "key": key}
    at = time.time_ns()
    draft = Draft(events.MISPLACED, at, data, f"misplaced {at}")

    def tell(connection: Connection) -> int:
        return add_events(connection, row.id, [draft]) if lock(connection, [row.id]) else 0

    if await context.database.run(tell):
        context.callbacks.poke(row.id)
