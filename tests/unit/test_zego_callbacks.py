"""ZEGO's callbacks: signature, envelope, numbering, which event is which, the rule of retries."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from reelroom.deliver.callbacks import renderer
from reelroom.dialects.zego.callbacks import render, sign
from reelroom.dialects.zego.notices import SILENT
from reelroom.domain import events

TASK = "ZVPxAOE4IysBAAAB"
ID = "6553f100e138232b0100000100000000"
CALLBACK = {"url": "https://example.org/zego", "secret": "f00dfeed0badc0de1122334455667788"}
KEPT = {"app_id": "1234567890", "stream": "", "vendor": 1, "base_url": "https://rec.s3.eu-central-1.amazonaws.com"}


def made(type_: str, data: dict[str, Any] | None = None, cause: str = "c") -> Any:
    return SimpleNamespace(type=type_, id=events.event_id(ID, cause), at_ns=10**18, data=data or {})


def bodies(event: Any, *earlier: Any, **kept: Any) -> list[dict[str, Any]]:
    row = SimpleNamespace(id=ID, room="class-7", dialect_data=KEPT | kept)
    known = [(one.type, one.id, one.at_ns, one.data) for one in earlier]
    requests = render(event, row, CALLBACK, None, earlier=known, now_s=1700000123)  # type: ignore[arg-type]
    assert all(request.url == CALLBACK["url"] for request in requests)
    return [json.loads(request.body) for request in requests]


def types(event: Any, *earlier: Any, **kept: Any) -> list[int]:
    return [body["event_type"] for body in bodies(event, *earlier, **kept)]


FILE = {
    "id": 1,
    "key": "lessons/7/ZVPx_class-7_ann_ann_VA_20231114221332345.mp4",
    "role": "file",
    "format": "mp4",
    "output": "001",
    "identity": "ann",
    "source": "camera",
    "kind": "av",
    "sequence": 1,
    "bytes": 12733104,
    "start_ns": 1_700_000_012_345_678_901,
    "duration_ns": 90_039_999_999,
    "video_codec": "h264",
    "audio_codec": "aac",
    "width": 1280,
    "height": 720,
}
ADDED = made("track.added", {"kind": "audio"}, "t")
STARTED = made(events.STARTED, cause="s")


@pytest.mark.parametrize(
    ("secret", "timestamp", "nonce", "wanted"),
    [
        ("secret", "1470820198", "123412", "5bd59fd62953a8059fb7eaba95720f66d19e4517"),
        ("f00dfeed0badc0de1122334455667788", "1700000123", "884213", "2a15862c6a784301f67d7766abbfa89e947cef83"),
        ("0aaa", "1700000123", "884213", "b34797b8ab9341ea83b28abda43d3d6b66af193b"),
    ],
)
def test_the_signature_is_the_vendors(secret: str, timestamp: str, nonce: str, wanted: str) -> None:
    assert sign(secret, timestamp, nonce) == wanted


def test_the_envelope_has_the_vendors_types() -> None:
    (body,) = bodies(made(events.PAUSED))
    assert body["app_id"] == 1234567890 and body["task_id"] == TASK and body["room_id"] == "class-7"
    assert (body["event_type"], body["message"], body["sequence"], body["detail"]) == (201, "", 0, {})
    assert isinstance(body["nonce"], str) and body["timestamp"] == "1700000123"
    assert body["signature"] == sign(CALLBACK["secret"], body["timestamp"], body["nonce"])


def test_a_stop_is_told_with_its_upload_if_there_is_one() -> None:
    stopped = made(events.STOPPED, {"reason": "requested", "message": ""})
    assert types(stopped, STARTED, ADDED) == [5, 7]
    assert types(stopped, STARTED) == [5]
    assert types(stopped, STARTED, always=True) == [5, 7]  # of a mix that needs nobody
    assert [body["sequence"] for body in bodies(stopped, STARTED, made(events.PAUSED), made(events.RESUMED))] == [2]


@pytest.mark.parametrize(
    ("reason", "quit_reason"), [("idle", 3), ("max_duration", 4), ("disk_full", 1004), ("error", 1001)]
)
def test_what_ends_a_task_by_itself(reason: str, quit_reason: int) -> None:
    first, *rest = bodies(made(events.STOPPED, {"reason": reason, "message": ""}), STARTED, ADDED)
    assert (first["event_type"], first["detail"]) == (2, {"quit_reason": quit_reason})
    assert [body["event_type"] for body in rest] == [7]


def test_a_recorder_that_never_began() -> None:
    (body,) = bodies(made(events.STOPPED, {"reason": "error", "message": "x"}))
    assert body["detail"] == {"quit_reason": 1}


def test_the_end_lists_all_files() -> None:
    stopped = made(events.STOPPED, {"reason": "requested", "message": ""}, "x")
    wave = FILE | {"format": "sw", "key": FILE["key"] + ".sw"}
    (body,) = bodies(made(events.FINISHED, {"files": [FILE, wave]}), STARTED, ADDED, stopped)
    assert body["sequence"] == 2
    (info,) = body["detail"]["file_info"]
    assert body["detail"]["upload_status"] == 1
    assert info == {
        "user_id": "ann",
        "user_name": "ann",
        "stream_id": "ann",
        "file_id": "ZVPx_class-7_ann_ann_VA_20231114221332345.mp4",
        "video_id": "",
        "file_url": f"{KEPT['base_url']}/{FILE['key']}",
        "output_file_format": "mp4",
        "file_size": 12733104,
        "duration": 90039,
        "resolution_width": 1280,
        "resolution_height": 720,
        "media_track_type": 3,
        "begin_timestamp": 1700000012345,
        "status": 3,
    }


def test_without_files_the_end_is_told_nevertheless() -> None:
    (body,) = bodies(made(events.FINISHED, {"files": []}))
    assert body["detail"] == {"upload_status": 1, "file_info": []}


def test_a_lost_file_makes_the_upload_incomplete() -> None:
    lost = made(events.UPLOAD_FAILING, {"lost": True, "key": "k", "role": "file", "error": "gone"})
    (body,) = bodies(made(events.FINISHED, {"files": []}), lost)
    assert body["detail"]["upload_status"] == 2


def test_files_that_storage_refuses_are_told_of_and_again_when_it_has_them() -> None:
    waits = made(events.UPLOAD_DELAYED, {"files": [FILE | {"stored": False}, FILE | {"key": "b.mp4", "stored": True}]})
    (body,) = bodies(waits, STARTED)
    kept, stored = sorted(body["detail"]["file_info"], key=lambda one: one["status"], reverse=True)
    assert (body["event_type"], body["sequence"], body["detail"]["upload_status"]) == (1, 0, 2)
    assert (kept["status"], stored["status"]) == (4, 3)
    assert kept["file_url"] == f"{KEPT['base_url']}/{FILE['key']}"  # where it will be
    (body,) = bodies(made(events.FINISHED, {"files": [FILE]}), STARTED, waits)
    assert (body["sequence"], body["detail"]["upload_status"], body["detail"]["file_info"][0]["status"]) == (1, 1, 3)


def test_a_mix_is_named_by_its_stream_and_kodo_has_no_url() -> None:
    mixed = FILE | {"identity": "", "source": "mixed"}
    (body,) = bodies(made(events.FINISHED, {"files": [mixed]}), stream="mix7", vendor=4, base_url="")
    (info,) = body["detail"]["file_info"]
    assert (info["user_id"], info["stream_id"]) == ("mix7", "mix7") and "file_url" not in info


def test_a_playlist_is_told_once_and_only_in_real_time() -> None:
    data = FILE | {"role": "playlist", "format": "hls", "key": "a/x.m3u8", "duration_ns": None}
    first = made(events.FILE_UPLOADED, data, "uploaded a/x.m3u8")
    assert types(first) == []
    (body,) = bodies(first, realtime=True)
    assert body["event_type"] == 102
    assert body["detail"] == {
        "stream_id": "ann",
        "file_id": "x.m3u8",
        "file_url": f"{KEPT['base_url']}/a/x.m3u8",
        "media_track_type": 3,
    }
    assert types(made(events.FILE_UPLOADED, data, "ended a/x.m3u8"), realtime=True) == []
    (body,) = bodies(first, realtime=True, sound_alone=True)  # whose sound is a file of its own
    assert body["detail"]["media_track_type"] == 2


def test_images_streams_and_quiet_rooms() -> None:
    missing = made(events.IMAGE_MISSING, {"image_type": 2, "url": "https://x/y.png"})
    assert bodies(missing)[0]["detail"] == {"image_type": 2, "image_url": "https://x/y.png"}
    assert types(made(events.QUIET, {"since_ns": 1})) == [4]
    (absent,) = bodies(made(events.STREAM_MISSING, {"stream": "bob~screen"}))
    assert (absent["event_type"], absent["detail"]) == (6, {"stream_id": "bob~screen"})


def test_every_other_event_is_silent() -> None:
    for type_ in SILENT:
        assert types(made(type_, {"reason": "", "key": "", "role": "file"})) == []


def test_the_vendors_rule_of_retries() -> None:
    assert renderer("zego").pauses == (5.0, 5.0)
    assert renderer("native").pauses is None
