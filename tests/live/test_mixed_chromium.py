"""Two headless Chromium pages in one mix, each judged against what that browser's own recorder made of the page."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.judge import judge
from tests.live.calls import call
from tests.live.mixed import end_mixed, judge_pane, panes, start_mixed
from tests.needs import need
from tests.publish.chromium import Chromium
from tests.servers import Server, running

NAMES = {"ann": (5, "h264"), "bob": (9, "vp8")}
SIZE = (320, 180)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as started:
        yield started


async def test_two_pages_are_in_step_as_well_as_chromium_itself_has_them(server: Server, tmp_path: Path) -> None:
    need("chromium", "playwright")
    with call(server, tmp_path) as people:
        async with Chromium() as ann, Chromium() as bob:
            for (name, (participant, codec)), browser in zip(NAMES.items(), (ann, bob), strict=True):
                await browser.start_clock(participant=participant, size=SIZE)
                await browser.start_recorder()
                url = f"{server.url}/whip/{people.room}"
                await browser.publish(url, server.token(people.room, name), codec=codec, bitrate=600_000)
            await asyncio.sleep(1)
            recording = start_mixed(people)
            await asyncio.sleep(7)
            timeline, files = await end_mixed(people, recording, tmp_path)
            for name, browser in zip(NAMES, (ann, bob), strict=True):
                await browser.stop_recorder(tmp_path / f"{name}.webm")
                await browser.unpublish()
    assert [output["gaps"] for output in timeline["outputs"]] == [[]]
    for name, (participant, _) in NAMES.items():
        theirs = judge(tmp_path / f"{name}.webm", participant=participant, fps=None)
        pane = panes(list(NAMES))[name]
        ours = judge_pane(files["mp4"][0], pane, participant, SIZE, fps=None, changes=True)
        print(name, "mix", ours.summary(), "| its own", theirs.summary())
        assert ours.unreadable <= 5, ours.summary()
        assert ours.audio_gaps == []
        assert set(ours.missing_beeps) <= set(theirs.missing_beeps), ours.summary()
        assert len(ours.shown) >= 0.8 * len([s for s in theirs.shown if s.media_s >= ours.shown[0].media_s]) - 30
        assert abs(ours.av_p50_ms) <= abs(theirs.av_p50_ms) + 20, (ours.summary(), theirs.summary())
        assert ours.av_p95_ms <= theirs.av_p95_ms + 25, (ours.summary(), theirs.summary())
