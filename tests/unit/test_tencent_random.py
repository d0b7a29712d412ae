"""Random requests: valid ones do what they say in every way of saying it, all else gets a code of the vendor's, and
nothing an internal error."""

from __future__ import annotations

import copy
import re
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reelroom.domain.recording import RecordingSpec
from tests.unit.tencent_requests import REQUESTS, creates, junk
from tests.unit.tencent_server import SDK_APP_ID, Server, create, mixed, serving

CODES = re.compile(
    r"(InvalidParameter|InvalidParameterValue|MissingParameter|UnsupportedOperation|ResourceNotFound)(\.[A-Za-z]+)?"
    r"|UnknownParameter|UnauthorizedOperation\.SdkAppId|FailedOperation\.(RoomNotExist|MixSessionNotExist)"
)
#: What valid requests may be answered, as there is no such thing.
NONE = {
    "StopMCUMixTranscode": "FailedOperation.MixSessionNotExist",
    "StopMCUMixTranscodeByStrRoomId": "FailedOperation.MixSessionNotExist",
    "DeleteMedia": "ResourceNotFound.FileNotExist",
}
ACTIONS = tuple(REQUESTS)
WAYS = ("json", "form", "query")
relaxed = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


async def said(server: Server, action: str, request: Any, way: str) -> dict[str, Any]:
    """The answer to a request in JSON, or as an older client's form or query."""
    return await (server.call(action, request) if way == "json" else server.older(action, request, way))


async def ready(server: Server, action: str, request: dict[str, Any]) -> dict[str, Any]:
    """The request with the task that it needs."""
    server.rooms.identities = ["somebody"]
    if not action.endswith("CloudRecording") or action == "CreateCloudRecording":
        return request
    return {**request, "TaskId": (await server.ok("CreateCloudRecording", mixed(UserId="another")))["TaskId"]}


@relaxed
@given(st.sampled_from(ACTIONS).flatmap(lambda name: st.tuples(st.just(name), REQUESTS[name])), st.sampled_from(WAYS))
async def test_valid_requests_are_taken(asked: tuple[str, dict[str, Any]], way: str) -> None:
    action, request = asked
    async with serving() as server:
        answer = await said(server, action, await ready(server, action, request), way)
    assert answer.get("Error", {}).get("Code", NONE.get(action)) == NONE.get(action), answer


@relaxed
@given(creates)
async def test_a_start_says_the_same_in_every_way(request: dict[str, Any]) -> None:
    made: list[RecordingSpec] = []
    async with serving() as server:
        for way in WAYS:
            answer = await said(server, "CreateCloudRecording", request, way)
            assert "TaskId" in answer, answer
            made.append(msgspec.structs.replace(server.recorders.specs[-1], id="x", requested_ns=0))
        assert len(server.recorders.specs) == 3
    assert made[0] == made[1] == made[2]


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        for name, inner in value.items():
            found += _paths(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            found += _paths(inner, (*path, number))
    return found


@settings(relaxed, max_examples=100)
@given(
    st.sampled_from(ACTIONS).flatmap(lambda name: st.tuples(st.just(name), REQUESTS[name])),
    junk,
    st.sampled_from(WAYS),
    st.data(),
)
async def test_whatever_else_is_in_a_request_is_taken_or_refused_in_the_vendors_words(
    asked: tuple[str, dict[str, Any]], value: Any, way: str, data: st.DataObject
) -> None:
    action, request = asked
    async with serving() as server:
        changed: Any = copy.deepcopy(await ready(server, action, request))
        paths = _paths(changed)
        if paths and data.draw(st.booleans()):
            *outer, last = data.draw(st.sampled_from(paths))
            inner = changed
            for step in outer:
                inner = inner[step]
            inner[last] = value
        else:
            changed[data.draw(st.text(min_size=1, max_size=12))] = value
        answer = await said(server, action, changed, way)
    assert "Error" not in answer or CODES.fullmatch(answer["Error"]["Code"]), answer


@relaxed
@given(st.sampled_from(ACTIONS), st.dictionaries(st.text(max_size=12), junk, max_size=5))
async def test_nonsense_is_refused_in_the_vendors_words(action: str, request: dict[str, Any]) -> None:
    async with serving() as server:
        answer = await server.call(action, {"SdkAppId": SDK_APP_ID, **request})
    assert "Error" not in answer or CODES.fullmatch(answer["Error"]["Code"]), answer


@relaxed
@given(st.sampled_from(ACTIONS), st.binary(max_size=200))
async def test_bodies_that_are_no_json(action: str, body: bytes) -> None:
    from reelroom.dialects.tencent.routes import TRTC, VOD

    version = VOD if action.endswith(("Media", "Infos")) else TRTC
    async with serving() as server:
        error = (await server.raw(action, body, version=version)).json()["Response"].get("Error")
    assert error is None or CODES.fullmatch(error["Code"]), error


@pytest.mark.parametrize(
    "body", [b"[" * 5000, b'{"a":' * 200 + b"1" + b"}" * 200, b"null", b'"x"', b'{"SdkAppId": "\\ud800"}']
)
async def test_hostile_bodies(body: bytes) -> None:
    async with serving() as server:
        error = (await server.raw("CreateCloudRecording", body)).json()["Response"]["Error"]
        assert CODES.fullmatch(error["Code"]), error


async def test_names_that_are_said_in_two_ways() -> None:
    async with serving() as server:
        request = create() | {"RecordParams.RecordMode": "1"}
        assert "Error" not in await server.older("CreateCloudRecording", request, "form")
        wrong = create() | {"RecordParams": "1", "RecordParams.RecordMode": "1"}
        answer = await server.older("CreateCloudRecording", wrong, "form")
        assert answer["Error"]["Code"] == "InvalidParameter"
