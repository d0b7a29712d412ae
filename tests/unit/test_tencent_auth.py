"""Tencent's signatures: the vendor's worked examples, its clients' own ways, and what is refused. No sockets."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.datastructures import Headers

from reelroom.dialects.dispatch import Call
from reelroom.dialects.tencent import auth
from reelroom.dialects.tencent.errors import TencentError
from reelroom.dialects.tencent.replays import Replays
from tests import memory
from tests.unit.tencent_server import SDK_APP_ID, Server, authorization, create, serving

SECRET = "SecretKeyExample"
BODY = b'{"SdkAppId": 1400000123, "TaskId": "demo-task."}'
AUTHORIZATION = (
    "TC3-HMAC-SHA256 Credential=AKIDEXAMPLE/2023-11-14/trtc/tc3_request, SignedHeaders=content-type;host, "
    "Signature=0d918bfcd960cd9328ae9e784ccd2f52e8844f4a6b10093b7009f5ca3ef9328d"
)
NOW = 1_700_000_000


def call(method: str = "POST", query: bytes = b"", body: bytes = BODY, path: str = "/", **headers: str) -> Call:
    given = {"content-type": "application/json", "host": "127.0.0.1:18999", "x-tc-timestamp": str(NOW)}
    return Call(method, path, query, Headers(given | headers), body)


def test_the_worked_example_of_tc3() -> None:
    found = auth.signed(call(authorization=AUTHORIZATION), NOW)
    assert (found.secret_id, found.timestamp_s) == ("AKIDEXAMPLE", NOW)
    assert found.matches(SECRET)
    assert not found.matches("another")


@pytest.mark.parametrize(
    "change",
    [
        {"body": BODY + b" "},
        {"host": "127.0.0.1:19000"},
        {"content-type": "text/plain"},
        {"x-tc-timestamp": str(NOW + 1)},
        {"method": "GET"},
    ],
)
def test_whatever_is_signed_cannot_be_changed(change: dict[str, Any]) -> None:
    assert not auth.signed(call(authorization=AUTHORIZATION, **change), NOW).matches(SECRET)


@pytest.mark.parametrize(
    ("headers", "now", "code"),
    [
        ({}, NOW, "AuthFailure.SignatureFailure"),
        ({"authorization": "SKIP"}, NOW, "AuthFailure.SignatureFailure"),
        ({"authorization": AUTHORIZATION[:-1]}, NOW, "AuthFailure.SignatureFailure"),
        ({"authorization": AUTHORIZATION.replace("content-type;host", "host")}, NOW, "AuthFailure.SignatureFailure"),
        ({"authorization": AUTHORIZATION.replace("2023-11-14", "2023-11-13")}, NOW, "AuthFailure.SignatureFailure"),
        ({"authorization": AUTHORIZATION, "x-tc-timestamp": "soon"}, NOW, "AuthFailure.SignatureFailure"),
        ({"authorization": AUTHORIZATION}, NOW + 301, "AuthFailure.SignatureExpire"),
        ({"authorization": AUTHORIZATION}, NOW - 301, "AuthFailure.SignatureExpire"),
    ],
)
def test_what_cannot_be_right_is_refused(headers: dict[str, str], now: int, code: str) -> None:
    with pytest.raises(TencentError) as refused:
        auth.signed(call(**({"x-tc-action": "X"} | headers)), now)
    assert refused.value.code == code


def _sign(request: str, service: str) -> str:
    text = f"TC3-HMAC-SHA256\n{NOW}\n2023-11-14/{service}/tc3_request\n{hashlib.sha256(request.encode()).hexdigest()}"
    return hmac.new(auth.tc3_key(SECRET, "2023-11-14", service), text.encode(), hashlib.sha256).hexdigest()


def _header(signature: str, service: str, names: str = "content-type;host") -> str:
    scope = f"AKID/2023-11-14/{service}/tc3_request"
    return f"TC3-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={signature}"


def test_node_signs_the_host_without_its_port_and_java_its_own_idea_of_the_service() -> None:
    digest = hashlib.sha256(BODY).hexdigest()
    node = f"POST\n/\n\ncontent-type:application/json\nhost:127.0.0.1\n\ncontent-type;host\n{digest}"
    assert auth.signed(call(authorization=_header(_sign(node, "trtc"), "trtc")), NOW).matches(SECRET)
    kind = "application/json; charset=utf-8"
    java = f"POST\n/\n\ncontent-type:{kind}\nhost:127.0.0.1:18999\n\ncontent-type;host\n{digest}"
    headers = {"authorization": _header(_sign(java, "127"), "127"), "content-type": kind}
    assert auth.signed(call(**headers), NOW).matches(SECRET)


def test_signed_action_unsigned_payload_and_a_path() -> None:
    digest = hashlib.sha256(b"UNSIGNED-PAYLOAD").hexdigest()
    names = "content-type;host;x-tc-action"
    said = f"content-type:application/json\nhost:127.0.0.1:18999\nx-tc-action:createcloudrecording\n\n{names}\n{digest}"
    headers = {"x-tc-action": "CreateCloudRecording", "x-tc-content-sha256": "UNSIGNED-PAYLOAD"}
    signature = _header(_sign(f"POST\n/\n\n{said}", "trtc"), "trtc", names)
    assert auth.signed(call(path="/tencent", authorization=signature, **headers), NOW).matches(SECRET)


def test_a_get_is_signed_with_its_query_as_it_stands() -> None:
    query = b"SdkAppId=1400000123&B.0=x%2A&A=1"
    empty = hashlib.sha256(b"").hexdigest()
    kind = "application/x-www-form-urlencoded"
    said = f"GET\n/\n{query.decode()}\ncontent-type:{kind}\nhost:127.0.0.1:18999\n\ncontent-type;host\n{empty}"
    headers = {"authorization": _header(_sign(said, "trtc"), "trtc"), "content-type": kind}
    assert auth.signed(call("GET", query, b"", **headers), NOW).matches(SECRET)
    assert not auth.signed(call("GET", query + b"&C=2", b"", **headers), NOW).matches(SECRET)


def test_the_worked_example_of_the_older_signature() -> None:
    query = (
        b"Action=StopMCUMixTranscode&Language=zh-CN&Nonce=12345&Region=ap-guangzhou&RequestClient=SDK_PYTHON_3.1.177"
        b"&RoomId=1001&SdkAppId=1400000123&SecretId=AKIDEXAMPLE&SignatureMethod=HmacSHA1&Timestamp=1700000000"
        b"&Version=2019-07-22&Signature=YTVxwWl0DLUdyAi73bMUphkxBtE%3D"
    )
    found = auth.signed(call("GET", query, b""), NOW)
    assert found.matches(SECRET)
    assert not auth.signed(call("GET", query.replace(b"1001", b"1002"), b""), NOW).matches(SECRET)
    with pytest.raises(TencentError, match="SignatureExpire"):
        auth.signed(call("GET", query, b""), NOW + 301)


async def test_copies_are_refused_and_the_same_seconds_calls_are_not() -> None:
    database = await memory.database()
    replays, second = Replays(database), 10**9
    first = auth.signed(call(authorization=AUTHORIZATION, **{"x-tc-traceid": "a"}), NOW)
    other = auth.signed(call(authorization=AUTHORIZATION, **{"x-tc-traceid": "b"}), NOW)
    await replays.check(first, "dev", "DescribeCloudRecording", True, 0)
    await replays.check(first, "dev", "DescribeCloudRecording", True, second)  # asked again within the second
    await replays.check(first, "dev", "DeleteCloudRecording", False, second)  # the same body, the same signature
    await replays.check(other, "dev", "DeleteCloudRecording", False, second)
    for again in (replays, Replays(database)):  # and after a restart
        for signed, action, at in (
            (first, "DeleteCloudRecording", second),
            (other, "DeleteCloudRecording", 2 * second),
            (other, "ModifyCloudRecording", 5 * second),
        ):
            with pytest.raises(TencentError, match="made before"):
                await again.check(signed, "dev", action, False, at)
    with pytest.raises(TencentError, match="made before"):
        await replays.check(first, "dev", "DescribeCloudRecording", True, 4 * second)
    await Replays(database).check(
        first, "dev", "DeleteCloudRecording", False, 700 * second
    )  # forgotten: too old anyway
    await database.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as made:
        yield made


async def test_whose_request_it_is_comes_before_what_it_says(server: Server) -> None:
    body, now = json.dumps(create()).encode(), int(time.time())
    signature = authorization(body, now)
    for headers, code in (
        ({"Authorization": signature.replace("=dev/", "=nobody/")}, "AuthFailure.SecretIdNotFound"),
        ({"Authorization": authorization(body, now, secret="wrong")}, "AuthFailure.SignatureFailure"),
        ({"X-TC-Action": "DropEverything"}, "InvalidAction"),
        ({"X-TC-Version": "2018-01-01"}, "NoSuchVersion"),
    ):
        answer = await server.raw("CreateCloudRecording", body, stamp=now, **headers)
        assert answer.json()["Response"]["Error"]["Code"] == code
    old = now - 400
    answer = await server.raw("CreateCloudRecording", body, stamp=old)
    assert answer.json()["Response"]["Error"]["Code"] == "AuthFailure.SignatureExpire"
    assert not server.recorders.specs


async def test_a_copied_start_starts_nothing(server: Server) -> None:
    body, now = json.dumps(create()).encode(), int(time.time())
    first = await server.raw("CreateCloudRecording", body, stamp=now, **{"X-TC-TraceId": "one"})
    assert "TaskId" in first.json()["Response"]
    again = await server.raw("CreateCloudRecording", body, stamp=now, **{"X-TC-TraceId": "one"})
    assert again.json()["Response"]["Error"]["Code"] == "AuthFailure.SignatureFailure"
    assert len(server.recorders.specs) == 1


async def test_a_get_and_a_form_say_the_same_in_text(server: Server) -> None:
    given = {
        "Action": "CreateCloudRecording", "Version": "2019-07-22", "Nonce": "77", "Timestamp": str(int(time.time())),
        "SecretId": "dev", "SignatureMethod": "HmacSHA256", "SdkAppId": str(SDK_APP_ID), "RoomId": "1001",
        "UserId": "r", "UserSig": "s", "RecordParams.RecordMode": "2", "RoomIdType": "1",
        "RecordParams.SubscribeStreamUserIds.UnSubscribeVideoUserIds.0": "bot.*$",
        "MixLayoutParams.MixLayoutMode": "3", "MixLayoutParams.PureAudioDisableLayout": "True",
        "StorageParams.CloudStorage.Vendor": "0", "StorageParams.CloudStorage.Region": "ap-guangzhou",
        "StorageParams.CloudStorage.Bucket": "b-1", "StorageParams.CloudStorage.AccessKey": "a",
        "StorageParams.CloudStorage.SecretKey": "s", "StorageParams.CloudStorage.FileNamePrefix.0": "p1",
    }  # fmt: skip
    source = auth.legacy_source("POST", "tencent", given)
    import base64

    given["Signature"] = base64.b64encode(hmac.new(b"dev-secret", source.encode(), "sha256").digest()).decode()
    answer = (await server.http.post("/", data=given)).json()["Response"]
    assert "TaskId" in answer, answer
    spec = server.recorders.specs[0]
    assert not spec.mix.scene.without_picture
    assert spec.subscription.video.exclude_prefixes == ("bot",)


async def test_too_many_calls_of_one_action() -> None:
    async with serving(requests_per_second=2) as server:
        codes = []
        for number in range(4):
            answer = await server.call("DescribeCloudRecording", {"SdkAppId": SDK_APP_ID, "TaskId": f"t{number}"})
            codes.append(answer["Error"]["Code"])
        assert codes[0] == "ResourceNotFound"
        assert "RequestLimitExceeded" in codes


async def test_an_older_signature_over_a_path_or_none(server: Server) -> None:
    import base64

    given = {
        "Action": "DescribeCloudRecording", "Version": "2019-07-22", "Timestamp": str(int(time.time())),
        "SecretId": "dev", "SdkAppId": str(SDK_APP_ID), "TaskId": "none", "Language": "en-US", "Token": "",
    }  # fmt: skip
    for nonce, path in enumerate(("/", "/tencent")):
        source = auth.legacy_source("POST", "tencent", given | {"Nonce": str(nonce)}, path)
        signature = base64.b64encode(hmac.new(b"dev-secret", source.encode(), "sha1").digest()).decode()
        answer = await server.http.post("/tencent", data={**given, "Nonce": str(nonce), "Signature": signature})
        assert answer.json()["Response"]["Error"]["Code"] == "ResourceNotFound"


async def test_a_multipart_body(server: Server) -> None:
    def part(name: str, value: str, kind: str = "") -> str:
        more = f"Content-Type: {kind}\r\n" if kind else ""
        return f'--b0\r\nContent-Disposition: form-data; name="{name}"\r\n{more}\r\n{value}\r\n'

    parts = [
        part(name, value) if isinstance(value, str) else part(name, json.dumps(value), "application/json")
        for name, value in create().items()
    ]

    async def sent(text: str) -> dict[str, Any]:
        body, now, kind = text.encode(), int(time.time()), "multipart/form-data; boundary=b0"
        said = f"POST\n/\n\ncontent-type:{kind}\nhost:tencent\n\ncontent-type;host\n{hashlib.sha256(body).hexdigest()}"
        date = time.strftime("%Y-%m-%d", time.gmtime(now))
        signed = f"TC3-HMAC-SHA256\n{now}\n{date}/trtc/tc3_request\n{hashlib.sha256(said.encode()).hexdigest()}"
        key = auth.tc3_key("dev-secret", date, "trtc")
        signature = hmac.new(key, signed.encode(), hashlib.sha256).hexdigest()
        value = f"TC3-HMAC-SHA256 Credential=dev/{date}/trtc/tc3_request, SignedHeaders=content-type;host, "
        headers = {"Content-Type": kind, "Authorization": f"{value}Signature={signature}", "X-TC-Timestamp": str(now)}
        answer = await server.raw("CreateCloudRecording", body, **headers)
        found: dict[str, Any] = answer.json()["Response"]
        return found

    assert "TaskId" in await sent("".join(parts) + "--b0--\r\n")
    malformed = "--b0\r\nContent-Disposition: form-data; x*\r\n\r\n1\r\n--b0--\r\n"
    json_ = part("SdkAppId", "[", "application/json") + "--b0--\r\n"
    for wrong in ("", "--b0--\r\n", "x", json_, part("a", "1"), malformed):
        answer = await sent(wrong)
        assert answer["Error"]["Code"] in ("InvalidParameter", "UnknownParameter", "MissingParameter.SdkAppId"), wrong


async def test_temporary_credentials_come_with_their_token(server: Server) -> None:
    async def code(**headers: str) -> str:
        request = {"SdkAppId": SDK_APP_ID, "TaskId": "none"}
        return str((await server.call("DescribeCloudRecording", request, **headers))["Error"]["Code"])

    assert await code(**{"X-TC-Token": "sts"}) == "AuthFailure.TokenFailure"
    (await server.apps.list())[0].secrets["tencent"]["token"] = "sts"
    assert await code(**{"X-TC-Token": "sts"}) == "ResourceNotFound"
    assert await code(**{"X-TC-Token": "other"}) == "AuthFailure.TokenFailure"
    assert await code() == "AuthFailure.TokenFailure"
