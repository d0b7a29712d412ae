"""A mix that is pushed live while it is recorded: to a real RTMP listener, and to one that is not there."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.calls import call
from tests.live.mixed import end_mixed, judge_pane, panes, start_mixed
from tests.servers import Server, running


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(environment={"REELROOM_ALLOW_PRIVATE": "true"}) as started:
        yield started


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def test_a_push_carries_the_mix_and_one_that_fails_hurts_nothing(server: Server, tmp_path: Path) -> None:
    there, nowhere = free_port(), free_port()
    taken = tmp_path / "pushed.flv"
    take = f"ffmpeg -v error -nostdin -listen 1 -i rtmp://127.0.0.1:{there}/live/key -c copy".split()
    listener = subprocess.Popen([*take, str(taken)])
    try:
        await asyncio.sleep(1)
        with call(server, tmp_path) as people:
            await people.join("ann", participant=5)
            pushes = [
                {"id": "good", "url": f"rtmp://127.0.0.1:{there}/live/key"},
                {"id": "bad", "url": f"rtmp://127.0.0.1:{nowhere}/live/key"},
            ]
            recording = start_mixed(people, mix={"pushes": pushes})
            await asyncio.sleep(8)
            timeline, files = await end_mixed(people, recording, tmp_path)
        await asyncio.to_thread(listener.wait, 15)
    finally:
        listener.kill()
        listener.wait()
    pane = panes(["ann"])["ann"]
    recorded = judge_pane(files["mp4"][0], pane, 5)
    assert recorded.missing == recorded.missing_beeps == []
    assert recorded.av_p95_ms <= 40
    pushed = judge_pane(taken, pane, 5)
    assert pushed.frames > 90, pushed.summary()
    assert pushed.unreadable == 0
    assert pushed.av_p95_ms <= 40, pushed.summary()
    told = [notice["code"] for notice in timeline["notices"] if notice["code"].startswith("push_")]
    assert sorted(told) == ["push_failing", "push_started"]
    assert all("key" not in notice["message"] for notice in timeline["notices"])  # the address holds a secret
