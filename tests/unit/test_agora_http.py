"""Agora's gateway: credentials, paths, bodies, headers, the rate of requests. No sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from reelroom.control.middleware import BodyLimit
from reelroom.dialects.agora import senders
from reelroom.store import tables
from tests.unit.agora_server import BASE, Server, refused, serving


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as made:
        yield made


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


@pytest.mark.parametrize("mode", ["web", "raw"])
async def test_other_modes_are_not_supported(server: Server, mode: str) -> None:
    body = {"cname": "room-7", "uid": "900001", "clientRequest": {}}
    resource_id = await server.acquire()
    answer = await server.http.post(f"{BASE}/resourceid/{resource_id}/mode/{mode}/start", json=body)
    refused(answer, 400, 2, f"not supported: mode {mode}")


async def test_update_layout_exists_for_mix_only(server: Server) -> None:
    body = {"cname": "room-7", "uid": "900001", "clientRequest": {}}
    answer = await server.http.post(f"{BASE}/resourceid/x/sid/y/mode/mix/updateLayout", json=body)
    refused(answer, 400, 1001)
    answer = await server.http.post(f"{BASE}/resourceid/x/sid/y/mode/individual/updateLayout", json=body)
    assert (answer.status_code, answer.json()) == (404, {"message": "no Route matched with those values"})


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
        (b'{"cname":"a","uid":"1","clientRequest":{"startParameter":{"a":"\\ud800"}}}', "application/json", 2),
        (
            b'{"cname":"a","uid":"1","clientRequest":{"startParameter":{"a":' + b"[" * 900 + b"]" * 900 + b"}}}",
            "application/json",
            2,
        ),
        (b"{}", "text/plain", 8),
        (b'{"cname":"a","uid":1,"clientRequest":{}}', "application/json", 2),
        (b'{"cname":"a","uid":"1"}', "application/json;charset=utf-8", 2),
        (b'{"cname":"a","uid":"0","clientRequest":{}}', "application/json", 2),
        (b'{"cname":"a/b","uid":"1","clientRequest":{}}', "application/json", 401),
    ],
)
async def test_bad_bodies(server: Server, content: bytes, kind: str, code: int) -> None:
    answer = await server.http.post(f"{BASE}/acquire", content=content, headers={"Content-Type": kind})
    refused(answer, 400, code)


@pytest.mark.parametrize("limit", [1 << 20, 1 << 10])
async def test_a_body_that_is_too_large_is_refused_in_the_gateways_words(server: Server, limit: int) -> None:
    server.app.add_middleware(BodyLimit, limit=limit, sdp_limit=limit)
    answer = await server.http.post(f"{BASE}/acquire", content=b" " * 300_000)
    assert (answer.status_code, answer.json()) == (413, {"message": "Request size limit exceeded"})
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/v1/ncs/ip", "/v2/ncs/ip", "/na/v1/ncs/ip"])
async def test_the_addresses_of_callbacks(server: Server, path: str) -> None:
    answer = await server.http.get(path)
    hosts = [{"primaryIP": "127.0.0.1"}, {"primaryIP": "::1"}]  # what --dev is bound to
    assert (answer.status_code, answer.json()) == (200, {"data": {"service": {"hosts": hosts}}})
    server.http.auth = ("dev", "wrong")
    answer = await server.http.get(path)
    assert (answer.status_code, answer.json()) == (401, {"message": "Invalid authentication credentials"})
    assert (await server.http.post(path)).status_code == 404


def test_announced_addresses_go_before_bound_ones() -> None:
    assert senders.addresses(["198.51.100.10"], ["0.0.0.0"]) == ["198.51.100.10"]
    assert senders.addresses([], ["192.0.2.1"]) == ["192.0.2.1"]
    everywhere = senders.addresses([], ["0.0.0.0", "::"])
    assert not {"0.0.0.0", "::"} & set(everywhere)


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
