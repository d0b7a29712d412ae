"""Processes that die come back, nobody is refused meanwhile, and an end in order loses nothing."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from reelroom.demo.clip import make_clip
from reelroom.demo.publisher import AiortcPublisher
from reelroom.fleet.running import recorders
from tests.needs import need
from tests.servers import Server, running


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as started:
        yield started


def until(true, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def test_every_process_that_is_killed_comes_back(server: Server) -> None:
    with server.client() as api:
        id = api.post("/api/v1/recordings", json={"room": "r"}).json()["id"]
        recorder = server.recorders()[id]
        before = server.children()
        assert set(before) == {"control", "fleet", "ingest-0"}
        for name, pid in before.items():
            os.kill(pid, signal.SIGKILL)
            until(lambda name=name, pid=pid: server.children().get(name) not in (None, pid))
        # The socket outlives the process that serves it: this request waits instead of being refused.
        until(lambda: api.get("/readyz").json()["ready"])
        assert recorders(server.data / "recordings") == {id: recorder}
        assert api.post(f"/api/v1/recordings/{id}/stop", params={"wait_s": 30}).json()["state"] == "finished"


def test_control_is_back_and_refuses_nobody(server: Server) -> None:
    os.kill(server.children()["control"], signal.SIGKILL)
    with server.client(timeout=60) as api:
        assert api.get("/api/v1/recordings").status_code == 200


async def test_a_restart_of_everything_goes_on_with_the_recording(server: Server) -> None:
    need("aiortc")
    clip = make_clip(8, size=(320, 180), video_kbps=300, gop=30)
    with server.client() as api:
        id = api.post("/api/v1/recordings", json={"room": "r", "formats": ["hls", "mp4"]}).json()["id"]
    for number in range(2):
        ann = AiortcPublisher(f"{server.url}/whip/r", server.token("r", "ann"), clip)
        await ann.start()
        await ann.run(3)
        await ann.close(delete=number == 0)
        if number == 0:
            assert await asyncio.to_thread(server.stop) == 0
            assert recorders(server.data / "recordings") == {}
            assert not (server.data / "server.json").exists()
            await asyncio.to_thread(server.start)
    with server.client() as api:
        stopped = api.post(f"/api/v1/recordings/{id}/stop", params={"wait_s": 30}).json()
        assert stopped["state"] == "finished"
        timeline = api.get(f"/api/v1/recordings/{id}/timeline").json()
        files = api.get(f"/api/v1/recordings/{id}/files").json()["files"]
    first, *others = [one["resumed"] for one in timeline["epochs"]]
    assert not first and others and all(others)
    assert [(one["format"], one["identity"]) for one in files] == [("mp4", "ann"), ("hls", "ann")]
    frames = timeline["outputs"][0]["renditions"]["hls"]["video_frames"]
    assert frames >= 2 * 3 * 30 - 30, frames


def test_children_end_with_a_supervisor_that_is_killed(server: Server) -> None:
    children = server.children()
    with server.client() as api:
        id = api.post("/api/v1/recordings", json={"room": "r"}).json()["id"]
    recorder = server.recorders()[id]
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children.values()))
    assert recorders(server.data / "recordings") == {id: recorder}  # it goes on for the next supervisor
    server.kill()
    server.start()
    assert recorders(server.data / "recordings") == {id: recorder}
    with server.client() as api:
        assert api.post(f"/api/v1/recordings/{id}/stop", params={"wait_s": 30}).json()["state"] == "finished"


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reelroom", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )


def test_a_port_that_is_taken_and_a_dev_server_in_public_are_refused(server: Server, tmp_path: Path) -> None:
    taken = command("serve", "--dev", "--http", server.url.removeprefix("http://"), "--data", str(tmp_path))
    assert taken.returncode == 1
    assert "cannot listen" in taken.stderr
    public = command("serve", "--dev", "--http", "0.0.0.0:0", "--data", str(tmp_path))
    assert public.returncode == 2
    assert "loopback" in public.stderr


def test_an_app_added_while_the_server_runs_can_use_it() -> None:
    with running(dev=False) as server:
        data = str(server.data)
        httpx_key = {"Authorization": "Bearer dev-secret"}
        assert httpx.get(server.url + "/api/v1/rooms", headers=httpx_key).status_code == 401
        made = command("app", "add", "shop", "--data", data, "--json", "--credential", "agora.appid=a1")
        assert made.returncode == 0, made.stderr
        credentials = json.loads(made.stdout)["credentials"]
        assert credentials["agora"]["appid"] == "a1"
        key = credentials["native"]["key"]
        time.sleep(1.1)  # unknown keys are looked up once a second at most
        with server.client(key) as api:
            assert api.get("/api/v1/recordings").json() == {"recordings": [], "next": ""}
        again = command("app", "add", "shop", "--data", data)
        assert again.returncode == 1
        assert "exists" in again.stderr
        listed = command("app", "list", "--data", data, "--json")
        assert [one["app"] for one in json.loads(listed.stdout)] == ["shop"]
        assert key not in listed.stdout
        token = command("token", "--app", "shop", "--room", "r", "--identity", "ann", "--data", data)
        assert token.stdout.count(".") == 2
        nobody = command("token", "--app", "nobody", "--room", "r", "--identity", "ann", "--data", data)
        assert nobody.returncode == 1
        with server.client(token.stdout.strip()) as api:  # a room token is no key
            assert api.get("/api/v1/recordings").status_code == 401
            answer = api.post("/whip/r", content="v=0", headers={"Content-Type": "application/sdp"})
            assert answer.status_code == 400


def test_settings_are_shown_without_secrets(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text('database_url = "postgresql://reel:hunter2@db.example/reel"\nworkers = 3\n')
    shown = command("config", "--config", str(file), "--json")
    assert json.loads(shown.stdout)["workers"] == 3
    assert "hunter2" not in shown.stdout
    assert "hunter2" not in command("config", "--config", str(file)).stdout
