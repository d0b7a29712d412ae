"""The fork server: one warm process that forks a recorder for each recording and forks it again when it dies.

Single-threaded, so that forking is safe: what recorders need is imported before, threads are started after.
Recorders outlive it: their recordings' locks tell its successor that they run. Holds no recording logic.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import re
import selectors
import signal
import socket
import sys
import time
import traceback
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import structlog

from reelroom import finish as _finish  # noqa: F401  # warm
from reelroom.record import journal, process
from reelroom.record.paths import Paths, fleet_socket

log = structlog.get_logger()
_ID = re.compile(r"[0-9a-f]{32}\Z")
_SCAN_S = 2.0
_DEATHS, _WITHIN_S = 5, 60.0  # more deaths than that within so long: pauses
_PAUSES_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_MAX_REQUEST = 4096


@dataclass(slots=True)
class Child:
    """A recording whose recorder this server looks after."""

    pid: int = 0  # 0: waiting until `again`
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=_DEATHS + len(_PAUSES_S)))
    again: float = 0.0


def pause_after(deaths: deque[float], now: float) -> float:
    """Seconds to wait before the next fork: none for the first deaths within a minute, then growing ones."""
    recent = sum(now - death < _WITHIN_S for death in deaths)
    if recent < _DEATHS:
        return 0.0
    return _PAUSES_S[min(recent - _DEATHS, len(_PAUSES_S) - 1)]


class ForkServer:
    """Serves RUN/fleet.sock until SIGTERM, SIGINT or the supervisor's death (EOF on `parent_fd`)."""

    def __init__(
        self, data: Path, run: Path, workers: int, hardware: tuple[str, ...] = (), parent_fd: int | None = None
    ) -> None:
        self._data = data
        self._run = run
        self._workers = workers
        self._hardware = hardware
        self._recordings = data / "recordings"
        self._recordings.mkdir(parents=True, exist_ok=True)
        self._children: dict[str, Child] = {}
        self._finished: set[str] = set()  # among the folders: never to be looked at again
        self._listed_ns = -1
        self._open: set[str] = set()  # found unfinished at the last scan
        self._parent_fd = parent_fd
        self._selector = selectors.DefaultSelector()
        self._clients: dict[socket.socket, bytearray] = {}
        path = fleet_socket(run)
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._listener.bind(os.fspath(path))
        os.chmod(path, 0o600)
        self._listener.listen(64)
        self._wake_r, self._wake_w = socket.socketpair()
        self._wake_r.setblocking(False)
        self._wake_w.setblocking(False)
        self._ended = False

    def serve(self) -> None:
        """Until told to end. Recorders are left running."""
        signal.signal(signal.SIGCHLD, self._on_signal)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_end)
        signal.set_wakeup_fd(self._wake_w.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._wake_r, selectors.EVENT_READ, self._woken)
        if self._parent_fd is not None:
            self._selector.register(self._parent_fd, selectors.EVENT_READ, self._parent)
        gc.collect()
        gc.freeze()  # children share these pages: the collector must not touch them
        scan = 0.0
        while not self._ended:
            now = time.monotonic()
            if now >= scan:
                self._scan()
                scan = now + _SCAN_S
            self._fork_due(now)
            wait = min([scan, *(c.again for c in self._children.values() if not c.pid)]) - time.monotonic()
            for key, _ in self._selector.select(max(0.0, wait)):
                key.data(key.fileobj)
        self._listener.close()
        fleet_socket(self._run).unlink(missing_ok=True)

    # events

    def _on_signal(self, _number: int, _frame: object) -> None:
        """The wake-up descriptor has it."""

    def _on_end(self, _number: int, _frame: object) -> None:
        self._ended = True

    def _parent(self, fileobj: object) -> None:
        if not os.read(self._parent_fd or 0, 64):
            self._ended = True

    def _woken(self, _fileobj: object) -> None:
        try:
            while self._wake_r.recv(256):
                pass
        except BlockingIOError:
            pass
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self._died(pid, os.waitstatus_to_exitcode(status))

    def _accept(self, _fileobj: object) -> None:
        try:
            client, _ = self._listener.accept()
        except BlockingIOError:
            return
        client.setblocking(False)
        self._clients[client] = bytearray()
        self._selector.register(client, selectors.EVENT_READ, self._read)

    def _read(self, fileobj: object) -> None:
        assert isinstance(fileobj, socket.socket)
        buffer = self._clients[fileobj]
        try:
            data = fileobj.recv(_MAX_REQUEST)
            buffer += data
            while b"\n" in buffer:
                line, _, rest = bytes(buffer).partition(b"\n")
                buffer[:] = rest
                fileobj.sendall(json.dumps(self._answer(line)).encode() + b"\n")
        except OSError:
            data = b""  # the client has gone or does not read: its answer is of no use to anybody
        if not data or len(buffer) > _MAX_REQUEST:
            self._selector.unregister(fileobj)
            del self._clients[fileobj]
            fileobj.close()

    def _answer(self, line: bytes) -> dict[str, object]:
        try:
            request = json.loads(line)
            operation = request["op"]
        except (ValueError, KeyError, TypeError):
            return {"ok": False, "error": "a request is one JSON object a line with an op"}
        if operation == "list":
            return {"ok": True, "running": {name: c.pid for name, c in self._children.items() if c.pid}}
        if operation != "start":
            return {"ok": False, "error": f"op must be 'start' or 'list', not {operation!r}"}
        name = request.get("id")
        if not isinstance(name, str) or not _ID.match(name):
            return {"ok": False, "error": "id must be 32 lower-case hexadecimal digits"}
        if not Paths(self._recordings / name).spec.is_file():
            return {"ok": False, "error": f"recording {name} has no spec.json"}
        child = self._children.setdefault(name, Child())
        if not child.pid:
            self._fork(name, child)
        return {"ok": True, "pid": child.pid}

    # recordings

    def _scan(self) -> None:
        """Start recorders of unfinished recordings that nobody records: of a server that died, or moved here."""
        changed_ns = self._recordings.stat().st_mtime_ns
        if changed_ns != self._listed_ns:
            self._listed_ns = changed_ns
            names = {entry.name for entry in os.scandir(self._recordings) if _ID.match(entry.name)}
            self._finished &= names
            self._open = names - self._finished
        for name in list(self._open):
            where = Paths(self._recordings / name)
            if name in self._children:
                continue
            if journal.is_finished(where.journal):
                self._open.discard(name)
                self._finished.add(name)
            elif where.spec.is_file() and where.journal.is_file() and not locked(where.lock):
                log.info("recording without recorder", recording=name)
                self._fork(name, self._children.setdefault(name, Child()))
            elif not where.folder.is_dir():
                self._open.discard(name)

    def _fork_due(self, now: float) -> None:
        for name, child in list(self._children.items()):
            if not child.pid and child.again <= now:
                self._fork(name, child)

    def _died(self, pid: int, code: int) -> None:
        name = next((name for name, child in self._children.items() if child.pid == pid), None)
        if name is None:
            return
        child = self._children[name]
        where = Paths(self._recordings / name)
        finished = journal.is_finished(where.journal)
        if finished or code == process.LOCKED or not where.spec.is_file():
            del self._children[name]
            if finished:
                self._open.discard(name)
                self._finished.add(name)
            else:
                self._open.add(name)  # somebody else records it: looked at again by the scan
            return
        now = time.monotonic()
        child.pid = 0
        child.deaths.append(now)
        child.again = now + pause_after(child.deaths, now)
        log.warning("recorder died", recording=name, pid=pid, code=code, again_in_s=round(child.again - now, 1))

    def _fork(self, name: str, child: Child) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            child.pid = pid
            return
        self._become(name)

    def _become(self, name: str) -> NoReturn:
        """In the child: nothing of the server's is kept but what is imported."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()  # a terminal's Ctrl-C is for the server
            self._selector.close()
            for sock in (self._listener, self._wake_r, self._wake_w, *self._clients):
                sock.close()
            if self._parent_fd is not None:
                os.close(self._parent_fd)
            Path("/proc/self/comm").write_text(f"rr {name[:12]}")
            data, run, workers, hardware = self._data, self._run, self._workers, self._hardware
            self._children.clear()
            code = process.record(name, data, run, workers, hardware)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


def locked(path: Path) -> bool:
    """Whether a recorder holds that lock."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def run(data: Path, run: Path, workers: int, hardware: tuple[str, ...] = ()) -> None:
    """Serve until told to end; the supervisor's pipe, if any, is the descriptor in REELROOM_PARENT_FD."""
    parent = os.environ.pop("REELROOM_PARENT_FD", "")
    ForkServer(data, run, workers, hardware, int(parent) if parent else None).serve()
