"""Clips come back from their files as they were made, and what counts samples in MP4 files counts right."""

from pathlib import Path

import pytest

from benchmarks.peers.measure import mp4_samples
from reelroom.demo.clip import make_clip
from reelroom.demo.clipfile import Clip
from reelroom.demo.publisher import AiortcPublisher, PublishError
from tests.elsewhere import AV1_HERE
from tests.mux import mux


@pytest.mark.parametrize("codec", ["h264", "vp8", "vp9", AV1_HERE, "h265"])
def test_a_clip_is_made_once_and_read_back(codec: str, tmp_path: Path) -> None:
    made = make_clip(2, size=(320, 180), video_kbps=200, codec=codec, gop=15, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    assert Clip.load(next(tmp_path.iterdir())) == made
    assert make_clip(2, size=(320, 180), video_kbps=200, codec=codec, gop=15, cache=tmp_path) == made
    assert [n for n, frame in enumerate(made.video) if frame.key] == [0, 15, 30, 45]
    assert (len(made.video), len(made.audio)) == (60, 100)


def test_h264_has_its_parameter_sets_before_every_key_frame_and_no_b_frames(tmp_path: Path) -> None:
    clip = make_clip(2, size=(320, 180), video_kbps=200, gop=30, cache=tmp_path)
    for frame in clip.video:
        kinds = [
            part[0] & 31 for part in frame.data.replace(b"\x00\x00\x00\x01", b"\x00\x00\x01").split(b"\x00\x00\x01")[1:]
        ]
        assert ({7, 8, 5} <= set(kinds)) == frame.key
        assert frame.key or 5 not in kinds
    sps = clip.video[0].data.split(b"\x67", 1)[1]
    assert sps[0] == 66, "baseline"
    assert sps[1] & 0x40, "constrained"


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"something else")
    with pytest.raises(ValueError, match="no clip file"):
        Clip.load(tmp_path / "x")


@pytest.mark.parametrize(
    ("options", "said"),
    [({"codec": "mpeg2"}, "not one of"), ({"fps": 29}, "does not divide"), ({"participant": 64}, "not in")],
)
def test_a_clip_that_cannot_be_exact_is_refused(options: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        make_clip(1, cache=tmp_path, **options)  # type: ignore[arg-type]


def test_aiortc_says_what_it_cannot_publish(tmp_path: Path) -> None:
    clip = make_clip(1, size=(320, 180), video_kbps=200, codec="vp9", cache=tmp_path)
    with pytest.raises(PublishError, match="vp9"):
        AiortcPublisher("http://127.0.0.1:1/whip/x", None, clip)


def test_samples_of_an_mp4_are_counted(tmp_path: Path) -> None:
    clip = make_clip(2, size=(320, 180), video_kbps=200, cache=tmp_path)
    assert mp4_samples(mux(clip, tmp_path / "a.mp4")) == {"video": 60, "audio": 100}
    (tmp_path / "torn.mp4").write_bytes((tmp_path / "a.mp4").read_bytes()[:2000])
    assert mp4_samples(tmp_path / "torn.mp4") == {"video": 0, "audio": 0}
