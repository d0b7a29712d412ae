"""Alibaba Cloud's actions on the real use cases, with a database in memory and recorders that only take notes. Tests
nothing."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
from fastapi import FastAPI

from reelroom.config import Settings
from reelroom.control.apps import Apps
from reelroom.control.changes import Changes
from reelroom.control.queues import Queues
from reelroom.control.recordings import Recordings
from reelroom.control.rules import Rules
from reelroom.control.starts import Starts
from reelroom.control.templates import Templates
from reelroom.dialects import dispatch
from reelroom.dialects.aliyun import auth
from reelroom.dialects.aliyun.routes import Dialect
from reelroom.dialects.aliyun_rtc import mns
from reelroom.store.db import Database
from reelroom.store.secrets import SecretBox
from tests import memory
from tests.unit.agora_server import KEY, Recorders, Rooms

ID, SECRET = "dev", "dev-secret"
LIVE, RTC = "2016-11-01", "2018-01-11"

#: Starts of the newer API.
CODING = {
    "AudioBitrate": 128, "AudioChannels": 2, "AudioSampleRate": 48000, "VideoCodec": "H.264", "VideoBitrate": 1500,
    "VideoFramerate": 20, "VideoGop": 20, "VideoWidth": 1280, "VideoHeight": 720,
}  # fmt: skip
PANE = {"UserId": "userA", "X": "0", "Y": "0", "Width": "0.5", "Height": "1", "ZOrder": 1}
OSS = {"OSSEndpoint": "oss-cn-shanghai.aliyuncs.com", "OSSBucket": "rec"}
REQUEST: dict[str, Any] = {
    "AppId": "dev",
    "ChannelId": "room1024",
    "SubscribeParams": {"SubscribeUserIdList": [{"UserId": "userA"}, {"UserId": "userB", "StreamType": 1}]},
    "RecordParams": {"RecordMode": 0},
    "StorageParams": {"StorageType": 1, "OSSParams": OSS},
}
MIXED: dict[str, Any] = REQUEST | {
    "RecordParams": {"RecordMode": 1, "MaxFileDuration": 3600},
    "MixTranscodeParams": CODING,
    "MixLayoutParams": {"UserPanes": [PANE]},
}
#: A template and a task of the older one.
PREFIX = "record/{AppId}/{ChannelId_TaskId}/{EscapedStartTime}_{EscapedEndTime}"
TEMPLATE = {
    "AppId": "dev",
    "Name": "demo",
    "Formats.1": "m3u8",
    "Formats.2": "MP4",
    "LayoutIds.1": "2",
    "LayoutIds.2": "6",
    "MediaEncode": "20",
    "TaskProfile": "4IN_1080P",
    "OssBucket": "rec",
    "OssFilePrefix": PREFIX,
    "FileSplitInterval": "1800",
    "HttpCallbackUrl": "http://127.0.0.1:9/cb",
}
TASK = {"AppId": "dev", "ChannelId": "room[1]", "TaskId": "task-001"}


def wire(request: dict[str, Any]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in request.items()}


def signed(version: str, action: str, parameters: dict[str, str], **common: str) -> dict[str, str]:
    """Parameters with what signature V1 wants."""
    given = {
        "Action": action,
        "Version": version,
        "Format": "JSON",
        "AccessKeyId": ID,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": uuid.uuid4().hex,
        "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **common,
        **parameters,
    }
    text = auth.v1_string_to_sign("POST", list(given.items()))
    return given | {"Signature": auth.v1_signature(SECRET, text)}


class Server(SimpleNamespace):
    http: httpx.AsyncClient
    recorders: Recorders
    rooms: Rooms
    database: Database
    apps: Apps
    rules: Rules
    queues: Queues
    templates: Templates
    starts: Starts
    app: FastAPI

    def forget(self) -> None:
        """As after a restart: what a dialect has in memory is gone."""
        self.app.state.dialects = {}

    async def call(self, version: str, action: str, parameters: dict[str, str], **common: str) -> httpx.Response:
        return await self.http.post("/", data=signed(version, action, parameters, **common))

    async def live(self, action: str, **parameters: str) -> httpx.Response:
        return await self.call(LIVE, f"{action}", parameters)

    async def rtc(self, action: str, **parameters: str) -> httpx.Response:
        return await self.call(RTC, action, parameters)


@contextlib.asynccontextmanager
async def serving(recordings: Path = Path("/nowhere"), **more: Any) -> AsyncIterator[Server]:
    """For the app `dev`, whose files go to its own storage, without a limit of requests."""
    database = await memory.database()
    settings = Settings(dev=True, data=Path("/nowhere"))  # type: ignore[call-arg]
    box, recorders, rooms = SecretBox(KEY), Recorders(database, recordings), Rooms()
    rooms.identities = ["userA"]
    apps = Apps(database, box)
    await apps.ensure_dev()
    templates = Templates(database, box)
    context = SimpleNamespace(
        settings=settings,
        database=database,
        box=box,
        apps=apps,
        recordings=Recordings(settings, database, recorders, Changes(), SimpleNamespace()),  # type: ignore[arg-type]
        starts=Starts(settings, database, box, recorders),  # type: ignore[arg-type]
        rooms=rooms,
        templates=templates,
        rules=Rules(database, templates),
        queues=Queues(database),
        uploader=SimpleNamespace(poke=lambda recording: None),
        **more,
    )
    app = FastAPI()
    app.state.context = context
    app.include_router(dispatch.router([Dialect]))
    app.include_router(mns.router)
    (await apps.list())[0].defaults |= {
        "aliyun_live": {"requests_per_second": 0, "storage": "app"},
        "aliyun_rtc": {"requests_per_second": 0, "storage": "app"},
    }
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://aliyun") as http:
        yield Server(
            http=http, recorders=recorders, rooms=rooms, database=database, apps=apps, rules=context.rules,
            queues=context.queues, templates=templates, starts=context.starts, app=app,
        )  # fmt: skip
    await database.close()


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    body = dict(answer.json())
    assert (answer.status_code, body.get("Code")) == (status, code), answer.text
    assert body["RequestId"] == answer.headers["x-acs-request-id"]
    return body
