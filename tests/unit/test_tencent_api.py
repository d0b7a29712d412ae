"""What each of Tencent's actions does to a recording, and what it answers in each state. No sockets."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from reelroom.dialects.tencent import usersig
from reelroom.domain import lines
from reelroom.domain.recording import Format, RecordingSpec, State
from reelroom.store import tables
from tests.unit.tencent_server import COS, SDK_APP_ID, Server, create, mixed, serving


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as made:
        yield made


def named(task: str, **more: Any) -> dict[str, Any]:
    return {"SdkAppId": SDK_APP_ID, "TaskId": task, **more}


async def spec(server: Server, task: str) -> RecordingSpec:
    return msgspec.convert((await server.row(task)).spec, RecordingSpec)


async def test_a_whole_task(server: Server) -> None:
    task = (await server.ok("CreateCloudRecording", create()))["TaskId"]
    assert (await server.ok("DescribeCloudRecording", named(task)))["Status"] == "Idle"
    stem = f"school/math/{task}/{SDK_APP_ID}_1001__UserId_s_dGVhY2hlcg..__UserId_e_main_audio"
    opened = {"identity": "teacher", "source": "camera", "kind": "audio", "start_ns": 1_700_000_012_345_000_000}
    async with server.database.transaction() as session:
        common: dict[str, Any] = {"recording": task, "output": "001", "path": "", "format": "hls", "rendition": "hls"}
        session.add(tables.File(role="playlist", key=f"{stem}.m3u8", line=opened, **common))
        session.add(tables.File(role="segment", key=f"{stem}_1.ts", line={}, number=1, **common))
        event = {"recording": task, "app": "dev", "at_ns": 0, "data": {}}
        session.add(tables.Event(id="1" * 32, seq=1, type="track.added", **event))
    answer = await server.ok("DescribeCloudRecording", named(task))
    assert {name: answer[name] for name in answer if name != "RequestId"} == {
        "TaskId": task,
        "Status": "InProgress",
        "RecorderKey": None,
        "StorageFileList": [
            {
                "UserId": "teacher",
                "FileName": f"{SDK_APP_ID}_1001__UserId_s_dGVhY2hlcg..__UserId_e_main_audio.m3u8",
                "TrackType": "audio",
                "BeginTimeStamp": 1_700_000_012_345,
            }
        ],
    }
    assert (await server.ok("ModifyCloudRecording", named(task)))["TaskId"] == task
    server.recorders.end = State.UPLOADING
    assert (await server.ok("DeleteCloudRecording", named(task)))["TaskId"] == task
    assert (await server.ok("DescribeCloudRecording", named(task)))["Status"] == "Exited"
    for action in ("DeleteCloudRecording", "ModifyCloudRecording"):
        await server.refused(action, named(task), "ResourceNotFound")
    await server.recorders.become(task, State.FINISHED)
    await server.refused("DescribeCloudRecording", named(task), "ResourceNotFound")


async def test_single_streams_are_recorded_as_the_vendor_names_them(server: Server) -> None:
    made = await spec(server, (await server.ok("CreateCloudRecording", create()))["TaskId"])
    assert (made.tracks, made.formats, made.hls.container, made.limits.idle_s) == ("apart", (Format.HLS,), "ts", 30)
    assert made.limits.idle_by == "people"
    assert made.gaps.video == "last"
    assert made.naming.prefix == "school/math/{recording}/"
    params = {"RecordMode": 1, "OutputFormat": 1, "MaxMediaFileDuration": 2, "StreamType": 0, "FillType": 1}
    made = await spec(server, (await server.ok("CreateCloudRecording", create(RecordParams=params)))["TaskId"])
    assert (made.formats, made.merged, made.split_s) == ((Format.HLS, Format.MP4), True, 120)
    assert made.gaps.video == "black"
    params |= {"AvMerge": 1, "MediaId": 2, "StreamType": 1, "OutputFormat": 4}
    made = await spec(server, (await server.ok("CreateCloudRecording", create(RecordParams=params)))["TaskId"])
    assert (made.tracks, made.formats, made.subscription.video) == ("together", (Format.AAC,), None)
    assert made.subscription.sources == ("screen", "screen_audio")


async def test_a_string_room_is_named_in_base64(server: Server) -> None:
    request = create(RoomId="room_366", RoomIdType=0)
    made = await spec(server, (await server.ok("CreateCloudRecording", request))["TaskId"])
    assert made.room == "room_366"
    assert made.naming.mixed == f"{SDK_APP_ID}_cm9vbV8zNjY."
    await server.refused("CreateCloudRecording", create(RoomId="room_366"), "InvalidParameter.OutOfRange", "RoomId")


async def test_lists_of_users_allow_and_block_by_name_and_prefix(server: Server) -> None:
    lists = {"SubscribeAudioUserIds": ["teacher", "stu.*$"], "UnSubscribeAudioUserIds": ["stu_9"]}
    params = {"RecordMode": 1, "SubscribeStreamUserIds": lists}
    made = await spec(server, (await server.ok("CreateCloudRecording", create(RecordParams=params)))["TaskId"])
    audio, video = made.subscription.audio, made.subscription.video
    assert audio is not None
    assert [audio.wants(who) for who in ("teacher", "stu_1", "stu_9", "other")] == [True, True, False, False]
    assert video is not None
    assert video.wants("other")
    params["SubscribeStreamUserIds"] = {"SubscribeVideoUserIds": ["a(b|c)"]}
    await server.refused("CreateCloudRecording", create(RecordParams=params), "UnsupportedOperation", "PREFIX")
    params["SubscribeStreamUserIds"] = {"SubscribeVideoUserIds": ["a"] * 33}
    await server.refused("CreateCloudRecording", create(RecordParams=params), "InvalidParameter.OutOfRange")


async def test_a_mix_has_the_vendors_defaults_and_changes_as_a_whole(server: Server) -> None:
    task = (await server.ok("CreateCloudRecording", mixed()))["TaskId"]
    mix = (await spec(server, task)).mix
    assert mix is not None
    assert (mix.width, mix.height, mix.fps, mix.video_bitrate, mix.gop_s) == (360, 640, 15, 550_000, 10)
    assert (mix.sample_rate, mix.channels, mix.audio_bitrate) == (48_000, 2, 64_000)
    layout = {"MixLayoutMode": 1, "MaxResolutionUserId": "teacher", "MediaId": 1, "BackGroundColor": "#FFA500"}
    await server.ok("ModifyCloudRecording", named(task, MixLayoutParams=layout))
    scene = server.recorders.commands[-1]
    assert isinstance(scene, lines.ChangeScene)
    assert (scene.scene.layout.focus, scene.scene.layout.focus_source) == ("teacher", "screen")
    assert scene.scene.background.color == "#ffa500"
    await server.ok("ModifyCloudRecording", named(task))
    last = server.recorders.commands[-1]
    assert isinstance(last, lines.ChangeScene)
    assert (last.scene.layout.focus, last.scene.background.color) == ("", "#000000")


async def test_the_library_takes_vod(server: Server) -> None:
    vod = {"ExpireTime": 86_400, "UserDefineRecordId": "lesson", "ClassId": 7, "SourceContext": "ctx"}
    request = mixed(StorageParams={"CloudVod": {"TencentVod": vod}})
    task = (await server.ok("CreateCloudRecording", request))["TaskId"]
    row = await server.row(task)
    assert row.library is not None
    assert (row.library["expire_s"], row.spec["formats"]) == (86_400, ["mp4"])
    assert row.spec["naming"]["mixed_file"] == f"lesson__UserDefine_u_{SDK_APP_ID}_1001{{part}}"
    assert (await server.ok("DescribeCloudRecording", named(task)))["StorageFileList"] == []
    both = {"CloudVod": {"TencentVod": {}}, "CloudStorage": COS}
    await server.refused("CreateCloudRecording", mixed(StorageParams=both), "InvalidParameter")
    await server.refused("CreateCloudRecording", mixed(StorageParams={}), "MissingParameter.CloudStorage")
    for name in ("Procedure", "SessionContext", "StorageRegion"):
        request = mixed(StorageParams={"CloudVod": {"TencentVod": {name: "x"}}})
        await server.refused("CreateCloudRecording", request, "UnsupportedOperation", name)
    request = mixed(StorageParams={"CloudVod": {"TencentVod": {"MediaType": 2}}})
    await server.refused("CreateCloudRecording", request, "InvalidParameter.OutOfRange", "StreamType 1")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"SdkAppId": 1}, "InvalidParameter.SdkAppId"),
        ({"SdkAppId": None}, "MissingParameter.SdkAppId"),
        ({"SdkAppId": "1400000000"}, "InvalidParameter"),
        ({"RoomId": 1001}, "InvalidParameter"),
        ({"RoomId": ""}, "MissingParameter.RoomId"),
        ({"RoomId": "0"}, "InvalidParameter.OutOfRange"),
        ({"UserId": "a b"}, "InvalidParameter.OutOfRange"),
        ({"UserSig": None}, "MissingParameter.UserSig"),
        ({"RecordParams": None}, "MissingParameter.RecordParams"),
        ({"RecordParams": {}}, "MissingParameter.RecordMode"),
        ({"RecordParams": {"RecordMode": 3}}, "InvalidParameter.OutOfRange"),
        ({"RecordParams": {"RecordMode": True}}, "InvalidParameter"),
        ({"RecordParams": {"RecordMode": 1, "MaxIdleTime": 4}}, "InvalidParameter.OutOfRange"),
        ({"RecordParams": {"RecordMode": 1, "MaxIdleTime": 86_401}}, "InvalidParameter.OutOfRange"),
        ({"RecordParams": {"RecordMode": 1, "StreamType": 2, "OutputFormat": 2}}, "InvalidParameter.OutOfRange"),
        ({"RecordParams": {"RecordMode": 1, "SubscribeAbility": 1}}, "UnsupportedOperation"),
        ({"RecordParams": {"RecordMode": 1, "Unheard": 1}}, "UnknownParameter"),
        ({"StorageParams": None}, "MissingParameter.StorageParams"),
        ({"StorageParams": {"CloudStorage": {**COS, "Bucket": None}}}, "MissingParameter.Bucket"),
        ({"StorageParams": {"CloudStorage": {**COS, "Vendor": 2}}}, "InvalidParameter.OutOfRange"),
        ({"StorageParams": {"CloudStorage": {**COS, "Region": "a/b"}}}, "InvalidParameter.OutOfRange"),
        ({"StorageParams": {"CloudStorage": {**COS, "FileNamePrefix": ["a/b"]}}}, "InvalidParameter.OutOfRange"),
        ({"ResourceExpiredHour": 5}, "InvalidParameter.OutOfRange"),
        ({"ResourceExpiredHour": 721}, "InvalidParameter.OutOfRange"),
    ],
)
async def test_wrong_parameters_have_the_vendors_codes(server: Server, change: dict[str, Any], code: str) -> None:
    request = {name: value for name, value in create(**change).items() if value is not None}
    storage = request.get("StorageParams", {}).get("CloudStorage")
    if storage:
        request["StorageParams"] = {"CloudStorage": {k: v for k, v in storage.items() if v is not None}}
    await server.refused("CreateCloudRecording", request, code)
    assert not server.recorders.specs


async def test_a_folder_that_is_too_long_is_named_as_the_caller_knows_it(server: Server) -> None:
    storage = {"CloudStorage": {**COS, "FileNamePrefix": ["x" * 128] * 5}}
    where = "StorageParams.CloudStorage.FileNamePrefix: "
    request = create(StorageParams=storage)
    await server.refused("CreateCloudRecording", request, "InvalidParameter.OutOfRange", where)


async def test_names_that_the_domain_does_not_take(server: Server) -> None:
    layout = {"MixLayoutMode": 1, "MaxResolutionUserId": "é" * 100}
    await server.refused("CreateCloudRecording", mixed(MixLayoutParams=layout), "InvalidParameter.OutOfRange", "bytes")
    task = (await server.ok("CreateCloudRecording", mixed()))["TaskId"]
    await server.refused("ModifyCloudRecording", named(task, MixLayoutParams=layout), "InvalidParameter.OutOfRange")


async def test_a_second_task_of_the_same_user_ends_the_first(server: Server) -> None:
    first = (await server.ok("CreateCloudRecording", create()))["TaskId"]
    other = (await server.ok("CreateCloudRecording", create(UserId="another")))["TaskId"]
    await server.ok("CreateCloudRecording", create())
    stops = [command for command in server.recorders.commands if isinstance(command, lines.Stop)]
    assert ["same UserId" in stop.message for stop in stops] == [True]
    assert (await server.row(first)).state == State.FAILED
    assert (await server.row(other)).state == State.RECORDING


async def test_a_user_of_the_room_throws_the_recorder_out(server: Server) -> None:
    server.rooms.identities = ["recorder_1001"]
    task = (await server.ok("CreateCloudRecording", create()))["TaskId"]
    assert (await server.row(task)).state == State.FAILED


async def test_calls_stop_working_after_resource_expired_hour(server: Server) -> None:
    task = (await server.ok("CreateCloudRecording", create(ResourceExpiredHour=6)))["TaskId"]
    async with server.database.transaction() as session:
        row = await session.get_one(tables.Recording, task)
        row.dialect_data = {**row.dialect_data, "expires_ns": time.time_ns()}
    for action in ("DescribeCloudRecording", "ModifyCloudRecording", "DeleteCloudRecording"):
        await server.refused(action, named(task), "ResourceNotFound")
    assert (await server.row(task)).state == State.RECORDING


async def test_user_sigs_are_checked_where_that_is_asked_for() -> None:
    async with serving(check_user_sig=True) as server:
        await server.refused("CreateCloudRecording", create(), "InvalidParameter.UserSig")
        good = usersig.make("dev-secret", SDK_APP_ID, "recorder_1001")
        await server.ok("CreateCloudRecording", create(UserSig=good))
        old = usersig.make("dev-secret", SDK_APP_ID, "recorder_1001", now_s=1_700_000_000)
        await server.refused("CreateCloudRecording", create(UserSig=old), "InvalidParameter.UserSig", "expired")


async def test_permissions_for_rooms_are_checked_where_that_is_asked_for() -> None:
    async with serving(check_private_map_key=True) as server:
        until = int(time.time()) + 60

        def ticket(room: str = "1001", string: bool = False, until_s: int = until, privileges: int = 255) -> str:
            said = usersig.userbuf(SDK_APP_ID, "recorder_1001", room, string, until_s, privileges)
            return usersig.make("dev-secret", SDK_APP_ID, "recorder_1001", userbuf=said)

        plain = usersig.make("dev-secret", SDK_APP_ID, "recorder_1001")
        await server.ok("CreateCloudRecording", create(PrivateMapKey=ticket(privileges=170)))
        await server.ok("CreateCloudRecording", create(RoomId="a b", RoomIdType=0, PrivateMapKey=ticket("a b", True)))
        for key, why in (
            ("", "cannot be read"),
            ("eJxSIG", "cannot be read"),
            (plain, "no room"),
            (ticket("1002"), "another room"),
            (ticket("1001", True), "another room"),
            (ticket(until_s=until - 61), "expired"),
            (ticket(privileges=255 - 128), "permit"),
        ):
            request = create(PrivateMapKey=key)
            await server.refused("CreateCloudRecording", request, "AuthFailure.UnauthorizedOperation", why)


def test_what_a_permission_for_a_room_says() -> None:
    until = 0x65554280
    number = usersig.userbuf(1_400_000_123, "recorder_1001", "1001", False, until, 255)
    assert number.hex() == "00000d7265636f726465725f3130303153724e7b000003e965554280000000ff00000000"
    text = usersig.userbuf(1_400_000_123, "recorder_1001", "room_366", True, until, 255)
    assert text.hex().endswith("53724e7b0000000065554280000000ff000000000008726f6f6d5f333636")
    assert text.hex().startswith("01000d")


def test_tickets_that_are_no_tickets() -> None:
    import base64
    import zlib

    for said in (b'{"TLS.time": Infinity, "TLS.expire": 1}', b"[]", b'"x"', b'{"TLS.time": 1}', b"{"):
        packed = base64.b64encode(zlib.compress(said)).decode().translate(str.maketrans("+/=", "*-_"))
        with pytest.raises(ValueError, match="cannot be read"):
            usersig.check(packed, "k", 1, "u", 0)


async def test_the_most_tasks_at_a_time() -> None:
    async with serving(max_recordings=1) as server:
        await server.ok("CreateCloudRecording", create())
        await server.refused("CreateCloudRecording", create(UserId="b"), "FailedOperation.RestrictedConcurrency")


async def test_an_application_of_the_classic_kind_has_no_tasks() -> None:
    async with serving(generation="classic") as server:
        await server.refused("CreateCloudRecording", create(), "FailedOperation.CRUnsupportMethod")


def test_the_user_sig_of_the_documentation() -> None:
    ticket = (
        "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkilKT84tSUoviDQ0MDGFKilOyEwsKMlOACgxNDEDA0MgYKpdaUZBZlAqUsTADSkEFSzJz"
        "QUKG5gZQADMoMx1kiX6Ivk*4RaCrU7G7eUlGhrOTb3B*crBXepFnfqafV1K*qWtAoplBUGVOuautUi0Ap2Y0KA__"
    )
    key = "0123456789abcdef" * 4
    usersig.check(ticket, key, 1_400_000_123, "recorder_1001", 1_700_000_100)
    for wrong in (("x" * 64, "recorder_1001", 1_700_000_100.0), (key, "other", 1_700_000_100.0)):
        with pytest.raises(ValueError):
            usersig.check(ticket, wrong[0], 1_400_000_123, wrong[1], wrong[2])
    with pytest.raises(ValueError, match="expired"):
        usersig.check(ticket, key, 1_400_000_123, "recorder_1001", 1_700_086_400)
