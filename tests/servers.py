"""A real `reelroom serve` in a process of its own, for live tests and benchmarks. Tests nothing itself."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

KEY = "dev-secret"


class Server:
    """`reelroom serve --dev` on free ports with a data folder of its own. `url`, `data`, `run`, `pids` are facts."""

    def __init__(self, data: Path, *flags: str, environment: dict[str, str] | None = None, dev: bool = True) -> None:
        self.data = data
        self._flags = ["--http", "127.0.0.1:0", "--rtc-port", "0", *(["--dev"] if dev else []), *flags]
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self.facts: dict[str, Any] = {}
        self.log = data.parent / f"{data.name}.log"

    def start(self, ready_s: float = 90.0) -> Server:
        """Start it and wait until rooms can be joined. RuntimeError with the log's end when that does not come."""
        command = [sys.executable, "-m", "reelroom", "serve", "--json", "--data", str(self.data), *self._flags]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, env=self._environment, cwd=Path(__file__).parents[1]
            )
        assert self._process.stdout is not None
        deadline = time.monotonic() + ready_s
        os.set_blocking(self._process.stdout.fileno(), False)
        line = b""
        while not line.endswith(b"\n"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError("the server did not get ready:\n" + self.tail())
            line += self._process.stdout.read() or b""
            time.sleep(0.02)
        self.facts = json.loads(line)
        return self

    @property
    def url(self) -> str:
        return str(self.facts["url"])

    @property
    def pid(self) -> int:
        """The supervisor's."""
        return int(self.facts["pid"])

    @property
    def run(self) -> Path:
        return Path(self.facts["run"])

    def children(self) -> dict[str, int]:
        """Process ids by name now ("control", "fleet", "ingest-0"), from /proc: restarts change them."""
        found = {}
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                words = (folder / "cmdline").read_bytes().decode().split("\0")
            except (OSError, ValueError, IndexError):
                continue
            if parent == self.pid and "-m" in words:
                name = words[words.index("-m") + 1].removeprefix("reelroom.")
                found[f"ingest-{words[words.index('--index') + 1]}" if name == "rooms" else name] = int(folder.name)
        return found

    def recorders(self) -> dict[str, int]:
        """Process ids of the recorders that the fork server knows, by recording."""
        import socket

        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(str(self.run / "fleet.sock"))
            sock.sendall(b'{"op":"list"}\n')
            return {str(key): int(pid) for key, pid in json.loads(sock.makefile().readline())["running"].items()}

    def client(self, key: str = KEY, timeout: float = 30) -> httpx.Client:
        """A client of the native API."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout, trust_env=False)

    def token(self, room: str, identity: str, **more: Any) -> str:
        """A room token, minted by the API."""
        with self.client() as client:
            answer = client.post(f"/api/v1/rooms/{room}/tokens", json={"identity": identity, **more})
        answer.raise_for_status()
        return str(answer.json()["token"])

    def wait_for(self, recording: str, *states: str, timeout_s: float = 30) -> dict[str, Any]:
        """The recording once it is in one of `states`; TimeoutError with what it is instead."""
        deadline = time.monotonic() + timeout_s
        with self.client() as client:
            while True:
                found = client.get(f"/api/v1/recordings/{recording}").raise_for_status().json()
                if found["state"] in states:
                    return dict(found)
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{recording} is {found['state']}, not {states}:\n{self.tail()}")
                time.sleep(0.05)

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self, timeout_s: float = 45) -> int:
        """SIGTERM as an operator would, and the exit code."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout_s)
        finally:
            self.kill()

    def kill(self) -> None:
        """SIGKILL for the supervisor and everything it left."""
        if self._process is None:
            return
        pids: set[int] = set()
        if self.facts:
            pids |= set(self.children().values())
            with contextlib.suppress(OSError, ValueError, KeyError):
                pids |= set(self.recorders().values())
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None


@contextlib.contextmanager
def running(*flags: str, environment: dict[str, str] | None = None, dev: bool = True) -> Iterator[Server]:
    """A server in a temporary folder for the time of the block; the folder goes with it."""
    base = Path(tempfile.mkdtemp(prefix="rr-"))
    server = Server(base / "data", *flags, environment=environment, dev=dev)
    try:
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(base, ignore_errors=True)
