"""A recorder whose disk fills up: what was written stays, it ends once and says why."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from reelroom.domain import lines
from reelroom.domain.recording import Hls
from reelroom.record import journal, paths
from tests.fakebus import FakeBus
from tests.media.recorderkit import Fleet, Recording, pair, wait
from tests.media.smalldisk import fill, small_disk


@pytest.fixture
def small() -> Iterator[Fleet]:
    with small_disk() as fleet:
        yield fleet


def test_little_room_ends_it_in_good_order(small: Fleet) -> None:
    bus = FakeBus(paths.ingest_socket(small.run, 0), pair())
    try:
        recording = Recording(small)
        recording.start()
        time.sleep(1.2)
        fill(recording.where.folder.parent, 6 * 1024 * 1024)
        recording.finished()
        recording.sound()
        assert [line.reason for line in recording.lines(lines.Stopped)] == ["disk_full"]
        assert [line.code for line in recording.lines(lines.Notice)] == ["disk_low"]
        assert recording.segments()[-1].video_frames > 0
    finally:
        bus.close()


def test_a_disk_without_any_room_is_waited_for(small: Fleet) -> None:
    bus = FakeBus(paths.ingest_socket(small.run, 0), pair())
    try:
        recording = Recording(small, hls=Hls(segment_s=60))  # none is closed, and its log deleted, when it is full
        pid = recording.start()
        wait(lambda: recording.lines(lines.OutputOpened))
        time.sleep(0.5)
        ballast = fill(recording.where.folder.parent, 0)
        time.sleep(2.5)
        assert not journal.is_finished(recording.where.journal)
        os.kill(pid, 0)  # it lives and waits
        ballast.unlink()
        recording.finished()
        recording.sound()
        assert [line.reason for line in recording.lines(lines.Stopped)] == ["disk_full"]
        assert recording.segments()
        assert len(recording.lines(lines.Opened)) == 1
    finally:
        bus.close()
