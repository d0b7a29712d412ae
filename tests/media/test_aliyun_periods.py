"""An hour of an Alibaba Cloud RTC task, faster than the clock: its periods, their names, and an index of a chosen time,
from real frames through a real recorder to the storage."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from reelroom.control.apps import AppContext
from reelroom.dialects.aliyun_rtc import callbacks, translate
from reelroom.dialects.aliyun_rtc.routes import Rtc
from reelroom.dialects.aliyun_rtc.times import iso
from reelroom.dialects.aliyun_rtc.wire import StartTask, TemplateRequest, parse
from reelroom.domain import lines
from reelroom.domain.media import TrackInfo
from reelroom.domain.recording import Source
from reelroom.record import paths
from reelroom.store import tables
from tests.fakebus import FakeBus, Track, video_frames
from tests.journals import House
from tests.media.recorderkit import Fleet, Recording
from tests.needs import need
from tests.unit.aliyun_server import TASK, TEMPLATE

S = 1_000_000_000
LENGTH_S = 3700  # two whole periods and a short one
BASE = "http://rec.oss-cn-shanghai.aliyuncs.com/"
NAMED = r"record/dev/room_task-001/(20\d\d(?:-\d\d){5})_(20\d\d(?:-\d\d){5})_userA\.(m3u8|mp4)"
KEYS = {"app_id": "dev", "access_key_id": "k", "access_key_secret": "s"}
APP = AppContext("app", {"aliyun": KEYS}, {"aliyun_rtc": {"storage": "app"}})


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    made = Fleet()
    yield made
    made.close()


def slow_camera(start_ns: int) -> Track:
    """A picture a second, every tenth a key frame."""
    info = TrackInfo(
        track=1, identity="userA", source=Source.CAMERA, codec="h264", clock_rate=90_000, session="s1"
    )  # fmt: skip
    return Track(info, video_frames(4, gop=10), S, start_ns)


def seconds(path: Path) -> float:
    command = ["ffprobe", "-v", "error", "-allowed_extensions", "ALL", "-count_packets", "-show_entries"]
    command += ["stream=nb_read_packets", "-of", "json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["streams"][0]["nb_read_packets"])  # one a second


async def test_an_hour_has_a_playlist_and_a_file_for_each_period_and_an_index_of_any_part(fleet: Fleet) -> None:
    need("ffprobe")
    template = parse(TemplateRequest, {
        **{name: value for name, value in TEMPLATE.items() if "." not in name},
        "Formats": ["m3u8", "mp4"], "LayoutIds": [1], "EnableM3u8DateTime": True,
    })  # fmt: skip
    task = parse(StartTask, {**TASK, "ChannelId": "room", "TemplateId": "t", "MixMode": 0, "SourceType": "camera"})
    begin_ns = time.time_ns() - LENGTH_S * S
    recording = Recording(fleet)
    spec, _ = translate.spec(template, task, {}, APP, recording.id, begin_ns)
    recording.spec = spec
    recording.where.spec.write_bytes(msgspec.json.encode(spec))
    bus = FakeBus(paths.ingest_socket(fleet.run, 0), [slow_camera(begin_ns)], ring_ns=2 * LENGTH_S * S)
    try:
        recording.start()
        async with House(fleet.data) as house:
            async with house.database.transaction() as session:
                session.add(
                    tables.Recording(
                        id=spec.id, app="app", room="room", mode="individual", state="starting",
                        spec=msgspec.to_builtins(spec), created_ns=begin_ns, dialect="aliyun_rtc",
                        dialect_data={"app_id": "dev", "task": "task-001", "url_base": BASE[:-1]}, task="task-001",
                    )
                )  # fmt: skip

            async def recorded() -> bool:
                return len(recording.segments()) >= LENGTH_S // 30 - 1

            await house.until(recorded, 120)
            recording.say(lines.Stop(at_ns=time.time_ns()))
            await house.until_state(spec.id, timeout_s=120)
            await judge(house, begin_ns)
    finally:
        bus.close()


async def judge(house: House, begin_ns: int) -> None:
    context: Any = SimpleNamespace(database=house.database, uploader=house.uploader)
    rtc = Rtc(context)

    async def call(action: str, **given: Any) -> dict[str, Any]:
        return await rtc.actions[action](APP, {"AppId": "dev", **given})

    found = (await call("DescribeRecordFiles", TaskIds=["task-001"], PageSize="100"))["RecordFiles"]
    keys = {one["Url"].removeprefix(BASE): one for one in found}
    names = {key: re.fullmatch(NAMED, key) for key in keys}
    assert all(names.values()), names
    for format_ in ("m3u8", "mp4"):
        periods = sorted((name[1], name[2], key) for key, name in names.items() if name and name[3] == format_)
        assert len(periods) == 3
        assert [one[0] for one in periods[1:]] == [one[1] for one in periods[:-1]]  # they share the boundary's second
        lengths = [keys[key]["Duration"] for *_, key in periods]
        assert [round(length) for length in lengths[:2]] == [1800, 1800] and 90 < lengths[2] < 200
        assert [seconds(house.storage / key) for *_, key in periods[:2]] == [1800, 1800]
    playlist = (house.storage / sorted(key for key in keys if key.endswith(".m3u8"))[1]).read_text()
    assert playlist.count("#EXTINF") == playlist.count("#EXT-X-PROGRAM-DATE-TIME") == 60
    assert playlist.endswith("#EXT-X-ENDLIST\n") and "#EXTINF:30.0" in playlist
    playlists = {str(path.relative_to(house.storage)) for path in house.storage.rglob("*.m3u8")}
    (whole,) = playlists - keys.keys()
    total = sum(keys[key]["Duration"] for key in keys if key.endswith(".m3u8"))
    assert abs(seconds(house.storage / whole) - total) <= 1
    told = await notifications(house)
    assert sorted(one["Url"] for one in told) == sorted(one["Url"] for one in found)
    part = {"StartTime": iso(begin_ns + 1500 * S), "EndTime": iso(begin_ns + 2100 * S)}  # over a boundary
    (info,) = (await call("CreateRecordIndexFiles", TaskId="task-001", **part))["RecordInfos"]
    assert 600 <= info["Duration"] <= 660
    made = house.storage / info["OssObject"]

    async def there() -> bool:
        return made.is_file()

    await house.until(there)
    assert seconds(made) == info["Duration"]
    assert len((await call("DescribeRecordFiles", TaskIds=["task-001"]))["RecordFiles"]) == len(found)


async def notifications(house: House) -> list[dict[str, Any]]:
    async with house.database.reading() as session:
        events = (await session.scalars(select(tables.Event).order_by(tables.Event.seq))).all()
        row = (await session.scalars(select(tables.Recording))).one()
    made = [callbacks.render(event, row, {"url": "http://x"}, APP) for event in events]
    return [json.loads(one.body) for one in made if one is not None]
