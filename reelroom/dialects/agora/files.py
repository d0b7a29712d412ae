"""What a recording's files are to Agora's calls: which are listed, and how far their uploads are. Answers no call."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from sqlalchemy import select

from reelroom.deliver.outbox import NEVER_NS
from reelroom.dialects.agora.answers import Index
from reelroom.domain.lines import OutputOpened
from reelroom.domain.naming import Names
from reelroom.domain.recording import Format, RecordingSpec, Source
from reelroom.store import tables
from reelroom.store.db import Database

WAITING = ("pending", "uploading")


@dataclass(frozen=True, slots=True)
class Files:
    """`indexes`: playlists of outputs that have a slice, and a mix's MP4; without what is made after the end."""

    indexes: list[Index]
    uploaded: bool  # something is in storage
    waiting: bool  # something that was recorded is not
    failing: bool  # the storage has refused some of it


async def listed(database: Database, recording: tables.Recording) -> Files:
    file = tables.File
    mine = file.recording == recording.id
    roles = ("playlist", "joined") if recording.dialect_data.get("postponed") else ("playlist", "joined", "file")
    waits = mine & file.state.in_(WAITING)
    async with database.reading() as session:
        sliced = set((await session.scalars(select(file.output).where(mine, file.role == "segment").distinct())).all())
        indexes = (await session.scalars(select(file).where(mine, file.role.in_(roles)))).all()
        uploaded = await session.scalar(select(file.id).where(mine, file.state == "uploaded").limit(1))
        recorded = (waits, file.role != "file", file.due_ns < NEVER_NS)
        waiting = await session.scalar(select(file.id).where(*recorded).limit(1))
        failing = await session.scalar(select(file.id).where(waits, file.error != "").limit(1))
    return Files(
        [
            Index(row.key, row.line["identity"], row.line["kind"], row.line["start_ns"])
            for row in indexes
            if row.role != "playlist" or row.output in sliced
        ],
        uploaded is not None,
        waiting is not None,
        failing is not None,
    )


def known_name(recording: tables.Recording) -> str | None:
    """The playlist of a mix without MP4, known before there is one: clients make its name themselves (section 2.3)."""
    spec = msgspec.convert(recording.spec, RecordingSpec)
    if spec.mix is None or spec.mix.individual or Format.MP4 in spec.formats:
        return None
    output = OutputOpened(output="000", identity="", source=Source.MIXED, kind="av", start_ns=0)
    return Names(spec).playlist(output)
