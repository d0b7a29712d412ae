"""Which files are to be uploaded, and when. Statements within the uploader's transactions; uploads nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, func, select, update

from reelroom.deliver import joined
from reelroom.deliver.outbox import ENDED_NS, NEVER_NS, now_ns
from reelroom.deliver.playlists import ROLES, Built, Playlists
from reelroom.domain import events
from reelroom.domain.recording import ENDED, State
from reelroom.store.tables import EVENTS, FILES, RECORDINGS

PLAYLIST_GAP_S = 1.0  # between two uploads of one playlist...
PLAYLIST_GAP_PER_SEGMENT_S = 0.002  # ...and more the longer it is: it is uploaded whole each time
TICK_NS = 500_000_000  # what need not be at once is done at multiples of this, for all recordings together

_file = FILES.c
_waiting = (
    select(FILES, RECORDINGS.c.stopped_ns)
    .join(RECORDINGS, RECORDINGS.c.id == _file.recording)
    .where(_file.recording == bindparam("recording"), _file.due_ns <= bindparam("now"))
    .limit(bindparam("limit"))
)
#: By their role: `coalesce` keeps SQLite from going through all that is pending, which may be thousands of segments.
_PLAYLISTS = _waiting.where(_file.role.in_(ROLES), func.coalesce(_file.state, "") == "pending")
_OTHERS = _waiting.where(_file.role.not_in(ROLES), _file.state == "pending").order_by(_file.due_ns, _file.id)
_LATER = select(func.min(_file.due_ns)).where(
    _file.recording == bindparam("recording"), _file.state == "pending", _file.due_ns > bindparam("now")
)
_OF_OUTPUTS = select(
    *(_file[name] for name in ("id", "recording", "output", "state", "due_ns", "uploaded_ns", "line"))
).where(
    _file.recording == bindparam("recording"),
    _file.output.in_(bindparam("outputs", expanding=True)),
    _file.role.in_(ROLES),
    _file.due_ns < ENDED_NS,
)
_SET_DUE = update(FILES).where(_file.id == bindparam("file")).values(state="pending", due_ns=bindparam("due"))


class Work(NamedTuple):
    """One object to upload: its row, with its recording's `stopped_ns`, and its bytes if made here."""

    row: Row[Any]
    data: bytes | None = None
    built: Built | None = None
    error: str = ""  # why its bytes could not be made


class Taken(NamedTuple):
    work: list[Work]
    next_ns: dict[str, int]  # when to look at each recording again: 0 for at once, NEVER_NS when it has no more


def playlist_gap_ns(segments: int) -> int:
    """The least time between two uploads of a growing playlist of so many segments."""
    return int((PLAYLIST_GAP_S + segments * PLAYLIST_GAP_PER_SEGMENT_S) * 1e9)


def take(
    connection: Connection, playlists: Playlists, rooms: dict[str, int], running: Collection[int], total: int
) -> Taken:
    """What of these recordings can be uploaded now, playlists first: `rooms` of each, `total` of all."""
    now = now_ns()
    taken: list[Work] = []
    next_ns: dict[str, int] = {}
    for recording, room in rooms.items():
        room = min(room, total - len(taken))
        if room <= 0:
            next_ns[recording] = 0
            continue
        what = {"recording": recording, "now": now, "limit": room + len(running) + 1}
        rows = [row for row in connection.execute(_PLAYLISTS, what) if row.id not in running]
        rows += [row for row in connection.execute(_OTHERS, what) if row.id not in running]
        taken += [_made(connection, playlists, row) for row in rows[:room]]
        later = 0
        if len(rows) <= room:
            later = connection.scalar(_LATER, what) or NEVER_NS
        next_ns[recording] = later
    return Taken(taken, next_ns)


def _made(connection: Connection, playlists: Playlists, row: Row[Any]) -> Work:
    try:
        if row.role in ROLES:
            built = playlists.build(connection, row, row.stopped_ns is not None)
            return Work(row, built.text.encode(), built)
        if row.role == joined.ROLE:
            return Work(row, joined.text(connection, row).encode())
    except (ValueError, KeyError) as error:  # its rows make no sense: this one fails, and no other waits for it
        return Work(row, error=f"cannot be made: {error!r}")
    return Work(row)


def wake_playlists(connection: Connection, recording: str, outputs: dict[str, int], stopped: bool) -> int:
    """Segments or init segments are in storage (or lost): their outputs' playlists have something to say.

    `outputs`: the highest number of a segment for each. Returns when the first of the playlists is due. One that is on
    its way gets another `due_ns`, by which the end of its upload sees that it is not up to date.
    """
    rows = connection.execute(_OF_OUTPUTS, {"recording": recording, "outputs": list(outputs)}).all()
    now = now_ns()
    changed = []
    for row in rows:
        if row.line.get("held"):
            continue  # it has no name yet
        if row.state == "pending" and row.due_ns < NEVER_NS:
            due = row.due_ns + 1
        elif stopped or not row.uploaded_ns:
            due = 1
        else:
            due = tick_after(max(now, row.uploaded_ns + playlist_gap_ns(outputs[row.output])))
        changed.append({"file": row.id, "due": due})
    if changed:
        connection.execute(_SET_DUE, changed)
    return min((each["due"] for each in changed), default=NEVER_NS)


def tick_after(ns: int) -> int:
    """The first moment after `ns` at which unhurried work is done."""
    return (ns // TICK_NS + 1) * TICK_NS


def unfinished(connection: Connection) -> tuple[list[tuple[str, str | None, str]], list[str]]:
    """Recordings with files to upload, their destinations and apps, and those that may have nothing left to upload."""
    query = (
        select(RECORDINGS.c.id, RECORDINGS.c.destination, RECORDINGS.c.app)
        .distinct()
        .join(FILES, _file.recording == RECORDINGS.c.id)
        .where(_file.state == "pending", _file.due_ns < NEVER_NS)
    )
    stuck = select(RECORDINGS.c.id).where(RECORDINGS.c.state == State.UPLOADING)
    return [(row.id, row.destination, row.app) for row in connection.execute(query)], list(connection.scalars(stuck))


def retry_now(connection: Connection, recordings: Iterable[str]) -> None:
    """What waits for its next try need not: the destination is back."""
    waiting = (_file.recording.in_(list(recordings)), _file.state == "pending", _file.error != "")
    connection.execute(update(FILES).where(*waiting).values(due_ns=0))


def told_failing(connection: Connection) -> set[str]:
    """Unfinished recordings whose last word on uploads was that they fail."""
    kinds = (events.UPLOAD_FAILING, events.UPLOAD_RECOVERED)
    query = (
        select(EVENTS.c.recording, EVENTS.c.type)
        .join(RECORDINGS, RECORDINGS.c.id == EVENTS.c.recording)
        .where(EVENTS.c.type.in_(kinds), RECORDINGS.c.state.in_([str(s) for s in State if s not in ENDED]))
        .order_by(EVENTS.c.recording, EVENTS.c.seq)
    )
    last: dict[str, str] = dict(connection.execute(query).all())
    return {recording for recording, type_ in last.items() if type_ == events.UPLOAD_FAILING}


def still_failing(connection: Connection, recording: str) -> bool:
    """Whether the last try of any of its pending files failed."""
    query = select(_file.id).where(_file.recording == recording, _file.state == "pending", _file.error != "")
    return connection.scalar(query.limit(1)) is not None
