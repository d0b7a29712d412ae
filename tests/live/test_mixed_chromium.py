"""Four headless Chromium pages in one mix, each judged against what Chromium itself makes of it: what it records of the
page, and what it sends. (A busy Chromium may hold back a page's sound for good, and its reports do not know.)"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.judge import judge
from tests.live.calls import call
from tests.live.mixed import end_mixed, judge_pane, panes, start_mixed
from tests.needs import need
from tests.publish.chromium import Chromium
from tests.servers import Server

pytestmark = pytest.mark.alone

NAMES = {"ann": (5, "h264"), "bob": (9, "vp8"), "cat": (13, "vp9"), "dan": (17, "av1")}
SIZE = (320, 180)  # two cores draw, encode twice, decode and mix all of it
FPS = 15


async def test_four_pages_are_in_step_as_well_as_chromium_itself_has_them(server: Server, tmp_path: Path) -> None:
    need("chromium", "playwright")
    with call(server, tmp_path) as people:
        async with AsyncExitStack() as opened:
            first = await opened.enter_async_context(Chromium())
            others = [await opened.enter_async_context(Chromium(beside=first)) for _ in range(len(NAMES) - 1)]
            pages = dict(zip(NAMES, (first, *others), strict=True))
            for name, (participant, codec) in NAMES.items():
                page = pages[name]
                await page.start_clock(participant=participant, size=SIZE, fps=FPS)
                await page.start_recorder()  # before it sends: at its begin it is busy
                url = f"{server.url}/whip/{people.room}"
                await page.publish(url, server.token(people.room, name), codec=codec, bitrate=200_000)
            await asyncio.sleep(2)
            recording = start_mixed(people, mix={"fps": FPS, "individual": True})
            await asyncio.sleep(8)
            timeline, files = await end_mixed(people, recording, tmp_path)
            for name, page in pages.items():
                await page.stop_recorder(tmp_path / f"{name}.webm")
                await page.unpublish()
    assert [output["gaps"] for output in timeline["outputs"]] == [[]] * 5
    *sent, mixed = files["mp4"]
    for (name, (participant, _)), alone in zip(NAMES.items(), sent, strict=True):
        theirs = judge(tmp_path / f"{name}.webm", participant=participant, fps=None)
        by_itself = judge(alone, participant=participant, fps=None)
        ours = judge_pane(mixed, panes(list(NAMES))[name], participant, SIZE, fps=None, changes=True)
        print(name, "mix", ours.summary(), "| sent", by_itself.summary(), "| its own", theirs.summary())
        assert ours.unreadable <= 5, ours.summary()
        assert ours.disordered == 0
        assert ours.audio_gaps == []
        assert len(ours.beeps) >= 7
        assert set(ours.missing_beeps) <= set(theirs.missing_beeps), ours.summary()
        same = [one for one in theirs.shown if ours.shown[0].media_s <= one.media_s <= ours.shown[-1].media_s]
        assert len(ours.shown) >= 0.8 * len(same), (ours.summary(), theirs.summary())
        tick_ms = 1000 / FPS / 2  # the mix shows the nearest picture
        assert abs(ours.av_p50_ms - by_itself.av_p50_ms) <= tick_ms + 15, (ours.summary(), by_itself.summary())
        p50_ms = max(abs(theirs.av_p50_ms), abs(by_itself.av_p50_ms))
        p95_ms = max(theirs.av_p95_ms, by_itself.av_p95_ms)
        assert abs(ours.av_p50_ms) <= p50_ms + tick_ms, (ours.summary(), theirs.summary())
        assert ours.av_p95_ms <= p95_ms + tick_ms + 10, (ours.summary(), theirs.summary())
