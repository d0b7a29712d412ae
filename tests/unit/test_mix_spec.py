"""What a mix's pushes may carry: refused when the recording is asked for, not when the server refuses."""

from __future__ import annotations

import pytest

from reelroom.domain.mix import Mix, Push

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
