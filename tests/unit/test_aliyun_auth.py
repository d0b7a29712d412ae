"""Both signatures against the vendor's known answers and its clients' own signers; what is wrong, old or replayed."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers

from reelroom.dialects.aliyun import auth, storage
from reelroom.dialects.aliyun.parameters import tree
from reelroom.dialects.dispatch import FORM, Call
from tests.needs import need
from tests.unit.aliyun_server import ID, LIVE, RTC, SECRET, Server, refused, serving, signed

STOP = "StopRtcCloudRecording"
EXPIRED = "InvalidTimeStamp.Expired"
MISMATCH = "InvalidSecurityToken.MismatchWithAccessKey"
COMMON = {
    "AccessKeyId": "testid",
    "SignatureMethod": "HMAC-SHA1",
    "SignatureVersion": "1.0",
}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as made:
        yield made


def test_v1_gives_the_vendors_known_answers() -> None:
    regions = COMMON | {
        "Action": "DescribeRegions",
        "Version": "2014-05-26",
        "Format": "XML",
        "SignatureNonce": "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf",
        "Timestamp": "2016-02-23T12:46:24Z",
    }
    text = auth.v1_string_to_sign("GET", regions.items())
    assert auth.v1_signature("testsecret", text) == "OLeaidS1JvxuMvnyHOwuJ+uX5qY="
    wire = (
        "AppId=app1&ChannelId=room%201%2F%E4%B8%AD%2A~&TaskId=task-001&TemplateId=tpl-1&SubSpecUsers.1=u1"
        "&SubSpecUsers.2=u2&Version=2018-01-11&Action=StartRecordTask&Format=JSON&RegionId=cn-shanghai"
        "&Timestamp=2024-01-02T03%3A04%3A05Z&SignatureMethod=HMAC-SHA1&SignatureType=&SignatureVersion=1.0"
        "&SignatureNonce=11111111-2222-3333-4444-555555555555&AccessKeyId=testid"
        "&Signature=qgYs5kLdVapvPtmi4FxyOrM9yNc%3D"
    )
    call = Call("POST", "/", wire.encode(), Headers({}), b"")
    assert auth.read(call, 1704164645.0).matches("testsecret")
    stop = (
        "Action=StopRtcCloudRecording&Format=json&Version=2016-11-01&Timestamp=2024-01-02T03%3A04%3A05Z"
        "&SignatureNonce=0123456789abcdef0123456789abcdef&TaskId=task+001%2A~&SignatureMethod=HMAC-SHA1"
        "&SignatureVersion=1.0&AccessKeyId=testid&Signature=wa8lR87ilnzAidBXt8lCtm0ZBVY%3D"
    )
    assert auth.read(Call("POST", "/", stop.encode(), Headers({}), b""), 1704164645.0).matches("testsecret")
    half = stop.index("&TaskId")  # a form body is signed with the query
    headers = Headers({"content-type": FORM})
    call = Call("POST", "/", stop[:half].encode(), headers, stop[half + 1 :].encode())
    assert auth.read(call, 1704164645.0).matches("testsecret")


def test_v3_gives_the_vendors_known_answers() -> None:
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com",
        "x-acs-action": "RunInstances",
        "x-acs-content-sha256": digest,
        "x-acs-date": "2023-10-26T10:22:32Z",
        "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
        "x-acs-version": "2014-05-26",
    }
    query = b"ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai"
    text = auth.v3_string_to_sign("POST", query, headers, ";".join(headers), b"")
    assert text.endswith("7ea06492da5221eba5297e897ce16e55f964061054b7695beedaac1145b1e259")
    expected = "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    assert auth.v3_signature("YourAccessKeySecret", text) == expected
    users = quote('{"SubscribeUserIdList":[{"StreamType":0,"UserId":"userA"}]}', safe="")
    mine = {
        "accept": "application/json",
        "host": "127.0.0.1:18765",
        "user-agent": "demo/1.0",
        "x-acs-action": "UpdateRtcCloudRecording",
        "x-acs-content-sha256": digest,
        "x-acs-credentials-provider": "static_ak",
        "x-acs-date": "2024-01-02T03:04:05Z",
        "x-acs-signature-nonce": "0123456789abcdef0123456789abcdef",
        "x-acs-version": "2016-11-01",
    }
    signature = "3c744b522ec2bbd3bc15bcb519280e0b6b4cadc86f510b3eb894391362bfc505"
    mine["authorization"] = f"ACS3-HMAC-SHA256 Credential=testid,SignedHeaders={';'.join(mine)},Signature={signature}"
    for sent in (f"SubscribeParams={users}&TaskId=task+001%2A~", f"TaskId=task%20001*~&SubscribeParams={users}"):
        call = Call("POST", "/", sent.encode(), Headers(mine), b"")
        assert auth.read(call, 1704164645.0).matches("testsecret")
    assert not auth.read(call, 1704164645.0).matches("testsecret2")


VALUES = st.dictionaries(
    st.text("abcXYZ.019", min_size=1, max_size=8), st.text(max_size=20).filter(lambda text: text.isprintable())
)


@settings(deadline=None, max_examples=50)
@given(VALUES)
def test_v1_agrees_with_the_older_clients_signer(values: dict[str, str]) -> None:
    need("aliyunsdkrtc")
    from aliyunsdkcore.auth.algorithm import sha_hmac1
    from aliyunsdkcore.auth.composer import rpc_signature_composer as composer

    text = composer.__compose_string_to_sign("POST", values)
    assert auth.v1_string_to_sign("POST", values.items()) == text
    assert auth.v1_signature("s", text) == sha_hmac1.get_sign_string(text, "s&")


@settings(deadline=None, max_examples=50)
@given(VALUES)
def test_v3_agrees_with_the_newer_clients_signer(values: dict[str, str]) -> None:
    need("alibabacloud_rtc20180111")
    from alibabacloud_tea_openapi.utils import Utils
    from darabonba.request import DaraRequest

    request = DaraRequest()
    request.method, request.pathname, request.query = "POST", "/", values
    request.headers = {"host": "h", "x-acs-action": "A", "x-acs-version": "1", "x-acs-date": "2024-01-02T03:04:05Z"}
    request.headers["x-acs-signature-nonce"] = "n"
    payload = auth.hashlib.sha256(b"").hexdigest()
    said = Utils.get_authorization(request, "ACS3-HMAC-SHA256", payload, "testid", "testsecret")
    headers = Headers({**request.headers, "authorization": said})
    call = Call("POST", "/", urlencode(values).encode(), headers, b"")
    assert auth.read(call, 1704164645.0).matches("testsecret")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"AccessKeyId": "nobody"}, 404, "InvalidAccessKeyId.NotFound"),
        ({"Signature": "AAAA"}, 400, "SignatureDoesNotMatch"),
        ({"Signature": ""}, 400, "MissingParameter"),
        ({"SignatureMethod": "HMAC-MD5"}, 400, "InvalidSignatureMethod"),
        ({"SignatureVersion": "2.0"}, 400, "IncompleteSignature"),
        ({"SignatureType": "BEARERTOKEN"}, 400, "InvalidSignatureMethod"),
        ({"Timestamp": "now"}, 400, "InvalidTimeStamp.Format"),
        ({"Timestamp": "2020-02-30T00:00:00Z"}, 400, "InvalidTimeStamp.Format"),
        ({"Timestamp": "2020-01-01T00:00:00Z"}, 400, "InvalidTimeStamp.Expired"),
        ({"TaskId": "changed"}, 400, "SignatureDoesNotMatch"),
        ({"Format": "YAML"}, 400, "InvalidParameter.Format"),
    ],
)
async def test_what_is_not_signed_right_is_refused(
    server: Server, change: dict[str, str], status: int, code: str
) -> None:
    given = signed(LIVE, "StopRtcCloudRecording", {"TaskId": "t"}) | change
    answer = await server.http.post("/", data=given)
    if change.get("Format"):
        assert (answer.status_code, f"<Code>{code}</Code>" in answer.text) == (status, True)
        return
    body = refused(answer, status, code)
    if code == "SignatureDoesNotMatch":
        assert body["Message"].count(":") == 1 and body["Message"].partition(":")[2].startswith("POST&%2F&")


async def test_a_call_is_good_once_and_may_come_as_get(server: Server) -> None:
    given = signed(LIVE, "StopRtcCloudRecording", {"TaskId": "t"})
    refused(await server.http.post("/", data=given), 400, "NotFound.Task")
    refused(await server.http.post("/", data=given), 400, "SignatureNonceUsed")
    given.pop("Signature")
    given["SignatureNonce"] = uuid.uuid4().hex
    signature = auth.v1_signature(SECRET, auth.v1_string_to_sign("GET", given.items()))
    refused(await server.http.get("/", params=given | {"Signature": signature}), 400, "NotFound.Task")


async def test_what_is_no_action_or_version_is_told(server: Server) -> None:
    refused(await server.call(LIVE, "DescribeNothing", {}), 404, "InvalidApi.NotFound")
    refused(await server.call("2020-01-01", "StopRtcCloudRecording", {}), 400, "NoSuchVersion")
    refused(await server.call("2018-01-11", "StartCloudRecord", {}), 404, "InvalidApi.NotFound")


async def test_more_calls_than_the_vendor_takes_are_throttled(server: Server) -> None:
    (await server.apps.list())[0].defaults["aliyun_live"] = {"requests_per_second": 1}
    refused(await server.live("StopRtcCloudRecording", TaskId="t"), 400, "NotFound.Task")
    refused(await server.live("StopRtcCloudRecording", TaskId="t"), 400, "Throttling.User")
    refused(await server.live("DescribeRtcCloudRecordingFiles", TaskId="t"), 400, "NotFound.Task")


async def test_what_changes_something_is_good_once_over_restarts(server: Server) -> None:
    given = signed(RTC, "StopRecordTask", {"AppId": "dev", "TaskId": "t"})
    refused(await server.http.post("/", data=given), 404, "InvalidTaskId.NotFound")
    server.forget()
    refused(await server.http.post("/", data=given), 400, "SignatureNonceUsed")


async def test_temporary_credentials_need_the_token_that_belongs_to_them(server: Server) -> None:
    mine = (await server.apps.list())[0].secrets["aliyun"]
    refused(await server.live(STOP, TaskId="t", SecurityToken="tok"), 400, MISMATCH)
    mine["security_token"] = "tok"
    refused(await server.live(STOP, TaskId="t"), 400, "MissingSecurityToken")
    refused(await server.live(STOP, TaskId="t", SecurityToken="töken"), 400, MISMATCH)
    refused(await server.live(STOP, TaskId="t", SecurityToken="tok"), 400, "NotFound.Task")
    app = (await server.apps.list())[0]
    assert storage.bucket(app, "rec", endpoint="oss-cn-shanghai.aliyuncs.com").options["security_token"] == "tok"


def test_dotted_names_are_arrays_in_numerical_order() -> None:
    flat = {"A.10.X": "c", "A.9.X": "b", "A.1.X": "a", "B": "1", "C.D": "2", "C": "", "E..F": "3", "G.x.1": "4"}
    assert tree(flat) == {
        "A": [{"X": "a"}, {"X": "b"}, {"X": "c"}], "B": "1", "C": {"D": "2"}, "G": {"x": ["4"]},
    }  # fmt: skip


async def test_a_v3_request_must_sign_what_says_what_it_is(server: Server) -> None:
    headers: dict[str, str] = {}

    async def call(names: str, more: dict[str, str] | None = None, body: bytes = b"", query: str = "TaskId=t") -> Any:
        text = auth.v3_string_to_sign("POST", query.encode(), {"host": "aliyun", **headers}, names, body)
        credential = f"Credential={ID}, SignedHeaders={names}, Signature={auth.v3_signature(SECRET, text)}"
        sent = headers | {"authorization": f"ACS3-HMAC-SHA256 {credential}"} | (more or {})
        answer = await server.http.post(f"/?{query}", headers=sent, content=body)
        return answer.status_code, answer.json()["Code"]

    def anew(**more: str) -> str:
        headers.clear()
        headers.update(
            {
                "x-acs-action": STOP,
                "x-acs-version": LIVE,
                "x-acs-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "x-acs-signature-nonce": uuid.uuid4().hex,
                **{name.replace("_", "-"): value for name, value in more.items()},
            }
        )
        return ";".join(sorted({"host", *headers}))

    everything = anew()
    assert await call("host;x-acs-date;x-acs-signature-nonce;x-acs-version") == (400, "IncompleteSignature")
    assert await call(everything, {"x-acs-content-sha256": "00"}) == (400, "IncompleteSignature")
    assert await call(everything, {"authorization": "ACS3-RSA-SHA256 a=b"}) == (400, "InvalidSignatureMethod")
    assert await call(everything, {"authorization": "ACS3-"}) == (400, "IncompleteSignature")
    assert await call(everything, {"x-acs-bearer-token": "b"}) == (400, "UnsupportedOperation")
    assert await call(everything, {"x-acs-version": "2020-01-01"}) == (400, "SignatureDoesNotMatch")
    assert await call(everything) == (400, "NotFound.Task")
    assert await call(everything) == (400, "SignatureNonceUsed")
    body = b"TaskId=t"
    digest = hashlib.sha256(body).hexdigest()
    names = anew(content_type=FORM, x_acs_content_sha256=digest)
    assert await call(names, body=body, query="") == (400, "NotFound.Task")
    assert await call(anew(content_type=FORM), body=body, query="") == (400, "NotFound.Task")  # not told of the hash
    assert await call(anew(x_acs_version="2020-01-01")) == (400, "NoSuchVersion")
    assert await call(anew(x_acs_action="StopNothing")) == (404, "InvalidApi.NotFound")
    for off_s, code in ((-890, "NotFound.Task"), (890, "NotFound.Task"), (-910, EXPIRED), (910, EXPIRED)):
        date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + off_s))
        assert await call(anew(x_acs_date=date)) == (400, code)
    assert await call(anew(x_acs_security_token="tok")) == (400, MISMATCH)
    (await server.apps.list())[0].secrets["aliyun"]["security_token"] = "tok"
    assert await call(anew(x_acs_security_token="tok")) == (400, "NotFound.Task")
