"""`./run bench individual`: this server, GStreamer and aiortc record the same packets. Holds no recorder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.peers.measure import cpu_and_rss

ROOT = Path(__file__).parent.parent
SETTLE_S = 4.0  # after the last participant's first packet: queues and rings are at their level
KEY = {"Authorization": "Bearer dev-secret"}


@dataclass(slots=True)
class Row:
    """One recorder with one number of participants."""

    recorder: str
    participants: int
    cpu_percent: float  # of one core, a participant
    rss_mb: float  # a participant, all processes, less what they hold with nobody there
    frames_sent: int
    frames_lost: int
    load_percent: float  # what the load generator itself took, of one core, a participant
    parts: dict[str, float]  # cpu_percent by process


class BenchError(Exception):
    """A recorder or the load generator did not do its part."""


class Process:
    """A child that speaks JSON lines."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        self._log = log
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                arguments, stdout=subprocess.PIPE, stderr=stderr, cwd=ROOT, text=True, start_new_session=True
            )
        self.pid = self._process.pid

    def line(self, until: Callable[[dict[str, Any]], bool], seconds: float) -> dict[str, Any]:
        """The first line that `until` takes; BenchError when none comes in time."""
        timer = threading.Timer(seconds, self._process.kill)
        timer.start()
        try:
            assert self._process.stdout is not None
            for text in self._process.stdout:
                if text.startswith("{") and until(found := json.loads(text)):
                    return found
        finally:
            timer.cancel()
        raise BenchError(f"{self._process.args!r} said nothing of use; {self._log.read_text()[-1500:]}")

    def end(self, seconds: float = 30) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def run(counts: Sequence[int], seconds: float, recorders: Sequence[str], say: Callable[[str], None]) -> list[Row]:
    """All rows, one after the other, in one go."""
    rows = []
    for participants in counts:
        for name in recorders:
            say(f"{name}, {participants} participants")
            with tempfile.TemporaryDirectory(prefix="reelroom-bench-") as folder:
                row = (_reelroom if name == "reelroom" else _peer(name))(Path(folder), participants, seconds)
            rows.append(row)
            say(f"  {row.parts}")
            say(
                f"  {row.cpu_percent:.2f} % of a core a participant, {row.frames_lost} of {row.frames_sent} frames lost"
            )
    return rows


def _reelroom(folder: Path, participants: int, seconds: float) -> Row:
    arguments = ["serve", "--dev", "--http", "127.0.0.1:0", "--rtc-port", "0", "--data", str(folder / "data"), "--json"]
    server = Process([sys.executable, "-m", "reelroom", *arguments], folder / "server.log")
    try:
        url = server.line(lambda said: "url" in said, 60)["url"]
        api = httpx.Client(base_url=url, headers=KEY, timeout=60, trust_env=False)
        tokens = [
            api.post("/api/v1/rooms/bench/tokens", json={"identity": f"p{i:03}"}).json()["token"]
            for i in range(participants)
        ]
        empty = sum(rss for _, rss in map(cpu_and_rss, _tree(server.pid)))
        started: dict[str, Any] = {}

        def start() -> None:
            started.update(api.post("/api/v1/recordings", json={"room": "bench", "formats": ["hls"]}).json())

        def stop() -> None:
            api.post(f"/api/v1/recordings/{started['id']}/stop", params={"wait_s": 60})

        usage = _loaded(folder, f"{url}/whip/bench", tokens, seconds, lambda: _tree(server.pid), start)
        stop()
        written = _journal_frames(folder / "data" / "recordings" / started["id"] / "journal.jsonl")
    finally:
        server.end()
    return _row("reelroom", participants, usage, empty, written)


def _peer(name: str) -> Callable[[Path, int, float], Row]:
    python = sys.executable if name == "aiortc" else "/usr/bin/python3"

    def measure(folder: Path, participants: int, seconds: float) -> Row:
        module = f"benchmarks.peers.{name}_recorder"
        recorder = Process([python, "-m", module, "--folder", str(folder)], folder / "peer.log")
        try:
            url = recorder.line(lambda said: said.get("event") == "listening", 60)["url"]
            empty = cpu_and_rss(recorder.pid)[1]
            tokens = [None] * participants
            usage = _loaded(folder, url, tokens, seconds, lambda: [recorder.pid], lambda: None)
            os.kill(recorder.pid, signal.SIGTERM)
            try:
                result = recorder.line(lambda said: said.get("event") == "result", 60)
            except BenchError:
                result = {"frames_written": {}}  # it never finished its files: all of it is lost
        finally:
            recorder.end()
        written = sum(sum(frames.values()) for frames in result["frames_written"].values())
        return _row(name, participants, usage, empty, written)

    return measure


@dataclass(slots=True)
class _Usage:
    cpu: dict[str, float]  # seconds in the window, by process
    window: float
    rss: int
    load: dict[str, Any]


def _loaded(
    folder: Path,
    url: str,
    tokens: Sequence[str | None],
    seconds: float,
    pids: Callable[[], list[int]],
    start: Callable[[], None],
) -> _Usage:
    """Put the load on, and read the recorder's CPU time over the steady part of it."""
    file = folder / "tokens.json"
    file.write_text(json.dumps(list(tokens)))
    command = ["--url", url, "--participants", str(len(tokens)), "--tokens", str(file), "--events"]
    load = Process(
        [sys.executable, "-m", "benchmarks.load", *command, "--seconds", str(seconds + SETTLE_S + 2)],
        folder / "load.log",
    )
    try:
        load.line(lambda said: said["event"] == "sending", 120)
        start()
        time.sleep(SETTLE_S)
        before, began = {pid: cpu_and_rss(pid)[0] for pid in pids()}, time.monotonic()
        time.sleep(seconds)
        after, window = {pid: cpu_and_rss(pid) for pid in pids()}, time.monotonic() - began
        result = load.line(lambda said: said["event"] == "result", seconds + 120)
    finally:
        load.end()
    cpu: dict[str, float] = {}
    for pid, (used, _) in after.items():
        cpu[_name(pid)] = cpu.get(_name(pid), 0.0) + used - before.get(pid, 0.0)
    return _Usage(cpu, window, sum(rss for _, rss in after.values()), result)


def _row(name: str, participants: int, usage: _Usage, empty: int, written: int) -> Row:
    sent = sum(one["video_frames"] + one["audio_frames"] for one in usage.load["sent"])
    share = 100 / usage.window / participants
    return Row(
        recorder=name,
        participants=participants,
        cpu_percent=share * sum(usage.cpu.values()),
        rss_mb=(usage.rss - empty) / participants / 1e6,
        frames_sent=sent,
        frames_lost=sent - written,
        parts={part: round(share * seconds, 3) for part, seconds in usage.cpu.items()},
        load_percent=100 * usage.load["cpu_seconds"] / usage.load["wall_seconds"] / participants,
    )


def _journal_frames(journal: Path) -> int:
    """Frames in all closed segments of the recording."""
    bodies = (json.loads(line)["body"] for line in journal.read_text().splitlines())
    return sum(body["video_frames"] + body["audio_frames"] for body in bodies if body["type"] == "segment")


def _name(pid: int) -> str:
    """Which part of the server (or peer) a process is, by its command line or title."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    modules = {"reelroom.rooms": "ingest", "reelroom.fleet": "fork server", "reelroom.control": "control"}
    if Path(f"/proc/{pid}/comm").read_text().startswith("rr "):
        return "recorder"
    return next((name for module, name in modules.items() if module in words), "supervisor")


def _tree(pid: int) -> list[int]:
    """A process and all that it started, theirs too (recorders are the fork server's)."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue  # it has just ended
            parents.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += parents.get(one, [])
    return found


def as_json(rows: Sequence[Row]) -> str:
    return json.dumps([asdict(row) for row in rows])
