"""How far uploads are: told in turns, never back. A database in memory and no uploads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select, update

from reelroom.deliver.outbox import now_ns
from reelroom.deliver.progress import Progress, interval_s
from reelroom.domain import events
from reelroom.store import tables
from reelroom.store.db import Database
from tests import memory

SID = "9f0c6a1e2b7d4835a1c0de55f0e4b621"


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    made = await memory.database()
    yield made
    await made.close()


async def recorded(database: Database, *states: str, state: str = "recording", **row: Any) -> None:
    """A recording that began 90 s ago with a playlist and one segment in each of the states."""
    values: dict[str, Any] = {
        "app": "dev", "room": "r", "mode": "individual", "spec": {}, "dialect": "agora", "callback": b"sealed",
        "created_ns": now_ns(), "started_ns": now_ns() - 90 * 10**9,
    }  # fmt: skip
    opened = {"output": "001", "identity": "41", "source": "camera", "kind": "audio", "start_ns": 5}
    common: dict[str, Any] = {"recording": SID, "output": "001", "format": "hls", "line": opened}
    async with database.transaction() as session:
        session.add(tables.Recording(id=SID, state=state, **(values | row)))
        await session.flush()
        session.add(tables.File(role="playlist", key="x.m3u8", path="", state="uploaded", **common))
        session.add(tables.Output(recording=SID, output="001", segments=len(states)))
        for number, each in enumerate(states):
            error = "refused" if each == "pending" else ""
            session.add(
                tables.File(
                    role="segment", key=f"{number}.ts", path="", number=number, state=each, error=error, **common
                )
            )


async def told(database: Database) -> list[tuple[str, dict[str, Any]]]:
    async with database.reading() as session:
        rows = await session.scalars(select(tables.Event).order_by(tables.Event.seq))
        return [(row.type, row.data) for row in rows]


async def test_each_turn_is_told_once_and_what_is_being_recorded_counts(database: Database) -> None:
    poked: list[str] = []
    await recorded(database, "uploaded", "uploaded", "pending")
    progress = Progress(database, poked.append, interval_of=lambda dialect: 60.0)
    await progress.look()
    await progress.look()
    assert await told(database) == [(events.UPLOAD_PROGRESS, {"uploaded": 2, "recorded": 3, "share": 5000})]
    assert poked == [SID]


async def test_the_share_never_goes_back_and_is_whole_at_the_very_end_only(database: Database) -> None:
    await recorded(database, "uploaded", "uploaded", state="uploading")
    await Progress(database, lambda _: None, interval_of=lambda dialect: 60.0).look()
    async with database.transaction() as session:
        await session.execute(update(tables.File).where(tables.File.role == "segment").values(state="pending"))
    await Progress(database, lambda _: None, interval_of=lambda dialect: 30.0).look()  # turn 3
    assert [data["share"] for _, data in await told(database)] == [9999, 9999]


@pytest.mark.parametrize(
    "row",
    [{"state": "finished"}, {"state": "starting"}, {"callback": None}, {"started_ns": None}, {"dialect": "native"}],
)
async def test_others_are_told_nothing(database: Database, row: dict[str, Any]) -> None:
    await recorded(database, "uploaded", **row)
    await Progress(database, lambda _: None).look()
    assert await told(database) == []


async def test_nothing_recorded_is_no_progress(database: Database) -> None:
    await recorded(database)
    await Progress(database, lambda _: None).look()
    assert await told(database) == []


def test_only_dialects_with_a_word_for_it_are_asked() -> None:
    assert (interval_s("agora"), interval_s("native"), interval_s("nobody")) == (60.0, 0.0, 0.0)
