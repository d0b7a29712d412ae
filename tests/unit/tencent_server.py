"""Tencent's actions on the real use cases, a database in memory, recorders that only take notes. Tests nothing."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import httpx
from fastapi import FastAPI
from sqlalchemy import select

from reelroom.config import Settings
from reelroom.control.apps import Apps
from reelroom.control.changes import Changes
from reelroom.control.library import Library
from reelroom.control.recordings import Recordings
from reelroom.control.starts import Starts
from reelroom.dialects import dispatch
from reelroom.dialects.tencent.routes import TRTC, VOD, Dialect
from reelroom.store import tables
from reelroom.store.db import Database
from reelroom.store.secrets import SecretBox
from tests import memory
from tests.unit.agora_server import KEY, Recorders, Rooms

SDK_APP_ID = 1_400_000_000
ID, SECRET = "dev", "dev-secret"
HOST = "tencent"
COS = {
    "Vendor": 0,
    "Region": "ap-guangzhou",
    "Bucket": "rec-1250000000",
    "AccessKey": "AK-not-to-be-shown",
    "SecretKey": "SK-not-to-be-shown",
    "FileNamePrefix": ["school", "math"],
}


def create(**more: Any) -> dict[str, Any]:
    """A CreateCloudRecording of single streams into object storage, with `more` put in."""
    return {
        "SdkAppId": SDK_APP_ID,
        "RoomId": "1001",
        "UserId": "recorder_1001",
        "UserSig": "eJxSIG",
        "RecordParams": {"RecordMode": 1},
        "StorageParams": {"CloudStorage": COS},
        **more,
    }


def mixed(**more: Any) -> dict[str, Any]:
    return create(**{"RecordParams": {"RecordMode": 2}, **more})


def authorization(body: bytes, stamp: int, service: str = "trtc", secret: str = SECRET, host: str = HOST) -> str:
    """TC3 as the vendor describes it, written from the description alone."""

    def mac(key: bytes, text: str) -> bytes:
        return hmac.new(key, text.encode(), hashlib.sha256).digest()

    date = datetime.fromtimestamp(stamp, UTC).strftime("%Y-%m-%d")
    request = f"POST\n/\n\ncontent-type:application/json\nhost:{host}\n\ncontent-type;host\n"
    request += hashlib.sha256(body).hexdigest()
    scope = f"{date}/{service}/tc3_request"
    text = f"TC3-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = mac(mac(mac(f"TC3{secret}".encode(), date), service), "tc3_request")
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return f"TC3-HMAC-SHA256 Credential={ID}/{scope}, SignedHeaders=content-type;host, Signature={signature}"


def flat(value: Any, name: str = "") -> dict[str, str]:
    """As the vendor's Python client has it: `A.B.0`, True and False, nothing for None."""
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {
            key: text
            for part, each in items
            for key, text in flat(each, f"{name}.{part}" if name else str(part)).items()
        }
    return {} if value is None else {name: str(value)}


class Server(SimpleNamespace):
    http: httpx.AsyncClient
    recorders: Recorders
    rooms: Rooms
    database: Database
    apps: Apps
    library: Library

    async def raw(
        self, action: str, body: bytes, *, version: str = TRTC, stamp: int | None = None, **headers: str
    ) -> httpx.Response:
        now = int(time.time()) if stamp is None else stamp
        given = {
            "Content-Type": "application/json",
            "Host": HOST,
            "X-TC-Action": action,
            "X-TC-Version": version,
            "X-TC-Timestamp": str(now),
            "X-TC-TraceId": str(uuid.uuid4()),
            "Authorization": authorization(body, now, "vod" if version == VOD else "trtc"),
            **headers,
        }
        answer = await self.http.post("/", content=body, headers=given)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"  # with a charset the SDK sees no error
        return answer

    async def call(self, action: str, request: Any, **more: Any) -> dict[str, Any]:
        """`Response`, whatever it says."""
        if action in ("SearchMedia", "DescribeMediaInfos", "DeleteMedia"):
            more.setdefault("version", VOD)
        answer = await self.raw(action, json.dumps(request).encode(), **more)
        found: dict[str, Any] = answer.json()["Response"]
        assert uuid.UUID(found["RequestId"])
        return found

    async def older(self, action: str, request: dict[str, Any], way: str) -> dict[str, Any]:
        """The same with HmacSHA256 as a "form" (POST) or a "query" (GET): everything is text, nested by dots."""
        given = {
            **flat(request), "Action": action, "Nonce": str(uuid.uuid4().int % 10**18), "SecretId": ID,
            "SignatureMethod": "HmacSHA256", "Timestamp": str(int(time.time())),
            "Version": VOD if action in ("SearchMedia", "DescribeMediaInfos", "DeleteMedia") else TRTC,
        }  # fmt: skip
        method = "POST" if way == "form" else "GET"
        text = f"{method}{HOST}/?" + "&".join(
            f"{name}={value}" for name, value in sorted({k.replace("_", "."): v for k, v in given.items()}.items())
        )
        digest = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).digest()
        given["Signature"] = base64.b64encode(digest).decode()
        sent = urlencode(given)
        if way == "form":
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = await self.http.post("/", content=sent, headers=kind)
        else:
            answer = await self.http.get(f"/?{sent}")
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()["Response"]
        return found

    async def ok(self, action: str, request: Any) -> dict[str, Any]:
        answer = await self.call(action, request)
        assert "Error" not in answer, answer
        return answer

    async def refused(self, action: str, request: Any, code: str, message: str = "") -> None:
        error = (await self.call(action, request))["Error"]
        assert error["Code"] == code, error
        assert message in error["Message"], error

    async def row(self, task: str) -> tables.Recording:
        async with self.database.reading() as session:
            return await session.get_one(tables.Recording, task)

    async def events(self, task: str) -> list[tables.Event]:
        async with self.database.reading() as session:
            found = select(tables.Event).where(tables.Event.recording == task).order_by(tables.Event.seq)
            return list((await session.scalars(found)).all())


@contextlib.asynccontextmanager
async def serving(**defaults: Any) -> AsyncIterator[Server]:
    """For the app `dev`, without a limit of requests. `defaults`: its settings of the dialect."""
    with tempfile.TemporaryDirectory(prefix="rr-") as folder:
        async with _serving(Path(folder), defaults) as made:
            yield made


@contextlib.asynccontextmanager
async def _serving(recordings: Path, defaults: dict[str, Any]) -> AsyncIterator[Server]:
    database = await memory.database()
    settings = Settings(dev=True, data=Path("/nowhere"))  # type: ignore[call-arg]
    box, recorders, rooms = SecretBox(KEY), Recorders(database, recordings), Rooms()
    apps = Apps(database, box)
    await apps.ensure_dev()
    cases = Recordings(settings, database, recorders, Changes(), SimpleNamespace())  # type: ignore[arg-type]
    starts = Starts(settings, database, box, recorders)  # type: ignore[arg-type]
    library = Library(database, SimpleNamespace(), Shelf(database), recordings, b"k" * 32)  # type: ignore[arg-type]
    app = FastAPI()
    for path in ("/", "/tencent"):
        app.include_router(dispatch.router([Dialect], path))
    app.state.context = SimpleNamespace(
        settings=settings, database=database, box=box, apps=apps, recordings=cases, starts=starts, rooms=rooms,
        library=library, changes=Changes(), callbacks=SimpleNamespace(poke=lambda _recording: None),
    )  # fmt: skip
    (await apps.list())[0].defaults["tencent"] = {"requests_per_second": 0, **defaults}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as http:
        yield Server(http=http, recorders=recorders, rooms=rooms, database=database, apps=apps, library=library)
    await database.close()


class Shelf:
    """Takes rows out of the library; there are no objects."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remove(self, id: str) -> bool:
        async with self._database.transaction() as session:
            row = await session.get(tables.Media, id)
            if row is not None:
                await session.delete(row)
        return row is not None
