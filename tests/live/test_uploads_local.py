"""Journals to rows to files in the local storage folder: exactly once, in order, and again after a kill."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select, update

from reelroom.deliver import pending
from reelroom.deliver.follow import Follower
from reelroom.deliver.storage import LocalStorage
from reelroom.domain import lines
from reelroom.domain.recording import Format, Naming
from reelroom.store.tables import Event, File, Recording
from tests.journals import House


async def rows(house: House, recording: str) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    async with house.database.reading() as session:
        files = await session.scalars(select(File).where(File.recording == recording).order_by(File.id))
        found = [(row.role, row.output, row.number, row.key, row.path, row.sha256) for row in files]
        events = await session.scalars(select(Event).where(Event.recording == recording).order_by(Event.seq))
        return found, [(row.seq, row.id, row.type) for row in events]


async def types(house: House, recording: str) -> list[str]:
    return [str(row[2]) for row in (await rows(house, recording))[1]]


async def test_a_recording_goes_from_its_journal_to_storage_and_is_finished(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        written = await house.make()
        written.begin("alice", "bob")
        for _ in range(3):
            written.segment("001")
            written.segment("002")
        written.end(files={"001.mp4": b"m" * 5000})
        await house.until_state(written.spec.id)
        folder = house.storage / written.spec.id
        names = sorted(path.name for path in folder.iterdir())
        assert names == sorted(
            ["alice_camera.m3u8", "alice_camera.mp4", "alice_camera_init1.mp4", "bob_camera.m3u8"]
            + ["bob_camera_init1.mp4"]
            + [f"{who}_camera_0000{n}.m4s" for who in ("alice", "bob") for n in (1, 2, 3)]
        )
        assert (folder / "alice_camera.mp4").stat().st_nlink == 2  # linked, not copied
        text = (folder / "alice_camera.m3u8").read_text()
        assert text.endswith("#EXT-X-ENDLIST\n")
        assert [line for line in text.splitlines() if not line.startswith("#")] == [
            f"alice_camera_0000{n}.m4s" for n in (1, 2, 3)
        ]
        row = await house.recording(written.spec.id)
        assert (row.reason, row.state) == ("requested", "finished")
        told = await types(house, written.spec.id)
        assert told[0] == "recording.started" and told[-1] == "recording.finished"
        assert told.count("recording.finished") == told.count("recording.stopped") == 1
        assert told.count("segment.closed") == 6
        assert "upload.failing" not in told
        async with house.database.reading() as session:
            last = await session.scalar(select(Event).where(Event.type == "recording.finished"))
        assert last is not None
        listed = {file["key"]: file for file in last.data["files"]}
        mp4 = listed[f"{written.spec.id}/alice_camera.mp4"]
        assert (mp4["bytes"], mp4["sha256"]) == (5000, hashlib.sha256(b"m" * 5000).hexdigest())
        assert listed[f"{written.spec.id}/alice_camera.m3u8"]["bytes"] == len(text)


async def test_reading_a_journal_again_changes_nothing(tmp_path: Path) -> None:
    house = await House(tmp_path).open()
    written = await house.make()
    written.begin("alice", "bob")
    written.segment("001")
    written.segment("002")
    written.append(lines.Paused(at_ns=5), lines.Resumed(at_ns=6))
    await house.follower.follow(written.spec.id)
    before = await rows(house, written.spec.id)
    async with house.database.transaction() as session:
        await session.execute(update(Recording).values(journal_offset=0, journal_lines=0))
    assert await house.follower.follow(written.spec.id) == written.n
    assert await rows(house, written.spec.id) == before
    await house.database.close()


async def test_a_new_database_gets_the_same_rows_from_the_folders(tmp_path: Path) -> None:
    house = await House(tmp_path).open()
    written = await house.make()
    written.begin("alice")
    written.segment()
    written.end(files={"001.mp4": b"x"})
    await house.follower.catch_up()
    before = await rows(house, written.spec.id)
    await house.database.close()
    again = await House(tmp_path, f"sqlite:///{tmp_path / 'other.db'}").open()
    assert await again.follower.rebuild() == 1
    assert await again.follower.rebuild() == 0
    await again.follower.catch_up()
    assert await rows(again, written.spec.id) == before
    await again.database.close()


async def test_lines_are_indexed_once_however_many_followers_read_them(tmp_path: Path) -> None:
    house = await House(tmp_path).open()
    written = await house.make()
    other = Follower(house.database, house.recordings)
    written.begin("alice")
    for _ in range(400):
        written.segment(size=10)
    await asyncio.gather(house.follower.follow(written.spec.id), other.follow(written.spec.id))
    await house.follower.follow(written.spec.id)
    files, events = await rows(house, written.spec.id)
    assert [row[2] for row in files if row[0] == "segment"] == list(range(1, 401))
    assert [row[0] for row in events] == list(range(1, len(events) + 1))
    assert (await house.recording(written.spec.id)).journal_lines == written.n
    await house.database.close()


async def test_a_torn_line_waits_and_a_broken_one_stops_that_recording_alone(tmp_path: Path) -> None:
    house = await House(tmp_path).open()
    torn, broken, fine = [await house.make() for _ in range(3)]
    for written in (torn, broken, fine):
        written.begin("alice")
    with (torn.folder / "journal.jsonl").open("ab") as file:
        file.write(b'{"n":99,"at')
    with (broken.folder / "journal.jsonl").open("ab") as file:
        file.write(b'{"n":"what"}\n')
    await house.follower.catch_up()
    assert house.follower.broken == {broken.spec.id}
    assert await house.state(torn.spec.id) == await house.state(fine.spec.id) == "recording"
    await house.database.close()


async def test_names_that_collide_are_told_apart(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        written = await house.make(naming=Naming(prefix="", file="call", segment="{sequence}"))
        written.begin("alice", "bob")
        written.segment("001")
        written.segment("002")
        written.end()
        await house.until_state(written.spec.id)
        names = sorted(path.name for path in house.storage.iterdir())
        assert names == ["1.m4s", "1_002.m4s", "call.m3u8", "call_002.m3u8", "call_init1.mp4", "call_init1_002.mp4"]
        assert "1_002.m4s" in (house.storage / "call_002.m3u8").read_text()


async def test_without_hls_only_finished_files_leave(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        written = await house.make(formats=(Format.MP4,))
        written.begin("alice")
        written.segment()
        written.end(files={"001.mp4": b"x"})
        await house.until_state(written.spec.id)
        assert [path.name for path in (house.storage / written.spec.id).iterdir()] == ["alice_camera.mp4"]


async def test_a_file_may_be_stored_under_several_names_and_is_once_however_often_the_journal_is_read(
    tmp_path: Path,
) -> None:
    naming = Naming(copies={"mp4": ("again/{identity}", "{identity}_{source}")})
    async with House(tmp_path) as house:
        written = await house.make(formats=(Format.MP4,), naming=naming)
        written.begin("alice")
        written.segment()
        written.end(files={"001.mp4": b"x"})
        await house.until_state(written.spec.id)
        folder = house.storage / written.spec.id
        names = ["again/alice.mp4", "alice_camera.mp4", "alice_camera_001.mp4"]  # the last one's was taken
        assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.mp4")) == names
    house = await House(tmp_path / "other").open()
    written = await house.make(formats=(Format.MP4,), naming=naming)
    written.begin("alice")
    written.end(files={"001.mp4": b"x"})
    await house.follower.follow(written.spec.id)
    before = await rows(house, written.spec.id)
    async with house.database.transaction() as session:
        await session.execute(update(Recording).values(journal_offset=0, journal_lines=0, state="recording"))
    assert await house.follower.follow(written.spec.id) == written.n
    assert await rows(house, written.spec.id) == before and len(before[0]) == 3
    await house.database.close()


async def test_beside_hls_the_finishers_copies_are_neither_uploaded_nor_told_of(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        written = await house.make()
        written.begin("alice")
        line = written.segment()
        written.append(msgspec.structs.replace(line, rendition="copy", path="segments/001/copy/00001.m4s"))
        written.end()
        await house.until_state(written.spec.id)
        assert (await types(house, written.spec.id)).count("segment.closed") == 1
        assert len([row for row in (await rows(house, written.spec.id))[0] if row[0] == "segment"]) == 1


async def test_pokes_that_get_lost_are_made_up_for(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        quiet, loud = await house.make(), await house.make()
        quiet.run = None  # it pokes nobody
        loud.begin("alice")
        quiet.begin("alice")
        quiet.segment()

        async def seen() -> bool:
            house.follower.poke(loud.spec.id)
            return (await house.recording(quiet.spec.id)).journal_lines == quiet.n

        await house.until(seen, 5)


async def test_a_line_that_makes_no_sense_stops_that_recording_alone(tmp_path: Path) -> None:
    house = await House(tmp_path).open()
    written, fine = await house.make(), await house.make()
    written.begin("alice")
    written.append(msgspec.structs.replace(written.segment(), container="avi", number=2))
    fine.begin("bob")
    await house.follower.catch_up()
    assert house.follower.broken == {written.spec.id}
    assert await house.state(fine.spec.id) == "recording"
    await house.database.close()


async def test_nobody_came_is_finished_without_files(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        written = await house.make()
        written.begin()
        written.end(reason="idle")
        await house.until_state(written.spec.id)
        assert (await house.recording(written.spec.id)).reason == "idle"


async def test_an_error_ends_as_failed_with_the_files_it_has(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        written = await house.make()
        written.begin("alice")
        written.segment()
        written.end(reason="error")
        await house.until_state(written.spec.id, "failed")
        assert (await types(house, written.spec.id))[-1] == "recording.failed"


async def test_a_lost_segment_is_said_in_playlist_and_event(tmp_path: Path) -> None:
    house = await House(tmp_path).open()
    written = await house.make()
    written.begin("alice")
    lost = written.segment()
    written.segment()
    os.unlink(written.folder / lost.path)
    written.end()
    async with house:
        await house.until_state(written.spec.id)
        text = (house.storage / written.spec.id / "alice_camera.m3u8").read_text()
        assert "#EXT-X-GAP\n#EXTINF:6.000000,\nalice_camera_00001.m4s" in text
        assert "upload.failing" in await types(house, written.spec.id)
        assert "gone" in (await house.recording(written.spec.id)).message


@pytest.mark.parametrize("path", ["../../secrets", "/etc/hostname"])
async def test_a_journal_cannot_name_a_file_outside_its_folder(tmp_path: Path, path: str) -> None:
    async with House(tmp_path) as house:
        written = await house.make(formats=(Format.MP4,))
        written.begin()
        written.append(
            lines.File(
                output="001",
                identity="a",
                source="camera",
                kind="av",
                format="mp4",
                path=path,
                bytes=1,
                sha256="",
                start_ns=1,
                end_ns=2,
                media_start_ns=0,
                duration_ns=1,
            )
        )

        async def refused() -> bool:
            async with house.database.reading() as session:
                row = await session.scalar(select(File))
            return row is not None and "outside" in row.error

        await house.until(refused)
        assert not list(house.storage.rglob("*.mp4"))


async def test_closed_segments_wait_for_each_other_and_a_stop_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "TICK_NS", 3600 * 10**9)
    house = House(tmp_path)
    house.follower._poll_s = house.uploader._poll_s = 3600
    async with house:
        written = await house.make()
        written.begin("alice")

        async def begun() -> bool:
            return await house.state(written.spec.id) == "recording"

        await house.until(begun)
        written.segment()
        await asyncio.sleep(0.3)
        assert "segment.closed" not in await types(house, written.spec.id)
        written.end()
        await house.until_state(written.spec.id, timeout_s=5)
        assert (house.storage / written.spec.id / "alice_camera.m3u8").read_text().endswith("#EXT-X-ENDLIST\n")


async def test_a_playlist_that_grew_while_it_was_uploaded_is_uploaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, release = threading.Event(), threading.Event()
    put = LocalStorage._put_all

    def slow(self: LocalStorage, objects: list[tuple[str, Path | bytes]]) -> object:
        if not begun.is_set() and any(key.endswith(".m3u8") for key, _ in objects):
            begun.set()
            assert release.wait(20)
        return put(self, objects)

    monkeypatch.setattr(LocalStorage, "_put_all", slow)
    async with House(tmp_path) as house:
        written = await house.make()
        written.begin("alice")
        written.segment()
        assert await asyncio.to_thread(begun.wait, 10)
        written.segment()

        async def both_there() -> bool:
            async with house.database.reading() as session:
                found = await session.scalars(select(File.id).where(File.role == "segment", File.state == "uploaded"))
                return len(found.all()) == 2

        await house.until(both_there)
        release.set()
        playlist = house.storage / written.spec.id / "alice_camera.m3u8"

        async def names_both() -> bool:
            return playlist.exists() and "alice_camera_00002.m4s" in playlist.read_text()

        await house.until(names_both, 5)
