"""What schemathesis is to do besides, in its own process: see test_native_schema.py. Tests nothing."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections import deque
from pathlib import Path
from typing import Any

import requests
import schemathesis

START = "/api/v1/recordings"
RUNNING = 6  # recordings that are left running at a time
WAIT_S = 0.1
OFFER = (Path(__file__).parents[1] / "unit" / "offers" / "chromium.sdp").read_text()
KEY = {"Authorization": f"Bearer {os.environ['NATIVE_KEY']}"}
#: Values of what there is, by name; and operations, by path and methods, whose parameters (or field) can be that.
KNOWN: dict[str, list[str]] = json.loads(os.environ["NATIVE_KNOWN"])
USES = (
    (r"/api/v1/recordings/{id}(/files|/events|/timeline)?", "GET", {"id": "ended"}),
    (r"/api/v1/recordings/{id}/files/{name}", "GET|HEAD", {"id": "ended", "name": "file"}),
    (r"/api/v1/recordings/{id}/events/{event}/replay", "POST", {"id": "ended", "event": "event"}),
    (r"/api/v1/recordings/{id}(/pause)?", "POST|PATCH", {"id": "going"}),
    (r"/api/v1/rooms/{room}(/participants)?", "GET", {"room": "room"}),
    (r"/api/v1/templates/{id}", "GET|PATCH", {"id": "template"}),
    (r"/api/v1/rules/{id}", "GET|PATCH", {"id": "rule"}),
    (r"/api/v1/media/{id}", "GET", {"id": "media"}),
    (r"/media/{token}/{id}/{key}", "GET|HEAD", {"token": "token", "id": "media", "key": "key"}),
    (r"/api/v1/queues/{name}/(messages|receive)", "POST", {"name": "queue"}),
)
_uses = [(re.compile(re.sub("[{}]", r"\\\g<0>", path)), re.compile(method), names) for path, method, names in USES]
_turns = itertools.count()
_started: deque[str] = deque()

schemathesis.serializer.alias(["application/sdp", "application/trickle-ice-sdpfrag"], "text/plain")


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Nobody waits for long. What is to be right often names what there is; an SDP that is, is a browser's."""
    wait = (case.query or {}).get("wait_s")
    if isinstance(wait, int | float) and not isinstance(wait, bool) and WAIT_S < wait <= 30:
        case.query["wait_s"] = WAIT_S
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.path == "/whip/{room}":
        case.body = OFFER
    if case.meta.phase.name.value == "stateful" or next(_turns) % 4 == 0:
        return
    if isinstance(case.body, dict) and isinstance(case.body.get("template"), str):
        case.body["template"] = KNOWN["template"][0]
    for path, method, names in _uses:
        if path.fullmatch(case.path) and method.fullmatch(case.method):
            for parameter, name in names.items():
                values = KNOWN[name]
                case.path_parameters[parameter] = values[next(_turns) % len(values)]


@schemathesis.hook
def after_call(context: schemathesis.HookContext, case: schemathesis.Case, response: schemathesis.Response) -> None:
    """Each recording is a process: the oldest is stopped when there are many."""
    if case.method != "POST" or case.path != START or response.status_code != 201:
        return
    _started.append(f"{case.operation.base_url}{START}/{response.json()['id']}/stop")
    if len(_started) > RUNNING:
        requests.post(_started.popleft(), headers=KEY, timeout=30)
