"""ZEGO's flow by plain HTTP against a real server, real calls, a real S3 server and a receiver of callbacks."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import storage as servers
from tests.clients.agora_calls import Receiver, receiver
from tests.clients.zego_calls import APP_ID, CALLBACK_SECRET, SERVER_SECRET, Zego, came, fetch, storage, uploaded
from tests.judge import judge
from tests.live.calls import call
from tests.needs import need
from tests.servers import Server, running

BUCKET = "zego"
NODE = Path(__file__).parent / "node" / "zego.js"
ALIBABA_VOD = {
    "Vendor": 5,
    "AlibabaCloudVodParams": {
        "Region": "cn-shanghai",
        "AccessKeyId": "AK",
        "AccessKeySecret": "SK",
        "Title": "Lesson 7",
        "StorageLocation": "outin-x.oss-cn-shanghai.aliyuncs.com",
    },
}
TENCENT_VOD = {"Vendor": 6, "TencentCloudVodParams": {"SecretId": "a", "SecretKey": "b", "Region": "ap-beijing"}}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    need("aiortc", "seaweedfs")
    with running() as made:
        yield made


@pytest.fixture(scope="module")
def s3() -> servers.Server:
    store = servers.seaweedfs()
    servers.bucket(store, BUCKET)
    return store


@pytest.fixture
def back() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def codecs(path: Path) -> dict[str, str]:
    import av

    with av.open(str(path)) as container:
        return {stream.type: stream.codec_context.name for stream in container.streams}


def length_ms(path: Path) -> float:
    """Of the sound, by its packets."""
    import av

    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size and packet.pts is not None]
        return float((packets[-1].pts - packets[0].pts) * packets[0].time_base * 1000)


async def test_single_streams_come_back_as_files_of_their_own(
    server: Server, s3: servers.Server, back: Receiver, tmp_path: Path
) -> None:
    zego = Zego(server)
    with call(server, tmp_path) as room:
        ann = await room.join("ann")
        await room.join("bob")
        begun = zego.ok(
            "StartRecord",
            RoomId=room.room,
            RecordInputParams={
                "RecordMode": 1,
                "RecordStreamList": [{"StreamId": "ann"}],
                "ClientTaskId": "lesson-7",
                "MaxIdleTime": 60,
            },
            RecordOutputParams={"OutputFolder": "/lessons/7", "CallbackUrl": back.url},
            StorageParams=storage(s3, BUCKET),
        )
        task = begun["TaskId"]
        assert len(task) == 16
        again = await asyncio.to_thread(
            zego.ok,
            "StartRecord",
            RoomId=room.room,
            RecordInputParams={"RecordMode": 1, "ClientTaskId": "lesson-7"},
            StorageParams=storage(s3, BUCKET),
        )
        assert again["TaskId"] == task
        resumed = await asyncio.to_thread(
            zego.ok,
            "StartRecord",
            RoomId=room.room,
            RecordInputParams={
                "RecordMode": 1,
                "RecordStreamList": [{"StreamId": "ann"}],
                "ResumeWithoutInterruption": True,
            },
            RecordOutputParams={"OutputFolder": "resumed"},
            StorageParams=storage(s3, BUCKET),
        )
        data = await asyncio.to_thread(zego.wait, task, lambda data: bool(data.get("RecordFiles")))
        assert data["Status"] == 2 and data["RecordEndTimestamp"] == 0
        (now,) = data["RecordFiles"]
        assert (now["StreamId"], now["Status"], now["OutputFileFormat"]) == ("ann", 1, "mp4")
        await asyncio.sleep(4)
        await room.leave(ann)
        await asyncio.sleep(1)
        await room.join("ann")
        await asyncio.to_thread(zego.wait, task, lambda data: len(data["RecordFiles"]) == 2)
        await asyncio.sleep(4)
        assert zego("StopRecord", TaskId=task)["Code"] == 0
        assert zego("StopRecord", TaskId=task)["Code"] == 300001001
        assert zego("StopRecord", TaskId=resumed["TaskId"])["Code"] == 0
        events = await asyncio.to_thread(uploaded, back, task)
        await room.end()
    data = zego.ok("DescribeRecordStatus", TaskId=task)
    assert data["Status"] == 3 and data["RecordEndTimestamp"] > data["RecordBeginTimestamp"]
    files = data["RecordFiles"]
    assert [(one["StreamId"], one["Status"], one["MediaTrackType"]) for one in files] == [("ann", 3, 3)] * 2
    assert files[0]["FileId"] == now["FileId"]
    for one in files:
        begin = time.strftime("%Y%m%d%H%M%S", time.gmtime(one["BeginTimestamp"] // 1000))
        name = f"{task}_{room.room}_ann_ann_VA_{begin}{one['BeginTimestamp'] % 1000:03d}.mp4"
        assert one["FileId"] == name and one["FileUrl"] == f"{s3.url}/{BUCKET}/lessons/7/{name}"
        path = fetch(s3, BUCKET, f"lessons/7/{name}", tmp_path)
        assert path.stat().st_size == one["FileSize"]
        assert codecs(path) == {"video": "h264", "audio": "aac"}
        verdict = judge(path)
        assert verdict.problems() == [], verdict.summary()
        assert (one["ResolutionWidth"], one["ResolutionHeight"]) == (320, 180)
    assert [event["event_type"] for event in events] == [5, 7, 1]
    assert [event["sequence"] for event in events] == [0, 1, 2]
    assert [one["file_id"] for one in events[-1]["detail"]["file_info"]] == [one["FileId"] for one in files]
    there = await asyncio.to_thread(
        zego.wait, resumed["TaskId"], lambda data: all(one["Status"] == 3 for one in data["RecordFiles"])
    )
    (whole,) = there["RecordFiles"]  # what the two files have, without what was between them
    assert abs(whole["Duration"] - sum(one["Duration"] for one in files)) < 700
    path = fetch(s3, BUCKET, f"resumed/{whole['FileId']}", tmp_path)
    assert codecs(path) == {"video": "h264", "audio": "aac"} and abs(length_ms(path) - whole["Duration"]) < 100
    now_ms = int(time.time() * 1000)
    listed = zego.ok("DescribeTasks", Status=3, RoomId=room.room, StartTime=now_ms - 3_600_000, EndTime=now_ms)
    assert [(one["TaskId"], one["Status"]) for one in listed["TaskidList"]] == [(resumed["TaskId"], 3), (task, 3)]


async def test_a_killed_recorder_goes_on_with_the_file_of_the_stream_that_came_back(
    server: Server, s3: servers.Server, back: Receiver, tmp_path: Path
) -> None:
    zego = Zego(server)
    with call(server, tmp_path) as room:
        ann = await room.join("ann")
        task = zego.ok(
            "StartRecord",
            RoomId=room.room,
            RecordInputParams={"RecordMode": 1},
            RecordOutputParams={"OutputFolder": "killed/", "CallbackUrl": back.url},
            StorageParams=storage(s3, BUCKET),
        )["TaskId"]
        await asyncio.sleep(4)
        await room.leave(ann)
        await asyncio.sleep(1)
        await room.join("ann")
        await asyncio.to_thread(zego.wait, task, lambda data: len(data.get("RecordFiles", ())) == 2)
        await asyncio.sleep(3)
        (recorder,) = server.recorders().values()
        os.kill(recorder, signal.SIGKILL)
        await asyncio.sleep(5)
        assert zego("StopRecord", TaskId=task)["Code"] == 0
        events = await asyncio.to_thread(uploaded, back, task)
        await room.end()
    files = events[-1]["detail"]["file_info"]
    assert len(files) == 2, files
    for one in files:
        verdict = judge(fetch(s3, BUCKET, f"killed/{one['file_id']}", tmp_path))
        assert verdict.problems() == [], verdict.summary()
    assert files[1]["duration"] > 7000


async def test_sound_and_picture_apart_and_hls_in_real_time(
    server: Server, s3: servers.Server, back: Receiver, tmp_path: Path
) -> None:
    zego = Zego(server)
    with call(server, tmp_path) as room:
        await room.join("ann")

        def start(output: dict[str, Any], **params: Any) -> str:
            data = zego.ok(
                "StartRecord",
                RoomId=room.room,
                RecordInputParams={"RecordMode": 1, "FillBlank": True, **params},
                RecordOutputParams={"OutputFolder": "apart/", "CallbackUrl": back.url, **output},
                StorageParams=storage(s3, BUCKET),
            )
            return str(data["TaskId"])

        mp4 = start({"OutputFileFormat": "mp4"}, StreamType=4)
        hls = start({"OutputFileFormat": "hls", "FragmentSeconds": 2, "RealtimeUploadFragment": True})
        ogg = start({"OutputFileFormat": "ogg"}, StreamType=1)
        video = {"Width": 320, "Height": 180, "Fps": 10, "Bitrate": 200_000}
        config = {"MixOutputStreamId": "mix", "MixOutputVideoConfig": video}
        mix = start({"OutputFileFormat": "hls"}, RecordMode=2, StreamType=4, MixConfig=config)
        tasks = (mp4, hls, ogg, mix)
        await asyncio.to_thread(came, back, hls, 102)
        await asyncio.sleep(4)
        playlists = await asyncio.to_thread(came, back, hls, 102)
        for task in tasks:
            assert zego("StopRecord", TaskId=task)["Code"] == 0
        ended = {task: (await asyncio.to_thread(uploaded, back, task))[-1]["detail"] for task in tasks}
        await room.end()
    assert all(detail["upload_status"] == 1 for detail in ended.values())
    video, audio = sorted(ended[mp4]["file_info"], key=lambda one: one["file_id"].rpartition(".")[2], reverse=True)
    assert (video["output_file_format"], video["media_track_type"]) == ("mp4", 2)
    assert (audio["output_file_format"], audio["media_track_type"]) == ("aac", 1)
    assert codecs(fetch(s3, BUCKET, f"apart/{video['file_id']}", tmp_path)) == {"video": "h264"}
    assert codecs(fetch(s3, BUCKET, f"apart/{audio['file_id']}", tmp_path)) == {"audio": "aac"}
    assert "_V_" in video["file_id"] and "_A_" in audio["file_id"]
    sound, pictures_ = sorted(ended[mix]["file_info"], key=lambda one: one["media_track_type"])
    assert (sound["output_file_format"], pictures_["output_file_format"]) == ("aac", "hls")
    assert "_A_" in sound["file_id"] and "_V_" in pictures_["file_id"] and pictures_["media_track_type"] == 2
    assert codecs(fetch(s3, BUCKET, f"apart/{sound['file_id']}", tmp_path)) == {"audio": "aac"}
    listed = fetch(s3, BUCKET, f"apart/{pictures_['file_id']}", tmp_path).read_text().splitlines()
    segment = next(line for line in listed if line.endswith(".ts"))
    assert codecs(fetch(s3, BUCKET, f"apart/{segment}", tmp_path)) == {"video": "h264"}
    (sound,) = ended[ogg]["file_info"]
    assert codecs(fetch(s3, BUCKET, f"apart/{sound['file_id']}", tmp_path)) == {"audio": "opus"}
    (playlist,) = ended[hls]["file_info"]
    assert [event["detail"]["file_id"] for event in playlists] == [playlist["file_id"]]
    text = fetch(s3, BUCKET, f"apart/{playlist['file_id']}", tmp_path).read_text()
    stem = playlist["file_id"].removesuffix(".m3u8").rpartition("_")[0]
    segments = [line for line in text.splitlines() if line.endswith(".ts")]
    assert len(segments) >= 2 and all(line.startswith(stem) for line in segments)
    assert playlist["duration"] >= 4000 and playlist["resolution_width"] == 320


async def test_a_vendors_library_is_the_apps_own_and_wrong_keys_are_told_of(
    server: Server, s3: servers.Server, back: Receiver, tmp_path: Path
) -> None:
    zego = Zego(server)
    with call(server, tmp_path) as room:
        await room.join("ann")
        refused = zego.ok(
            "StartRecord",
            RoomId=room.room,
            RecordInputParams={"RecordMode": 1},
            RecordOutputParams={"CallbackUrl": back.url},
            StorageParams={**storage(s3, BUCKET), "AccessKeySecret": "not-the-secret"},
        )["TaskId"]
        tasks = [
            zego.ok(
                "StartRecord",
                RoomId=room.room,
                RecordInputParams={"RecordMode": 1},
                RecordOutputParams={"OutputFolder": "vod", "CallbackUrl": back.url},
                StorageParams=params,
            )["TaskId"]
            for params in (ALIBABA_VOD, TENCENT_VOD)
        ]
        await asyncio.sleep(5)
        assert [zego("StopRecord", TaskId=task)["Code"] for task in (refused, *tasks)] == [0, 0, 0]
        told_of = [(await asyncio.to_thread(uploaded, back, task))[-1]["detail"]["file_info"] for task in tasks]
        delayed = (await asyncio.to_thread(uploaded, back, refused))[-1]["detail"]
        await room.end()
    (kept,), (file,) = delayed["file_info"], zego.ok("DescribeRecordStatus", TaskId=refused)["RecordFiles"]
    assert (delayed["upload_status"], kept["status"], file["Status"]) == (2, 4, 4)
    assert (kept["file_id"], kept["file_url"]) == (file["FileId"], file["FileUrl"])
    for task, (told_file,) in zip(tasks, told_of, strict=True):
        (file,) = zego.ok("DescribeRecordStatus", TaskId=task)["RecordFiles"]
        assert (file["Status"], file["VideoId"]) == (3, told_file["video_id"]) and file["VideoId"].isdigit()
        if task == tasks[0]:
            assert "FileUrl" not in file and "file_url" not in told_file
        else:
            path = tmp_path / file["FileId"]
            path.write_bytes(httpx.get(file["FileUrl"], trust_env=False, timeout=30).raise_for_status().content)
            assert judge(path).problems() == []


async def test_a_task_in_an_empty_room_ends_by_itself(server: Server, s3: servers.Server, back: Receiver) -> None:
    zego = Zego(server)
    task = zego.ok(
        "StartRecord",
        RoomId="nobody-is-here",
        RecordInputParams={"RecordMode": 1, "MaxIdleTime": 17},
        RecordOutputParams={"CallbackUrl": back.url},
        StorageParams=storage(s3, BUCKET),
    )["TaskId"]
    events = await asyncio.to_thread(uploaded, back, task, 60)
    assert [event["event_type"] for event in events] == [4, 2, 1]
    assert events[1]["detail"] == {"quit_reason": 3}
    assert events[2]["detail"] == {"upload_status": 1, "file_info": []}
    data = zego.ok("DescribeRecordStatus", TaskId=task)
    assert data["Status"] == 4 and "RecordFiles" not in data
    assert zego("StopRecord", TaskId=task)["Code"] == 300001001


async def test_a_mix_is_paused_laid_out_anew_and_uploaded(
    server: Server, s3: servers.Server, back: Receiver, tmp_path: Path
) -> None:
    zego = Zego(server)
    with call(server, tmp_path) as room:
        await room.join("ann")
        await room.join("bob", participant=6)
        task = zego.ok(
            "StartRecord",
            RoomId=room.room,
            RecordInputParams={
                "RecordMode": 2,
                "MixConfig": {
                    "RecordSoundWave": True,
                    "MixOutputStreamId": "mix7",
                    "MixOutputVideoConfig": {"Width": 640, "Height": 360, "Fps": 15, "Bitrate": 500_000},
                    "MixOutputBackgroundImage": f"{s3.url}/there-is-no-such-image",
                },
            },
            RecordOutputParams={"OutputFolder": "mixed/", "CallbackUrl": back.url},
            StorageParams=storage(s3, BUCKET),
        )["TaskId"]
        await asyncio.to_thread(zego.wait, task, lambda data: bool(data.get("RecordFiles")))
        await asyncio.sleep(5)
        assert zego("PauseRecord", TaskId=task)["Code"] == 0
        assert zego.ok("DescribeRecordStatus", TaskId=task)["Status"] == 5
        assert zego("UpdateLayout", TaskId=task, MixMode=3, MixMaxResolutionStreamId="bob")["Code"] == 0
        await asyncio.sleep(1)
        assert zego("ResumeRecord", TaskId=task)["Code"] == 0
        assert zego("ResumeRecord", TaskId=task)["Code"] == 300001004
        await asyncio.sleep(5)
        assert zego("StopRecord", TaskId=task)["Code"] == 0
        events = await asyncio.to_thread(uploaded, back, task, 60)
        await room.end()
    assert [event["event_type"] for event in events] == [3, 201, 202, 5, 7, 1]
    assert events[0]["detail"] == {"image_type": 1, "image_url": f"{s3.url}/there-is-no-such-image"}
    (file,) = events[-1]["detail"]["file_info"]
    assert file["file_id"].startswith(f"{task}_{room.room}_mix7_VA_")
    assert (file["user_id"], file["stream_id"], file["resolution_width"]) == ("mix7", "mix7", 640)
    path = fetch(s3, BUCKET, f"mixed/{file['file_id']}", tmp_path)
    assert codecs(path) == {"video": "h264", "audio": "aac"}
    wave = fetch(s3, BUCKET, f"mixed/{file['file_id'].removesuffix('mp4')}sw", tmp_path)
    seconds = [json.loads(line) for line in wave.read_text().splitlines()]
    assert [one["time"] for one in seconds] == list(range(1, len(seconds) + 1))
    assert abs(len(seconds) - file["duration"] / 1000) <= 1
    heard = seconds[len(seconds) // 2]["sound_wave"]
    assert sorted(one["stream_id"] for one in heard) == ["ann", "bob"] and all(one["volume"] > 20 for one in heard)
    first, last = corners(path)
    # Side by side at first; then bob large at the bottom and ann in the upper left quarter of a quarter.
    assert first == {"left": True, "right": True}
    assert last == {"left": True, "right": False}


async def test_a_node_client_as_the_vendor_documents_it(server: Server, s3: servers.Server, tmp_path: Path) -> None:
    need("node")
    given = {
        "url": server.url,
        "app": APP_ID,
        "secret": SERVER_SECRET,
        "callbackSecret": CALLBACK_SECRET,
        "storage": storage(s3, BUCKET),
    }
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    with call(server, tmp_path) as room:
        await room.join("ann")
        await room.join("bob", participant=6)
        done = await asyncio.to_thread(
            subprocess.run,
            ["node", str(NODE), json.dumps(given | {"room": room.room})],
            capture_output=True, text=True, timeout=120, env=environment,
        )  # fmt: skip
        await room.end()
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout)
    assert (said["wrong"]["Code"], said["unknown"]["Code"]) == (100000005, 300001000)
    calls = [said[name] for name in ("single", "mixed", "paused", "resumed", "layout", "running", "ended")]
    assert [one["Code"] for one in (*calls, *said["stopped"])] == [0] * 9 and said["whilePaused"] == 5
    tasks = [said[name]["Data"]["TaskId"] for name in ("mixed", "single")]  # the newest first
    for listed in (said["running"], said["ended"]):
        assert [one["TaskId"] for one in listed["Data"]["TaskidList"]] == tasks
    single, mixed = said["told"]
    assert all(event["right"] for event in (*single, *mixed))
    assert [event["type"] for event in single] == [6, 5, 7, 1]
    assert single[0]["detail"] == {"stream_id": "nobody"}
    assert [event["type"] for event in mixed] == [201, 202, 5, 7, 1]
    for events, data, stream in ((single, said["status"][0], "ann"), (mixed, said["status"][1], "mix")):
        assert [event["sequence"] for event in events] == list(range(len(events)))
        (info,), (file,) = events[-1]["detail"]["file_info"], data["RecordFiles"]
        assert (info["file_id"], info["stream_id"], info["status"]) == (file["FileId"], stream, 3)
        assert codecs(fetch(s3, BUCKET, f"node/{file['FileId']}", tmp_path)) == {"video": "h264", "audio": "aac"}


async def test_who_leaves_a_mix_keeps_their_view_or_gives_it_away(
    server: Server, s3: servers.Server, back: Receiver, tmp_path: Path
) -> None:
    zego = Zego(server)
    with call(server, tmp_path) as room:
        await room.join("ann")
        bob = await room.join("bob", participant=6)
        tasks = [
            zego.ok(
                "StartRecord",
                RoomId=room.room,
                RecordInputParams={
                    "RecordMode": 2,
                    "FillBlank": fill_blank,
                    "MixConfig": {
                        "MixOutputStreamId": "mix",
                        "MixOutputVideoConfig": {"Width": 640, "Height": 180, "Fps": 10, "Bitrate": 500_000},
                    },
                },
                RecordOutputParams={"OutputFolder": "left", "CallbackUrl": back.url},
                StorageParams=storage(s3, BUCKET),
            )["TaskId"]
            for fill_blank in (True, False)
        ]
        await asyncio.sleep(4)
        await room.leave(bob)
        await asyncio.sleep(4)
        for task in tasks:
            assert zego("StopRecord", TaskId=task)["Code"] == 0
        files = [(await asyncio.to_thread(uploaded, back, task, 60))[-1]["detail"]["file_info"] for task in tasks]
        await room.end()
    stays, goes = (pictures(fetch(s3, BUCKET, f"left/{file['file_id']}", tmp_path)) for (file,) in files)
    # His last picture stands still beside hers; without it hers has the whole canvas, cropped.
    assert differ(stays[-5][:, 320:], stays[-20][:, 320:]) < 3 < differ(stays[-5][:, :320], stays[-20][:, :320])
    assert stays[-5][:, 320:].max() > 60
    assert differ(goes[-5], stays[-5]) > 10
    both = (goes[10], stays[10])  # of two recordings that began one after the other: the same views, other moments
    assert all(picture[:, half].max() > 60 for picture in both for half in (slice(0, 320), slice(320, 640)))
    assert differ(goes[10][:, 320:], goes[-5][:, 320:]) > 10


def pictures(path: Path) -> list[Any]:
    import av

    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray").astype(int) for frame in container.decode(video=0)]


def differ(one: Any, other: Any) -> float:
    """The mean difference of two pictures, 0 to 255."""
    return float(abs(one - other).mean())


def corners(path: Path) -> tuple[dict[str, bool], dict[str, bool]]:
    """Of an early and a late picture: whether something is seen at the upper left, and at the upper right."""
    shown = pictures(path)

    def seen(picture: Any) -> dict[str, bool]:
        # Tiles of 2 x 1 have their pictures cropped: looked at where the large view of layout 3 has its bars or none.
        return {"left": bool(picture[10:80, 10:150].max() > 60), "right": bool(picture[10:80, 490:630].max() > 60)}

    return seen(shown[30]), seen(shown[-10])
