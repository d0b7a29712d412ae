"""Local media goes when its time has come, and only what is safely in storage."""

from __future__ import annotations

import os
from pathlib import Path

from reelroom.deliver.retention import Retention
from tests.journals import House


async def test_media_goes_after_its_time_and_the_journal_stays(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        done, lost, running = [await house.make() for _ in range(3)]
        for written in (done, lost, running):
            written.begin("alice")
            segment = written.segment()
            if written is lost:
                written.segment()
                os.unlink(written.folder / segment.path)
        done.end(files={"001.mp4": b"m"})
        lost.end()
        await house.until_state(done.spec.id)
        await house.until_state(lost.spec.id)
        assert await Retention(house.database, house.recordings).sweep() == 0
        assert await Retention(house.database, house.recordings, 3600).sweep() == 0
        assert (done.folder / "segments").is_dir()
        retention = Retention(house.database, house.recordings, 0)
        assert await retention.sweep() == 1
        assert await retention.sweep() == 0
        assert sorted(path.name for path in done.folder.iterdir()) == ["journal.jsonl", "spec.json"]
        assert (lost.folder / "segments").is_dir()
        assert (running.folder / "segments").is_dir()
        assert (house.storage / done.spec.id / "alice_camera.mp4").read_bytes() == b"m"  # a link of its own


async def test_a_rebuilt_database_finds_uploaded_files_in_storage_though_the_local_ones_are_gone(
    tmp_path: Path,
) -> None:
    async with House(tmp_path) as house:
        written = await house.make()
        written.begin("alice")
        written.segment()
        written.end(files={"001.mp4": b"m"})
        await house.until_state(written.spec.id)
        await Retention(house.database, house.recordings, 0).sweep()
    again = await House(tmp_path, f"sqlite:///{tmp_path / 'new.db'}").open()
    assert await again.follower.rebuild() == 1
    async with again:
        await again.until_state(written.spec.id)
        assert (await again.recording(written.spec.id)).message == ""
