"""A call mixed into one picture and one sound: everybody's bar code is in their pane, in step with their own beeps."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.calls import call
from tests.live.mixed import CANVAS, end_mixed, judge_pane, panes, start_mixed
from tests.servers import Server, running

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as started:
        yield started


async def test_three_people_are_in_one_file_each_in_their_pane_and_in_sync(server: Server, tmp_path: Path) -> None:
    names = {"ann": 5, "bob": 9, "cat": 13}
    with call(server, tmp_path) as people:
        for name, participant in names.items():
            await people.join(name, participant=participant)
        await asyncio.sleep(1)
        recording = start_mixed(people)
        await asyncio.sleep(6)
        timeline, files = await end_mixed(people, recording, tmp_path)
    (output,) = timeline["outputs"]
    assert (output["identity"], output["source"]) == ("", "mixed")
    assert len(files["mp4"]) == len(files["hls"]) == 1
    for path in (*files["mp4"], *files["hls"]):
        for name, pane in panes(list(names)).items():
            verdict = judge_pane(path, pane, names[name])
            assert verdict.sizes == [(0.0, *CANVAS)]
            assert verdict.duration_s >= 5.5
            assert verdict.unreadable <= 15, verdict.summary()  # until the first key frame
            assert len({shown.frame for shown in verdict.shown}) >= 150, verdict.summary()
            assert verdict.missing_beeps == []
            assert verdict.av_p95_ms <= 40, verdict.summary()
