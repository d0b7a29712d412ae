"""Each pane of a mix against its own beeps, with senders whose clocks and cameras are not like the others'."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.live.calls import call
from tests.live.mixed import end_mixed, judge_pane, panes, start_mixed
from tests.servers import Server


async def test_every_pane_is_in_step_with_its_own_beeps(server: Server, tmp_path: Path) -> None:
    names = {"fast": (5, 30), "slow": (9, 30), "film": (13, 15)}
    with call(server, tmp_path) as people:
        await people.join("fast", participant=5, ppm=100)
        await people.join("slow", participant=9, ppm=-100)
        await people.join("film", participant=13, fps=15)
        await asyncio.sleep(1)
        recording = start_mixed(people)
        await asyncio.sleep(12)
        timeline, files = await end_mixed(people, recording, tmp_path)
    places = panes(list(names))
    for name, (participant, fps) in names.items():
        verdict = judge_pane(files["mp4"][0], places[name], participant, fps=fps, changes=True)
        assert verdict.unreadable <= 2, verdict.summary()
        assert len(verdict.shown) >= fps * 10.5
        assert verdict.missing_beeps == verdict.audio_gaps == [], (name, verdict.summary())
        assert verdict.av_p95_ms <= 40, (name, verdict.summary())
    (output,) = timeline["outputs"]
    assert output["gaps"] == []


async def test_who_captures_nothing_for_a_while_is_in_step_again_afterwards(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        await people.join("ann", participant=5)
        stalls = await people.join("stalls", participant=17, gop=30)
        await asyncio.sleep(1)
        recording = start_mixed(people)
        await asyncio.sleep(4)
        stalls.stall(2.5)
        await asyncio.sleep(10)
        timeline, files = await end_mixed(people, recording, tmp_path)
    places = panes(["ann", "stalls"])
    ann = judge_pane(files["mp4"][0], places["ann"], 5, changes=True)
    assert ann.missing_beeps == ann.audio_gaps == []
    assert ann.av_p95_ms <= 40, ann.summary()
    verdict = judge_pane(files["mp4"][0], places["stalls"], 17, changes=True)
    later = [beep for beep in verdict.beeps if beep.file_s > 9]  # a report has told that time passed
    assert len(later) >= 4, verdict.summary()
    assert max(abs(beep.offset_ms) for beep in later if not beep.cut) <= 40
    (output,) = timeline["outputs"]
    gaps = [(gap["identity"], gap["kind"], gap["reason"], gap["to_ns"] - gap["from_ns"]) for gap in output["gaps"]]
    stalled = [gap for gap in gaps if gap[2] != "late"]
    assert {gap[:2] for gap in stalled} == {("stalls", "audio"), ("stalls", "video")}
    assert all(gap[3] / 1e9 == pytest.approx(2.5, abs=0.2) for gap in stalled)
    # Until a report came, its sound had times that were mixed already.
    assert all(gap[:2] == ("stalls", "audio") and gap[3] < 2.5e9 for gap in gaps if gap not in stalled), gaps
