"""Random calls of ZEGO's API: valid ones succeed, anything at all is answered in the vendor's words, never by a 500."""

from __future__ import annotations

import asyncio
import copy
import time
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reelroom.dialects.zego import naming
from tests.anyjson import json_values, paths
from tests.unit.zego_server import STORAGE, common, serving

CODES = {0, 300000004, 300001000, 300001001, 300001004}
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

IMAGE = "http://127.0.0.1:1/there-is-none.png"

ids = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
streams = ids | ids.map("{}~screen".format)
colors = st.integers(-(2**31), 2**32 - 1)
fill = st.sampled_from([1, 2])


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


@st.composite
def rectangles(draw: st.DrawFn, width: int, height: int) -> dict[str, int]:
    left, right = sorted(draw(st.lists(st.integers(0, width), min_size=2, max_size=2)))
    top, bottom = sorted(draw(st.lists(st.integers(0, height), min_size=2, max_size=2)))
    return {"Left": left, "Right": right, "Top": top, "Bottom": bottom}


@st.composite
def layouts(draw: st.DrawFn, width: int, height: int) -> dict[str, Any]:
    mode = draw(st.integers(1, 5))
    keys: dict[str, Any] = {"MixMode": mode} | draw(some(MixMaxResolutionStreamId=ids))
    if mode == 1:
        streams = draw(st.lists(ids, unique=True, max_size=5))
        views = []
        for number in range(draw(st.integers(1, 8))):
            view = draw(rectangles(width, height)) | {"Layer": draw(st.integers(-(2**31), 2**31))}
            view |= draw(some(FillMode=fill, ViewType=st.just(1), BackgroundImage=st.just(IMAGE)))
            if number < len(streams):
                view["StreamId"] = streams[number]
            views.append(view)
        keys["MixInputList"] = views
    return keys


@st.composite
def mixes(draw: st.DrawFn) -> dict[str, Any]:
    width = draw(st.integers(16, 1920))
    height = draw(st.integers(16, min(1920, 1920 * 1080 // width)))
    config = draw(layouts(width, height)) | {
        "MixOutputStreamId": draw(ids),
        "MixOutputVideoConfig": {
            "Width": width,
            "Height": height,
            "Fps": draw(st.integers(5, 30)),
            "Bitrate": draw(st.integers(50_000, 5_000_000)),
        },
    }
    return config | draw(
        some(
            FillMode=fill,
            MixOutputBackgroundColor=colors,
            IsAlwaysMix=st.booleans(),
            SoundWaveType=st.sampled_from([0, 1]),
            RecordSoundWave=st.booleans(),
            ClearInputStreamTimeout=st.integers(0, 86_400_000),
            MixOutputBackgroundImage=st.just(IMAGE),
            MixOutputWatermarkImage=st.just(IMAGE),
            MixOutputWatermarkImageConfig=rectangles(width, height),
            DefaultMixStreamBackgroundImage=st.just(IMAGE),
            MixOutputAudioConfig=some(Bitrate=st.integers(16_000, 320_000)),
            MixOutputWatermarkTimestampConfig=st.fixed_dictionaries({"FontSize": st.integers(12, 100)}),
            StreamConfigList=st.lists(
                some(StreamId=st.just("") | ids | ids.map("{}~screen".format), StreamType=st.integers(0, 3)), max_size=4
            ),
        )
    )


REGIONS = {
    1: "eu-central-1",
    2: "oss-cn-hangzhou",
    3: "ap-beijing",
    4: "z0",
    7: "cn-north-4",
    8: "",
    9: "eos-shanghai-1",
}
ALIBABA = dict.fromkeys(("Region", "AccessKeyId", "AccessKeySecret", "Title", "StorageLocation"), "x")
TENCENT = dict.fromkeys(("SecretId", "SecretKey", "Region"), "x")
EMPTY = dict.fromkeys(("Region", "Bucket", "AccessKeyId", "AccessKeySecret"), "")


@st.composite
def places(draw: st.DrawFn, format_: str) -> dict[str, Any]:
    """StorageParams of every vendor that takes the format."""
    vendors = [*REGIONS, 10]
    vendors += [5] if format_ in ("mp4", "flv") else []
    vendors += [6] if format_ in ("mp4", "flv", "mp3") else []
    vendor = draw(st.sampled_from(vendors))
    if vendor == 5:
        return {"Vendor": 5, **draw(st.sampled_from([{}, EMPTY])), "AlibabaCloudVodParams": ALIBABA}
    if vendor == 6:
        return {"Vendor": 6, "TencentCloudVodParams": TENCENT | draw(some(SubAppId=st.integers(0, 2**40)))}
    if vendor == 10:
        return STORAGE | {"S3ForcePathStyle": draw(st.booleans())}
    keys = {"Vendor": vendor, "Region": REGIONS[vendor], "Bucket": "rec", "AccessKeyId": "a", "AccessKeySecret": "s"}
    return keys | draw(some(EndPoint=st.just(""), S3ForcePathStyle=st.just(False)))


@st.composite
def starts(draw: st.DrawFn) -> dict[str, Any]:
    mode = draw(st.sampled_from([1, 2]))
    format_ = draw(st.sampled_from(["mp4", "flv", "hls", "aac", "mp3", "ogg"]))
    kinds = [1, 2, 3, 4] if format_ in ("mp4", "flv", "hls") else [1, 3, 4]
    params: dict[str, Any] = {"RecordMode": mode, "StreamType": draw(st.sampled_from(kinds))}
    params |= draw(
        some(
            MaxIdleTime=st.integers(5, 86_400),
            MaxRecordTime=st.integers(300, 86_400),
            FillBlank=st.booleans(),
            RecordStreamList=st.lists(st.fixed_dictionaries({"StreamId": streams}), max_size=4),
            FillFrame=some(FrameFillMode=st.integers(1, 3), FrameFillColor=colors),
            Unknown=st.none() | st.integers(),
            ClientTaskId=ids,
            HasWhiteboard=st.just(False),
            ResumeWithoutInterruption=st.booleans(),
        )
    )
    if mode == 2:
        params["MixConfig"] = draw(mixes())
    body: dict[str, Any] = {"RoomId": draw(ids), "RecordInputParams": params}
    body["StorageParams"] = draw(places(format_))
    if body["StorageParams"]["Vendor"] in (5, 6):
        params.get("MixConfig", {}).pop("RecordSoundWave", None)  # which their libraries do not take
    body["RecordOutputParams"] = {"OutputFileFormat": format_} | draw(
        some(
            OutputFolder=st.from_regex(r"/?([a-z{}%]{1,8}/){0,3}[a-z]{0,5}", fullmatch=True).filter(
                lambda text: text != "/"
            ),
            FragmentSeconds=st.integers(2, 60),
            RealtimeUploadFragment=st.booleans(),
            ShortFragmentPath=st.booleans(),
            OutputFileRule=st.just(1),
        )
    )
    return body


@FEW
@given(starts())
def test_valid_starts_succeed(body: dict[str, Any]) -> None:
    async def run() -> None:
        async with serving() as server:
            task = await server.start(body)
            assert (await server.call("DescribeRecordStatus", {"TaskId": task}))["Code"] == 0

    asyncio.run(run())


@FEW
@given(layouts(1280, 720))
def test_valid_layouts_succeed(keys: dict[str, Any]) -> None:
    async def run() -> None:
        async with serving() as server:
            video = {"Width": 1280, "Height": 720, "Bitrate": 1_000_000}
            config = {"MixOutputStreamId": "m", "MixOutputVideoConfig": video}
            params = {"RecordMode": 2, "MixConfig": config}
            task = await server.start({"RoomId": "r", "RecordInputParams": params, "StorageParams": STORAGE})
            assert (await server.call("UpdateLayout", {"TaskId": task, **keys}))["Code"] == 0

    asyncio.run(run())


@FEW
@given(starts(), st.data())
def test_a_start_with_anything_in_it_is_answered_by_the_vendors_codes(
    body: dict[str, Any], data: st.DataObject
) -> None:
    body = copy.deepcopy(body)
    for _ in range(data.draw(st.integers(1, 3))):
        *path, last = data.draw(st.sampled_from(paths(body)))
        place: Any = body
        try:
            for key in path:
                place = place[key]
            place[last] = data.draw(json_values)
        except (KeyError, IndexError, TypeError):
            continue  # what it was in has been replaced

    async def run() -> None:
        async with serving() as server:
            assert (await server.call("StartRecord", body))["Code"] in CODES

    asyncio.run(run())


ACTIONS = [
    "StopRecord", "PauseRecord", "ResumeRecord", "UpdateLayout", "DescribeRecordStatus", "DescribeTasks",
    "UpdateWhiteboard", "TakeSnapshot",
]  # fmt: skip


@FEW
@given(
    st.sampled_from(ACTIONS),
    st.dictionaries(
        st.sampled_from(
            ["TaskId", "MixMode", "MixInputList", "Status", "RoomId", "PageOffset", "PageSize", "StartTime", "EndTime"]
        )
        | st.text(max_size=8),
        json_values | st.integers(0, 5) | st.just(int(time.time() * 1000)) | st.just(naming.task_id()),
    ),
)
def test_any_body_of_any_call_is_answered_by_the_vendors_codes(action: str, body: dict[str, Any]) -> None:
    async def run() -> None:
        async with serving() as server:
            assert (await server.call(action, body))["Code"] in CODES

    asyncio.run(run())


@FEW
@given(
    st.dictionaries(
        st.sampled_from(list(common("StopRecord"))) | st.text(max_size=5), st.text(max_size=24), max_size=7
    ),
    st.binary(max_size=40),
)
def test_any_query_is_refused_before_anything_else(query: dict[str, str], body: bytes) -> None:
    async def run() -> None:
        async with serving() as server:
            answer = await server.http.post("/", params={**query, "Action": query.get("Action", "")}, content=body)
            assert answer.status_code == 200
            assert 100000001 <= answer.json()["Code"] <= 100000014

    asyncio.run(run())


@FEW
@given(
    st.sampled_from(["StartRecord", *ACTIONS]),
    st.dictionaries(
        st.sampled_from(
            ["TaskId", "Status", "RoomId", "PageOffset", "PageSize", "StartTime", "EndTime", "WhiteboardId"]
        )
        | st.text(max_size=5),
        st.text(max_size=24) | st.integers(-(2**70), 2**70).map(str) | st.just(naming.task_id()),
    ),
)
def test_any_parameters_in_a_query_are_answered_by_the_vendors_codes(action: str, given_: dict[str, str]) -> None:
    async def run() -> None:
        async with serving() as server:
            answer = await server.http.get("/", params={**given_, **common(action)})
            assert answer.status_code == 200 and answer.json()["Code"] in CODES

    asyncio.run(run())
