"""What people do in a call that is recorded: come late, mute, change codec or size, show a screen."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from reelroom.demo.clip import make_clip
from reelroom.demo.publisher import AiortcPublisher
from reelroom.record.verify import verify
from tests.judge import ffmpeg_says, judge
from tests.live.calls import Call, call
from tests.servers import Server


async def end(people: Call, recording: str, folder: Path) -> tuple[dict[str, Any], dict[str, list[Path]]]:
    """Stop, and what every file of any call must be: FFmpeg and the journal have nothing to complain of."""
    await people.stop(recording)
    await people.end()
    files = people.fetch(recording, folder)
    assert [ffmpeg_says(path, uneven=True) for paths in files.values() for path in paths] == [""] * sum(
        map(len, files.values())
    )
    assert verify(people.server.data / "recordings" / recording).problems == []
    return people.timeline(recording), files


async def test_somebody_late_and_a_screen_are_files_of_their_own(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        await people.join("ann", participant=5)
        recording = people.start(formats=["mp4"])
        await asyncio.sleep(1.5)
        await people.join("bob", participant=6)
        clip = await asyncio.to_thread(make_clip, 30, size=(320, 180), video_kbps=250, participant=7)
        screen = AiortcPublisher(
            f"{server.url}/whip/{people.room}", server.token(people.room, "ann", source="screen"), clip
        )
        await screen.start()
        await screen.run(3)
        timeline, files = await end(people, recording, tmp_path)
        await screen.close()
        found = {(o["identity"], o["source"]): o for o in timeline["outputs"]}
        assert sorted(found) == [("ann", "camera"), ("ann", "screen"), ("bob", "camera")]
        assert all(o["gaps"] == [] for o in found.values())
        assert found["bob", "camera"]["start_ns"] - found["ann", "camera"]["start_ns"] > 1e9
        for path, participant in zip(files["mp4"], (5, 7, 6), strict=True):
            verdict = judge(path, participant=participant)
            assert verdict.problems(av_p95_ms=20) == [], verdict.summary()
            if participant != 5:
                assert verdict.first_frame == 0


async def test_muted_sound_and_picture_are_gaps_and_what_follows_is_in_sync(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        ann = await people.join("ann", gop=15)
        recording = people.start(formats=["mp4"])
        await asyncio.sleep(2)
        for kind in ("audio", "video"):
            ann.mute(kind)
            await asyncio.sleep(2)
            ann.unmute(kind)
            await asyncio.sleep(1.5)
        timeline, files = await end(people, recording, tmp_path)
        (output,) = timeline["outputs"]
        assert sorted(gap["kind"] for gap in output["gaps"]) == ["audio", "video"]
        assert {gap["reason"] for gap in output["gaps"]} <= {"mute", "stall"}
        assert all(1.5e9 < gap["to_ns"] - gap["from_ns"] < 4e9 for gap in output["gaps"])
        verdict = judge(files["mp4"][0])
        assert verdict.duplicates == []
        assert verdict.pts_not_rising == verdict.disordered == 0
        assert verdict.av_p95_ms <= 20, verdict.summary()


@pytest.mark.parametrize("change", [{"codec": "vp8"}, {"size": (640, 360)}], ids=["codec", "size"])
async def test_who_rejoins_with_another_picture_stays_playable(
    change: dict[str, Any], server: Server, tmp_path: Path
) -> None:
    with call(server, tmp_path) as people:
        first = await people.join("ann")
        recording = people.start(hls={"segment_s": 2})
        await asyncio.sleep(2.5)
        await people.leave(first)
        await people.join("ann", **change)
        await asyncio.sleep(3)
        timeline, files = await end(people, recording, tmp_path)
        (output,) = timeline["outputs"]
        assert output["identity"] == "ann"
        assert len(files["hls"]) == 1
        assert "#EXT-X-DISCONTINUITY" in files["hls"][0].read_text() or "codec" in change
        verdicts = [judge(path) for path in files["mp4"]]
        assert sum(v.frames for v in verdicts) >= 4 * 30
        for verdict in verdicts:
            assert verdict.unreadable == verdict.pts_not_rising == 0, verdict.summary()
            assert verdict.av_p95_ms <= 20, verdict.summary()
