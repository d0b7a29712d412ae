"""Admission on a real server: what is told of the machine, and starts that are refused where it has a tiny limit."""

import contextlib
from collections.abc import Iterator

import httpx

from reelroom.dialects.native.capacity import Capacity
from tests.servers import KEY, Server, running


@contextlib.contextmanager
def serving(max_cpu: str) -> Iterator[tuple[Server, httpx.Client]]:
    with running(environment={"REELROOM_MAX_CPU": max_cpu}) as server:
        headers = {"Authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=server.url, headers=headers, timeout=60, trust_env=False) as api:
            yield server, api


def start(api: httpx.Client, **body: object) -> httpx.Response:
    return api.post("/api/v1/recordings", json={"room": "full", **body})


def test_a_server_with_a_tiny_limit_refuses_a_mix_and_says_what_is_free() -> None:
    with serving("0.001") as (server, api):
        answer = start(api, mode="mixed")
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:reelroom:overloaded")
        assert answer.json()["asked_cores"] > 0.1 and answer.json()["free_cores"] < 0.1
        assert api.get("/api/v1/recordings").json()["recordings"] == []
        assert list((server.data / "recordings").iterdir()) == []


def test_what_is_booked_is_told_and_given_back() -> None:
    with serving("10") as (_server, api):
        before = Capacity.model_validate(api.get("/api/v1/capacity").json())
        assert before.cores > 0 and abs(before.limit - before.cores * 10) < 0.01 and before.fits > 0
        started = start(api, mode="mixed")
        assert started.status_code == 201, started.text
        id = started.json()["id"]
        shown = Capacity.model_validate(api.get("/api/v1/capacity", params={"mode": "individual"}).json())
        mine = {one.id: one for one in shown.recordings}
        assert mine[id].mode == "mixed" and mine[id].used + mine[id].booked > 0.1
        assert shown.booked > 0.1 and shown.cost < before.cost  # copying is cheaper than mixing
        assert 'reelroom_capacity_cores{kind="booked"} 0.' in api.get("/metrics").text
        assert api.get("/api/v1/capacity", params={"width": 17}).status_code == 422
        stopped = api.post(f"/api/v1/recordings/{id}/stop", params={"wait_s": 60})
        assert stopped.json()["state"] == "finished"


def test_without_a_limit_everything_is_admitted() -> None:
    with serving("0") as (_server, api):
        assert api.get("/api/v1/capacity").json()["fits"] == -1
        assert start(api, mode="mixed").status_code == 201
