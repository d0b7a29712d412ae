"""No encoder leaves threads at real-time priority, which what is started from them would inherit."""

import os
from pathlib import Path

import pytest

from reelroom.demo.clip import make_clip
from reelroom.domain.mix import Mix
from reelroom.record.mixed.canvas import Canvas
from reelroom.record.mixed.encoder import PictureEncoder
from reelroom.record.mux.video import VideoEncoder
from tests.elsewhere import AV1_HERE


def realtime() -> set[str]:
    return {name for name in os.listdir("/proc/self/task") if os.sched_getscheduler(int(name)) != os.SCHED_OTHER}


@pytest.mark.parametrize("codec", ["h264", "h265", "vp9", AV1_HERE])
def test_an_encoder_runs_at_ordinary_priority(codec: str) -> None:
    before = realtime()
    mix = Mix(width=320, height=180, video_codec=codec)
    encoder = PictureEncoder(mix)
    frame = Canvas(320, 180).frame
    for tick in range(3):
        encoder.encode(frame, tick, False)
        assert realtime() <= before
    encoder.flush()


@pytest.mark.alone
def test_so_do_those_of_segments_and_clips(tmp_path: Path) -> None:
    before = realtime()
    held = VideoEncoder("av1", 320, 180, 300_000, [])
    assert realtime() <= before
    make_clip(1, codec="av1", size=(320, 180), cache=tmp_path)
    assert realtime() <= before
    del held
