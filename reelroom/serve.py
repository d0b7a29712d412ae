"""The supervisor behind `reelroom serve`: starts the processes, starts again what dies. Serves nothing itself."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import structlog

from reelroom.config import INHERITED, Settings
from reelroom.fleet.running import recorders
from reelroom.parent import VARIABLE as PARENT
from reelroom.store.secrets import SecretBox

log = structlog.get_logger("reelroom.serve")

PAUSES_S = (0.05, 0.1, 0.3, 1.0, 2.0, 5.0, 10.0)  # before a start again; the first again after STEADY_S of life
STEADY_S = 20.0
CONTROL_END_S = 8.0  # requests under way
FLEET_END_S = 5.0
RECORDERS_END_S = 10.0  # they sync what they have; the next start resumes them
INGEST_END_S = 5.0
MAX_FILES = 65_536  # open at one time, in each process


@dataclass(slots=True)
class Child:
    """One process that is to be there always."""

    name: str
    arguments: list[str]
    environment: dict[str, str]
    descriptors: tuple[int, ...]
    process: asyncio.subprocess.Process | None = None
    deaths: int = 0
    ending: bool = False
    started: float = 0.0
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    async def keep(self) -> None:
        """Run it until `end`."""
        while not self.ending:
            self.started = time.monotonic()
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *self.arguments,
                env=self.environment,
                pass_fds=self.descriptors,
                start_new_session=True,  # a terminal's Ctrl-C reaches us alone: children end in order
            )
            log.debug("started", child=self.name, pid=self.process.pid)
            code = await self.process.wait()
            if self.ending:
                return
            if time.monotonic() - self.started > STEADY_S:
                self.deaths = 0
            pause = PAUSES_S[min(self.deaths, len(PAUSES_S) - 1)]
            self.deaths += 1
            log.error("died, starts again", child=self.name, code=code, pause_s=pause, deaths=self.deaths)
            await asyncio.sleep(pause)

    async def end(self, grace_s: float) -> None:
        """SIGTERM, and SIGKILL when it is still there after `grace_s`."""
        self.ending = True
        if self.process is None or self.process.returncode is not None:
            if self.task is not None:
                self.task.cancel()  # it waits to start again
            return
        self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), grace_s)
        except TimeoutError:
            log.error("does not end, killed", child=self.name, grace_s=grace_s)
            self.process.kill()
            await self.process.wait()


class Supervisor:
    """All processes of one `reelroom serve`. `ready` is called once, when rooms can be joined."""

    def __init__(self, settings: Settings, ready: Callable[[dict[str, Any]], None]) -> None:
        self.settings = settings.with_folders()
        more_files()
        self._ready = ready
        self._end = asyncio.Event()
        self._alive, self._parent = os.pipe()  # children see the end of file when we are gone
        self._listener = bind(settings.http_host, settings.http_port)
        self.url = _url(self._listener)
        self._state = self.settings.data / "server.json"

    def _children(self) -> list[Child]:
        settings = self.settings
        environment = {
            **os.environ,
            INHERITED: settings.model_dump_json(),
            PARENT: str(self._alive),
            "PYTHONUNBUFFERED": "1",
        }
        http = self._listener.fileno()
        ingests = [
            Child(f"ingest-{index}", ["reelroom.rooms", "--index", str(index)], environment, (self._alive,))
            for index in range(settings.workers)
        ]
        fleet = Child(
            "fleet",
            [
                *("reelroom.fleet", "--data", str(settings.data), "--run", str(settings.run)),
                *("--workers", str(settings.workers), "--hardware", ",".join(settings.mix_hardware)),
                *("--log-level", settings.log_level, "--log-format", settings.log_format),
            ],
            environment,
            (self._alive,),
        )
        control = Child(
            "control",
            ["reelroom.control"],
            environment | {"REELROOM_HTTP_FD": str(http)},
            (self._alive, http),
        )
        return [*ingests, fleet, control]

    def end(self) -> None:
        """Begin to end; `run` returns when everything has."""
        self._end.set()

    async def run(self) -> None:
        """Run until `end` or a signal."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end)
        SecretBox.load(self.settings.keys / "secrets.key")  # made once, before anybody could race for it
        children = self._children()
        for child in children:
            child.task = asyncio.create_task(child.keep(), name=child.name)
        announcing = asyncio.create_task(self._announce(children))
        try:
            await self._end.wait()
        finally:
            announcing.cancel()
            await self._end_all(children)
            self._state.unlink(missing_ok=True)
            self._listener.close()
            os.close(self._parent)
            os.close(self._alive)

    async def _end_all(self, children: list[Child]) -> None:
        """Control first: no new work. Then the recorders, which still hear the rooms. The rooms last."""
        *ingests, fleet, control = children
        await control.end(CONTROL_END_S)
        await fleet.end(FLEET_END_S)  # before the recorders, which it would start again
        await end_recorders(self.settings.recordings, RECORDERS_END_S)
        await asyncio.gather(*(ingest.end(INGEST_END_S) for ingest in ingests))
        await asyncio.gather(*(child.task for child in children if child.task), return_exceptions=True)

    async def _announce(self, children: list[Child]) -> None:
        """Write DATA/server.json at once, and call `ready` when /readyz says so."""
        found = {
            "url": self.url,
            "pid": os.getpid(),
            "data": str(self.settings.data),
            "run": str(self.settings.run),
        }
        write_json(self._state, found)
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            while True:
                try:
                    if (await client.get(self.url + "/readyz")).status_code == 200:
                        break
                except httpx.HTTPError as error:
                    log.debug("not ready", error=repr(error))
                await asyncio.sleep(0.05)
        self._ready(found | {"pids": {c.name: c.process.pid for c in children if c.process is not None}})


async def end_recorders(recordings: Path, grace_s: float) -> None:
    """SIGTERM to every recorder of this data folder, and wait: its recording goes on at the next start."""
    deadline = time.monotonic() + grace_s
    asked: set[int] = set()
    while found := await asyncio.to_thread(recorders, recordings):
        for pid in set(found.values()) - asked:
            asked.add(pid)
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        if time.monotonic() > deadline:
            log.warning("recorders are still busy and left alone", recorders=found)
            return
        await asyncio.sleep(0.05)


def bind(host: str, port: int) -> socket.socket:
    """The HTTP socket, which outlives the processes that serve it: a restart refuses nobody. OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(1024)
    listener.setblocking(False)
    return listener


def more_files() -> None:
    """As many open files as the system lets us have, for us and our children: connections and journals are files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1" if listener.family == socket.AF_INET else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def write_json(path: Path, value: dict[str, Any]) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value) + "\n")
    part.rename(path)
