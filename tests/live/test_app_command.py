"""`reelroom app add|set|list` beside a server that runs: what is changed counts within seconds, the rest stays."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.servers import Server, running

START = {"storageConfig": {
    "vendor": 11, "region": 0, "bucket": "b", "accessKey": "a", "secretKey": "s",
    "extensionParams": {"endpoint": "127.0.0.1:1"},
}}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as started:
        yield started


def reelroom(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reelroom", "app", *words, "--data", str(server.data)]
    return subprocess.run(command, capture_output=True, text=True)


def add(server: Server, name: str, *words: str) -> dict[str, Any]:
    made = reelroom(server, "add", name, "--json", *words)
    assert made.returncode == 0, made.stderr
    return dict(json.loads(made.stdout)["credentials"])


def status_with(server: Server, key: str, wanted: int) -> int:
    """What a list answers to `key`, once it is `wanted` or after a while."""
    deadline = time.monotonic() + 30
    with server.client(key) as api:
        while (status := api.get("/api/v1/recordings").status_code) != wanted and time.monotonic() < deadline:
            time.sleep(0.2)
    return status


def has_callback(server: Server, agora: dict[str, str], key: str, uid: str) -> bool:
    """Whether a recording that is started by Agora's API now tells somebody."""
    base = f"{server.url}/v1/apps/{agora['appid']}/cloud_recording"
    with httpx.Client(auth=(agora["customer_id"], agora["customer_secret"]), trust_env=False, timeout=30) as client:

        def post(path: str, request: dict[str, Any]) -> dict[str, Any]:
            body = {"cname": "c", "uid": uid, "clientRequest": request}
            return dict(client.post(f"{base}/{path}", json=body).raise_for_status().json())

        resource = post("acquire", {})["resourceId"]
        sid = post(f"resourceid/{resource}/mode/individual/start", START)["sid"]
        with server.client(key) as api:
            found = api.get(f"/api/v1/recordings/{sid}").raise_for_status().json()
            api.post(f"/api/v1/recordings/{sid}/stop").raise_for_status()
    return bool(found["callback"])


def test_an_apps_settings_change_while_the_server_runs(server: Server) -> None:
    made = add(server, "clinic")
    key, agora = made["native"]["key"], made["agora"]
    assert status_with(server, key, 200) == 200
    assert not has_callback(server, agora, key, "1")
    changed = reelroom(server, "set", "clinic", "--default", "agora.callback_url=http://127.0.0.1:9/", "--json")
    assert json.loads(changed.stdout)["defaults"] == {"agora": {"callback_url": "http://127.0.0.1:9/"}}
    assert "secret" not in changed.stdout and key not in changed.stdout
    deadline = time.monotonic() + 30
    while not has_callback(server, agora, key, "2") and time.monotonic() < deadline:
        time.sleep(0.5)
    assert has_callback(server, agora, key, "3")
    assert status_with(server, key, 200) == 200  # nothing else has changed


def test_an_old_key_is_worth_nothing(server: Server) -> None:
    old = add(server, "rotating")["native"]["key"]
    assert status_with(server, old, 200) == 200
    assert reelroom(server, "set", "rotating", "--credential", "native.key=another-key-altogether").returncode == 0
    assert status_with(server, "another-key-altogether", 200) == 200
    assert status_with(server, old, 401) == 401


def test_a_destination_comes_and_goes_and_leaves_no_credentials(server: Server) -> None:
    add(server, "moving")
    options = ("bucket=b", "access_key_id=a", "secret_access_key=hush-hush", "endpoint=http://127.0.0.1:1")
    words = [word for option in options for word in ("--option", option)]
    changed = reelroom(server, "set", "moving", "--destination", "s3", *words)
    assert changed.returncode == 0 and "of its own" in changed.stdout and "hush" not in changed.stdout
    changed = reelroom(server, "set", "moving", "--no-destination")
    assert changed.returncode == 0 and "the server's storage" in changed.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nobody", "--no-destination"), "no app 'nobody'"),
        (("refused",), "nothing to change"),
        (("refused", "--default", "agora.nonsense=1"), "agora.nonsense"),
        (("refused", "--default", "agora.callback_url=gopher://x"), "agora.callback_url"),
        (("refused", "--credential", "native.key="), "must not be empty"),
        (("refused", "--credential", "agora.appid=dev"), "another app has this agora appid"),
        (("refused", "--credential", "native.key=dev-secret"), "another app has this native key"),
        (("refused", "--destination", "s3", "--no-destination"), "exclude each other"),
        (("refused", "--destination", "s3"), "needs access_key_id"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(server: Server, words: tuple[str, ...], said: str) -> None:
    if "refused" not in reelroom(server, "list").stdout:
        add(server, "refused")
    before = reelroom(server, "list", "--json").stdout
    refused = reelroom(server, "set", *words)
    assert refused.returncode != 0
    assert said in " ".join(refused.stderr.split())
    assert reelroom(server, "list", "--json").stdout == before
