"""Two apps on one server: neither sees, reads, changes or overwrites anything of the other, at any endpoint."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from reelroom.demo.clip import make_clip
from reelroom.demo.publisher import AiortcPublisher
from tests.needs import need
from tests.servers import Server, running

ROOM = "shared name"  # both have a room that is called so
MINE = {"prefix": "", "file": "same", "segment": "same_{sequence}"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as started:
        yield started


@pytest.fixture(scope="module")
def stranger(server: Server) -> dict[str, Any]:
    """Credentials of another app."""
    command = [sys.executable, "-m", "reelroom", "app", "add", "stranger", "--json", "--data", str(server.data)]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(made.stdout)["credentials"])


async def publish(server: Server, api: httpx.Client, identity: str, number: int) -> AiortcPublisher:
    need("aiortc")
    made = api.post(f"/api/v1/rooms/{quote(ROOM)}/tokens", json={"identity": identity}).raise_for_status().json()
    clip = await asyncio.to_thread(make_clip, 6, size=(320, 180), video_kbps=250, participant=number)
    publisher = AiortcPublisher(server.url + made["whip"], made["token"], clip, loop=True)
    await publisher.start()
    return publisher


def record(api: httpx.Client) -> str:
    body = {"room": ROOM, "formats": ["hls", "mp4"], "naming": MINE, "callback": {"url": "http://127.0.0.1:9/"}}
    return str(api.post("/api/v1/recordings", json=body).raise_for_status().json()["id"])


async def test_nothing_of_another_app_is_to_be_had(server: Server, stranger: dict[str, Any]) -> None:
    with server.client() as api, server.client(stranger["native"]["key"]) as other, server.client("") as nobody:
        ann, eve = await publish(server, api, "ann", 1), await publish(server, other, "eve", 2)
        try:
            recording, foreign = record(api), record(other)
            await asyncio.gather(ann.run(4), eve.run(4))

            def seen(app: httpx.Client) -> set[str]:
                return {one["identity"] for one in app.get(f"/api/v1/rooms/{ROOM}").json()["participants"]}

            assert (seen(api), seen(other)) == ({"ann"}, {"eve"})
            refused_everywhere(server, other, nobody, recording, foreign)
            for app, id_ in ((api, recording), (other, foreign)):
                app.post(f"/api/v1/recordings/{id_}/stop").raise_for_status()
        finally:
            await asyncio.gather(ann.close(), eve.close())
        server.wait_for(recording, "finished")
        for _ in range(200):
            if other.get(f"/api/v1/recordings/{foreign}").json()["state"] == "finished":
                break
            await asyncio.sleep(0.1)
        # The same names in storage, and two different films.
        films = {}
        for folder, app, id_ in (("dev", api, recording), ("stranger", other, foreign)):
            listed = {file["key"]: file for file in app.get(f"/api/v1/recordings/{id_}/files").json()["files"]}
            assert listed.keys() == {"same.m3u8", "same.mp4"}
            films[folder] = (server.data / "storage" / folder / "same.mp4").read_bytes()
            assert len(films[folder]) == listed["same.mp4"]["bytes"]
        assert films["dev"] != films["stranger"]
        other.delete(f"/api/v1/recordings/{foreign}", params={"storage": "true"}).raise_for_status()
        assert (server.data / "storage" / "dev" / "same.mp4").exists()
        refused_everywhere(server, other, nobody, recording, "0" * 32)


def refused_everywhere(server: Server, other: httpx.Client, nobody: httpx.Client, recording: str, foreign: str) -> None:
    """Every call that OpenAPI names, with another app's key: as if there were nothing; without any: 401."""
    with server.client() as api:
        event = api.get(f"/api/v1/recordings/{recording}/events").json()["events"][0]["id"]
        file = api.get(f"/api/v1/recordings/{recording}/files").json()["files"][0]
        before = api.get(f"/api/v1/recordings/{recording}").json()
        template = api.post("/api/v1/templates", json={"name": "t", "recording": {}}).raise_for_status().json()["id"]
        rule = {"name": "r", "template": template, "enabled": False}
        rule_id = api.post("/api/v1/rules", json=rule).raise_for_status().json()["id"]
        api.post("/api/v1/queues/mine/messages", json={"text": "m"}).raise_for_status()
        receipt = api.post("/api/v1/queues/mine/receive").raise_for_status().json()["messages"][0]["receipt"]
    names = {"id": recording, "event": event, "name": file["key"], "room": ROOM, "identity": "ann"}
    special = {
        "templates": {"id": template},
        "rules": {"id": rule_id},
        "media": {"id": "1" * 19},
        "queues": {"name": "mine", "receipt": receipt},
    }
    bodies = {
        ("patch", "/api/v1/recordings/{id}"): {"subscription": {"audio": True}},
        ("patch", "/api/v1/templates/{id}"): {"name": "n"},
        ("patch", "/api/v1/rules/{id}"): {"name": "n"},
    }
    makes = {("put", "/api/v1/queues/{name}"), ("post", "/api/v1/queues/{name}/messages")}  # of the caller's own
    tried = 0
    for path, calls in nobody.get("/api/v1/openapi.json").json()["paths"].items():
        for method, call in calls.items():
            if not path.startswith("/api/v1/"):
                continue
            own = names | special.get(path.split("/")[3], {})
            url = re.sub(r"{(\w+)}", lambda found, own=own: quote(own[found[1]], safe=""), path)
            body = bodies.get((method, path))
            assert nobody.request(method, url, json=body).status_code == 401, (method, path)
            named = "{id}" in path or "{identity}" in path or "queues/{name}" in path
            if named and (method, path) not in makes:
                tried += 1
                answer = other.request(method, url, json=body)
                if method == "head":
                    assert (answer.status_code, answer.content) == (404, b"")
                    continue
                assert (answer.status_code, answer.json()["type"]) == (404, "urn:reelroom:not-found"), (method, path)
            assert call["security"], (method, path)
    assert tried >= 12
    assert recording not in {one["id"] for one in other.get("/api/v1/recordings").json()["recordings"]}
    # A signed URL opens its own recording's files, no other's.
    opened = file["url"].partition("?")[2]
    assert nobody.get(file["url"]).status_code == 200
    for id_, status in ((foreign, {403, 404}), (recording[::-1], {403, 404})):
        assert nobody.get(f"/api/v1/recordings/{id_}/files/{file['key']}?{opened}").status_code in status
    changed = opened.replace("expires=", "expires=9")
    assert nobody.get(f"/api/v1/recordings/{recording}/files/{file['key']}?{changed}").status_code == 403
    with server.client() as api:
        after = api.get(f"/api/v1/recordings/{recording}").json()
        assert api.get(f"/api/v1/templates/{template}").json()["name"] == "t"
        assert api.delete(f"/api/v1/rules/{rule_id}").status_code == 204
        assert api.delete(f"/api/v1/templates/{template}").status_code == 204
        assert api.delete(f"/api/v1/queues/mine/messages/{receipt}").status_code == 204
    assert after == before  # nobody else stopped, paused or changed it


def test_agoras_api_keeps_apps_apart(server: Server, stranger: dict[str, Any]) -> None:
    mine, theirs = ("dev", "dev-secret"), (stranger["agora"]["customer_id"], stranger["agora"]["customer_secret"])
    appid = stranger["agora"]["appid"]
    frame = {"cname": "room-7", "uid": "900001", "clientRequest": {}}
    start = frame | {"clientRequest": {"storageConfig": {
        "vendor": 11, "region": 0, "bucket": "b", "accessKey": "a", "secretKey": "s",
        "extensionParams": {"endpoint": "127.0.0.1:1"},
    }}}  # fmt: skip
    with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client:

        def call(app: str, auth: tuple[str, str], path: str, body: Any = None) -> httpx.Response:
            url = f"/v1/apps/{app}/cloud_recording/{path}"
            return client.post(url, json=body, auth=auth) if body is not None else client.get(url, auth=auth)

        for app, auth in ((appid, mine), ("dev", theirs)):
            assert call(app, auth, "acquire", frame).status_code == 401
        resource = call("dev", mine, "acquire", frame).json()["resourceId"]
        sid = call("dev", mine, f"resourceid/{resource}/mode/individual/start", start).json()["sid"]
        own = call(appid, theirs, "acquire", frame).json()["resourceId"]
        for one, code in ((resource, 1003), (own, 404)):
            base = f"resourceid/{one}/sid/{sid}/mode/individual"
            for answer in (
                call(appid, theirs, f"{base}/query"),
                call(appid, theirs, f"{base}/update", frame | {"clientRequest": {"streamSubscribe": {}}}),
                call(appid, theirs, f"{base}/stop", frame),
            ):
                assert answer.json()["code"] == code, answer.text
        base = f"resourceid/{resource}/sid/{sid}/mode/individual"
        assert call("dev", mine, f"{base}/query").status_code == 200
        assert call("dev", mine, f"{base}/stop", frame).json()["code"] == 435
