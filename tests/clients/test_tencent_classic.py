"""Tencent's classic kind on a real server and a real call: each stream recorded by itself, resumed, found, deleted; and
mixes that a client starts. By the vendor's own Python clients, with callbacks whose signatures are checked."""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from typing import Any

from tests.clients.agora_calls import Receiver, publishing, receiver
from tests.clients.tencent_calls import CALLBACK_KEY, SDK_APP_ID, fetch, local, probe, request, server, trtc, until, vod
from tests.needs import need

STREAM = f"{SDK_APP_ID}_1001_anchor01_main"
TIMES = r"_\d{4}(-\d\d){5}_\d{4}(-\d\d){5}"


def check(callbacks: Receiver) -> list[dict[str, Any]]:
    """All callbacks of the classic kind, their signatures checked by the vendor's rule."""
    found = [notice for notice in callbacks.notices() if "event_type" in notice]
    for notice in found:
        assert notice["sign"] == hashlib.md5(f"{CALLBACK_KEY}{notice['t']}".encode()).hexdigest()
        assert notice["t"] > time.time()
    return found


def started(client: Any, said: dict[str, Any]) -> bool:
    from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

    try:
        client.StartMCUMixTranscode(request("StartMCUMixTranscode", said))
    except TencentCloudSDKException as error:
        if error.get_code() != "FailedOperation.RoomNotExist":
            raise
        return False
    return True


def formats(callbacks: Receiver) -> Counter[str]:
    return Counter(notice["file_format"] for notice in check(callbacks) if notice["event_type"] == 100)


def test_every_stream_is_recorded_by_itself_and_goes_on_in_hls_after_an_interruption() -> None:
    need("tencentcloud", "aiortc", "ffprobe")
    settings = {"auto_record": "true", "formats": "hls,mp4,flv,aac", "resume_s": "15", "retention_days": "1"}
    settings |= {"auto_task": "true", "task_formats": "hls", "task_storage": "app", "task_resume_s": "10"}
    with receiver() as callbacks, server(callback_url=callbacks.url, file_minutes="5", **settings) as running:
        with publishing(running, "1001", "anchor01"):
            time.sleep(6)
        time.sleep(4)
        with publishing(running, "1001", "anchor01"):  # an interruption's end
            time.sleep(6)
        until(lambda: formats(callbacks) == {"hls": 1, "mp4": 2, "flv": 2, "aac": 2})
        told = check(callbacks)
        assert [notice["event_type"] for notice in told if notice["event_type"] != 100] == [1, 0, 1, 0]
        assert {notice["stream_id"] for notice in told} == {STREAM}
        assert all("userid=YW5jaG9yMDE=" in notice["stream_param"] for notice in told)
        codecs = {}
        for notice in told:
            if notice["event_type"] == 100 and notice["file_format"] != "hls":
                path = running.data / f"one.{notice['file_format']}"
                path.write_bytes(fetch(running, notice["video_url"]))
                assert path.stat().st_size == notice["file_size"]
                codecs[notice["file_format"]] = probe(path)
            elif notice["event_type"] == 100:
                index = fetch(running, notice["video_url"]).decode()
                assert "#EXT-X-DISCONTINUITY" in index or "#EXT-X-GAP" in index or index.count("#EXTINF") >= 2
                assert notice["duration"] >= 10
        both = {"video": "h264", "audio": "aac"}
        assert codecs == {"mp4": both, "flv": both, "aac": {"audio": "aac"}}
        library = vod(running)
        asked = {"NamePrefixes": [f"{STREAM}_"], "SourceTypes": ["Record"], "StreamIds": [STREAM], "Limit": 50}
        found = library.SearchMedia(request("SearchMedia", asked, "vod"))
        assert found.TotalCount == 7
        for info in found.MediaInfoSet:
            assert re.fullmatch(re.escape(STREAM) + TIMES, info.BasicInfo.Name)
            assert info.BasicInfo.ExpireTime < "9999"
            assert info.BasicInfo.SourceInfo.LiveRecordInfo.StreamId == STREAM
            library.DeleteMedia(request("DeleteMedia", {"FileId": info.FileId}, "vod"))
        assert library.SearchMedia(request("SearchMedia", asked, "vod")).TotalCount == 0
        _task(running, callbacks)


def _task(running: Any, callbacks: Receiver) -> None:
    """API 3.0's task that began by itself, and went on when the one whom it recorded came back."""

    def told() -> list[tuple[int, str]]:
        notices = [notice for notice in callbacks.notices() if "EventType" in notice]
        return [(notice["EventType"], notice["EventInfo"]["TaskId"]) for notice in notices]

    until(lambda: 305 in dict(told()))
    assert [number for number, _ in told()] == [301, 303, 302, 305]
    ((_, id), *_) = told()
    stem = f"{SDK_APP_ID}_1001__UserId_s_YW5jaG9yMDE=".replace("=", ".") + "__UserId_e_main"
    for kind, number in (("audio", 0), ("video", 1)):
        index = local(running, f"{id}/{stem}_{kind}.m3u8").read_text()
        assert "#EXT-X-TRTC-USER-ID:anchor01\n#EXT-X-TRTC-MIX-STREAM:0\n" in index
        assert f"#EXT-X-TRTC-STREAM-TYPE:{number}\n#EXT-X-TRTC-{kind.upper()}-METADATA:" in index
        assert index.count("#EXT-X-TRTC-FILE-ATTR:") == index.count("#EXTINF:") >= 2


def test_a_mix_that_a_client_starts_is_recorded_under_its_record_id() -> None:
    need("tencentcloud", "aiortc", "ffprobe")
    specified = {"auto_record": "true", "streams": "specified", "formats": "mp4"}
    with receiver() as callbacks, server(callback_url=callbacks.url, **specified) as running:
        client = trtc(running)
        encode = {
            "AudioSampleRate": 48_000, "AudioBitrate": 64, "AudioChannels": 2, "VideoWidth": 640, "VideoHeight": 360,
            "VideoBitrate": 500, "VideoFramerate": 15, "VideoGop": 2,
        }  # fmt: skip
        said = {
            "SdkAppId": SDK_APP_ID,
            "RoomId": 1001,
            "OutputParams": {"StreamId": "1001_mix", "RecordId": "lesson"},
            "EncodeParams": encode,
            "LayoutParams": {"Template": 1},
        }
        given = {"teacher": "?streamId=stream1001&userDefineRecordId=lesson7"}
        with publishing(running, "1001", "teacher", "student", queries=given):
            until(lambda: started(client, said))  # there must be somebody
            time.sleep(5)
            other = {**said, "LayoutParams": {"Template": 0, "MainVideoUserId": "student"}}
            client.StartMCUMixTranscode(request("StartMCUMixTranscode", other))
            time.sleep(4)
            client.StopMCUMixTranscode(request("StopMCUMixTranscode", {"SdkAppId": SDK_APP_ID, "RoomId": 1001}))
        until(lambda: formats(callbacks) == {"mp4": 2})  # and nothing of the student, who was not specified
        files = {notice["stream_id"]: notice for notice in check(callbacks) if notice["event_type"] == 100}
        assert set(files) == {"1001_mix", "stream1001"}
        assert "userdefinerecordid=lesson7" in files["stream1001"]["stream_param"]
        notice = files["1001_mix"]
        assert notice["stream_id"] == "1001_mix"
        assert notice["duration"] >= 7
        path = running.data / "mix.mp4"
        path.write_bytes(fetch(running, notice["video_url"]))
        assert probe(path) == {"video": "h264", "audio": "aac"}
        found = vod(running).SearchMedia(request("SearchMedia", {"NamePrefixes": ["lesson_"]}, "vod"))
        assert re.fullmatch("lesson" + TIMES, found.MediaInfoSet[0].BasicInfo.Name)
        found = vod(running).SearchMedia(request("SearchMedia", {"NamePrefixes": ["lesson7_"]}, "vod"))
        assert re.fullmatch("lesson7_main" + TIMES, found.MediaInfoSet[0].BasicInfo.Name)
