"""A mixed call as people make it: one speaks, another shows a screen, one turns a phone, one has a bad line."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from reelroom.demo.clip import make_clip
from reelroom.demo.clipfile import Clip
from reelroom.demo.publisher import AiortcPublisher
from reelroom.domain.layout import Pane, Person, arrange
from reelroom.domain.scene import Fit, Layout, Preset
from tests.judge import ffmpeg_says, ffprobe_json
from tests.live.calls import call
from tests.live.mixed import CANVAS, end_mixed, judge_pane, panes, start_mixed
from tests.publish.lossy import LossyLink, Trouble
from tests.servers import Server


def large(panes_: tuple[Pane, ...]) -> Pane:
    return max(panes_, key=lambda pane: pane.width * pane.height)


def length_s(path: Path) -> float:
    found: Any = ffprobe_json(path)
    return float(found["format"]["duration"])


def seen(path: Path, pane: Pane, participant: int) -> list[float]:
    """When a pane shows a participant."""
    return [one.file_s for one in judge_pane(path, pane, participant).shown]


async def test_who_speaks_stands_large_a_screen_takes_over_and_limits_end_and_split_the_file(
    server: Server, tmp_path: Path
) -> None:
    def change(layout: dict[str, Any]) -> None:
        body = {"scene": {"layout": {"fit": "fit", **layout}}}
        people.api.patch(f"/api/v1/recordings/{recording}", json=body).raise_for_status()

    with call(server, tmp_path) as people:
        ann = await people.join("ann", participant=5)
        bob = await people.join("bob", participant=9)
        bob.mute("audio")
        await asyncio.sleep(1)
        recording = start_mixed(
            people,
            mix={"scene": {"layout": {"preset": "vertical", "follow_speaker": True, "fit": "fit"}}},
            hls={"segment_s": 2},
            split_s=10,
            limits={"duration_s": 15},
        )
        await asyncio.sleep(2.5)
        ann.mute("audio")
        bob.unmute("audio")
        await asyncio.sleep(4)
        change({"preset": "screen_share"})
        await asyncio.sleep(1.5)
        screen = await people.join("ann", participant=13, size=(480, 270), token={"source": "screen"})
        await asyncio.sleep(3)
        await people.leave(screen)
        found = await people.finished(recording)
        await people.end()
        timeline = people.timeline(recording)
        files = await asyncio.to_thread(people.fetch, recording, tmp_path)
    assert found["reason"] == "max_duration", found
    (output,) = timeline["outputs"]
    assert (output["end_ns"] - output["start_ns"]) / 1e9 == pytest.approx(15, abs=0.5)
    assert [gap for gap in output["gaps"] if gap["identity"] == ""] == []

    first, second = files["mp4"]
    assert len(files["hls"]) == 1
    assert all(ffmpeg_says(path) == "" for path in (first, second, files["hls"][0]))
    lengths = [length_s(path) for path in (first, second)]
    assert 8 <= lengths[0] <= 10.1
    path = files["hls"][0]
    assert sum(lengths) == pytest.approx(length_s(path), abs=0.1)

    # the one who speaks
    cameras = [Person("ann", "camera", 0, True), Person("bob", "camera", 1, True)]
    following = Layout(preset=Preset.VERTICAL, fit=Fit.FIT, follow_speaker=True)
    place = large(arrange(following, *CANVAS, cameras, 0, "ann"))
    screens = [(scene["at_ns"] - output["start_ns"]) / 1e9 for scene in timeline["scenes"]]
    anns = [at_s for at_s in seen(path, place, 5) if at_s < screens[0]]
    bobs = [at_s for at_s in seen(path, place, 9) if at_s < screens[0]]
    assert len(anns) > 60
    assert len(bobs) > 20
    assert max(anns) < min(bobs)  # one change, and not back
    assert min(bobs) - max(anns) < 0.1

    # the screen: a grid without it, large with it, a grid again
    sharing = Layout(preset=Preset.SCREEN_SHARE, fit=Fit.FIT)
    with_screen = arrange(sharing, *CANVAS, [*cameras, Person("ann", "screen", 2, True)], 0)
    shown = judge_pane(path, large(with_screen), 13, (480, 270)).shown
    assert len({one.frame for one in shown}) > 60
    began, ended = shown[0].file_s, shown[-1].file_s
    assert screens[0] < began < ended
    for name, participant in (("ann", 5), ("bob", 9)):
        alone = next(pane for pane in arrange(sharing, *CANVAS, cameras, 0) if pane.identity == name)
        times = seen(path, alone, participant)
        assert [at_s for at_s in times if screens[0] + 0.1 < at_s < began - 0.1]
        assert [at_s for at_s in times if at_s > ended + 0.1]
        assert [at_s for at_s in times if began + 0.1 < at_s < ended - 0.1] == []
        small = next(p for p in with_screen if (p.identity, p.source) == (name, "camera"))
        assert len([at_s for at_s in seen(path, small, participant) if began < at_s < ended]) > 60


def turned(clip: Clip, other: Clip, at_s: int) -> Clip:
    """One clip's pictures until then, another's from there: a phone that is turned. Key frames are at even seconds."""
    at_ns = at_s * 1_000_000_000
    pictures = [f for f in clip.video if f.pts_ns < at_ns] + [f for f in other.video if f.pts_ns >= at_ns]
    return Clip(clip.spec, pictures, clip.audio)


def count_key_requests(publisher: AiortcPublisher) -> list[str]:
    """Grows by one with each PLI that reaches this sender."""
    assert publisher._pc is not None
    asked: list[str] = []
    for sender in publisher._pc.getSenders():
        sender._send_keyframe = lambda kind=sender.kind: asked.append(kind)
    return asked


async def until(publisher: AiortcPublisher, media_s: float) -> None:
    """Wait for a time of the publisher's clip."""
    await asyncio.sleep(media_s - publisher.media_ns / 1e9)


async def test_a_bad_line_and_a_turned_phone_disturb_nobody_else(server: Server, tmp_path: Path) -> None:
    sizes = {"wide": (1280, 720), "tall": (720, 1280)}
    wide, tall = [
        await asyncio.to_thread(make_clip, 12, size=size, video_kbps=700, participant=9) for size in sizes.values()
    ]
    with call(server, tmp_path) as people:
        async with LossyLink(Trouble(delay_ms=20)) as link:
            lossy = await people.join("lossy", participant=5, gop=120, edit_answer=link.edit_answer)
            await people.publish("phone", turned(wide, tall, 6), 12)
            await people.join("cat", participant=13)
            await asyncio.sleep(0.5)
            recording = start_mixed(people)
            bad = Trouble(loss=0.1, delay_ms=20)
            link.up.trouble = link.down.trouble = bad
            await until(lossy, 4.5)  # half a second after a key frame
            asked = count_key_requests(lossy)
            link.up.trouble = link.down.trouble = Trouble(loss=1)
            await until(lossy, 5)
            link.up.trouble = bad
            await until(lossy, 6.3)  # nobody hears what is missing: it is never sent again
            link.down.trouble = bad
            await until(lossy, 8)
            assert "video" in asked
            await until(lossy, 10.5)
            timeline, files = await end_mixed(people, recording, tmp_path)
    assert link.up.counts.lost > 20
    (output,) = timeline["outputs"]
    assert {gap["identity"] for gap in output["gaps"]} <= {"lossy"}
    path = files["mp4"][0]
    places = panes(["lossy", "phone", "cat"])

    lossy_seen = judge_pane(path, places["lossy"], 5).shown
    steps = [b.frame - a.frame for a, b in pairwise(lossy_seen)]
    assert min(steps) >= 0  # never back
    assert max(steps) > 10  # what was lost
    frozen = max(b.file_s - a.file_s for a, b in pairwise([lossy_seen[0], *_changes(lossy_seen)]))
    assert frozen > 1
    end_s = lossy_seen[-1].file_s
    assert len({one.frame for one in lossy_seen if one.file_s > end_s - 2}) > 30
    broken = [one for one in lossy_seen if abs((one.file_s - one.media_s) - (end_s - lossy_seen[-1].media_s)) > 2.5]
    assert broken == []  # what is shown is that participant's, at most as old as the freeze

    cat = judge_pane(path, places["cat"], 13)
    assert cat.unreadable <= 2, cat.summary()
    assert cat.missing_beeps == cat.audio_gaps == []
    assert max(b.frame - a.frame for a, b in pairwise(cat.shown)) <= 2
    assert cat.av_p95_ms <= 40, cat.summary()

    before, after = [judge_pane(path, places["phone"], 9, size).shown for size in sizes.values()]
    assert {one.frame < 180 for one in before} == {True}
    assert {one.frame >= 180 for one in after} == {True}
    assert after[0].file_s - before[-1].file_s < 0.1  # not a tick between them
    assert len({one.frame for one in after}) > 60
    phone = judge_pane(path, places["phone"], 9, sizes["tall"])
    assert phone.missing_beeps == []


def _changes(shown: list[Any]) -> list[Any]:
    """The first of each run of the same picture."""
    return [b for a, b in pairwise(shown) if b.frame != a.frame]
