"""What a recording's files are to Agora's calls: which are listed, and how far their uploads are. Answers no call."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from sqlalchemy import bindparam, exists, or_, select
from sqlalchemy.orm import Session

from reelroom.control.recorded import SLICED
from reelroom.deliver.outbox import NEVER_NS
from reelroom.dialects.agora.answers import Index
from reelroom.domain.lines import OutputOpened
from reelroom.domain.naming import Names
from reelroom.domain.recording import Format, RecordingSpec, Source
from reelroom.store import tables
from reelroom.store.db import Database
from reelroom.store.tables import FILES

WAITING = ("pending", "uploading")
_file = FILES.c
_mine = _file.recording == bindparam("recording")
_waits = _mine & _file.state.in_(WAITING)
_INDEXES = (
    select(_file.key, _file.line)
    .where(_mine, _file.role.in_(bindparam("roles", expanding=True)), or_(_file.role != "playlist", SLICED))
    .order_by(_file.id)
)
_STATES = select(
    exists().where(_mine, _file.state == "uploaded").label("uploaded"),
    exists().where(_waits, _file.role != "file", _file.due_ns < NEVER_NS).label("waiting"),
    exists().where(_waits, _file.error != "").label("failing"),
)


@dataclass(frozen=True, slots=True)
class Files:
    """`indexes`: playlists of outputs that have a slice, and a mix's MP4; without what is made after the end."""

    indexes: list[Index]
    uploaded: bool  # something is in storage
    waiting: bool  # something that was recorded is not
    failing: bool  # the storage has refused some of it


async def listed(database: Database, recording: tables.Recording) -> Files:
    roles = ("playlist", "joined") if recording.dialect_data.get("postponed") else ("playlist", "joined", "file")

    def look(session: Session) -> Files:
        connection = session.connection()
        indexes = connection.execute(_INDEXES, {"recording": recording.id, "roles": roles})
        said = connection.execute(_STATES, {"recording": recording.id}).one()
        return Files(
            [Index(key, line["identity"], line["kind"], line["start_ns"]) for key, line in indexes],
            uploaded=bool(said.uploaded),
            waiting=bool(said.waiting),
            failing=bool(said.failing),
        )

    return await database.look(look)


def known_name(recording: tables.Recording) -> str | None:
    """The playlist of a mix without MP4, known before there is one: clients make its name themselves (section 2.3)."""
    spec = msgspec.convert(recording.spec, RecordingSpec)
    if spec.mix is None or spec.mix.individual or Format.MP4 in spec.formats:
        return None
    output = OutputOpened(output="000", identity="", source=Source.MIXED, kind="av", start_ns=0)
    return Names(spec).playlist(output)
