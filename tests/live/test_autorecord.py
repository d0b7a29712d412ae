"""Auto-record rules: an ingest process's words are made up, control and its database are real; at the end all is."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select, update

from reelroom.config import Settings
from reelroom.control.apps import Apps
from reelroom.control.autorecord import AutoRecord
from reelroom.control.changes import Changes
from reelroom.control.errors import ControlError
from reelroom.control.recordings import Recordings
from reelroom.control.rules import Rules
from reelroom.control.starts import Starts
from reelroom.control.streams import Streams
from reelroom.control.templates import Templates
from reelroom.domain.media import TrackInfo
from reelroom.domain.recording import RecordingSpec, Source
from reelroom.domain.rules import Per, Rule
from reelroom.record.paths import ingest_socket
from reelroom.rooms import protocol
from reelroom.store.db import Database
from reelroom.store.migrations import upgrade
from reelroom.store.secrets import SecretBox
from reelroom.store.tables import Recording
from tests.live.calls import call
from tests.servers import Server, running

S = 1_000_000_000


class NoDisk:
    """Recorders without folders and processes."""

    async def prepare(self, spec: RecordingSpec) -> None:
        pass

    async def start(self, recording: str) -> bool:
        return True


class Ingest:
    """An ingest process's end of the bus: says which tracks there are to whoever watches."""

    def __init__(self, run: Path) -> None:
        self._path = ingest_socket(run, 0)
        self._tracks: dict[int, protocol.Published] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        self._number = 0

    async def open(self) -> None:
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self._path))

    async def die(self) -> None:
        """With all of its tracks."""
        self._server.close()
        self._tracks.clear()
        for writer in list(self._writers):
            writer.close()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length, kind = protocol.PREFIX.unpack(await reader.readexactly(protocol.PREFIX.size))
        assert isinstance(protocol.decode(kind, await reader.readexactly(length - 1)), protocol.Watch)
        self._writers.add(writer)
        first = [protocol.Hello(ingest="i", room_ns=0, ring_s=10), *self._tracks.values(), protocol.CaughtUp(room_ns=0)]
        writer.write(b"".join(protocol.encode(message) for message in first))

    def come(self, room: str, identity: str, source: Source = Source.CAMERA, ago_s: float = 0) -> int:
        self._number += 1
        at = time.time_ns() - int(ago_s * S)
        info = TrackInfo(
            track=self._number, identity=identity, source=source, codec="h264", clock_rate=90_000, session=identity
        )
        said = protocol.Published(app="dev", room=room, info=info, room_ns=at, joined_ns=at, here=True)
        self._tracks[self._number] = said
        self._tell(said)
        return self._number

    def go(self, track: int) -> None:
        said = self._tracks.pop(track)
        self._tell(protocol.Published(**{**_fields(said), "here": False, "reason": "left"}))

    def _tell(self, message: protocol.Published) -> None:
        for writer in self._writers:
            writer.write(protocol.encode(message))


def _fields(said: protocol.Published) -> dict[str, Any]:
    return {name: getattr(said, name) for name in said.__struct_fields__}


class Control:
    """A control process's parts that rules need; `kill` is as kill -9: nothing is put in order."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self.database = Database(f"sqlite:///{folder / 'r.db'}")
        box = SecretBox(key)
        self.apps = Apps(self.database, box)
        self.templates = Templates(self.database, box)
        self.rules = Rules(self.database, self.templates)
        self.streams = Streams(folder, 1)
        settings = Settings(dev=True)
        self.recordings = Recordings(settings, self.database, NoDisk(), Changes(), None)  # type: ignore[arg-type]
        self.starts = Starts(settings, self.database, box, NoDisk())  # type: ignore[arg-type]
        self.auto = AutoRecord(10, self.apps, self.streams, self.rules, self.templates, self.recordings, self.starts)

    async def start(self) -> Control:
        await upgrade(self.database.engine)
        await self.apps.ensure_dev()
        await self.auto.start()
        self.streams.start()
        return self

    async def kill(self) -> None:
        await self.streams.stop()
        await self.auto.stop()
        await self.database.close()

    async def rule(self, **fields: Any) -> str:
        template = await self.templates.create("dev", "native", "t", fields.pop("body", {"formats": ["mp4"]}))
        return (await self.rules.create("dev", "native", "r", Rule(template=template.id, **fields))).id

    async def rows(self) -> list[Recording]:
        async with self.database.reading() as session:
            return list((await session.scalars(select(Recording).order_by(Recording.created_ns))).all())

    async def end(self, recording: str, reason: str) -> None:
        """As the follower does when it reads that in the journal."""
        values = {"state": "finishing", "reason": reason, "stopped_ns": time.time_ns()}
        async with self.database.transaction() as session:
            await session.execute(update(Recording).where(Recording.id == recording).values(**values))
        self.auto.ended(recording)

    async def until(self, count: int) -> list[Recording]:
        """Once there are so many recordings; and no more a little later."""

        async def there() -> bool:
            return len(await self.rows()) >= count

        await until(there)
        await asyncio.sleep(0.3)
        rows = await self.rows()
        assert len(rows) == count
        return rows


async def until(check: Callable[[], Awaitable[bool]], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not await check():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.02)


@pytest.fixture
async def ingest(tmp_path: Path) -> AsyncIterator[Ingest]:
    made = Ingest(tmp_path)
    await made.open()
    yield made
    await made.die()


@pytest.fixture
async def control(tmp_path: Path, ingest: Ingest) -> AsyncIterator[Control]:
    made = await Control(tmp_path, Fernet.generate_key()).start()
    yield made
    await made.kill()


async def test_each_stream_that_matches_gets_a_recording_and_no_other(control: Control, ingest: Ingest) -> None:
    rule = await control.rule(room="class-*", identity="teacher?", outputs=("camera",), resume_s=7)
    for room, identity, source in (
        ("class-1", "teacher1", Source.MICROPHONE),
        ("class-1", "teacher1", Source.CAMERA),
        ("class-1", "teacher1", Source.SCREEN),
        ("class-1", "teacher12", Source.CAMERA),
        ("Class-1", "teacher1", Source.CAMERA),
        ("class-2", "teacher1", Source.CAMERA),
    ):
        ingest.come(room, identity, source)
    rows = await control.until(2)
    assert sorted(row.room for row in rows) == ["class-1", "class-2"]
    spec = rows[0].spec
    assert spec["limits"]["idle_s"] == 7
    assert spec["subscription"]["audio"]["include"] == spec["subscription"]["video"]["include"] == ["teacher1"]
    assert set(spec["subscription"]["sources"]) == {"microphone", "camera"}
    assert spec["formats"] == ["mp4"]
    assert {(row.match or "").partition(":")[0] for row in rows} == {rule}


async def test_a_room_gets_one_recording_for_all_who_come(control: Control, ingest: Ingest) -> None:
    await control.rule(per=Per.ROOM, body={"subscription": {"audio": {"exclude": ["bot"]}}})
    for identity in ("ann", "bob", "bot"):
        ingest.come("r", identity)
    (row,) = await control.until(1)
    assert row.spec["subscription"]["audio"]["exclude"] == ["bot"]


async def test_a_recording_reaches_back_to_the_streams_beginning_if_the_ring_has_it(
    control: Control, ingest: Ingest
) -> None:
    await control.rule()
    await asyncio.sleep(2)
    ingest.come("r", "late", ago_s=1.5)
    (row,) = await control.until(1)
    assert 1.5 <= row.spec["preroll_s"] <= 10
    before = await control.rows()
    ingest.come("r", "old", ago_s=3600)
    rows = [one for one in await control.until(2) if one.id != before[0].id]
    assert rows[0].spec["preroll_s"] < 10  # not before the rule was there


async def test_who_comes_back_in_time_goes_on_and_who_comes_later_begins_anew(control: Control, ingest: Ingest) -> None:
    await control.rule()
    track = ingest.come("r", "ann")
    (first,) = await control.until(1)
    ingest.go(track)
    track = ingest.come("r", "ann")
    await control.until(1)
    ingest.go(track)
    await asyncio.sleep(0.2)
    await control.end(first.id, "idle")
    await control.until(1)
    ingest.come("r", "ann")
    await control.until(2)


async def test_who_comes_back_while_the_recorder_ends_gets_another_recording(control: Control, ingest: Ingest) -> None:
    await control.rule()
    track = ingest.come("r", "ann")
    (first,) = await control.until(1)
    ingest.go(track)
    ingest.come("r", "ann")
    await control.until(1)  # it still counts as going on
    await control.end(first.id, "idle")
    await control.until(2)


@pytest.mark.parametrize("reason", ["requested", "max_duration", "error", "disk_full"])
async def test_what_was_stopped_is_not_begun_again_before_they_have_left(
    control: Control, ingest: Ingest, reason: str
) -> None:
    await control.rule(per=Per.ROOM)
    ann = ingest.come("r", "ann")
    (first,) = await control.until(1)
    await asyncio.sleep(0.05)
    await control.end(first.id, reason)
    bob = ingest.come("r", "bob")
    await control.until(1)
    ingest.go(ann)
    ingest.go(bob)
    await asyncio.sleep(0.2)
    ingest.come("r", "bob")
    await control.until(2)


async def test_a_stream_that_the_template_does_not_want_starts_no_row_of_recordings(
    control: Control, ingest: Ingest
) -> None:
    await control.rule(per=Per.ROOM)
    ingest.come("r", "ann", ago_s=60)
    (first,) = await control.until(1)
    await control.end(first.id, "idle")
    await control.until(1)


async def test_a_rule_holds_for_who_is_there_already_until_it_is_disabled_or_deleted(
    control: Control, ingest: Ingest
) -> None:
    ingest.come("r", "ann")
    await asyncio.sleep(0.3)
    assert await control.rows() == []
    rule = await control.rule()
    await control.until(1)
    known = control.rules.get("dev", rule).rule
    await control.rules.change("dev", rule, rule=Rule(template=known.template, enabled=False))
    ingest.come("r", "bob")
    await control.until(1)
    await control.rules.change("dev", rule, rule=Rule(template=known.template))
    await control.until(2)
    await control.rules.delete("dev", rule)
    ingest.come("r", "carl")
    await control.until(2)


async def test_a_killed_control_starts_nothing_twice_and_misses_nothing(tmp_path: Path, ingest: Ingest) -> None:
    key = Fernet.generate_key()
    control = await Control(tmp_path, key).start()
    await control.rule()
    tracks = [ingest.come("r", f"p{number}") for number in range(10)]

    async def some() -> bool:
        return len(await control.rows()) >= 3

    await until(some)
    await control.kill()  # in the middle
    ingest.go(tracks[0])
    ingest.come("r", "p0")
    ingest.come("r", "new")
    control = await Control(tmp_path, key).start()
    rows = await control.until(11)
    await control.kill()
    assert len({row.match for row in rows}) == 11
    control = await Control(tmp_path, key).start()
    await control.until(11)
    await control.kill()


async def test_two_controls_start_one_recording(tmp_path: Path, ingest: Ingest) -> None:
    key = Fernet.generate_key()
    one = await Control(tmp_path, key).start()
    await one.rule()
    two = await Control(tmp_path, key).start()
    for number in range(10):
        ingest.come("r", f"p{number}")
    await one.until(10)
    await one.kill()
    await two.kill()


async def test_an_ingest_that_was_restarted_is_followed_again(control: Control, ingest: Ingest) -> None:
    await control.rule()
    ingest.come("r", "ann")
    (first,) = await control.until(1)
    await ingest.die()
    await asyncio.sleep(0.3)
    assert control.streams.all("dev")  # nobody knows; the recorder waits too
    await ingest.open()

    async def forgotten() -> bool:
        return not control.streams.all("dev")

    await until(forgotten)
    ingest.come("r", "ann")
    await control.until(1)  # the recording goes on
    ingest.come("r", "bob")
    await control.until(2)
    assert first.state == "starting"


async def test_a_start_that_is_refused_is_said_and_made_good_when_its_template_is(
    control: Control, ingest: Ingest
) -> None:
    rule = await control.rule(body={"preroll_s": 50})  # the ring is shorter
    ingest.come("r", "ann")

    async def said() -> bool:
        return "preroll" in control.auto.failures.get(rule, "")

    await until(said)
    assert await control.rows() == []
    template = control.rules.get("dev", rule).rule.template
    await control.templates.change("dev", "native", template, body={})
    ingest.come("r", "bob")
    await control.until(1)
    assert rule not in control.auto.failures
    with pytest.raises(ControlError):
        await control.templates.delete("dev", "native", template)


@pytest.fixture(scope="module")
def server() -> Any:
    with running() as started:
        yield started


async def test_a_real_call_is_recorded_once_over_kills_of_control_and_a_return(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        body = {"name": "t", "recording": {"formats": ["mp4"], "library": {"tags": ["auto"], "retention_days": 1}}}
        template = people.api.post("/api/v1/templates", json=body).raise_for_status().json()["id"]
        rule = {"name": "r", "template": template, "room": people.room, "identity": "a*", "resume_s": 12}
        people.api.post("/api/v1/rules", json=rule).raise_for_status()

        def listed() -> list[dict[str, Any]]:
            found = people.api.get("/api/v1/recordings", params={"room": people.room}).raise_for_status().json()
            return list(found["recordings"])

        async def one() -> bool:
            return len(await asyncio.to_thread(listed)) == 1

        ann = await people.join("ann")
        await people.join("bob")
        await until(one)
        (recording,) = listed()
        os.kill(server.children()["control"], signal.SIGKILL)
        await asyncio.sleep(3)
        await people.leave(ann)
        os.kill(server.children()["control"], signal.SIGKILL)
        await asyncio.sleep(2)
        ann = await people.join("ann")
        await asyncio.sleep(4)
        assert [row["id"] for row in await asyncio.to_thread(listed)] == [recording["id"]]
        await people.leave(ann)
        ended = await people.finished(recording["id"])
        assert ended["reason"] == "idle"
        assert ended["rule"] and ended["library"]["tags"] == ["auto"]
        media = people.api.get("/api/v1/media", params={"tag": "auto"}).raise_for_status().json()["media"]
        assert {one["identity"] for one in media} == {"ann"}
        assert {one["recording"] for one in media} == {recording["id"]}
        timeline = people.timeline(recording["id"])
        assert len(timeline["outputs"]) == len(media) == 1
        content = people.api.get(media[0]["url"], headers={"Authorization": ""})
        assert content.status_code == 200 and len(content.content) == media[0]["bytes"]
        assert len(listed()) == 1
        assert people.api.delete(f"/api/v1/media/{media[0]['id']}").status_code == 204
        assert people.api.get(media[0]["url"]).status_code == 404
        await people.end()
