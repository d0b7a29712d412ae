"""Alibaba Cloud RTC with the vendor's own clients, unchanged, on a real call: templates, a task, its files, a queue."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import subprocess
import sys
from email.utils import formatdate
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from reelroom.dialects.aliyun_rtc import mns, mns_xml
from tests.clients.aliyun_calls import APP_ID, KEY, SECRET, host, publishing, receiver, rtc, server, until
from tests.clients.recorded import corners, probe
from tests.needs import need
from tests.servers import Server

PREFIX = "record/{AppId}/{ChannelId_TaskId}/{EscapedStartTime}_{EscapedEndTime}"
NAMED = r"20\d\d-\d\d-\d\d-\d\d-\d\d-\d\d"


def older(running: Server, request: Any, secret: str = SECRET, **values: Any) -> dict[str, Any]:
    from aliyunsdkcore.client import AcsClient

    request.set_endpoint(host(running))
    request.set_protocol_type("http")
    request.set_accept_format("json")
    for name, value in values.items():
        getattr(request, f"set_{name}")(value)
    return dict(json.loads(AcsClient(KEY, secret, "cn-shanghai").do_action_with_exception(request)))


def messages(running: Server) -> list[dict[str, Any]]:
    """What a consumer of the queue receives, and deletes."""
    found = []
    while True:
        answer = queue(running, "GET", "/queues/files/messages")
        if answer.status_code == 404:
            return found
        names = {"m": mns_xml.NAMESPACE}
        root = ElementTree.fromstring(answer.content)
        found.append(json.loads(base64.b64decode(root.findtext("m:MessageBody", "", names))))
        receipt = root.findtext("m:ReceiptHandle", "", names)
        assert queue(running, "DELETE", f"/queues/files/messages?ReceiptHandle={receipt}").status_code == 204


def queue(running: Server, method: str, path: str) -> httpx.Response:
    headers = {"date": formatdate(usegmt=True), "x-mns-version": "2015-06-06"}
    text = "\n".join([method, "", "", headers["date"], "x-mns-version:2015-06-06", path])
    headers["authorization"] = f"MNS {KEY}:{mns.signature(SECRET, text)}"
    return httpx.request(method, running.url + path, headers=headers, trust_env=False)


def test_a_task_waits_goes_on_when_people_come_back_and_leaves_files_and_messages() -> None:
    need("aliyunsdkrtc", "alibabacloud_rtc20180111", "aiortc", "ffprobe")
    from alibabacloud_rtc20180111 import models as m
    from aliyunsdkrtc.request.v20180111 import (
        AddRecordTemplateRequest,
        DescribeRecordFilesRequest,
        StartRecordTaskRequest,
        StopRecordTaskRequest,
    )

    with server() as running:
        made = older(
            running,
            AddRecordTemplateRequest.AddRecordTemplateRequest(),
            AppId=APP_ID,
            Name="demo",
            Formatss=["m3u8", "mp4"],
            LayoutIdss=[1, 2],
            MediaEncode=1,
            TaskProfile="4IN_360P",
            OssBucket="rec",
            OssFilePrefix=PREFIX,
            FileSplitInterval=1800,
            DelayStopTime=8,
            MnsQueue="files",
        )["TemplateId"]
        client = rtc(host(running))
        start = m.StartRecordTaskRequest(
            app_id=APP_ID, channel_id="room-1", task_id="task-001", template_id=made, mix_mode=1
        )
        client.start_record_task(start)  # nobody is there yet
        again = older(
            running,
            StartRecordTaskRequest.StartRecordTaskRequest(),
            AppId=APP_ID,
            ChannelId="room-1",
            TaskId="task-001",
            TemplateId=made,
        )
        assert again["Code"] == "TaskExisted"

        def recordings() -> list[dict[str, Any]]:
            with running.client("native-key") as native:
                return list(native.get("/api/v1/recordings").json()["recordings"])

        with publishing(running, "room-1", "u1"):
            until(lambda: [one for one in recordings() if one["state"] == "recording"])
            left = m.CreateMPULayoutRequestPanes(pane_id=0, x=0.0, y=0.0, width=0.5, height=1.0)
            mine = m.CreateMPULayoutRequest(app_id=APP_ID, name="left", audio_mix_count=6, panes=[left])
            layout = client.create_mpulayout(mine).body.layout_id
            kept = client.describe_mpulayout_info_list(m.DescribeMPULayoutInfoListRequest(app_id=APP_ID)).body.layouts
            assert [(one.layout_id, one.panes.panes[0].width) for one in kept.layout] == [(layout, 0.5)]
            text = m.UpdateRecordTaskRequestUserPanesTexts(text="你好", x=0.0, y=0.8, font_size=40)
            pane = m.UpdateRecordTaskRequestUserPanes(pane_id=0, user_id="u1", texts=[text])
            update = m.UpdateRecordTaskRequest(
                app_id=APP_ID,
                channel_id="room-1",
                task_id="task-001",
                template_id=made,
                layout_ids=[layout],
                crop_mode=1,
                user_panes=[pane],
            )
            client.update_record_task(update)
        with publishing(running, "room-1", "u1"):  # within DelayStopTime: the same recording
            assert len(recordings()) == 1

        def listed() -> list[Any]:
            asked = m.DescribeRecordFilesRequest(app_id=APP_ID, task_ids=["task-001"])
            return list(client.describe_record_files(asked).body.record_files or [])

        first = until(lambda: len(files := listed()) == 2 and files)  # it has ended by itself
        assert len(recordings()) == 1
        with publishing(running, "room-1", "u1"):  # later: another one
            until(lambda: len(recordings()) == 2)
            until(lambda: all(one["state"] in ("recording", "finished") for one in recordings()))
            stop = StopRecordTaskRequest.StopRecordTaskRequest
            older(running, stop(), AppId=APP_ID, TaskId="task-001")
            until(lambda: len(listed()) == 4 or all(one["state"] == "finished" for one in recordings()))
        until(lambda: len(listed()) == 4)
        found = older(
            running, DescribeRecordFilesRequest.DescribeRecordFilesRequest(), AppId=APP_ID, TaskIdss=["task-001"]
        )
        assert found["TotalNum"] == 4 and len({file.url for file in first}) == 2
        root = running.data / "storage" / "aliyun"
        base = "http://rec.oss-cn-shanghai.aliyuncs.com/"
        for file in found["RecordFiles"]:
            key = file["Url"].removeprefix(base)
            assert re.fullmatch(rf"record/{APP_ID}/room-1_task-001/{NAMED}_{NAMED}\.(m3u8|mp4)", key)
            streams = probe(root / key)
            assert "640|360" in streams["video"] and streams.keys() == {"audio", "video"}
            assert file["Duration"] > 0
        # In the later one there are pictures in the left pane, and the background at the right of it.
        newest = next(file["Url"] for file in found["RecordFiles"] if file["Url"].endswith(".mp4"))
        later = root / newest.removeprefix(base)
        sides = zip(corners(later, "100:20"), corners(later, "500:20"), strict=True)
        assert any(max(left) > 40 and max(right) < 20 for left, right in sides)
        told = messages(running)
        assert {one["Url"] for one in told} == {file["Url"] for file in found["RecordFiles"]}
        assert {(one["Event"], one["TaskId"], one["AppId"]) for one in told} == {("FileCreated", "task-001", APP_ID)}


def test_wrong_keys_and_old_signatures_are_refused_by_every_client() -> None:
    need("aliyunsdkrtc", "alibabacloud_rtc20180111")
    from alibabacloud_rtc20180111 import models as m
    from alibabacloud_tea_openapi.exceptions import ClientException
    from aliyunsdkcore.acs_exception.exceptions import ServerException
    from aliyunsdkrtc.request.v20180111 import DescribeRecordTemplatesRequest

    with server() as running, receiver():
        asked = m.DescribeRecordTemplatesRequest(app_id=APP_ID)
        for more in ({}, {"signature_algorithm": "v2"}):
            assert rtc(host(running), **more).describe_record_templates(asked).body.total_num == 0
            with pytest.raises(ClientException) as refused:
                rtc(host(running), secret="wrong", **more).describe_record_templates(asked)
            assert refused.value.code == "SignatureDoesNotMatch"
        odd = m.DescribeRecordFilesRequest(app_id=APP_ID, channel_id="a b*~/中+:,&=%", task_ids=["a+b", "c d"])
        for more in ({}, {"signature_algorithm": "v2"}):  # what the two write differently is signed as one
            client = rtc(host(running), **more)
            assert client.describe_record_files(odd).body.total_num == 0
            assert asyncio.run(client.describe_record_files_async(odd)).body.total_num == 0
        whole = rtc(running.url, protocol=None)  # the URL as the endpoint: its Host header has it, too
        assert whole.describe_record_templates(asked).body.total_num == 0
        request = DescribeRecordTemplatesRequest.DescribeRecordTemplatesRequest
        assert older(running, request(), AppId=APP_ID)["TotalNum"] == 0
        with pytest.raises(ServerException) as wrong:
            older(running, request(), secret="wrong", AppId=APP_ID)
        assert wrong.value.get_error_code() in ("SignatureDoesNotMatch", "InvalidAccessKeySecret")
        with pytest.raises(ServerException) as other:
            older(running, request(), AppId="other")
        assert (other.value.get_http_status(), other.value.get_error_code()) == (404, "Service.NoApp")
        for token, refusal in (("a+b/=", "MissingSecurityToken"), ("", "InvalidSecurityToken.MismatchWithAccessKey")):
            set_credential(running, f"aliyun.security_token={token}")  # temporary (STS) credentials, and no more

            def told(token: str = token) -> str:
                try:
                    client = rtc(host(running), **({} if token else {"security_token": "a+b/=", "type": "sts"}))
                    return str(client.describe_record_templates(asked).body.total_num)
                except ClientException as error:
                    return str(error.code)

            until(lambda refusal=refusal, told=told: told() == refusal)
            for more in ({}, {"signature_algorithm": "v2"}):
                more = more | ({"security_token": token, "type": "sts"} if token else {})
                assert rtc(host(running), **more).describe_record_templates(asked).body.total_num == 0


def set_credential(running: Server, value: str) -> None:
    command = [sys.executable, "-m", "reelroom", "app", "set", "aliyun", "--data", str(running.data)]
    subprocess.run([*command, "--credential", value], check=True, capture_output=True, cwd=Path(__file__).parents[2])
