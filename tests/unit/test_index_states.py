"""In which state a recording is by its journal's lines, however they come in. A database in memory."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import Connection

from reelroom.deliver import index
from reelroom.deliver.journals import Entry
from reelroom.domain import lines
from reelroom.domain.recording import RecordingSpec
from reelroom.store import tables
from tests import memory

ID, AT = "rec", 1_785_226_400_000_000_000


def opened(resumed: bool = True) -> lines.Opened:
    return lines.Opened(room_ns=AT, spec_sha256="", ingest="i", public_key="k", resumed=resumed)


PAUSED, RESUMED, STOPPED = lines.Paused(at_ns=AT), lines.Resumed(at_ns=AT), lines.Stopped(at_ns=AT, reason="requested")


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ((opened(False),), "recording"),
        ((opened(False), PAUSED), "paused"),
        ((opened(False), PAUSED, opened()), "paused"),  # the recorder was killed in the pause
        ((opened(False), PAUSED, opened(), RESUMED), "recording"),
        ((opened(False), PAUSED, RESUMED, opened()), "recording"),
        ((opened(False), PAUSED, STOPPED, opened()), "finishing"),
    ],
)
@pytest.mark.parametrize("batch", [1, 100])
async def test_a_recording_is_in_the_state_that_its_journal_says(
    told: tuple[lines.AnyLine, ...], state: str, batch: int
) -> None:
    database = await memory.database()
    spec = msgspec.to_builtins(RecordingSpec(id=ID, app="app", room="room"))
    row = {"app": "app", "room": "room", "mode": "individual", "state": "starting", "created_ns": AT, "spec": spec}
    async with database.transaction() as session:
        session.add(tables.Recording(id=ID, **row))
    entries = [Entry(n, AT, 1, body) for n, body in enumerate(told)]

    def follow(connection: Connection) -> None:
        for at in range(0, len(entries), batch):
            known = index.load(connection, [ID])[ID]
            assert index.index(connection, known, entries[at : at + batch], at + 1)

    await database.run(follow)
    async with database.reading() as session:
        assert (await session.get_one(tables.Recording, ID)).state == state
    await database.close()
