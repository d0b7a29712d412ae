"""Alibaba Cloud Live with the vendor's own clients, unchanged, on a real call: both generations, down to the files."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from PIL import Image

from tests.clients.aliyun_calls import APP_ID, KEY, SECRET, host, live, publishing, receiver, server, until
from tests.clients.recorded import corners, probe, red
from tests.needs import need
from tests.servers import Server

AUTH_KEY = "mytestkeymytestkey"
STARTED_AT = r"20\d\d-\d\d-\d\d-\d\d:\d\d:\d\d"


def checked(received: list[tuple[dict[str, str], bytes]]) -> list[dict[str, Any]]:
    """The notifications, each with the vendor's published rule of its signature."""
    told = []
    for headers, body in received:
        named = {name.lower(): value for name, value in headers.items()}
        timestamp = named["ali-live-timestamp"]
        expected = hashlib.md5(f"{timestamp}|{AUTH_KEY}".encode()).hexdigest()
        assert named["ali-live-signature"] == expected and named["content-type"] == "application/json"
        said = json.loads(body)
        assert abs(said["callbackTs"] // 1000 - int(timestamp)) <= 1 and isinstance(said["payload"], str)
        told.append(said)
    return told


def begun(running: Server, task: str) -> None:
    """Wait until something is in the task's file: its first slice takes half a minute."""
    with running.client("native-key") as native:
        until(lambda: native.get(f"/api/v1/recordings/{task.replace('-', '')}/timeline").json()["outputs"])


def test_single_streams_with_the_new_client_down_to_files_and_callbacks() -> None:
    need("alibabacloud_live20161101", "aiortc", "ffprobe")
    from alibabacloud_live20161101 import models as m

    with receiver() as kept, server() as running, publishing(running, "room1024", "userA", "userB"):
        client = live(host(running))
        users = [
            m.StartRtcCloudRecordingRequestSubscribeParamsSubscribeUserIdList(user_id="userA"),
            m.StartRtcCloudRecordingRequestSubscribeParamsSubscribeUserIdList(user_id="userB", stream_type=1),
        ]
        files = [
            m.StartRtcCloudRecordingRequestStorageParamsFileInfo(
                format="MP4", file_path_prefix=["dir1", "dir2"], file_name_pattern="{UserId}-{StartTime}"
            ),
            m.StartRtcCloudRecordingRequestStorageParamsFileInfo(format="HLS", slice_duration=10),
            m.StartRtcCloudRecordingRequestStorageParamsFileInfo(
                format="mp4", file_path_prefix=["again"], file_name_pattern="{UserId}"
            ),
        ]
        request = m.StartRtcCloudRecordingRequest(
            app_id=APP_ID,
            channel_id="room1024",
            subscribe_params=m.StartRtcCloudRecordingRequestSubscribeParams(subscribe_user_id_list=users),
            record_params=m.StartRtcCloudRecordingRequestRecordParams(record_mode=0, stream_type=0),
            storage_params=m.StartRtcCloudRecordingRequestStorageParams(
                storage_type=1,
                file_info=files,
                ossparams=m.StartRtcCloudRecordingRequestStorageParamsOSSParams(
                    ossbucket="mybucket", ossendpoint="oss-cn-shanghai.aliyuncs.com"
                ),
            ),
            notify_url=kept.url,
            notify_auth_key=AUTH_KEY,
            notify_file_uploaded_format=["MP4"],
            max_idle_time=600,
        )
        task = client.start_rtc_cloud_recording(request).body.task_id

        def info() -> Any:
            asked = m.DescribeRtcCloudRecordingFilesRequest(task_id=task)
            return client.describe_rtc_cloud_recording_files(asked).body.task_info

        assert info().status == "RUNNING"
        until(lambda: len(info().record_file_list.hls_file_list) == 2)
        assert client.stop_rtc_cloud_recording(m.StopRtcCloudRecordingRequest(task_id=task)).body.task_id == task
        done = until(lambda: (found := info()).status == "STOPPED" and found).record_file_list
        assert [
            re.fullmatch(f"{task}/{APP_ID}_room1024_(user[AB])_{STARTED_AT}.m3u8", name)[1]  # type: ignore[index]
            for name in sorted(done.hls_file_list)
        ] == ["userA", "userB"]
        names = sorted(done.mp_4file_list)
        assert [re.sub(STARTED_AT, "T", name) for name in names] == [
            f"again/{task}/userA.mp4",
            f"again/{task}/userB.mp4",
            f"dir1/dir2/{task}/userA-T.mp4",
            f"dir1/dir2/{task}/userB-T.mp4",
        ]
        root = running.data / "storage" / "aliyun"
        again, names = names[:2], names[2:]
        assert [(root / one).read_bytes() for one in again] == [(root / one).read_bytes() for one in names]
        assert probe(root / names[0]).keys() == {"audio", "video"}
        assert probe(root / names[1]).keys() == {"audio"}
        for name in done.hls_file_list:
            text = (root / name).read_text()
            assert text.endswith("#EXT-X-ENDLIST\n")
            slices = [line for line in text.splitlines() if not line.startswith("#")]
            assert slices and all(re.fullmatch(r".*_\d+\.ts", one) for one in slices)
            assert all("aac" in line for kind, line in probe(root / name).items() if kind == "audio")
        until(lambda: any(json.loads(body)["eventType"] == "TaskStopped" for _, body in kept.received))
        told = checked(kept.received)
        types = [one["eventType"] for one in told]
        assert types[:3] == ["TaskCreated", "TaskStarting", "TaskRunning"]
        assert types[-1] == "TaskStopped" and types.count("RecordFileUploaded") == 4
        assert {(one["appId"], one["channelId"], one["taskId"]) for one in told} == {(APP_ID, "room1024", task)}
        uploaded = [json.loads(one["payload"]) for one in told if one["eventType"] == "RecordFileUploaded"]
        assert sorted(one["fileName"] for one in uploaded) == again + names


def test_a_mix_with_the_older_client_whose_layout_changes() -> None:
    need("aliyunsdklive", "aiortc", "ffprobe")
    from aliyunsdkcore.acs_exception.exceptions import ServerException
    from aliyunsdkcore.client import AcsClient
    from aliyunsdklive.request.v20161101 import (
        DescribeRtcCloudRecordingFilesRequest,
        StartRtcCloudRecordingRequest,
        StopRtcCloudRecordingRequest,
        UpdateRtcCloudRecordingRequest,
    )

    def call(running: Server, request: Any, secret: str = SECRET, **values: Any) -> dict[str, Any]:
        request.set_endpoint(host(running))
        request.set_protocol_type("http")
        request.set_accept_format("json")
        for name, value in values.items():
            getattr(request, f"set_{name}")(value)
        return dict(json.loads(AcsClient(KEY, secret, "cn-shanghai").do_action_with_exception(request)))

    with server() as running, publishing(running, "room7", "userA", "userB"):
        everybody = {"SubscribeUserIdList": [{"UserId": "userA"}, {"UserId": "userB"}]}
        pane = {"UserId": "userA", "X": "0", "Y": "0", "Width": "1", "Height": "1"}
        values = {
            "AppId": APP_ID,
            "ChannelId": "room7",
            "SubscribeParams": everybody,
            "RecordParams": {"RecordMode": 1},
            "StorageParams": {
                "StorageType": 1,
                "OSSParams": {"OSSEndpoint": "oss-cn-shanghai.aliyuncs.com", "OSSBucket": "rec"},
                "FileInfo": [{"Format": "MP4"}, {"Format": "MP3"}],
            },
            "MixTranscodeParams": {
                "AudioBitrate": 8, "AudioChannels": 1, "AudioSampleRate": 8000, "VideoBitrate": 40,
                "VideoFramerate": 15, "VideoGop": 15, "VideoWidth": 320, "VideoHeight": 180,
            },
            "MixLayoutParams": {"UserPanes": [pane]},
        }  # fmt: skip
        task = call(running, StartRtcCloudRecordingRequest.StartRtcCloudRecordingRequest(), **values)["TaskId"]

        def info() -> dict[str, Any]:
            request = DescribeRtcCloudRecordingFilesRequest.DescribeRtcCloudRecordingFilesRequest()
            return dict(call(running, request, TaskId=task)["TaskInfo"])

        begun(running, task)
        time.sleep(3)
        half = {"UserPanes": [pane | {"Width": "0.5"}, pane | {"UserId": "userB", "X": "0.5", "Width": "0.5"}]}
        update = UpdateRtcCloudRecordingRequest.UpdateRtcCloudRecordingRequest()
        assert call(running, update, TaskId=task, SubscribeParams=everybody, MixLayoutParams=half)["TaskId"] == task
        time.sleep(3)
        stop = StopRtcCloudRecordingRequest.StopRtcCloudRecordingRequest
        with pytest.raises(ServerException) as refused:
            call(running, stop(), secret="wrong", TaskId=task)
        assert refused.value.get_error_code() in ("SignatureDoesNotMatch", "InvalidAccessKeySecret")
        assert call(running, stop(), TaskId=task)["TaskId"] == task
        done = until(lambda: (found := info())["Status"] == "STOPPED" and found)["RecordFileList"]
        root = running.data / "storage" / "aliyun"
        (playlist,), (mp4,), (mp3,) = done["HlsFileList"], done["Mp4FileList"], done["Mp3FileList"]
        assert re.fullmatch(f"{task}/{APP_ID}_room7_{STARTED_AT}.mp4", mp4)
        streams = probe(root / mp4)
        assert "320|180" in streams["video"] and "15/1" in streams["video"] and "8000|1" in streams["audio"]
        assert probe(root / mp3).keys() == {"audio"} and probe(root / playlist).keys() == {"audio", "video"}
        with pytest.raises(ServerException) as gone:
            call(running, stop(), TaskId=task)
        assert (gone.value.get_http_status(), gone.value.get_error_code()) == (400, "InvalidParameter.TaskId")


def test_a_mix_with_an_image_for_who_is_away_goes_into_the_library() -> None:
    need("alibabacloud_live20161101", "aiortc", "ffprobe", "ffmpeg")
    from alibabacloud_live20161101 import models as m

    with images() as image, server(aliyun_live__vod_storage_location="mine") as running:
        with publishing(running, "room8", "userA"):
            client = live(host(running), signature_algorithm="v2")
            request = m.StartRtcCloudRecordingRequest().from_map(
                {
                    "AppId": APP_ID,
                    "ChannelId": "room8",
                    "SubscribeParams": {"SubscribeUserIdList": [{"UserId": "userA"}, {"UserId": "userB"}]},
                    "RecordParams": {"RecordMode": 1},
                    "StorageParams": {
                        "StorageType": 2,
                        "VodParams": {"StorageLocation": "mine", "AutoCompose": 1},
                    },
                    "MixTranscodeParams": {
                        "AudioBitrate": 64,
                        "AudioChannels": 2,
                        "AudioSampleRate": 48000,
                        "VideoBitrate": 300,
                        "VideoFramerate": 15,
                        "VideoGop": 15,
                        "VideoWidth": 320,
                        "VideoHeight": 180,
                    },
                    "MixLayoutParams": {
                        "UserPanes": [
                            {"X": "0.5", "Y": "0", "Width": "0.5", "Height": "1", "UserId": "userA"},
                            {
                                "X": "0",
                                "Y": "0",
                                "Width": "0.5",
                                "Height": "1",
                                "UserId": "userB",
                                "SubBackground": {"Url": image, "RenderMode": 0},
                            },
                        ]
                    },
                }
            )
            task = client.start_rtc_cloud_recording(request).body.task_id

            def info() -> Any:
                asked = m.DescribeRtcCloudRecordingFilesRequest(task_id=task)
                return client.describe_rtc_cloud_recording_files(asked).body.task_info

            begun(running, task)
            time.sleep(4)
            client.stop_rtc_cloud_recording(m.StopRtcCloudRecordingRequest(task_id=task))
        (listed,) = until(lambda: info().status == "STOPPED" and info().record_file_list.vod_media_list)
        assert (listed.stream, len(listed.media_ids), len(listed.merged_ids)) == ("Mix", 1, 1)
        with running.client("native-key") as native:
            media = native.get("/api/v1/media").raise_for_status().json()["media"]
            assert {one["id"] for one in media} == {*listed.media_ids, *listed.merged_ids}
        (mp4,) = (running.data / "storage" / "aliyun").rglob("*.mp4")
        assert all(red(color) for color in corners(mp4))


@contextlib.contextmanager
def images() -> Iterator[str]:
    """The URL of a red picture."""
    data = io.BytesIO()
    Image.new("RGB", (64, 64), "#ff0000").save(data, "PNG")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.end_headers()
            self.wfile.write(data.getvalue())

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/red.png"
    finally:
        http.shutdown()
        http.server_close()
