"""Adding events to a recording and ending it, inside somebody else's transaction. Delivers nothing itself."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from reelroom.domain import events
from reelroom.domain.events import Draft
from reelroom.domain.library import media_id
from reelroom.domain.recording import State, StopReason
from reelroom.store.tables import EVENTS, FILES, OUTPUTS, RECORDINGS

NEVER_NS = (1 << 62) - 1  # due_ns of a row that something else will wake
ENDED_NS = NEVER_NS + 1  # ... of one that nothing will wake any more
REFUSALS = 3  # of an object, after which it is told that the rest is delayed
MAX_LISTED = 1000  # files that a "recording.finished" event names; the API lists the rest

_LOCKED_NAMES = ("id", "app", "dialect", "room", "task", "state", "stopped_ns", "library")
_LOCKED = (
    select(*(RECORDINGS.c[name] for name in _LOCKED_NAMES))
    .where(RECORDINGS.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(RECORDINGS.c.id)
    .with_for_update()
)
_KNOWN = select(EVENTS.c.id).where(EVENTS.c.id.in_(bindparam("ids", expanding=True)))
_NUMBERED = (
    update(RECORDINGS)
    .where(RECORDINGS.c.id == bindparam("recording"))
    .values(event_seq=RECORDINGS.c.event_seq + bindparam("count"))
    # Not `callback.is_not(None)`: SQLite 3.40 takes NULL for NOT NULL within RETURNING.
    .returning(RECORDINGS.c.event_seq, RECORDINGS.c.app, RECORDINGS.c.callback)
)
_ENDING = select(
    *(RECORDINGS.c[name] for name in ("state", "reason", "message", "started_ns", "stopped_ns", "library"))
).where(RECORDINGS.c.id == bindparam("recording"))
_WAITING = (
    select(FILES.c.id)
    .where(FILES.c.recording == bindparam("recording"), FILES.c.state.in_(("pending", "uploading")))
    .limit(1)
)


def now_ns() -> int:
    return time.time_ns()


def lock(connection: Connection, recordings: Iterable[str]) -> dict[str, Any]:
    """Hold the recordings' rows until the transaction ends: what `_LOCKED_NAMES` says of those that there are.

    Whoever adds events does this before it reads anything: numbers stay without holes. They are locked in the order
    of their ids, so no two transactions wait for each other. (On SQLite every writing transaction is alone anyway.)
    """
    return {row.id: row for row in connection.execute(_LOCKED, {"ids": sorted(set(recordings))})}


def add_events(connection: Connection, recording: str, drafts: Sequence[Draft]) -> int:
    """Append events in this order, those whose cause has its event already left out. How many are new."""
    if not drafts:
        return 0
    ids = {events.event_id(recording, draft.cause): draft for draft in drafts}
    known = set(connection.scalars(_KNOWN, {"ids": list(ids)}))
    fresh = [(id_, draft) for id_, draft in ids.items() if id_ not in known]
    if not fresh:
        return 0
    last, app, callback = connection.execute(_NUMBERED, {"recording": recording, "count": len(fresh)}).one()
    rows = [
        {
            "id": id_,
            "recording": recording,
            "app": app,
            "seq": seq,
            "type": draft.type,
            "at_ns": draft.at_ns,
            "data": draft.data,
            "state": "none" if callback is None else "pending",
            "attempts": 0,
            "due_ns": 0,
        }
        for seq, (id_, draft) in enumerate(fresh, last - len(fresh) + 1)
    ]
    connection.execute(insert(EVENTS), rows)
    return len(fresh)


def settle(connection: Connection, recording: str) -> bool:
    """Make an uploading recording finished or failed if nothing of it is left to upload; True: it is now."""
    row = connection.execute(_ENDING, {"recording": recording}).first()
    if row is None or row.state != State.UPLOADING:
        return False
    if connection.scalar(_WAITING, {"recording": recording}) is not None:
        return False
    lost = connection.scalar(
        select(func.count()).where(FILES.c.recording == recording, FILES.c.state == "deleted", FILES.c.error != "")
    )
    message = row.message
    if lost:
        note = f"{lost} files were gone before they were uploaded"
        message = f"{message}; {note}" if message else note
    failed = row.reason == StopReason.ERROR
    at = now_ns()
    connection.execute(
        update(RECORDINGS)
        .where(RECORDINGS.c.id == recording)
        .values(state=str(State.FAILED if failed else State.FINISHED), message=message, finished_ns=at)
    )
    data = {
        "reason": row.reason,
        "message": message,
        "started_ns": row.started_ns,
        "stopped_ns": row.stopped_ns,
        **_files(connection, recording, row.library is not None),
    }
    add_events(connection, recording, [Draft(events.FAILED if failed else events.FINISHED, at, data, "finished")])
    return True


def delayed(connection: Connection, recording: str, library: bool) -> bool:
    """Tell once of a recording whose files are made and kept here, since storage does not take them; True: it is told.

    Not while something has not been tried yet. They are tried on, and when all are there the recording is finished.
    """
    file = FILES.c
    query = select(func.min(file.attempts), func.max(file.attempts)).where(
        file.recording == recording, file.state.in_(("pending", "uploading")), file.due_ns < NEVER_NS
    )
    least, most = connection.execute(query).one()
    if not least or most < REFUSALS:
        return False
    data = _files(connection, recording, library, stored=False)
    return add_events(connection, recording, [Draft(events.UPLOAD_DELAYED, now_ns(), data, "delayed")]) > 0


def file_data(row: Any) -> dict[str, Any]:
    """What events say of a playlist or finished file in storage; `row` has the columns of `files`."""
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


def _media(connection: Connection, recording: str) -> dict[str, dict[str, Any]]:
    """What an output's segments come to: bytes, nanoseconds, and the largest picture in pixels."""
    found = connection.execute(select(OUTPUTS).where(OUTPUTS.c.recording == recording, OUTPUTS.c.segments > 0))
    return {
        row.output: {
            "media_bytes": row.bytes, "duration_ns": row.end_ns, "width": row.width, "height": row.height,
        }
        for row in found
    }  # fmt: skip


def _files(connection: Connection, recording: str, library: bool, *, stored: bool = True) -> dict[str, Any]:
    """The playlists and finished files in storage; with `stored` False those that are not, too, and which are."""
    file = FILES.c
    states = ("uploaded",) if stored else ("uploaded", "pending", "uploading")
    wanted = (
        file.recording == recording,
        file.role.in_(("playlist", "index", "joined", "file")),
        file.state.in_(states),
    )
    rows = connection.execute(select(FILES).where(*wanted).order_by(file.output, file.id).limit(MAX_LISTED))
    found = rows.all()
    media = _media(connection, recording) if any(row.role == "playlist" for row in found) else {}
    listed = []
    for row in found:
        said = file_data(row) | ({"media": media_id(recording, row.key)} if library else {})
        if not stored:
            if row.role == "playlist" and row.output not in media:
                continue  # it names nothing, and so never goes there
            said["stored"] = row.state == "uploaded"
        if row.role == "playlist" and row.output in media:
            said |= media[row.output] | (
                {"duration_ns": row.line["duration_ns"]} if row.line.get("duration_ns") else {}
            )
        listed.append(said)
    total = len(listed)
    if total == MAX_LISTED:
        total = connection.scalar(select(func.count()).select_from(FILES).where(*wanted)) or total
    return {"files": listed, "files_total": total}
