"""The VOD actions on a library: what is found by what, details, deletion. No sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from reelroom.store import tables
from tests.unit.tencent_server import SDK_APP_ID, Server, mixed, serving


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as made:
        made.rooms.identities = ["somebody"]
        yield made


async def shelve(server: Server, number: int, **more: Any) -> str:
    id = str(10**18 + number)
    row: dict[str, Any] = {
        "id": id, "app": "dev", "recording": "r", "dialect": "tencent", "mode": "individual", "room": "1001",
        "identity": "anchor01", "source": "camera", "kind": "av", "stream": "1_1001_anchor01_main",
        "name": f"1_1001_anchor01_main_{number}", "tags": ["0", "0:Record", "0:class:0", "0:class:0:Record"],
        "data": {"kind": "stream", "stream": "1_1001_anchor01_main", "domain": "d", "path": "p"}, "format": "hls",
        "destination": None, "key": f"r/{number}.m3u8", "bytes": 1_000_000, "sha256": "", "duration_ns": 10**10,
        "start_ns": 1_700_000_000 * 10**9, "end_ns": 1_700_000_010 * 10**9, "video_codec": "h264",
        "audio_codec": "aac", "width": 1280, "height": 720,
        "created_ns": (1_700_000_000 + number) * 10**9, "expires_ns": 0, **more,
    }  # fmt: skip
    async with server.database.transaction() as session:
        session.add(tables.Media(**row))
        await session.flush()
        session.add_all(tables.MediaTag(media=id, app=row["app"], tag=tag) for tag in row["tags"])
    return id


async def test_search_by_prefix_time_stream_and_kind(server: Server) -> None:
    cloud = ["0", "0:TrtcRecord", "0:class:7", "0:class:7:TrtcRecord"]
    data = {"kind": "cloud", "sdk_app_id": SDK_APP_ID, "room": "1001", "source_context": "ctx"}
    await shelve(server, 1)
    await shelve(server, 2, name="other", stream="s2", tags=cloud, data=data, format="mp4")
    await shelve(server, 3, tags=["5", "5:Record", "5:class:0", "5:class:0:Record"])
    await shelve(server, 4, dialect="native")
    await shelve(server, 5, app="another")

    async def found(**asked: Any) -> list[str]:
        answer = await server.ok("SearchMedia", asked)
        assert answer["TotalCount"] == len(answer["MediaInfoSet"])
        return [info["FileId"][-1] for info in answer["MediaInfoSet"]]

    assert await found() == ["2", "1"]
    assert await found(Sort={"Field": "CreateTime", "Order": "Asc"}) == ["1", "2"]
    assert await found(NamePrefixes=["1_1001_anchor01_main", "x"]) == ["1"]
    assert await found(NamePrefixes=[], StreamIds=[], Categories=[], FileIds=[], ClassIds=[], Filters=[]) == ["2", "1"]
    assert await found(Text="the") == ["2"]
    assert await found(StreamIds=["s2"]) == ["2"]
    assert await found(SourceTypes=["TrtcRecord"]) == ["2"]
    assert await found(SourceType="Record") == ["1"]
    assert await found(SourceTypes=["Upload"]) == []
    assert await found(ClassIds=[7]) == ["2"]
    assert await found(ClassIds=[7], SourceTypes=["Record"]) == []
    assert await found(SubAppId=5) == ["3"]
    assert await found(MediaTypes=["m3u8"]) == ["1"]
    assert await found(Categories=["Audio"]) == []
    assert await found(TrtcSdkAppIds=[1]) == []
    assert await found(Tags=["x"]) == []
    begin, end = "2023-11-14T22:13:21Z", "2023-11-14T22:13:22Z"  # of file 1, and of file 2
    assert await found(CreateTime={"After": begin, "Before": end}) == ["1"]
    assert await found(StartTime=begin, EndTime=end) == ["1"]
    assert await found(StartTime=end, CreateTime={"After": begin}) == ["2", "1"]  # the newer parameter wins
    assert await found(Names=["1_1001"], Sort={"Field": "Name", "Order": "Asc"}) == ["1"]  # Sort has no meaning then
    assert await found(CreateTime={"After": "2023-11-15T06:13:22+08:00"}) == ["2"]
    await server.refused("SearchMedia", {"StartTime": "today"}, "InvalidParameterValue.StartTime")
    await server.refused("SearchMedia", {"Offset": 4999, "Limit": 2}, "InvalidParameterValue.LimitTooLarge")
    await server.refused("SearchMedia", {"Offset": 5001}, "InvalidParameterValue.OffsetTooLarge")
    await server.refused("SearchMedia", {"Offset": -1}, "InvalidParameterValue.Offset")
    await server.refused("SearchMedia", {"Limit": -1}, "InvalidParameterValue.Limit")
    await server.refused("SearchMedia", {"Status": ["Gone"]}, "InvalidParameterValue.Status")
    await server.refused("SearchMedia", {"StorageClasses": ["Tape"]}, "InvalidParameterValue.StorageClasses")
    for name in ("Text", "StreamId", "SourceType", "StartTime"):  # no database takes these
        await server.refused("SearchMedia", {name: "\ud800"}, f"InvalidParameterValue.{name}")
    for name in ("NamePrefixes", "Names", "FileIds", "TrtcRoomIds"):
        await server.refused("SearchMedia", {name: ["a\0"]}, f"InvalidParameterValue.{name}")
    await server.refused("SearchMedia", {"Sort": {"Field": "Name", "Order": "Asc"}}, "InvalidParameterValue.Sort")
    await server.refused("SearchMedia", {"NamePrefixes": ["x"] * 11}, "InvalidParameterValue.NamePrefixes")


async def test_who_is_in_a_mix(server: Server) -> None:
    data = {"kind": "cloud", "sdk_app_id": SDK_APP_ID, "room": "1001", "fps": 15, "sample_rate": 16_000}
    storage = {"CloudVod": {"TencentVod": {}}}
    task = (await server.ok("CreateCloudRecording", mixed(StorageParams=storage)))["TaskId"]
    id = await shelve(server, 1, recording=task, identity="", source="mixed", mode="mixed", data=data)
    async with server.database.transaction() as session:
        for number, (who, kind) in enumerate((("b", "video"), ("a", "audio"), ("b", "audio"))):
            said = {"identity": who, "kind": kind}
            more = {"recording": task, "app": "dev", "at_ns": 0, "type": "track.added", "data": said}
            session.add(tables.Event(id=f"{number}" * 32, seq=number + 100, **more))
    (info,) = (await server.ok("DescribeMediaInfos", {"FileIds": [id]}))["MediaInfoSet"]
    assert info["BasicInfo"]["SourceInfo"]["TrtcRecordInfo"]["UserIds"] == ["b", "a"]
    assert info["MetaData"]["VideoStreamSet"][0]["Fps"] == 15
    assert info["MetaData"]["AudioStreamSet"][0]["SamplingRate"] == 16_000


async def test_details_and_deletion(server: Server) -> None:
    id = await shelve(server, 1)
    answer = await server.ok("DescribeMediaInfos", {"FileIds": [id, "9"]})
    assert answer["NotExistFileIdSet"] == ["9"]
    (info,) = answer["MediaInfoSet"]
    basic, meta = info["BasicInfo"], info["MetaData"]
    assert (basic["Type"], basic["CreateTime"], basic["ExpireTime"]) == (
        "m3u8", "2023-11-14T22:13:21Z", "9999-12-31T23:59:59Z",
    )  # fmt: skip
    assert basic["SourceInfo"]["LiveRecordInfo"]["StreamId"] == "1_1001_anchor01_main"
    assert basic["MediaUrl"].startswith("http://tencent/media/")
    assert (meta["Container"], meta["Duration"], meta["Bitrate"], info["TranscodeInfo"]) == ("hls", 10.0, 800_000, None)
    only = await server.ok("DescribeMediaInfos", {"FileIds": [id], "Filters": ["metaData"]})
    assert only["MediaInfoSet"][0]["BasicInfo"] is None
    await server.ok("DescribeMediaInfos", {"FileIds": [id], "Filters": ["mpsAiMediaInfo", "knowledgeBasesInfo"]})
    await server.refused("DescribeMediaInfos", {"FileIds": [id], "Filters": ["all"]}, "InvalidParameterValue.Filters")
    await server.refused("DescribeMediaInfos", {"FileIds": []}, "InvalidParameterValue.FileIdsEmpty")
    await server.refused("DescribeMediaInfos", {"FileIds": ["1"] * 21}, "InvalidParameterValue.FileIdsOverLimit")
    await server.refused("DescribeMediaInfos", {}, "MissingParameter")
    part = {"FileId": id, "DeleteParts": [{"Type": "TranscodeFiles"}]}
    await server.refused("DeleteMedia", part, "UnsupportedOperation")
    await server.refused("DeleteMedia", {"FileId": id, "SubAppId": 5}, "ResourceNotFound.FileNotExist")
    await server.ok("DeleteMedia", {"FileId": id})
    await server.refused("DeleteMedia", {"FileId": id}, "ResourceNotFound.FileNotExist")
