"""The clip with an exact clock through renditions and files, judged: every frame, every beep, 20 ms at most."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from muxkit import jobs, record, spec

from reelroom.domain.lines import File
from reelroom.domain.recording import Hls
from reelroom.finish import make_files
from reelroom.finish.read import read_segment
from reelroom.record.mux import Sample
from tests.elsewhere import safe_clip
from tests.judge import judge

#: ADTS and MP3 apart: they have no picture.
FORMATS = ("hls", "mp4", "webm", "flv")


def _samples(frames) -> list[Sample]:
    return [Sample(frame.pts_ns, frame.key, frame.data) for frame in frames]


@pytest.mark.parametrize("container", ["fmp4", "ts"])
@pytest.mark.parametrize("codec", ["h264", "h265", "vp8", "vp9", "av1"])
def test_playlist_and_files_are_perfect(tmp_path: Path, codec: str, container: str) -> None:
    clip = safe_clip(6, size=(640, 360), video_kbps=400, codec=codec, participant=3)
    recorder = record(
        tmp_path,
        spec(formats=FORMATS, hls=Hls(container=container)),
        jobs(_samples(clip.video), _samples(clip.audio), codec),
    )
    paths = [recorder.playlist()]
    for item in make_files(tmp_path, recorder.spec, recorder.lines):
        assert isinstance(item, File), str(item)
        paths.append(tmp_path / item.path)
    assert len(paths) == 4
    for path in paths:
        verdict = judge(path)
        assert verdict.problems() == [], path.name
        assert verdict.frames == 180
        assert len(verdict.beeps) >= 5


@pytest.mark.parametrize("container", ["fmp4", "ts"])
def test_a_killed_recorder_goes_on_with_new_renditions(tmp_path: Path, container: str) -> None:
    clip = safe_clip(6, size=(640, 360), video_kbps=400, codec="h264", participant=3)
    recorder = record(tmp_path, spec(formats=("hls", "mp4", "flv"), hls=Hls(container=container)), [])
    for job in jobs(_samples(clip.video), _samples(clip.audio)):
        if job.number == 2:
            recorder.renditions.clear()
        recorder.write(job)
    made = {item.format: item for item in make_files(tmp_path, recorder.spec, recorder.lines)}
    verdict = judge(tmp_path / made["mp4"].path)
    assert verdict.problems() == []
    assert verdict.frames == 180
    verdict = judge(tmp_path / made["flv"].path)
    assert verdict.problems() == []
    assert verdict.frames == 180
    # What the old AAC encoder still held is in: the packets follow each other as if nothing had been.
    name = "aac" if "aac" in recorder.muxed else "hls"
    if container == "fmp4":
        tables = [read_segment(tmp_path / f"segments/001/{name}/{n:05d}.m4s")[2] for n in (1, 2, 3)]
        assert set(np.diff(np.concatenate([table.dts for table in tables])).tolist()) == {1024}
    assert list(tmp_path.glob("segments/**/*.tmp")) == []
    assert judge(recorder.playlist()).frames == 180
