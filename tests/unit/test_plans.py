"""The answer to a start says rightly what is copied and what is transcoded."""

import pytest

from reelroom.control.plans import by_codec, fate, present
from reelroom.domain.recording import Format, Hls, RecordingSpec, Selection, Subscription


def spec(**fields: object) -> RecordingSpec:
    return RecordingSpec(id="0" * 32, app="a", room="r", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("format", "codec", "expected"),
    [
        (Format.HLS, "h264", "copy"), (Format.HLS, "opus", "copy"), (Format.HLS, "vp8", "transcode to h264"),
        (Format.MP4, "vp9", "copy"), (Format.MP4, "pcmu", "transcode to aac"), (Format.WEBM, "vp8", "copy"),
        (Format.WEBM, "h264", "transcode to vp8"), (Format.FLV, "opus", "transcode to aac"),
        (Format.MP3, "h264", "dropped"), (Format.MP3, "opus", "transcode to mp3"), (Format.OPUS, "opus", "copy"),
        (Format.OPUS, "pcma", "transcode to opus"),
    ],
)  # fmt: skip
def test_codecs_are_copied_where_the_container_takes_them(format: Format, codec: str, expected: str) -> None:
    assert fate(spec(), format, codec) == expected


def test_what_was_asked_for_decides() -> None:
    assert fate(spec(hls=Hls(container="ts")), Format.HLS, "opus") == "transcode to aac"
    assert fate(spec(audio_codec="aac"), Format.MP4, "opus") == "transcode to aac"
    assert fate(spec(audio_codec="aac"), Format.WEBM, "opus") == "copy"  # WebM has no AAC
    only = spec(subscription=Subscription(audio=Selection(), video=None))
    assert by_codec(only) == {"hls": {"opus": "copy", "pcmu": "transcode to aac", "pcma": "transcode to aac"}}


def test_tracks_that_are_not_wanted_are_left_out() -> None:
    asked = spec(subscription=Subscription(audio=None, video=Selection(exclude=("bob",))))
    tracks = [
        {"source": "camera", "kind": "video", "codec": "vp8"},
        {"source": "microphone", "kind": "audio", "codec": "opus"},
    ]
    room = [{"identity": "ann", "tracks": tracks}, {"identity": "bob", "tracks": tracks}]
    assert present(asked, room) == [
        {"identity": "ann", "source": "camera", "kind": "video", "codec": "vp8",
         "formats": {"hls": "transcode to h264"}}
    ]  # fmt: skip
