"""Templates, rules, queues and the library through the native API of a real server: life, refusals, secrets, apps."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.servers import Server, running


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as started:
        yield started


@pytest.fixture
def api(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def made(api: httpx.Client, path: str, **body: Any) -> dict[str, Any]:
    answer = api.post(f"/api/v1/{path}", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/api/v1/{path}/{answer.json()['id']}"
    return dict(answer.json())


def refused(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.json()["type"] == f"urn:reelroom:{kind}"
    return dict(answer.json())


SECRETS = {
    "destination": {
        "service": "s3",
        "options": {"bucket": "b", "region": "r", "access_key_id": "AK-hidden", "secret_access_key": "SK-hidden"},
    },
    "callback": {"url": "https://example.com/", "secret": "cb-hidden"},
    "mode": "mixed",
    "mix": {"pushes": [{"id": "1", "url": "rtmp://live.example.com/app/key-hidden"}]},
}


def test_a_templates_life(api: httpx.Client) -> None:
    template = made(api, "templates", name="lesson", recording={"formats": ["mp4"], "limits": {"idle_s": 3}})
    path = f"/api/v1/templates/{template['id']}"
    assert template["recording"] == {"formats": ["mp4"], "limits": {"idle_s": 3}}
    assert api.get(path).json() == template
    assert template["id"] in [one["id"] for one in api.get("/api/v1/templates").json()["templates"]]
    changed = api.patch(path, json={"recording": {"formats": ["webm"]}}).json()
    assert (changed["name"], changed["recording"]) == ("lesson", {"formats": ["webm"]})
    started = api.post(
        "/api/v1/recordings", json={"room": "t", "template": template["id"], "name": "n", "tracks": "apart"}
    ).json()
    assert (started["formats"], started["name"], started["spec"]["tracks"]) == (["webm"], "n", "apart")
    assert started["rule"] is None and started["library"] is None
    api.post(f"/api/v1/recordings/{started['id']}/stop").raise_for_status()
    assert api.delete(path).status_code == 204
    refused(api.get(path), 404, "not-found")
    refused(api.post("/api/v1/recordings", json={"room": "t", "template": template["id"]}), 404, "not-found")


def test_a_template_shows_no_secret(api: httpx.Client) -> None:
    template = made(api, "templates", name="secrets", recording=SECRETS)
    for text in (json.dumps(template), api.get("/api/v1/templates").text):
        assert "hidden" not in text
    assert template["recording"]["destination"]["options"] == {"bucket": "b", "region": "r"}
    api.delete(f"/api/v1/templates/{template['id']}").raise_for_status()


@pytest.mark.parametrize(
    "body",
    [
        {"name": "", "recording": {}},
        {"name": "n"},
        {"name": "n", "recording": {"room": "r"}},
        {"name": "n", "recording": {"formats": []}},
        {"name": "n", "recording": {"formats": ["mp4", "mp4"]}},
        {"name": "n", "recording": {"subscription": {"audio": False, "video": False}}},
        {"name": "n", "recording": {"library": {"tags": ["a", "a"]}}},
        {"name": "n", "recording": {"library": {"name": "{nothing}"}}},
        {"name": "n", "recording": {"library": {"retention_days": -1}}},
        {"name": "n", "recording": {"library": {}, "destination": {"service": "fs"}}},
        {"name": "n", "recording": {"naming": {"file": "{nobody}"}}},
        {"name": "n", "recording": {"preroll_s": 50}},
        {"name": "n", "recording": {"destination": {"service": "memory"}}},
        {"name": "n", "recording": {"callback": {"url": "http://169.254.169.254/"}}},
        {"name": "n", "recording": {"mode": "mixed", "mix": {"width": 3840}}},
        {
            "name": "n",
            "recording": {"mode": "mixed", "mix": {"pushes": [{"id": "p", "url": "rtmp://169.254.1.1/a/b"}]}},
        },
    ],
)
def test_a_template_that_could_start_nothing_is_refused(api: httpx.Client, body: dict[str, Any]) -> None:
    refused(api.post("/api/v1/templates", json=body), 422, "invalid")


def test_files_of_the_library_have_the_apps_own_storage_and_a_folder_each(api: httpx.Client) -> None:
    body = {"room": "r", "library": {}, "destination": {"service": "fs"}}
    assert refused(api.post("/api/v1/recordings", json=body), 422, "invalid")["where"] == "destination"
    body = {"room": "r", "library": {}, "naming": {"prefix": "{room}/"}}
    assert refused(api.post("/api/v1/recordings", json=body), 422, "invalid")["where"] == "naming.prefix"


def test_a_rules_life(api: httpx.Client) -> None:
    template = made(api, "templates", name="t", recording={})
    rule = made(api, "rules", name="r", template=template["id"], room="nobody-*", resume_s=300)
    path = f"/api/v1/rules/{rule['id']}"
    assert (rule["per"], rule["sources"], rule["identity"]) == ("stream", ["camera", "screen"], "*")
    assert (rule["enabled"], rule["error"]) == (True, "")
    refused(api.delete(f"/api/v1/templates/{template['id']}"), 409, "conflict")
    changed = api.patch(path, json={"sources": ["screen"], "per": "room", "enabled": False}).json()
    assert changed == rule | {"sources": ["screen"], "per": "room", "enabled": False} == api.get(path).json()
    assert [one["id"] for one in api.get("/api/v1/rules").json()["rules"]] == [rule["id"]]
    assert api.delete(path).status_code == 204
    refused(api.get(path), 404, "not-found")
    assert api.delete(f"/api/v1/templates/{template['id']}").status_code == 204


@pytest.mark.parametrize(
    "fields",
    [{"template": "0" * 32}, {"resume_s": 0}, {"room": ""}, {"sources": []}, {"sources": ["camera", "camera"]}],
)
def test_a_rule_that_cannot_be_is_refused(api: httpx.Client, fields: dict[str, Any]) -> None:
    template = made(api, "templates", name="t", recording={})
    refused(api.post("/api/v1/rules", json={"name": "r", "template": template["id"], **fields}), 422, "invalid")
    api.delete(f"/api/v1/templates/{template['id']}").raise_for_status()


def test_callbacks_go_into_a_queue(api: httpx.Client) -> None:
    body = {"room": "q", "callback": {"url": "queue://events-1", "events": ["recording.started", "recording.stopped"]}}
    recording = api.post("/api/v1/recordings", json=body).raise_for_status().json()
    assert api.post(f"/api/v1/recordings/{recording['id']}/stop", params={"wait_s": 30}).json()["state"] == "finished"
    got: list[str] = []
    deadline = time.monotonic() + 30
    while len(got) < 2 and time.monotonic() < deadline:
        answer = api.post("/api/v1/queues/events-1/receive", params={"limit": 16, "wait_s": 5})
        if answer.status_code == 404:
            continue  # nothing was put yet
        for message in answer.json()["messages"]:
            assert base64.b64decode(message["data"]).decode() == message["text"]
            event = json.loads(message["text"])
            assert event["recording"]["id"] == recording["id"]
            got.append(event["type"])
            path = f"/api/v1/queues/events-1/messages/{message['receipt']}"
            assert api.delete(path).status_code == 204
            refused(api.delete(path), 404, "not-found")
    assert got == ["recording.started", "recording.stopped"]
    events = api.get(f"/api/v1/recordings/{recording['id']}/events").json()["events"]
    assert {one["delivery"] for one in events if one["type"] in got} == {"delivered"}
    refused(api.post("/api/v1/recordings", json={"room": "q", "callback": {"url": "queue://a/b"}}), 422, "invalid")


def test_a_queues_life(api: httpx.Client) -> None:
    assert api.put("/api/v1/queues/work", json={"visibility_s": 60}).status_code == 204
    assert api.post("/api/v1/queues/work/messages", json={"text": "é"}).status_code == 201
    data = base64.b64encode(b"\xff\x00").decode()
    assert api.post("/api/v1/queues/work/messages", json={"data": data}).status_code == 201
    (queue,) = [one for one in api.get("/api/v1/queues").json()["queues"] if one["name"] == "work"]
    assert (queue["messages"], queue["visibility_s"]) == (2, 60)
    messages = api.post("/api/v1/queues/work/receive", params={"limit": 2}).json()["messages"]
    assert [(one["text"], one["received"]) for one in messages] == [("é", 1), (None, 1)]
    for wrong in ({}, {"text": "a", "data": data}, {"data": "%"}, {"text": ""}):
        refused(api.post("/api/v1/queues/work/messages", json=wrong), 422, "invalid")
    assert api.delete("/api/v1/queues/work").status_code == 204
    refused(api.post("/api/v1/queues/work/receive"), 404, "not-found")


def test_nothing_of_this_is_there_without_a_key(server: Server) -> None:
    with server.client(key="") as nobody:
        for path in ("templates", "rules", "queues", "media", f"media/{'1' * 19}"):
            refused(nobody.get(f"/api/v1/{path}"), 401, "unauthorized")
        refused(nobody.get(f"/media/9-{'0' * 40}/{'1' * 19}/a.mp4"), 403, "forbidden")


def test_a_file_that_is_not_there(api: httpx.Client) -> None:
    refused(api.get(f"/api/v1/media/{'1' * 19}"), 404, "not-found")
    refused(api.delete(f"/api/v1/media/{'1' * 19}"), 404, "not-found")
    assert api.get("/api/v1/media", params={"name": ["none", "other"], "tag": "x"}).json() == {"media": [], "total": 0}
