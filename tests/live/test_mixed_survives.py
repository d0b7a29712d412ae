"""Processes of a mixed recording are killed in the middle of a call. The clocks in its panes say what that cost."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from reelroom.domain import lines
from reelroom.record import journal
from reelroom.record.paths import Paths
from tests.live.calls import call, kill_recorder
from tests.live.mixed import brightness, end_mixed, judge_pane, panes, start_mixed
from tests.servers import Server, running

NAMES = {"ann": 5, "bob": 9}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as started:
        yield started


async def test_a_killed_recorder_goes_on_mixing_where_it_stopped(
    server: Server, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    killed: list[int] = []
    with call(server, tmp_path) as people:
        for name, participant in NAMES.items():
            await people.join(name, participant=participant)
        recording = start_mixed(people, hls={"segment_s": 2})
        scene = {"background": {"color": "#c0c0c0"}}
        people.api.patch(f"/api/v1/recordings/{recording}", json={"scene": scene}).raise_for_status()
        for wait_s in (4.3, 2.7):
            await asyncio.sleep(wait_s)
            killed.append(time.time_ns())
            await kill_recorder(server, recording)
        await asyncio.sleep(3.5)
        timeline, files = await end_mixed(people, recording, tmp_path)
    assert len(timeline["epochs"]) == 3
    told = journal.lines(Paths(server.data / "recordings" / recording).journal)
    resumed = [line.at_ns for line in told if isinstance(line, lines.Notice) and line.code == "mix_resumed"]
    caught_up_s = [round((at_ns - killed_ns) / 1e9, 2) for killed_ns, at_ns in zip(killed, resumed, strict=True)]
    record_property("from kill to caught up, s", caught_up_s)
    print("from kill to caught up, s:", caught_up_s)
    (output,) = timeline["outputs"]
    assert output["gaps"] == []
    assert {kind: len(paths) for kind, paths in files.items()} == {"hls": 1, "mp4": 1}
    (scene,) = timeline["scenes"]
    changed_s = (scene["at_ns"] - output["start_ns"]) / 1e9
    assert all(value > 128 for at_s, value in brightness(files["mp4"][0], 0, 0) if at_s >= changed_s)
    for path in (*files["mp4"], *files["hls"]):
        for name, pane in panes(list(NAMES)).items():
            verdict = judge_pane(path, pane, NAMES[name])
            times = [shown.file_s for shown in verdict.shown]
            assert max(b - a for a, b in pairwise(times)) < 0.04, verdict.summary()  # not a tick is missing
            assert verdict.duration_s > 9
            assert verdict.unreadable <= 2, verdict.summary()
            assert verdict.audio_gaps == verdict.missing_beeps == []
            assert verdict.av_p95_ms <= 40, verdict.summary()


async def test_a_server_that_stands_still_for_two_seconds_leaves_nothing_out(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        for name, participant in NAMES.items():
            await people.join(name, participant=participant)
        recording = start_mixed(people)
        await asyncio.sleep(3)
        everything = [server.pid, *server.children().values(), *server.recorders().values()]
        try:
            for pid in everything:
                os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(2)
        finally:
            for pid in everything:
                os.kill(pid, signal.SIGCONT)
        await asyncio.sleep(3)
        timeline, files = await end_mixed(people, recording, tmp_path)
    (output,) = timeline["outputs"]
    assert output["gaps"] == []
    for name, pane in panes(list(NAMES)).items():
        verdict = judge_pane(files["mp4"][0], pane, NAMES[name])
        assert verdict.audio_gaps == verdict.missing_beeps == []
        assert len({shown.frame for shown in verdict.shown}) > 0.97 * 30 * verdict.duration_s, verdict.summary()
        assert verdict.av_p95_ms <= 40, verdict.summary()


async def test_a_killed_ingest_is_waited_for_and_the_mix_has_no_gap(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        first = await people.join("ann")
        recording = start_mixed(people, hls={"segment_s": 2})
        await asyncio.sleep(3)
        os.kill(server.children()["ingest-0"], signal.SIGKILL)
        await people.leave(first, goodbye=False)  # nobody is there to take it
        await people.join("ann")
        await asyncio.sleep(4)
        timeline, files = await end_mixed(people, recording, tmp_path)
    (output,) = timeline["outputs"]
    assert {(gap["identity"], gap["reason"]) for gap in output["gaps"]} == {("ann", "ingest_restart")}
    verdict = judge_pane(files["mp4"][0], panes(["ann"])["ann"], 5)
    assert verdict.audio_gaps == []
    times = [shown.file_s for shown in verdict.shown]
    assert verdict.sizes == [(0.0, 640, 360)]
    assert times[-1] > 6
    assert verdict.frames > 150
