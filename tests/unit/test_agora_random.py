"""Random calls of Agora's API: valid ones succeed, anything else is answered in the vendor's words, never by a 500."""

from __future__ import annotations

import asyncio
import copy
import string
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reelroom.dialects.agora import regions
from tests.anyjson import json_values, paths
from tests.unit.agora_server import BASE, STORAGE, Server, serving

FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
CODES = {2, 49, 53, 401, 404, 406, 432, 433, 435, 1001, 1003, 1028}

CHARACTERS = string.ascii_letters + string.digits + " !#$%&()+-:;<=.>?@[]^_{}|~,"
cnames = st.text(CHARACTERS, min_size=1, max_size=64)
uids = st.integers(1, 2**32 - 1).map(str)
lists = st.just(["#allstream#"]) | st.lists(uids, min_size=1, max_size=32)
IMAGE = "http://127.0.0.1:1/there-is-none.png"


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


def perhaps_float(numbers: st.SearchStrategy[int]) -> st.SearchStrategy[int | float]:
    return numbers | numbers.map(float)


@st.composite
def places(draw: st.DrawFn) -> dict[str, Any]:
    vendor = draw(st.sampled_from(sorted(regions.VENDORS)))
    place: dict[str, Any] = {
        "vendor": vendor,
        "region": draw(st.sampled_from(sorted(regions.REGIONS.get(vendor, {0: ""})))),
        "bucket": "rec",
        "accessKey": "account",
        "secretKey": "c2VjcmV0",
        **draw(some(fileNamePrefix=st.lists(st.text(string.ascii_letters + string.digits, min_size=1), max_size=3))),
    }
    if len("/".join(place.get("fileNamePrefix", []))) >= 128:
        del place["fileNamePrefix"]
    if vendor == regions.S3_COMPATIBLE:
        return place | {"extensionParams": {"endpoint": "127.0.0.1:1", **draw(some(sse=st.just(""), tag=st.just("")))}}
    if vendor == regions.S3:
        place |= draw(some(extensionParams=some(sse=st.sampled_from(["", "kms", "aes256"]), tag=st.just(""))))
    if vendor in (regions.S3, regions.OSS, regions.COS) and draw(st.booleans()):
        place |= {"stsToken": "token", "stsExpiration": int(time.time()) + 5 * 3600}
    return place


@st.composite
def subscriptions(draw: st.DrawFn, stream_types: int) -> dict[str, Any]:
    made = {}
    for kind in [k for k, without in (("Audio", 1), ("Video", 0)) if stream_types != without]:
        name = draw(st.sampled_from(["", "subscribe", "unSubscribe", "unsubscribe", "unsunscribe"]))
        if name:
            made[f"{name}{kind}Uids"] = draw(lists)
    return made


@st.composite
def layouts(draw: st.DrawFn) -> dict[str, Any]:
    number = draw(st.integers(0, 3))
    keys: dict[str, Any] = {"mixedVideoLayout": number} if number or draw(st.booleans()) else {}
    if number == 3:
        people = draw(st.lists(uids, unique=True, max_size=5))
        keys["layoutConfig"] = []
        for place in range(draw(st.integers(max(1, len(people)), 17))):
            x, y = draw(st.floats(0, 1)), draw(st.floats(0, 1))
            region = {"x_axis": x, "y_axis": y, "width": (1 - x) / 2, "height": (1 - y) / 2}
            region |= draw(some(alpha=st.floats(0, 1) | st.integers(0, 1), render_mode=st.integers(0, 1)))
            region["uid"] = people[place] if place < len(people) else ""
            keys["layoutConfig"].append(region)
    background = st.fixed_dictionaries(
        {"uid": uids, "image_url": st.just(IMAGE)}, optional={"render_mode": st.integers(0, 1)}
    )
    return keys | draw(
        some(
            maxResolutionUid=uids | st.just(""),
            backgroundColor=st.from_regex(r"#[0-9a-fA-F]{6}", fullmatch=True),
            backgroundImage=st.just(IMAGE) | st.just(""),
            defaultUserBackgroundImage=st.just(IMAGE),
            backgroundConfig=st.lists(background, max_size=3),
            unknown=st.none() | st.text(max_size=3),
        )
    )


@st.composite
def mixes(draw: st.DrawFn) -> dict[str, Any]:
    width = draw(st.integers(16, 1920))
    return draw(layouts()) | {
        "width": width,
        "height": draw(st.integers(16, min(1920, 1920 * 1080 // width))),
        **draw(some(fps=perhaps_float(st.integers(0, 200)), bitrate=perhaps_float(st.integers(1, 6500)))),
    }


@st.composite
def starts(draw: st.DrawFn) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Mode, acquire's and start's clientRequest."""
    mode = draw(st.sampled_from(["individual", "mix"]))
    stream_types = draw(st.integers(0, 2))
    config: dict[str, Any] = {"streamTypes": stream_types, **draw(subscriptions(stream_types))}
    config |= draw(
        some(
            channelType=perhaps_float(st.integers(0, 1)),
            videoStreamType=st.integers(0, 1),
            maxIdleTime=perhaps_float(st.integers(5, 2_592_000)),
            decryptionMode=st.just(0),
            secret=st.just("") | st.text(max_size=5),
            salt=st.none(),
            subscribeUidGroup=st.integers(0, 5),
            privateParams=st.just("") | st.just('{"correctEXTINF":true}'),
        )
    )
    request: dict[str, Any] = {"storageConfig": draw(places()), "recordingConfig": config}
    request |= draw(some(token=st.text(max_size=10), unknown=st.integers(), snapshotConfig=st.none()))
    acquired = draw(
        some(
            resourceExpiredHour=perhaps_float(st.integers(1, 720)),
            excludeResourceIds=st.lists(st.text(max_size=9), max_size=2),
            region=st.sampled_from(["", "CN", "AP", "EU", "NA"]),
            regionAffinity=st.integers(0, 4),
            scene=st.just(0),
        )
    )
    if mode == "mix":
        config |= draw(some(audioProfile=st.integers(0, 2), transcodingConfig=mixes(), streamMode=st.just("default")))
        types = [["hls"], ["hls", "mp4"], ["mp4", "hls"]]
    else:
        config |= draw(some(streamMode=st.sampled_from(["default", "standard", "original"])))
        types = [["hls"]]
        if draw(st.booleans()):
            acquired["scene"] = draw(st.sampled_from([0, 2]))
            request |= draw(postponed(stream_types, config))
    request |= draw(some(recordingFileConfig=some(avFileType=st.sampled_from(types))))
    return mode, acquired, request


@st.composite
def postponed(draw: st.DrawFn, stream_types: int, config: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"appsCollection": {"combinationPolicy": "postpone_transcoding"}}
    if stream_types == 0:
        audio = some(
            sampleRate=st.sampled_from(["48000", "32000", "16000"]),
            bitrate=st.just("48000"),
            channels=st.sampled_from(["1", "2"]),
        )
        container = some(format=st.sampled_from(["mp3", "m4a", "aac"]))
        options = draw(some(audio=audio, container=container))
        return made | {"transcodeOptions": {"transConfig": {"transMode": "audioMix"}, **options}}
    config.pop("streamMode", None)
    return made | draw(
        some(
            transcodeOptions=st.fixed_dictionaries(
                {"transConfig": st.just({"transMode": "postponeTranscoding"})},
                optional={"container": st.just({"format": "mp4"}), "audio": st.just({}), "other": st.none()},
            )
        )
    )


async def session(server: Server, mode: str, acquired: dict[str, Any], request: dict[str, Any]) -> tuple[str, str]:
    resource_id = await server.acquire(**acquired)
    body = {"cname": "room-7", "uid": "900001", "clientRequest": request}
    answer = await server.http.post(f"{BASE}/resourceid/{resource_id}/mode/{mode}/start", json=body)
    assert answer.status_code == 200, answer.text
    return resource_id, answer.json()["sid"]


def run(act: Any) -> None:
    async def inside() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with serving(Path(folder)) as server:
                await act(server)

    asyncio.run(inside())


@FEW
@given(starts())
def test_valid_sessions_succeed(made: tuple[str, dict[str, Any], dict[str, Any]]) -> None:
    mode = made[0]

    async def act(server: Server) -> None:
        names = await session(server, *made)
        query = await server.call("query", *names, mode=mode)
        assert (query.status_code, query.json()["serverResponse"]["status"]) == (200, 4)
        stop = await server.call("stop", *names, mode=mode)
        assert (stop.status_code, stop.json()["code"]) == (206, 435)

    run(act)


@FEW
@given(st.lists(layouts(), min_size=1, max_size=3), st.data())
def test_valid_changes_succeed(changes: list[dict[str, Any]], data: st.DataObject) -> None:
    lists_of = {"audioUidList": data.draw(subscriptions(0)), "videoUidList": data.draw(subscriptions(1))}

    async def act(server: Server) -> None:
        names = await session(server, "mix", {}, {"storageConfig": STORAGE})
        for keys in changes:
            answer = await server.call("updateLayout", *names, keys, mode="mix")
            assert answer.status_code == 200, answer.text
        answer = await server.call("update", *names, {"streamSubscribe": lists_of}, mode="mix")
        assert answer.status_code == 200, answer.text

    run(act)


def vendors(answer: httpx.Response) -> None:
    """One of the two shapes, and no internal error."""
    body = answer.json()
    if answer.status_code in (200, 201):
        assert "sid" in body or "resourceId" in body
    elif "code" in body:
        assert body["code"] in CODES and body["reason"] and answer.status_code in (206, 400, 404), answer.text
    else:
        assert set(body) == {"message"} and answer.status_code in (400, 401, 404), answer.text


@FEW
@given(starts(), st.data())
def test_a_start_with_anything_in_it_is_answered_in_the_vendors_words(
    made: tuple[str, dict[str, Any], dict[str, Any]], data: st.DataObject
) -> None:
    mode, _, request = made
    body = copy.deepcopy({"cname": "room-7", "uid": "900001", "clientRequest": request})
    for _ in range(data.draw(st.integers(1, 3))):
        *path, last = data.draw(st.sampled_from(paths(body)))
        place: Any = body
        try:
            for key in path:
                place = place[key]
            place[last] = data.draw(json_values)
        except (KeyError, IndexError, TypeError):
            continue  # what it was in has been replaced

    async def act(server: Server) -> None:
        resource_id = await server.acquire(scene=0)
        vendors(await server.http.post(f"{BASE}/resourceid/{resource_id}/mode/{mode}/start", json=body))

    run(act)


KEYS = st.sampled_from(
    [
        "scene", "resourceExpiredHour", "startParameter", "region", "streamSubscribe", "storageConfig", "async_stop",
        "mixedVideoLayout", "layoutConfig", "backgroundConfig", "backgroundColor", "webRecordingConfig",
    ]
)  # fmt: skip


@FEW
@given(
    st.sampled_from(["acquire", "update", "updateLayout", "stop"]),
    json_values | st.dictionaries(KEYS | st.text(max_size=8), json_values | st.integers(0, 5), max_size=4),
    st.just("room-7") | cnames | json_values,
    st.just("900001") | uids | json_values,
)
def test_any_body_of_any_call_is_answered_in_the_vendors_words(call: str, request: Any, cname: Any, uid: Any) -> None:
    body = {"cname": cname, "uid": uid, "clientRequest": request}

    async def act(server: Server) -> None:
        if call == "acquire":
            vendors(await server.http.post(f"{BASE}/acquire", json=body))
            return
        resource_id, sid = await session(server, "mix", {}, {"storageConfig": STORAGE})
        vendors(await server.http.post(f"{BASE}/resourceid/{resource_id}/sid/{sid}/mode/mix/{call}", json=body))

    run(act)


#: A client takes "." and ".." out of a path by itself.
segments = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8).filter(
    lambda s: s.strip(".")
)


@FEW
@given(
    st.sampled_from(["GET", "POST", "PUT"]),
    st.lists(st.sampled_from(["resourceid", "sid", "mode", "individual", "start", "query", "x"]) | segments),
    st.binary(max_size=40),
)
def test_any_path_is_answered_in_the_vendors_words(method: str, names: list[str], body: bytes) -> None:
    path = "/".join(quote(name, safe="") for name in names)

    async def act(server: Server) -> None:
        vendors(await server.http.request(method, f"{BASE}/{path}", content=body))

    run(act)
