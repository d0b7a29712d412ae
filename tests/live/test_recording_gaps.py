"""Loss that nobody repairs: the timeline has it with its reason, and files are filled as was asked."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from reelroom.demo.clip import make_clip
from reelroom.demo.publisher import AiortcPublisher
from tests.judge import ffmpeg_says, judge
from tests.live.calls import call
from tests.publish.lossy import LossyLink, Trouble
from tests.servers import Server


@pytest.mark.parametrize(
    ("audio", "video"), [("leave", "leave"), ("silence", "last"), ("silence", "black")], ids=["leave", "last", "black"]
)
async def test_two_seconds_without_a_packet(audio: str, video: str, server: Server, tmp_path: Path) -> None:
    clip = await asyncio.to_thread(make_clip, 30, size=(320, 180), video_kbps=250, participant=5, gop=15)
    with call(server, tmp_path) as people:
        async with LossyLink(Trouble()) as link:
            url, token = f"{server.url}/whip/{people.room}", server.token(people.room, "ann")
            publisher = AiortcPublisher(url, token, clip, edit_answer=link.edit_answer)
            await publisher.start()
            recording = people.start(formats=["mp4"], gaps={"audio": audio, "video": video})
            await publisher.run(2)
            link.up.trouble = link.down.trouble = Trouble(loss=1)  # down for good: a NACK would repair it all
            await publisher.run(2)
            link.up.trouble = Trouble()
            await publisher.run(3)
            await people.stop(recording)
            await publisher.close()
        (output,) = people.timeline(recording)["outputs"]
        gaps = {gap["kind"]: gap for gap in output["gaps"]}
        assert sorted(gap["kind"] for gap in output["gaps"]) == ["audio", "video"]
        assert {gap["reason"] for gap in gaps.values()} == {"loss"}
        assert all(gap["to_ns"] - gap["from_ns"] > 1.9e9 and gap["packets"] > 0 for gap in gaps.values())
        filled = {"audio": "silence", "video": video} if video != "leave" else {"audio": "", "video": ""}
        assert {kind: gap["filled"] for kind, gap in gaps.items()} == filled
        (path,) = people.fetch(recording, tmp_path)["mp4"]
    verdict = judge(path)
    assert ffmpeg_says(path, uneven=True) == ""
    assert verdict.duplicates == [] or video == "last"
    assert verdict.pts_not_rising == 0
    assert verdict.av_p95_ms <= 20, verdict.summary()
    assert bool(verdict.audio_gaps) == (audio == "leave")
