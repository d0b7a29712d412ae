"""What a mixed recording leaves behind: beside everybody's own files, as sound or picture alone, in every format."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.judge import ffprobe_json, judge
from tests.live.calls import call
from tests.live.mixed import end_mixed, judge_pane, panes, start_mixed
from tests.servers import Server

NAMES = {"ann": 5, "bob": 9}


def kinds(path: Path) -> dict[str, str]:
    """Codec by kind of stream."""
    streams: Any = ffprobe_json(path)["streams"]
    return {stream["codec_type"]: stream["codec_name"] for stream in streams}


async def test_everybody_is_recorded_mixed_and_apart_at_once(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        for name, participant in NAMES.items():
            await people.join(name, participant=participant)
        recording = start_mixed(people, mix={"individual": True})
        await asyncio.sleep(5)
        timeline, files = await end_mixed(people, recording, tmp_path)
    outputs = {(output["identity"], output["source"]) for output in timeline["outputs"]}
    assert outputs == {("", "mixed"), ("ann", "camera"), ("bob", "camera")}
    assert all(output["gaps"] == [] for output in timeline["outputs"])
    assert [path.name for path in files["mp4"]] == ["ann_camera.mp4", "bob_camera.mp4", "mixed.mp4"]
    for path, participant in zip(files["mp4"], NAMES.values(), strict=False):
        verdict = judge(path, participant=participant)
        assert verdict.problems(av_p95_ms=20) == [], verdict.summary()
    for name, pane in panes(list(NAMES)).items():
        verdict = judge_pane(files["mp4"][2], pane, NAMES[name])
        assert verdict.unreadable <= 2
        assert verdict.missing_beeps == verdict.audio_gaps == []
        assert verdict.av_p95_ms <= 40, verdict.summary()


async def test_sound_alone_is_mixed_without_a_picture(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        for name, participant in NAMES.items():
            await people.join(name, participant=participant)
        recording = start_mixed(
            people, subscription={"video": False}, formats=["hls", "mp4", "aac", "mp3"], mix={"channels": 1}
        )
        await asyncio.sleep(4.5)
        timeline, files = await end_mixed(people, recording, tmp_path)
    (output,) = timeline["outputs"]
    assert output["kind"] == "audio"
    assert {form: kinds(paths[0]) for form, paths in files.items()} == {
        "hls": {"audio": "aac"},
        "mp4": {"audio": "aac"},
        "aac": {"audio": "aac"},
        "mp3": {"audio": "mp3"},
    }
    for participant in NAMES.values():
        verdict = judge(files["mp4"][0], participant=participant)
        assert len(verdict.beeps) >= 4
        assert verdict.audio_gaps == []
        # Beeps are seconds apart; the first two may be from before the first sender report, when times go by arrival.
        _, _, *later = verdict.av_offsets_ms
        assert max(later) - min(later) < 3
        assert verdict.av_p95_ms < 20


async def test_pictures_alone_are_mixed_without_sound(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        for name, participant in NAMES.items():
            await people.join(name, participant=participant)
        recording = start_mixed(people, subscription={"audio": False}, mix={"fps": 15, "profile": "baseline"})
        await asyncio.sleep(4)
        timeline, files = await end_mixed(people, recording, tmp_path)
    (output,) = timeline["outputs"]
    assert output["kind"] == "video"
    assert kinds(files["mp4"][0]) == kinds(files["hls"][0]) == {"video": "h264"}
    for name, pane in panes(list(NAMES)).items():
        verdict = judge_pane(files["mp4"][0], pane, NAMES[name])
        assert verdict.unreadable <= 1
        assert len(verdict.shown) >= 50
        assert len(verdict.shown) <= verdict.duration_s * 15 + 1


async def test_every_file_format_is_made_of_the_mix(server: Server, tmp_path: Path) -> None:
    formats = ["hls", "mp4", "webm", "flv", "aac", "mp3", "opus"]
    with call(server, tmp_path) as people:
        for name, participant in NAMES.items():
            await people.join(name, participant=participant)
        recording = start_mixed(people, formats=formats, hls={"segment_s": 2, "container": "ts"})
        await asyncio.sleep(4.5)
        _, files = await end_mixed(people, recording, tmp_path)
    assert {form: kinds(paths[0]) for form, paths in files.items()} == {
        "hls": {"video": "h264", "audio": "aac"},
        "mp4": {"video": "h264", "audio": "aac"},
        "webm": {"video": "vp8", "audio": "opus"},
        "flv": {"video": "h264", "audio": "aac"},
        "aac": {"audio": "aac"},
        "mp3": {"audio": "mp3"},
        "opus": {"audio": "opus"},
    }
    for form in ("hls", "mp4", "webm", "flv"):
        for name, pane in panes(list(NAMES)).items():
            verdict = judge_pane(files[form][0], pane, NAMES[name])
            assert verdict.missing_beeps == [], (form, verdict.summary())
            assert verdict.av_p95_ms <= 45, (form, verdict.summary())


@pytest.mark.parametrize(("video", "audio"), [("h265", "opus"), ("vp9", "opus"), ("av1", "aac")])
async def test_other_codecs_are_taken_as_they_are(video: str, audio: str, server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        await people.join("ann", participant=5)
        recording = start_mixed(people, mix={"video_codec": video, "audio_codec": audio, "fps": 15})
        await asyncio.sleep(4)
        _, files = await end_mixed(people, recording, tmp_path)
    names = {"h265": "hevc"}
    for form in ("hls", "mp4"):
        assert kinds(files[form][0]) == {"video": names.get(video, video), "audio": audio}
    verdict = judge_pane(files["mp4"][0], panes(["ann"])["ann"], 5)
    assert verdict.unreadable <= 2
    assert verdict.av_p95_ms <= 60, verdict.summary()


async def test_the_mix_looks_back_as_far_as_it_is_told(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        for name, participant in NAMES.items():
            await people.join(name, participant=participant)
        await asyncio.sleep(6)
        recording = start_mixed(people, preroll_s=4)
        await asyncio.sleep(2.5)
        timeline, files = await end_mixed(people, recording, tmp_path)
    spec = json.loads((server.data / "recordings" / recording / "spec.json").read_text())
    (output,) = timeline["outputs"]
    assert output["start_ns"] == spec["requested_ns"] - 4_000_000_000
    for name, pane in panes(list(NAMES)).items():
        verdict = judge_pane(files["mp4"][0], pane, NAMES[name])
        assert verdict.duration_s >= 6
        assert verdict.unreadable == 0, verdict.summary()
        assert len({one.frame for one in verdict.shown if one.file_s < 4}) >= 110
        assert verdict.missing_beeps == verdict.audio_gaps == []
        assert verdict.av_p95_ms <= 40, verdict.summary()
