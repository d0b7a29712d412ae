"""Adding events to a recording and ending it, inside somebody else's transaction. Delivers nothing itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from reelroom.domain import events
from reelroom.domain.events import Draft
from reelroom.domain.recording import State, StopReason
from reelroom.store.tables import Event, File, Recording

NEVER_NS = (1 << 62) - 1  # due_ns of a row that something else will wake
MAX_LISTED = 1000  # files that a "recording.finished" event names; the API lists the rest


def now_ns() -> int:
    return time.time_ns()


async def lock(session: AsyncSession, recording: str) -> bool:
    """Hold the recording's row until the transaction ends; False: there is no such recording.

    Whoever adds events does this before it reads anything: numbers stay without holes, and no two
    transactions wait for each other.
    """
    same = update(Recording).where(Recording.id == recording).values(event_seq=Recording.event_seq)
    touched = await session.execute(same.returning(Recording.id))
    return touched.first() is not None


async def add_events(session: AsyncSession, recording: str, drafts: Sequence[Draft]) -> int:
    """Append events in this order, those whose cause has its event already left out. How many are new."""
    if not drafts:
        return 0
    ids = {events.event_id(recording, draft.cause): draft for draft in drafts}
    known = set((await session.scalars(select(Event.id).where(Event.id.in_(ids)))).all())
    fresh = [(id_, draft) for id_, draft in ids.items() if id_ not in known]
    if not fresh:
        return 0
    row = (
        await session.execute(
            update(Recording)
            .where(Recording.id == recording)
            .values(event_seq=Recording.event_seq + len(fresh))
            # Not `callback.is_not(None)`: SQLite 3.40 takes NULL for NOT NULL within RETURNING.
            .returning(Recording.event_seq, Recording.app, Recording.callback)
        )
    ).one()
    last, app, callback = row
    for seq, (id_, draft) in enumerate(fresh, last - len(fresh) + 1):
        session.add(
            Event(
                id=id_,
                recording=recording,
                app=app,
                seq=seq,
                type=draft.type,
                at_ns=draft.at_ns,
                data=draft.data,
                state="none" if callback is None else "pending",
                attempts=0,
                due_ns=0,
            )
        )
    return len(fresh)


async def settle(session: AsyncSession, recording: str) -> bool:
    """Make an uploading recording finished or failed if nothing of it is left to upload; True: it is now."""
    await session.flush()
    row = await session.get(Recording, recording, populate_existing=True)
    if row is None or row.state != State.UPLOADING:
        return False
    waiting = select(File.id).where(File.recording == recording, File.state.in_(("pending", "uploading")))
    if (await session.scalar(waiting.limit(1))) is not None:
        return False
    lost = await session.scalar(
        select(func.count()).where(File.recording == recording, File.state == "deleted", File.error != "")
    )
    if lost:
        note = f"{lost} files were gone before they were uploaded"
        row.message = f"{row.message}; {note}" if row.message else note
    failed = row.reason == StopReason.ERROR
    row.state = State.FAILED if failed else State.FINISHED
    row.finished_ns = now_ns()
    data = {
        "reason": row.reason,
        "message": row.message,
        "started_ns": row.started_ns,
        "stopped_ns": row.stopped_ns,
        **await _files(session, recording),
    }
    await session.flush()
    type_ = events.FAILED if failed else events.FINISHED
    await add_events(session, recording, [Draft(type_, row.finished_ns, data, "finished")])
    return True


def file_data(row: File) -> dict[str, Any]:
    """What events say of a playlist or finished file in storage."""
    line = row.line
    duration = line.get("duration_ns")
    return {
        "id": row.id,
        "key": row.key,
        "role": row.role,
        "format": row.format,
        "output": row.output,
        "identity": line.get("identity", ""),
        "source": line.get("source", ""),
        "kind": line.get("kind", ""),
        "sequence": line.get("sequence", 1),
        "bytes": row.bytes,
        "sha256": row.sha256,
        "start_ns": line.get("start_ns"),
        "end_ns": line.get("end_ns"),
        "duration_ns": duration,
        "video_codec": line.get("video_codec", ""),
        "audio_codec": line.get("audio_codec", ""),
        "width": line.get("width", 0),
        "height": line.get("height", 0),
    }


async def _files(session: AsyncSession, recording: str) -> dict[str, Any]:
    wanted = (File.recording == recording, File.role.in_(("playlist", "joined", "file")), File.state == "uploaded")
    rows = await session.scalars(select(File).where(*wanted).order_by(File.output, File.id).limit(MAX_LISTED))
    listed = [file_data(row) for row in rows]
    total = len(listed)
    if total == MAX_LISTED:
        total = await session.scalar(select(func.count()).select_from(File).where(*wanted)) or total
    return {"files": listed, "files_total": total}
