"""Processes are killed with -9 in the middle of a call. The clip's clock in the files says what that cost."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from reelroom.record.verify import verify
from tests.judge import ffmpeg_says, judge
from tests.live.calls import Call, call, kill_recorder
from tests.servers import Server, running


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as started:
        yield started


def assert_whole(people: Call, recording: str, folder: Path) -> None:
    """One playlist and one MP4, each with every frame and beep, in sync; and the journal proves itself."""
    files = people.fetch(recording, folder)
    assert {kind: len(paths) for kind, paths in files.items()} == {"hls": 1, "mp4": 1}
    for path in (files["mp4"][0], files["hls"][0]):
        verdict = judge(path)
        assert verdict.problems(av_p95_ms=20) == [], verdict.summary()
        assert verdict.duplicates == []
        assert ffmpeg_says(path) == ""
    report = verify(people.server.data / "recordings" / recording)
    assert report.problems == []


async def test_a_recorder_killed_twice_loses_and_doubles_nothing(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        await people.join("ann")
        recording = people.start(hls={"segment_s": 2})
        await asyncio.sleep(3.3)
        await kill_recorder(server, recording)
        await asyncio.sleep(2.2)
        await kill_recorder(server, recording)
        await asyncio.sleep(2.5)
        await people.stop(recording)
        await people.end()
        assert_whole(people, recording, tmp_path)
        timeline = people.timeline(recording)
        assert len(timeline["epochs"]) == 3
        assert [output["gaps"] for output in timeline["outputs"]] == [[]]


async def test_control_killed_in_the_middle_is_not_noticed_by_the_recording(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        await people.join("ann")
        recording = people.start(hls={"segment_s": 2})
        await asyncio.sleep(2.5)
        os.kill(server.children()["control"], signal.SIGKILL)
        await asyncio.sleep(2.5)
        await people.stop(recording)
        await people.end()
        assert_whole(people, recording, tmp_path)
        assert len(people.timeline(recording)["epochs"]) == 1


async def test_a_killed_ingest_costs_what_nobody_received_and_says_so(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        first = await people.join("ann")
        recording = people.start(hls={"segment_s": 2})
        await asyncio.sleep(3)
        os.kill(server.children()["ingest-0"], signal.SIGKILL)
        await people.leave(first, goodbye=False)  # nobody is there to take it
        await people.join("ann")
        await asyncio.sleep(4)
        await people.stop(recording)
        await people.end()
        (output,) = people.timeline(recording)["outputs"]
        assert {gap["reason"] for gap in output["gaps"]} == {"ingest_restart"}
        files = people.fetch(recording, tmp_path)
        assert len(files["mp4"]) == len(files["hls"]) == 1
        assert ffmpeg_says(files["mp4"][0], uneven=True) == ""
        assert verify(server.data / "recordings" / recording).problems == []
