"""The OpenAPI document against the code that answers: every route, every refusal, every shape that it names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy.exc import OperationalError

from reelroom.config import Settings
from reelroom.control import timeline
from reelroom.control.app import make_app
from reelroom.dialects.native.timeline import Timeline
from reelroom.domain import lines
from reelroom.domain.media import TrackInfo
from reelroom.domain.recording import Source
from reelroom.domain.scene import Scene


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return make_app(SimpleNamespace(settings=Settings(dev=True)))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def calls(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, call in methods.items():
            yield path, method, call


def parts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(part)


def test_everything_that_it_refers_to_is_there(document: dict[str, Any]) -> None:
    for part in parts(document):
        if isinstance(name := part.get("$ref"), str):
            found: Any = document
            for word in name.removeprefix("#/").split("/"):
                found = found[word]
        assert not part.keys() & {"x-struct", "x-model"}


def test_only_what_needs_no_key_names_none(document: dict[str, Any]) -> None:
    free = {(path, method) for path, method, call in calls(document) if "security" not in call}
    assert free == {
        ("/healthz", "get"),
        ("/readyz", "get"),
        ("/metrics", "get"),
        ("/media/{token}/{id}/{key}", "get"),  # the token is a signature
        ("/media/{token}/{id}/{key}", "head"),
    }
    assert document["components"]["securitySchemes"].keys() == {"appKey", "roomToken", "signedUrl"}
    for path, method, call in calls(document):
        scheme = "roomToken" if path.startswith(("/whip", "/whep")) else "appKey"
        assert "security" not in call or {scheme: []} in call["security"], (path, method)


def test_every_answer_has_its_shape_and_every_refusal_is_a_problem(document: dict[str, Any]) -> None:
    for path, method, call in calls(document):
        assert call["summary"] and call["operationId"], (path, method)
        for status, answer in call["responses"].items():
            where = (path, method, status)
            if int(status) >= 400 and path != "/readyz":
                assert answer["$ref"].startswith("#/components/responses/"), where
                continue
            for kind, said in answer.get("content", {}).items():
                assert said["schema"], (*where, kind)  # {} would be anything


async def test_methods_that_a_path_has_not_are_refused_with_those_that_it_has(
    app: FastAPI, document: dict[str, Any]
) -> None:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://x") as client:
        for path, methods in document["paths"].items():
            if path in ("/healthz", "/readyz", "/metrics"):
                continue
            url = path.replace("{id}", "0" * 32)
            known = {method.upper() for method in methods} | {"OPTIONS"}
            refused = await client.request("TRACE", url)
            assert refused.status_code == 405, path
            assert refused.headers["content-type"] == "application/problem+json"
            assert set(refused.headers["allow"].split(", ")) == known, path
            asked = await client.options(url, headers={"Origin": "https://x.example"})
            assert set(asked.headers["access-control-allow-methods"].split(", ")) == known, path


async def test_a_database_that_is_away_is_said_to_be(document: dict[str, Any]) -> None:
    class Apps:
        async def by_key(self, key: str) -> None:
            raise OperationalError("select", {}, OSError("nobody listens"))

    app = make_app(SimpleNamespace(settings=Settings(dev=True), apps=Apps()))  # type: ignore[arg-type]
    async with AsyncClient(transport=ASGITransport(app), base_url="http://x") as client:
        answer = await client.get("/api/v1/rooms", headers={"Authorization": "Bearer k"})
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:reelroom:unavailable")
    assert answer.headers["retry-after"] == "1" and "nobody listens" not in answer.text


async def test_a_server_without_its_parts_says_which_are_missing() -> None:
    def away(*_: object) -> None:
        raise ConnectionRefusedError("nobody listens")

    async def nobody(*_: object) -> dict[int, object]:
        return {}

    context = SimpleNamespace(
        settings=Settings(dev=True, workers=2),
        database=SimpleNamespace(reading=away),
        recorders=SimpleNamespace(running=away),
        rooms=SimpleNamespace(stats=nobody),
    )
    app = make_app(context)  # type: ignore[arg-type]
    async with AsyncClient(transport=ASGITransport(app), base_url="http://x") as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 503
    refused = "ConnectionRefusedError"
    ingest = {"0": "away", "1": "away"}
    assert answer.json() == {"ready": False, "database": refused, "fleet": refused, "ingest": ingest}


ANN = TrackInfo(track=1, identity="ann", source=Source.CAMERA, codec="h264", clock_rate=90_000, session="s")
SEGMENT = lines.Segment(
    output="001", rendition="hls", container="fmp4", number=1, path="p", bytes=9, sha256="0" * 64, start_ns=1, end_ns=2,
    media_start_ns=0, media_end_ns=1, transcoded=("video",), salvaged=True,
)  # fmt: skip
FILE = lines.File(
    output="001", identity="ann", source="camera", kind="av", format="mp4", path="p", bytes=9, sha256="0" * 64,
    start_ns=1, end_ns=2, media_start_ns=0, duration_ns=1, transcoded=("audio",),
)  # fmt: skip
TOLD: list[lines.AnyLine] = [
    lines.Opened(room_ns=1, spec_sha256="0" * 64, ingest="0", public_key="k"),
    lines.OutputOpened(output="001", identity="ann", source="camera", kind="av", start_ns=1),
    lines.Participant(identity="ann", session="s", at_ns=1, joined=True),
    lines.Track(info=ANN, at_ns=1, change="added"),
    SEGMENT,
    lines.Gap(output="001", kind="video", identity="ann", from_ns=1, to_ns=2, reason="loss", packets=3, filled="last"),
    lines.Paused(at_ns=2),
    lines.Resumed(at_ns=3),
    lines.SceneChanged(at_ns=3, scene=Scene()),
    lines.Notice(code="disk_low", message="m"),
    lines.Participant(identity="ann", session="s", at_ns=4, joined=False, reason="left"),
    lines.Stopped(at_ns=5, reason="requested"),
    FILE,
]


def test_the_timelines_shape_says_all_that_is_read_from_a_journal() -> None:
    builder = timeline._Builder()
    for line in TOLD:
        builder.take(line)
    read = builder.result()
    assert all(read.values())  # nothing is left untried
    assert json.loads(Timeline.model_validate(read).model_dump_json()) == json.loads(json.dumps(read))
