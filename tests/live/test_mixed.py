"""A call mixed into one picture and one sound: everybody's bar code is in their pane, in step with their own beeps."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from reelroom.demo.clip import tone_hz
from tests.live.calls import call
from tests.live.mixed import CANVAS, end_mixed, judge_pane, panes, start_mixed
from tests.servers import Server


def low_tones(path: Path, seconds: int) -> dict[int, float]:
    """What sounds below 600 Hz in the middle of a file: pitch in Hz and level in dB below full scale, above -60."""
    with av.open(str(path)) as container:
        rate = container.streams.audio[0].rate
        sound = np.concatenate([frame.to_ndarray().mean(axis=0) for frame in container.decode(audio=0)])
    begin = (len(sound) - seconds * rate) // 2
    window = np.hanning(seconds * rate)
    spectrum = np.abs(np.fft.rfft(sound[begin : begin + seconds * rate] * window))[: 600 * seconds]
    levels = 20 * np.log10(2 * spectrum / window.sum() + 1e-9)
    peaks = [
        at for at in range(50 * seconds, len(levels) - seconds)
        if levels[at] > -60 and levels[at] == levels[at - seconds : at + seconds + 1].max()
    ]  # fmt: skip
    return {round(at / seconds): float(levels[at]) for at in peaks}


def key_times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        packets = container.demux(container.streams.video[0])
        return [float(packet.pts * packet.time_base) for packet in packets if packet.size and packet.is_keyframe]


async def test_three_people_are_in_one_file_each_in_their_pane_and_in_sync(server: Server, tmp_path: Path) -> None:
    names = {"ann": 5, "bob": 9, "cat": 13}
    with call(server, tmp_path) as people:
        for name, participant in names.items():
            await people.join(name, participant=participant)
        await asyncio.sleep(1)
        recording = start_mixed(people)
        await asyncio.sleep(6)
        timeline, files = await end_mixed(people, recording, tmp_path)
    tones = low_tones(files["mp4"][0], 4)
    assert sorted(tones) == [tone_hz(participant) for participant in names.values()]
    assert all(level == pytest.approx(-30, abs=1) for level in tones.values()), tones
    keys = key_times(files["mp4"][0])
    assert len(keys) >= 3
    assert all(b - a == pytest.approx(2, abs=0.001) for a, b in pairwise(keys)), keys
    (output,) = timeline["outputs"]
    assert (output["identity"], output["source"]) == ("", "mixed")
    assert len(files["mp4"]) == len(files["hls"]) == 1
    for path in (*files["mp4"], *files["hls"]):
        for name, pane in panes(list(names)).items():
            verdict = judge_pane(path, pane, names[name])
            assert verdict.sizes == [(0.0, *CANVAS)]
            assert verdict.duration_s >= 5.5
            assert verdict.unreadable <= 15, verdict.summary()  # until the first key frame
            assert len({shown.frame for shown in verdict.shown}) >= 150, verdict.summary()
            assert verdict.missing_beeps == []
            assert verdict.av_p95_ms <= 40, verdict.summary()
