"""Tencent's callbacks of both kinds: the documented vectors, envelopes, types, order, retries. Sends nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from reelroom.dialects.tencent import callbacks, naming, relayed
from reelroom.domain import events
from reelroom.store import tables

KEY = "cbkey123"
NOW = 1_700_000_012_400_000_000
CALLBACK = {"url": "http://there/", "secret": KEY, "extra": {"base": "http://media.example", "key": "00" * 32}}


def recording(**data: Any) -> tables.Recording:
    kept = {
        "kind": "cloud",
        "user_id": "recorder_1001",
        "room": "1001",
        "sdk_app_id": 1_400_000_000,
        "vod": False,
        **data,
    }
    return tables.Recording(id="demo-task.", app="dev", room="1001", dialect="tencent", dialect_data=kept)


def event(type_: str, data: dict[str, Any], cause: str = "x") -> tables.Event:
    id_ = events.event_id("demo-task.", cause)
    return tables.Event(id=id_, recording="demo-task.", app="dev", seq=1, type=type_, at_ns=NOW - 12_000_000, data=data)


def known(made: tables.Event) -> tuple[str, str, int, dict[str, Any]]:
    return made.type, made.id, made.at_ns, made.data


def told(type_: str, data: dict[str, Any], cause: str = "x", earlier: Any = (), **more: Any) -> list[dict[str, Any]]:
    requests = callbacks.render(
        event(type_, data, cause), recording(**more), CALLBACK, None, earlier=earlier, now_ns=NOW
    )
    return [json.loads(request.body) for request in requests]


def kinds(said: list[dict[str, Any]]) -> list[tuple[int, Any]]:
    return [(each["EventType"], each["EventInfo"]["Payload"]) for each in said]


def file(key: str, role: str = "playlist", **more: Any) -> dict[str, Any]:
    return {
        "id": 1, "key": key, "role": role, "format": "hls", "output": "001", "identity": "teacher", "source": "camera",
        "kind": "audio", "sequence": 1, "bytes": 9, "sha256": "", "start_ns": 1_700_000_012_345_000_000, "end_ns": None,
        "duration_ns": None, "video_codec": "", "audio_codec": "aac", "width": 0, "height": 0, **more,
    }  # fmt: skip


def test_the_vendors_own_example_of_a_signature() -> None:
    body = (
        '{\n\t"EventGroupId":\t2,\n\t"EventType":\t204,\n\t"CallbackTs":\t1664209748188,\n\t"EventInfo":\t{\n\t\t'
        '"RoomId":\t8489,\n\t\t"EventTs":\t1664209748,\n\t\t"EventMsTs":\t1664209748180,\n\t\t'
        '"UserId":\t"user_85034614",\n\t\t"Reason":\t0\n\t}\n}'
    )
    assert callbacks.sign("123654", body.encode()) == "kkoFeO3Oh2ZHnjtg8tEAQhtXK16/KI05W3BQff8IvGA="
    assert relayed.sign(KEY, 1_700_000_600) == "9e28852b966883bea44fcf544d03852b"


def test_the_envelope_and_its_headers() -> None:
    requests = callbacks.render(event(events.STARTED, {}), recording(), CALLBACK, None, now_ns=NOW)
    assert [json.loads(request.body)["EventType"] for request in requests] == [301, 303]
    assert json.loads(requests[0].body) == {
        "EventGroupId": 3, "EventType": 301, "CallbackTs": 1_700_000_012_400,
        "EventInfo": {
            "RoomId": "1001", "EventTs": "1700000012", "EventMsTs": 1_700_000_012_388, "UserId": "recorder_1001",
            "TaskId": "demo-task.", "Payload": {"Status": 0},
        },
    }  # fmt: skip
    for request in requests:
        made = base64.b64encode(hmac.new(KEY.encode(), request.body, hashlib.sha256).digest()).decode()
        assert request.headers == {"Content-Type": "application/json", "SdkAppId": "1400000000", "Sign": made}
    assert json.loads(requests[1].body)["EventInfo"]["EventTs"] == 1_700_000_012
    bare = callbacks.render(event(events.STARTED, {}), recording(), {"url": "http://x/"}, None)
    assert "Sign" not in bare[0].headers


def test_a_recorder_that_took_over() -> None:
    assert kinds(told(events.RECOVERED, {})) == [(306, {"Status": 0})]


def test_leave_codes() -> None:
    for data, code in (
        ({"reason": "requested", "message": ""}, 0),
        ({"reason": "idle", "message": ""}, 99),
        ({"reason": "disk_full", "message": ""}, 3),
        ({"reason": "error", "message": "the same UserId entered the room again"}, 101),
    ):
        assert kinds(told(events.STOPPED, data)) == [(302, {"LeaveCode": code})]


def test_the_first_playlist_is_told_twice_the_next_once_and_none_again() -> None:
    first = file("p/demo-task./a_main_audio.m3u8")
    said = kinds(told(events.FILE_UPLOADED, first, f"uploaded {first['key']}"))
    assert said == [
        (
            307,
            {
                "FileName": "a_main_audio.m3u8", "UserId": "teacher", "TrackType": "audio",
                "BeginTimeStamp": 1_700_000_012_345,
            },
        ),
        (304, {"FileList": "a_main_audio.m3u8"}),
    ]  # fmt: skip
    before = [known(event(events.FILE_UPLOADED, first, f"uploaded {first['key']}"))]
    second = file("p/demo-task./a_main_video.m3u8", kind="video")
    said = kinds(told(events.FILE_UPLOADED, second, f"uploaded {second['key']}", before))
    assert [number for number, _ in said] == [307]
    assert not told(events.FILE_UPLOADED, first, f"ended {first['key']}", before)


def test_the_end_of_uploads_and_of_files() -> None:
    mp4 = file("p/a_main.mp4", "file", kind="av", end_ns=1_700_000_622_345_000_000, format="mp4")
    said = kinds(told(events.FINISHED, {"message": "", "files": [file("p/a.m3u8"), mp4]}))
    assert said[0] == (305, {"Status": 0})
    assert said[1] == (
        310,
        {
            "Status": 0,
            "FileList": ["a_main.mp4"],
            "FileMessage": [
                {
                    "FileName": "a_main.mp4", "UserId": "teacher", "TrackType": "audio_video", "MediaId": "main",
                    "StartTimeStamp": 1_700_000_012_345, "EndTimeStamp": 1_700_000_622_345,
                }
            ],
        },
    )  # fmt: skip
    stopped = known(event(events.STOPPED, {"reason": "requested", "message": ""}))
    failing = event(events.UPLOAD_FAILING, {"error": "denied"}, "f")
    assert kinds(told(events.UPLOAD_FAILING, {"error": "denied"}, "f", [stopped])) == [
        (308, {"Code": "UploadFailed", "Message": "denied"}),
        (305, {"Status": 1}),
    ]
    assert kinds(told(events.FINISHED, {"message": "", "files": []}, earlier=[stopped, known(failing)])) == [
        (305, {"Status": 2})
    ]
    assert kinds(told(events.FINISHED, {"message": "001/mp4: broken", "files": []}))[1][1]["Status"] == 2


def test_files_of_the_library() -> None:
    assert [number for number, _ in kinds(told(events.STARTED, {}, vod=True))] == [301]
    done = file(
        "demo-task./1400000000_1001.mp4", "file", kind="av", identity="", source="mixed",
        media="5285890800000000002", end_ns=1_700_000_622_345_000_000,
    )  # fmt: skip
    ((number, payload),) = kinds(told(events.FILE_UPLOADED, done, f"uploaded {done['key']}", vod=True))
    assert (number, payload["Status"]) == (311, 0)
    url = payload["TencentVod"].pop("VideoUrl")
    assert url.startswith("http://media.example/media/")
    assert url.endswith("/5285890800000000002/demo-task./1400000000_1001.mp4")
    assert payload["TencentVod"] == {
        "UserId": "", "TrackType": "audio_video", "MediaId": "mix", "FileId": "5285890800000000002",
        "CacheFile": "1400000000_1001.mp4", "StartTimeStamp": 1_700_000_012_345, "EndTimeStamp": 1_700_000_622_345,
    }  # fmt: skip
    assert kinds(told(events.FINISHED, {"message": "", "files": [done]}, vod=True)) == [(312, {"Status": 0})]


def test_files_that_the_library_does_not_get() -> None:
    about = {"key": "demo-task./a_main.mp4", "role": "file", "identity": "teacher", "kind": "av", "error": "denied"}
    file = {"UserId": "teacher", "TrackType": "audio_video", "CacheFile": "a_main.mp4"}
    for more, status in (({}, 1), ({"lost": True}, 2)):
        said = kinds(told(events.UPLOAD_FAILING, about | more, vod=True))
        assert said == [(311, {"Status": status, "Errmsg": "denied", "TencentVod": file})]
    assert not told(events.UPLOAD_FAILING, about | {"role": "segment"}, vod=True)


def test_images_that_cannot_be_had() -> None:
    assert kinds(told("image.missing", {"url": "http://x/a.png"})) == [(309, {"Url": "http://x/a.png"})]


def test_tasks_that_nobody_called_for_are_told_of_less() -> None:
    first = file("p/demo-task./a_main_audio.m3u8")
    assert not told(events.FILE_UPLOADED, first, f"uploaded {first['key']}", auto=True)
    done = {"message": "", "files": [file("p/a_main.mp4", "file", kind="av", end_ns=1, format="mp4")]}
    assert kinds(told(events.FINISHED, done, auto=True)) == [(305, {"Status": 0})]


def test_how_long_an_answer_may_take_and_how_old_a_retry_may_be() -> None:
    (request, _) = callbacks.render(event(events.STARTED, {}), recording(), CALLBACK, None, now_ns=NOW)
    assert (request.timeout_s, callbacks.give_up_s(recording())) == (5, 60)
    kept = recording(**CLASSIC)
    done = file("demo-task./x.m3u8", media="1", duration_ns=1, end_ns=1, format="hls", bytes=1)
    (request,) = callbacks.render(event(events.FILE_UPLOADED, done), kept, CALLBACK, None, now_ns=NOW)
    assert request.timeout_s == 20
    assert callbacks.give_up_s(kept) > 12 * 80


def test_retries_by_kind() -> None:
    assert sum(callbacks.PAUSES_S(recording())) == 60
    assert callbacks.PAUSES_S(recording())[0] == 0
    assert list(callbacks.PAUSES_S(recording(kind="stream"))) == [60.0] * 11  # 12 tries in all


CLASSIC = {
    "kind": "stream", "stream": "1400000000_1001_anchor01_main", "appid": 1_250_000_000, "pushes": True,
    "domain": "8888.livepush.myqcloud.com", "path": "trtc_1400000000",
    "stream_param": relayed.stream_param(1_400_000_000, "1001", "anchor01", "n", 0x6553F100, "lesson7"),
}  # fmt: skip


def test_a_stream_that_comes_and_goes() -> None:
    sound = {"identity": "anchor01", "session": "s", "source": "microphone", "kind": "audio"}
    picture = sound | {"source": "camera", "kind": "video"}
    began = event(events.TRACK["added"], sound, "1")
    (said,) = told(events.TRACK["added"], sound, "1", **CLASSIC)
    assert (said["event_type"], said["errmsg"], said["stream_id"]) == (1, "ok", "1400000000_1001_anchor01_main")
    assert said["sign"] == hashlib.md5(f"{KEY}{said['t']}".encode()).hexdigest()
    assert said["t"] == NOW // 10**9 + 600
    assert "userid=YW5jaG9yMDE=" in said["stream_param"].split("&")
    assert "userdefinerecordid=lesson7" in said["stream_param"]
    both = [known(began), known(event(events.TRACK["added"], picture, "2"))]
    assert not told(events.TRACK["added"], picture, "2", both[:1], **CLASSIC)
    assert not told(events.TRACK["removed"], sound, "3", both, **CLASSIC)
    gone = [*both, known(event(events.TRACK["removed"], sound, "3"))]
    (said_,) = told(events.TRACK["removed"], picture, "4", gone, **CLASSIC)
    assert (said_["event_type"], said_["push_duration"], said_["sequence"]) == (0, "0", said["sequence"])
    assert not told(events.TRACK["added"], sound, "1", **CLASSIC | {"pushes": False})


def test_a_file_of_a_stream() -> None:
    done = file("demo-task./x.m3u8", media="5285890800000000001", duration_ns=600 * 10**9,
                end_ns=1_700_000_612_345_000_000, format="hls", bytes=27_794_107)  # fmt: skip
    (said,) = told(events.FILE_UPLOADED, done, "e", **CLASSIC)
    assert (said["event_type"], said["file_format"], said["file_id"]) == (100, "hls", "5285890800000000001")
    assert (said["start_time"], said["start_time_usec"], said["end_time"]) == (1_700_000_012, 345_000, 1_700_000_612)
    assert (said["duration"], said["file_size"], said["channel_id"]) == (600, 27_794_107, said["stream_id"])
    assert said["video_url"].startswith("http://media.example/media/")
    assert not told(events.FILE_UPLOADED, file("demo-task./x.m3u8"), "u", **CLASSIC)  # it has not ended yet


def test_derived_stream_ids() -> None:
    assert naming.stream_id(12_345_678, "12345", "userA", "camera") == "12345678_12345_userA_main"
    assert naming.stream_id(1_400_000_123, "a b", "u1", "camera") == "1400000123_a%20b_u1_main"
    md5 = naming.stream_id(1, "12345", "userA", "camera", bizid="8888")
    assert md5 == "8888_8d0261436c375bb0dea901d86d7d70e8"
    assert naming.stream_id(1, "12345", "userA", "screen", bizid="8888") == "8888_46bc3b391a56fc9510fedf4fd29ff867"
