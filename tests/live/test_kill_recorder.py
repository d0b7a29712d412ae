"""Everything is killed with -9 in the middle of a call, and a new start goes on in the same data folder."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

from reelroom.record.verify import verify
from tests.judge import ffmpeg_says, judge
from tests.live.calls import call
from tests.servers import running


async def test_everything_killed_keeps_what_was_received_and_goes_on(tmp_path: Path) -> None:
    with running() as server:
        with call(server, tmp_path) as people:
            first = await people.join("ann", gop=30)
            recording = people.start(hls={"segment_s": 2})
            await asyncio.sleep(3.3)
            await asyncio.to_thread(server.kill)
            await people.leave(first, goodbye=False)  # nobody is there to take it
        await asyncio.to_thread(server.start)
        with call(server, tmp_path) as people:
            await people.join("ann", gop=30)
            await asyncio.sleep(3)
            await people.stop(recording)
            await people.end()
            timeline = people.timeline(recording)
            files = people.fetch(recording, tmp_path)
        report = verify(server.data / "recordings" / recording)
    assert report.problems == []
    assert timeline["epochs"][-1]["resumed"]
    (output,) = timeline["outputs"]
    gaps = {(gap["kind"], gap["reason"]) for gap in output["gaps"]}
    assert gaps == {("audio", "ingest_restart"), ("video", "ingest_restart")}
    assert len(files["hls"]) == len(files["mp4"]) == 1
    verdict = judge(files["mp4"][0])
    assert ffmpeg_says(files["mp4"][0], uneven=True) == ""
    assert verdict.unreadable == verdict.pts_not_rising == 0
    # Two publishers, two runs of numbers: each whole, the first to within the log's last write before the kill.
    numbers = [shown.frame for shown in verdict.shown]
    (cut,) = [at for at, (a, b) in enumerate(pairwise(numbers), 1) if b != a + 1]
    assert cut >= 80
    assert len(numbers) - cut >= 60
    assert verdict.av_p95_ms <= 20
