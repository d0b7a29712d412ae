"""Alibaba Cloud RTC's templates and tasks on the real use cases: what they make of parameters, and what they refuse."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import msgspec
import pytest

from reelroom.dialects.aliyun_rtc import callbacks, layouts, mns, mns_xml, templates
from reelroom.domain.layout import Person, arrange
from reelroom.domain.lines import Change, ChangeScene, OutputOpened, Segment, Stop
from reelroom.domain.recording import Format, Mode, Source
from reelroom.store import tables
from tests.unit.aliyun_server import ID, PREFIX, SECRET, TASK, TEMPLATE, Server, refused, serving

S = 1_000_000_000


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(tmp_path) as made:
        yield made


async def template(server: Server, **change: str) -> str:
    answer = await server.rtc("AddRecordTemplate", **{**TEMPLATE, **change})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["TemplateId"])


async def started(server: Server, template_id: str, **change: str) -> None:
    answer = await server.rtc("StartRecordTask", **{**TASK, "TemplateId": template_id, **change})
    assert (answer.status_code, set(answer.json())) == (200, {"RequestId"}), answer.text


async def recording(server: Server) -> Any:
    """What the present task starts as soon as somebody publishes."""
    app = (await server.apps.list())[0]
    (rule,) = server.rules.of("dev")
    kept = await server.templates.get("dev", "aliyun_rtc", rule.rule.template)
    return templates.new_recording(app, kept.body, "room[1]", time.time_ns())


async def test_templates_are_added_changed_listed_and_deleted(server: Server) -> None:
    made = await template(server)
    changed = {**TEMPLATE, "Name": "other", "DelayStopTime": "60", "Watermarks.1.Url": "https://w/1.png"}
    answer = await server.rtc("UpdateRecordTemplate", TemplateId=made, **changed)
    assert answer.json()["TemplateId"] == made
    answer = await server.rtc("DescribeRecordTemplates", AppId="dev", PageSize="1", **{"TemplateIds.1": made})
    body = answer.json()
    assert (body["TotalNum"], body["TotalPage"]) == (1, 1)
    (shown,) = body["Templates"]
    assert (shown["Name"], shown["Formats"], shown["LayoutIds"]) == ("other", ["m3u8", "mp4"], [2, 6])
    assert (shown["DelayStopTime"], shown["EnableM3u8DateTime"]) == (60, False)
    assert "MnsQueue" not in shown and shown["HttpCallbackUrl"] == "http://127.0.0.1:9/cb"
    assert (await server.rtc("DeleteRecordTemplate", AppId="dev", TemplateId=made)).json().keys() == {"RequestId"}
    refused(await server.rtc("DeleteRecordTemplate", AppId="dev", TemplateId=made), 404, "InvalidTemplateId.NotFound")


async def test_a_format_that_is_not_said_is_xml(server: Server) -> None:
    await template(server)
    answer = await server.call("2018-01-11", "DescribeRecordTemplates", {"AppId": "dev"}, Format="")
    assert answer.headers["content-type"] == "text/xml;charset=utf-8"
    root = ElementTree.fromstring(answer.content)
    assert root.tag == "DescribeRecordTemplatesResponse"
    assert [one.text for one in root.findall("Templates/LayoutIds")] == ["2", "6"]
    answer = await server.call("2018-01-11", "DescribeRecordTemplates", {"AppId": "x"}, Format="XML")
    root = ElementTree.fromstring(answer.content)
    assert (answer.status_code, root.tag, root.findtext("Code")) == (404, "Error", "Service.NoApp")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Name": ""}, "MissingParameter"),
        ({"Formats.1": "mkv"}, "InvalidParameter"),
        ({"Formats.1": "MP4"}, "InvalidParameter"),
        ({"LayoutIds.2": "3"}, "InvalidLayoutID.Malformed"),
        ({"LayoutIds.2": "12"}, "InvalidLayoutID.Malformed"),
        ({"LayoutIds.2": "9"}, "InvalidLayoutID.Malformed"),
        ({"MediaEncode": "50"}, "InvalidMediaEncode.Malformed"),
        ({"TaskProfile": "4IN_360P"}, "InvalidMediaEncode.Malformed"),
        ({"TaskProfile": "3IN_1080P"}, "InvalidParameter"),
        ({"BackgroundColor": "-1"}, "InvalidBackgroundColor.Malformed"),
        ({"OssFilePrefix": "record/{AppId}"}, "InvalidParameter"),
        ({"OssFilePrefix": "record/../" + PREFIX[7:]}, "InvalidParameter"),
        ({"FileSplitInterval": "1799"}, "InvalidParameter"),
        ({"MnsQueue": "q"}, "InvalidParameter"),
        ({"HttpCallbackUrl": ""}, "InvalidParameter"),
        ({"HttpCallbackUrl": "ftp://x"}, "InvalidParameter"),
        ({"Backgrounds.1.Url": "https://x/1.png", "Backgrounds.1.Width": "1.5"}, "InvalidParameter"),
        ({"Backgrounds.1.Url": "ftp://x/1.png"}, "InvalidParameter"),
        ({"Watermarks.1.Url": "https://x/1.png", "Watermarks.1.Alpha": "1.1"}, "InvalidParameter"),
        ({"Watermarks.1.Display": "1"}, "MissingParameter"),
        ({"ClockWidgets.1.FontSize": "73"}, "InvalidParameter"),
        ({"ClockWidgets.1.FontType": "3"}, "InvalidParameter"),
    ],
)
async def test_templates_that_cannot_be_are_refused(server: Server, change: dict[str, str], code: str) -> None:
    refused(await server.rtc("AddRecordTemplate", **{**TEMPLATE, **change}), 400, code)


async def test_a_task_waits_for_its_channel_with_the_vendors_names_and_periods(server: Server) -> None:
    await started(server, await template(server))
    (rule,) = server.rules.of("dev")
    assert (rule.rule.room, rule.rule.resume_s, rule.rule.per) == ("room[[]1]", 180, "room")
    new = await recording(server)
    spec = new.spec
    assert spec.mode is Mode.MIXED and spec.formats == (Format.HLS, Format.MP4)
    assert (spec.hls.container, spec.hls.split_s, spec.hls.whole, spec.split_s) == ("ts", 1800, True, 1800)
    times = "{start:%Y-%m-%d-%H-%M-%S}_{end:%Y-%m-%d-%H-%M-%S}"
    assert spec.naming.mixed == "record/dev/{room}_task-001/" + times
    assert spec.naming.utc_offset_s == 28800
    mix = spec.mix
    assert mix is not None and (mix.width, mix.height, mix.fps) == (1280, 720, 25)
    assert mix.video_bitrate + mix.audio_bitrate == 1_024_000
    assert new.callback.url == "http://127.0.0.1:9/cb" and new.dialect_data["task"] == "task-001"


async def test_the_same_task_again_is_told_with_status_200(server: Server) -> None:
    made = await template(server)
    await started(server, made)
    again = await server.rtc("StartRecordTask", **TASK, TemplateId=made)
    assert (again.status_code, again.json()["Code"]) == (200, "TaskExisted")
    assert len(server.rules.of("dev")) == 1
    assert (await server.rtc("StopRecordTask", AppId="dev", TaskId="task-001")).status_code == 200
    assert server.rules.of("dev") == []
    again = await server.rtc("StartRecordTask", **TASK, TemplateId=made)
    assert again.json()["Code"] == "TaskExisted"
    refused(await server.rtc("StopRecordTask", AppId="dev", TaskId="task-001"), 404, "InvalidTaskId.NotFound")


async def test_users_of_each_kind_are_chosen(server: Server) -> None:
    lists = {
        "SubSpecUsers.1": "u1",
        "SubSpecUsers.2": "u2",
        "SubSpecAudioUsers.1": "allStream",
        "UnsubSpecAudioUsers.1": "u9",
        "UnsubSpecCameraUsers.1": "u2",
        "UnsubSpecShareScreenUsers.1": "allStream",
    }
    await started(server, await template(server), **lists)
    wants = (await recording(server)).spec.subscription.wants
    assert wants("u7", Source.MICROPHONE) and not wants("u9", Source.MICROPHONE)
    assert wants("u1", Source.CAMERA) and not wants("u2", Source.CAMERA) and not wants("u7", Source.CAMERA)
    assert not wants("u1", Source.SCREEN)


async def test_single_streams_have_their_users_in_their_names(server: Server) -> None:
    await started(server, await template(server), MixMode="0", StreamType="1")
    spec = (await recording(server)).spec
    assert spec.mode is Mode.INDIVIDUAL and spec.subscription.video is None
    assert spec.naming.file.endswith("_{stream}") and spec.naming.segment.endswith("{stream}_{start:s}_{sequence}")


async def test_an_update_reaches_what_records_and_what_comes_later(server: Server) -> None:
    made = await template(server)
    await started(server, made)
    row = await server.starts.start(await recording(server))
    pane = {"UserPanes.1.PaneId": "1", "UserPanes.1.UserId": "u2", "UserPanes.11.Url": "https://x/1.png"}
    update = {**TASK, "TemplateId": made, "LayoutIds.1": "13", "CropMode": "1", "SubSpecUsers.1": "u2", **pane}
    answer = await server.rtc("UpdateRecordTask", **update)
    assert answer.status_code == 200, answer.text
    subscribed, shown = server.recorders.commands
    assert isinstance(subscribed, Change) and subscribed.subscription.each[Source.CAMERA].include == ("u2",)
    assert isinstance(shown, ChangeScene) and shown.scene.layout.pins[0].identity == "u2"
    assert (await recording(server)).spec.subscription.each[Source.CAMERA].include == ("u2",)
    answer = await server.rtc("UpdateRecordTask", **{**TASK, "TemplateId": made, "MediaEncode": "1"})
    refused(answer, 400, "UnsupportedOperation")
    assert (await server.rtc("StopRecordTask", AppId="dev", TaskId="task-001")).status_code == 200
    assert isinstance(server.recorders.commands[-1], Stop)
    refused(await server.rtc("UpdateRecordTask", **update), 404, "InvalidTaskId.NotFound")
    assert row.id


async def test_backgrounds_images_and_texts_lie_where_they_are_said_to(server: Server) -> None:
    backgrounds = {
        "Backgrounds.1.Url": "https://x/1.png", "Backgrounds.1.X": "0.5", "Backgrounds.1.Width": "0.5",
        "Backgrounds.1.Height": "1", "Backgrounds.1.ZOrder": "2", "Backgrounds.2.Url": "https://x/2.png",
        "Backgrounds.3.Url": "https://x/3.png", "Backgrounds.3.Display": "0", "BackgroundColor": "255",
    }  # fmt: skip
    pane = {
        "UserPanes.1.PaneId": "1", "UserPanes.1.Texts.1.Text": "你好 x", "UserPanes.1.Texts.1.X": "0.1",
        "UserPanes.1.Texts.1.FontSize": "7", "UserPanes.1.Texts.1.FontColor": "255", "UserPanes.1.Texts.1.ZOrder": "3",
        "UserPanes.1.Images.1.Url": "https://x/a.png", "UserPanes.1.Images.1.Display": "2",
        "UserPanes.1.Images.1.Width": "0.5", "UserPanes.1.Images.1.ZOrder": "4",
        "UserPanes.1.Images.2.Url": "https://x/b.png", "UserPanes.2.PaneId": "0", "UserPanes.2.UserId": "u",
        "UserPanes.2.Images.1.Url": "https://x/c.png", "UserPanes.2.Images.1.Display": "0",
    }  # fmt: skip
    await started(server, await template(server, **backgrounds), **pane)
    new = await recording(server)
    scene = new.spec.mix.scene
    by_url = {new.images[name].url[-5]: name for name in new.images}
    assert by_url.keys() == {"1", "2", "a", "b"}
    assert scene.background.color == "#ff0000"
    behind, front = scene.backdrops
    assert (behind.image, front.image) == (by_url["2"], by_url["1"])
    assert (front.x, front.y, front.width, front.height, front.fractions) == (0.5, 0, 0.5, 1, True)
    one, two = scene.layout.pins
    assert (one.identity, two.identity, two.source, two.overlays) == ("", "u", "camera", ())
    always, text, vacant = one.overlays
    assert (always.mark.image, always.vacant) == (by_url["b"], False)
    assert (text.mark.text, text.mark.x, text.mark.size, text.mark.color) == ("你好 x", 0.1, 7, "#ff0000")
    assert (vacant.mark.image, vacant.vacant, vacant.mark.width) == (by_url["a"], True, 0.5)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"TaskId": "a b"}, "InvalidParameter"),
        ({"TaskId": "x" * 56}, "InvalidParameter"),
        ({"MixMode": "2"}, "InvalidParameter"),
        ({"CropMode": "3"}, "InvalidParameter"),
        ({"SourceType": "screen"}, "InvalidParameter"),
        ({"UserPanes.1.PaneId": "16", "UserPanes.1.UserId": "u"}, "InvalidParameter"),
        ({"UserPanes.1.PaneId": "1"}, "MissingParameter"),
        ({"UserPanes.1.PaneId": "1", "UserPanes.1.Texts.1.X": "0"}, "MissingParameter"),
        ({"UserPanes.1.PaneId": "1", "UserPanes.1.Texts.1.Text": "x" * 257}, "InvalidParameter"),
        (
            {"UserPanes.1.PaneId": "1", "UserPanes.1.Texts.1.Text": "x", "UserPanes.1.Texts.1.FontType": "1"},
            "InvalidParameter",
        ),
        ({f"SubSpecUsers.{n}": f"u{n}" for n in range(1, 18)}, "InvalidParameter"),
        ({"LayoutIds.1": "123456789"}, "InvalidLayoutID.Malformed"),
        ({"MediaEncode": "2"}, "InvalidMediaEncode.Malformed"),
    ],
)
async def test_tasks_that_cannot_be_are_refused(server: Server, change: dict[str, str], code: str) -> None:
    made = await template(server)
    refused(await server.rtc("StartRecordTask", **{**TASK, "TemplateId": made, **change}), 400, code)
    assert server.rules.of("dev") == []


LAYOUT = {
    "AppId": "dev", "AudioMixCount": "6", "Name": "mine",
    "Panes.1.PaneId": "0", "Panes.1.X": "0", "Panes.1.Y": "0", "Panes.1.Width": "1", "Panes.1.Height": "1",
    "Panes.2.PaneId": "1", "Panes.2.X": "0.5", "Panes.2.Y": "0.5", "Panes.2.Width": "0.25", "Panes.2.Height": "0.25",
    "Panes.2.ZOrder": "1", "Panes.2.MajorPane": "1",
}  # fmt: skip


async def test_custom_layouts_are_made_changed_listed_used_and_deleted(server: Server) -> None:
    id_ = (await server.rtc("CreateMPULayout", **LAYOUT)).json()["LayoutId"]
    listed = (await server.rtc("DescribeMPULayoutInfoList", AppId="dev", Name="in")).json()
    (shown,) = listed["Layouts"]["Layout"]
    assert (listed["TotalNum"], shown["LayoutId"], shown["Name"], shown["AudioMixCount"]) == (1, id_, "mine", 6)
    assert shown["Panes"]["Panes"][1] == {
        "PaneId": 1, "MajorPane": 1, "X": 0.5, "Y": 0.5, "Width": 0.25, "Height": 0.25, "ZOrder": 1,
    }  # fmt: skip
    made = await template(server, **{"LayoutIds.3": str(id_), "LayoutIds.1": "1"})
    await started(server, made)
    changed = {"AppId": "dev", "LayoutId": str(id_), "Name": "other"}
    assert (await server.rtc("ModifyMPULayout", **changed)).json().keys() == {"RequestId"}
    one = (await server.rtc("DescribeMPULayoutInfo", AppId="dev", LayoutId=str(id_))).json()["Layout"]
    assert (one["Name"], len(one["Panes"]["Panes"])) == ("other", 2)
    assert (await server.rtc("DescribeMPULayoutList", AppId="dev")).json()["LayoutIds"] == {"LayoutId": [id_]}
    assert (await server.rtc("DeleteMPULayout", AppId="dev", LayoutId=str(id_))).status_code == 200
    answer = await server.rtc("DeleteMPULayout", AppId="dev", LayoutId=str(id_))
    refused(answer, 400, "InvalidLayoutID.Malformed")
    scene = (await recording(server)).spec.mix.scene
    assert scene.voices == 0  # of layout 1 everybody is heard
    layout = scene.layout  # a task keeps the one that it began with
    people = [Person(f"u{n}", "camera", n, True) for n in range(2)]
    assert [(pane.identity, pane.width) for pane in arrange(layout, 1000, 1000, people, 0)] == [
        ("u1", 1000),
        ("u0", 250),
    ]
    refused(await server.rtc("StartRecordTask", **{**TASK, "TaskId": "t2", "TemplateId": made}), 400, BAD_LAYOUT)
    system = (await server.rtc("DescribeSystemLayoutList", PageSize="100")).json()
    assert [one["LayoutId"] for one in system["Layouts"]["Layout"]] == [*range(1, 12), 13]
    assert system["TotalNum"] == 12


async def test_as_many_are_heard_as_the_custom_layouts_say(server: Server) -> None:
    ids = []
    for count in ("2", "3", "0"):
        answer = await server.rtc("CreateMPULayout", **{**LAYOUT, "AudioMixCount": count})
        ids.append(str(answer.json()["LayoutId"]))
    one = {key: value for key, value in LAYOUT.items() if not key.startswith("Panes.2")}
    single = str((await server.rtc("CreateMPULayout", **{**one, "AudioMixCount": "1"})).json()["LayoutId"])
    for number, (chosen, voices) in enumerate((([ids[0]], 2), ([ids[1], single], 3), ([ids[2], single], 0))):
        listed = {f"LayoutIds.{n}": chosen[n - 1] if n <= len(chosen) else "" for n in (1, 2)}
        changed = {key: value for key, value in listed.items() if value}
        base = {key: value for key, value in TEMPLATE.items() if not key.startswith("LayoutIds")}
        made = (await server.rtc("AddRecordTemplate", **{**base, **changed})).json()["TemplateId"]
        task = f"voices-{number}"
        await started(server, made, TaskId=task)
        spec = (await recording(server)).spec
        assert spec.mix.scene.voices == voices
        assert (await server.rtc("StopRecordTask", AppId="dev", TaskId=task)).status_code == 200


BAD_LAYOUT = "InvalidLayoutID.Malformed"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"AudioMixCount": "7"}, "InvalidParameter"),
        ({"AudioMixCount": ""}, "MissingParameter"),
        ({"Panes.1.PaneId": "2"}, "InvalidParameter"),
        ({"Panes.2.PaneId": "0"}, "InvalidParameter"),
        ({"Panes.1.MajorPane": "1"}, "InvalidParameter"),
        ({"Panes.1.Width": "0"}, "InvalidParameter"),
        ({"Panes.2.X": "0.8"}, "InvalidParameter"),
    ],
)
async def test_layouts_that_cannot_be_are_refused(server: Server, change: dict[str, str], code: str) -> None:
    refused(await server.rtc("CreateMPULayout", **{**LAYOUT, **change}), 400, code)


async def test_tasks_are_listed_by_what_they_do_and_when_they_were_made(server: Server) -> None:
    made = await template(server)
    await started(server, made, **{"SubSpecUsers.1": "u1", "UserPanes.1.PaneId": "1", "UserPanes.1.UserId": "u2"})
    await server.starts.start(await recording(server))
    await started(server, made, TaskId="t2", ChannelId="c2")
    await started(server, made, TaskId="t3", ChannelId="c2")
    await server.rtc("StopRecordTask", AppId="dev", TaskId="t3")

    async def listed(**asked: str) -> list[dict[str, Any]]:
        answer = (await server.rtc("DescribeRecordTasks", AppId="dev", **asked)).json()
        assert answer["TotalNum"] == len(answer["RecordTasks"]), answer
        return list(answer["RecordTasks"])

    assert [(one["TaskId"], one["Status"]) for one in await listed()] == [("t3", 2), ("t2", 0), ("task-001", 1)]
    (first,) = await listed(Status="1")
    assert first["UserPanes"] == [{"PaneId": 1, "UserId": "u2", "Source": "camera"}] and first["AppId"] == "dev"
    assert (first["SubSpecUsers"], first["TemplateId"], first["ChannelId"]) == (["u1"], made, "room[1]")
    assert [one["TaskId"] for one in await listed(ChannelId="c2", Status="0")] == ["t2"]
    assert [one["TaskId"] for one in await listed(Status="2")] == ["t3"]
    assert [one["TaskId"] for one in await listed(**{"TaskIds.1": "t2", "TaskIds.2": "no"})] == ["t2"]
    assert await listed(StartTime="9999-01-01T00:00:00Z") == await listed(EndTime="1970-01-01T00:00:00Z") == []
    assert len(await listed(StartTime=first["CreateTime"], EndTime="9999-01-01T00:00:00Z")) == 3
    refused(await server.rtc("DescribeRecordTasks", AppId="dev", Status="going"), 400, "InvalidParameter")
    async with server.database.transaction() as session:
        row = await session.get_one(tables.Task, ("aliyun_rtc", "dev", "t2"))
        row.data, row.room = {"template": "x", "rule": "y"}, ""  # as an earlier version kept it
    assert [(one["TaskId"], one["ChannelId"]) for one in await listed(Status="0")] == [("t2", "")]


async def test_single_streams_are_not_updated(server: Server) -> None:
    made = await template(server)
    await started(server, made, MixMode="0")
    refused(await server.rtc("UpdateRecordTask", **TASK, TemplateId=made), 400, "UnsupportedOperation")


async def test_files_are_listed_by_time_and_an_index_of_a_part_is_made(server: Server) -> None:
    await started(server, await template(server))
    row = await server.starts.start(await recording(server))
    at = 1_785_226_400 * S
    opened = OutputOpened(output="001", identity="", source="mixed", kind="av", start_ns=at)
    async with server.database.transaction() as session:
        common: dict[str, Any] = {"recording": row.id, "output": "001", "rendition": "hls", "path": "", "format": "hls"}
        for number in range(2):
            start = at + number * 1800 * S
            line = msgspec.to_builtins(opened) | {
                "first": 60 * number + 1, "last": 60 * number + 60, "start_ns": start, "end_ns": start + 1800 * S,
                "duration_ns": 1800 * S,
            }  # fmt: skip
            kept = {"role": "playlist", "number": number, "key": f"record/{number}.m3u8", "state": "uploaded"}
            file = tables.File(**common, **kept, line=line, uploaded_ns=start + 1801 * S)
            session.add(file)
            await session.flush()
            own = {"app": "dev", "dialect": "aliyun_rtc", "room": "room[1]", "task": "task-001"}
            session.add(tables.Finished(file=file.id, **own, start_ns=start, end_ns=start + 1800 * S))
        for number in range(1, 121):
            start = at + (number - 1) * 30 * S
            line = msgspec.to_builtins(
                Segment(
                    output="001", rendition="hls", container="ts", number=number, path="", bytes=1, sha256="",
                    start_ns=start, end_ns=start + 30 * S, media_start_ns=start - at, media_end_ns=start - at + 30 * S,
                )
            )  # fmt: skip
            session.add(tables.File(**common, role="segment", number=number, key=f"{number}.ts", line=line))
        session.add(tables.Output(recording=row.id, output="001", segments=120, end_ns=3600 * S))
        (await session.get_one(tables.Recording, row.id)).created_ns = at
    answer = await server.rtc("DescribeRecordFiles", AppId="dev", **{"TaskIds.1": "task-001"})
    newest, oldest = answer.json()["RecordFiles"]
    assert oldest["Url"] == "http://rec.oss-cn-shanghai.aliyuncs.com/record/0.m3u8"
    assert (newest["StartTime"], newest["StopTime"]) == ("2026-07-28T08:43:20Z", "2026-07-28T09:13:20Z")
    assert (newest["TaskId"], newest["ChannelId"], newest["Duration"]) == ("task-001", "room[1]", 1800.0)
    early = {"StartTime": "2026-07-28T08:00:00Z", "EndTime": "2026-07-28T08:20:00Z"}
    answer = await server.rtc("DescribeRecordFiles", AppId="dev", ChannelId="room[1]", **early)
    assert [one["Url"] for one in answer.json()["RecordFiles"]] == [oldest["Url"]]
    part = {"StartTime": "2026-07-28T08:42:55Z", "EndTime": "2026-07-28T08:44:00Z"}
    answer = await server.rtc("CreateRecordIndexFiles", AppId="dev", TaskId="task-001", **part)
    (info,) = answer.json()["RecordInfos"]
    assert (info["StartTime"], info["EndTime"], info["Duration"]) == (
        "2026-07-28T08:42:50Z", "2026-07-28T08:44:20Z", 90.0,
    )  # fmt: skip
    async with server.database.reading() as session:
        (made,) = (await session.scalars(tables.File.__table__.select().where(tables.File.role == "index"))).all()
    assert made


def test_every_system_layout_lies_within_the_canvas_where_the_table_says() -> None:
    layout = layouts.layout(layouts.chosen([1, 6, 11], {}), crop=False, pins=[])
    people = [Person(f"u{n}", "camera", n, True) for n in range(9)]
    for count, panes in ((1, 1), (3, 3), (9, 9)):
        assert len(arrange(layout, 1280, 720, people[:count], 0)) == panes
    (first, *_) = arrange(layouts.layout(layouts.chosen([6], {}), crop=False, pins=[]), 1000, 1000, people[:1], 0)
    assert (first.x, first.y, first.width, first.height) == (14, 14, 480, 480)
    front = arrange(layouts.layout(layouts.chosen([4], {}), crop=False, pins=[]), 1000, 1000, people[:2], 0)
    assert [(pane.identity, pane.width) for pane in front] == [("u0", 1000), ("u1", 236)]


def test_the_notification_has_the_vendors_fields_and_is_base64_in_a_queue() -> None:
    data = {
        "role": "playlist", "ended": True, "key": "record/a b.m3u8", "start_ns": 1_599_042_234 * S,
        "end_ns": 1_599_044_026 * S, "duration_ns": 1_792_257_000_000,
    }  # fmt: skip
    event = tables.Event(id="83eaaf6219e845df929b79f4753b0001", type="file.uploaded", data=data)
    kept = {"app_id": "9qb1", "task": "task-005", "url_base": "http://b.oss-cn-shanghai.aliyuncs.com"}
    row = tables.Recording(room="record-004", dialect_data=kept)
    made = callbacks.render(event, row, {"url": "http://x"}, None)
    assert made is not None and json.loads(made.body) == {
        "AppId": "9qb1", "ChannelId": "record-004", "TaskId": "task-005", "Event": "FileCreated",
        "MsgId": "83eaaf62-19e8-45df-929b-79f4753b0001", "Duration": 1792.257,
        "StartTime": "2020-09-02T10:23:54Z", "StopTime": "2020-09-02T10:53:46Z",
        "Url": "http://b.oss-cn-shanghai.aliyuncs.com/record/a%20b.m3u8",
    }  # fmt: skip
    from reelroom.control.apps import AppContext

    queued = callbacks.render(event, row, {"url": "queue://q"}, AppContext("a", {}))
    assert queued is not None and base64.b64decode(queued.body) == made.body
    event.data = data | {"ended": False}
    assert callbacks.render(event, row, {"url": "http://x"}, None) is None


class Mns:
    """MNS's documented client, by hand."""

    def __init__(self, server: Server) -> None:
        self._http = server.http

    async def __call__(self, method: str, path: str, body: str | bytes = "", secret: str = SECRET) -> httpx.Response:
        headers = {"date": formatdate(usegmt=True), "content-type": "text/xml", "x-mns-version": "2015-06-06"}
        signed = mns.signature(secret, mns.string_to_sign(method, headers, path))
        headers["authorization"] = f"MNS {ID}:{signed}"
        return await self._http.request(method, path, headers=headers, content=body)


async def test_a_consumer_receives_puts_off_and_deletes(server: Server) -> None:
    client = Mns(server)
    answer = await client("GET", "/queues/q/messages")
    assert (answer.status_code, "QueueNotExist" in answer.text) == (404, True)
    attributes = "<Queue><VisibilityTimeout>5</VisibilityTimeout><DelaySeconds>{}</DelaySeconds></Queue>"
    assert (await client("PUT", "/queues/q", attributes.format(3))).status_code == 400
    assert (await client("PUT", "/queues/q", attributes.format(0))).status_code == 201
    assert (await server.queues.get("dev", "q")).visibility_s == 5
    assert (await client("GET", "/queues/q/messages")).status_code == 404
    sent = await client("POST", "/queues/q/messages", "<Message><MessageBody>aGk=</MessageBody></Message>")
    assert sent.status_code == 201
    await server.queues.send("dev", "q", b"second")
    answer = await client("GET", "/queues/q/messages?numOfMessages=16&waitseconds=1")
    name = {"m": mns_xml.NAMESPACE}
    found = ElementTree.fromstring(answer.content).findall("m:Message", name)
    assert [one.findtext("m:MessageBody", namespaces=name) for one in found] == ["aGk=", "second"]
    first, second = [one.findtext("m:ReceiptHandle", namespaces=name) for one in found]
    assert (await client("DELETE", f"/queues/q/messages?ReceiptHandle={first}")).status_code == 204
    answer = await client("DELETE", f"/queues/q/messages?ReceiptHandle={first}")
    assert (answer.status_code, "ReceiptHandleError" in answer.text) == (400, True)
    answer = await client("PUT", f"/queues/q/messages?receiptHandle={second}&visibilityTimeout=60")
    assert answer.status_code == 200 and "NextVisibleTime" in answer.text
    answer = await client("GET", "/queues/q/messages", secret="wrong")
    assert (answer.status_code, "SignatureDoesNotMatch" in answer.text) == (403, True)
    assert (await client("DELETE", "/queues/q")).status_code == 204


async def test_messages_come_and_go_by_the_dozen_and_a_queue_tells_of_itself(server: Server) -> None:
    client, name = Mns(server), {"m": mns_xml.NAMESPACE}
    made = await client("PUT", "/queues/q", "<Queue><VisibilityTimeout>7</VisibilityTimeout></Queue>")
    assert made.headers["location"] == "http://aliyun/queues/q"
    sent = "".join(f"<Message><MessageBody>m{n}</MessageBody><Priority>8</Priority></Message>" for n in range(3))
    answer = await client("POST", "/queues/q/messages", f"<Messages>{sent}</Messages>")
    assert len(ElementTree.fromstring(answer.content).findall("m:Message/m:MessageId", name)) == 3
    answer = await client("GET", "/queues/q/messages?peekonly=true&numOfMessages=16")
    peeked = ElementTree.fromstring(answer.content)
    assert [one.text for one in peeked.findall("m:Message/m:MessageBody", name)] == ["m0", "m1", "m2"]
    assert peeked.findall("m:Message/m:ReceiptHandle", name) == []
    answer = await client("GET", "/queues/q/messages?numOfMessages=2")
    receipts = [one.text for one in ElementTree.fromstring(answer.content).findall("m:Message/m:ReceiptHandle", name)]
    assert "<MessageBody>m2</MessageBody>" in (await client("GET", "/queues/q/messages?peekonly=true")).text

    async def attributes() -> list[str | None]:
        root = ElementTree.fromstring((await client("GET", "/queues/q")).content)
        fields = ("ActiveMessages", "InactiveMessages", "VisibilityTimeout", "MessageRetentionPeriod")
        return [root.findtext(f"m:{field}", namespaces=name) for field in fields]

    assert await attributes() == ["1", "2", "7", "345600"]
    change = "<Queue><MessageRetentionPeriod>60</MessageRetentionPeriod></Queue>"
    assert (await client("PUT", "/queues/q?metaoverride=true", change)).status_code == 204
    assert await attributes() == ["1", "2", "7", "60"]
    assert (await client("PUT", "/queues/other?metaoverride=true", change)).status_code == 404
    handles = "".join(f"<ReceiptHandle>{receipt}</ReceiptHandle>" for receipt in [*receipts, "gone"])
    answer = await client("DELETE", "/queues/q/messages", f"<ReceiptHandles>{handles}</ReceiptHandles>")
    failed = ElementTree.fromstring(answer.content)
    assert answer.status_code == 404
    assert [one.text for one in failed.findall("m:Error/m:ReceiptHandle", name)] == ["gone"]
    assert await attributes() == ["1", "0", "7", "60"]
    for body in ("<ReceiptHandles/>", "<Messages/>"):
        assert (await client("DELETE", "/queues/q/messages", body)).status_code == 400


UTF16 = "<!DOCTYPE x><Message><MessageBody>eA==</MessageBody></Message>".encode("utf-16")


@pytest.mark.parametrize("body", ["", "<a", "<!DOCTYPE x><Message/>", UTF16, "<Messages/>", "<Message/>"])
async def test_what_is_no_message_is_refused(server: Server, body: str | bytes) -> None:
    client = Mns(server)
    await client("PUT", "/queues/q")
    assert (await client("POST", "/queues/q/messages", body)).status_code == 400


@pytest.mark.parametrize("encoding", ["bogus", "gbk", "hex", "utf-16"])
def test_xml_in_an_encoding_that_nobody_can_read_is_malformed(encoding: str) -> None:
    raw = f'<?xml version="1.0" encoding="{encoding}"?><Message><MessageBody>a</MessageBody></Message>'.encode()
    with pytest.raises(mns_xml.MnsError, match="MalformedXML"):
        mns_xml.parsed(raw, "Message")
