"""StartMCUMixTranscode and its stop, the VOD actions, and what an app's settings switch on. No sockets."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from reelroom.control.apps import AppContext
from reelroom.control.errors import ControlError
from reelroom.control.rules import Rules
from reelroom.control.templates import Declined, Templates, recording_of
from reelroom.dialects.tencent import console, given
from reelroom.dialects.tencent.settings import check_settings
from reelroom.domain import lines
from reelroom.domain.library import LibrarySpec
from reelroom.domain.recording import Format, Source, State
from reelroom.domain.rules import Match
from reelroom.store import tables
from reelroom.store.secrets import SecretBox
from tests.unit.agora_server import KEY
from tests.unit.tencent_server import SDK_APP_ID, Server, serving


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as made:
        made.rooms.identities = ["somebody"]
        yield made


MARK = {"WaterMarkUrl": "http://x/a.png", "WaterMarkWidth": 100, "WaterMarkHeight": 50, "LocationX": 0, "LocationY": 0}


def start(**more: Any) -> dict[str, Any]:
    """The documentation's example, with `more` put in."""
    return {
        "SdkAppId": SDK_APP_ID,
        "RoomId": 1001,
        "OutputParams": {"StreamId": "mix", "RecordId": "mix_file", "PureAudioStream": 0, "RecordAudioOnly": 0},
        "EncodeParams": {
            "AudioSampleRate": 48000, "AudioBitrate": 64, "AudioChannels": 2, "VideoWidth": 1280, "VideoHeight": 720,
            "VideoBitrate": 1560, "VideoFramerate": 15, "VideoGop": 2, "BackgroundColor": 16711680,
        },
        "LayoutParams": {"Template": 2, "MainVideoUserId": "teacher", "MainVideoStreamType": 1},
        **more,
    }  # fmt: skip


async def test_a_mix_is_started_changed_and_stopped(server: Server) -> None:
    assert set(await server.ok("StartMCUMixTranscode", start())) == {"RequestId"}
    spec = server.recorders.specs[0]
    assert (spec.mix.width, spec.mix.video_bitrate, spec.mix.scene.background.color) == (1280, 1_560_000, "#ff0000")
    assert (spec.mix.scene.layout.focus, spec.mix.scene.layout.focus_source) == ("teacher", "screen")
    row = await server.row(spec.id)
    assert row.library is not None
    assert row.library["name"] == "mix_file_{start:%Y-%m-%d-%H-%M-%S}_{end:%Y-%m-%d-%H-%M-%S}"
    assert row.library["utc_offset_s"] == 28_800
    await server.ok("StartMCUMixTranscode", start(LayoutParams={"Template": 1}))
    assert isinstance(server.recorders.commands[-1], lines.ChangeScene)
    assert len(server.recorders.specs) == 1
    names = {"Template": 1, "MixVideoUids": ["a"]}
    await server.ok("StartMCUMixTranscode", start(LayoutParams=names))
    asked = [one.subscription for one in server.recorders.commands if isinstance(one, lines.Change)][-1]
    assert (asked.video.include, asked.audio.include) == (("a",), None)  # everybody is heard
    encode = start()["EncodeParams"]
    sound = start(EncodeParams={**encode, "AudioBitrate": 65})
    await server.refused("StartMCUMixTranscode", sound, "InvalidParameter.AudioEncodeParams", "during a mix")
    assert len(server.recorders.specs) == 1
    other = start(OutputParams={"StreamId": "mix", "RecordId": "another"})
    await server.ok("StartMCUMixTranscode", other)  # another file
    assert len(server.recorders.specs) == 2
    larger = {**other, "EncodeParams": {**encode, "VideoWidth": 1920, "VideoHeight": 1080}}
    await server.ok("StartMCUMixTranscode", larger)  # and this
    assert [each.mix.width for each in server.recorders.specs] == [1280, 1280, 1920]
    await server.ok("StopMCUMixTranscode", {"SdkAppId": SDK_APP_ID, "RoomId": 1001})
    assert (await server.row(server.recorders.specs[2].id)).state == State.FINISHED
    gone = {"SdkAppId": SDK_APP_ID, "RoomId": 1001}
    await server.refused("StopMCUMixTranscode", gone, "FailedOperation.MixSessionNotExist")


async def test_a_string_room_and_custom_places(server: Server) -> None:
    place = {"UserId": "a", "ImageWidth": 640, "ImageHeight": 720, "LocationX": 640, "RenderMode": 2, "ZOrder": 9}
    layout = {"Template": 4, "PresetLayoutConfig": [place, {"ImageWidth": 640, "ImageHeight": 720}]}
    request = {name: value for name, value in start(StrRoomId="a b", LayoutParams=layout).items() if name != "RoomId"}
    await server.ok("StartMCUMixTranscodeByStrRoomId", request)
    panes = server.recorders.specs[0].mix.scene.layout.panes
    assert [(pane.x, pane.width, pane.z, pane.identity) for pane in panes] == [(0.5, 0.5, 1, "a"), (0.0, 0.5, 0, None)]
    await server.ok("StopMCUMixTranscodeByStrRoomId", {"SdkAppId": SDK_APP_ID, "StrRoomId": "a b"})


async def test_every_sample_rate_with_as_many_bits_as_it_has_room_for(server: Server) -> None:
    encode = start()["EncodeParams"]
    for number, (rate, most) in enumerate(((8_000, 96_000), (24_000, 288_000), (48_000, 500_000))):
        asked = {**encode, "AudioSampleRate": rate, "AudioBitrate": 500, "VideoBitrate": 1}
        await server.ok("StartMCUMixTranscode", start(RoomId=number + 1, EncodeParams=asked))
        mix = server.recorders.specs[-1].mix
        assert (mix.sample_rate, mix.audio_bitrate, mix.video_bitrate) == (rate, most, 1000)


async def test_places_for_the_picture_or_the_sound_alone(server: Server) -> None:
    size = {"ImageWidth": 640, "ImageHeight": 720}
    seen = {**size, "UserId": "seen", "MixInputType": 1}
    heard = {**size, "UserId": "heard", "LocationX": 640, "MixInputType": 2, "StreamType": 1}
    await server.ok("StartMCUMixTranscode", start(LayoutParams={"Template": 4, "PresetLayoutConfig": [seen, heard]}))
    asked = server.recorders.specs[0].subscription
    wants = [
        asked.wants(who, source)
        for who in ("seen", "heard")
        for source in (Source.CAMERA, Source.MICROPHONE, Source.SCREEN, Source.SCREEN_AUDIO)
    ]
    assert wants == [True, False, True, True, True, True, False, True]
    anybody = start(LayoutParams={"Template": 4, "PresetLayoutConfig": [{**size, "MixInputType": 1}]})
    await server.refused("StartMCUMixTranscode", anybody, "UnsupportedOperation", "UserId")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"OutputParams": {}}, "MissingParameter.StreamId"),
        ({"EncodeParams.AudioBitrate": None}, "MissingParameter.AudioEncodeParams"),
        ({"RoomId": None}, "MissingParameter.RoomId"),
        ({"LayoutParams": {"WaterMarkParams": {**MARK, "LocationX": 1200}}}, "InvalidParameter.OutOfRange"),
        ({"LayoutParams": {"WaterMarkParams": {**MARK, "WaterMarkUrl": ""}}}, "UnsupportedOperation"),
        (
            {"LayoutParams": {"Template": 4, "PresetLayoutConfig": [{"MixInputType": 3}]}},
            "InvalidParameter.PresetLayoutConfig",
        ),
        ({"RoomId": "1001"}, "InvalidParameter"),
        ({"RoomId": 0}, "InvalidParameter.RoomId"),
        ({"SdkAppId": 5}, "UnauthorizedOperation.SdkAppId"),
        ({"OutputParams": None}, "MissingParameter.OutputParams"),
        ({"OutputParams": {"StreamId": "s"}}, "UnsupportedOperation"),
        ({"OutputParams": {"RecordId": "a b"}}, "InvalidParameter.RecordId"),
        ({"EncodeParams.AudioSampleRate": 47999}, "InvalidParameter.AudioEncodeParams"),
        ({"EncodeParams.AudioChannels": 3}, "InvalidParameter.AudioEncodeParams"),
        ({"EncodeParams.VideoGop": 6}, "InvalidParameter.EncodeParams"),
        ({"EncodeParams.VideoGop": None}, "MissingParameter.VideoEncodeParams"),
        ({"EncodeParams.VideoWidth": 8}, "InvalidParameter.VideoResolution"),
        ({"EncodeParams.AudioCodec": 1}, "UnsupportedOperation"),
        ({"LayoutParams": {"Template": 4}}, "MissingParameter.PresetLayoutConfig"),
        ({"LayoutParams": {"Template": 3}}, "InvalidParameter.SmallVideoLayoutParams"),
        ({"LayoutParams": {"MainVideoStreamType": 2}}, "InvalidParameter.MainVideoStreamType"),
        ({"PublishCdnParams": {"BizId": -1, "PublishCdnUrls": ["rtmp://x/y"]}}, "InvalidParameter.BizId"),
        ({"PublishCdnParams": {"BizId": 1, "PublishCdnUrls": []}}, "MissingParameter.PublishCdnUrls"),
        ({"PublishCdnParams": {"BizId": 1, "PublishCdnUrls": ["http://x"]}}, "InvalidParameter.PublishCdnUrls"),
    ],
)
async def test_what_a_mix_cannot_be(server: Server, change: dict[str, Any], code: str) -> None:
    request: dict[str, Any] = json.loads(json.dumps(start()))
    for path, value in change.items():
        *outer, name = path.split(".")
        target = request[outer[0]] if outer else request
        target.pop(name, None)
        if value is not None:
            target[name] = value
    await server.refused("StartMCUMixTranscode", request, code)
    assert not server.recorders.specs


async def test_nobody_is_there() -> None:
    async with serving() as server:
        await server.refused("StartMCUMixTranscode", start(), "FailedOperation.RoomNotExist")
    async with serving(generation="new") as server:
        await server.refused("StartMCUMixTranscode", start(), "FailedOperation.RequestRejection", "push switch")


# The library


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


# What settings switch on


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"formats": "hls,avi"}, "formats"),
        ({"formats": "hls,hls"}, "none twice"),
        ({"file_minutes": "0"}, "file_minutes"),
        ({"retention_days": "1801"}, "retention_days"),
        ({"resume_s": "1801"}, "resume_s"),
        ({"stream_ids": "md5"}, "needs bizid"),
        ({"generation": "new", "auto_record": "true"}, "auto_record"),
        ({"generation": "classic", "auto_task": "true"}, "auto_task"),
        ({"task_formats": "mp4,aac"}, "task_formats must be"),
        ({"task_formats": "aac"}, "task_streams audio"),
        ({"task_resume_s": "0"}, "task_resume_s"),
        ({"console": "2020", "file_minutes": "4"}, "console 2020"),
        ({"console": "2020", "retention_days": "1081"}, "console 2020"),
        ({"console": "2020", "resume_s": "301"}, "console 2020"),
        ({"unheard": "1"}, "unheard"),
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_settings(wrong)


async def test_settings_become_rules_and_change_and_go(server: Server) -> None:
    templates = Templates(server.database, SecretBox(KEY))
    rules = Rules(server.database, templates)
    app: AppContext = (await server.apps.list())[0]
    library: Any = SimpleNamespace(key=b"k" * 32)

    async def apply(**defaults: str) -> dict[str, Any]:
        app.defaults["tencent"] = defaults
        await console.apply(app, templates, rules, library)
        made = {}
        for stored in rules.list("dev", "tencent"):
            template = await templates.get("dev", "tencent", stored.rule.template)
            made[stored.name.rpartition(" ")[2]] = (template.body["formats"], stored.rule.resume_s)
        return made

    assert await apply() == {}
    on = {"auto_record": "true", "formats": "hls,mp4,flv,aac", "file_minutes": "5", "retention_days": "2"}
    assert await apply(**on) == {"all": (["hls", "mp4", "flv", "aac"], 1)}
    assert await apply(**on, resume_s="300") == {"hls": (["hls"], 300), "files": (["mp4", "flv", "aac"], 1)}
    stored = next(rule for rule in rules.list("dev") if rule.name.endswith("files"))
    template = await templates.get("dev", "tencent", stored.rule.template)
    match = Match(rule=stored.id, app="dev", room="1001", identity="anchor01", output="screen")
    new = await recording_of(template, app, "1001", time.time_ns(), match)
    assert new.spec.split_s == 300
    assert new.dialect_data["stream"] == f"{SDK_APP_ID}_1001_anchor01_aux"
    assert not new.dialect_data["pushes"]
    assert new.library is not None
    assert new.library.expire_s == 2 * 86_400
    begin = 1_581_826_332 * 10**9  # 2020-02-16 12:12:12 in UTC+8
    values: dict[str, str | int] = {
        "app": "dev", "room": "1001", "recording": "r", "identity": "anchor01", "source": "screen", "kind": "av",
        "output": "001", "format": "mp4", "started": begin, "start": begin, "end": begin + 3661 * 10**9, "sequence": 1,
        "index": 0,
    }  # fmt: skip
    spec: LibrarySpec = new.library
    named = f"{SDK_APP_ID}_1001_anchor01_aux"
    assert spec.names(values, "r/x.mp4") == (f"{named}_2020-02-16-12-12-12_2020-02-16-13-13-13", named)
    given.remember(("dev", "1001", "anchor01", "screen"), "stream1001", "lesson7")
    own = await recording_of(template, app, "1001", time.time_ns(), match)
    given.remember(("dev", "1001", "anchor01", "screen"), "", "")
    assert own.library is not None
    assert own.library.names(values, "r/x.mp4") == (
        "lesson7_aux_2020-02-16-12-12-12_2020-02-16-13-13-13", "stream1001",
    )  # fmt: skip
    assert "userdefinerecordid=lesson7" in own.dialect_data["stream_param"]
    with pytest.raises(ControlError):
        given.remember(("dev", "1001", "anchor01", "screen"), "a/b", "")
    assert await apply(formats="hls") == {}
    assert not rules.list("dev")


async def test_only_streams_with_a_record_id_are_recorded_where_users_are_specified(server: Server) -> None:
    templates, app = Templates(server.database, SecretBox(KEY)), (await server.apps.list())[0]
    chosen = check_settings({"auto_record": "true", "streams": "specified"})
    ((body, _, _),) = console.wanted(chosen, "00").values()
    template = await templates.create("dev", "tencent", "t", body)
    match = Match(rule="r", app="dev", room="1001", identity="anchor01", output="camera")
    with pytest.raises(Declined):
        await recording_of(template, app, "1001", 1, match)
    given.remember(("dev", "1001", "anchor01", "camera"), "", "lesson7")
    made = await recording_of(template, app, "1001", 1, match)
    given.remember(("dev", "1001", "anchor01", "camera"), "", "")
    assert made.library is not None
    assert made.library.name.startswith("lesson7_main_")


async def test_tasks_that_nobody_calls_for(server: Server) -> None:
    templates = Templates(server.database, SecretBox(KEY))
    rules = Rules(server.database, templates)
    app: AppContext = (await server.apps.list())[0]

    async def task(room: str, **settings: str) -> Any:
        app.defaults["tencent"] = {"auto_task": "true", **settings}
        await console.apply(app, templates, rules, SimpleNamespace(key=b"k" * 32))  # type: ignore[arg-type]
        (stored,) = rules.list("dev", "tencent")
        assert stored.rule.per == "room"
        template = await templates.get("dev", "tencent", stored.rule.template)
        match = Match(rule=stored.id, app="dev", room=room)
        return stored.rule, await recording_of(template, app, room, time.time_ns(), match)

    rule, made = await task("1001", retention_days="2")
    assert (rule.resume_s, made.spec.formats, made.spec.mode) == (30, (Format.MP4,), "individual")
    assert (made.spec.split_s, made.spec.split_bytes, made.library.expire_s) == (86_400, 2 * 1024**3, 172_800)
    assert made.spec.naming.finished.startswith(f"{SDK_APP_ID}_1001__UserId_s_")
    assert made.dialect_data["auto"]
    more = {"task_mode": "mixed", "task_formats": "hls,aac", "task_streams": "audio", "task_resume_s": "5"}
    rule, made = await task("a b", task_storage="app", **more)
    assert (rule.resume_s, made.spec.formats, made.spec.mode) == (5, (Format.HLS, Format.AAC), "mixed")
    assert (made.library, made.destination, made.spec.subscription.video) == (None, None, None)
    assert made.spec.naming.mixed == f"{SDK_APP_ID}_YSBi"
    with pytest.raises(ControlError, match="letters"):
        await task("\u4e2d")
