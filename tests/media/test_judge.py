"""The judge finds nothing wrong in a perfect file, and finds each thing that is made wrong on purpose."""

from pathlib import Path

import pytest

from reelroom.demo.clipfile import Clip
from tests.elsewhere import safe_clip
from tests.judge import ffmpeg_says, ffprobe_json, judge
from tests.mux import mux
from tests.needs import need


def small(codec: str = "h264", seconds: int = 4) -> Clip:
    return safe_clip(seconds, size=(640, 360), video_kbps=400, codec=codec, participant=3)


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("h264", "a.mp4"),
        ("h264", "a.ts"),
        ("vp8", "a.webm"),
        ("vp9", "a.webm"),
        ("av1", "a.mp4"),
        ("h265", "a.mp4"),
    ],
)
def test_a_copy_of_the_clip_is_perfect(codec: str, name: str, tmp_path: Path) -> None:
    verdict = judge(mux(small(codec), tmp_path / name))
    assert verdict.problems(av_p95_ms=1.0) == []
    assert (verdict.first_frame, verdict.last_frame, verdict.frames) == (0, 119, 120)
    assert [beep.second for beep in verdict.beeps] == [0, 1, 2, 3]
    assert verdict.sizes == [(pytest.approx(verdict.shown[0].file_s), 640, 360)]
    assert verdict.audio_codec == "opus"
    assert verdict.clock_p95_ms < 1
    assert verdict.duration_s == pytest.approx(4, abs=0.05)


@pytest.mark.parametrize("shift_ms", [50, -50, 12, 3])
def test_sound_that_is_shifted_is_measured_to_the_millisecond(shift_ms: int, tmp_path: Path) -> None:
    # Rounded to what every container can carry; the sound before 0 is not in the file.
    clip = small()
    late = Clip(clip.spec, clip.video, [f for f in clip.audio if f.pts_ns + shift_ms * 1e6 >= 0])
    verdict = judge(mux(late, tmp_path / "a.ts", audio_shift_ms=shift_ms))
    assert verdict.av_p50_ms == pytest.approx(shift_ms, abs=1)
    assert verdict.av_p95_ms == pytest.approx(abs(shift_ms), abs=1)
    assert bool(verdict.problems()) == (abs(shift_ms) > 20)


def test_missing_frames_are_named(tmp_path: Path) -> None:
    verdict = judge(mux(small("vp8"), tmp_path / "a.webm", keep=lambda n: n not in {58, 59}))
    # Those before a key frame, since a hole spoils what follows it.
    assert verdict.missing == [58, 59]
    assert not verdict.unreadable
    assert any("missing frames" in problem for problem in verdict.problems())


def test_missing_and_torn_sound_is_named(tmp_path: Path) -> None:
    clip = small()
    silent = Clip(clip.spec, clip.video, [f for f in clip.audio if not 1.9e9 <= f.pts_ns < 2.5e9])
    verdict = judge(mux(silent, tmp_path / "a.ts"))
    assert verdict.missing_beeps == [2]
    assert verdict.audio_gaps == [(pytest.approx(1.9, abs=0.01), pytest.approx(2.5, abs=0.01))]


def test_a_looped_clip_counts_on(tmp_path: Path) -> None:
    clip = small()
    twice = Clip(
        clip.spec,
        clip.video + [type(f)(f.pts_ns + clip.duration_ns, f.data, f.key) for f in clip.video],
        clip.audio + [type(f)(f.pts_ns + clip.duration_ns, f.data, f.key) for f in clip.audio],
    )
    verdict = judge(mux(twice, tmp_path / "a.mp4"), loop_frames=120)
    assert verdict.problems(av_p95_ms=1.0) == []
    assert verdict.last_frame == 239
    assert [beep.second for beep in verdict.beeps] == list(range(8))
    assert judge(tmp_path / "a.mp4").duplicates == list(range(120))


def test_the_wrong_participant_is_not_taken_for_the_right_one(tmp_path: Path) -> None:
    verdict = judge(mux(small(), tmp_path / "a.mp4"), participant=4)
    assert verdict.frames == 0
    assert not verdict.beeps
    assert verdict.problems()


def test_ffmpeg_and_ffprobe_speak_for_themselves(tmp_path: Path) -> None:
    need("ffmpeg", "ffprobe")
    good = mux(small(), tmp_path / "good.mp4")
    assert ffmpeg_says(good) == ""
    streams = ffprobe_json(good)["streams"]
    assert isinstance(streams, list)
    assert [s["codec_name"] for s in streams] == ["h264", "opus"]
    torn = tmp_path / "torn.ts"
    mux(small(), torn)
    damaged = bytearray(torn.read_bytes())
    damaged[30_000:60_000] = bytes(30_000)
    torn.write_bytes(damaged)
    assert ffmpeg_says(torn) != ""
