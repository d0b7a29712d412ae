"""Each pane of a mix against its own beeps, with senders whose clocks and cameras are not like the others'."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.calls import call
from tests.live.mixed import end_mixed, judge_pane, panes, start_mixed
from tests.servers import Server, running


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as started:
        yield started


async def test_every_pane_is_in_step_with_its_own_beeps(server: Server, tmp_path: Path) -> None:
    names = {"fast": (5, 30), "slow": (9, 30), "film": (13, 15), "stalls": (17, 30)}
    with call(server, tmp_path) as people:
        await people.join("fast", participant=5, ppm=100)
        await people.join("slow", participant=9, ppm=-100)
        await people.join("film", participant=13, fps=15)
        stalls = await people.join("stalls", participant=17, gop=30)
        await asyncio.sleep(1)
        recording = start_mixed(people, mix={"width": 640, "height": 360})
        for stall_s in (1.0, 2.5, 0):
            await asyncio.sleep(5)
            if stall_s:
                stalls.stall(stall_s)
        timeline, files = await end_mixed(people, recording, tmp_path)
    places = panes(list(names))
    for name, (participant, fps) in names.items():
        verdict = judge_pane(files["mp4"][0], places[name], participant, fps=fps, changes=True)
        assert verdict.unreadable <= (90 if name == "stalls" else 2), verdict.summary()  # it shows the placeholder
        assert verdict.audio_gaps == []
        assert len(verdict.shown) >= fps * (10 if name == "stalls" else 14) * 0.9
        assert verdict.missing_beeps == [], (name, verdict.summary())
        assert verdict.av_p95_ms <= 40, (name, verdict.summary())
    (output,) = timeline["outputs"]
    assert {gap["identity"] for gap in output["gaps"]} == {"stalls"}
