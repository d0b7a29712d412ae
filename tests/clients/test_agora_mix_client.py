"""Agora's mode mix on a real server and a real call: the vendor's Python client (agora_rest_client 0.2.0), and curl."""

from __future__ import annotations

import re
import time
from typing import Any

from tests.clients.agora_calls import publishing, receiver, server, storage_config
from tests.clients.agora_client import mix
from tests.clients.agora_curl import Curl
from tests.clients.recorded import corners, probe, red
from tests.needs import need

LATER_S = 60.0  # nothing takes longer, even where others keep the machine busy


def until(look: Any) -> Any:
    deadline = time.monotonic() + LATER_S
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def test_a_call_is_mixed_with_the_vendors_client_and_its_layout_changes_in_the_same_file() -> None:
    need("agora_rest_client", "aiortc", "ffprobe", "ffmpeg")
    from agora_rest_client.services.cloud_recording.v1.mix_recording import api_start, api_update, api_update_layout

    with server(storage="app", slice_s="3") as running, publishing(running, "room-7", "41", "57"):
        agora = mix(running)
        resource_id = agora.acquire("room-7", "900001", resource_expired_hour=24).resourceId
        transcoding = api_start.api_start.TranscodingConfig(
            width=640, height=360, fps=15, bitrate=500, mixedVideoLayout=1, backgroundColor="#0000FF"
        )
        config = api_start.RecordingConfig(
            channelType=1, streamTypes=2, maxIdleTime=60, audioProfile=1, transcodingConfig=transcoding
        )
        sid = agora.start(resource_id, "room-7", "900001", "", storage_config(), recording_config=config).sid
        again = agora.start(resource_id, "room-7", "900001", "", storage_config(), recording_config=config)
        assert (again.sid, again.code) == (sid, 7)
        name = f"calls/2026/{sid}_room-7.m3u8"
        assert agora.query(resource_id, sid).serverResponse["fileListMode"] == "json"  # the client asks for MP4 too
        until(lambda: agora.query(resource_id, sid).serverResponse["status"] == 5)
        listed = agora.query(resource_id, sid).serverResponse["fileList"]
        entry = {"trackType": "audio_and_video", "uid": "0", "mixedAllUser": True, "isPlayable": True}
        start = listed[0]["sliceStartTime"]
        assert listed == [{"fileName": name, **entry, "sliceStartTime": start}]
        assert abs(start / 1000 - time.time()) < 120
        region = api_update_layout.LayoutConfig(
            uid="41", x_axis=0.5, y_axis=0.5, width=0.5, height=0.5, alpha=1.0, render_mode=1
        )
        changed = agora.update_layout(
            resource_id, sid, "room-7", "900001",
            mixed_video_layout=3, background_color="#FF0000", layout_config=[region],
        )  # fmt: skip
        assert (changed.sid, changed.resourceId) == (sid, resource_id)
        subscribe = api_update.StreamSubscribe(
            audioUidList=api_update.AudioUidList(subscribeAudioUids=["#allstream#"]),
            videoUidList=api_update.VideoUidList(subscribeVideoUids=["41"]),
        )
        assert agora.update(resource_id, sid, "room-7", "900001", subscribe).sid == sid
        time.sleep(3)
        answer = agora.stop(resource_id, sid, "room-7", "900001").serverResponse
        assert (answer["fileListMode"], answer["uploadingStatus"]) == ("json", "uploaded")
        mp4 = name.replace(".m3u8", "_0.mp4")
        assert {file["fileName"] for file in answer["fileList"]} == {name, mp4}

        root = running.data / "storage" / "agora"
        assert probe(root / mp4).keys() == {"audio", "video"}
        index = root / name
        streams = probe(index)
        assert "h264" in streams["video"] and "640|360" in streams["video"] and "15/1" in streams["video"]
        assert "aac" in streams["audio"] and "48000|1" in streams["audio"]
        text = index.read_text()
        assert text.endswith("#EXT-X-ENDLIST\n") and text.count("#EXT-X-DISCONTINUITY") <= 1
        slices = [line for line in text.splitlines() if line and not line.startswith("#")]
        assert slices and all(re.fullmatch(f"{sid}_room-7_20\\d{{15}}\\.ts", one) for one in slices)
        seen = [red(color) for color in corners(index)]
        assert not seen[0] and seen[-1]
        assert seen == sorted(seen)  # one change, once


def test_a_mix_of_sound_and_picture_by_curl_and_what_its_receiver_is_told() -> None:
    need("aiortc", "ffprobe", "curl")
    with receiver() as kept, server(storage="app", callback_url=kept.url, slice_s="3") as running:
        with publishing(running, "room-8", "41"):
            curl = Curl(running, "room-8", mode="mix")
            curl.acquire()
            place = {
                "vendor": 11, "region": 0, "bucket": "rec", "accessKey": "A", "secretKey": "S",
                "extensionParams": {"endpoint": "127.0.0.1:1"},
            }  # fmt: skip
            quick = {"audioProfile": 2, "transcodingConfig": {"width": 320, "height": 180, "fps": 15}}
            status, answer = curl.start(place, recordingConfig=quick)
            assert status == 200, answer
            name = f"{curl.sid}_room-8.m3u8"
            found = curl.call("query")[1]["serverResponse"]
            assert (found["fileListMode"], found["fileList"]) == ("string", name)  # known before it is there
            until(lambda: curl.call("query")[1]["serverResponse"]["sliceStartTime"])
            assert curl.call("updateLayout", {"mixedVideoLayout": 9})[1]["code"] == 1028
            status, answer = curl.call("stop")
        assert status == 200, answer
        stopped = {"fileListMode": "string", "fileList": name, "uploadingStatus": "uploaded"}
        assert answer["serverResponse"] == stopped
        streams = probe(running.data / "storage" / "agora" / name)
        assert "320|180" in streams["video"] and "48000|2" in streams["audio"]
        until(lambda: any(notice["eventType"] == 11 for notice in kept.notices()))
        by_type = {notice["eventType"]: notice["payload"]["details"] for notice in kept.notices()}
        assert (by_type[42]["streamUid"], by_type[42]["mixedAllUser"]) == ("0", True)
        assert (by_type[4]["fileList"], [file["fileName"] for file in by_type[31]["fileList"]]) == (name, [name])
