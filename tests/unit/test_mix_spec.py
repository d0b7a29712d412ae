"""What a mix may be, and what its pushes may carry: refused when it is asked for, not when something fails."""

from __future__ import annotations

import pytest

from reelroom.domain.mix import Mix, Push
from reelroom.domain.recording import Format, Mode, RecordingSpec

RTMP, RTMPS, SRT = "rtmp://host/live/key", "rtmps://host/live/key", "srt://host:9000?streamid=key"


@pytest.mark.parametrize(("url", "video", "audio"), [
    (RTMP, "h264", "aac"), (RTMPS, "h264", "aac"), (SRT, "h264", "aac"), (SRT, "h265", "mp3"),
])  # fmt: skip
def test_a_push_takes_what_its_container_does(url, video, audio):
    assert Mix(video_codec=video, audio_codec=audio, pushes=(Push(id="a", url=url),))


@pytest.mark.parametrize(("url", "video", "audio"), [
    (RTMP, "h265", "aac"), (RTMPS, "h264", "opus"), (RTMP, "h264", "mp3"), (SRT, "vp9", "aac"), (SRT, "h264", "opus"),
])  # fmt: skip
def test_a_push_refuses_other_codecs_by_name(url, video, audio):
    with pytest.raises(ValueError, match=f"not {video} and {audio}"):
        Mix(video_codec=video, audio_codec=audio, pushes=(Push(id="a", url=url),))


@pytest.mark.parametrize("size", [(16, 64), (64, 62)])
def test_av1_takes_no_picture_that_is_too_small_for_it(size):
    width, height = size
    assert Mix(width=width, height=height)
    with pytest.raises(ValueError, match="at least 64 pixels with av1"):
        Mix(width=width, height=height, video_codec="av1")


@pytest.mark.parametrize(("codec", "rate", "channels", "least", "most"), [
    ("aac", 48_000, 2, 8_000, 500_000), ("opus", 48_000, 1, 8_000, 256_000), ("opus", 48_000, 2, 8_000, 320_000),
    ("mp3", 44_100, 1, 32_000, 320_000), ("mp3", 16_000, 2, 8_000, 160_000),
])  # fmt: skip
def test_a_sound_that_its_encoder_cannot_make_is_refused(codec, rate, channels, least, most):
    how = {"audio_codec": codec, "sample_rate": rate, "channels": channels}
    for right in (least, most):
        assert Mix(**how, audio_bitrate=right)
    for wrong in (least - 1, most + 1):
        with pytest.raises(ValueError, match=rf"{least} to {most} bit/s of {codec} at {rate} Hz.*, not {wrong}"):
            Mix(**how, audio_bitrate=wrong)


def test_a_mix_may_become_other_files_than_what_it_is_made_of():
    names = {"id": "0" * 32, "app": "a", "room": "r", "mode": Mode.MIXED}
    made = RecordingSpec(**names, mix=Mix(individual=True, formats=("mp3",)))
    assert made.of_output("mixed").formats == (Format.MP3,)
    assert made.of_output("camera").formats == (Format.HLS,)
    assert RecordingSpec(**names, mix=Mix()).of_output("mixed").formats == (Format.HLS,)
    for wrong in ((), ("mp3", "mp3"), ("wav",)):
        with pytest.raises(ValueError, match=r"mix\.formats"):
            RecordingSpec(**names, mix=Mix(formats=wrong))
