"""Agora's videoStreamType on a browser's simulcast: a recording of the high layer and one of the low at one time."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.agora_calls import server, token
from tests.clients.agora_curl import Curl, storage
from tests.clients.recorded import probe
from tests.needs import need
from tests.publish.chromium import Chromium
from tests.servers import Server

pytestmark = pytest.mark.alone

WHOLE = (960, 540)  # below that Chromium sends two layers only
LATER_S = 60.0


@pytest.fixture
async def browser() -> AsyncIterator[Chromium]:
    need("chromium", "playwright", "curl", "ffprobe")
    async with Chromium() as opened:
        await opened.start_clock(participant=5, size=WHOLE)
        yield opened


async def sent_more(browser: Chromium, rid: str, frames: int) -> None:
    async def sent() -> int:
        return int((await browser.stats())["layers"].get(rid, {}).get("sent") or 0)

    goal = await sent() + frames
    async with asyncio.timeout(LATER_S):
        while await sent() < goal:
            await asyncio.sleep(0.1)


def started(curl: Curl, stream_type: int) -> Curl:
    curl.acquire()
    config = {"channelType": 1, "streamTypes": 1, "videoStreamType": stream_type, "maxIdleTime": 60}
    status, answer = curl.start(storage("127.0.0.1:1"), recordingConfig=config)
    assert status == 200, answer
    return curl


def size(folder: Path, curl: Curl) -> tuple[int, int]:
    """Of every picture of the recording's only playlist."""
    (index,) = folder.glob(f"{curl.sid}_*.m3u8")
    found = probe(index)
    assert found.keys() == {"video"}
    width, height = re.findall(r"\|(\d+)\|(\d+)\|", found["video"])[0]
    return int(width), int(height)


async def killed(running: Server, sid: str) -> None:
    """Kill a recorder and wait for the next one."""
    before = running.recorders()[sid]
    os.kill(before, signal.SIGKILL)
    async with asyncio.timeout(LATER_S):
        while running.recorders().get(sid, before) == before:
            await asyncio.sleep(0.1)


def gaps(running: Server, sid: str) -> list[Any]:
    with running.client("native-key") as client:
        (output,) = client.get(f"/api/v1/recordings/{sid}/timeline").json()["outputs"]
    return list(output["gaps"])


async def test_low_and_high_layer_are_recorded_at_the_same_time_and_a_killed_recorder_loses_nothing(
    browser: Chromium,
) -> None:
    with server(storage="app") as running:
        publish = token(running, "room-7", "41")
        await browser.publish(f"{running.url}/whip/room-7", publish, codec="h264", simulcast=True)
        await sent_more(browser, "f", 30)
        high, low = (started(Curl(running, "room-7", f"90000{n}"), n) for n in (0, 1))
        await sent_more(browser, "f", 45)
        await killed(running, low.sid)
        await sent_more(browser, "f", 30)
        for curl in (high, low):
            status, answer = await asyncio.to_thread(curl.call, "stop")
            assert status == 200, answer
        folder = running.data / "storage" / "agora" / "calls"
        assert size(folder, high) == WHOLE
        width, height = size(folder, low)
        assert width <= WHOLE[0] // 2 and height <= WHOLE[1] // 2
        assert gaps(running, high.sid) == gaps(running, low.sid) == []
        await browser.unpublish()
