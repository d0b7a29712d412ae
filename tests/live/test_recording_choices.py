"""What a recording can be asked for, on a real call: pause, formats, splits, limits, subscriptions, sync."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.judge import ffmpeg_says, ffprobe_json, judge
from tests.live.calls import call
from tests.servers import Server

ALL = ["hls", "mp4", "webm", "flv", "aac", "mp3", "opus"]


async def test_a_pause_leaves_one_file_without_what_was_paused(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        await people.join("ann")
        recording = people.start()
        await asyncio.sleep(3)
        people.do(recording, "pause")
        await asyncio.sleep(4)
        people.do(recording, "resume")
        await asyncio.sleep(4)
        await people.stop(recording)
        await people.end()
        files = people.fetch(recording, tmp_path)
        (pause,) = people.timeline(recording)["pauses"]
        (path,) = files["mp4"]
        verdict = judge(path)
        jumps = [
            b.frame - a.frame for a, b in zip(verdict.shown, verdict.shown[1:], strict=False) if b.frame != a.frame + 1
        ]
        assert len(jumps) == 1
        assert jumps[0] / 30 >= 4  # nothing of the pause
        assert verdict.pts_not_rising == 0
        assert verdict.shown[-1].file_s < 3 + 4 + 3
        assert pause["to_ns"] - pause["from_ns"] > 3.9e9
        assert ffmpeg_says(path, uneven=True) == ""


@pytest.mark.parametrize("codec", ["h264", "vp8"])
async def test_every_format_has_the_call(codec: str, server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        await people.join("ann", codec=codec)
        recording = people.start(formats=ALL, hls={"segment_s": 2, "container": "ts"})
        await asyncio.sleep(4.5)
        await people.stop(recording)
        await people.end()
        files = people.fetch(recording, tmp_path)
        assert sorted(files) == sorted(ALL)
        for kind in ("hls", "mp4", "webm", "flv"):
            (path,) = files[kind]
            verdict = judge(path)
            assert verdict.problems(av_p95_ms=25) == [], f"{kind}: {verdict.summary()}"
            assert verdict.duration_s > 4, kind
            assert ffmpeg_says(path, uneven=True) == "", kind
        for kind, name in (("aac", "aac"), ("mp3", "mp3"), ("opus", "opus")):
            streams = ffprobe_json(files[kind][0])["streams"]
            assert [stream["codec_name"] for stream in streams] == [name]
            assert ffmpeg_says(files[kind][0]) == "", kind


async def test_files_are_split_at_the_longest_duration(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        await people.join("ann")
        recording = people.start(formats=["mp4"], split_s=10, hls={"segment_s": 2}, naming={"file": "part{sequence}"})
        await asyncio.sleep(13)
        await people.stop(recording)
        await people.end()
        first, second = people.fetch(recording, tmp_path)["mp4"]
        assert (first.name, second.name) == ("part1.mp4", "part2.mp4")
        one, two = judge(first), judge(second)
        assert one.problems() == []
        assert two.problems() == []
        assert two.shown[0].frame == one.shown[-1].frame + 1
        assert one.duration_s <= 10.1


async def test_limits_end_a_recording_with_their_reason(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        idle = people.start(limits={"idle_s": 2})
        assert (await people.finished(idle))["reason"] == "idle"
        await people.join("ann")
        short = people.start(limits={"duration_s": 3}, formats=["mp4"])
        assert (await people.finished(short))["reason"] == "max_duration"
        await people.end()
        assert 2.5 < judge(people.fetch(short, tmp_path)["mp4"][0]).duration_s < 6


async def test_who_is_recorded_can_change_and_sound_can_stand_apart(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        await people.join("ann", participant=5)
        await people.join("bob", participant=6)
        only_ann = {"audio": {"include": ["ann"]}, "video": {"include": ["ann"]}}
        recording = people.start(formats=["mp4"], tracks="apart", subscription=only_ann)
        await asyncio.sleep(2)
        everybody = {"subscription": {"audio": True, "video": True}}
        people.api.patch(f"/api/v1/recordings/{recording}", json=everybody).raise_for_status()
        await asyncio.sleep(3)
        await people.stop(recording)
        await people.end()
        outputs = people.timeline(recording)["outputs"]
        assert sorted((o["identity"], o["kind"]) for o in outputs) == [
            ("ann", "audio"),
            ("ann", "video"),
            ("bob", "audio"),
            ("bob", "video"),
        ]
        starts = {o["identity"]: o["start_ns"] for o in outputs if o["kind"] == "audio"}
        assert starts["bob"] - starts["ann"] > 1e9
        assert len(people.fetch(recording, tmp_path)["mp4"]) == 4


async def test_somebody_who_rejoins_continues_in_the_same_file(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        first = await people.join("ann")
        recording = people.start()
        await asyncio.sleep(3)
        await people.leave(first)
        await asyncio.sleep(1)
        await people.join("ann")
        await asyncio.sleep(3)
        await people.stop(recording)
        await people.end()
        (output,) = people.timeline(recording)["outputs"]
        assert {gap["reason"] for gap in output["gaps"]} <= {"left", "reconnect"}
        assert output["gaps"]
        (path,) = people.fetch(recording, tmp_path)["mp4"]
        verdict = judge(path)
        assert verdict.pts_not_rising == 0
        assert abs(verdict.av_p95_ms or 0) <= 20
        assert ffmpeg_says(path, uneven=True) == ""
