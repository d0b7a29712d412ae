"""What tests of Agora's API share: an app, participants, and a receiver of notifications. Tests nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.servers import Server

APPID = "4f3c0123456789abcdef0123456789ab"
CUSTOMER, SECRET, CALLBACK_SECRET = "customer", "customer-secret", "callback-secret"
CREDENTIALS = {
    "native.key": "native-key",
    "agora.appid": APPID,
    "agora.customer_id": CUSTOMER,
    "agora.customer_secret": SECRET,
    "agora.callback_secret": CALLBACK_SECRET,
}


@contextlib.contextmanager
def server(**defaults: str) -> Iterator[Server]:
    """A real server with the app `agora`, whose settings of the dialect are `defaults`."""
    with tempfile.TemporaryDirectory(prefix="rr-") as folder:
        data = Path(folder) / "data"
        command = [sys.executable, "-m", "reelroom", "app", "add", "agora", "--data", str(data), "--json"]
        for name, value in CREDENTIALS.items():
            command += ["--credential", f"{name}={value}"]
        for name, value in defaults.items():
            command += ["--default", f"agora.{name}={value}"]
        subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[2])
        running = Server(data)
        try:
            yield running.start()
        finally:
            running.stop()


def token(running: Server, room: str, identity: str) -> str:
    with running.client("native-key") as client:
        answer = client.post(f"/api/v1/rooms/{room}/tokens", json={"identity": identity})
    answer.raise_for_status()
    return str(answer.json()["token"])


@contextlib.asynccontextmanager
async def participants(
    running: Server, room: str, *identities: str, queries: Mapping[str, str] | None = None
) -> AsyncIterator[None]:
    """Publishers of picture and sound in `room`, with looping clips, for the time of the block. `queries`: what
    somebody's WHIP request says beside it."""
    from reelroom.demo.clip import make_clip
    from reelroom.demo.publisher import AiortcPublisher

    clip = make_clip(4, size=(320, 180), video_kbps=200)
    url, more = f"{running.url}/whip/{room}", queries or {}
    publishers = [
        AiortcPublisher(url + more.get(who, ""), token(running, room, who), clip, loop=True) for who in identities
    ]
    try:
        for publisher in publishers:
            await publisher.start()
        yield
    finally:
        await asyncio.gather(*(publisher.close() for publisher in publishers), return_exceptions=True)


@contextlib.contextmanager
def publishing(
    running: Server, room: str, *identities: str, queries: Mapping[str, str] | None = None
) -> Iterator[None]:
    """The same for tests that call blocking clients: the publishers have a thread of their own."""
    ready, done = threading.Event(), threading.Event()
    failed: list[BaseException] = []

    async def publish() -> None:
        async with participants(running, room, *identities, queries=queries):
            ready.set()
            await asyncio.to_thread(done.wait)

    def run() -> None:
        try:
            asyncio.run(publish())
        except BaseException as error:
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="publishers")
    thread.start()
    try:
        ready.wait(60)
        if failed:
            raise failed[0]
        yield
    finally:
        done.set()
        thread.join(30)


@dataclass
class Receiver:
    """Keeps what was posted: headers and the exact body."""

    url: str = ""
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def notices(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.received]


@contextlib.contextmanager
def receiver() -> Iterator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.received.append((dict(self.headers), body))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{http.server_port}/ncs"
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield kept
    finally:
        http.shutdown()
        http.server_close()


def storage_config(**more: Any) -> Any:
    """The vendor's client's StorageConfig; servers of these tests store elsewhere."""
    from agora_rest_client.services.cloud_recording.v1.individual_recording import api_start

    return api_start.StorageConfig(
        vendor=11,
        region=0,
        bucket="rec",
        accessKey="AK",
        secretKey="SK",
        fileNamePrefix=["calls", "2026"],
        extensionParams=api_start.api_start.ExtensionParams(endpoint="127.0.0.1:1", sse="", tag=""),
        **more,
    )
