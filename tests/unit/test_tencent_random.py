"""Random requests: valid ones make recordings, all else gets a code of the vendor's, nothing an internal error."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.tencent_server import COS, SDK_APP_ID, Server, create, serving

CODES = re.compile(
    r"(InvalidParameter|InvalidParameterValue|MissingParameter|UnsupportedOperation|ResourceNotFound)(\.[A-Za-z]+)?"
    r"|UnknownParameter|UnauthorizedOperation\.SdkAppId|FailedOperation\.(RoomNotExist|MixSessionNotExist)"
)
ACTIONS = (
    "CreateCloudRecording", "DescribeCloudRecording", "ModifyCloudRecording", "DeleteCloudRecording",
    "StartMCUMixTranscode", "StopMCUMixTranscode", "StartMCUMixTranscodeByStrRoomId",
    "StopMCUMixTranscodeByStrRoomId", "SearchMedia", "DescribeMediaInfos", "DeleteMedia",
)  # fmt: skip
users = st.text("abcXYZ019_-", min_size=1, max_size=32)
patterns = st.one_of(users, users.map(lambda user: user + ".*$"))
lists = st.lists(patterns, max_size=32)
colors = st.from_regex(r"\A#[0-9a-fA-F]{6}\Z")


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


subscriptions = optional(
    SubscribeAudioUserIds=lists,
    UnSubscribeAudioUserIds=lists,
    SubscribeVideoUserIds=lists,
    UnSubscribeVideoUserIds=lists,
)
params = st.fixed_dictionaries(
    {"RecordMode": st.integers(1, 2)},
    optional={
        "MaxIdleTime": st.integers(5, 86_400),
        "StreamType": st.integers(0, 1),
        "SubscribeStreamUserIds": subscriptions,
        "OutputFormat": st.integers(0, 4),
        "AvMerge": st.integers(0, 1),
        "MaxMediaFileDuration": st.integers(1, 1440),
        "MediaId": st.integers(0, 2),
        "FillType": st.integers(0, 1),
        "SubscribeAbility": st.just(0),
    },
)
transcode = optional(
    VideoParams=st.fixed_dictionaries(
        {
            "Width": st.integers(400, 1400),
            "Height": st.integers(400, 1400),
            "Fps": st.integers(1, 60),
            "BitRate": st.integers(64_000, 8_192_000),
            "Gop": st.integers(1, 30),
        }
    ),
    AudioParams=st.fixed_dictionaries(
        {"SampleRate": st.integers(1, 3), "Channel": st.integers(1, 2), "BitRate": st.integers(32_000, 128_000)}
    ),
)
texts = st.fixed_dictionaries(
    {
        "WaterMarkType": st.just(1),
        "WaterMarkChar": st.fixed_dictionaries(
            {
                **dict.fromkeys(("Top", "Left"), st.integers(0, 100)),
                **dict.fromkeys(("Width", "Height"), st.integers(1, 200)),
                "Chars": st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=50),
            },
            optional={"FontSize": st.integers(8, 200), "FontColor": colors, "Font": st.just("Tencent")},
        ),
    }
)
clocks = st.fixed_dictionaries(
    {
        "WaterMarkType": st.just(2),
        "WaterMarkTimestamp": st.fixed_dictionaries(
            {"Pos": st.integers(0, 6)}, optional={"TimeZone": st.integers(-12, 14)}
        ),
    }
)
template_layouts = st.fixed_dictionaries(
    {"MixLayoutMode": st.integers(1, 3)},
    optional={
        "BackGroundColor": colors,
        "MaxResolutionUserId": users,
        "MediaId": st.integers(0, 1),
        "PlaceHolderMode": st.integers(0, 1),
        "BackgroundImageRenderMode": st.integers(0, 3),
        "RenderMode": st.integers(0, 3),
        "MaxResolutionUserAlign": st.integers(0, 1),
        "PureAudioDisableLayout": st.booleans(),
        "WaterMarkList": st.lists(st.one_of(texts, clocks), max_size=4),
    },
)
places = st.fixed_dictionaries(
    {**dict.fromkeys(("Top", "Left"), st.integers(0, 160)), **dict.fromkeys(("Width", "Height"), st.integers(1, 200))},
    optional={
        "Alpha": st.integers(0, 255),
        "RenderMode": st.integers(0, 3),
        "ImageLayer": st.integers(-(2**31), 2**31 - 1),
    },
)
custom_layouts = st.fixed_dictionaries(
    {"MixLayoutMode": st.just(4), "MixLayoutList": st.lists(places, min_size=1, max_size=25)}
)
storages = st.one_of(
    st.just({"CloudStorage": COS}),
    st.fixed_dictionaries(
        {
            "CloudVod": st.fixed_dictionaries(
                {
                    "TencentVod": optional(
                        MediaType=st.sampled_from((0, 1, 3)),
                        ExpireTime=st.integers(0, 10**8),
                        ClassId=st.integers(0, 10**6),
                        SubAppId=st.integers(0, 10**10),
                        SourceContext=st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=100),
                        UserDefineRecordId=st.text("abcXYZ019_-", max_size=64),
                    )
                }
            )
        }
    ),
)
valid = st.builds(
    create,
    RoomId=st.integers(1, 2**32 - 2).map(str),
    UserId=users,
    RecordParams=params,
    StorageParams=storages,
    MixTranscodeParams=transcode,
    MixLayoutParams=st.one_of(template_layouts, custom_layouts),
    ResourceExpiredHour=st.integers(6, 720),
)
junk = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
relaxed = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


async def answered(action: str, request: Any) -> tuple[dict[str, Any], Server]:
    async with serving() as server:
        return await server.call(action, request), server


@relaxed
@given(valid)
async def test_valid_starts_are_accepted(request: dict[str, Any]) -> None:
    answer, server = await answered("CreateCloudRecording", request)
    assert "TaskId" in answer, answer
    assert len(server.recorders.specs) == 1


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        for name, inner in value.items():
            found += _paths(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            found += _paths(inner, (*path, number))
    return found


@relaxed
@given(valid, junk, st.data())
async def test_a_start_with_something_else_in_it_is_accepted_or_refused_in_the_vendors_words(
    request: dict[str, Any], value: Any, data: st.DataObject
) -> None:
    import copy

    changed: Any = copy.deepcopy(request)
    *outer, last = data.draw(st.sampled_from(_paths(changed)))
    inner = changed
    for step in outer:
        inner = inner[step]
    inner[last] = value
    answer, _ = await answered("CreateCloudRecording", changed)
    assert "TaskId" in answer or CODES.fullmatch(answer["Error"]["Code"]), answer


@relaxed
@given(st.sampled_from(ACTIONS), st.dictionaries(st.text(max_size=12), junk, max_size=5))
async def test_nonsense_is_refused_in_the_vendors_words(action: str, request: dict[str, Any]) -> None:
    answer, _ = await answered(action, {"SdkAppId": SDK_APP_ID, **request})
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
