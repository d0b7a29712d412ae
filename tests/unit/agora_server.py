"""Agora's routes on the real use cases, with a database in memory and recorders that only take notes. Tests nothing."""

from __future__ import annotations

import base64
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
from fastapi import FastAPI
from sqlalchemy import update

from reelroom.config import Settings
from reelroom.control.apps import Apps
from reelroom.control.changes import Changes
from reelroom.control.errors import ControlError
from reelroom.control.recordings import Recordings
from reelroom.control.starts import Starts
from reelroom.dialects.agora.routes import router
from reelroom.domain import lines
from reelroom.domain.cost import Ledger
from reelroom.domain.recording import State
from reelroom.store import tables
from reelroom.store.db import Database
from reelroom.store.secrets import SecretBox
from tests import memory

KEY = base64.urlsafe_b64encode(b"k" * 32)
AUTH = ("dev", "dev-secret")
BASE = "/v1/apps/dev/cloud_recording"
STORAGE = {
    "vendor": 11,
    "region": 0,
    "bucket": "rec",
    "accessKey": "AK-not-to-be-shown",
    "secretKey": "SK-not-to-be-shown",
    "fileNamePrefix": ["dirA"],
    "extensionParams": {"endpoint": "127.0.0.1:1"},
}


class Recorders:
    """Takes the place of processes: keeps what it was told and ends a recording as soon as it hears Stop."""

    def __init__(self, database: Database, recordings: Path = Path("/nowhere")) -> None:
        self.database = database
        self.recordings = recordings
        self.commands: list[lines.AnyCommand] = []
        self.specs: list[Any] = []
        self.end = State.FINISHED
        self.obeys = True

    def folder(self, recording: str) -> Path:
        return self.recordings / recording

    async def remove(self, recording: str) -> None:
        shutil.rmtree(self.folder(recording), ignore_errors=True)

    async def prepare(self, spec: Any) -> None:
        self.specs.append(spec)
        if self.recordings.is_dir():
            self.folder(spec.id).mkdir(exist_ok=True)
            (self.folder(spec.id) / "spec.json").write_bytes(msgspec.json.encode(spec))

    async def start(self, recording: str) -> bool:
        await self.become(recording, State.RECORDING)
        return True

    async def command(self, recording: str, command: lines.AnyCommand) -> None:
        self.commands.append(command)
        if isinstance(command, lines.Stop) and self.obeys:
            failed = command.reason == "error"
            await self.become(recording, State.FAILED if failed else self.end, reason=command.reason)
        if isinstance(command, lines.Pause | lines.Resume) and self.obeys:
            await self.become(recording, State.PAUSED if isinstance(command, lines.Pause) else State.RECORDING)

    async def pausing(self, recording: str) -> bool:
        told = [command for command in self.commands if isinstance(command, lines.Pause | lines.Resume)]
        return bool(told) and isinstance(told[-1], lines.Pause)

    async def become(self, recording: str, state: State, **fields: Any) -> None:
        async with self.database.transaction() as session:
            row = tables.Recording
            await session.execute(update(row).where(row.id == recording).values(state=str(state), **fields))


class Rooms:
    def __init__(self) -> None:
        self.identities: list[str] = []

    async def get(self, app: str, room: str) -> dict[str, Any]:
        if not self.identities:
            raise ControlError("not_found", "no such room")
        return {"participants": [{"identity": identity, "tracks": []} for identity in self.identities]}


class Server(SimpleNamespace):
    app: FastAPI
    http: httpx.AsyncClient
    recorders: Recorders
    rooms: Rooms
    database: Database
    apps: Apps

    async def acquire(self, uid: str = "900001", **request: Any) -> str:
        body = {"cname": "room-7", "uid": uid, "clientRequest": request}
        answer = await self.http.post(f"{BASE}/acquire", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["resourceId"])

    async def start(
        self, resource_id: str, uid: str = "900001", mode: str = "individual", **request: Any
    ) -> httpx.Response:
        body = {"cname": "room-7", "uid": uid, "clientRequest": {"storageConfig": STORAGE, **request}}
        return await self.http.post(f"{BASE}/resourceid/{resource_id}/mode/{mode}/start", json=body)

    async def started(self, uid: str = "900001", **request: Any) -> tuple[str, str]:
        resource_id = await self.acquire(uid)
        answer = await self.start(resource_id, uid, **request)
        assert answer.status_code == 200, answer.text
        return resource_id, answer.json()["sid"]

    async def call(
        self,
        what: str,
        resource_id: str,
        sid: str,
        request: dict[str, Any] | None = None,
        mode: str = "individual",
        **names: str,
    ) -> httpx.Response:
        url = f"{BASE}/resourceid/{resource_id}/sid/{sid}/mode/{mode}/{what}"
        if what == "query":
            return await self.http.get(url)
        body = {"cname": "room-7", "uid": "900001", "clientRequest": request or {}, **names}
        return await self.http.post(url, json=body)

    async def slice(self, sid: str, kind: str, output: str, start_ns: int, state: str = "uploaded") -> None:
        """An output with its playlist and one slice."""
        opened = {"output": output, "identity": "41", "source": "camera", "kind": kind, "start_ns": start_ns}
        stem = f"dirA/{sid}_room-7__uid_s_41__uid_e_{kind}"
        async with self.database.transaction() as session:
            common: dict[str, Any] = {"recording": sid, "output": output, "path": "", "format": "hls"}
            more = {"rendition": "hls", "state": state, "error": "" if state == "uploaded" else "refused"}
            session.add(tables.File(role="playlist", key=f"{stem}.m3u8", line=opened, **common, **more))
            session.add(tables.File(role="segment", key=f"{stem}_x.ts", line={}, number=1, **common, **more))


@contextlib.asynccontextmanager
async def serving(recordings: Path = Path("/nowhere"), database: Database | None = None) -> AsyncIterator[Server]:
    """Agora's routes over the real use cases, for the app `dev`, without a limit of requests.

    `recordings`: where images of mixed recordings go; `database`: instead of one in memory.
    """
    database = database or await memory.database()
    settings = Settings(dev=True, data=Path("/nowhere"))  # type: ignore[call-arg]
    box, recorders, rooms = SecretBox(KEY), Recorders(database, recordings), Rooms()
    apps = Apps(database, box)
    await apps.ensure_dev()
    cases = Recordings(settings, database, recorders, Changes(), SimpleNamespace())  # type: ignore[arg-type]
    starts = Starts(settings, database, box, recorders)  # type: ignore[arg-type]
    app = FastAPI()
    app.include_router(router)
    app.state.context = SimpleNamespace(
        settings=settings,
        database=database,
        box=box,
        apps=apps,
        recordings=cases,
        starts=starts,
        rooms=rooms,
        capacity=SimpleNamespace(ledger=Ledger(0.0)),
        callbacks=SimpleNamespace(poke=lambda recording: None),
    )
    (await apps.list())[0].defaults["agora"] = {"requests_per_second": 0}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://agora", auth=AUTH) as http:
        yield Server(app=app, http=http, recorders=recorders, rooms=rooms, database=database, apps=apps)
    await database.close()


def refused(answer: httpx.Response, status: int, code: int, reason: str = "") -> None:
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), answer.text
    assert reason in body["reason"]
