"""ZEGO's routes on the real use cases, with a database in memory and recorders that only take notes. Tests nothing."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
from fastapi import FastAPI

from reelroom.config import Settings
from reelroom.control.apps import Apps
from reelroom.control.changes import Changes
from reelroom.control.library import Library
from reelroom.control.recordings import Recordings
from reelroom.control.starts import Starts
from reelroom.control.streams import Present
from reelroom.deliver.shelf import Shelf
from reelroom.dialects import dispatch
from reelroom.dialects.zego.routes import Dialect
from reelroom.store.db import Database
from reelroom.store.secrets import SecretBox
from tests import memory
from tests.unit.agora_server import KEY, Recorders

APP_ID, SECRET = "1000000000", "dev-secret"
STORAGE = {
    "Vendor": 10,
    "Region": "local",
    "Bucket": "rec",
    "AccessKeyId": "AK-not-to-be-shown",
    "AccessKeySecret": "SK-not-to-be-shown",
    "EndPoint": "http://127.0.0.1:1",
    "S3ForcePathStyle": True,
}
VIDEO = {"Width": 1280, "Height": 720, "Fps": 15, "Bitrate": 1_130_000}
_nonces = itertools.count()


def common(action: str, *, app_id: str = APP_ID, secret: str = SECRET, now_s: int | None = None) -> dict[str, str]:
    """The common parameters with their signature, as section 1.3 has it."""
    timestamp = str(int(time.time()) if now_s is None else now_s)
    nonce = hashlib.sha256(str((next(_nonces), time.time_ns())).encode()).hexdigest()[:16]
    signature = hashlib.md5((app_id + nonce + secret + timestamp).encode()).hexdigest()
    return {
        "Action": action,
        "AppId": app_id,
        "SignatureNonce": nonce,
        "Timestamp": timestamp,
        "Signature": signature,
        "SignatureVersion": "2.0",
    }


def single(**params: Any) -> dict[str, Any]:
    """A StartRecord of mode 1; `params` go into RecordInputParams."""
    return {
        "RoomId": "class-7",
        "RecordInputParams": {"RecordMode": 1, **params},
        "StorageParams": STORAGE,
    }


def mixed(params: dict[str, Any] | None = None, **mix: Any) -> dict[str, Any]:
    """A StartRecord of mode 2; `mix` goes into MixConfig."""
    config = {"MixOutputStreamId": "mix7", "MixOutputVideoConfig": VIDEO, **mix}
    return single(**{"RecordMode": 2, "MixConfig": config, **(params or {})})


class Server(SimpleNamespace):
    http: httpx.AsyncClient
    recorders: Recorders
    database: Database
    apps: Apps
    poked: list[str]
    here: list[Present]  # the streams that are published

    async def call(self, action: str, body: Any = None, **query: str) -> dict[str, Any]:
        answer = await self.http.post("/", params={**common(action), **query}, json=body if body is not None else {})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def start(self, body: dict[str, Any]) -> str:
        answer = await self.call("StartRecord", body)
        assert answer["Code"] == 0, answer
        return str(answer["Data"]["TaskId"])

    async def configure(self, **settings: Any) -> None:
        (await self.apps.list())[0].defaults["zego"] = {"starts_per_second": 0, "others_per_second": 0, **settings}


@contextlib.asynccontextmanager
async def serving(recordings: Path = Path("/nowhere"), stored: Path | None = None) -> AsyncIterator[Server]:
    """ZEGO's API over the real use cases for the app `dev`, without a limit of calls. `stored`: the database's file."""
    database = await memory.database(stored)
    settings = Settings(dev=True, data=recordings)  # type: ignore[call-arg]
    box, recorders = SecretBox(KEY), Recorders(database, recordings / "recordings")
    apps = Apps(database, box)
    await apps.ensure_dev()
    cases = Recordings(settings, database, recorders, Changes(), SimpleNamespace())  # type: ignore[arg-type]
    starts = Starts(settings, database, box, recorders)  # type: ignore[arg-type]
    nobody: Any = SimpleNamespace()  # nothing is uploaded
    library = Library(database, nobody, Shelf(database, nobody, recordings), recordings, b"k" * 32)
    app = FastAPI()
    app.include_router(dispatch.router([Dialect]))
    poked: list[str] = []
    here: list[Present] = []
    app.state.context = SimpleNamespace(
        settings=settings,
        database=database,
        box=box,
        apps=apps,
        recordings=cases,
        starts=starts,
        library=library,
        callbacks=SimpleNamespace(poke=poked.append),
        streams=SimpleNamespace(all=lambda app, room: [one for one in here if one.stream.room == room]),
        url_key=b"k" * 32,
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://zego") as http:
        server = Server(http=http, recorders=recorders, database=database, apps=apps, poked=poked, here=here)
        await server.configure()
        yield server
    await database.close()
