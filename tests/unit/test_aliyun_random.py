"""Random requests of Alibaba Cloud's actions: valid ones are answered, all others refused in the vendor's words."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reelroom.dialects.aliyun_rtc import mns, mns_xml
from tests.unit.aliyun_server import ID, LIVE, RTC, SECRET, TASK, TEMPLATE, Server, serving, wire

QUICK = settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))
FEW = settings(QUICK, max_examples=15)  # each makes several calls
CODE = re.compile(r"[A-Z][A-Za-z]*(\.[A-Za-z]+)*")


class Driver:
    """One server in a loop of its own, for tests that make many calls one after the other."""

    def __init__(self, runner: asyncio.Runner, server: Server) -> None:
        self.runner, self.server = runner, server

    def __call__(self, version: str, action: str, parameters: dict[str, str]) -> httpx.Response:
        return self.runner.run(self.server.call(version, action, parameters))


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        server = runner.run(stack.enter_async_context(serving(tmp_path_factory.mktemp("recordings"))))
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
    formats += ["MP4"] * (bool(formats) and draw(st.integers(0, 2)))
    files = []
    for number, format_ in enumerate(formats):
        info: dict[str, Any] = {"Format": format_}
        if formats.count(format_) > 1 or format_ == "mp4":
            info["FilePathPrefix"] = [str(number)]
        elif draw(st.booleans()):
            info["FilePathPrefix"] = draw(st.lists(st.text("abc019", min_size=1, max_size=8), max_size=3))
        if draw(st.booleans()):
            info["FileNamePattern"] = draw(st.sampled_from(["{AppId}_{StartTime}", "x{ChannelId}{UserId}{SourceType}"]))
        if format_ == "HLS" and draw(st.booleans()):
            info |= {"SliceDuration": draw(st.integers(10, 30)), "SliceNamePattern": "s{StartTime}_{Sequence}"}
        files.append(info)
    told = draw(st.lists(st.sampled_from(["HLS", *formats]), max_size=2, unique=True))
    kind = draw(st.sampled_from([0, 0, 1]))  # pictures alone have no MP3, and nobody's sound alone
    request: dict[str, Any] = {
        "AppId": "dev",
        "ChannelId": draw(name),
        "SubscribeParams": {"SubscribeUserIdList": people},
        "RecordParams": {
            "RecordMode": int(mixed),
            "StreamType": kind,
            "MaxFileDuration": draw(st.integers(180, 7200)),
        },
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
            "VideoFramerate": draw(st.integers(1, 60)),
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


def dotted(value: Any, name: str) -> dict[str, str]:
    """As clients send it that have no JSON: with zeros and empty text for what nobody has set."""
    if isinstance(value, dict):
        return {key: text for one, inner in value.items() for key, text in dotted(inner, f"{name}.{one}").items()}
    if isinstance(value, list):
        return {key: text for n, inner in enumerate(value, 1) for key, text in dotted(inner, f"{name}.{n}").items()}
    return {name: "" if value is None else str(value)}


@settings(QUICK, max_examples=25)
@given(request=valid(), flat=st.booleans())
def test_valid_starts_of_live_are_answered(call: Driver, request: dict[str, Any], flat: bool) -> None:
    parameters = wire(request)
    if flat:
        parameters = {name: text for one in request for name, text in dotted(request[one], one).items()}
    answer = call(LIVE, "StartRtcCloudRecording", parameters)
    assert answer.status_code == 200, answer.text
    task = answer.json()["TaskId"]
    update = {name: parameters[name] for name in parameters if name.startswith(("SubscribeParams", "MixLayoutParams"))}
    if request["RecordParams"]["StreamType"] == 1:
        update = {name: text for name, text in update.items() if name.startswith("Sub")}
    answer = call(LIVE, "UpdateRtcCloudRecording", {"TaskId": task, **update})
    assert answer.status_code == 200, answer.text
    assert call(LIVE, "StopRtcCloudRecording", {"TaskId": task}).json()["TaskId"] == task


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
        "DescribeRecordTasks", "CreateMPULayout", "ModifyMPULayout", "DeleteMPULayout", "DescribeMPULayoutInfoList",
        "DescribeMPULayoutInfo", "DescribeMPULayoutList", "DescribeSystemLayoutList",
    )
]  # fmt: skip
ACTIONS += [(LIVE, f"{what}RtcCloudRecording") for what in ("Update", "Stop")]
ACTIONS += [(LIVE, "DescribeRtcCloudRecordingFiles")]
NAMES = [
    *TEMPLATE, *TASK, "TemplateId", "DelayStopTime", "MixMode", "UserPanes.1.PaneId", "UserPanes.1.UserId",
    "UserPanes.1.Images.1.Url", "UserPanes.1.Texts.1.Text", "UserPanes.1.Texts", "Status", "LayoutId", "AudioMixCount",
    "Panes.1.PaneId", "Panes.1.Width", "Panes.1.Height", "Panes.1.ZOrder", "Panes", "Backgrounds.1.Url",
    "SubSpecUsers.1", "SubSpecUsers", "Backgrounds.1.X", "Watermarks.1.Alpha", "ClockWidgets.1.FontSize", "TaskIds.1",
    "StartTime", "EndTime", "PageNum", "PageSize", "SubscribeParams", "a.b.1",
]  # fmt: skip


@QUICK
@given(action=st.sampled_from(ACTIONS), change=st.dictionaries(st.sampled_from(NAMES), TEXTS, max_size=4))
def test_random_parameters_get_answers_or_the_vendors_errors(
    call: Driver, action: tuple[str, str], change: dict[str, str]
) -> None:
    answered(call(*action, {**TEMPLATE, **TASK, "TemplateId": "none", **change}))


@FEW
@given(
    interval=st.integers(1800, 86_400),
    encode=st.sampled_from([0, 1, 52, 53, 54]),
    layouts=st.lists(st.sampled_from([1, 2, 5, 6]), unique=True, min_size=1),
    color=st.integers(0, 0xFFFFFF),
    pictures=st.lists(st.tuples(fraction, fraction, st.integers(0, 100), st.integers(0, 1)), max_size=4),
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
    pictures: list[tuple[Any, Any, int, int]],
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
    named = {f"SubSpecUsers.{n}": one for n, one in enumerate(people, 1)}
    for n, (x, y, order, shown) in enumerate(pictures, 1):
        marks = {"X": str(x), "Y": str(y), "ZOrder": str(order)}
        pane = {f"UserPanes.{n}.Texts.1.{key}": text for key, text in marks.items()}
        named |= pane | {f"UserPanes.{n}.PaneId": str(n), f"UserPanes.{n}.Texts.1.Text": f"t{n}"}
        marks |= {"Display": str(shown), "Url": "http://127.0.0.1:9/a.png"}
        template |= {f"{what}.{n}.{key}": text for what in ("Backgrounds", "Watermarks") for key, text in marks.items()}
    made = call(RTC, "AddRecordTemplate", template)
    assert made.status_code == 200, made.text
    started = {"AppId": "dev", "ChannelId": "c", "TaskId": task, "TemplateId": made.json()["TemplateId"]}
    answer = call(RTC, "StartRecordTask", started | named | {"MixMode": str(mode)})
    assert answer.status_code == 200, answer.text
    if "Code" not in answer.json():
        assert call(RTC, "StopRecordTask", {"AppId": "dev", "TaskId": task}).status_code == 200
    deleted = call(RTC, "DeleteRecordTemplate", {"AppId": "dev", "TemplateId": started["TemplateId"]})
    assert deleted.status_code == 200


@st.composite
def shapes(draw: st.DrawFn) -> dict[str, str]:
    flat = {"AppId": "dev", "AudioMixCount": str(draw(st.integers(0, 6))), "Name": draw(name)}
    count = draw(st.integers(1, 16))
    major = draw(st.integers(-1, count - 1))
    for n, pane in enumerate(draw(st.permutations(range(count))), 1):
        x, y = draw(st.floats(0, 0.9)), draw(st.floats(0, 0.9))
        values: dict[str, Any] = {
            "PaneId": pane, "MajorPane": int(pane == major), "X": x, "Y": y, "ZOrder": draw(st.integers(0, 100)),
            "Width": draw(st.floats(0.001, 1 - x)), "Height": draw(st.floats(0.001, 1 - y)),
        }  # fmt: skip
        flat |= {f"Panes.{n}.{key}": str(value) for key, value in values.items()}
    return flat


@FEW
@given(shape=shapes(), task=st.text("abcXYZ019_-", min_size=30, max_size=55))
def test_whatever_layout_can_be_is_made_and_used(call: Driver, shape: dict[str, str], task: str) -> None:
    made = call(RTC, "CreateMPULayout", shape)
    assert made.status_code == 200, made.text
    used = {"LayoutId": str(made.json()["LayoutId"]), "AppId": "dev"}
    template = {key: value for key, value in TEMPLATE.items() if not key.startswith("LayoutIds")}
    template |= {"TaskProfile": "16IN_1080P", "LayoutIds.1": used["LayoutId"]}
    id_ = call(RTC, "AddRecordTemplate", template).json()["TemplateId"]
    started = {"AppId": "dev", "ChannelId": "c", "TaskId": task, "TemplateId": id_}
    answer = call(RTC, "StartRecordTask", started)
    assert answer.status_code == 200, answer.text
    if "Code" not in answer.json():
        assert call(RTC, "StopRecordTask", {"AppId": "dev", "TaskId": task}).status_code == 200
    assert call(RTC, "DeleteRecordTemplate", {"AppId": "dev", "TemplateId": id_}).status_code == 200
    assert call(RTC, "DeleteMPULayout", used).status_code == 200


ACS3 = "ACS3-HMAC-SHA256 Credential={},SignedHeaders={},Signature={}"
HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)


@QUICK
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    query=st.dictionaries(st.sampled_from(["Action", "Version", "AccessKeyId", "Signature", "Timestamp", "x"]), TEXTS),
    authorization=HEADER
    | st.builds("ACS3-HMAC-SHA256 Credential={},SignedHeaders={},Signature={}".format, *[HEADER] * 3),
    body=st.binary(max_size=40),
    kind=st.sampled_from(["application/x-www-form-urlencoded", "application/json", "text/xml", ""]),
)
def test_whatever_is_sent_without_a_signature_is_refused_in_the_vendors_words(
    call: Driver, method: str, query: dict[str, str], authorization: str, body: bytes, kind: str
) -> None:
    headers = {"x-acs-action": "StopRecordTask", "authorization": authorization, "content-type": kind}
    request = call.server.http.request(method, "/", params=query, headers=headers, content=body)
    answer = call.runner.run(request)
    assert 400 <= answer.status_code < 500 and "Code" in answer.text, answer.text


@QUICK
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    tail=st.sampled_from(["", "/messages"]),
    query=st.dictionaries(
        st.sampled_from(
            ["waitseconds", "numOfMessages", "peekonly", "ReceiptHandle", "receiptHandle", "visibilityTimeout"]
        ),
        st.sampled_from(["0", "-1", "31", "", "x", "true", "99999999999999999999", "é"]),  # none waits
    ),
    fields=st.dictionaries(
        st.sampled_from(["MessageBody", "DelaySeconds", "VisibilityTimeout", "x"]), TEXTS, max_size=3
    ),
    root=st.sampled_from(["Message", "Queue", "x"]),
    date=st.sampled_from([None, "", "x", "Mon, 01 Jan 0001 00:00:00 +2300", "Fri, 31 Dec 9999 23:59:59 -2300"]),
)
def test_random_calls_of_the_queues_never_are_the_servers_fault(
    call: Driver, method: str, tail: str, query: dict[str, str], fields: dict[str, str], root: str, date: str | None
) -> None:
    children = "".join(f"<{key}>{escape(text)}</{key}>" for key, text in fields.items())
    body = f"<{root}>{children}</{root}>".encode("utf-8", "replace") if method in ("POST", "PUT") else b""
    path = f"/queues/q{tail}" + (f"?{urlencode(query)}" if query else "")
    headers = {"date": formatdate(usegmt=True) if date is None else date, "x-mns-version": "2015-06-06"}
    signed = mns.signature(SECRET, mns.string_to_sign(method, headers, path))
    headers["authorization"] = f"MNS {ID}:{signed}"
    answer = call.runner.run(call.server.http.request(method, path, headers=headers, content=body))
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert ElementTree.fromstring(answer.content).findtext(f"{{{mns_xml.NAMESPACE}}}Code")
