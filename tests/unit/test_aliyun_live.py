"""Alibaba Cloud Live's four actions on the real use cases: what they make of parameters, and what they refuse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from reelroom.domain.lines import Change, ChangeScene, Stop
from reelroom.domain.recording import Format, RecordingSpec, Source, State
from reelroom.store import tables
from tests.unit.aliyun_server import CODING, MIXED, OSS, PANE, REQUEST, Server, refused, serving, wire

STARTED_NAME = "{start:%Y-%m-%d-%H:%M:%S}"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(tmp_path) as made:
        yield made


async def started(server: Server, request: dict[str, Any]) -> tuple[str, RecordingSpec]:
    answer = await server.live("StartRtcCloudRecording", **wire(request))
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"RequestId", "TaskId"}
    return answer.json()["TaskId"], server.recorders.specs[-1]


async def test_single_streams_are_recorded_as_they_come_with_the_vendors_names(server: Server) -> None:
    task, spec = await started(server, REQUEST)
    assert spec.id == task.replace("-", "") and len(task) == 36 and spec.room == "room1024" and spec.mix is None
    assert spec.formats == (Format.HLS,) and spec.hls.container == "ts" and spec.hls.segment_s == 30
    assert (spec.split_s, spec.hls.split_s) == (7200, 7200)
    assert spec.naming.file == f"{task}/dev_{{room}}_{{identity}}_" + STARTED_NAME
    assert spec.naming.segment == f"{task}/dev_{{room}}_{{identity}}_" + STARTED_NAME + "_{sequence}"
    assert spec.naming.utc_offset_s == 28800
    assert (spec.limits.idle_s, spec.limits.duration_s) == (300, 72 * 3600)
    assert (spec.rejoin, spec.rejoin_s) == ("continue", 300)
    wants = spec.subscription.wants
    assert wants("userA", Source.CAMERA) and wants("userA", Source.MICROPHONE) and not wants("userA", Source.SCREEN)
    assert wants("userB", Source.MICROPHONE) and not wants("userB", Source.CAMERA)
    assert not wants("userC", Source.MICROPHONE)


async def test_each_format_has_its_own_folder_and_name_and_hls_is_always_made(server: Server) -> None:
    info = [
        {"Format": "mp4", "FilePathPrefix": ["dir1", "dir2"], "FileNamePattern": "{ChannelId}-{UserId}"},
        {"Format": "MP3", "FileNamePattern": "{AppId}"},
    ]
    task, spec = await started(
        server, REQUEST | {"StorageParams": {"StorageType": 1, "OSSParams": OSS, "FileInfo": info}}
    )
    assert set(spec.formats) == {Format.HLS, Format.MP4, Format.MP3}
    assert spec.naming.files == {"mp4": f"dir1/dir2/{task}/{{room}}-{{identity}}", "mp3": f"{task}/dev"}


async def test_a_format_that_is_asked_for_again_is_stored_again_under_its_other_name(server: Server) -> None:
    info = [
        {"Format": "MP4", "FilePathPrefix": ["a"], "FileNamePattern": "{UserId}"},
        {"Format": "mp4", "FilePathPrefix": ["b"], "FileNamePattern": "{UserId}"},
        {"Format": "MP4"},
    ]
    storage = {"StorageType": 1, "OSSParams": OSS, "FileInfo": info}
    task, spec = await started(server, REQUEST | {"StorageParams": storage, "NotifyFileUploadedFormat": ["MP4"]})
    assert spec.formats == (Format.HLS, Format.MP4)
    assert spec.naming.files["mp4"] == f"a/{task}/{{identity}}"
    default = f"{task}/dev_{{room}}_{{identity}}_" + STARTED_NAME
    assert spec.naming.copies["mp4"] == (f"b/{task}/{{identity}}", default)
    for wrong in ([info[0], info[0]], [{"Format": "HLS"}, {"Format": "HLS", "FilePathPrefix": ["a"]}]):
        answer = await server.live(
            "StartRtcCloudRecording", **wire(REQUEST | {"StorageParams": storage | {"FileInfo": wrong}})
        )
        refused(answer, 400, FILES)


async def test_camera_and_screen_of_one_user_are_apart_when_names_tell_them(server: Server) -> None:
    both = {"SubscribeUserIdList": [{"UserId": "userA"}, {"UserId": "userA", "SourceType": 1}]}
    _, spec = await started(server, REQUEST | {"SubscribeParams": both})
    assert "{source}" in spec.naming.file and "{source}" in spec.naming.segment
    info = [{"Format": "MP4", "FileNamePattern": "{UserId}"}]
    storage = {"StorageType": 1, "OSSParams": OSS, "FileInfo": info}
    answer = await server.live(
        "StartRtcCloudRecording", **wire(REQUEST | {"SubscribeParams": both, "StorageParams": storage})
    )
    refused(answer, 400, "InvalidParameter.StorageParams.FileInfo")


async def test_a_mix_has_exactly_its_panes_and_coding(server: Server) -> None:
    task, spec = await started(server, MIXED)
    mix = spec.mix
    assert mix is not None
    assert (mix.width, mix.height, mix.fps, mix.gop_s, mix.video_bitrate) == (1280, 720, 20, 1.0, 1_500_000)
    assert (mix.audio_bitrate, mix.channels, mix.sample_rate) == (128_000, 2, 48_000)
    (pane,) = mix.scene.layout.panes
    assert (pane.x, pane.y, pane.width, pane.height, pane.z) == (0, 0, 0.5, 1, 1)
    assert (pane.identity, pane.source) == ("userA", "camera")
    assert spec.naming.mixed == f"{task}/dev_{{room}}_" + STARTED_NAME
    assert (spec.split_s, spec.hls.split_s) == (3600, 3600)
    assert spec.rejoin_s == 0


@pytest.mark.parametrize(
    ("kbit", "channels", "rate", "bits"),
    [
        (8, 1, 8000, 8_000), (500, 1, 8000, 48_000), (500, 2, 48000, 500_000), (500, 1, 48000, 288_000),
        (300, 2, 32000, 300_000), (321, 2, 44100, 321_000), (128, 2, 16000, 128_000),
    ],
)  # fmt: skip
async def test_sound_has_the_bits_that_are_asked_for_as_far_as_aac_has_room(
    server: Server, kbit: int, channels: int, rate: int, bits: int
) -> None:
    coding = CODING | {"AudioBitrate": kbit, "AudioChannels": channels, "AudioSampleRate": rate, "VideoBitrate": 1}
    _, spec = await started(server, MIXED | {"MixTranscodeParams": coding})
    mix = spec.mix
    assert mix is not None and (mix.audio_bitrate, mix.channels, mix.sample_rate) == (bits, channels, rate)
    assert mix.video_bitrate == 1000
    assert spec.audio_bitrate == min(max(kbit, 16), 320) * 1000  # of MP3


@pytest.mark.parametrize(("fps", "gop", "slice_s"), [(20, 20, 30), (1, 30, 30), (1, 60, 60), (2, 60, 30), (60, 1, 30)])
async def test_slices_are_as_long_as_from_one_key_frame_to_the_next(
    server: Server, fps: int, gop: int, slice_s: int
) -> None:
    coding = CODING | {"VideoFramerate": fps, "VideoGop": gop}
    _, spec = await started(server, MIXED | {"MixTranscodeParams": coding})
    assert spec.mix is not None and (spec.mix.gop_s, spec.hls.segment_s) == (gop / fps, slice_s)


async def test_objects_may_come_with_dots_and_with_zeros_for_what_is_not_set(server: Server) -> None:
    parameters = {
        "AppId": "dev",
        "ChannelId": "room1024",
        "SubscribeParams.SubscribeUserIdList.2.UserId": "userB",
        "SubscribeParams.SubscribeUserIdList.10.UserId": "0",
        "SubscribeParams.SubscribeUserIdList.1.UserId": "userA",
        "SubscribeParams.SubscribeUserIdList.1.StreamType": "0",
        "RecordParams.RecordMode": "0",
        "RecordParams.MaxFileDuration": "0",
        "StorageParams.StorageType": "1",
        "StorageParams.OSSParams.OSSBucket": "rec",
        "StorageParams.OSSParams.OSSEndpoint": "oss-cn-shanghai.aliyuncs.com",
        "StorageParams.FileInfo.1.Format": "MP4",
        "StorageParams.FileInfo.1.SliceDuration": "0",
        "StorageParams.FileInfo.1.FilePathPrefix.1": "dir1",
        "MixTranscodeParams.AudioBitrate": "0",
        "MixLayoutParams.MixBackground.Url": "",
        "OwnerId": "7",
    }
    answer = await server.live("StartRtcCloudRecording", **parameters)
    assert answer.status_code == 200, answer.text
    spec = server.recorders.specs[-1]
    assert spec.subscription.each[Source.CAMERA].include == ("userA", "userB", "0")
    assert spec.split_s == 7200 and spec.naming.files["mp4"].startswith("dir1/")


USERS = "InvalidParameter.SubscribeParams.SubscribeUserIdList"
FILES = "InvalidParameter.StorageParams.FileInfo"
PANES = "InvalidParameter.MixLayoutParams.UserPanes"
CODED = "InvalidParameter.MixTranscodeParams"


@pytest.mark.parametrize(
    ("base", "change", "status", "code"),
    [
        (REQUEST, {"AppId": "other"}, 404, "InvalidParameter.AppId"),
        (REQUEST, {"AppId": ""}, 400, "MissingParameter"),
        (REQUEST, {"ChannelId": ""}, 400, "MissingParameter"),
        (REQUEST, {"ChannelId": "a\x01"}, 404, "InvalidParameter.ChannelId"),
        (REQUEST, {"SubscribeParams": "{"}, 400, USERS),
        (REQUEST, {"SubscribeParams": {"SubscribeUserIdList": []}}, 400, "MissingParameter"),
        (REQUEST, {"SubscribeParams": {"SubscribeUserIdList": [{"UserId": f"u{n}"} for n in range(18)]}}, 400, USERS),
        (REQUEST, {"SubscribeParams": {"SubscribeUserIdList": [{"UserId": "a", "StreamType": 2}]}}, 400, USERS),
        (REQUEST, {"SubscribeParams": {"SubscribeUserIdList": [{"UserId": "a", "SourceType": 2}]}}, 400, USERS),
        (REQUEST, {"RecordParams": {}}, 400, "MissingParameter"),
        (REQUEST, {"RecordParams": {"RecordMode": 2}}, 405, "InvalidParameter.RecordParams"),
        (REQUEST, {"RecordParams": {"RecordMode": 0, "StreamType": 2}}, 400, USERS),
        (REQUEST, {"RecordParams": {"RecordMode": 0, "MaxFileDuration": 179}}, 405, "InvalidParameter.RecordParams"),
        (REQUEST, {"StorageParams": {"StorageType": 3}}, 405, "InvalidParameter.StorageParams.StorageType"),
        (REQUEST, {"StorageParams": {"StorageType": 1}}, 400, "MissingParameter"),
        (
            REQUEST, {"StorageParams": {"StorageType": 1, "OSSParams": OSS | {"OSSBucket": "A b"}}},
            400, "InvalidParameter.StorageParams.OSSParams",
        ),
        (
            REQUEST, {"StorageParams": {"StorageType": 1, "OSSParams": OSS | {"OSSEndpoint": "ftp://x"}}},
            400, "InvalidParameter.StorageParams.OSSParams",
        ),
        (
            REQUEST, {"StorageParams": {"StorageType": 2, "VodParams": {"VodTranscodeGroupId": "x"}}},
            405, "InvalidParameter.StorageParams.VodParams",
        ),
        (REQUEST, {"NotifyUrl": "ftp://x"}, 400, "InvalidParameter.NotifyUrl"),
        (REQUEST, {"NotifyUrl": "http://127.0.0.1:9/" + "x" * 2048}, 400, "InvalidParameter.NotifyUrl"),
        (REQUEST, {"NotifyAuthKey": "short"}, 405, "InvalidParameter.NotifyAuthKey"),
        (REQUEST, {"MaxIdleTime": "9"}, 405, "InvalidParameter.MaxIdleTime"),
        (REQUEST, {"NotifyFileUploadedFormat": ["MP4"]}, 405, "InvalidParameter.NotifyFileUploadedFormat"),
        (REQUEST, {"MixTranscodeParams": CODING}, 400, CODED),
        (REQUEST, {"MixLayoutParams": {"UserPanes": [PANE]}}, 400, PANES),
        (MIXED, {"MixTranscodeParams": CODING | {"VideoGop": 61}}, 400, CODED),
        (MIXED, {"MixTranscodeParams": CODING | {"VideoGop": None}}, 400, "MissingParameter"),
        (MIXED, {"MixTranscodeParams": CODING | {"AudioSampleRate": 7}}, 400, CODED),
        (MIXED, {"MixTranscodeParams": CODING | {"AudioBitrate": 7}}, 400, CODED),
        (MIXED, {"MixTranscodeParams": CODING | {"AudioBitrate": 501}}, 400, CODED),
        (MIXED, {"MixTranscodeParams": CODING | {"AudioSampleRate": 24000}}, 400, CODED),
        (MIXED, {"MixTranscodeParams": CODING | {"AudioChannels": 3}}, 400, CODED),
        (MIXED, {"MixTranscodeParams": CODING | {"VideoBitrate": 0}}, 400, CODED),
        (MIXED, {"MixTranscodeParams": CODING | {"VideoBitrate": 10001}}, 400, CODED),
        (MIXED, {"MixTranscodeParams": CODING | {"VideoFramerate": 61}}, 400, CODED),
        (MIXED, {"MixTranscodeParams": CODING | {"VideoWidth": 1921}}, 400, CODED),
        (MIXED, {"MixTranscodeParams": CODING | {"VideoCodec": "VP8"}}, 400, CODED),
        (MIXED, {"MixTranscodeParams": CODING | {"FrameFillType": 2}}, 400, CODED),
        (MIXED, {"MixTranscodeParams": ""}, 400, "MissingParameter"),
        (MIXED, {"MixLayoutParams": ""}, 400, "MissingParameter"),
        (MIXED, {"MixLayoutParams": {"UserPanes": [PANE | {"UserId": "userB"}]}}, 400, PANES),
        (MIXED, {"MixLayoutParams": {"UserPanes": [PANE | {"X": "0.6"}]}}, 400, PANES),
        (MIXED, {"MixLayoutParams": {"UserPanes": [PANE | {"X": "left"}]}}, 400, PANES),
        (
            MIXED, {"SubscribeParams": {"SubscribeUserIdList": [{"UserId": "userA", "StreamType": 1}]},
                    "RecordParams": {"RecordMode": 1, "StreamType": 2}},
            400, USERS,
        ),
    ],
)  # fmt: skip
async def test_what_the_vendor_refuses_is_refused_with_its_code(
    server: Server, base: dict[str, Any], change: dict[str, Any], status: int, code: str
) -> None:
    refused(await server.live("StartRtcCloudRecording", **wire(base | change)), status, code)
    assert server.recorders.specs == []


@pytest.mark.parametrize(
    "info",
    [
        {"Format": "FLV"},
        {"Format": "HLS", "SliceDuration": 9},
        {"Format": "HLS", "SliceNamePattern": "{UserId}"},
        {"Format": "MP4", "SliceDuration": 10},
        {"Format": "MP4", "FileNamePattern": "{Nobody}"},
        {"Format": "MP4", "FileNamePattern": "a/b"},
        {"Format": "MP4", "FileNamePattern": "}"},
        {"Format": "MP4", "FilePathPrefix": [".."]},
        {"Format": "MP4", "FilePathPrefix": ["a/b"]},
    ],
)
async def test_what_cannot_be_a_file_is_refused(server: Server, info: dict[str, Any]) -> None:
    storage = {"StorageType": 1, "OSSParams": OSS, "FileInfo": [info]}
    refused(await server.live("StartRtcCloudRecording", **wire(REQUEST | {"StorageParams": storage})), 400, FILES)


@pytest.mark.parametrize("nothing", ["{}", "null", " {} ", {}])
async def test_objects_that_nobody_filled_in_are_not_given(server: Server, nothing: Any) -> None:
    """Clients that always write all five objects; a single stream's start must not have the last two."""
    unused = {"MixTranscodeParams": nothing, "MixLayoutParams": nothing}
    task, _ = await started(server, REQUEST | unused)
    users = {"SubscribeParams": REQUEST["SubscribeParams"]}
    answer = await server.live("UpdateRtcCloudRecording", TaskId=task, **wire(users | {"MixLayoutParams": nothing}))
    assert answer.status_code == 200, answer.text
    for name in ("SubscribeParams", "MixTranscodeParams"):
        answer = await server.live("StartRtcCloudRecording", **wire(MIXED | {name: nothing}))
        assert f"{name} is mandatory" in refused(answer, 400, "MissingParameter")["Message"]
    named_null = await server.live("StartRtcCloudRecording", **wire(REQUEST | {"ChannelId": "null"}))
    assert "ChannelId" not in named_null.text


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"SubscribeParams": {"SubscribeUserIdList": [{"UserId": "a"}, {}]}}, "SubscribeUserIdList.2.UserId"),
        ({"SubscribeParams": {"SubscribeUserIdList": [{"UserId": "a"}, {"UserId": "a"}]}}, "SubscribeUserIdList.2:"),
        ({"SubscribeParams": {"SubscribeUserIdList": ["a"]}}, "SubscribeUserIdList.1: Input should be an object"),
        ({"FileInfo": [{"Format": "MP4"}, {"Format": "FLV"}]}, "FileInfo.2.Format"),
        ({"FileInfo": [{"Format": "HLS", "SliceDuration": 9}]}, "FileInfo.1.SliceDuration"),
    ],
)
async def test_an_entry_of_a_list_is_named_by_its_number_from_1(
    server: Server, change: dict[str, Any], where: str
) -> None:
    if "FileInfo" in change:
        change = {"StorageParams": {"StorageType": 1, "OSSParams": OSS, **change}}
    answer = await server.live("StartRtcCloudRecording", **wire(REQUEST | change))
    assert answer.status_code == 400 and where in answer.json()["Message"], answer.text


async def test_nobody_in_the_channel_is_an_error(server: Server) -> None:
    server.rooms.identities = []
    refused(await server.live("StartRtcCloudRecording", **wire(REQUEST)), 404, "InvalidParameter.ChannelId")


async def test_update_replaces_users_and_layout_and_stop_ends_once(server: Server) -> None:
    task, _ = await started(server, MIXED)
    change = {"SubscribeParams": {"SubscribeUserIdList": [{"UserId": "userB"}]}}
    answer = await server.live("UpdateRtcCloudRecording", TaskId=task, **wire(change))
    refused(answer, 400, "MissingParameter")
    layout = {"MixLayoutParams": {"UserPanes": [PANE | {"UserId": "userB", "Width": "1"}]}}
    answer = await server.live("UpdateRtcCloudRecording", TaskId=task, **wire(change | layout))
    assert answer.json()["TaskId"] == task, answer.text
    subscribed, shown = server.recorders.commands
    assert isinstance(subscribed, Change) and subscribed.subscription.each[Source.CAMERA].include == ("userB",)
    assert isinstance(shown, ChangeScene) and shown.scene.layout.panes[0].identity == "userB"
    server.recorders.obeys = False
    assert (await server.live("StopRtcCloudRecording", TaskId=task)).json()["TaskId"] == task
    assert isinstance(server.recorders.commands[-1], Stop)
    described = await server.live("DescribeRtcCloudRecordingFiles", TaskId=task)
    assert described.json()["TaskInfo"]["Status"] == "STOPPING"
    refused(await server.live("StopRtcCloudRecording", TaskId=task), 400, "InvalidParameter.TaskId")
    await server.recorders.become(task.replace("-", ""), State.FINISHED)
    described = await server.live("DescribeRtcCloudRecordingFiles", TaskId=task)
    empty = {"HlsFileList": [], "Mp4FileList": [], "Mp3FileList": [], "VodMediaList": []}
    assert described.json()["TaskInfo"] == {"TaskId": task, "Status": "STOPPED", "RecordFileList": empty}


async def test_files_are_listed_once_they_are_in_storage(server: Server) -> None:
    task, _ = await started(server, REQUEST)
    common: dict[str, Any] = {"recording": task.replace("-", ""), "output": "001", "path": "", "line": {}}
    async with server.database.transaction() as session:
        for key, role, state, uploaded_ns in (
            ("grows.m3u8", "playlist", "pending", 1),
            ("waits.m3u8", "playlist", "pending", None),
            ("a.mp4", "file", "uploaded", 1),
            ("b.mp3", "file", "uploading", None),
            ("c.mp4", "file", "deleted", 1),
            ("1.ts", "segment", "uploaded", 1),
        ):
            format_ = {"m3u8": "hls", "ts": "hls"}.get(key.partition(".")[2], key.partition(".")[2])
            row = {"key": key, "role": role, "state": state, "format": format_, "uploaded_ns": uploaded_ns}
            session.add(tables.File(**common, **row))
    listed = (await server.live("DescribeRtcCloudRecordingFiles", TaskId=task)).json()["TaskInfo"]["RecordFileList"]
    assert listed == {"HlsFileList": ["grows.m3u8"], "Mp4FileList": ["a.mp4"], "Mp3FileList": [], "VodMediaList": []}


@pytest.mark.parametrize("action", ["StopRtcCloudRecording", "DescribeRtcCloudRecordingFiles"])
async def test_a_task_that_is_not_there_is_not_found(server: Server, action: str) -> None:
    refused(await server.live(action, TaskId="0b1f6c73"), 400, "NotFound.Task")
    refused(await server.live(action), 400, "MissingParameter")
