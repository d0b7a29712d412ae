"""Who is recorded changes during the call: those left out have a gap with its reason, those taken in go on."""

import asyncio
import itertools
from pathlib import Path

from tests.judge import ffmpeg_says, judge
from tests.live.calls import call
from tests.servers import Server


async def test_somebody_is_left_out_and_taken_in_again(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        await people.join("ann", participant=5)
        await people.join("bob", participant=6)
        recording = people.start(formats=["mp4"])

        def subscribe(**lists: object) -> None:
            body = {"subscription": lists}
            answer = people.api.patch(f"/api/v1/recordings/{recording}", json=body).raise_for_status().json()
            for kind, wanted in lists.items():
                asked = {"include": None, "exclude": []} | wanted  # type: ignore[operator]
                assert asked.items() <= answer["subscription"][kind].items()

        await asyncio.sleep(3)
        subscribe(audio={"exclude": ["bob"]}, video={"exclude": ["bob"]})
        await asyncio.sleep(3)
        subscribe(audio={"include": ["ann", "bob"]}, video={"include": ["ann", "bob"]})
        await asyncio.sleep(3)
        await people.stop(recording)
        await people.end()
        outputs = {output["identity"]: output for output in people.timeline(recording)["outputs"]}
        assert outputs.keys() == {"ann", "bob"}
        assert outputs["ann"]["gaps"] == []
        gaps = [gap for gap in outputs["bob"]["gaps"] if gap["to_ns"] - gap["from_ns"] > 2e9]
        assert {gap["kind"] for gap in gaps} == {"audio", "video"}
        assert {gap["reason"] for gap in gaps} == {"unsubscribed"}
        files = people.fetch(recording, tmp_path)["mp4"]
        assert [path.name for path in files] == ["ann_camera.mp4", "bob_camera.mp4"]
        whole, cut = (judge(path) for path in files)
        assert whole.problems() == []
        frames = [one.frame for one in cut.shown]
        assert frames == sorted(set(frames))  # nothing twice
        missing = max(b - a for a, b in itertools.pairwise(frames))
        assert missing > 45  # what bob said meanwhile is in no file
        assert ffmpeg_says(files[1], uneven=True) == ""


async def test_only_sound_from_now_on(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        await people.join("ann", participant=5)
        recording = people.start(formats=["mp4"])
        await asyncio.sleep(3)
        body = {"subscription": {"audio": True, "video": False}}
        people.api.patch(f"/api/v1/recordings/{recording}", json=body).raise_for_status()
        await asyncio.sleep(3)
        await people.stop(recording)
        await people.end()
        timeline = people.timeline(recording)
        assert timeline["outputs"][0]["gaps"] == []  # the picture ended; nothing is missing in between
        ends = {(track["kind"], track["reason"]) for track in timeline["tracks"] if track["change"] != "added"}
        assert ("video", "unsubscribed") in ends, timeline["tracks"]
        (path,) = people.fetch(recording, tmp_path)["mp4"]
        verdict = judge(path)
        assert len(verdict.shown) < 30 * 5
        assert verdict.duration_s > 5
