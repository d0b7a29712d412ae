"""Simulcast by rid from a real browser: the largest layer that flows is recorded, and layers change on key frames."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator
from pathlib import Path

import av
import pytest

from tests.judge import Verdict, ffmpeg_says, judge
from tests.live.calls import Call, call
from tests.needs import need
from tests.publish.chromium import Chromium
from tests.servers import Server

pytestmark = pytest.mark.alone

WHOLE, HALF = (960, 540), (480, 270)  # below 960×540 Chromium sends two layers only
Sizes = list[tuple[int, int]]


@pytest.fixture
async def browser() -> AsyncIterator[Chromium]:
    need("chromium", "playwright")
    async with Chromium() as opened:
        await opened.start_clock(participant=5, size=WHOLE)
        yield opened


async def publish(browser: Chromium, people: Call, codec: str) -> None:
    """Begin a call with three layers; return when the largest has sent a second of pictures."""
    token = people.server.token(people.room, "ann")
    await browser.publish(f"{people.server.url}/whip/{people.room}", token, codec=codec, simulcast=True)
    await sent_more(browser, "f", 30)


async def sent_more(browser: Chromium, rid: str, frames: int) -> None:
    """Wait for that many more pictures of a layer."""

    async def sent() -> int:
        return int((await browser.stats())["layers"].get(rid, {}).get("sent") or 0)

    goal = await sent() + frames
    async with asyncio.timeout(60):
        while await sent() < goal:
            await asyncio.sleep(0.1)


def sizes(verdict: Verdict) -> Sizes:
    return [(width, height) for _, width, height in verdict.sizes]


def changes_on_key_frames(path: Path) -> bool:
    """Whether every packet decodes to one picture, and one of another size is a key frame."""
    size: tuple[int, int] | None = None
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.video[0]):
            frames = packet.decode()
            if packet.size and len(frames) != 1:
                return False
            for frame in frames:
                if (frame.width, frame.height) != size and not packet.is_keyframe:
                    return False
                size = frame.width, frame.height
    return size is not None


def assert_plays(path: Path) -> Verdict:
    """Every picture decodes and shows its own number, in order, and every beep is there."""
    verdict = judge(path, fps=None)
    assert ffmpeg_says(path, uneven=True) == ""
    assert verdict.unreadable == verdict.disordered == verdict.pts_not_rising == 0, verdict.summary()
    assert verdict.duplicates == [] and verdict.missing_beeps == [], verdict.summary()
    return verdict


@pytest.mark.parametrize("codec", ["vp8", "h264"])
async def test_the_largest_layer_is_recorded(codec: str, browser: Chromium, server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        await publish(browser, people, codec)
        recording = people.start(formats=["hls", "mp4", "webm"])
        await sent_more(browser, "f", 90)
        ended = await browser.unpublish()
        await people.stop(recording)
        (output,) = people.timeline(recording)["outputs"]
        files = people.fetch(recording, tmp_path)
    codecs = {rid: str(layer["codec"]).lower() for rid, layer in ended["layers"].items()}
    assert codecs == dict.fromkeys("qhf", f"video/{codec}")
    assert output["gaps"] == []
    for path in (*files["mp4"], *files["webm"]):
        verdict = assert_plays(path)
        assert sizes(verdict) == [WHOLE]
        assert verdict.frames >= 90


@pytest.mark.parametrize("codec", ["vp8", "h264"])
async def test_a_layer_that_stops_and_comes_back_changes_the_size_and_nothing_else(
    codec: str, browser: Chromium, server: Server, tmp_path: Path
) -> None:
    with call(server, tmp_path) as people:
        recording = people.start(formats=["hls", "mp4", "webm"])
        await publish(browser, people, codec)
        await sent_more(browser, "f", 30)
        await browser.set_active("f", False)
        await sent_more(browser, "h", 90)
        await browser.set_active("f", True)
        await sent_more(browser, "f", 90)
        await browser.unpublish()
        await people.stop(recording)
        (output,) = people.timeline(recording)["outputs"]
        files = people.fetch(recording, tmp_path)
    (gap,) = output["gaps"]  # while nobody knows that the layer has stopped; there is none when it comes back
    assert (gap["kind"], gap["reason"]) == ("video", "layer")
    for path in (*files["mp4"], *files["webm"]):
        verdict = assert_plays(path)
        assert sizes(verdict) == [WHOLE, HALF, WHOLE]
        assert changes_on_key_frames(path)
        (_, *_), (down_s, *_), (up_s, *_) = verdict.sizes
        shown = [one.file_s for one in verdict.shown]
        before, after = bisect_left(shown, down_s), bisect_left(shown, up_s)
        # Some are lost while nobody knows yet that the layer has stopped.
        assert before >= 30 and after - before >= 60 and len(shown) - after >= 60
    (playlist,) = files["hls"]
    assert playlist.read_text().count("#EXT-X-MAP") == 3
    verdict = judge(playlist, fps=None)
    assert sizes(verdict) == [WHOLE, HALF, WHOLE]
    assert verdict.unreadable == verdict.disordered == 0 and verdict.missing_beeps == []
