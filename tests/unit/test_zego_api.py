"""ZEGO's API over the real use cases: who may call, the order of refusals, what each call says in each state."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from reelroom.control.images import Images, ImageSource
from reelroom.control.streams import Present
from reelroom.dialects.zego import auth, naming, notes
from reelroom.dialects.zego.errors import ZegoError
from reelroom.dialects.zego.limits import RateLimit
from reelroom.domain import lines
from reelroom.domain.mix import Mix
from reelroom.domain.recording import Format, Limits, Source
from reelroom.domain.rules import Stream
from reelroom.domain.scene import Fit, Surface
from reelroom.store import tables
from tests.unit.zego_server import VIDEO, Server, common, mixed, serving, single

VENDORS_SECRET = "9193cc662a4c0ec135ec71fb57194b38"  # of its published sample


async def code(server: Server, query: dict[str, str], body: Any = None) -> int:
    answer = await server.http.post("/", params=query, json=body or {})
    assert answer.status_code == 200
    said = answer.json()
    assert said["Message"] and len(said["RequestId"]) == 19
    assert said["Code"] == 0 or "Data" not in said
    return int(said["Code"])


@pytest.mark.parametrize(
    ("app", "nonce", "secret", "timestamp", "signature"),
    [
        ("12345", "4fd24687296dd9f3", VENDORS_SECRET, "1615186943", "43e5cfcca828314675f91b001390566a"),
        ("1234567890", "9f8e7d6c5b4a3921", "0123456789abcdef" * 2, "1700000000", "9ad7eec11ee29de0bb304c662ff88272"),
    ],
)  # fmt: skip
def test_the_signature_is_the_vendors(app: str, nonce: str, secret: str, timestamp: str, signature: str) -> None:
    assert auth.sign(app, nonce, secret, timestamp) == signature


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"Action": ""}, 100000006),
        ({"Action": "startRecord"}, 100000007),
        ({"AppId": ""}, 100000001),
        ({"AppId": "dev"}, 100000001),
        ({"AppId": str(2**32)}, 100000001),
        ({"AppId": "1000000001"}, 100000010),
        ({"Timestamp": ""}, 100000002),
        ({"Timestamp": "1.5"}, 100000003),
        ({"Timestamp": "soon"}, 100000003),
        ({"SignatureNonce": ""}, 100000008),
        ({"SignatureVersion": ""}, 100000013),
        ({"SignatureVersion": "1.0"}, 100000014),
        ({"Signature": ""}, 100000009),
        ({"Signature": "0" * 32}, 100000005),
        ({"SignatureNonce": "other"}, 100000005),
        ({"Timestamp": "1700000000"}, 100000004),
        ({"Timestamp": str(int(time.time()) + 4000)}, 100000004),
    ],
)
async def test_a_request_that_is_not_the_apps_is_refused(change: dict[str, str], wanted: int) -> None:
    async with serving() as server:
        query = {**common("DescribeRecordStatus"), **change}
        assert await code(server, query) == wanted
        for name, value in change.items():
            if not value:
                del query[name]
        assert await code(server, query) == wanted


async def test_the_secret_stands_between_nonce_and_timestamp() -> None:
    import hashlib

    async with serving() as server:
        query = common("StopRecord")
        wrong = query["AppId"] + "dev-secret" + query["SignatureNonce"] + query["Timestamp"]
        query["Signature"] = hashlib.md5(wrong.encode()).hexdigest()
        assert await code(server, query) == 100000005


async def test_a_replayed_signature_is_refused_unless_the_app_wants_it() -> None:
    async with serving() as server:
        query = common("StopRecord")
        body = {"TaskId": naming.task_id()}
        assert [await code(server, query, body) for _ in range(2)] == [300001000, 100000005]
        # A wrong signature uses nothing up.
        query = common("StopRecord")
        assert await code(server, {**query, "Signature": "1" * 32}, body) == 100000005
        assert await code(server, query, body) == 300001000
        # What only reads may be asked again, and its signature cannot be used for anything else.
        query = common("DescribeRecordStatus")
        assert [await code(server, query, body) for _ in range(2)] == [300001000] * 2
        assert await code(server, {**query, "Action": "StopRecord"}, body) == 100000005
        await server.configure(replays="accept")
        query = common("StopRecord")
        assert [await code(server, query, body) for _ in range(2)] == [300001000] * 2


async def test_extra_parameters_and_no_slash_are_fine() -> None:
    async with serving() as server:
        query = {**common("DescribeRecordStatus"), "IsTest": "TRUE", "Whatever": "1"}
        assert await code(server, query, {"TaskId": naming.task_id()}) == 300001000


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b'{"a":"\\ud800"}', b"[" * 100_000, b'{"TaskId":Infinity}'])
async def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    async with serving() as server:
        answer = await server.http.post("/", params=common("StopRecord"), content=body)
        assert (answer.status_code, answer.json()["Code"]) == (200, 300000004)


async def test_get_serves_calls_with_plain_parameters() -> None:
    async with serving() as server:
        task = await server.start(single())
        found = (await server.http.get("/", params={**common("DescribeRecordStatus"), "TaskId": task})).json()
        assert found["Data"]["RoomId"] == "class-7"
        now = int(time.time() * 1000)
        query = {"Status": "2", "StartTime": str(now - 60_000), "EndTime": str(now + 60_000)}
        listed = (await server.http.get("/", params={**common("DescribeTasks"), **query})).json()
        assert listed["Data"]["TotalCount"] == 1
        assert (await server.http.get("/", params=common("StartRecord"))).json()["Code"] == 300000004


async def test_the_life_of_a_task() -> None:
    async with serving() as server:
        task = await server.start(single())
        assert len(task) == 16 and naming.task_of(naming.recording_id(task)) == task
        status = await server.call("DescribeRecordStatus", {"TaskId": task})
        assert status["Message"] == "succeed"
        data = status["Data"]
        assert (data["RecordMode"], data["StreamType"], data["Status"]) == (1, 3, 2)
        assert data["RecordEndTimestamp"] == 0 and data["RecordFiles"] == []
        assert (await server.call("PauseRecord", {"TaskId": task}))["Code"] == 300000004
        assert (await server.call("UpdateLayout", {"TaskId": task}))["Code"] == 300000004
        stopped = await server.call("StopRecord", {"TaskId": task})
        assert stopped["Code"] == 0 and "Data" not in stopped
        for action in ("StopRecord", "PauseRecord", "ResumeRecord", "UpdateLayout"):
            assert (await server.call(action, {"TaskId": task}))["Code"] == 300001001
        data = (await server.call("DescribeRecordStatus", {"TaskId": task}))["Data"]
        assert data["Status"] == 3 and "RecordFiles" not in data


async def test_a_stop_that_the_recorder_has_not_carried_out_is_one_nevertheless() -> None:
    async with serving() as server:
        task = await server.start(single())
        server.recorders.obeys = False
        assert (await server.call("StopRecord", {"TaskId": task}))["Code"] == 0
        assert (await server.call("StopRecord", {"TaskId": task}))["Code"] == 300001001
        assert (await server.call("DescribeRecordStatus", {"TaskId": task}))["Data"]["Status"] == 3


@pytest.mark.parametrize("task", ["x" * 16, "short", "A" * 17, "....", "ä" * 16, "../../etc/passwd"])
async def test_unknown_tasks(task: str) -> None:
    async with serving() as server:
        for action in ("StopRecord", "PauseRecord", "ResumeRecord", "UpdateLayout", "DescribeRecordStatus"):
            assert (await server.call(action, {"TaskId": task}))["Code"] == 300001000
            assert (await server.call(action, {"TaskId": 7}))["Code"] == 300000004
            assert (await server.call(action, {}))["Code"] == 300000004


async def test_pause_and_resume_of_a_mix() -> None:
    async with serving() as server:
        task = await server.start(mixed())
        assert (await server.call("ResumeRecord", {"TaskId": task}))["Code"] == 300001004
        for _ in range(2):
            assert (await server.call("PauseRecord", {"TaskId": task}))["Code"] == 0
            assert (await server.call("DescribeRecordStatus", {"TaskId": task}))["Data"]["Status"] == 5
        assert (await server.call("ResumeRecord", {"TaskId": task}))["Code"] == 0
        assert (await server.call("ResumeRecord", {"TaskId": task}))["Code"] == 300001004
        assert [type(command) for command in server.recorders.commands] == [lines.Pause, lines.Resume]
        assert (await server.call("StopRecord", {"TaskId": task}))["Code"] == 0


async def test_a_layout_is_replaced_and_the_rest_stays() -> None:
    async with serving() as server:
        task = await server.start(mixed(MixOutputBackgroundColor=4278190080, FillMode=2))
        update = {"TaskId": task, "MixMode": 4, "MixMaxResolutionStreamId": "bob~screen"}
        assert (await server.call("UpdateLayout", update))["Code"] == 0
        change = server.recorders.commands[-1]
        assert isinstance(change, lines.ChangeScene)
        layout = change.scene.layout
        assert (layout.focus, layout.focus_source, layout.fit) == ("bob", "screen", "fit")
        assert change.scene.background.color == "#ff0000"
        # Without a mode it is the tiles, not what was before.
        assert (await server.call("UpdateLayout", {"TaskId": task}))["Code"] == 0
        assert isinstance(server.recorders.commands[-1], lines.ChangeScene)
        assert server.recorders.commands[-1].scene.layout.focus == ""
        assert (await server.call("UpdateLayout", {"TaskId": task, "MixMode": 6}))["Code"] == 300000004
        beyond = {"Top": 0, "Left": 0, "Bottom": 720, "Right": 1281, "Layer": 0}
        wrong = {"TaskId": task, "MixMode": 1, "MixInputList": [beyond]}
        assert (await server.call("UpdateLayout", wrong))["Code"] == 300000004


async def test_a_client_task_id_makes_one_task() -> None:
    async with serving() as server:
        first = await server.start(single(ClientTaskId="lesson"))
        assert await server.start(single(ClientTaskId="lesson")) == first
        assert await server.start({**single(), "ClientTaskId": "lesson"}) == first
        assert await server.start(single(ClientTaskId="other")) != first
        await server.call("StopRecord", {"TaskId": first})
        assert await server.start(single(ClientTaskId="lesson")) == first
        async with server.database.transaction() as session:
            row = await session.get_one(tables.Recording, naming.recording_id(first))
            row.created_ns -= 86_401 * 10**9
        assert await server.start(single(ClientTaskId="lesson")) != first


async def test_tasks_are_listed_by_state_room_and_time() -> None:
    async with serving() as server:
        made = [await server.start({**single(), "RoomId": f"room-{number % 2}"}) for number in range(5)]
        await server.call("StopRecord", {"TaskId": made[0]})
        now = int(time.time() * 1000)
        times = {"StartTime": now - 60_000, "EndTime": now + 60_000}

        async def listed(**more: Any) -> dict[str, Any]:
            answer = await server.call("DescribeTasks", {**times, **more})
            assert answer["Code"] == 0, answer
            return dict(answer["Data"])

        ended = await listed(Status=3)
        assert [(one["TaskId"], one["Status"], one["RoomId"]) for one in ended["TaskidList"]] == [
            (made[0], 3, "room-0")
        ]
        running = await listed(Status=2, PageSize=3)
        assert [one["TaskId"] for one in running["TaskidList"]] == [made[4], made[3], made[2]]
        assert (running["PageOffset"], running["PageSize"], running["TotalCount"]) == (1, 3, 4)
        assert [one["TaskId"] for one in (await listed(Status=2, PageSize=3, PageOffset=2))["TaskidList"]] == [made[1]]
        assert (await listed(Status=2, PageOffset=9))["TaskidList"] == []
        assert (await listed(Status=2, RoomId="room-1"))["TotalCount"] == 2
        for wrong in (
            {"Status": 1},
            {"Status": "2"},
            {"Status": 2, "PageSize": 51},
            {"Status": 2, "PageSize": 0},
            {"Status": 2, "EndTime": now - 60_000},
            {"Status": 2, "StartTime": now - 4 * 86_400_000},
            {"Status": 2, "EndTime": now + 4 * 86_400_000},
        ):
            assert (await server.call("DescribeTasks", {**times, **wrong}))["Code"] == 300000004, wrong


async def test_limits_of_calls_and_tasks() -> None:
    async with serving() as server:
        await server.configure(max_recordings=1)
        task = await server.start(single())
        assert (await server.call("StartRecord", single()))["Code"] == 300000006
        await server.call("StopRecord", {"TaskId": task})
        await server.start(single())
        await server.configure(others_per_second=2)
        codes = [(await server.call("DescribeRecordStatus", {"TaskId": task}))["Code"] for _ in range(10)]
        assert codes[:2] == [0, 0] and 300000003 in codes


def test_rates_are_counted_for_each_action() -> None:
    rate = RateLimit()
    for _ in range(10):
        rate.take("1", "DescribeTasks", 0, 10)
        rate.take("1", "PauseRecord", 0, 10)
    with pytest.raises(ZegoError):
        rate.take("1", "DescribeTasks", 0, 10)
    rate.take("1", "DescribeTasks", 100_000_000, 10)
    rate.take("2", "DescribeTasks", 0, 10)


async def test_what_is_not_supported_says_so() -> None:
    async with serving() as server:
        for action in ("UpdateWhiteboard", "TakeSnapshot"):
            answer = await server.call(action, {"TaskId": naming.task_id()})
            assert answer["Code"] == 300000004 and "not supported" in answer["Message"]
        for body in (
            single(HasWhiteboard=True, Whiteboard=[{"HorizontalRatio": 16, "VerticalRatio": 9}]),
            {**single(), "RecordOutputParams": {"OutputFileFormat": "jpg"}},
            {
                **single(StreamType=1, RecordMuteAudio=2, FillBlank=True),
                "RecordOutputParams": {"OutputFileFormat": "mp3"},
            },
        ):
            answer = await server.call("StartRecord", body)
            assert answer["Code"] == 300000004 and "not supported" in answer["Message"], answer


def wrong(where: str, value: Any) -> dict[str, Any]:
    """A StartRecord of mode 2 with one value changed."""
    body = json.loads(json.dumps(mixed()))
    *path, last = where.split(".")
    place = body
    for name in path:
        place = place.setdefault(name, {})
    place[last] = value
    return dict(body)


IN, OUT, MIX = "RecordInputParams", "RecordOutputParams", "RecordInputParams.MixConfig"


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("RoomId", ""),
        ("RoomId", 7),
        ("RoomId", "x" * 129),
        (IN, None),
        (f"{IN}.RecordMode", 3),
        (f"{IN}.RecordMode", "1"),
        (f"{IN}.StreamType", 0),
        (f"{IN}.StreamType", 5),
        (f"{IN}.MaxIdleTime", 4),
        (f"{IN}.MaxIdleTime", 86401),
        (f"{IN}.MaxRecordTime", 299),
        (f"{IN}.MaxRecordTime", 86401),
        (f"{IN}.FillBlank", 1),
        (f"{IN}.FillBlank", ""),
        (f"{IN}.MaxIdleTime", ""),
        (f"{IN}.FillFrame", {"FrameFillMode": 4}),
        (MIX, None),
        (f"{MIX}.MixOutputStreamId", ""),
        (f"{MIX}.MixMode", 6),
        (f"{MIX}.MixMode", 1),
        (f"{MIX}.FillMode", 3),
        (f"{MIX}.MixOutputVideoConfig", None),
        (f"{MIX}.MixOutputVideoConfig", {**VIDEO, "Width": 1920, "Height": 1920}),
        (f"{MIX}.MixOutputVideoConfig", {**VIDEO, "Fps": 31}),
        (f"{MIX}.MixOutputVideoConfig", {**VIDEO, "Fps": 4}),
        (f"{MIX}.MixOutputVideoConfig", {**VIDEO, "Bitrate": 3000}),
        (f"{MIX}.MixOutputVideoConfig", {"Width": 640, "Height": 360}),
        (f"{MIX}.MixOutputAudioConfig", {"Bitrate": 1}),
        (f"{MIX}.MixOutputBackgroundImage", "file:///etc/passwd"),
        (f"{MIX}.MixOutputWatermarkTimestampConfig", {"FontSize": 11}),
        (f"{MIX}.MixOutputWatermarkTimestampConfig", {}),
        (f"{MIX}.ClearInputStreamTimeout", -1),
        (f"{MIX}.SoundWaveType", 2),
        (f"{MIX}.StreamConfigList", [{"StreamId": "a", "StreamType": 4}]),
        (f"{OUT}.OutputFileFormat", "MP4"),
        (f"{OUT}.OutputFileFormat", "webm"),
        (f"{OUT}.OutputFileRule", 2),
        (f"{OUT}.OutputFolder", "a//b"),
        (f"{OUT}.OutputFolder", "../b"),
        (f"{OUT}.CallbackUrl", "example.org"),
        (f"{OUT}.CallbackUrl", "http://user:pass@example.org"),
        ("StorageParams", None),
        ("StorageParams.Vendor", 11),
        ("StorageParams.Vendor", 0),
        ("StorageParams.EndPoint", ""),
        ("StorageParams.EndPoint", "http://169.254.1.1"),
        ("StorageParams.Bucket", "a/b"),
        ("StorageParams.AccessKeySecret", ""),
    ],
)
async def test_a_wrong_parameter_is_named(where: str, value: Any) -> None:
    async with serving() as server:
        answer = await server.call("StartRecord", wrong(where, value))
        assert answer["Code"] == 300000004, answer
        assert where.rpartition(".")[2] in answer["Message"] or "MixInputList" in answer["Message"], answer
        assert "not-to-be-shown" not in json.dumps(answer)
        async with server.database.reading() as session:
            assert (await session.scalars(select(tables.Recording))).all() == []


async def test_what_has_no_effect_is_not_judged() -> None:
    async with serving() as server:
        await server.start(single(MixConfig={"MixMode": 99}, FillFrame={"FrameFillMode": 9}, RecordMuteAudio=2))
        await server.start(mixed({"RecordStreamList": [{"StreamId": ""}], "ResumeWithoutInterruption": True}))
        await server.start({**single(), "RecordOutputParams": {"FragmentSeconds": 1, "SnapshotInterval": 1}})
        answer = await server.call("StartRecord", {
            **single(),
            "RecordOutputParams": {"OutputFileFormat": "hls", "FragmentSeconds": 61},
        })  # fmt: skip
        assert answer["Code"] == 300000004 and "FragmentSeconds" in answer["Message"]


@pytest.mark.parametrize(
    ("name", "stream_type", "formats", "sound", "picture"),
    [
        ("mp4", 1, (Format.MP4,), True, False),
        ("mp4", 2, (Format.MP4,), False, True),
        ("mp4", 3, (Format.MP4,), True, True),
        ("mp4", 4, (Format.MP4, Format.AAC), True, True),
        ("flv", 4, (Format.FLV, Format.AAC), True, True),
        ("hls", 3, (Format.HLS,), True, True),
        ("hls", 4, (Format.HLS,), True, True),
        ("ogg", 3, (Format.OPUS,), True, False),
        ("mp3", 1, (Format.MP3,), True, False),
        ("aac", 4, (Format.AAC,), True, False),
    ],
)
async def test_which_files_are_made(
    name: str, stream_type: int, formats: tuple[Format, ...], sound: bool, picture: bool
) -> None:
    async with serving() as server:
        for body in (single(StreamType=stream_type), mixed({"StreamType": stream_type})):
            await server.start({**body, "RecordOutputParams": {"OutputFileFormat": name}})
            spec = server.recorders.specs[-1]
            sliced = name == "hls" and stream_type == 4  # of single streams two playlists, of a mix one and a file
            assert spec.formats == ((*formats, Format.AAC) if sliced and spec.mix is not None else formats)
            assert (spec.subscription.audio is not None, spec.subscription.video is not None) == (sound, picture)
            assert spec.sound_alone == (Format.AAC in spec.formats and picture)
            assert spec.tracks == ("apart" if sliced and spec.mix is None else "together")


async def test_an_audio_mix_needs_no_video_config() -> None:
    async with serving() as server:
        nothing_is_seen = {"MixMode": 1, "MixOutputVideoConfig": {"Width": 0}}
        for config in ({}, nothing_is_seen):
            body = single(RecordMode=2, StreamType=1, MixConfig={"MixOutputStreamId": "mix", **config})
            task = await server.start(body)
            assert server.recorders.specs[-1].subscription.video is None
        assert (await server.call("UpdateLayout", {"TaskId": task, "MixMode": 1, "MixInputList": []}))["Code"] == 0
        assert server.recorders.commands == []


async def test_defaults_are_the_vendors() -> None:
    async with serving() as server:
        await server.start(single())
        spec = server.recorders.specs[-1]
        assert spec.limits == Limits(idle_s=30, duration_s=86_400, tell_idle=True, pauses_count=True)
        assert spec.rejoin == "anew" and spec.gaps.audio == "leave" and spec.formats == (Format.MP4,)
        await server.start(single(FillBlank=True))
        spec = server.recorders.specs[-1]
        assert spec.rejoin == "continue" and spec.gaps.audio == "silence"
        without_fps = {name: value for name, value in VIDEO.items() if name != "Fps"}
        await server.start(mixed(MixOutputVideoConfig=without_fps))
        mix = server.recorders.specs[-1].mix
        assert (mix.fps, mix.audio_bitrate, mix.video_bitrate, mix.at_once) == (15, 48_000, 1_130_000, False)
        assert mix.scene.background.color == "#000000" and mix.scene.hold_s > 86_400 and mix.wait_s == 0
        await server.start(mixed(ClearInputStreamTimeout=2500))
        assert server.recorders.specs[-1].mix.wait_s == 2.5 and server.recorders.specs[-1].mix.loudness == ""
        for asked, key in ((0, "stream_id"), (1, "user_id")):
            await server.start(mixed(RecordSoundWave=True, SoundWaveType=asked))
            assert server.recorders.specs[-1].mix.loudness == key


async def test_who_comes_back_goes_on_where_they_left_unless_silence_stands_there() -> None:
    async with serving() as server:

        async def asked(**params: Any) -> tuple[str, tuple[str, ...], str]:
            await server.start(single(ResumeWithoutInterruption=True, **params))
            spec = server.recorders.specs[-1]
            return spec.rejoin, spec.cuts, spec.gaps.audio

        assert await asked() == ("continue", ("left",), "leave")
        assert await asked(FillBlank=True) == ("continue", (), "silence")
        assert await asked(FillBlank=True, StreamType=2) == ("continue", ("left",), "leave")


@pytest.mark.parametrize(
    ("params", "cuts", "split_s"),
    [
        ({}, (), -1),
        ({"RecordMuteAudio": 1, "RecordMuteAudioSplitThreshold": 0}, (), -1),
        ({"RecordMuteAudio": 2}, ("mute",), -1),
        ({"RecordMuteAudio": 2, "RecordMuteAudioSplitThreshold": -5}, ("mute",), -5),
        ({"RecordMuteAudio": 2, "RecordMuteAudioSplitThreshold": 0}, ("mute",), 0),
        (
            {"RecordMuteAudio": 2, "RecordMuteAudioSplitThreshold": 7, "ResumeWithoutInterruption": True},
            ("left", "mute"),
            7,
        ),
    ],
)
async def test_silence_is_skipped_and_may_split(params: dict[str, Any], cuts: tuple[str, ...], split_s: float) -> None:
    async with serving() as server:
        mp3 = {"RecordOutputParams": {"OutputFileFormat": "mp3"}}
        await server.start({**single(StreamType=1, **params), **mp3})
        spec = server.recorders.specs[-1]
        assert (spec.cuts, spec.mute_split_s) == (cuts, split_s)
        for elsewhere in ({**single(StreamType=3, **params), **mp3}, single(StreamType=1, **params)):
            await server.start(elsewhere)
            assert "mute" not in server.recorders.specs[-1].cuts


async def test_who_leaves_a_mix_keeps_their_view_with_fill_blank() -> None:
    async with serving() as server:
        await server.start(mixed())
        scene = server.recorders.specs[-1].mix.scene
        assert (scene.leavers, scene.placeholder.color) == ("go", "")
        green = {"FrameFillMode": 2, "FrameFillColor": 16711680}
        await server.start(mixed({"FillBlank": True, "FillFrame": green}))
        scene = server.recorders.specs[-1].mix.scene
        assert (scene.leavers, scene.hold_s, scene.placeholder.color) == ("stay", 0, "#00ff00")
        assert scene.bare == Surface(color="#00ff00")
        image = "http://127.0.0.1:1/x.png"
        for mode, events in ((1, 0), (3, 1)):  # the image is for mode 3 only
            task = await server.start(
                mixed({"FillBlank": True, "FillFrame": {"FrameFillMode": mode}}, DefaultMixStreamBackgroundImage=image)
            )
            async with server.database.reading() as session:
                mine = tables.Event.recording == naming.recording_id(task)
                assert len((await session.scalars(select(tables.Event).where(mine))).all()) == events


async def test_chosen_streams_are_cameras_and_screens() -> None:
    async with serving() as server:
        listed = [{"StreamId": "ann"}, {"StreamId": "bob~screen"}]
        await server.start(single(RecordStreamList=listed))
        wants = server.recorders.specs[-1].subscription.wants
        assert (
            wants("ann", Source("camera")) and wants("ann", Source("microphone")) and not wants("ann", Source("screen"))
        )
        assert (
            wants("bob", Source("screen"))
            and wants("bob", Source("screen_audio"))
            and not wants("bob", Source("camera"))
        )
        assert not wants("eve", Source("camera"))


async def test_chosen_streams_that_do_not_come_are_told_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock = [0.0]
    monkeypatch.setattr(notes, "time", SimpleNamespace(monotonic=lambda: clock[0], time_ns=time.time_ns))
    listed = [{"StreamId": name} for name in ("ann", "bob", "ann~screen", "bob~screen", "bob")]
    async with serving(stored=tmp_path / "database") as server:  # what tells of them does so beside the calls
        stopped = await server.start(single(RecordStreamList=listed))
        await server.call("StopRecord", {"TaskId": stopped})
        await server.start(single())
        await server.start(mixed({"RecordStreamList": listed}))
        task = await server.start(single(RecordStreamList=listed))
        for output in ("camera", "screen"):
            stream = Stream(app="dev", room="class-7", identity="ann", output=output)
            server.here.append(Present(stream, 0, 0))
        server.here.append(Present(Stream(app="dev", room="other", identity="bob", output="camera"), 0, 0))
        await asyncio.sleep(0)  # what tells of them has begun to wait
        clock[0] = notes.ABSENT_S + 1
        while not server.poked:
            await asyncio.sleep(0.05)
        async with server.database.reading() as session:
            told = (await session.scalars(select(tables.Event).order_by(tables.Event.seq))).all()
        assert [(one.recording, one.type, one.data) for one in told] == [
            (naming.recording_id(task), "stream.missing", {"stream": "bob"}),
            (naming.recording_id(task), "stream.missing", {"stream": "bob~screen"}),
        ]
        assert server.poked == [naming.recording_id(task)]


async def test_streams_of_a_mix_may_be_heard_or_seen_only() -> None:
    async with serving() as server:
        chosen = [{"StreamId": "", "StreamType": 1}, {"StreamId": "ann", "StreamType": 3}]
        await server.start(mixed(StreamConfigList=[*chosen, {"StreamId": "bob", "StreamType": 2}]))
        wants = server.recorders.specs[-1].subscription.wants
        assert wants("eve", Source("microphone")) and not wants("eve", Source("camera"))
        assert wants("ann", Source("microphone")) and wants("ann", Source("camera"))
        assert not wants("bob", Source("microphone")) and wants("bob", Source("camera"))


async def test_a_persons_screen_is_a_stream_of_its_own_in_a_mix() -> None:
    async with serving() as server:
        await server.start(mixed(StreamConfigList=[{"StreamId": "ann~screen", "StreamType": 2}]))
        wants = server.recorders.specs[-1].subscription.wants
        assert wants("ann", Source("screen")) and not wants("ann", Source("screen_audio"))
        assert wants("ann", Source("camera")) and wants("ann", Source("microphone"))
        assert wants("bob", Source("screen_audio"))
        await server.start(mixed(StreamConfigList=[{"StreamType": 1}, {"StreamId": "ann~screen", "StreamType": 3}]))
        wants = server.recorders.specs[-1].subscription.wants
        assert wants("ann", Source("screen")) and not wants("ann", Source("camera"))
        assert not wants("bob", Source("screen")) and wants("bob", Source("microphone"))


async def test_images_are_stretched_over_their_views(monkeypatch: pytest.MonkeyPatch) -> None:
    async def load(self: Images, folder: object, wanted: dict[str, ImageSource]) -> dict[str, str]:
        return {reference: "" if "gone" in source.url else "ab" * 32 for reference, source in wanted.items()}

    monkeypatch.setattr(Images, "load", load)
    camera = {"Top": 0, "Left": 0, "Bottom": 720, "Right": 640, "Layer": 0, "StreamId": "ann",
              "BackgroundImage": "http://127.0.0.1:1/a.png", "FillMode": 2}  # fmt: skip
    screen = {**camera, "Left": 640, "Right": 1280, "StreamId": "ann~screen", "BackgroundImage": "http://x/gone.png"}
    own = {"MixMode": 1, "MixInputList": [camera, screen]}
    blank = {"FillBlank": True, "FillFrame": {"FrameFillMode": 3}}
    async with serving() as server:
        await server.start(mixed(blank, **own, DefaultMixStreamBackgroundImage="http://x/d.png"))
        scene = server.recorders.specs[-1].mix.scene
        assert scene.placeholder.fit == Fit.STRETCH and scene.placeholder.image and scene.bare == Surface(color="")
        first, second = scene.layout.panes
        assert first.placeholder == Surface(color="", image="ab" * 32, fit=Fit.STRETCH)
        assert second.placeholder is None  # its image is not to be had, so that the usual one is shown


async def test_images_that_cannot_be_had_are_told_of() -> None:
    async with serving() as server:
        views = [{"Top": 0, "Left": 0, "Bottom": 720, "Right": 640, "Layer": 0, "StreamId": "ann",
                  "BackgroundImage": "http://127.0.0.1:1/d.png"}]  # fmt: skip
        task = await server.start(
            mixed(
                MixMode=1,
                MixInputList=views,
                MixOutputBackgroundImage="http://127.0.0.1:1/a.png",
                MixOutputWatermarkImage="http://127.0.0.1:1/b.png",
                MixOutputWatermarkImageConfig={"Left": 0, "Top": 0, "Right": 100, "Bottom": 50},
                MixOutputWatermarkTimestampConfig={"FontSize": 18},
            )
        )
        async with server.database.reading() as session:
            told = (await session.scalars(select(tables.Event).order_by(tables.Event.seq))).all()
            row = await session.get_one(tables.Recording, naming.recording_id(task))
        assert [(one.type, one.data["image_type"], one.data["url"][-5:]) for one in told] == [
            ("image.missing", 1, "a.png"),
            ("image.missing", 2, "b.png"),
            ("image.missing", 4, "d.png"),
        ]
        assert server.poked == [row.id]
        (clock,) = msgspec.convert(row.spec["mix"], Mix).scene.watermarks
        assert (clock.clock, clock.x, clock.anchor_x, clock.size) == ("%Y-%m-%d %H:%M", 1272, 1.0, 18)


def test_task_ids_are_the_vendors_kind() -> None:
    task = naming.task_id(1_700_000_000)
    assert len(task) == 16 and task.startswith("ZVPxA")
    assert naming.task_id(1_700_000_000) != task
    for known, second in (("X3CgNeE4I1qAAABN", 1601216565), ("YRHu6-E4IyvEAAAD", 1628565227)):
        assert int(naming.recording_id(known)[:8], 16) == second and naming.task_of(naming.recording_id(known)) == known
