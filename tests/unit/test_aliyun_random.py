"""Random requests of Alibaba Cloud's actions: valid ones are answered, all others refused in the vendor's words."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.aliyun_server import LIVE, RTC, TASK, TEMPLATE, Server, serving, wire

QUICK = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
CODE = re.compile(r"[A-Z][A-Za-z]*(\.[A-Za-z]+)*")


class Driver:
    """One server in a loop of its own, for tests that make many calls one after the other."""

    def __init__(self, runner: asyncio.Runner, server: Server) -> None:
        self.runner, self.server = runner, server

    def __call__(self, version: str, action: str, parameters: dict[str, str]) -> httpx.Response:
        return self.runner.run(self.server.call(version, action, parameters))


@pytest.fixture(scope="module")
def call() -> Iterator[Driver]:
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        server = runner.run(stack.enter_async_context(serving()))
        yield Driver(runner, server)
        runner.run(stack.aclose())


def answered(answer: httpx.Response) -> None:
    """A success, or one of the vendor's errors, and never the server's own fault."""
    body = answer.json()
    assert answer.status_code in (200, 400, 403, 404, 405), answer.text
    assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", body["RequestId"])
    if answer.status_code != 200:
        assert CODE.fullmatch(body["Code"]) and body["Message"] and body["HostId"].endswith(".aliyuncs.com")


name = st.text("abcXYZ019_-中", min_size=1, max_size=12)
fraction = st.sampled_from(["0", "0.25", "0.5", 0.125, 0])


@st.composite
def users(draw: st.DrawFn, kinds: list[int]) -> list[dict[str, Any]]:
    names = draw(st.lists(name, min_size=1, max_size=17, unique=True))
    return [{"UserId": one, "StreamType": draw(st.sampled_from(kinds))} for one in names]


@st.composite
def valid(draw: st.DrawFn) -> dict[str, Any]:
    mixed = draw(st.booleans())
    people = draw(users([0, 1, 2] if mixed else [0, 1]))
    people[0]["StreamType"] = 0
    formats = draw(st.lists(st.sampled_from(["HLS", "mp4", "Mp3"]), unique=True, max_size=3))
    files = []
    for format_ in formats:
        info: dict[str, Any] = {"Format": format_}
        if draw(st.booleans()):
            info["FilePathPrefix"] = draw(st.lists(st.text("abc019", min_size=1, max_size=8), max_size=3))
        if draw(st.booleans()):
            info["FileNamePattern"] = draw(st.sampled_from(["{AppId}_{StartTime}", "x{ChannelId}{UserId}{SourceType}"]))
        if format_ == "HLS" and draw(st.booleans()):
            info |= {"SliceDuration": draw(st.integers(10, 30)), "SliceNamePattern": "s{StartTime}_{Sequence}"}
        files.append(info)
    told = draw(st.lists(st.sampled_from(["HLS", *formats]), max_size=2, unique=True))
    request: dict[str, Any] = {
        "AppId": "dev",
        "ChannelId": draw(name),
        "SubscribeParams": {"SubscribeUserIdList": people},
        "RecordParams": {"RecordMode": int(mixed), "MaxFileDuration": draw(st.integers(180, 7200))},
        "StorageParams": {
            "StorageType": 1,
            "OSSParams": {"OSSEndpoint": "oss-cn-shanghai.aliyuncs.com", "OSSBucket": "rec"},
            "FileInfo": files,
        },
        "MaxIdleTime": draw(st.integers(10, 14_400)),
        "NotifyUrl": draw(st.sampled_from(["", "http://127.0.0.1:9/cb?a=1"])),
        "NotifyAuthKey": draw(st.sampled_from(["", "a" * 16, "Z9" * 32])),
        "NotifyFileUploadedFormat": told,
    }
    if mixed:
        request["MixTranscodeParams"] = {
            "AudioBitrate": draw(st.integers(8, 500)),
            "AudioChannels": draw(st.integers(1, 2)),
            "AudioSampleRate": draw(st.sampled_from([8000, 16000, 32000, 44100, 48000])),
            "VideoBitrate": draw(st.integers(1, 10_000)),
            "VideoFramerate": draw(st.integers(6, 60)),
            "VideoGop": draw(st.integers(1, 60)),
            "VideoWidth": draw(st.integers(16, 1080)),
            "VideoHeight": draw(st.integers(16, 1080)),
            "FrameFillType": draw(st.integers(0, 1)),
        }
        seen = [one["UserId"] for one in people if one["StreamType"] != 1]
        request["MixLayoutParams"] = {
            "UserPanes": [
                {
                    "UserId": who, "X": draw(fraction), "Y": draw(fraction), "Width": draw(fraction),
                    "Height": draw(fraction), "ZOrder": draw(st.integers(0, 20)),
                }
                for who in draw(st.lists(st.sampled_from([*seen, None]), min_size=1, max_size=17, unique=True))
            ]
        }  # fmt: skip
    return request


@QUICK
@given(request=valid())
def test_valid_starts_of_live_are_answered(call: Driver, request: dict[str, Any]) -> None:
    answer = call(LIVE, "StartRtcCloudRecording", wire(request))
    assert answer.status_code == 200, answer.text


junk = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def spoiled(draw: st.DrawFn) -> dict[str, str]:
    """A valid start with something else somewhere in it."""
    request: Any = draw(valid())
    node, key = request, draw(st.sampled_from(sorted(request)))
    while isinstance(node[key], (dict, list)) and node[key] and draw(st.booleans()):
        node = node[key]
        key = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
    node[key] = draw(junk)
    return wire(request)


@QUICK
@given(request=spoiled())
def test_spoiled_starts_of_live_get_the_vendors_errors(call: Driver, request: dict[str, str]) -> None:
    answered(call(LIVE, "StartRtcCloudRecording", request))


TEXTS = st.text(max_size=30) | st.sampled_from(
    ["0", "-1", "1.5", "[]", "{", "null", "True", "1e999", "2020-01-01T00:00:00Z"]
)
ACTIONS = [
    (RTC, action)
    for action in (
        "AddRecordTemplate", "UpdateRecordTemplate", "DeleteRecordTemplate", "DescribeRecordTemplates",
        "StartRecordTask", "UpdateRecordTask", "StopRecordTask", "DescribeRecordFiles", "CreateRecordIndexFiles",
    )
]  # fmt: skip
ACTIONS += [(LIVE, f"{what}RtcCloudRecording") for what in ("Update", "Stop")]
ACTIONS += [(LIVE, "DescribeRtcCloudRecordingFiles")]
NAMES = [
    *TEMPLATE, *TASK, "TemplateId", "DelayStopTime", "MixMode", "UserPanes.1.PaneId", "UserPanes.1.UserId",
    "UserPanes.1.Images.1.Url", "SubSpecUsers.1", "SubSpecUsers", "Backgrounds.1.X", "Watermarks.1.Alpha",
    "ClockWidgets.1.FontSize", "TaskIds.1", "StartTime", "EndTime", "PageNum", "PageSize", "SubscribeParams", "a.b.1",
]  # fmt: skip


@QUICK
@given(action=st.sampled_from(ACTIONS), change=st.dictionaries(st.sampled_from(NAMES), TEXTS, max_size=4))
def test_random_parameters_get_answers_or_the_vendors_errors(
    call: Driver, action: tuple[str, str], change: dict[str, str]
) -> None:
    answered(call(*action, {**TEMPLATE, **TASK, "TemplateId": "none", **change}))


@QUICK
@given(
    interval=st.integers(1800, 86_400),
    encode=st.sampled_from([0, 1, 52, 53, 54]),
    layouts=st.lists(st.sampled_from([1, 2, 5, 6]), unique=True, min_size=1),
    color=st.integers(0, 0xFFFFFF),
    delay=st.integers(1, 86_400),
    mode=st.integers(0, 1),
    task=st.text("abcXYZ019_-", min_size=20, max_size=55),
    people=st.lists(name, max_size=16, unique=True),
)
def test_valid_templates_and_tasks_of_rtc_are_answered(
    call: Driver,
    interval: int,
    encode: int,
    layouts: list[int],
    color: int,
    delay: int,
    mode: int,
    task: str,
    people: list[str],
) -> None:
    template = {key: value for key, value in TEMPLATE.items() if not key.startswith("LayoutIds")} | {
        "FileSplitInterval": str(interval), "MediaEncode": str(encode), "TaskProfile": "4IN_360P",
        "BackgroundColor": str(color), "DelayStopTime": str(delay), "EnableM3u8DateTime": "True",
        **{f"LayoutIds.{n}": str(one) for n, one in enumerate(layouts, 1)},
    }  # fmt: skip
    made = call(RTC, "AddRecordTemplate", template)
    assert made.status_code == 200, made.text
    named = {f"SubSpecUsers.{n}": one for n, one in enumerate(people, 1)}
    started = {"AppId": "dev", "ChannelId": "c", "TaskId": task, "TemplateId": made.json()["TemplateId"]}
    answer = call(RTC, "StartRecordTask", started | named | {"MixMode": str(mode)})
    assert answer.status_code == 200, answer.text
    if "Code" not in answer.json():
        assert call(RTC, "StopRecordTask", {"AppId": "dev", "TaskId": task}).status_code == 200
    deleted = call(RTC, "DeleteRecordTemplate", {"AppId": "dev", "TemplateId": started["TemplateId"]})
    assert deleted.status_code == 200
