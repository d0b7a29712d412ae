"""`reelroom demo`: a server of its own, three people in a call, a recording, a table of files. No media code."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from reelroom.demo.clip import make_clip
from reelroom.demo.publisher import AiortcPublisher

PEOPLE = ("alice", "bob", "carol")
ROOM = "demo"
KEY = "dev-secret"
CLIP_S = 10
SIZE = (640, 360)
KBPS = 700
#: One picture of all, and everybody's own files beside it.
MIX = {"individual": True, "width": 1280, "height": 720, "scene": {"names": {"size": 24}}}
EVERYBODY = "everybody, mixed"
_READY_S = 60.0
_FINISH_S = 120.0


class DemoError(Exception):
    """The demo could not go on; the message says where it stopped."""


def main(*, seconds: int, out: Path, keep: bool, json: bool) -> int:
    """Run the demo; returns the exit code. Progress and errors go to stderr, the table or JSON to stdout."""
    console = Console(stderr=True, quiet=False)
    try:
        return asyncio.run(_Demo(seconds, out, keep=keep, as_json=json, console=console).run())
    except (DemoError, httpx.HTTPError) as error:
        console.print(f"[red]demo:[/red] {error}")
        return 1
    except KeyboardInterrupt:
        return 130


class _Demo:
    """One run, top to bottom."""

    def __init__(self, seconds: int, out: Path, *, keep: bool, as_json: bool, console: Console) -> None:
        self.seconds = seconds
        self.out = out
        self.keep = keep
        self.as_json = as_json
        self.console = console
        self.data = Path(tempfile.mkdtemp(prefix="reelroom-demo-"))
        self.url = ""

    async def run(self) -> int:
        bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=self.console, transient=True
        )
        server = await self._start_server()
        try:
            with bar:
                files = await self._record(bar)
            if self.as_json:
                print(json.dumps({"recording": self.recording, "url": self.url, "files": files}), flush=True)
            else:
                Console().print(_table(files))
                print(f"in {self.out}", flush=True)
            if self.keep:
                await self._stay(server)
        finally:
            await _end(server)
            shutil.rmtree(self.data, ignore_errors=True)
        return 0

    async def _start_server(self) -> asyncio.subprocess.Process:
        arguments = ["serve", "--dev", "--http", "127.0.0.1:0", "--rtc-port", "0", "--data", str(self.data)]
        log = await asyncio.to_thread(open, self.data / "server.log", "wb")
        server = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "reelroom", *arguments, "--json",
            stdout=asyncio.subprocess.PIPE, stderr=log, start_new_session=True,
            env=_defaults(), cwd=self.data,
        )  # fmt: skip
        log.close()
        assert server.stdout is not None
        try:
            line = await asyncio.wait_for(server.stdout.readline(), _READY_S)
        except TimeoutError:
            line = b""
        if not line:
            said = (self.data / "server.log").read_text()[-2000:]
            await _end(server)
            raise DemoError(f"the server did not come up within {_READY_S:g} s; it said:\n{said}")
        self.url = json.loads(line)["url"]
        return server

    async def _record(self, bar: Progress) -> list[dict[str, Any]]:
        headers = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30, trust_env=False) as api:
            step = bar.add_task("making pictures and sound", total=len(PEOPLE))
            clips = []
            for number in range(len(PEOPLE)):
                clips.append(
                    await asyncio.to_thread(make_clip, CLIP_S, size=SIZE, video_kbps=KBPS, participant=number + 1)
                )
                bar.advance(step)
            publishers = []
            step = bar.add_task("joining the call", total=len(PEOPLE))
            for name, clip in zip(PEOPLE, clips, strict=True):
                answer = await _call(api, "POST", f"/api/v1/rooms/{ROOM}/tokens", {"identity": name})
                publishers.append(AiortcPublisher(f"{self.url}/whip/{ROOM}", answer["token"], clip, loop=True))
                await publishers[-1].start()
                bar.advance(step)
            speaking = [asyncio.create_task(publisher.run(self.seconds + 3600)) for publisher in publishers]
            try:
                body = {"room": ROOM, "formats": ["hls", "mp4"], "mode": "mixed", "mix": MIX}
                answer = await _call(api, "POST", "/api/v1/recordings", body)
                self.recording: str = answer["id"]
                step = bar.add_task("recording", total=self.seconds * 10)
                for _ in range(self.seconds * 10):
                    await asyncio.sleep(0.1)
                    bar.advance(step)
                await _call(api, "POST", f"/api/v1/recordings/{self.recording}/stop", {})
            finally:
                for task in speaking:
                    task.cancel()
                await asyncio.gather(*speaking, return_exceptions=True)
                for publisher in publishers:
                    await publisher.close()
            step = bar.add_task("finishing", total=None)
            await self._finished(api)
            bar.update(step, total=1, completed=1)
            return await self._fetch(api)

    async def _finished(self, api: httpx.AsyncClient) -> None:
        for _ in range(int(_FINISH_S * 10)):
            state = (await _call(api, "GET", f"/api/v1/recordings/{self.recording}"))["state"]
            if state == "finished":
                return
            if state == "failed":
                raise DemoError("the recording failed: see the server's log with --keep")
            await asyncio.sleep(0.1)
        raise DemoError(f"the recording was not finished {_FINISH_S:g} s after stop")

    async def _fetch(self, api: httpx.AsyncClient) -> list[dict[str, Any]]:
        """Copy every file to `out`, and describe what a person would play: playlists and whole files."""
        answer = await _call(api, "GET", f"/api/v1/recordings/{self.recording}/files?segments=true")
        listed = answer["files"]
        described = []
        for file in listed:
            target = self.out / file["key"].rpartition("/")[2]
            # Without the URL's signature (we have the key), so that a playlist names plain files.
            await _download(api, urljoin(self.url, file["url"]).partition("?")[0], target)
            if file["role"] not in ("playlist", "file"):
                continue
            parts = [f for f in listed if f["role"] == "segment" and f["output"] == file["output"]]
            whole = file if file["role"] == "file" else (parts[0] if parts else file)
            seconds = file["duration_s"] or sum(part["duration_s"] or 0 for part in parts)
            size = file["bytes"] if file["role"] == "file" else sum(part["bytes"] for part in parts)
            described.append(
                {
                    "participant": EVERYBODY if file["source"] == "mixed" else file["identity"],
                    "path": str(target),
                    "format": file["format"],
                    "codecs": [codec for codec in (whole["video_codec"], whole["audio_codec"]) if codec],
                    "seconds": round(seconds, 3),
                    "bytes": size,
                }
            )
        return sorted(described, key=lambda one: (one["participant"], one["format"]))

    async def _stay(self, server: asyncio.subprocess.Process) -> None:
        say = Console(stderr=True)
        say.print(f"The server stays up at {self.url} until Ctrl-C. Try:")
        timeline = f"{self.url}/api/v1/recordings/{self.recording}/timeline"
        say.print(f"  curl -H 'Authorization: Bearer {KEY}' {timeline}", soft_wrap=True)  # it is to be copied
        say.print(f"  {self.url}/api/v1/docs", highlight=False)
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ended.set)
        waiting = asyncio.create_task(ended.wait())
        await asyncio.wait({waiting, asyncio.create_task(server.wait())}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()


def _defaults() -> dict[str, str]:
    """The environment without our own settings: a demo must not write into the database of a real server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("REELROOM_")}


def _table(files: list[dict[str, Any]]) -> Table:
    table = Table("participant", "format", "codecs", "seconds", "size")
    table.add_column("file", no_wrap=True, overflow="ignore")  # whole, to be copied; the folder stands below
    for file in files:
        size, seconds = f"{file['bytes'] / 1e6:.2f} MB", f"{file['seconds']:.2f}"
        name = Path(file["path"]).name
        table.add_row(file["participant"], file["format"], " + ".join(file["codecs"]), seconds, size, name)
    return table


async def _call(api: httpx.AsyncClient, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    answer = await api.request(method, path, json=body)
    if answer.is_error:
        raise DemoError(f"{method} {path} answered {answer.status_code}: {answer.text[:500]}")
    return answer.json()


async def _download(api: httpx.AsyncClient, url: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    async with api.stream("GET", url) as answer:
        if answer.is_error:
            raise DemoError(f"GET {url} answered {answer.status_code}")
        with target.open("wb") as file:
            async for chunk in answer.aiter_bytes():
                file.write(chunk)


async def _end(server: asyncio.subprocess.Process) -> None:
    if server.returncode is None:
        server.terminate()
        try:
            await asyncio.wait_for(server.wait(), 20)
        except TimeoutError:
            server.kill()
            await server.wait()
