"""PostgreSQL: the schema and its upgrades, a recording's life on a real server, and what two do at the same moment."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, select

from reelroom.config import Settings
from reelroom.control.apps import AppContext
from reelroom.control.errors import ControlError
from reelroom.control.library import Library, MediaQuery
from reelroom.control.new_recording import NewRecording
from reelroom.control.queues import Queues
from reelroom.control.starts import Starts
from reelroom.deliver.outbox import add_events, lock
from reelroom.deliver.shelf import Shelf
from reelroom.demo.clip import make_clip
from reelroom.demo.publisher import AiortcPublisher
from reelroom.dialects.once import Once
from reelroom.dialects.tencent import errors
from reelroom.dialects.tencent.auth import Signed
from reelroom.dialects.tencent.replays import TOGETHER_NS, Replays
from reelroom.domain.events import Draft
from reelroom.domain.recording import RecordingSpec
from reelroom.store import tables
from reelroom.store.db import Database
from reelroom.store.secrets import SecretBox
from tests import postgres, stored
from tests.journals import House
from tests.needs import need
from tests.servers import running
from tests.unit.agora_server import KEY, Recorders
from tests.unit.agora_server import serving as agora

S = 1_000_000_000
AT_ONCE = 6


@pytest.fixture(scope="module")
def cluster() -> Iterator[postgres.Cluster]:
    need("postgresql")
    with postgres.running() as made:
        asyncio.run(made.migrate())
        yield made


@pytest.fixture
async def url(cluster: postgres.Cluster) -> str:
    return await cluster.make()


@pytest.fixture
async def two(url: str) -> AsyncIterator[tuple[Database, Database]]:
    """The database as two servers have it."""
    both = Database(url), Database(url)
    yield both
    for one in both:
        await one.close()


# the schema


async def test_migrations_make_the_tables_of_the_code(cluster: postgres.Cluster) -> None:
    await stored.makes_the_tables_of_the_code(await cluster.empty())


async def test_a_database_of_the_first_version_keeps_its_recordings(cluster: postgres.Cluster) -> None:
    await stored.keeps_the_recordings_of(await cluster.empty(), "0001")


async def test_an_earlier_versions_tasks_files_and_tags_are_found_again(cluster: postgres.Cluster) -> None:
    await stored.fills_in_what_queries_ask_for(await cluster.empty())


async def test_a_look_sees_what_was_committed_and_nothing_else(url: str) -> None:
    await stored.looks_at_what_was_committed(url, several=True)


async def test_what_is_written_is_there_as_a_whole_or_not_at_all(url: str) -> None:
    await stored.writes_as_a_whole_or_not_at_all(url)


# a recording


async def test_a_recording_is_started_once_and_all_of_it_told_in_order(url: str) -> None:
    need("aiortc")
    with running(environment={"REELROOM_DATABASE_URL": url}) as server, server.client() as api:
        clip = make_clip(8, size=(320, 180), video_kbps=300, gop=30)
        ann = AiortcPublisher(f"{server.url}/whip/room", server.token("room", "ann"), clip, loop=True)
        await ann.start()
        api.put("/api/v1/queues/told", json={}).raise_for_status()
        body = {
            "room": "room",
            "name": "Á-lesson",
            "formats": ["hls", "mp4"],
            "hls": {"segment_s": 2},
            "callback": {"url": "queue://told"},
        }
        headers = {**api.headers, "Idempotency-Key": "k"}
        async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30, trust_env=False) as many:
            made = await asyncio.gather(*(many.post("/api/v1/recordings", json=body) for _ in range(AT_ONCE)))
            codes = sorted(answer.status_code for answer in made)
            assert codes == [200] * (AT_ONCE - 1) + [201], [answer.text for answer in made]
            (id_,) = {answer.json()["id"] for answer in made}
            other = await many.post("/api/v1/recordings", json=body | {"room": "another"})
            assert other.status_code == 422, other.text
        await ann.run(2.5)
        await ann.close()
        base = f"/api/v1/recordings/{id_}"
        ended = (await asyncio.to_thread(api.post, f"{base}/stop", params={"wait_s": 30})).json()
        assert (ended["state"], ended["reason"], ended["message"]) == ("finished", "requested", "")
        files = api.get(f"{base}/files").json()["files"]
        assert {(one["format"], one["state"]) for one in files} == {("hls", "uploaded"), ("mp4", "uploaded")}
        mp4 = next(one for one in files if one["format"] == "mp4")
        assert len(httpx.get(mp4["url"], trust_env=False).content) == mp4["bytes"] > 10_000
        events = api.get(f"{base}/events").json()["events"]
        assert [one["seq"] for one in events] == list(range(1, len(events) + 1))
        assert (events[-1]["type"], events[-1]["data"]["files_total"]) == ("recording.finished", 2)
        told = await asyncio.to_thread(received, api, len(events))
        assert told == [one["id"] for one in events]
        for query, count in (
            ("name=Á-", 1),
            ("name=a", 0),
            ("state=finished&room=room", 1),
            ("state=paused", 0),
        ):
            listed = api.get(f"/api/v1/recordings?{query}").json()["recordings"]
            assert len(listed) == count, query
        for hostile in ("/api/v1/recordings?name=%00", "/api/v1/recordings?room=%00", "/api/v1/media?name=%00",
                        "/api/v1/media?tag=%00", "/api/v1/recordings/%00", f"{base}/files/%00"):  # fmt: skip
            assert api.get(hostile).status_code < 500, hostile
        assert "asyncpg" not in server.tail(1000), server.tail(1000)


def received(api: httpx.Client, count: int) -> list[str]:
    """The ids of the events that a queue has, in its order."""
    found: list[str] = []
    while len(found) < count:
        asked = {"limit": 16, "wait_s": 10}
        messages = api.post("/api/v1/queues/told/receive", params=asked).raise_for_status().json()["messages"]
        assert messages, f"{len(found)} of {count} events were told"
        found += [json.loads(b64decode(one["data"]))["id"] for one in messages]
    return found


async def test_a_long_recording_is_indexed_once_by_two_servers_and_gets_into_the_library(
    url: str, tmp_path: Path
) -> None:
    async with House(tmp_path, url) as first:
        second = House(tmp_path, url)
        written = await first.make()
        async with first.database.transaction() as session:
            row = await session.get_one(tables.Recording, written.spec.id)
            row.library, row.task, row.dialect = {"tags": ["lesson", "é"], "name": "Á{identity}"}, "t1", "aliyun_rtc"
        written.begin("alice")
        for number in range(40):
            written.segment()
            if number % 10 == 0:
                await asyncio.gather(first.follower.catch_up(), second.follower.catch_up())
        written.end(files={"001.mp4": b"mp4"})
        await asyncio.gather(first.follower.catch_up(), second.follower.catch_up())
        await first.until_state(written.spec.id)
        async with first.database.reading() as session:
            segments = (await session.scalars(select(tables.File.bytes).where(tables.File.role == "segment"))).all()
            (sums,) = (await session.scalars(select(tables.Output))).all()
            seqs = (await session.scalars(select(tables.Event.seq).order_by(tables.Event.seq))).all()
            (listed,) = (await session.scalars(select(tables.Finished))).all()
        assert (sums.segments, sums.bytes, sums.end_ns, sums.width) == (40, sum(segments), 240 * S, 1280)
        assert list(seqs) == list(range(1, len(seqs) + 1))
        assert (listed.app, listed.room, listed.task, listed.start_ns) == ("app", "room", "t1", written.t0)
        shelf = Shelf(first.database, first.uploader, first.recordings)
        library = Library(first.database, first.uploader, shelf, first.recordings, b"key")
        for query, count in (
            (MediaQuery(tags=["é"]), 2), (MediaQuery(tags=["none"]), 0), (MediaQuery(name_prefixes=["Áa"]), 2),
            (MediaQuery(name_prefixes=["áa"]), 0), (MediaQuery(names=["lic"], formats=["mp4"]), 1),
        ):  # fmt: skip
            rows, total = await library.search("app", query)
            assert (len(rows), total) == (count, count), query
        await second.database.close()


# at the same moment


def new(id_: str, key: str | None = None, match: str = "") -> NewRecording:
    spec = RecordingSpec(id=id_ * 32, app="dev", room="room", requested_ns=time.time_ns())
    return NewRecording(app=AppContext("dev", {}), spec=spec, idempotency_key=key, match=match)


def starts(database: Database) -> Starts:
    settings = Settings(dev=True, data=Path("/nowhere"))  # type: ignore[call-arg]
    return Starts(settings, database, SecretBox(KEY), Recorders(database))  # type: ignore[arg-type]


async def test_one_key_and_one_match_start_one_recording(two: tuple[Database, Database]) -> None:
    async with two[0].transaction() as session:
        session.add(stored.app("dev"))
    both = [starts(database) for database in two]
    ids = "0123456789abcdef"[:AT_ONCE]
    made = await asyncio.gather(*(both[n % 2].start_once(new(id_, key="k")) for n, id_ in enumerate(ids)))
    assert len({row.id for row, _ in made}) == 1
    assert sorted(replayed for _, replayed in made) == [False] + [True] * (AT_ONCE - 1)
    tried = [both[n % 2].start(new(id_, match="m")) for n, id_ in enumerate(reversed("0123456789abcdef"[AT_ONCE:]))]
    outcomes = await asyncio.gather(*tried, return_exceptions=True)
    refused = [one for one in outcomes if isinstance(one, ControlError)]
    assert len(refused) == len(outcomes) - 1 and {one.kind for one in refused} == {"conflict"}


async def test_a_signature_is_good_once_however_many_servers_get_it(two: tuple[Database, Database]) -> None:
    many = [Once(two[n % 2], "kind", 1000) for n in range(AT_ONCE)]
    assert sorted(await asyncio.gather(*(one.use("dev", "mark", 5, reads=False) for one in many))) == (
        [False] * (AT_ONCE - 1) + [True]
    )
    signed = Signed("id", "signature", 0, "", "", (), None)
    assert await passed(two, signed, "StopIt", 0) == 1
    assert await passed(two, signed, "Another", 1) == 1  # in the same second it may be another call's
    assert await passed(two, signed, "Third", TOGETHER_NS + 1) == 0


async def passed(two: tuple[Database, Database], signed: Any, action: str, now_ns: int) -> int:
    """How many of several servers take a call that comes to all of them."""
    many = [Replays(two[n % 2]) for n in range(AT_ONCE)]
    calls = (one.check(signed, "dev", action, False, now_ns) for one in many)
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(one is None or isinstance(one, errors.TencentError) for one in outcomes), outcomes
    return outcomes.count(None)


async def test_a_message_is_received_by_one(two: tuple[Database, Database]) -> None:
    queues = [Queues(database) for database in two]
    await asyncio.gather(*(one.create("dev", "q") for one in queues))
    sent = [await queues[n % 2].send("dev", "q", str(n).encode(), cause=f"cause {n}") for n in range(20)]
    assert await queues[1].send("dev", "q", b"again", cause="cause 3") == sent[3]
    taken = await asyncio.gather(*(queues[n % 2].receive("dev", "q", limit=7) for n in range(AT_ONCE)))
    got = [message.body for some in taken for message in some]
    assert sorted(got) == sorted(str(n).encode() for n in range(20))


async def test_events_are_numbered_without_holes(two: tuple[Database, Database], tmp_path: Path) -> None:
    house = House(tmp_path, two[0].engine.url.render_as_string(hide_password=False))
    await house.open()
    written = await house.make()

    def add(n: int, connection: Connection) -> None:
        lock(connection, [written.spec.id])
        add_events(connection, written.spec.id, [Draft("test", 1, {"n": n}, f"test {n // 2}")])

    await asyncio.gather(*(two[n % 2].run(lambda connection, n=n: add(n, connection)) for n in range(20)))  # type: ignore[misc]
    async with two[0].reading() as session:
        seqs = (await session.scalars(select(tables.Event.seq).order_by(tables.Event.seq))).all()
    assert list(seqs) == list(range(1, 11))  # each cause once
    await house.database.close()


async def test_a_resource_is_started_once(two: tuple[Database, Database]) -> None:
    """Agora's acquire and start, of which a client may send several at a time."""
    async with agora(database=two[0]) as server:
        resource = await server.acquire()
        answers = await asyncio.gather(*(server.start(resource) for _ in range(AT_ONCE)))
        assert sorted(answer.status_code for answer in answers)[:2] == [200, 201]
        async with two[1].reading() as session:
            assert len((await session.scalars(select(tables.Recording))).all()) == 1
