"""Agora's notifications: bytes, signatures, order and numbers. Sends nothing."""

from __future__ import annotations

import hashlib
import hmac
import json
from types import SimpleNamespace
from typing import Any

import pytest

from reelroom.dialects.agora.callbacks import PAUSES_S, render, signatures
from reelroom.dialects.agora.notices import About, notices
from reelroom.domain import events

SID = "9f0c6a1e2b7d4835a1c0de55f0e4b621"
MS = 1_753_690_000_123


def of(type_: str, event_id: str = "e", **data: Any) -> list[tuple[int, dict[str, Any]]]:
    return [(notice.type, notice.details) for notice in notices(type_, event_id, MS * 10**6, data, SID)]


def event(type_: str, event_id: str = "e1", **data: Any) -> Any:
    return SimpleNamespace(type=type_, id=event_id, at_ns=MS * 10**6, data=data)


RECORDING: Any = SimpleNamespace(id=SID, room="room-7", dialect_data={"uid": "900001"})
CALLBACK = {"url": "https://example.test/ncs", "secret": "secret"}


def test_signatures_of_the_vendors_test_vector() -> None:
    body = (
        b'{"eventMs":1560408533119,"eventType":10,"noticeId":"4eb720f0-8da7-11e9-a43e-53f411c2761f",'
        b'"notifyMs":1560408533119,"payload":{"a":"1","b":2},"productId":1}'
    )
    assert signatures(body, "secret") == {
        "Agora-Signature": "033c62f40f687675f17f0f41f91a40c71c0f134c",
        "Agora-Signature-V2": "6d3320c60b11101395b7fc8f9068748808a0aa1bfa064438e39d1bc2c7d74d99",
    }


def test_the_envelope_and_its_signatures() -> None:
    made = render(event(events.STARTED), RECORDING, CALLBACK, None, now_ns=(MS + 200) * 10**6)
    assert [json.loads(request.body)["eventType"] for request in made] == [13, 40, 30]
    request = made[1]
    assert request.url == "https://example.test/ncs"
    assert json.loads(request.body) == {
        "noticeId": "e1:1",
        "productId": 3,
        "eventType": 40,
        "notifyMs": MS + 200,
        "sid": SID,
        "payload": {
            "cname": "room-7",
            "uid": "900001",
            "sid": SID,
            "sequence": 1,
            "sendts": MS,
            "serviceType": 1,
            "serviceScene": "rtc_record",
            "details": {"msgName": "recorder_started", "status": 0},
        },
    }
    for name, algorithm in (("Agora-Signature", hashlib.sha1), ("Agora-Signature-V2", hashlib.sha256)):
        assert request.headers[name] == hmac.new(b"secret", request.body, algorithm).hexdigest()


def test_sequence_counts_on_without_holes() -> None:
    joined = (events.PARTICIPANT_JOINED, "j", 0, {"identity": "41"})
    started = (events.STARTED, "s", 0, {})
    added = event("track.added", "t", kind="audio", identity="41")
    [request] = render(added, RECORDING, CALLBACK, None, earlier=[started, joined])
    assert json.loads(request.body)["payload"]["sequence"] == 3


def test_a_repeated_notice_keeps_its_id_and_number_but_not_its_time() -> None:
    first, again = (
        json.loads(render(event(events.STARTED), RECORDING, CALLBACK, None, now_ns=now)[0].body)
        for now in (10**9, 2 * 10**9)
    )
    assert (first["noticeId"], first["payload"]) == (again["noticeId"], again["payload"])
    assert first["notifyMs"] != again["notifyMs"]


@pytest.mark.parametrize(
    ("type_", "kind", "number", "state"),
    [
        ("track.added", "audio", 43, 0),
        ("track.unmuted", "video", 44, 0),
        ("track.muted", "video", 44, 1),
        ("track.removed", "audio", 43, 1),
    ],
)
def test_stream_states(type_: str, kind: str, number: int, state: int) -> None:
    assert of(type_, kind=kind, identity="41") == [
        (
            number,
            {
                "msgName": f"recorder_{kind}_stream_state_changed",
                "streamUid": "41",
                "state": state,
                "UtcMs": MS,
                "utcMs": MS,
            },
        )
    ]


def playlist(key: str = "dirA/x.m3u8", output: str = "001") -> dict[str, Any]:
    return {
        "role": "playlist", "key": key, "output": output, "identity": "41", "kind": "audio", "start_ns": MS * 10**6,
    }  # fmt: skip


def test_an_indexs_first_upload_says_that_slices_and_files_have_begun() -> None:
    first = events.event_id(SID, "uploaded dirA/x.m3u8")
    started = {
        "msgName": "recorder_slice_start",
        "startUtcMs": MS,
        "discontinueUtcMs": MS,
        "mixedAllUser": False,
        "streamUid": "41",
        "trackType": "audio",
    }
    infos = {"msgName": "cloud_recording_file_infos", "fileList": "dirA/x.m3u8"}
    assert of(events.FILE_UPLOADED, first, **playlist()) == [(42, started), (4, infos)]
    assert of(events.FILE_UPLOADED, first, **playlist(output="002")) == [(42, started)]
    assert of(events.FILE_UPLOADED, events.event_id(SID, "ended dirA/x.m3u8"), **playlist()) == []


def test_an_interruption_starts_a_slice_again_and_lost_packets_do_not() -> None:
    gap = {"identity": "41", "kind": "video", "from_ns": 10**9, "to_ns": 3 * 10**9}
    [(number, details)] = of(events.GAP, **gap, reason="mute")
    assert (number, details["discontinueUtcMs"], details["startUtcMs"]) == (42, 1000, 3000)
    assert of(events.GAP, **gap, reason="loss") == []


@pytest.mark.parametrize(("reason", "code"), [("requested", 16), ("idle", 4), ("disk_full", 2)])
def test_leave_codes(reason: str, code: int) -> None:
    assert of(events.STOPPED, reason=reason) == [(41, {"msgName": "recorder_leave", "leaveCode": code})]


def test_a_failed_recording_is_an_error_and_an_abnormal_exit() -> None:
    [(error, details), (left, _)] = of(events.STOPPED, reason="error", message="uid 9 is taken by somebody")
    assert (error, left) == (1, 41)
    assert (details["errorLevel"], details["errorCode"], details["module"]) == (5, 53, 2)
    assert of(events.FAILED, reason="error", files=[]) == [(11, {"msgName": "session_exit", "exitStatus": 1})]


def test_the_end_lists_the_files() -> None:
    files = [playlist(), {**playlist(), "role": "file", "key": "x.mp4"}]
    made = of(events.FINISHED, reason="requested", files=files)
    assert [number for number, _ in made] == [33, 31, 11]
    assert made[1][1]["fileList"] == [
        {
            "fileName": "dirA/x.m3u8",
            "trackType": "audio",
            "uid": "41",
            "mixedAllUser": False,
            "isPlayable": True,
            "sliceStartTime": MS,
        }
    ]
    assert made[2][1]["exitStatus"] == 0


def test_trouble_with_storage() -> None:
    [(number, details)] = of(events.UPLOAD_FAILING, error="PermissionDenied: 403")
    assert (number, details["errorCode"], details["module"]) == (1, 32, 1)
    assert of(events.UPLOAD_FAILING, error="timed out")[0][1]["warnCode"] == 32
    assert of(events.UPLOAD_FAILING, error="gone", lost=True)[0][1]["errorCode"] == 47
    assert of(events.UPLOAD_RECOVERED)[0][1]["warnCode"] == 31


def test_a_notice_is_sent_again_at_once_and_then_ever_later_for_a_day() -> None:
    assert PAUSES_S[:4] == (0, 5, 10, 20)
    assert list(PAUSES_S) == sorted(PAUSES_S)
    assert 86_400 <= sum(PAUSES_S) < 90_000 + 3600


def test_progress_of_uploads() -> None:
    made = notices(events.UPLOAD_PROGRESS, "e", 0, {"uploaded": 3, "recorded": 3, "share": 7500}, SID)
    assert [(each.type, each.service, each.details) for each in made] == [
        (33, 2, {"msgName": "uploading_progress", "progress": 7500})
    ]


def test_files_that_follow_later_are_backed_up() -> None:
    [(number, details)] = of(events.UPLOAD_DELAYED, files=[playlist()])
    assert (number, details["status"], details["fileList"][0]["fileName"]) == (32, 0, "dirA/x.m3u8")


def test_a_takeover_keeps_the_uid() -> None:
    about = About(uid="900001")
    [notice] = notices(events.RECOVERED, "e", 0, {}, SID, about)
    assert (notice.type, notice.service) == (12, 0)
    assert notice.details == {"msgName": "session_failover", "newUid": 900001}


@pytest.mark.parametrize(("mode", "number"), [("individual", 0), ("mix", 1)])
def test_a_call_that_does_not_fit_is_told_with_the_state(mode: str, number: int) -> None:
    data = {"call": "start", "state": "recording", "uploaded": True, "key": "dirA/x.m3u8"}
    [notice] = notices(events.MISPLACED, "e", 0, data, SID, About(uid="9", mode=mode))
    assert (notice.type, notice.service) == (3, 0)
    assert notice.details == {
        "msgName": "cloud_recording_status_update", "status": 5, "recordingMode": number, "fileList": "dirA/x.m3u8",
    }  # fmt: skip


@pytest.mark.parametrize("type_", [events.PARTICIPANT_JOINED, events.SEGMENT_CLOSED, events.PAUSED])
def test_events_that_agora_has_no_word_for(type_: str) -> None:
    assert of(type_, identity="41") == []
