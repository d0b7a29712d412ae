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
    postpones = bool(row.dialect_data.get("postponed"))
    began = time.monotonic()
    while True:
        passed_s = time.monotonic() - began
        left_s = (BACKUP_AFTER_S if passed_s < BACKUP_AFTER_S else STOP_WAIT_S) - passed_s
        pause_s = max(min(left_s, POLL_S) if postpones else left_s, 0.0)
        state = State((await context.recordings.wait(row.app, row.id, ENDED, pause_s)).state)
        files = await listed(context.database, row)
        passed_s = time.monotonic() - began
        uploaded = state in ENDED or (postpones and state not in ACTIVE and not files.waiting)
        refused = files.failing and state is State.UPLOADING and passed_s >= BACKUP_AFTER_S
        if uploaded or refused:
            break
        if passed_s >= STOP_WAIT_S:
            raise errors.upload_timeout(**identifiers)
    if not files.indexes:
        raise errors.no_recorded_data(**identifiers)
    return ("uploaded" if uploaded else "backuped"), files


async def misplaced(context: Context, row: tables.Recording, call: str) -> None:
    """Tell the receiver of notifications, too, that a call did not fit the recording's state (event 3)."""
    if row.state in ENDED:
        return
    files = await listed(context.database, row)
    key = known_name(row) or next((index.key for index in files.indexes), "")
    data = {"call": call, "state": row.state, "uploaded": files.uploaded, "key": key}
    at = time.time_ns()
    draft = Draft(events.MISPLACED, at, data, f"misplaced {at}")

    def tell(connection: Connection) -> int:
        return add_events(connection, row.id, [draft]) if lock(connection, [row.id]) else 0

    if await context.database.run(tell):
        context.callbacks.poke(row.id)
