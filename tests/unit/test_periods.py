"""Playlists that are split: which segments each has, what it is called and when, however the journal comes in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, select, update

from reelroom.deliver import index, pending, results
from reelroom.deliver.journals import Entry
from reelroom.deliver.playlists import Playlists
from reelroom.domain import lines
from reelroom.domain.naming import Names
from reelroom.domain.recording import Hls, Naming, RecordingSpec
from reelroom.store import tables
from reelroom.store.db import Database
from tests import memory

ID, AT, S = "rec", 1_785_226_400_000_000_000, 1_000_000_000
BY_END = "{start:%H-%M-%S}_{end:%H-%M-%S}"


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    database = await memory.database()
    yield database
    await database.close()


async def record(database: Database, *entries: lines.AnyLine, batch: int = 100, **spec: Any) -> None:
    naming = Naming(prefix="", file=spec.pop("file", BY_END), segment="{sequence}")
    made = RecordingSpec(id=ID, app="app", room="room", naming=naming, requested_ns=AT, hls=Hls(split_s=20, **spec))

    async with database.transaction() as session:
        session.add(
            tables.Recording(
                id=ID, app="app", room="room", mode="individual", state="recording", created_ns=AT, started_ns=AT,
                spec=msgspec.to_builtins(made),
            )
        )  # fmt: skip
    numbered = [Entry(n, AT, 1, body) for n, body in enumerate(entries)]

    def follow(connection: Connection) -> None:
        for at in range(0, len(numbered), batch):
            known = index.load(connection, [ID])[ID]
            assert index.index(connection, known, numbered[at : at + batch], at + 1)

    await database.run(follow)


def opened() -> lines.OutputOpened:
    return lines.OutputOpened(output="001", identity="alice", source="camera", kind="av", start_ns=AT)


def segments(count: int, each_s: int = 9) -> list[lines.Segment]:
    return [
        lines.Segment(
            output="001", rendition="hls", container="ts", number=n + 1, path=f"{n}", bytes=1, sha256="",
            start_ns=AT + n * each_s * S, end_ns=AT + (n + 1) * each_s * S,
            media_start_ns=n * each_s * S, media_end_ns=(n + 1) * each_s * S,
        )
        for n in range(count)
    ]  # fmt: skip


async def upload(database: Database) -> dict[str, str]:
    """Everything that can be uploaded, and what playlists say in the end."""
    playlists, said = Playlists(), {}

    def work(connection: Connection) -> bool:
        taken = pending.take(connection, playlists, {ID: 100}, (), 100)
        for one in taken.work:
            assert not one.error
            if one.data is not None and one.built is not None and one.built.segments:
                said[one.row.key] = one.data.decode()
        results.store(connection, [results.Result(one) for one in taken.work], (), 1.0)
        connection.execute(
            update(tables.FILES).where(tables.FILES.c.due_ns.between(2, pending.NEVER_NS - 1)).values(due_ns=1)
        )
        return bool(taken.work)

    for _ in range(20):
        if not await database.run(work):
            break
    return said


def names(playlist: str) -> list[str]:
    return [line for line in playlist.splitlines() if not line.startswith("#")]


STOPPED = lines.Stopped(at_ns=AT + 60 * S, reason="requested")


@pytest.mark.parametrize("batch", [1, 3, 100])
async def test_each_part_has_its_segments_and_is_called_by_its_end(database: Database, batch: int) -> None:
    await record(database, opened(), *segments(5), STOPPED, batch=batch)
    said = await upload(database)
    assert {key: names(text) for key, text in said.items()} == {
        "08-13-20_08-13-38.m3u8": ["1.ts", "2.ts"],
        "08-13-38_08-13-56.m3u8": ["3.ts", "4.ts"],
        "08-13-56_08-14-05.m3u8": ["5.ts"],
    }
    assert all(text.endswith("#EXT-X-ENDLIST\n") for text in said.values())
    async with database.reading() as session:
        events = (await session.scalars(select(tables.Event).order_by(tables.Event.seq))).all()
    told = [event.data for event in events if event.type == "file.uploaded"]
    assert [(one["ended"], one["duration_ns"]) for one in told] == [(True, 18 * S), (True, 18 * S), (True, 9 * S)]


async def test_one_that_is_called_by_its_end_is_in_no_storage_before(database: Database) -> None:
    await record(database, opened(), *segments(4), batch=2)
    said = await upload(database)
    assert {key: names(text) for key, text in said.items()} == {"08-13-20_08-13-38.m3u8": ["1.ts", "2.ts"]}


@pytest.mark.parametrize("batch", [1, 100])
async def test_one_that_is_called_by_its_start_grows(database: Database, batch: int) -> None:
    await record(database, opened(), *segments(3), batch=batch, file="{start:s}")
    said = await upload(database)
    second = f"{(AT + 18 * S) // S}.m3u8"
    assert names(said[second]) == ["3.ts"] and "ENDLIST" not in said[second]
    assert names(said[f"{AT // S}.m3u8"]) == ["1.ts", "2.ts"] and "ENDLIST" in said[f"{AT // S}.m3u8"]


async def test_a_playlist_of_all_parts_follows_if_there_are_several(database: Database) -> None:
    await record(database, opened(), *segments(3), STOPPED, whole=True)
    said = await upload(database)
    assert names(said["08-13-20_08-13-47.m3u8"]) == ["1.ts", "2.ts", "3.ts"]
    assert len(said) == 3


async def test_the_only_part_is_the_whole(database: Database) -> None:
    await record(database, opened(), *segments(2), STOPPED, whole=True)
    assert list(await upload(database)) == ["08-13-20_08-13-38.m3u8"]


async def test_an_output_without_segments_leaves_no_playlist(database: Database) -> None:
    await record(database, opened(), STOPPED)
    assert await upload(database) == {}
    async with database.reading() as session:
        assert (await session.scalars(select(tables.File.state))).all() == ["deleted"]


def test_times_in_names_are_in_the_zone_that_naming_says() -> None:
    naming = Naming(prefix="", file="{start:%Y-%m-%d-%H:%M:%S}", utc_offset_s=8 * 3600)
    made = RecordingSpec(id=ID, app="app", room="room", naming=naming, requested_ns=AT)
    assert Names(made).playlist(opened()) == "2026-07-28-16:13:20.m3u8"
