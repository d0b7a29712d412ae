"""The media library: what gets into it and when, how it is found and read, and that what goes is gone everywhere."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update

from reelroom.control.errors import ControlError
from reelroom.control.library import Content, Library, MediaQuery
from reelroom.deliver.retention import Retention
from reelroom.deliver.shelf import Shelf
from reelroom.domain.library import LibrarySpec, media_id
from reelroom.domain.recording import Format
from reelroom.store.tables import Destination, Event, Media, MediaObject, Recording
from tests.journals import House, Written
from tests.places import Place

S = 1_000_000_000


class Shelved(House):
    """A house with a library."""

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        self.shelf = Shelf(self.database, self.uploader, self.recordings)
        self.library = Library(self.database, self.uploader, self.shelf, self.recordings, b"key")

    async def shelve(self, library: LibrarySpec, **spec: Any) -> Written:
        written = await self.make(**spec)
        async with self.database.transaction() as session:
            row = await session.get_one(Recording, written.spec.id)
            row.library = msgspec.to_builtins(library)
            row.dialect_data = {"task": "t"}
        return written

    async def whole(self, library: LibrarySpec | None = None, segments: int = 3, **spec: Any) -> Written:
        """A recording that is finished, with a playlist and an MP4."""
        written = await self.shelve(library or LibrarySpec(), **spec)
        written.begin("alice")
        for _ in range(segments):
            written.segment()
        files = {"001.mp4": b"mp4 of " + written.spec.id.encode()} if Format.MP4 in written.spec.formats else {}
        written.end(files=files)
        await self.until_state(written.spec.id)
        return written

    async def all(self, **query: Any) -> list[Media]:
        rows, total = await self.library.search("app", MediaQuery(**query), limit=100)
        assert total == len(rows)
        return list(rows)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Shelved]:
    async with Shelved(tmp_path) as opened:
        yield opened


async def test_finished_files_get_in_when_all_of_them_is_in_storage(house: Shelved) -> None:
    spec = LibrarySpec(
        tags=("lesson", 'é"x'),
        expire_s=3600,
        name="{room}_{identity}_{source}_{start:%Y-%m-%d-%H-%M-%S}_{end:%H}",
        sources=(("camera", "main"),),
        utc_offset_s=28_800,
    )
    written = await house.shelve(spec)
    written.begin("alice")
    written.segment()
    await house.until(lambda: _uploaded(house, written, "file.uploaded"))  # the playlist that grows
    assert await house.all() == []
    written.segment()
    written.end(files={"001.mp4": b"m" * 100})
    await house.until_state(written.spec.id)
    found = {one.format: one for one in await house.all()}
    assert found.keys() == {"hls", "mp4"}
    hls, mp4 = found["hls"], found["mp4"]
    assert (mp4.bytes, mp4.duration_ns, mp4.kind, mp4.identity) == (100, 6 * S, "av", "alice")
    assert hls.duration_ns == 12 * S
    assert (hls.video_codec, hls.audio_codec, hls.width, hls.height) == ("h264", "opus", 1280, 720)
    assert hls.end_ns - hls.start_ns == 12 * S
    assert (hls.stream, hls.tags, hls.data) == ("room_alice_main", ["lesson", 'é"x'], {"task": "t"})
    assert hls.name.startswith("room_alice_main_") and hls.expires_ns == hls.created_ns + 3600 * S
    async with house.database.reading() as session:
        along = (await session.scalars(select(MediaObject.key).where(MediaObject.media == hls.id))).all()
        said = (await session.scalars(select(Event).where(Event.recording == written.spec.id))).all()
    assert len(along) == 3  # an init segment and two others
    assert hls.bytes == sum((house.storage / key).stat().st_size for key in along)
    told = {event.data["key"]: event.data.get("media") for event in said if event.type == "file.uploaded"}
    assert told == {hls.key: hls.id, mp4.key: mp4.id}
    finished = next(event for event in said if event.type == "recording.finished")
    assert {file["media"] for file in finished.data["files"]} == {hls.id, mp4.id}
    assert mp4.id == media_id(written.spec.id, mp4.key) and len(mp4.id) == 19


async def test_a_journal_that_is_read_again_gives_the_same_files_once(house: Shelved) -> None:
    written = await house.whole()
    before = {one.id for one in await house.all()}
    async with house.database.transaction() as session:
        mine = Recording.id == written.spec.id
        await session.execute(update(Recording).where(mine).values(journal_offset=0, state="recording"))
    house.follower.poke(written.spec.id)
    await house.until_state(written.spec.id)
    assert {one.id for one in await house.all()} == before


async def test_files_are_found_by_what_they_are(house: Shelved) -> None:
    one = await house.whole(LibrarySpec(tags=("a", "b"), name="Lesson_1_{format}"))
    two = await house.whole(LibrarySpec(tags=("ab",), name="lesson_2_{format}", stream="cam"), formats=(Format.MP4,))
    assert {row.recording for row in await house.all(name_prefixes=["Lesson_"])} == {one.spec.id}
    assert {row.recording for row in await house.all(name_prefixes=["lesson_", "none"])} == {two.spec.id}
    assert await house.all(name_prefixes=["esson"]) == []
    assert len(await house.all(names=["esson"])) == 3
    assert {row.recording for row in await house.all(tags=["a"])} == {one.spec.id}
    assert {row.recording for row in await house.all(tags=["x", "ab"])} == {two.spec.id}
    assert {row.recording for row in await house.all(streams=["cam"])} == {two.spec.id}
    assert {row.format for row in await house.all(formats=["mp4"], recordings=[one.spec.id])} == {"mp4"}
    assert await house.all(rooms=["other"]) == await house.all(ids=[]) == await house.all(names=[]) == []
    rows = await house.all()
    middle = rows[1].created_ns
    assert [row.created_ns >= middle for row in await house.all(created_from_ns=middle)] == [True, True]
    assert [row.created_ns < middle for row in await house.all(created_until_ns=middle)] == [True]
    page, total = await house.library.search("app", MediaQuery(), offset=1, limit=1, ascending=True)
    assert (page[0].id, total) == (rows[1].id, 3)
    assert (await house.library.search("other", MediaQuery()))[1] == 0
    with pytest.raises(ControlError):
        await house.library.get("other", rows[0].id)
    assert set(await house.library.many("app", [rows[0].id, "1" * 19])) == {rows[0].id}


async def test_what_is_deleted_is_gone_from_storage_from_this_machine_and_from_the_list(house: Shelved) -> None:
    written = await house.whole()
    found = {one.format: one for one in await house.all()}
    await house.library.delete("app", found["hls"].id)
    stored = {path.name for path in house.storage.rglob("*") if path.is_file()}
    assert stored == {Path(found["mp4"].key).name}
    assert not list((written.folder / "segments").rglob("*.m4s"))
    assert (written.folder / "files" / "001.mp4").exists()
    assert [one.id for one in await house.all()] == [found["mp4"].id]
    with pytest.raises(ControlError):
        await house.library.delete("app", found["hls"].id)
    await house.library.delete("app", found["mp4"].id)
    assert not any(path.is_file() for path in house.storage.rglob("*"))
    assert sorted(path.name for path in written.folder.iterdir()) == ["journal.jsonl", "spec.json"]


async def test_files_go_when_they_expire_and_not_before(house: Shelved) -> None:
    soon = await house.whole(LibrarySpec(expire_s=1000))
    later = await house.whole(LibrarySpec(expire_s=5000))
    ever = await house.whole()
    assert await house.shelf.sweep() == (0, min(one.expires_ns for one in await house.all(recordings=[soon.spec.id])))
    async with house.database.transaction() as session:
        mine = Media.recording == soon.spec.id
        await session.execute(update(Media).where(mine).values(expires_ns=1))
    assert {one.recording for one in await house.all()} == {later.spec.id, ever.spec.id}  # at once
    retention = Retention(house.database, house.recordings, others=[house.shelf.sweep])
    await retention.start()

    async def gone() -> bool:
        return not (soon.folder / "segments").exists()

    await house.until(gone)
    await retention.stop()
    assert not any(path.is_file() for path in (house.storage / soon.spec.id).rglob("*"))
    assert (ever.folder / "segments").exists() and (later.folder / "segments").exists()


async def test_a_storage_that_is_away_keeps_the_file_listed_until_it_lets_it_go(house: Shelved, tmp_path: Path) -> None:
    """Its folder cannot be written to; root may, so a file stands where a folder was."""
    written = await house.whole()
    (mp4,) = await house.all(formats=["mp4"])
    folder = house.storage / written.spec.id
    folder.rename(tmp_path / "aside")
    folder.write_bytes(b"no folder")
    with pytest.raises(ControlError) as caught:
        await house.library.delete("app", mp4.id)
    assert caught.value.kind == "unavailable"
    assert [one.id for one in await house.all(formats=["mp4"])] == [mp4.id]
    folder.unlink()
    (tmp_path / "aside").rename(folder)
    await house.library.delete("app", mp4.id)
    assert await house.all(formats=["mp4"]) == []


async def test_a_file_is_read_by_its_url_and_by_nothing_else(house: Shelved) -> None:
    written = await house.whole()
    other = await house.whole()
    (hls,) = await house.all(formats=["hls"], recordings=[written.spec.id])
    (theirs,) = await house.all(formats=["hls"], recordings=[other.spec.id])
    _, _, rest = house.library.url("http://here/", hls).partition("/media/")
    token, id_, key = rest.split("/", 2)
    key = key.replace("%20", " ")
    assert (id_, key) == (hls.id, hls.key)
    playlist = await house.library.open(token, id_, key)
    assert isinstance(playlist, bytes) and playlist.endswith(b"#EXT-X-ENDLIST\n")
    named = [line for line in playlist.decode().splitlines() if line and not line.startswith("#")]
    base = key.rpartition("/")[0]
    assert len(named) == 3
    for name in named:
        assert isinstance(await house.library.open(token, id_, f"{base}/{name}"), Path)
    for wrong in (
        (token, theirs.id, theirs.key),
        (token, id_, theirs.key),
        (token[:-1] + ("0" if token[-1] != "0" else "1"), id_, key),
        ("1-" + token.partition("-")[2], id_, key),
        ("", id_, key),
    ):
        with pytest.raises(ControlError) as caught:
            await house.library.open(*wrong)
        assert caught.value.kind in ("forbidden", "not_found")


@pytest.mark.parametrize("kind", ["s3", "azblob"])
async def test_files_in_object_storage_are_read_and_deleted_there(house: Shelved, kind: str) -> None:
    import httpx

    place = Place(kind)
    written = await house.whole(destination=await place.destination(house))
    found = {one.format: one for one in await house.all()}
    for name in ("segments", "files"):  # this machine has nothing any more
        os.rename(written.folder / name, house.data / name)
    token = house.library.url("http://here", found["mp4"]).split("/")[4]
    reached = await house.library.open(token, found["mp4"].id, found["mp4"].key)
    if kind == "s3":
        assert isinstance(reached, str)
        async with httpx.AsyncClient(trust_env=False) as client:
            content = (await client.get(reached)).content
    else:  # opendal makes links with a SAS token only
        assert isinstance(reached, Content)
        content = b"".join([chunk async for chunk in reached.chunks])
        assert len(content) == reached.size
    assert content == b"mp4 of " + written.spec.id.encode()
    token = house.library.url("http://here", found["hls"]).split("/")[4]
    playlist = await house.library.open(token, found["hls"].id, found["hls"].key)
    assert isinstance(playlist, bytes) and b"#EXT-X-ENDLIST" in playlist
    for one in found.values():
        await house.library.delete("app", one.id)
        assert await place.read(one.key) is None
    async with house.database.reading() as session:
        left = await session.scalar(select(Recording.destination).where(Recording.id == written.spec.id))
        assert left is not None and await session.get(Destination, left) is not None  # the recording still has it


async def _uploaded(house: House, written: Written, kind: str) -> bool:
    async with house.database.reading() as session:
        query = select(Event.id).where(Event.recording == written.spec.id, Event.type == kind)
        return await session.scalar(query.limit(1)) is not None
