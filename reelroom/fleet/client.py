"""Asking this machine's fork server: start a recorder, list the running ones. Starts no process itself."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

from reelroom.record.paths import fleet_socket


class FleetError(Exception):
    """The fork server is not there or refused; the message says why."""


def _ask(run: Path, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    path = fleet_socket(run)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout_s)
            sock.connect(os.fspath(path))
            sock.sendall(json.dumps(request).encode() + b"\n")
            with sock.makefile("rb") as stream:
                line = stream.readline()
    except OSError as error:
        raise FleetError(f"the fork server at {path} does not answer: {error}") from error
    if not line.endswith(b"\n"):
        raise FleetError(f"the fork server at {path} closed the connection without an answer")
    answer: dict[str, Any] = json.loads(line)
    if not answer.get("ok", "running" in answer):
        raise FleetError(str(answer.get("error", answer)))
    return answer


def start(run: Path, recording: str, timeout_s: float = 5.0) -> int:
    """The pid of the recorder of a recording whose folder with spec.json exists; FleetError otherwise.

    Blocking: milliseconds. Safe to repeat: a recorder that runs already keeps running.
    """
    return int(_ask(run, {"op": "start", "id": recording}, timeout_s)["pid"])


def running(run: Path, timeout_s: float = 5.0) -> dict[str, int]:
    """Recording → pid of the recorders that the fork server has started and that live."""
    return {str(k): int(v) for k, v in _ask(run, {"op": "list"}, timeout_s)["running"].items()}
