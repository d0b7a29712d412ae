"""What people publish with, against a real server: the clip's own clock says whether the file is right."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reelroom.demo.clip import make_clip
from reelroom.demo.clipfile import Clip
from reelroom.demo.publisher import AiortcPublisher
from tests.judge import Verdict, ffmpeg_says, judge
from tests.needs import need
from tests.publish import ffmpeg_whip, gstreamer
from tests.publish.chromium import Chromium
from tests.publish.lossy import LossyLink, Trouble
from tests.servers import Server, running

pytestmark = pytest.mark.alone

SECONDS = 6
Publish = Callable[[str, str], Awaitable[Any]]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as started:
        yield started


@dataclass
class Result:
    """What a call came to: its one MP4 file, the timeline's gaps, and what the publisher returned."""

    path: Path
    gaps: list[Any]
    published: Any


async def record(server: Server, publish: Publish, folder: Path, *formats: str) -> Result:
    """Record a room while `publish(whip_url, token)` runs."""
    room = folder.name.replace("_", "-")[:60]
    token = server.token(room, "alice")
    with server.client() as client:
        body = {"room": room, "formats": [*formats, "mp4"]}
        recording = client.post("/api/v1/recordings", json=body).raise_for_status().json()["id"]
        try:
            published = await publish(f"{server.url}/whip/{room}", token)
        finally:
            client.post(f"/api/v1/recordings/{recording}/stop").raise_for_status()
        await asyncio.to_thread(server.wait_for, recording, "finished", timeout_s=60)
        files = client.get(f"/api/v1/recordings/{recording}/files").raise_for_status().json()["files"]
        (found,) = [file for file in files if file["format"] == "mp4"]
        path = folder / "recorded.mp4"
        path.write_bytes(client.get(found["url"]).raise_for_status().content)
        outputs = client.get(f"/api/v1/recordings/{recording}/timeline").raise_for_status().json()["outputs"]
    return Result(path, [gap for output in outputs for gap in output["gaps"]], published)


def clip_of(codec: str, seconds: int = SECONDS) -> Clip:
    return make_clip(seconds, codec=codec, size=(640, 360), video_kbps=600, participant=5)


def assert_perfect(result: Result, clip: Clip) -> Verdict:
    verdict = judge(result.path)
    assert verdict.problems(av_p95_ms=20) == [], verdict.summary()
    assert (verdict.first_frame, verdict.last_frame) == (0, len(clip.video) - 1)
    assert len(verdict.beeps) == clip.spec.seconds
    assert result.gaps == []
    need("ffmpeg")
    assert ffmpeg_says(result.path) == ""
    return verdict


async def publish_aiortc(url: str, token: str, clip: Clip, link: LossyLink | None = None) -> None:
    publisher = AiortcPublisher(url, token, clip, edit_answer=link.edit_answer if link else None)
    await publisher.start()
    try:
        if link:
            link.up.trouble = link.down.trouble = Trouble(loss=0.05, delay_ms=25)
        await publisher.run(clip.spec.seconds)
        publisher.stop()
        await asyncio.sleep(0.5)
    finally:
        await publisher.close()


async def test_aiortc(server: Server, tmp_path: Path) -> None:
    need("aiortc")
    clip = clip_of("h264")
    assert_perfect(await record(server, lambda u, t: publish_aiortc(u, t, clip), tmp_path), clip)


@pytest.mark.parametrize("codec", ["h264", "vp9", "h265"])
async def test_gstreamer(codec: str, server: Server, tmp_path: Path) -> None:
    need("gstreamer")
    clip, path = clip_of(codec), tmp_path / "clip"
    clip.save(path)
    result = await record(server, lambda u, t: gstreamer.publish(u, t, path, SECONDS), tmp_path)
    verdict = assert_perfect(result, clip)
    assert verdict.video_codec == {"h265": "hevc"}.get(codec, codec)


async def test_gstreamer_whose_sender_reports_are_wrong(server: Server, tmp_path: Path) -> None:
    need("gstreamer")
    # Each report of 1.22.0 is late by all the time since the pipeline began; 12 s bring several.
    clip, path = clip_of("h264", 12), tmp_path / "clip"
    clip.save(path)
    publish = lambda u, t: gstreamer.publish(u, t, path, 12, own_reports=True)  # noqa: E731
    assert_perfect(await record(server, publish, tmp_path), clip)


async def test_ffmpegs_whip_muxer(server: Server, tmp_path: Path) -> None:
    clip, path = clip_of("h264"), tmp_path / "clip"
    clip.save(path)
    result = await record(server, lambda u, t: ffmpeg_whip.publish(u, t, path, SECONDS), tmp_path)
    assert_perfect(result, clip)


async def test_five_percent_loss_and_50_ms_round_trip(server: Server, tmp_path: Path) -> None:
    clip = make_clip(20, participant=5)
    async with LossyLink(Trouble(delay_ms=25)) as link:
        result = await record(server, lambda u, t: publish_aiortc(u, t, clip, link), tmp_path)
        assert link.up.counts.lost > 100
    verdict = judge(result.path)
    assert verdict.problems(av_p95_ms=20) == []
    assert verdict.frames == len(clip.video)


@pytest.mark.parametrize("codec", ["h264", "vp8", "vp9", "av1"])
async def test_chromium_is_recorded_as_well_as_it_records_itself(codec: str, server: Server, tmp_path: Path) -> None:
    need("chromium", "playwright")
    own = tmp_path / "own.webm"

    async def publish(url: str, token: str) -> Any:
        async with Chromium() as browser:
            await browser.start_clock(participant=5)
            await browser.start_recorder()
            await browser.publish(url, token, codec=codec)
            await asyncio.sleep(SECONDS)
            await browser.stop_recorder(own)
            return await browser.unpublish()

    result = await record(server, publish, tmp_path)
    sent, theirs, ours = result.published, judge(own, fps=None), judge(result.path, fps=None)
    assert sent["status"] == 200
    assert sent["video"]["codec"].lower() == f"video/{codec}"
    # When it makes a key frame, Chromium throws away what its pacer still holds of the frames before, even half a
    # frame, and counts them as sent. Sequence numbers go on without a hole, so they never were on the wire.
    assert 0 <= sent["video"]["sent"] - ours.frames <= 3 * sent["video"]["keyFrames"], ours.summary()
    assert ours.unreadable == ours.disordered == 0
    assert set(ours.missing_beeps) <= set(theirs.missing_beeps)
    assert abs(ours.av_p50_ms) <= abs(theirs.av_p50_ms) + 10
    assert ours.av_p95_ms <= theirs.av_p95_ms + 10


async def test_hls_js_plays_the_playlist_during_the_call(server: Server, tmp_path: Path) -> None:
    need("chromium", "playwright", "npm")
    clip = clip_of("h264", 14)

    async def publish(url: str, token: str) -> Any:
        publisher = AiortcPublisher(url, token, clip)
        await publisher.start()
        async with Chromium() as browser:
            await publisher.run(7)
            await browser.play_hls(_playlist(server, url.rpartition("/")[2]))
            await publisher.run(6)
            playback = await browser.playback()
        await publisher.close()
        return playback

    playback = (await record(server, publish, tmp_path, "hls")).published
    assert [error for error in playback["errors"] if "fatal=true" in error] == []
    assert playback["currentTime"] > 3
    assert playback["frames"] > 60
    assert (playback["width"], playback["height"]) == (640, 360)


def _playlist(server: Server, room: str) -> str:
    with server.client() as client:
        found = client.get("/api/v1/recordings", params={"room": room}).raise_for_status().json()
        recording = (found.get("recordings") or found.get("items"))[0]["id"]
        files = client.get(f"/api/v1/recordings/{recording}/files").raise_for_status().json()["files"]
    return next(str(file["url"]) for file in files if file["role"] == "playlist")
