"""What happens in a call that is mixed: scenes and subscriptions change, pauses, people mute, leave and come back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from reelroom.demo.clip import beep_hz
from reelroom.domain.layout import Pane
from reelroom.domain.scene import Fit, Layout, Names, Preset
from reelroom.record.mixed.labels import label
from reelroom.record.mixed.planes import empty
from tests.judge import Shown, luma
from tests.live.calls import Call, call
from tests.live.mixed import brightness, brightnesses, end_mixed, judge_pane, panes, start_mixed
from tests.onset import envelope
from tests.servers import Server, running

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as started:
        yield started


def change(people: Call, recording: str, **body: Any) -> tuple[int, int]:
    """Between which two wall times it was done."""
    before_ns = time.time_ns()
    people.api.patch(f"/api/v1/recordings/{recording}", json=body).raise_for_status()
    return before_ns, time.time_ns()


def alike(path: Path, pane: Pane, image: NDArray[np.uint8]) -> float:
    """How much the last picture's lower left corner of a pane is like that luma: 1 is the same."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            last = luma(frame)
    bottom = pane.y + pane.height
    there = last[bottom - image.shape[0] : bottom, pane.x : pane.x + image.shape[1]]
    return float(np.corrcoef(there.ravel(), image.ravel())[0, 1])


def without_late(gaps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The gaps but for sound that a busy sender sent too late to be mixed, less than a second of it."""
    return [
        gap
        for gap in gaps
        if (gap["kind"], gap["reason"]) != ("audio", "late") or gap["to_ns"] - gap["from_ns"] > 1_000_000_000
    ]


def even(path: Path, fps: int = 30) -> None:
    """The picture's frames are exactly as far apart as they should be, from the first to the last."""
    times = [time_s for time_s, _ in brightness(path, 0, 0)]
    assert np.abs(np.array(times) - np.arange(len(times)) / fps).max() < 0.0005


def loudest_click(path: Path, *participants: int) -> float:
    """The largest bend in the sound and at its end, beside everybody's beeps. Tones of -30 dB have 0.00003, cut off
    hard 0.02."""
    with av.open(str(path)) as container:
        rate = container.streams.audio[0].rate
        sound = np.concatenate([frame.to_ndarray().mean(axis=0) for frame in container.decode(audio=0)])
    sound = np.pad(sound, (0, rate // 10))  # what is heard when it is over
    bends = np.abs(np.diff(sound, 2))
    around = np.ones(rate // 25)
    for participant in participants:
        beeps = envelope(sound, rate, beep_hz(participant)) > 0.003  # in the 30 ms that begin there, a torn one too
        bends[np.flatnonzero(np.convolve(beeps, around)[: len(bends)] > 0.5)] = 0
    return float(bends.max())


def moving(shown: list[Shown], from_s: float, to_s: float) -> int:
    """How many different pictures of those in a pane are there between two times of the file."""
    return len({one.frame for one in shown if from_s <= one.file_s < to_s})


async def test_scenes_change_at_the_time_of_the_call_without_a_cut(server: Server, tmp_path: Path) -> None:
    names = {"ann": 5, "王小明": 9}
    with call(server, tmp_path) as people:
        for name, participant in names.items():
            await people.join(name, participant=participant)
        recording = start_mixed(people)
        await asyncio.sleep(2.5)
        calls = [change(people, recording, scene={"background": {"color": "#c0c0c0"}})]
        await asyncio.sleep(2)
        layout = {"preset": "vertical", "focus": "王小明", "fit": "fit"}
        calls.append(change(people, recording, scene={"layout": layout}))
        await asyncio.sleep(2.5)
        mark = {"x": 0, "y": 0, "width": 120, "height": 40, "text": "直播", "color": "#000000", "background": "#ffffff"}
        written = {"size": 40, "color": "#000000", "background": "#ffffff", "opacity": 1}
        calls.append(change(people, recording, scene={"watermarks": [mark], "names": written}))
        await asyncio.sleep(1.5)
        timeline, files = await end_mixed(people, recording, tmp_path)
    (output,) = timeline["outputs"]
    for scene, (before_ns, after_ns) in zip(timeline["scenes"], calls, strict=True):
        assert before_ns <= scene["at_ns"] <= after_ns  # what is shown from then on is shown from the call on
    light, moved, marked = [(scene["at_ns"] - output["start_ns"]) / 1e9 for scene in timeline["scenes"]]
    path = files["mp4"][0]
    even(path)
    new = panes(list(names), Layout(preset=Preset.VERTICAL, focus="王小明", fit=Fit.FIT))
    margins = [(pane.x, pane.y + pane.height - 12) for pane in new.values()]  # of the labels
    corner, *white = brightnesses(path, (0, 0), *margins)
    assert all((value > 128) == (at_s >= light) for at_s, value in corner if at_s < moved)
    for name, pane in panes(list(names)).items():
        shown = judge_pane(path, pane, names[name]).shown
        assert moving(shown, 0.2, moved) > (moved - 0.2) * 25
        assert moving(shown, moved, 60) == 0
    for name, pane in new.items():
        shown = judge_pane(path, pane, names[name]).shown
        assert moving(shown, 0, moved) == 0
        assert moving(shown, moved, moved + 2) >= 50
    for spot in (corner, *white):
        assert all((value > 226) == (at_s >= marked) for at_s, value in spot if at_s > moved)
    sheet = label("王小明", Names(**written), 300)
    assert sheet is not None
    drawn = empty(sheet.width, sheet.height)
    sheet.lay_over(drawn, 0, 0)
    assert alike(path, new["王小明"], drawn.y) > 0.9


async def test_a_pause_is_cut_out_and_the_rest_is_even_and_in_step(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        await people.join("ann", participant=5)
        recording = start_mixed(people, hls={"segment_s": 2})
        for wait_s, what in ((2.2, "pause"), (1.7, "resume"), (1.3, "pause"), (1.0, "resume"), (2.2, "")):
            await asyncio.sleep(wait_s)
            if what:
                people.do(recording, what)
        timeline, files = await end_mixed(people, recording, tmp_path)
    (output,) = timeline["outputs"]
    assert output["gaps"] == []
    paused_s = sum(pause["to_ns"] - pause["from_ns"] for pause in timeline["pauses"]) / 1e9
    assert paused_s == pytest.approx(2.7, abs=0.6)
    assert len(files["hls"]) == len(files["mp4"]) == 1
    path = files["mp4"][0]
    even(path)
    verdict = judge_pane(path, panes(["ann"])["ann"], 5)
    assert verdict.audio_gaps == []
    assert verdict.unreadable == 0
    assert verdict.av_p95_ms <= 40, verdict.summary()
    jumps = [b.frame - a.frame for a, b in pairwise(verdict.shown) if b.frame - a.frame > 5]
    assert sum(jumps) / 30 == pytest.approx(paused_s, abs=0.2)
    assert len(jumps) == 2
    assert loudest_click(path, 5) < 0.002


async def test_who_is_left_out_is_neither_seen_nor_heard_from_that_time_on(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        await people.join("ann", participant=5)
        bob = await people.join("bob", participant=9)
        recording = start_mixed(people)
        await asyncio.sleep(2.5)
        people.hold_up(bob, 0.2)  # what is captured in the next moment comes after the call
        await asyncio.sleep(0.15)
        left = change(people, recording, subscription={"audio": {"exclude": ["bob"]}, "video": {"exclude": ["bob"]}})
        await asyncio.sleep(2.5)
        people.hold_up(bob, 0.2)
        await asyncio.sleep(0.15)
        taken = change(people, recording, subscription={"audio": {}, "video": {}})
        await asyncio.sleep(2.5)
        timeline, files = await end_mixed(people, recording, tmp_path)
    path = files["mp4"][0]
    even(path)
    both = judge_pane(path, panes(["ann", "bob"])["bob"], 9)
    alone = judge_pane(path, panes(["ann"])["ann"], 5)
    (output,) = timeline["outputs"]
    gaps = [gap for gap in output["gaps"] if gap["identity"] == "bob"]
    assert {(gap["kind"], gap["reason"]) for gap in gaps} == {("audio", "unsubscribed"), ("video", "unsubscribed")}
    out_s, in_s = [
        (when - output["start_ns"]) / 1e9
        for when in (min(gap["from_ns"] for gap in gaps), max(gap["to_ns"] for gap in gaps))
    ]
    assert left[0] - 0.1e9 < min(gap["from_ns"] for gap in gaps) < left[1]
    assert taken[0] < max(gap["to_ns"] for gap in gaps) < taken[1] + 0.1e9
    assert all(not out_s + 0.1 < shown.file_s < in_s - 0.1 for shown in both.shown)
    assert len([1 for shown in alone.shown if out_s + 0.1 < shown.file_s < in_s - 0.1]) > 60
    assert any(shown.file_s > in_s + 1 for shown in both.shown)
    assert all(not out_s + 0.1 < beep.file_s < in_s - 0.1 for beep in both.beeps)
    ann = judge_pane(path, panes(["ann", "bob"])["ann"], 5)
    assert ann.missing_beeps == []
    assert ann.audio_gaps == []
    assert loudest_click(path, 5, 9) < 0.002


async def test_muted_cameras_show_the_placeholder_and_come_back(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        ann = await people.join("ann", participant=5, gop=15)
        await people.join("bob", participant=9)
        recording = start_mixed(people, mix={"scene": {"layout": {"fit": "fit"}, "placeholder": {"color": "#f0f0f0"}}})
        await asyncio.sleep(2.5)
        ann.mute("video")
        await asyncio.sleep(3)
        ann.unmute("video")
        await asyncio.sleep(2.5)
        timeline, files = await end_mixed(people, recording, tmp_path)
    path = files["mp4"][0]
    even(path)
    (output,) = timeline["outputs"]
    (gap,) = without_late(output["gaps"])
    assert (gap["identity"], gap["kind"]) == ("ann", "video")
    assert gap["reason"] in ("mute", "stall")
    off_s, on_s = ((gap[name] - output["start_ns"]) / 1e9 for name in ("from_ns", "to_ns"))
    pane = panes(["ann", "bob"])["ann"]
    light = [at_s for at_s, value in brightness(path, pane.x + 8, pane.y + pane.height // 2) if value > 220]
    placeheld = [at_s for at_s in light if off_s < at_s < on_s]
    assert len(placeheld) > 30
    shown = judge_pane(path, pane, 5).shown
    assert len([1 for one in shown if one.file_s > on_s + 0.2]) > 45
    bob = judge_pane(path, panes(["ann", "bob"])["bob"], 9)
    assert bob.missing_beeps == []
    assert bob.unreadable <= 2


@pytest.mark.parametrize("comes_back", [{"codec": "vp8"}, {"size": (640, 360)}], ids=["codec", "size"])
async def test_who_leaves_and_comes_back_differently_has_a_pane_again(
    comes_back: dict[str, Any], server: Server, tmp_path: Path
) -> None:
    with call(server, tmp_path) as people:
        first = await people.join("ann", participant=5)
        await people.join("bob", participant=9)
        recording = start_mixed(people)
        await asyncio.sleep(2.5)
        await people.leave(first)
        await asyncio.sleep(1.5)
        await people.join("ann", participant=5, **comes_back)
        await asyncio.sleep(3)
        timeline, files = await end_mixed(people, recording, tmp_path)
    path = files["mp4"][0]
    even(path)
    assert [output["identity"] for output in timeline["outputs"]] == [""]
    both = panes(["ann", "bob"])
    ann = judge_pane(path, both["ann"], 5, comes_back.get("size", (320, 180)))
    assert len([1 for one in ann.shown if one.file_s < 2.5]) > 55
    assert len([1 for one in ann.shown if one.file_s > ann.duration_s - 2]) > 50
    bob = judge_pane(path, panes(["bob"])["bob"], 9)
    assert len(bob.shown) > 20  # alone for a while, and larger
    assert judge_pane(path, both["bob"], 9).missing_beeps == []
    assert loudest_click(path, 5, 9) < 0.002
    # "late": the third publisher that begins here makes the first two send late.
    gaps = {(gap["identity"], gap["reason"]) for gap in without_late(timeline["outputs"][0]["gaps"])}
    assert gaps <= {("ann", "left"), ("ann", "reconnect")}
