"""What each of Agora's calls does to a recording, and what it answers in each state. No sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from reelroom.control import destinations
from reelroom.control.guard import Unresolved
from reelroom.dialects.agora import delivery, resource, sessions
from reelroom.dialects.agora.settings import check_settings
from reelroom.domain import events, lines
from reelroom.domain.recording import State
from reelroom.store import tables
from reelroom.store.secrets import SecretBox
from tests.unit.agora_server import BASE, KEY, STORAGE, Server, refused, serving


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as made:
        yield made


async def test_a_whole_session(server: Server) -> None:
    resource_id, sid = await server.started()
    names = {"cname": "room-7", "uid": "900001", "resourceId": resource_id, "sid": sid}
    empty = (await server.call("query", resource_id, sid)).json()
    assert empty == {
        **names,
        "serverResponse": {"status": 4, "fileListMode": "json", "fileList": [], "sliceStartTime": 0},
    }
    await server.slice(sid, "video", "002", 1_753_690_000_390_000_000)
    await server.slice(sid, "audio", "001", 1_753_690_000_123_000_000)
    running = (await server.call("query", resource_id, sid)).json()["serverResponse"]
    files = [
        {
            "fileName": f"dirA/{sid}_room-7__uid_s_41__uid_e_{kind}.m3u8",
            "trackType": kind,
            "uid": "41",
            "mixedAllUser": False,
            "isPlayable": kind == "audio",
            "sliceStartTime": start,
        }
        for kind, start in (("audio", 1_753_690_000_123), ("video", 1_753_690_000_390))
    ]
    assert running == {
        "status": 5, "fileListMode": "json", "fileList": files, "sliceStartTime": 1_753_690_000_123,
    }  # fmt: skip
    updated = await server.call(
        "update", resource_id, sid, {"streamSubscribe": {"audioUidList": {"subscribeAudioUids": ["41"]}}}
    )
    assert (updated.status_code, updated.json()) == (200, names)
    stopped = await server.call("stop", resource_id, sid)
    assert stopped.status_code == 200
    assert stopped.json() == {
        **names, "serverResponse": {"fileListMode": "json", "fileList": files, "uploadingStatus": "uploaded"},
    }  # fmt: skip
    refused(await server.call("stop", resource_id, sid), 400, 49, "invalid operation")
    refused(await server.call("query", resource_id, sid), 404, 404, "failed to find worker")
    refused(await server.call("update", resource_id, sid, {"streamSubscribe": {}}), 404, 404)
    assert [type(command).__name__ for command in server.recorders.commands] == ["Change", "Stop"]


async def test_stop_without_anything_recorded(server: Server) -> None:
    refused(await server.call("stop", *await server.started()), 206, 435, "no recorded data")


async def test_async_stop_does_not_wait(server: Server) -> None:
    resource_id, sid = await server.started()
    server.recorders.obeys = False
    await server.slice(sid, "audio", "001", 0)
    answer = await server.call("stop", resource_id, sid, {"async_stop": True})
    assert answer.json()["serverResponse"]["uploadingStatus"] == "unknown"
    status = (await server.call("query", resource_id, sid)).json()["serverResponse"]["status"]
    assert status == 6
    refused(await server.call("stop", resource_id, sid), 400, 49)


async def test_stop_while_storage_refuses_says_backuped(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "BACKUP_AFTER_S", 0.0)
    resource_id, sid = await server.started()
    await server.slice(sid, "audio", "001", 0, state="pending")
    server.recorders.end = State.UPLOADING
    answer = await server.call("stop", resource_id, sid)
    assert answer.json()["serverResponse"]["uploadingStatus"] == "backuped"
    assert (await server.call("query", resource_id, sid)).json()["serverResponse"]["status"] == 7


async def test_stop_that_takes_too_long_is_50(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "BACKUP_AFTER_S", 0.0)
    monkeypatch.setattr(delivery, "STOP_WAIT_S", 0.0)
    resource_id, sid = await server.started()
    server.recorders.end = State.FINISHING
    refused(await server.call("stop", resource_id, sid), 500, 50)


async def test_a_second_start_is_201_with_the_identifiers(server: Server) -> None:
    resource_id, sid = await server.started()
    again = await server.start(resource_id)
    assert (again.status_code, again.json()) == (
        201,
        {
            "cname": "room-7", "uid": "900001", "resourceId": resource_id, "sid": sid,
            "code": 7, "reason": "already started",
        },
    )  # fmt: skip
    assert len(server.recorders.specs) == 1


async def test_calls_that_do_not_fit_are_told_to_the_receiver_of_notifications(server: Server) -> None:
    resource_id, sid = await server.started()
    await server.slice(sid, "audio", "001", 0)
    await server.start(resource_id)
    server.recorders.end = State.UPLOADING
    await server.call("stop", resource_id, sid, {"async_stop": True})
    refused(await server.call("stop", resource_id, sid), 400, 49)
    async with server.database.reading() as session:
        told = (await session.scalars(select(tables.Event).order_by(tables.Event.seq))).all()
    key = f"dirA/{sid}_room-7__uid_s_41__uid_e_audio.m3u8"
    assert [(event.type, event.data) for event in told] == [
        (events.MISPLACED, {"call": "start", "state": "recording", "uploaded": True, "key": key}),
        (events.MISPLACED, {"call": "stop", "state": "uploading", "uploaded": True, "key": key}),
    ]


async def test_a_resource_id_is_for_one_recording(server: Server) -> None:
    resource_id, sid = await server.started()
    await server.call("stop", resource_id, sid)
    refused(await server.start(resource_id), 400, 433)


async def test_a_resource_id_expires(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    resource_id = await server.acquire()
    monkeypatch.setattr(resource, "VALID_NS", 0)
    refused(await server.start(resource_id), 400, 433, "5 minutes")


async def test_the_same_uid_twice_is_a_task_conflict_until_the_first_ends(server: Server) -> None:
    first, sid = await server.started()
    second = await server.acquire()
    refused(await server.start(second), 400, 53, "task conflict")
    await server.started("900002")  # another uid records the same channel
    await server.call("stop", first, sid)
    assert (await server.start(second)).status_code == 200


async def test_a_uid_that_is_in_the_channel_makes_the_recording_fail(server: Server) -> None:
    server.rooms.identities = ["41", "900001"]
    resource_id, sid = await server.started()
    refused(await server.call("query", resource_id, sid), 404, 404)
    refused(await server.call("stop", resource_id, sid), 404, 404)
    [command] = server.recorders.commands
    assert isinstance(command, lines.Stop) and "900001 is taken" in command.message


async def test_a_refused_start_does_not_use_up_the_resource_id(server: Server) -> None:
    resource_id = await server.acquire()
    refused(await server.start(resource_id, recordingConfig={"streamTypes": 9}), 400, 2, "streamTypes")
    assert (await server.start(resource_id)).status_code == 200


async def test_start_must_equal_start_parameter(server: Server) -> None:
    parameter = {"storageConfig": STORAGE, "recordingConfig": {"maxIdleTime": 60}}
    resource_id = await server.acquire(startParameter=parameter)
    refused(await server.start(resource_id), 400, 2, "request_hash mismatch!")
    assert (await server.start(resource_id, recordingConfig={"maxIdleTime": 60.0})).status_code == 200


async def test_names_must_match_the_resource_id(server: Server) -> None:
    resource_id, sid = await server.started()
    refused(await server.start(await server.acquire(), uid="900009"), 400, 432, "uid")
    refused(await server.call("stop", resource_id, sid, cname="room-8"), 400, 432, "cname")
    refused(await server.call("query", "nonsense", sid), 400, 1001)
    refused(await server.call("query", await server.acquire(), sid), 400, 1003, "sid")
    refused(await server.call("query", resource_id, "0" * 32), 404, 404)


async def test_calls_are_refused_after_resource_expired_hour(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "HOUR_NS", 0)
    resource_id, sid = await server.started()
    for what in ("query", "update", "stop"):
        refused(await server.call(what, resource_id, sid), 404, 404)
    assert server.recorders.commands == []


async def test_update_of_storage_refreshes_credentials(server: Server) -> None:
    resource_id, sid = await server.started()
    async with server.database.reading() as session:
        before = (await session.get_one(tables.Recording, sid)).destination
    fresh = {**STORAGE, "secretKey": "another"}
    assert (await server.call("update", resource_id, sid, {"storageConfig": fresh})).status_code == 200
    async with server.database.reading() as session:
        after = (await session.get_one(tables.Recording, sid)).destination
        assert after == before  # the uploader keeps what it has open and reads it again
        options = SecretBox(KEY).open((await session.get_one(tables.Destination, after)).options)
    assert options["secret_access_key"] == "another"
    moved = {**STORAGE, "fileNamePrefix": ["dirB"]}
    refused(await server.call("update", resource_id, sid, {"storageConfig": moved}), 400, 2, "not supported")


async def test_credentials_are_encrypted_and_in_no_answer(server: Server) -> None:
    resource_id, sid = await server.started()
    async with server.database.reading() as session:
        row = await session.get_one(tables.Recording, sid)
        said = repr(
            (row.spec, row.dialect_data, (await session.get_one(tables.Destination, row.destination)).described)
        )
    answers = [(await server.start(resource_id)).text, (await server.call("query", resource_id, sid)).text]
    bad = await server.start(await server.acquire("7"), "7", storageConfig={**STORAGE, "vendor": 99})
    refused(bad, 400, 2, "vendor 99 is unknown")
    assert "not-to-be-shown" not in said + "".join(answers) + bad.text


async def test_quota_of_recordings(server: Server) -> None:
    (await server.apps.by_id("dev")).defaults["agora"] = {"max_recordings": 1, "requests_per_second": 0}  # type: ignore[union-attr]
    await server.started()
    body = {"cname": "room-7", "uid": "900002", "clientRequest": {}}
    refused(await server.http.post(f"{BASE}/acquire", json=body), 400, 406, "vendor_over_load")


async def test_the_callback_comes_from_the_app(server: Server) -> None:
    (await server.apps.by_id("dev")).defaults["agora"] = {  # type: ignore[union-attr]
        "callback_url": "http://127.0.0.1:9/ncs", "requests_per_second": 0,
    }  # fmt: skip
    _, sid = await server.started()
    async with server.database.reading() as session:
        sealed = (await session.get_one(tables.Recording, sid)).callback
    assert sealed is not None
    opened = SecretBox(KEY).open(sealed)
    assert (opened["url"], opened["secret"]) == ("http://127.0.0.1:9/ncs", "dev-secret")


async def test_slices_are_as_long_as_the_app_has_them(server: Server) -> None:
    app = await server.apps.by_id("dev")
    app.defaults["agora"] = {"slice_s": "4.5", "requests_per_second": 0}  # type: ignore[union-attr]
    await server.started()
    assert server.recorders.specs[-1].hls.segment_s == 4.5
    with pytest.raises(ValueError, match="slice_s"):
        check_settings({"slice_s": 2})


async def test_a_start_does_not_wait_for_a_providers_host(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unresolved(url: str, allow_private: bool, where: str = "") -> None:
        raise Unresolved("invalid", "host cannot be resolved", where)

    monkeypatch.setattr(destinations, "check_url", unresolved)
    amazon = {**STORAGE, "vendor": 1, "region": 7, "extensionParams": {}}
    assert (await server.start(await server.acquire("7"), "7", storageConfig=amazon)).status_code == 200
    own = await server.start(await server.acquire("8"), "8", storageConfig=STORAGE)
    refused(own, 400, 2, "clientRequest.storageConfig.extensionParams.endpoint: host cannot be resolved")
