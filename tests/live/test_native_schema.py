"""schemathesis on the whole native API of a real server: what it answers is what its OpenAPI document says.

It goes through each operation with values at the edges of the schema and beyond, then with random ones, then along
the links between operations. It knows some of what is there, which was made before by a call and a recording of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from reelroom.demo.clip import make_clip
from reelroom.demo.publisher import AiortcPublisher, PublishError
from tests.needs import need
from tests.servers import KEY, Server, running

ROOT = Path(__file__).parents[2]
EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "6"))  # random calls of each operation; 200 take half an hour
SEED = os.environ.get("SCHEMA_SEED", "1")
THOROUGH = 50  # with so many, the thousands of edges of a recording's shape too

#: What is refused because of something that no schema says: another field, what there is, the content of an SDP.
BEYOND_SCHEMAS = (
    "POST /api/v1/recordings",
    "PATCH /api/v1/recordings/{id}",
    "GET /api/v1/recordings",  # a cursor is what the page before said
    "POST /api/v1/templates",
    "PATCH /api/v1/templates/{id}",
    "POST /api/v1/queues/{name}/messages",
    "POST /api/v1/rooms/{room}/tokens",
    "POST /api/v1/rules",
    "PATCH /api/v1/rules/{id}",
    "POST /whep/{room}/{identity}",
    "PATCH /whip/{room}/{session}",
    "PATCH /whep/{room}/{identity}/{session}",
)
#: Thousands of edges each, which are those of a recording's shape.
SHAPES = (
    "POST /api/v1/recordings",
    "POST /api/v1/templates",
    "PATCH /api/v1/recordings/{id}",
    "PATCH /api/v1/templates/{id}",
)
#: What may find nothing that it could be done to: there is no viewer, and nobody guesses a session.
MAY_FAIL = re.compile(r"(DELETE|PATCH /whip|PATCH /whep|POST /whep|POST .*/(stop|resume)$)")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(environment={"REELROOM_MAX_CPU": "0"}) as started:  # it is not to refuse for want of cores
        yield started


async def test_the_server_is_as_its_document_says(server: Server, tmp_path: Path) -> None:
    need("aiortc", "schemathesis")
    clip = make_clip(4, size=(320, 180), video_kbps=300, gop=30)
    ann = AiortcPublisher(f"{server.url}/whip/known", server.token("known", "ann"), clip, loop=True)
    await ann.start()
    try:
        async with httpx.AsyncClient(
            base_url=server.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60, trust_env=False
        ) as api:
            known = await make(api, ann)
        publishing = asyncio.create_task(ann.run(300))  # somebody is there all the time
        code, output, calls = await run(server, tmp_path, known)
        publishing.cancel()
        with contextlib.suppress(asyncio.CancelledError, PublishError):  # a call may have thrown them out
            await publishing
    finally:
        await ann.close()
    assert "= SUMMARY =" in output and code == 0, output[output.rfind("(in ") :]
    assert "Traceback" not in server.log.read_text()
    document = httpx.get(f"{server.url}/api/v1/openapi.json", trust_env=False).json()
    operations = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    for name in operations:
        statuses = calls[name]
        assert MAY_FAIL.match(name) or any(200 <= status < 400 for status in statuses), (name, statuses)
        assert "{" not in name or any(400 <= status < 500 for status in statuses), (name, statuses)


async def make(api: httpx.AsyncClient, ann: AiortcPublisher) -> dict[str, list[str]]:
    """A recording that has ended with files in the library and events, two that go on, and one of everything else."""

    async def post(path: str, **body: Any) -> dict[str, Any]:
        answer = (await api.post(f"/api/v1/{path}", json=body)).raise_for_status()
        return dict(answer.json())

    shape = {
        "formats": ["hls", "mp4"],
        "hls": {"segment_s": 2},
        "library": {"tags": ["known"]},
        "callback": {"url": "queue://known"},
    }
    ended = (await post("recordings", room="known", name="known", **shape))["id"]
    await ann.run(3)
    await api.post(f"/api/v1/recordings/{ended}/pause")
    await api.post(f"/api/v1/recordings/{ended}/resume")
    stopped = (await api.post(f"/api/v1/recordings/{ended}/stop", params={"wait_s": 60})).json()
    assert stopped["state"] == "finished"
    going = [(await post("recordings", room="going", mode=mode))["id"] for mode in ("individual", "mixed")]
    template = (await post("templates", name="known", recording=shape))["id"]
    rule = (await post("rules", name="known", template=template, room="nobody"))["id"]
    for number in range(20):
        await post("queues/known/messages", text=f"message {number}")
    files = (await api.get(f"/api/v1/recordings/{ended}/files", params={"segments": "true"})).json()["files"]
    media = (await api.get("/api/v1/media")).json()["media"]
    events = (await api.get(f"/api/v1/recordings/{ended}/events")).json()["events"]
    assert len(files) >= 4 and len(media) == 2 and events
    shown = next(one for one in media if one["format"] == "mp4")
    _, _, token, _, _ = httpx.URL(shown["url"]).path.split("/", 4)
    return {
        "ended": [ended],
        "going": going,
        "file": [one["key"] for one in files],
        "event": [one["id"] for one in events],
        "room": ["known"],
        "template": [template],
        "rule": [rule],
        "media": [shown["id"]],
        "token": [token],
        "key": [shown["key"]],
        "queue": ["known"],
    }


def configuration(room_token: str) -> str:
    """A schemathesis.toml."""
    refusals = [400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 428]
    lines = [
        'hooks = "tests.live.schema_hooks"',
        "continue-on-failure = true",
        "request-timeout = 60",
        "warnings = false",
        "phases.coverage.extra-data-sources.responses = false",  # what is known stays until the links are followed
        "phases.fuzzing.extra-data-sources.responses = false",
        f"auth.openapi.appKey.bearer = {json.dumps(KEY)}",
        f"auth.openapi.roomToken.bearer = {json.dumps(room_token)}",
        f"checks.negative_data_rejection.expected-statuses = {refusals}",
        f"checks.missing_required_header.expected-statuses = {refusals}",
    ]
    for name in BEYOND_SCHEMAS:
        lines += ["[[operations]]", f"include-name = '{name}'", "checks.positive_data_acceptance.enabled = false"]
    for name in SHAPES if EXAMPLES < THOROUGH else ():
        lines += ["[[operations]]", f"include-name = '{name}'", "phases.coverage.enabled = false"]
    return "\n".join(lines)


async def run(
    server: Server, folder: Path, known: dict[str, list[str]]
) -> tuple[int | None, str, dict[str, Counter[int]]]:
    """Run it. Its exit code, what it says, and how often each operation answered with each status."""
    config, report = folder / "schemathesis.toml", folder / "report.ndjson"
    config.write_text(configuration(server.token("*", "anybody", any_room=True)))
    words = ["--config-file", str(config), "run", f"{server.url}/api/v1/openapi.json", "--seed", SEED]
    words += ["--max-examples", str(EXAMPLES), "--no-color", "--generation-database", "none"]
    words += ["--report-ndjson-path", str(report)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,  # it leaves things where it runs
        env={**os.environ, "PYTHONPATH": str(ROOT), "NATIVE_KEY": KEY, "NATIVE_KNOWN": json.dumps(known)},
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    calls: dict[str, Counter[int]] = defaultdict(Counter)
    for line in report.read_text().splitlines():
        event = json.loads(line).get("ScenarioFinished")
        if event is None:
            continue
        recorder = event["recorder"]
        for number, interaction in recorder.get("interactions", {}).items():
            case = recorder["cases"][number]["value"]
            if answer := interaction.get("response"):
                calls[f"{case['method']} {case['path']}"][answer["status_code"]] += 1
    return process.returncode, said.decode(), calls
