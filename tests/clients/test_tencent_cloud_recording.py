"""Tencent's API 3.0 by the vendor's own Python client on a real server and a real call, down to files and callbacks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import signal
import time
from typing import Any

import pytest

from reelroom.dialects.tencent import usersig
from tests.clients.agora_calls import Receiver, publishing, receiver
from tests.clients.tencent_calls import (
    CALLBACK_KEY,
    SDK_APP_ID,
    SIG_KEY,
    fetch,
    local,
    probe,
    request,
    server,
    trtc,
    until,
    vod,
)
from tests.judge import ffmpeg_says, judge
from tests.needs import need

COS = {"Vendor": 0, "Region": "ap-guangzhou", "Bucket": "b-1", "AccessKey": "ak", "SecretKey": "sk"}


def create(user: str, params: dict[str, Any], storage: dict[str, Any] | None = None, **more: Any) -> Any:
    said = {
        "SdkAppId": SDK_APP_ID,
        "RoomId": "1001",
        "UserId": user,
        "UserSig": usersig.make(SIG_KEY, SDK_APP_ID, user),
        "RecordParams": params,
        "StorageParams": storage or {"CloudStorage": {**COS, "FileNamePrefix": ["school", "math"]}},
        **more,
    }
    return request("CreateCloudRecording", said)


def task(name: str, id: str, **more: Any) -> Any:
    return request(name, {"SdkAppId": SDK_APP_ID, "TaskId": id, **more})


def check(callbacks: Receiver, id: str) -> list[tuple[int, Any]]:
    """Types and payloads of a task's callbacks, their signatures checked by the vendor's rule."""
    found = []
    for headers, body in list(callbacks.received):
        made = base64.b64encode(hmac.new(CALLBACK_KEY.encode(), body, hashlib.sha256).digest()).decode()
        assert headers["Sign"] == made
        assert headers["SdkAppId"] == str(SDK_APP_ID)
    for notice in callbacks.notices():
        if notice["EventInfo"]["TaskId"] == id:
            assert (notice["EventGroupId"], notice["EventInfo"]["RoomId"]) == (3, "1001")
            found.append((notice["EventType"], notice["EventInfo"]["Payload"]))
    return found


def test_single_streams_into_storage_with_picture_and_sound_apart_and_one_mp4() -> None:
    need("tencentcloud", "aiortc", "ffprobe")
    with receiver() as callbacks, server(storage="app", check_user_sig="true", callback_url=callbacks.url) as running:
        client = trtc(running)
        with publishing(running, "1001", "teacher"):
            params = {"RecordMode": 1, "StreamType": 0, "OutputFormat": 1, "MaxIdleTime": 60}
            id = client.CreateCloudRecording(create("recorder_1", params)).TaskId
            nobody = {f"Subscribe{kind}UserIds": ["nobody"] for kind in ("Audio", "Video")}
            watching = {"RecordMode": 1, "MaxIdleTime": 5, "SubscribeStreamUserIds": nobody}
            idle = client.CreateCloudRecording(create("recorder_idle", watching)).TaskId
            until(lambda: client.DescribeCloudRecording(task("DescribeCloudRecording", id)).Status == "InProgress")
            until(lambda: any(number == 304 for number, _ in check(callbacks, id)))
            os.kill(running.recorders()[id], signal.SIGKILL)
            until(lambda: any(number == 306 for number, _ in check(callbacks, id)))
            time.sleep(2)  # what goes on is recorded, too; the other task has been idle since before the first slice
            assert (
                client.DescribeCloudRecording(task("DescribeCloudRecording", idle)).Status == "Idle"
            )  # somebody is there
            listed = client.DescribeCloudRecording(task("DescribeCloudRecording", id)).StorageFileList
            lists = {"SubscribeAudioUserIds": ["tea.*$"], "UnSubscribeVideoUserIds": ["bot.*$"]}
            client.ModifyCloudRecording(task("ModifyCloudRecording", id, SubscribeStreamUserIds=lists))
            client.DeleteCloudRecording(task("DeleteCloudRecording", id))
        until(lambda: any(number == 310 for number, _ in check(callbacks, id)))
        until(lambda: (302, {"LeaveCode": 99}) in check(callbacks, idle))
        stem = f"{SDK_APP_ID}_1001__UserId_s_dGVhY2hlcg..__UserId_e_main"
        assert {(file.UserId, file.FileName, file.TrackType) for file in listed} == {
            ("teacher", f"{stem}_audio.m3u8", "audio"),
            ("teacher", f"{stem}_video.m3u8", "video"),
        }
        folder = f"school/math/{id}"
        for kind in ("audio", "video"):
            index = local(running, f"{folder}/{stem}_{kind}.m3u8").read_text()
            assert index.endswith("#EXT-X-ENDLIST\n")
            slices = [line for line in index.splitlines() if line.endswith(".ts")]
            assert slices
            assert all(name.startswith(f"{stem}_{kind}_") and len(name) == len(stem) + 27 for name in slices)
        whole = local(running, f"{folder}/{stem}.mp4")
        assert probe(whole) == {"video": "h264", "audio": "aac"}
        assert ffmpeg_says(whole) == ""
        assert judge(whole).av_p95_ms < 40  # recorded apart, and together in step
        told = check(callbacks, id)
        assert [number for number, _ in told][:2] == [301, 303]
        assert [number for number, _ in told][-3:] == [302, 305, 310]
        assert [payload["Status"] for number, payload in told if number in (305, 310)] == [0, 0]
        assert told[-1][1]["FileList"] == [f"{stem}.mp4"]
        assert sorted(payload["TrackType"] for number, payload in told if number == 307) == ["audio", "video"]
        _errors(running, client, id)


def _errors(running: Any, client: Any, id: str) -> None:
    """What the vendor's client makes of refusals: its own exception with the code and the request's id."""
    from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

    def code(act: Any) -> str:
        with pytest.raises(TencentCloudSDKException) as refused:
            act()
        assert refused.value.get_request_id()
        return str(refused.value.get_code())

    assert code(lambda: client.DescribeCloudRecording(task("DescribeCloudRecording", id))) == "ResourceNotFound"
    wrong = trtc(running, secret="wrong")
    assert code(lambda: wrong.DeleteCloudRecording(task("DeleteCloudRecording", id))) == "AuthFailure.SignatureFailure"
    params = {"RecordMode": 1}
    bad = create("r", {**params, "MaxIdleTime": 1})
    assert code(lambda: client.CreateCloudRecording(bad)) == "InvalidParameter.OutOfRange"
    forged = create("r", params, UserSig="eJxSIG")
    assert code(lambda: client.CreateCloudRecording(forged)) == "InvalidParameter.UserSig"
    for ways in ({"signMethod": "HmacSHA1"}, {"signMethod": "HmacSHA256"}, {"method": "GET"}):
        other = trtc(running, **ways)
        assert (
            code(lambda other=other: other.DescribeCloudRecording(task("DescribeCloudRecording", "none")))
            == "ResourceNotFound"
        )


def test_a_mix_into_vod_is_found_by_its_callback_and_deleted() -> None:
    need("tencentcloud", "aiortc", "ffprobe")
    with receiver() as callbacks, server(callback_url=callbacks.url) as running:
        client, library = trtc(running), vod(running)
        with publishing(running, "1001", "teacher", "student"):
            layout = {"MixLayoutMode": 3, "BackGroundColor": "#0000FF"}
            transcode = {"VideoParams": {"Width": 640, "Height": 360, "Fps": 15, "BitRate": 550_000, "Gop": 2}}
            storage = {
                "CloudVod": {"TencentVod": {"ExpireTime": 86_400, "UserDefineRecordId": "lesson-7", "MediaType": 3}}
            }
            made = create(
                "recorder_2", {"RecordMode": 2}, storage, MixTranscodeParams=transcode, MixLayoutParams=layout
            )
            id = client.CreateCloudRecording(made).TaskId
            until(lambda: client.DescribeCloudRecording(task("DescribeCloudRecording", id)).Status == "InProgress")
            time.sleep(5)
            other = {"MixLayoutMode": 1, "MaxResolutionUserId": "student"}
            client.ModifyCloudRecording(task("ModifyCloudRecording", id, MixLayoutParams=other))
            time.sleep(3)
            client.DeleteCloudRecording(task("DeleteCloudRecording", id))
        until(lambda: any(number == 312 for number, _ in check(callbacks, id)))
        told = check(callbacks, id)
        assert [number for number, _ in told] == [301, 302, 311, 311, 312]
        committed = {
            payload["TencentVod"]["CacheFile"]: payload["TencentVod"] for number, payload in told if number == 311
        }
        name = f"lesson-7__UserDefine_u_{SDK_APP_ID}_1001"
        assert set(committed) == {f"{name}.m3u8", f"{name}.mp4"}
        mp4 = committed[f"{name}.mp4"]
        assert mp4["MediaId"] == "mix"
        path = running.data / "mix.mp4"
        path.write_bytes(fetch(running, mp4["VideoUrl"]))
        assert probe(path) == {"video": "h264", "audio": "aac"}
        asked = {"NamePrefixes": ["lesson-7__"], "SourceTypes": ["TrtcRecord"], "TrtcRoomIds": ["1001"]}
        found = library.SearchMedia(request("SearchMedia", asked, "vod"))
        assert found.TotalCount == 2
        info = library.DescribeMediaInfos(request("DescribeMediaInfos", {"FileIds": [mp4["FileId"], "77"]}, "vod"))
        assert info.NotExistFileIdSet == ["77"]
        one = info.MediaInfoSet[0]
        assert (one.BasicInfo.Name, one.BasicInfo.Type, one.MetaData.Width) == (name, "mp4", 640)
        assert one.BasicInfo.SourceInfo.TrtcRecordInfo.TaskId == id
        assert sorted(one.BasicInfo.SourceInfo.TrtcRecordInfo.UserIds) == ["student", "teacher"]
        for file in committed.values():
            library.DeleteMedia(request("DeleteMedia", {"FileId": file["FileId"]}, "vod"))
        assert library.SearchMedia(request("SearchMedia", asked, "vod")).TotalCount == 0
