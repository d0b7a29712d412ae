"""Agora's start and update requests as recordings. No server."""

from __future__ import annotations

from typing import Any

import pytest

from reelroom.dialects.agora import translate
from reelroom.dialects.agora.errors import ServiceError
from reelroom.dialects.agora.wire import (
    AcquireRequest,
    Frame,
    RecordingConfig,
    StartRequest,
    StreamSubscribe,
    UpdateRequest,
    parse,
)
from reelroom.domain.naming import Names
from reelroom.domain.recording import Format, RecordingSpec, Selection
from reelroom.finish.playlist import Growing, Tags

STORAGE = {"vendor": 1, "region": 7, "bucket": "rec", "accessKey": "AK", "secretKey": "SK"}
SID = "9f0c6a1e2b7d4835a1c0de55f0e4b621"


def spec(recording: dict[str, Any] | None = None, prefix: str = "", **more: Any) -> RecordingSpec:
    body = {"storageConfig": STORAGE, "recordingConfig": recording, **more}
    request = parse(StartRequest, body, "clientRequest")
    return translate.spec(request, sid=SID, app="dev", cname="room-7", prefix=prefix, requested_ns=1)[0]


def refused(recording: dict[str, Any] | None = None, **more: Any) -> str:
    with pytest.raises(ServiceError) as caught:
        spec(recording, **more)
    assert (caught.value.status, caught.value.code) == (400, 2)
    return caught.value.reason


def test_a_bare_start_records_everybody_as_hls_ts_apart_with_aac() -> None:
    made = spec()
    assert made.formats == (Format.HLS,)
    assert (made.hls.container, made.hls.segment_s, made.tracks) == ("ts", 15.0, "apart")
    assert (made.audio_codec, made.audio_bitrate, made.limits.idle_s) == ("aac", 48_000, 30)
    assert made.subscription.audio == Selection() and made.subscription.video == Selection()


def test_names_are_agoras() -> None:
    from reelroom.domain import lines

    names = Names(spec(prefix="dirA/dirB/"))
    output = lines.OutputOpened(output="001", identity="41", source="camera", kind="video", start_ns=0)
    assert names.playlist(output) == f"dirA/dirB/{SID}_room-7__uid_s_41__uid_e_video.m3u8"
    segment = lines.Segment(
        output="001", rendition="hls", container="ts", number=1, path="x", bytes=1, sha256="",
        start_ns=1_785_226_400_390 * 10**6, end_ns=0, media_start_ns=0, media_end_ns=0,
    )  # fmt: skip
    assert names.segment(output, segment) == (f"dirA/dirB/{SID}_room-7__uid_s_41__uid_e_video_20260728081320390.ts")


@pytest.mark.parametrize("cname", ["a b", "math_1.a", "{room}", "!#$%&()+-:;<=.>?@[]^_{}|~,"])
def test_channel_names_stay_as_they_are_in_file_names(cname: str) -> None:
    from reelroom.domain import lines

    request = parse(StartRequest, {"storageConfig": STORAGE}, "clientRequest")
    made, _ = translate.spec(request, sid=SID, app="dev", cname=cname, prefix="", requested_ns=1)
    output = lines.OutputOpened(output="001", identity="41", source="camera", kind="audio", start_ns=0)
    assert Names(made).playlist(output) == f"{SID}_{cname}__uid_s_41__uid_e_audio.m3u8"


@pytest.mark.parametrize(
    ("recording", "audio", "video"),
    [
        ({"streamTypes": 0}, Selection(), None),
        ({"streamTypes": 1}, None, Selection()),
        ({"subscribeAudioUids": ["#allstream#"]}, Selection(), None),
        ({"subscribeVideoUids": ["41"]}, None, Selection(include=("41",))),
        ({"unsubscribeVideoUids": ["41"]}, None, Selection(exclude=("41",))),
        ({"unsunscribeVideoUids": ["41"]}, None, Selection(exclude=("41",))),
        (
            {"subscribeAudioUids": ["#allstream#"], "unSubscribeVideoUids": ["41", "57"]},
            Selection(),
            Selection(exclude=("41", "57")),
        ),
        ({"unSubscribeAudioUids": ["#allstream#"], "subscribeVideoUids": ["1"]}, Selection(include=()),
         Selection(include=("1",))),
    ],
)  # fmt: skip
def test_subscription_lists(recording: dict[str, Any], audio: Selection | None, video: Selection | None) -> None:
    made = spec(recording)
    assert (made.subscription.audio, made.subscription.video) == (audio, video)


@pytest.mark.parametrize(
    ("recording", "says"),
    [
        ({"streamTypes": 3}, "recordingConfig.streamTypes"),
        ({"streamTypes": "2"}, "recordingConfig.streamTypes"),
        ({"streamTypes": 0, "subscribeVideoUids": ["1"]}, "contradicts streamTypes 0"),
        ({"streamTypes": 1, "unSubscribeAudioUids": ["1"]}, "contradicts streamTypes 1"),
        ({"subscribeAudioUids": ["1"], "unSubscribeAudioUids": ["2"]}, "exclude each other"),
        ({"subscribeAudioUids": []}, "subscribeAudioUids"),
        ({"subscribeAudioUids": [str(n) for n in range(33)]}, "subscribeAudioUids"),
        ({"subscribeAudioUids": ["#allstream#", "1"]}, "only entry"),
        ({"unSubscribeVideoUids": ["1"], "unsubscribeVideoUids": ["2"]}, "different spellings"),
        ({"maxIdleTime": 4}, "maxIdleTime"),
        ({"maxIdleTime": 2_592_001}, "maxIdleTime"),
        ({"subscribeUidGroup": 6}, "subscribeUidGroup"),
        ({"decryptionMode": 1, "secret": "x"}, "not supported"),
        ({"videoStreamType": 2}, "videoStreamType"),
        ({"streamMode": "fast"}, "streamMode"),
        ({"privateParams": "nonsense"}, "privateParams"),
        ({"privateParams": '{"magic":1}'}, "not supported"),
        ({"channelType": True}, "channelType"),
    ],
)
def test_recording_config_that_is_refused(recording: dict[str, Any], says: str) -> None:
    assert says in refused(recording)


def test_what_individual_mode_has_and_this_server_has_not_is_refused() -> None:
    assert "not supported" in refused(snapshotConfig={"fileType": ["jpg"]})


@pytest.mark.parametrize(("profile", "idle_by"), [(0, "people"), (1, "tracks")])
def test_a_communication_channel_is_idle_when_nobody_is_in_it_a_live_one_when_nobody_publishes(
    profile: int, idle_by: str
) -> None:
    assert spec({"channelType": profile}).limits.idle_by == idle_by


def test_the_default_combination_policy_is_accepted() -> None:
    assert spec(appsCollection={"combinationPolicy": "default"}).id == SID


@pytest.mark.parametrize("types", [["mp4"], ["hls", "mp4"], ["mp3"], [], "hls"])
def test_individual_mode_makes_hls_only(types: Any) -> None:
    assert "avFileType" in refused(recordingFileConfig={"avFileType": types})


def test_playlists_have_agoras_tags() -> None:
    tags = spec().hls.tags
    assert tags is not None
    from reelroom.domain.lines import Segment

    segment = Segment(
        output="001", rendition="hls", container="ts", number=1, path="x", bytes=1, sha256="", width=640, height=360,
        start_ns=1_785_226_400_390 * 10**6, end_ns=0, media_start_ns=0, media_end_ns=15 * 10**9,
    )  # fmt: skip
    growing = Growing(18, tags=Tags(tags, "41", "camera", "video"))
    growing.add(segment, {}, lambda _: "x.ts")
    assert (
        "#EXT-X-AGORA-ROTATE:WIDTH=640,HEIGHT=360,ROTATE=0,TIME=20260728081320390\n"
        "#EXT-X-AGORA-TRACK-EVENT:EVENT=START,TRACK_TYPE=VIDEO,TIME=20260728081320390\n"
        "#EXTINF:15.000000,\nx.ts\n"
    ) in growing.text(ended=True)


def test_original_audio_is_copied() -> None:
    made = spec({"streamMode": "original", "streamTypes": 0})
    assert (made.audio_codec, made.hls.container) == ("auto", "fmp4")


def test_standard_joins_what_is_apart() -> None:
    made = spec({"streamMode": "standard"})
    assert (made.tracks, made.joined) == ("apart", True)
    assert not spec({"streamMode": "default"}).joined


def test_original_without_audio_only_is_default() -> None:
    assert spec({"streamMode": "original"}).audio_codec == "aac"


def test_vendor_leniency() -> None:
    made = spec({"maxIdleTime": 60.0, "channelType": None, "secret": "", "unknownKey": 1, "subscribeAudioUids": None})
    assert made.limits.idle_s == 60


def test_update_replaces_the_whole_subscription() -> None:
    body = {
        "audioUidList": {"subscribeAudioUids": ["#allstream#"]},
        "videoUidList": {"unsunscribeVideoUids": ["41"]},
    }
    made = translate.update_subscription(parse(StreamSubscribe, body, "x"), translate.BOTH)
    assert (made.audio, made.video) == (Selection(), Selection(exclude=("41",)))


def test_the_low_layer_is_recorded_and_stays_so() -> None:
    assert (spec().subscription.layer, spec({"videoStreamType": 1}).subscription.layer) == ("high", "low")
    body = {"audioUidList": {"subscribeAudioUids": ["41"]}}
    made = translate.update_subscription(parse(StreamSubscribe, body, "x"), translate.BOTH, "low")
    assert made.layer == "low"


def test_update_needs_something_to_update() -> None:
    with pytest.raises(ServiceError, match="streamSubscribe or storageConfig"):
        translate.check_update(parse(UpdateRequest, {}, "x"), "individual")
    with pytest.raises(ServiceError, match="mode web"):
        translate.check_update(parse(UpdateRequest, {"webRecordingConfig": {"onhold": True}}, "x"), "individual")


@pytest.mark.parametrize("hours", [0, 721, -1])
def test_acquire_refuses_hours_out_of_range(hours: int) -> None:
    with pytest.raises(ServiceError, match="Acquire: invalid resourceExpiredHour value!"):
        translate.check_acquire(parse(AcquireRequest, {"resourceExpiredHour": hours}, "x"))


def test_acquire_refuses_the_scene_that_does_not_exist_here() -> None:
    with pytest.raises(ServiceError, match="not supported"):
        translate.check_acquire(parse(AcquireRequest, {"scene": 1}, "x"))
    with pytest.raises(ServiceError, match="scene"):
        parse(AcquireRequest, {"scene": 3}, "x")


def test_wrong_frames_are_refused_without_repeating_the_input() -> None:
    with pytest.raises(ServiceError) as caught:
        parse(Frame, {"cname": "a", "uid": 123, "clientRequest": {}}, "body")
    assert "uid" in caught.value.reason and "123" not in caught.value.reason


def test_defaults_are_not_shared() -> None:
    assert RecordingConfig().subscribeAudioUids is None
