"""Alibaba Cloud Live's notifications: envelope, signature, which event is which, and the vendor's rule of retries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from reelroom.deliver.callbacks import Callbacks
from reelroom.deliver.request import Result
from reelroom.dialects.aliyun_live import callbacks
from reelroom.dialects.aliyun_live.callbacks import render, signature
from reelroom.domain.events import Rendered
from reelroom.store import tables
from reelroom.store.db import Database
from reelroom.store.secrets import SecretBox
from tests.unit.agora_server import KEY

AT = 1_748_417_138_123_000_000
ID = "0b1f6c7385014c0e8ac172295a5d1e10"
TASK = "0b1f6c73-8501-4c0e-8ac1-72295a5d1e10"


def row(*formats: str) -> tables.Recording:
    return tables.Recording(id=ID, room="room1024", dialect_data={"app_id": "myapp", "formats": list(formats)})


def told(type_: str, data: dict[str, Any], *formats: str, key: str = "") -> list[Rendered]:
    event = tables.Event(id="e", type=type_, data=data, at_ns=AT)
    return render(event, row(*formats), {"url": "http://x/cb", "secret": key}, None, now_ns=AT)


def test_the_signature_is_the_vendors() -> None:
    assert signature("1748417138", "mytestkeymytestkey") == "91c9ec5c07bb529c68f9ad95fd775a9b"


def test_a_start_is_three_notifications_with_the_vendors_envelope() -> None:
    made = told("recording.started", {}, key="mytestkeymytestkey")
    assert [json.loads(one.body)["eventType"] for one in made] == ["TaskCreated", "TaskStarting", "TaskRunning"]
    assert json.loads(made[0].body) == {
        "appId": "myapp", "channelId": "room1024", "taskId": TASK, "eventType": "TaskCreated",
        "callbackTs": 1748417138123, "payload": "{}",
    }  # fmt: skip
    assert made[0].headers == {
        "Content-Type": "application/json",
        "ALI-LIVE-TIMESTAMP": "1748417138",
        "ALI-LIVE-SIGNATURE": "91c9ec5c07bb529c68f9ad95fd775a9b",
    }
    assert told("recording.started", {})[0].headers == {"Content-Type": "application/json"}


def test_a_recorder_that_took_over_from_one_that_died_is_told_as_a_recovery() -> None:
    made = told("recording.recovered", {})
    assert [json.loads(one.body)["eventType"] for one in made] == ["TaskRecovering", "TaskRunning"]


def test_files_are_told_of_when_they_are_whole_and_asked_for() -> None:
    mp4 = {"format": "mp4", "role": "file", "key": "t/a.mp4"}
    hls = {"format": "hls", "role": "playlist", "key": "t/a.m3u8", "ended": False}
    assert told("file.uploaded", mp4) == told("file.uploaded", hls, "hls") == told("gap", {}) == []
    (one,) = told("file.uploaded", mp4, "mp4")
    said = json.loads(one.body)
    assert (said["eventType"], json.loads(said["payload"])) == (
        "RecordFileUploaded", {"format": "MP4", "fileName": "t/a.mp4"},
    )  # fmt: skip
    assert len(told("file.uploaded", hls | {"ended": True}, "hls")) == 1


class Poster:
    """Answers what it is told to, and keeps what was posted."""

    def __init__(self, *statuses: int | None) -> None:
        self.statuses = list(statuses)
        self.posted: list[str] = []

    async def post(self, request: Rendered) -> Result:
        self.posted.append(json.loads(request.body)["eventType"])
        status = self.statuses.pop(0) if self.statuses else 200
        return Result(status, "" if status == 200 else "refused", 1)

    async def close(self) -> None:
        pass


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    async with database.engine.begin() as connection:
        await connection.run_sync(tables.Base.metadata.create_all)
    yield database
    await database.close()


async def become(database: Database, state: str) -> None:
    """Wait until the event is in that state."""
    for _ in range(2400):
        async with database.reading() as session:
            now = await session.scalar(select(tables.Event.state))
        if now == state:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(now)


@pytest.mark.parametrize(
    ("statuses", "posted", "state"),
    [
        ([503], ["TaskStopping", "TaskStopping"], "delivered"),
        ([None], ["TaskStopping", "TaskStopping"], "delivered"),
        ([500, 500], ["TaskStopping", "TaskStopping"], "given_up"),
        ([404], ["TaskStopping"], "given_up"),
    ],
)
async def test_it_is_sent_once_more_and_only_when_there_was_no_proper_answer(
    database: Database, statuses: list[int | None], posted: list[str], state: str
) -> None:
    poster, box = Poster(*statuses), SecretBox(KEY)
    async with database.transaction() as session:
        session.add(
            tables.Recording(
                id=ID, app="dev", room="room1024", mode="individual", state="finishing", spec={}, dialect="aliyun_live",
                dialect_data={"app_id": "myapp", "formats": []}, created_ns=AT,
                callback=box.seal({"url": "http://x/cb", "secret": "", "events": None, "extra": {}}),
            )
        )  # fmt: skip
        await session.flush()
        data = {"reason": "requested"}
        session.add(tables.Event(id="e", recording=ID, app="dev", seq=1, type="recording.stopped", at_ns=AT, data=data))

    async def nobody(_: str) -> None:
        return None

    sender = Callbacks(database, box, poster, nobody)  # type: ignore[arg-type]
    await sender.start()
    try:
        await become(database, state)
    finally:
        await sender.stop()
    assert poster.posted == posted


def test_four_hundreds_are_final() -> None:
    assert [callbacks.worth_another(status) for status in (None, 500, 503, 404, 302)] == [
        True,
        True,
        True,
        False,
        False,
    ]
