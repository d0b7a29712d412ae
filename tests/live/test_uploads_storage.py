"""Uploads to real object storage that is slow, away, or half there; and an uploader that is killed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import opendal
import pytest
from sqlalchemy import select

from reelroom.deliver import storage as deliver_storage
from reelroom.store.tables import Event, File
from tests import storage
from tests.journals import House
from tests.places import Place
from tests.proxy import Proxy


@pytest.fixture(params=["s3", "azblob"])
def place(request: pytest.FixtureRequest) -> Place:
    return Place(request.param)


@pytest.fixture
def quick_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver_storage, "CHUNK_TIMEOUT_S", 3)
    monkeypatch.setattr(deliver_storage, "CONTROL_TIMEOUT_S", 3)


async def told(house: House, recording: str) -> list[str]:
    async with house.database.reading() as session:
        query = select(Event.type).where(Event.recording == recording).order_by(Event.seq)
        return list((await session.scalars(query)).all())


async def test_everything_arrives_whole_and_the_playlist_only_names_what_is_there(tmp_path: Path, place: Place) -> None:
    async with House(tmp_path) as house, Proxy("127.0.0.1", place.server.port) as proxy:
        written = await house.make(await place.destination(house, proxy.port))
        key = f"{written.spec.id}/alice é:_camera.m3u8"
        await place.direct.write("warm", b"up")  # SeaweedFS takes seconds for a bucket's first object
        written.begin("alice é:")
        seen: list[int] = []
        done = asyncio.Event()

        async def watch() -> None:
            while not done.is_set():
                named = await place.playlist(key)
                for each in named or ():
                    assert await place.direct.exists(each), f"{each} is named but not there"
                if named:
                    seen.append(len(named))
                await asyncio.sleep(0.03)

        watcher = asyncio.create_task(watch())
        for n in range(18):
            written.segment(size=50_000)
            if n in (5, 11):
                proxy.set("503")
            if n in (7, 13):
                proxy.set("pass")
            await asyncio.sleep(0.3)
        big = os.urandom(1 << 20) * 21
        written.end(files={"001.mp4": big})
        await house.until_state(written.spec.id, timeout_s=60)
        done.set()
        await watcher
        assert seen == sorted(seen)
        assert len(set(seen)) > 2  # it grew while recording
        assert (await place.read(key) or b"").endswith(b"#EXT-X-ENDLIST\n")
        assert await place.read(f"{written.spec.id}/alice_camera.mp4") == big
        async with house.database.reading() as session:
            rows = (await session.scalars(select(File).where(File.role == "segment"))).all()
        assert len(rows) == 18
        for row in rows:
            assert await place.read(row.key) == (written.folder / row.path).read_bytes()


@pytest.mark.parametrize("mode", ["refuse", "503", "stall", "reset"])
@pytest.mark.usefixtures("quick_timeouts")
async def test_storage_that_is_away_for_a_while_loses_nothing_and_is_told_once(tmp_path: Path, mode: str) -> None:
    place = Place("s3")
    async with House(tmp_path) as house, Proxy("127.0.0.1", place.server.port, mode) as proxy:
        proxy.reset_after = 600
        written = await house.make(await place.destination(house, proxy.port))
        written.begin("alice")
        for _ in range(5):
            written.segment()

        async def failing() -> bool:
            return "upload.failing" in await told(house, written.spec.id)

        await house.until(failing, 20)
        for _ in range(5):
            written.segment()
        written.end(files={"001.mp4": os.urandom(20 << 20)})
        await asyncio.sleep(1.5)
        assert await house.state(written.spec.id) == "uploading"
        assert (await house.uploader.stats()).failing > 0
        proxy.set("pass")
        await house.until_state(written.spec.id, timeout_s=60)
        types = await told(house, written.spec.id)
        assert types.count("upload.failing") == types.count("upload.recovered") == 1
        assert types.index("upload.failing") < types.index("upload.recovered") < types.index("recording.finished")
        assert types[-1] == "recording.finished"
        assert len(await place.playlist(f"{written.spec.id}/alice_camera.m3u8") or ()) == 11
        for path in written.folder.rglob("*.m4s"):
            name = f"alice_camera_{path.stem}.m4s"
            assert await place.read(f"{written.spec.id}/{name}") == path.read_bytes()
        assert (await house.uploader.stats()).pending == 0


async def test_one_recordings_dead_storage_holds_up_nobody_else(tmp_path: Path) -> None:
    place = Place("s3")
    async with House(tmp_path) as house, Proxy("127.0.0.1", place.server.port, "stall") as dead:
        for _ in range(5):
            stuck = await house.make(await place.destination(house, dead.port))
            stuck.begin("alice")
            for _ in range(30):
                stuck.segment()
        await asyncio.sleep(0.5)
        fine = await house.make(await place.destination(house))
        fine.begin("bob")
        for _ in range(5):
            fine.segment()
        fine.end()
        await house.until_state(fine.spec.id)
        assert "upload.failing" not in await told(house, stuck.spec.id)  # its uploads are still under way


async def test_credentials_are_in_no_event_error_or_row(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    place = Place("s3")
    secret, key = "wrong-Secret-4711", "wrong-Access-4711"
    async with House(tmp_path) as house:
        written = await house.make(
            await place.destination(house, secret_access_key=secret, access_key_id=key, session_token="tok-4711-tok")
        )
        written.begin("alice")
        written.segment()

        async def failing() -> bool:
            return "upload.failing" in await told(house, written.spec.id)

        await house.until(failing, 20)
    written_down = b"".join(path.read_bytes() for path in tmp_path.glob("reelroom.db*"))
    output = "".join(capfd.readouterr())
    assert "upload failed" in output
    for word in (secret, key, "tok-4711-tok"):
        assert word.encode() not in written_down
        assert word not in output


async def test_a_killed_uploader_completes_after_restart_without_duplicates(tmp_path: Path) -> None:
    place = Place("s3")
    house = await House(tmp_path).open()
    async with Proxy("127.0.0.1", place.server.port) as proxy:
        written = await house.make(await place.destination(house, proxy.port))
        written.begin("alice", "bob")
        for _ in range(60):
            written.segment("001", size=20_000)
            written.segment("002", size=20_000)
        script = (
            "import asyncio, sys; from pathlib import Path; from tests.journals import House\n"
            "async def main():\n"
            "    async with House(Path(sys.argv[1])): await asyncio.sleep(600)\n"
            "asyncio.run(main())\n"
        )
        killed_at = []
        for goal in (15, 40, 70):
            root, said = Path(__file__).parents[2], tmp_path / f"uploader-{goal}.log"
            with said.open("wb") as log:
                command = [sys.executable, "-c", script, str(tmp_path)]
                child = subprocess.Popen(command, cwd=root, stdout=log, stderr=subprocess.STDOUT)

            async def some(goal: int = goal, said: Path = said, child: subprocess.Popen[bytes] = child) -> bool:
                assert child.poll() is None, f"the uploader ended by itself:\n{said.read_text()}"
                async with house.database.reading() as session:
                    done = await session.scalars(select(File.id).where(File.state == "uploaded"))
                    return len(done.all()) >= goal

            try:
                await house.until(some, 120)
            except AssertionError as error:
                raise AssertionError(f"{error}; the uploader said:\n{said.read_text()}") from error
            finally:
                child.kill()
                child.wait()
            async with house.database.reading() as session:
                uploaded = await session.scalars(select(File.id).where(File.state == "uploaded"))
                killed_at.append(len(uploaded.all()))
        assert killed_at[-1] < 124  # it was midway
        written.end(files={"001.mp4": b"m" * 1000})
        async with house:
            await house.until_state(written.spec.id, timeout_s=60)
            types = await told(house, written.spec.id)
            assert types.count("segment.closed") == 120
            assert types.count("recording.started") == types.count("recording.finished") == 1
            async with house.database.reading() as session:
                keys = (await session.scalars(select(File.key))).all()
                events = (await session.scalars(select(Event).order_by(Event.seq))).all()
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            uploaded_files = [event.data["key"] for event in events if event.type == "file.uploaded"]
            assert sorted(set(uploaded_files)) == sorted(
                f"{written.spec.id}/{name}" for name in ("alice_camera.m3u8", "alice_camera.mp4", "bob_camera.m3u8")
            )
            assert uploaded_files.count(f"{written.spec.id}/alice_camera.mp4") == 1
        listed = [entry.path async for entry in await place.direct.list(f"{written.spec.id}/")]
        assert sorted(path for path in listed if not path.endswith("/")) == sorted(keys)


async def test_webdav_takes_files_larger_than_a_chunk_as_a_stream(tmp_path: Path) -> None:
    server = storage.seaweedfs()
    async with House(tmp_path) as house:
        options = {"endpoint": f"http://127.0.0.1:{server.webdav}", "root": f"/dav {time.monotonic_ns()}"}
        written = await house.make(await house.destination("webdav", options))
        written.begin("alice")
        written.segment()
        big = os.urandom(1 << 20) * 20
        written.end(files={"001.mp4": big})
        await house.until_state(written.spec.id, timeout_s=60)
        operator = opendal.AsyncOperator("webdav", **options)
        assert bytes(await operator.read(f"{written.spec.id}/alice_camera.mp4")) == big
        assert bytes(await operator.read(f"{written.spec.id}/alice_camera.m3u8")).endswith(b"#EXT-X-ENDLIST\n")


def test_every_service_that_callers_may_name_is_in_opendals_wheel() -> None:
    from reelroom.control.destinations import SERVICES

    samples = {"endpoint": "http://127.0.0.1:1", "credential": "e30=", "account_key": "YWJj"}
    for name, service in SERVICES.items():
        options = {option: samples.get(option, "x") for option in {*service.required, "endpoint"}} | service.fixed
        if name == "fs":
            options = {"root": "/nowhere"}
        deliver_storage.open_storage(name, options)
