"""A recording that begins before the call for it (`preroll_s`), on a real server."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.judge import ffmpeg_says, judge
from tests.live.calls import call
from tests.servers import running


async def test_preroll_has_what_was_said_before_the_call(tmp_path: Path) -> None:
    with running() as server, call(server, tmp_path) as people:
        ann = await people.join("ann", gop=30)
        await asyncio.sleep(4)
        recording = people.start(formats=["mp4"], preroll_s=3)
        called_frame = ann.sent["video"].last
        await asyncio.sleep(1.5)
        await people.stop(recording)
        await people.end()
        (path,) = people.fetch(recording, tmp_path)["mp4"]
    verdict = judge(path)
    assert verdict.problems(av_p95_ms=20) == [], verdict.summary()
    assert called_frame is not None
    assert verdict.first_frame is not None
    assert verdict.first_frame <= called_frame - 80
    assert ffmpeg_says(path) == ""
