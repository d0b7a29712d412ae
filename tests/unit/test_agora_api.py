"""Agora's HTTP calls against the real use cases, with a database in memory and recorders that only take notes."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import update

from reelroom.config import Settings
from reelroom.control import destinations
from reelroom.control.apps import Apps
from reelroom.control.changes import Changes
from reelroom.control.errors import ControlError
from reelroom.control.guard import Unresolved
from reelroom.control.recordings import Recordings
from reelroom.dialects.agora import resource, sessions
from reelroom.dialects.agora.routes import router
from reelroom.domain import lines
from reelroom.domain.recording import State
from reelroom.store import tables
from reelroom.store.db import Database
from reelroom.store.secrets import SecretBox

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

    def __init__(self, database: Database) -> None:
        self.database = database
        self.commands: list[lines.AnyCommand] = []
        self.specs: list[Any] = []
        self.end = State.FINISHED
        self.obeys = True

    async def prepare(self, spec: Any) -> None:
        self.specs.append(spec)

    async def start(self, recording: str) -> bool:
        await self.become(recording, State.RECORDING)
        return True

    async def command(self, recording: str, command: lines.AnyCommand) -> None:
        self.commands.append(command)
        if isinstance(command, lines.Stop) and self.obeys:
            failed = command.reason == "error"
            await self.become(recording, State.FAILED if failed else self.end, reason=command.reason)

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

    async def start(self, resource_id: str, uid: str = "900001", **request: Any) -> httpx.Response:
        body = {"cname": "room-7", "uid": uid, "clientRequest": {"storageConfig": STORAGE, **request}}
        return await self.http.post(f"{BASE}/resourceid/{resource_id}/mode/individual/start", json=body)

    async def started(self, uid: str = "900001", **request: Any) -> tuple[str, str]:
        resource_id = await self.acquire(uid)
        answer = await self.start(resource_id, uid, **request)
        assert answer.status_code == 200, answer.text
        return resource_id, answer.json()["sid"]

    async def call(
        self, what: str, resource_id: str, sid: str, request: dict[str, Any] | None = None, **names: str
    ) -> httpx.Response:
        url = f"{BASE}/resourceid/{resource_id}/sid/{sid}/mode/individual/{what}"
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


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    database = Database("sqlite://")
    async with database.engine.begin() as connection:
        await connection.run_sync(tables.Base.metadata.create_all)
    settings = Settings(dev=True, data=Path("/nowhere"))  # type: ignore[call-arg]
    box, recorders, rooms = SecretBox(KEY), Recorders(database), Rooms()
    apps = Apps(database, box)
    await apps.ensure_dev()
    recordings = Recordings(settings, database, box, recorders, Changes(), SimpleNamespace())  # type: ignore[arg-type]
    app = FastAPI()
    app.include_router(router)
    app.state.context = SimpleNamespace(
        settings=settings, database=database, box=box, apps=apps, recordings=recordings, rooms=rooms
    )
    (await apps.list())[0].defaults["agora"] = {"requests_per_second": 0}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://agora", auth=AUTH) as http:
        yield Server(http=http, recorders=recorders, rooms=rooms, database=database, apps=apps)
    await database.close()


def refused(answer: httpx.Response, status: int, code: int, reason: str = "") -> None:
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), answer.text
    assert reason in body["reason"]


async def test_a_whole_session(server: Server) -> None:
    resource_id, sid = await server.started()
    names = {"cname": "room-7", "uid": "900001", "resourceId": resource_id, "sid": sid}
    empty = (await server.call("query", resource_id, sid)).json()
    assert empty == {
        **names,
        "serverResponse": {"status": 4, "fileListMode": "json", "fileList": [], "sliceStartTime": 0},
    }
    await server.slice(sid, "video", "002", 1_753_690_000_390_000_000)
    await server.slice(sid, "audio", "001", 1_753_690_000_123_000_000)
    running = (await server.call("query", resource_id, sid)).json()["serverResponse"]
    files = [
        {
            "fileName": f"dirA/{sid}_room-7__uid_s_41__uid_e_{kind}.m3u8",
            "trackType": kind,
            "uid": "41",
            "mixedAllUser": False,
            "isPlayable": kind == "audio",
            "sliceStartTime": start,
        }
        for kind, start in (("audio", 1_753_690_000_123), ("video", 1_753_690_000_390))
    ]
    assert running == {
        "status": 5, "fileListMode": "json", "fileList": files, "sliceStartTime": 1_753_690_000_123,
    }  # fmt: skip
    updated = await server.call(
        "update", resource_id, sid, {"streamSubscribe": {"audioUidList": {"subscribeAudioUids": ["41"]}}}
    )
    assert (updated.status_code, updated.json()) == (200, names)
    stopped = await server.call("stop", resource_id, sid)
    assert stopped.status_code == 200
    assert stopped.json() == {
        **names, "serverResponse": {"fileListMode": "json", "fileList": files, "uploadingStatus": "uploaded"},
    }  # fmt: skip
    refused(await server.call("stop", resource_id, sid), 400, 49, "invalid operation")
    refused(await server.call("query", resource_id, sid), 404, 404, "failed to find worker")
    refused(await server.call("update", resource_id, sid, {"streamSubscribe": {}}), 404, 404)
    assert [type(command).__name__ for command in server.recorders.commands] == ["Change", "Stop"]


async def test_stop_without_anything_recorded(server: Server) -> None:
    refused(await server.call("stop", *await server.started()), 206, 435, "no recorded data")


async def test_async_stop_does_not_wait(server: Server) -> None:
    resource_id, sid = await server.started()
    server.recorders.obeys = False
    await server.slice(sid, "audio", "001", 0)
    answer = await server.call("stop", resource_id, sid, {"async_stop": True})
    assert answer.json()["serverResponse"]["uploadingStatus"] == "unknown"
    status = (await server.call("query", resource_id, sid)).json()["serverResponse"]["status"]
    assert status == 6
    refused(await server.call("stop", resource_id, sid), 400, 49)


async def test_stop_while_storage_refuses_says_backuped(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "BACKUP_AFTER_S", 0.0)
    resource_id, sid = await server.started()
    await server.slice(sid, "audio", "001", 0, state="pending")
    server.recorders.end = State.UPLOADING
    answer = await server.call("stop", resource_id, sid)
    assert answer.json()["serverResponse"]["uploadingStatus"] == "backuped"
    assert (await server.call("query", resource_id, sid)).json()["serverResponse"]["status"] == 7


async def test_stop_that_takes_too_long_is_50(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "BACKUP_AFTER_S", 0.0)
    monkeypatch.setattr(sessions, "STOP_WAIT_S", 0.0)
    resource_id, sid = await server.started()
    server.recorders.end = State.FINISHING
    refused(await server.call("stop", resource_id, sid), 500, 50)


async def test_a_second_start_is_201_with_the_identifiers(server: Server) -> None:
    resource_id, sid = await server.started()
    again = await server.start(resource_id)
    assert (again.status_code, again.json()) == (
        201,
        {
            "cname": "room-7", "uid": "900001", "resourceId": resource_id, "sid": sid,
            "code": 7, "reason": "already started",
        },
    )  # fmt: skip
    assert len(server.recorders.specs) == 1


async def test_a_resource_id_is_for_one_recording(server: Server) -> None:
    resource_id, sid = await server.started()
    await server.call("stop", resource_id, sid)
    refused(await server.start(resource_id), 400, 433)


async def test_a_resource_id_expires(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    resource_id = await server.acquire()
    monkeypatch.setattr(resource, "VALID_NS", 0)
    refused(await server.start(resource_id), 400, 433, "5 minutes")


async def test_the_same_uid_twice_is_a_task_conflict_until_the_first_ends(server: Server) -> None:
    first, sid = await server.started()
    second = await server.acquire()
    refused(await server.start(second), 400, 53, "task conflict")
    await server.started("900002")  # another uid records the same channel
    await server.call("stop", first, sid)
    assert (await server.start(second)).status_code == 200


async def test_a_uid_that_is_in_the_channel_makes_the_recording_fail(server: Server) -> None:
    server.rooms.identities = ["41", "900001"]
    resource_id, sid = await server.started()
    refused(await server.call("query", resource_id, sid), 404, 404)
    refused(await server.call("stop", resource_id, sid), 404, 404)
    [command] = server.recorders.commands
    assert isinstance(command, lines.Stop) and "900001 is taken" in command.message


async def test_a_refused_start_does_not_use_up_the_resource_id(server: Server) -> None:
    resource_id = await server.acquire()
    refused(await server.start(resource_id, recordingConfig={"streamTypes": 9}), 400, 2, "streamTypes")
    assert (await server.start(resource_id)).status_code == 200


async def test_start_must_equal_start_parameter(server: Server) -> None:
    parameter = {"storageConfig": STORAGE, "recordingConfig": {"maxIdleTime": 60}}
    resource_id = await server.acquire(startParameter=parameter)
    refused(await server.start(resource_id), 400, 2, "request_hash mismatch!")
    assert (await server.start(resource_id, recordingConfig={"maxIdleTime": 60.0})).status_code == 200


async def test_names_must_match_the_resource_id(server: Server) -> None:
    resource_id, sid = await server.started()
    refused(await server.start(await server.acquire(), uid="900009"), 400, 432, "uid")
    refused(await server.call("stop", resource_id, sid, cname="room-8"), 400, 432, "cname")
    refused(await server.call("query", "nonsense", sid), 400, 1001)
    refused(await server.call("query", await server.acquire(), sid), 400, 1003, "sid")
    refused(await server.call("query", resource_id, "0" * 32), 404, 404)


async def test_calls_are_refused_after_resource_expired_hour(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "HOUR_NS", 0)
    resource_id, sid = await server.started()
    for what in ("query", "update", "stop"):
        refused(await server.call(what, resource_id, sid), 404, 404)
    assert server.recorders.commands == []


async def test_update_of_storage_refreshes_credentials(server: Server) -> None:
    resource_id, sid = await server.started()
    async with server.database.reading() as session:
        before = (await session.get_one(tables.Recording, sid)).destination
    fresh = {**STORAGE, "secretKey": "another"}
    assert (await server.call("update", resource_id, sid, {"storageConfig": fresh})).status_code == 200
    async with server.database.reading() as session:
        after = (await session.get_one(tables.Recording, sid)).destination
        assert after == before  # the uploader keeps what it has open and reads it again
        options = SecretBox(KEY).open((await session.get_one(tables.Destination, after)).options)
    assert options["secret_access_key"] == "another"
    moved = {**STORAGE, "fileNamePrefix": ["dirB"]}
    refused(await server.call("update", resource_id, sid, {"storageConfig": moved}), 400, 2, "not supported")


async def test_credentials_are_encrypted_and_in_no_answer(server: Server) -> None:
    resource_id, sid = await server.started()
    async with server.database.reading() as session:
        row = await session.get_one(tables.Recording, sid)
        said = repr(
            (row.spec, row.dialect_data, (await session.get_one(tables.Destination, row.destination)).described)
        )
    answers = [(await server.start(resource_id)).text, (await server.call("query", resource_id, sid)).text]
    bad = await server.start(await server.acquire("7"), "7", storageConfig={**STORAGE, "vendor": 99})
    refused(bad, 400, 2, "vendor 99 is unknown")
    assert "not-to-be-shown" not in said + "".join(answers) + bad.text


@pytest.mark.parametrize(
    ("auth", "status", "message"),
    [
        (None, 401, "Unauthorized"),
        (("dev", "wrong"), 401, "Invalid authentication credentials"),
        (("other", "dev-secret"), 401, "Invalid authentication credentials"),
    ],
)
async def test_authentication(server: Server, auth: Any, status: int, message: str) -> None:
    server.http.auth = auth
    answer = await server.http.post(f"{BASE}/acquire", json={})
    assert (answer.status_code, answer.json()) == (status, {"message": message})
    assert answer.headers["x-request-id"]


async def test_an_unknown_app_id(server: Server) -> None:
    answer = await server.http.post("/v1/apps/nobody/cloud_recording/acquire", json={})
    assert (answer.status_code, answer.json()) == (400, {"message": "appid is invalid"})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{BASE}/acquire"),
        ("POST", f"{BASE}/Acquire"),
        ("POST", f"{BASE}/resourceid/x/mode/other/start"),
        ("POST", f"{BASE}/resourceid/x/sid/y/mode/individual/updateLayout"),
        ("POST", f"{BASE}/resourceid/x/sid/y/mode/individual/query"),
        ("DELETE", "/v1/apps/dev"),
    ],
)
async def test_paths_that_are_none(server: Server, method: str, path: str) -> None:
    answer = await server.http.request(method, path)
    assert (answer.status_code, answer.json()) == (404, {"message": "no Route matched with those values"})


@pytest.mark.parametrize("mode", ["mix", "web", "raw"])
async def test_other_modes_are_not_supported(server: Server, mode: str) -> None:
    body = {"cname": "room-7", "uid": "900001", "clientRequest": {}}
    resource_id = await server.acquire()
    answer = await server.http.post(f"{BASE}/resourceid/{resource_id}/mode/{mode}/start", json=body)
    refused(answer, 400, 2, f"not supported: mode {mode}")


async def test_update_layout_exists_for_mix_only_and_is_not_supported(server: Server) -> None:
    body = {"cname": "room-7", "uid": "900001", "clientRequest": {}}
    answer = await server.http.post(f"{BASE}/resourceid/x/sid/y/mode/mix/updateLayout", json=body)
    refused(answer, 400, 2, "not supported")


@pytest.mark.parametrize("region", ["na", "eu", "ap", "cn"])
async def test_a_region_in_front_of_the_path(server: Server, region: str) -> None:
    body = {"cname": "room-7", "uid": "900001", "clientRequest": {}}
    assert (await server.http.post(f"/{region}{BASE}/acquire", json=body)).status_code == 200


@pytest.mark.parametrize(
    ("content", "kind", "code"),
    [
        (b"{", "application/json", 2),
        (b"[]", "application/json", 2),
        (b"\xff", "application/json", 2),
        (b"[" * 100_000, "application/json", 2),
        (b"{}", "text/plain", 8),
        (b" " * 300_000, "application/json", 2),
        (b'{"cname":"a","uid":1,"clientRequest":{}}', "application/json", 2),
        (b'{"cname":"a","uid":"1"}', "application/json;charset=utf-8", 2),
        (b'{"cname":"a","uid":"0","clientRequest":{}}', "application/json", 2),
        (b'{"cname":"a/b","uid":"1","clientRequest":{}}', "application/json", 401),
    ],
)
async def test_bad_bodies(server: Server, content: bytes, kind: str, code: int) -> None:
    answer = await server.http.post(f"{BASE}/acquire", content=content, headers={"Content-Type": kind})
    refused(answer, 400, code)


async def test_a_body_without_content_type_is_taken(server: Server) -> None:
    content = b'{"cname":"a","uid":"1","clientRequest":{}}'
    assert (await server.http.post(f"{BASE}/acquire", content=content)).status_code == 200


async def test_the_request_id_is_echoed_when_it_is_harmless(server: Server) -> None:
    named = await server.http.get("/v1/apps/dev", headers={"X-Request-ID": "abc-1"})
    assert named.headers["x-request-id"] == "abc-1"
    long = await server.http.get("/v1/apps/dev", headers={"X-Request-ID": "x" * 200})
    assert len(long.headers["x-request-id"]) == 32


async def test_more_than_ten_requests_a_second(server: Server) -> None:
    (await server.apps.list())[0].defaults["agora"] = {}
    async with server.database.transaction() as session:
        (await session.get_one(tables.App, "dev")).defaults = {}
    await server.apps.load()
    answers = [await server.http.post(f"{BASE}/acquire", json={}) for _ in range(12)]
    assert answers[0].status_code == 400
    assert (answers[-1].status_code, answers[-1].json()) == (429, {"message": "API rate limit exceeded"})


async def test_quota_of_recordings(server: Server) -> None:
    (await server.apps.by_id("dev")).defaults["agora"] = {"max_recordings": 1, "requests_per_second": 0}  # type: ignore[union-attr]
    await server.started()
    body = {"cname": "room-7", "uid": "900002", "clientRequest": {}}
    refused(await server.http.post(f"{BASE}/acquire", json=body), 400, 406, "vendor_over_load")


async def test_the_callback_comes_from_the_app(server: Server) -> None:
    (await server.apps.by_id("dev")).defaults["agora"] = {  # type: ignore[union-attr]
        "callback_url": "http://127.0.0.1:9/ncs", "requests_per_second": 0,
    }  # fmt: skip
    _, sid = await server.started()
    async with server.database.reading() as session:
        sealed = (await session.get_one(tables.Recording, sid)).callback
    assert sealed is not None
    opened = SecretBox(KEY).open(sealed)
    assert (opened["url"], opened["secret"]) == ("http://127.0.0.1:9/ncs", "dev-secret")


async def test_a_start_does_not_wait_for_a_providers_host(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unresolved(url: str, allow_private: bool, where: str = "") -> None:
        raise Unresolved("invalid", "host cannot be resolved", where)

    monkeypatch.setattr(destinations, "check_url", unresolved)
    amazon = {**STORAGE, "vendor": 1, "region": 7}
    assert (await server.start(await server.acquire("7"), "7", storageConfig=amazon)).status_code == 200
    own = await server.start(await server.acquire("8"), "8", storageConfig=STORAGE)
    refused(own, 400, 2, "cannot be resolved")
