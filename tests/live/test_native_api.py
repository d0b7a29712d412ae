"""The native API on a real server: life of a recording, problems, tokens, WHIP's rules, bad input."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from reelroom.demo.clip import make_clip
from reelroom.demo.publisher import AiortcPublisher
from tests.needs import need
from tests.servers import Server, running

PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as started:
        yield started


@pytest.fixture
async def api(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": "Bearer dev-secret"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
async def anybody(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as client:
        yield client


async def publisher(server: Server, room: str, identity: str, **query: str) -> AiortcPublisher:
    need("aiortc")
    clip = make_clip(8, size=(320, 180), video_kbps=300, gop=30)
    url = httpx.URL(f"{server.url}/whip/{room}", params=query)
    made = AiortcPublisher(str(url), server.token(room, identity), clip, loop=True)
    await made.start()
    return made


def problem(answer: httpx.Response, status: int, kind: str) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    body = answer.json()
    assert body["status"] == status
    assert body["type"] == f"urn:reelroom:{kind}"
    assert body["detail"]
    return dict(body)


async def test_a_recording_from_start_to_files(server: Server, api: httpx.AsyncClient, anybody) -> None:
    ann = await publisher(server, "life", "ann")
    shown = await publisher(server, "life", "bob", source="screen")
    try:
        await ann.run(1.5)
        room = (await api.get("/api/v1/rooms/life")).json()
        tracks = {(p["identity"], t["source"], t["codec"]) for p in room["participants"] for t in p["tracks"]}
        assert {("ann", "camera", "h264"), ("ann", "microphone", "opus"), ("bob", "screen", "h264")} <= tracks
        assert "life" in [one["room"] for one in (await api.get("/api/v1/rooms")).json()["rooms"]]

        body = {"room": "life", "name": "first", "formats": ["hls", "webm"], "hls": {"segment_s": 2}}
        started = await api.post("/api/v1/recordings", json=body)
        assert started.status_code == 201
        recording = started.json()
        assert started.headers["location"] == f"/api/v1/recordings/{recording['id']}"
        assert recording["plan"]["formats"]["webm"]["h264"] == "transcode to vp8"
        camera = [one for one in recording["plan"]["tracks"] if one["source"] == "camera"]
        assert camera[0]["formats"] == {"hls": "copy", "webm": "transcode to vp8"}

        await ann.run(5)
        await playlist_grows(api, anybody, recording["id"])
        base = f"/api/v1/recordings/{recording['id']}"
        assert (await api.post(f"{base}/pause")).json()["state"] == "paused"
        assert (await api.post(f"{base}/pause")).json()["state"] == "paused"
        await ann.run(1)
        assert (await api.post(f"{base}/resume")).json()["state"] == "recording"
        problem(await api.post(f"{base}/resume"), 409, "conflict")
        problem(await api.delete(base), 409, "conflict")
        only_bob = {"subscription": {"audio": False, "video": {"include": ["bob"]}}}
        changed = await api.patch(base, json=only_bob)
        assert changed.json()["subscription"]["video"]["include"] == ["bob"]
        await ann.run(2)
        stopped = (await api.post(f"{base}/stop", params={"wait_s": 40})).json()
        assert (stopped["state"], stopped["reason"]) == ("finished", "requested")
        problem(await api.post(f"{base}/stop"), 409, "conflict")
        problem(await api.patch(base, json=only_bob), 409, "conflict")
    finally:
        await ann.close()
        await shown.close()
    files = (await api.get(f"{base}/files")).json()["files"]
    assert {(one["identity"], one["source"], one["format"], one["state"]) for one in files} == {
        (identity, source, format, "uploaded")
        for identity, source in (("ann", "camera"), ("bob", "screen"))
        for format in ("hls", "webm")
    }
    webm = next(one for one in files if one["format"] == "webm" and one["identity"] == "ann")
    content = (await anybody.get(webm["url"])).content
    assert len(content) == webm["bytes"]
    assert (server.data / "storage" / "dev" / webm["key"]).read_bytes() == content
    timeline = (await api.get(f"{base}/timeline")).json()
    assert len(timeline["pauses"]) == 1 and timeline["pauses"][0]["to_ns"] > timeline["pauses"][0]["from_ns"]
    assert {one["identity"] for one in timeline["participants"]} == {"ann", "bob"}
    events = (await api.get(f"{base}/events")).json()["events"]
    assert [one["seq"] for one in events] == list(range(1, len(events) + 1))
    kinds = [one["type"] for one in events]
    assert kinds[0] == "recording.started" and kinds[-1] == "recording.finished"
    assert (await api.get(f"{base}/events", params={"after": 2, "limit": 1})).json()["events"] == [events[2]]

    assert await verified(server, recording["id"]) == (0, True)
    segment = next((server.data / "recordings" / recording["id"] / "segments").rglob("*.m4s"))
    changed_byte = bytearray(segment.read_bytes())
    changed_byte[-1] ^= 1
    segment.write_bytes(changed_byte)
    assert await verified(server, recording["id"]) == (1, False)

    assert (await api.delete(base, params={"storage": "true"})).status_code == 204
    problem(await api.get(base), 404, "not-found")
    assert not (server.data / "recordings" / recording["id"]).exists()
    assert not (server.data / "storage" / "dev" / webm["key"]).exists()


async def verified(server: Server, recording: str) -> tuple[int | None, bool]:
    """What `reelroom verify` says."""
    words = (sys.executable, "-m", "reelroom", "verify", recording, "--data", str(server.data), "--json")
    here = Path(__file__).parents[2]
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE, cwd=here)
    out, _ = await process.communicate()
    report = json.loads(out)
    assert report["key_known"] and report["segments"] > 1
    return process.returncode, report["ok"]


async def playlist_grows(api: httpx.AsyncClient, anybody: httpx.AsyncClient, recording: str) -> None:
    """hls.js can play it during the call: the playlist and what it names open by signed URLs alone."""
    files = (await api.get(f"/api/v1/recordings/{recording}/files")).json()["files"]
    url = next(one["url"] for one in files if one["role"] == "playlist")
    answer = await anybody.get(url)
    assert answer.headers["content-type"] == "application/vnd.apple.mpegurl"
    assert "#EXT-X-ENDLIST" not in answer.text
    named = [line for line in answer.text.splitlines() if line and not line.startswith("#")]
    assert named
    part = await anybody.get(urljoin(url, named[0]), headers={"Range": "bytes=0-99"})
    assert (part.status_code, len(part.content)) == (206, 100)
    for asked, status in (("bytes=9-2", 200), ("lines=1-2", 200), ("bytes=0-1,99999999-", 206), ("bytes=-5", 206)):
        ranged = await anybody.get(urljoin(url, named[0]), headers={"Range": asked})
        assert ranged.status_code == status, asked
    beyond = await anybody.get(urljoin(url, named[0]), headers={"Range": "bytes=99999999-"})
    problem(beyond, 416, "range-not-satisfiable")
    assert beyond.headers["content-range"].startswith("bytes */")
    head = await anybody.head(urljoin(url, named[0]))
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 100
    problem(await anybody.get(url.partition("?")[0]), 401, "unauthorized")
    problem(await anybody.get(url[:-2] + "zz"), 403, "forbidden")
    problem(await anybody.get(url.replace("expires=", "expires=1")), 403, "forbidden")


async def test_a_start_can_be_repeated_with_its_key(api: httpx.AsyncClient) -> None:
    async def start(body: dict) -> httpx.Response:
        return await api.post("/api/v1/recordings", json=body, headers={"Idempotency-Key": "once"})

    answers = await asyncio.gather(*(start({"room": "twice"}) for _ in range(4)))
    assert sorted(one.status_code for one in answers) == [200, 200, 200, 201]
    assert len({one.json()["id"] for one in answers}) == 1
    assert problem(await start({"room": "other"}), 422, "invalid")["where"] == "Idempotency-Key"
    await api.post(f"/api/v1/recordings/{answers[0].json()['id']}/stop", params={"wait_s": 10})
    assert (await start({"room": "twice"})).status_code == 200


async def test_lists_are_filtered_and_paged(api: httpx.AsyncClient) -> None:
    made = []
    for number in range(5):
        body = {"room": f"list-{number % 2}", "name": f"name_{number}"}
        made.append((await api.post("/api/v1/recordings", json=body)).json())

    async def names(**query: str) -> list[str]:
        answer = await api.get("/api/v1/recordings", params=query)
        assert answer.status_code == 200, answer.text
        return [one["name"] for one in answer.json()["recordings"]]

    assert await names(room="list-1") == ["name_3", "name_1"]
    assert await names(name="name_4") == ["name_4"]
    assert await names(name="name%") == []
    assert await names(**{"name": "name_", "from": made[2]["created_at"]}) == ["name_4", "name_3", "name_2"]
    assert await names(name="name_", state="failed") == []
    paged, cursor = [], ""
    while True:
        answer = (await api.get("/api/v1/recordings", params={"name": "name_", "limit": 2, "cursor": cursor})).json()
        paged += [one["name"] for one in answer["recordings"]]
        if not (cursor := answer["next"]):
            break
    assert paged == [f"name_{number}" for number in reversed(range(5))]
    problem(await api.get("/api/v1/recordings", params={"cursor": "!!"}), 422, "invalid")
    for one in made:
        stopped = await api.post(f"/api/v1/recordings/{one['id']}/stop", params={"wait_s": 10})
        assert stopped.json()["state"] == "finished"
    assert len(await names(name="name_", state="finished")) == 5


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "body.room"),
        ({"room": ""}, "body.room"),
        ({"room": "x" * 129}, "body.room"),
        ({"room": "é" * 100}, ""),  # 200 bytes
        ({"room": "a\nb"}, ""),
        ({"room": "x", "formats": []}, "body.formats"),
        ({"room": "x", "formats": ["hls", "hls"]}, ""),
        ({"room": "x", "formats": ["avi"]}, "body.formats.0"),
        ({"room": "x", "hls": {"segment_s": 1}}, "body.hls.segment_s"),
        ({"room": "x", "unknown": 1}, "body.unknown"),
        ({"room": "x", "preroll_s": 50}, "preroll_s"),
        ({"room": "x", "split_s": 5}, ""),
        ({"room": "x", "subscription": {"audio": False, "video": False}}, ""),
        ({"room": "x", "subscription": {"audio": {"include": ["a"], "exclude": ["b"]}}}, ""),
        ({"room": "x", "naming": {"file": "{nobody}"}}, "naming.file"),
        ({"room": "x", "naming": {"prefix": "../../etc/"}}, "naming.prefix"),
        ({"room": "x", "callback": {"url": "ftp://x"}}, "callback.url"),
        ({"room": "x", "callback": {"url": "http://169.254.169.254/latest"}}, "callback.url"),
        ({"room": "x", "destination": {"service": "memory"}}, "destination.service"),
        ({"room": "x", "destination": {"service": "s3"}}, "destination.options.access_key_id"),
        ({"room": "x", "destination": {"service": "fs", "options": {"root": "/etc"}}}, "destination.options.root"),
        ({"room": "x", "destination": {"service": "fs", "options": {"root": "a/../../b"}}}, "destination.options.root"),
        ({"room": "x", "destination": {"service": "gcs", "options": {"credential_path": "/etc/passwd"}}},
         "destination.options.credential_path"),
    ],
)  # fmt: skip
async def test_bad_starts_say_where(api: httpx.AsyncClient, body: dict, where: str) -> None:
    found = problem(await api.post("/api/v1/recordings", json=body), 422, "invalid")
    if where:
        assert where in [found.get("where"), *(one["where"] for one in found.get("errors", []))]


async def test_modes_that_do_not_exist_yet_are_said_to(api: httpx.AsyncClient) -> None:
    for mode in ("page", "snapshot"):
        answer = await api.post("/api/v1/recordings", json={"room": "x", "mode": mode})
        problem(answer, 422, "not-supported")


async def test_credentials_never_come_back(server: Server, api: httpx.AsyncClient) -> None:
    options = {"bucket": "b", "endpoint": "http://127.0.0.1:9", "region": "r"}
    secret = {"access_key_id": "AKIDhunter2", "secret_access_key": "hunter2secret"}
    body = {
        "room": "secret",
        "destination": {"service": "s3", "options": options | secret},
        "callback": {"url": "http://127.0.0.1:9/?q=hunter2", "secret": "hunter2callback"},
    }
    answer = await api.post("/api/v1/recordings", json=body)
    assert answer.status_code == 201, answer.text
    id = answer.json()["id"]
    assert answer.json()["destination"] == {"service": "s3", **options}
    await api.post(f"/api/v1/recordings/{id}/stop", params={"wait_s": 3})
    for path in ("", "/files", "/events", "/timeline"):
        answer_text = (await api.get(f"/api/v1/recordings/{id}{path}")).text
        assert "hunter2" not in answer_text
    assert "hunter2" not in server.log.read_text()
    for path in [*server.data.glob("*.db*"), *(server.data / "recordings" / id).rglob("*")]:
        assert not path.is_file() or b"hunter2" not in path.read_bytes(), path


async def test_who_has_no_key_gets_nothing(anybody: httpx.AsyncClient) -> None:
    for key in ("", "Bearer", "Bearer wrong", "Basic ZGV2OmRldi1zZWNyZXQ=", "Bearer dev-secret2"):
        for path in ("/api/v1/recordings", "/api/v1/rooms"):
            answer = await anybody.get(path, headers={"Authorization": key} if key else {})
            problem(answer, 401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_malformed_requests_are_problems_too(api: httpx.AsyncClient) -> None:
    json_ = {"Content-Type": "application/json"}
    problem(await api.post("/api/v1/recordings", content=b"{", headers=json_), 400, "invalid")
    problem(await api.post("/api/v1/recordings", content=b"\xff\xfe", headers=json_), 400, "invalid")
    problem(await api.post("/api/v1/recordings", content=b"[" * 100_000, headers=json_), 400, "invalid")
    problem(await api.post("/api/v1/recordings", content=b" " * 2_000_000, headers=json_), 413, "too-large")
    assert (await api.get("/api/v1/nothing")).headers["content-type"] == PROBLEM
    problem(await api.get("/api/v1/recordings/../../etc/passwd"), 404, "not-found")
    problem(await api.get("/api/v1/recordings/%2e%2e"), 422, "invalid")
    text = {"Content-Type": "text/plain"}
    problem(await api.post("/api/v1/recordings", content=b"{}", headers=text), 415, "unsupported-media-type")
    nobody = {"Authorization": "Bearer nobody's"}  # is told so before anything is read of the body
    for content in (b"{", b" " * 1_000_000, b'{"room": 5}'):
        problem(await api.post("/api/v1/recordings", content=content, headers=json_ | nobody), 401, "unauthorized")
    for query in ("rom=x", "limit=1&limit=2", "from=1700000000", "name=%00", "limit=0"):
        answer = await api.get(f"/api/v1/recordings?{query}")
        problem(answer, 400 if "%00" in query else 422, "invalid")
    problem(await api.get(f"/api/v1/recordings/{'0' * 32}/events?after={10**30}"), 422, "invalid")
    answer = await api.put("/api/v1/recordings")
    assert answer.status_code == 405 and answer.headers["content-type"] == PROBLEM

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 100_000

    problem(await api.post("/api/v1/recordings", content=chunks(), headers=json_), 413, "too-large")


async def test_files_are_only_those_of_the_recording(api: httpx.AsyncClient) -> None:
    id = (await api.post("/api/v1/recordings", json={"room": "paths"})).json()["id"]
    for name in ("journal.jsonl", "spec.json", "../x", "%2e%2e%2f%2e%2e%2freelroom.db", "/etc/passwd", "x" * 1000):
        answer = await api.get(f"/api/v1/recordings/{id}/files/{name}")
        assert answer.status_code == 404, (name, answer.text)
    await api.post(f"/api/v1/recordings/{id}/stop")


async def test_whip_keeps_to_its_rfc(server: Server, anybody: httpx.AsyncClient) -> None:
    token = server.token("rules", "ann", permissions=["publish"])
    sdp = {"Content-Type": "application/sdp", "Authorization": f"Bearer {token}"}
    options = await anybody.options("/whip/rules", headers={"Origin": "https://x.example"})
    assert options.status_code == 204
    assert options.headers["accept-post"] == "application/sdp"
    assert options.headers["access-control-allow-origin"] == "*"
    assert options.headers["access-control-allow-methods"] == options.headers["allow"] == "POST, OPTIONS"
    of_session = await anybody.options("/whip/rules/0-0000", headers={"Origin": "https://x.example"})
    assert of_session.headers["access-control-allow-methods"] == "PATCH, DELETE, OPTIONS"
    problem(await anybody.post("/whip/rules", content="v=0", headers={"Content-Type": "application/sdp"}), 401,
            "unauthorized")  # fmt: skip
    for wrong, status in (("/whip/other", 403), ("/whep/rules/ann", 403)):
        assert (await anybody.post(wrong, content="v=0", headers=sdp)).status_code == status
    answer = await anybody.post("/whip/rules", content="v=0", headers=sdp | {"Content-Type": "text/plain"})
    assert answer.status_code == 415
    assert answer.headers["accept-post"] == "application/sdp"
    assert (await anybody.post("/whip/rules", content="v=0", headers=sdp | {"Accept": "text/html"})).status_code == 406
    for body in (b"", b"nonsense", b"\xff\xfe", b"v=0\r\n" * 1000):
        problem(await anybody.post("/whip/rules", content=body, headers=sdp), 400, "invalid")
    problem(await anybody.post("/whip/rules", content=b"a" * 300_000, headers=sdp), 413, "too-large")
    for method in ("GET", "HEAD", "PUT"):
        assert (await anybody.request(method, "/whip/rules", headers=sdp)).status_code == 405
    session = "/whip/rules/0-00000000000000000000000000000000"
    assert (await anybody.get(session, headers=sdp)).status_code == 405
    fragment = sdp | {"Content-Type": "application/trickle-ice-sdpfrag"}
    assert (await anybody.patch(session, content="a=x", headers=fragment)).status_code == 428
    for etag in ('W/"x"', "x", '"a", "b"'):
        answer = await anybody.patch(session, content="a=x", headers=fragment | {"If-Match": etag})
        assert answer.status_code == 412, etag
    answer = await anybody.patch(session, content="a=x", headers=sdp | {"If-Match": '"x"'})
    assert answer.status_code == 415
    for answer in (
        await anybody.patch(session, content="a=x", headers=fragment | {"If-Match": '"x"'}),
        await anybody.delete(session, headers=sdp),
    ):
        problem(answer, 404, "not-found")
    problem(await anybody.delete(session), 401, "unauthorized")


async def test_a_token_for_every_room_is_made_for_who_says_so(api: httpx.AsyncClient) -> None:
    def asked(room: str, **more: object) -> Awaitable[httpx.Response]:
        return api.post(f"/api/v1/rooms/{room}/tokens", json={"identity": "ann", **more})

    assert problem(await asked("*"), 422, "invalid")["where"] == "any_room"
    assert problem(await asked("r", any_room=True), 422, "invalid")["where"] == "any_room"
    assert (await asked("*", any_room=True)).status_code == 201


async def stranger_token(server: Server, room: str, identity: str) -> str:
    """A token of another app than `dev`."""
    adding = [sys.executable, "-m", "reelroom", "app", "add", "stranger", "--json", "--data", str(server.data)]
    process = await asyncio.create_subprocess_exec(*adding, stdout=asyncio.subprocess.PIPE)
    key = json.loads((await process.communicate())[0])["credentials"]["native"]["key"]
    async with httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {key}"}) as api:
        answer = await api.post(f"/api/v1/rooms/{room}/tokens", json={"identity": identity})
    return str(answer.json()["token"])


async def test_a_session_obeys_only_its_owner_in_its_room(server: Server, api: httpx.AsyncClient, anybody) -> None:
    ann = await publisher(server, "own", "ann")
    try:
        await ann.run(0.5)
        session = (await api.get("/api/v1/rooms/own/participants")).json()["participants"][0]["session"]
        restart = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*"}
        fragment = "a=ice-ufrag:else\r\na=ice-pwd:0123456789abcdefghijklmn\r\n"
        others = [
            ("own", server.token("own", "bob")),
            ("else", server.token("else", "ann")),
            ("own", await stranger_token(server, "own", "ann")),
        ]
        for room, token in others:
            bearer = {"Authorization": f"Bearer {token}"}
            for path in (f"/whip/{room}/{session}", f"/whep/{room}/ann/{session}"):
                problem(await anybody.delete(path, headers=bearer), 404, "not-found")
                problem(await anybody.patch(path, content=fragment, headers=bearer | restart), 404, "not-found")
        assert (await api.get("/api/v1/rooms/own")).status_code == 200
        bearer = {"Authorization": f"Bearer {server.token('own', 'ann')}"}
        assert (await anybody.delete(f"/whip/own/{session}", headers=bearer)).status_code == 200
        for _ in range(40):
            if (gone := await api.get("/api/v1/rooms/own")).status_code != 200:
                break
            await asyncio.sleep(0.05)
        problem(gone, 404, "not-found")
    finally:
        await ann.close(delete=False)


async def test_a_participant_can_be_thrown_out(server: Server, api: httpx.AsyncClient) -> None:
    ann = await publisher(server, "out", "ann")
    try:
        await ann.run(0.5)
        assert (await api.delete("/api/v1/rooms/out/participants/ann")).status_code == 204
        async with asyncio.timeout(2):  # the ingest process takes leave at its next tick
            while (answer := await api.get("/api/v1/rooms/out")).status_code == 200:
                await asyncio.sleep(0.02)
        problem(answer, 404, "not-found")
        problem(await api.delete("/api/v1/rooms/out/participants/ann"), 404, "not-found")
    finally:
        await ann.close()


async def test_the_api_describes_itself(anybody: httpx.AsyncClient) -> None:
    described = (await anybody.get("/api/v1/openapi.json")).json()
    paths = described["paths"]
    assert {"/api/v1/recordings", "/api/v1/recordings/{id}/stop", "/api/v1/rooms/{room}/tokens", "/whip/{room}"} <= set(
        paths
    )
    for path, calls in paths.items():
        for method, call in calls.items():
            assert ("401" in call["responses"]) == ("security" in call), (path, method)
            assert "HTTPValidationError" not in json.dumps(call), (path, method)  # FastAPI's, which nobody gets to see
    problem_said = described["components"]["responses"]["Problem"]["content"][PROBLEM]["schema"]
    assert problem_said == {"$ref": "#/components/schemas/Problem"}
    refused = (await anybody.get("/api/v1/recordings")).json()
    assert refused.keys() <= described["components"]["schemas"]["Problem"]["properties"].keys()
    page = await anybody.get("/api/v1/docs")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    parts = re.findall(r"(?:src|href)=\"([^\"]+)\"", page.text)
    assert [part for part in parts if not part.startswith(("/api/v1/docs/parts/", "data:"))] == []
    for part in parts:
        assert part == "data:," or (await anybody.get(part)).status_code == 200
    assert (await anybody.get("/healthz")).json() == {"status": "ok"}
    assert (await anybody.get("/readyz")).json()["ready"] is True
    metrics = (await anybody.get("/metrics")).text
    for name in ("reelroom_recordings{", "reelroom_uploads_pending ", "reelroom_disk_free_bytes ",
                 "reelroom_callbacks_pending ", "reelroom_ingest_packets_total{"):  # fmt: skip
        assert name in metrics


def test_the_data_folder_is_private(server: Server) -> None:
    assert (server.data / "keys" / "secrets.key").stat().st_mode & 0o777 == 0o600
    assert (server.data / "keys").stat().st_mode & 0o077 == 0
    assert server.run.stat().st_mode & 0o077 == 0
    assert isinstance(server.run, Path)
