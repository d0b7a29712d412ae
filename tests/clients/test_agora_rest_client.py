"""The vendor's own Python client (agora_rest_client 0.2.0) against a real server and a real call."""

from __future__ import annotations

import subprocess
import time
from typing import Any

import pytest

from tests.clients.agora_calls import publishing, server, storage_config
from tests.clients.agora_client import individual
from tests.needs import need
from tests.servers import Server

KINDS = ("audio", "video", "av")  # of streamMode "standard"


def test_a_call_is_recorded_with_the_vendors_client() -> None:
    need("agora_rest_client", "aiortc", "ffprobe")
    from agora_rest_client.services.cloud_recording.v1.individual_recording import api_start, api_update

    with server(storage="app", slice_s="3") as running, publishing(running, "room-7", "41", "57"):
        agora = individual(running)
        resource_id = agora.acquire("room-7", "900001", resource_expired_hour=24).resourceId
        config = api_start.RecordingConfig(channelType=1, streamTypes=2, streamMode="standard", maxIdleTime=60)
        started = agora.start(resource_id, "room-7", "900001", "", storage_config(), recording_config=config)
        sid = started.sid
        assert (started.cname, started.uid, started.resourceId) == ("room-7", "900001", resource_id)
        again = agora.start(resource_id, "room-7", "900001", "", storage_config(), recording_config=config)
        assert (again.sid, again.code) == (sid, 7)

        status = _wait_for_status(agora, resource_id, sid, 5)
        listed = {file["fileName"]: file for file in status["fileList"]}
        stem = f"calls/2026/{sid}_room-7__uid_s_"
        assert set(listed) == {f"{stem}{uid}__uid_e_{kind}.m3u8" for uid in ("41", "57") for kind in KINDS}
        assert status["sliceStartTime"] == min(file["sliceStartTime"] for file in listed.values())
        assert abs(status["sliceStartTime"] / 1000 - time.time()) < 120

        subscribe = api_update.StreamSubscribe(
            audioUidList=api_update.AudioUidList(subscribeAudioUids=["41"]),
            videoUidList=api_update.VideoUidList(unsunscribeVideoUids=["57"]),
        )
        assert agora.update(resource_id, sid, "room-7", "900001", subscribe).sid == sid
        stopped = agora.stop(resource_id, sid, "room-7", "900001")
        answer = stopped.serverResponse
        assert set(answer) == {"fileListMode", "fileList", "uploadingStatus"}
        assert (answer["fileListMode"], answer["uploadingStatus"]) == ("json", "uploaded")
        assert {file["fileName"] for file in answer["fileList"]} == set(listed)
        _check_files(running, stem)


def _wait_for_status(agora: Any, resource_id: str, sid: str, wanted: int) -> dict[str, Any]:
    deadline = time.monotonic() + 40
    while True:
        found = agora.query(resource_id, sid).serverResponse
        complete = len(found["fileList"]) == 6
        assert found["status"] in (2, 4, 5)
        if found["status"] == wanted and complete:
            return dict(found)
        assert time.monotonic() < deadline, found
        time.sleep(0.5)


def _check_files(running: Server, stem: str) -> None:
    """Every index ends, names slices of Agora's form that are there, and plays; the codecs are Agora's."""
    import re

    root = running.data / "storage" / "agora"
    for uid in ("41", "57"):
        for kind, codecs in zip(KINDS, ({"aac"}, {"h264"}, {"aac", "h264"}), strict=True):
            index = root / f"{stem}{uid}__uid_e_{kind}.m3u8"
            probe = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", str(index)]
            done = subprocess.run(probe, capture_output=True, text=True, check=True)
            assert (set(done.stdout.split()), done.stderr) == (codecs, "")
            text = index.read_text()
            if kind == "av":
                assert "#EXT-X-STREAM-INF:BANDWIDTH=" in text and "RESOLUTION=320x180" in text
                continue
            assert text.endswith("#EXT-X-ENDLIST\n")
            slices = [line for line in text.splitlines() if line and not line.startswith("#")]
            assert slices
            for name in slices:
                assert re.fullmatch(re.escape(index.stem) + r"_20\d{15}\.ts", name)
                assert (index.parent / name).stat().st_size


def test_errors_and_regions_reach_the_vendors_client() -> None:
    need("agora_rest_client")
    from agora_rest_client.core import exceptions
    from agora_rest_client.services.cloud_recording.v1.individual_recording import api_start

    with server(storage="app") as running:
        agora = individual(running, region="na")
        resource_id = agora.acquire("room-8", "900001").resourceId

        def refused(act: Any, status: int, code: int | None) -> str:
            with pytest.raises(exceptions.ServiceResponseException) as caught:
                act()
            assert (caught.value.status_code, caught.value.error_code) == (status, code)
            return str(caught.value.error_msg)

        snapshots = api_start.SnapshotConfig(captureInterval=10, fileType=["jpg"])
        said = refused(
            lambda: agora.start(resource_id, "room-8", "900001", "", storage_config(), snapshot_config=snapshots),
            400,
            2,
        )
        assert "not supported" in said
        sid = agora.start(resource_id, "room-8", "900001", "", storage_config()).sid
        another = agora.acquire("room-8", "900001").resourceId
        refused(lambda: agora.start(another, "room-8", "900001", "", storage_config()), 400, 53)
        refused(lambda: agora.query(another, sid), 400, 1003)
        refused(lambda: agora.stop(resource_id, sid, "room-8", "900002"), 400, 432)
        refused(lambda: agora.stop(resource_id, sid, "room-8", "900001"), 206, 435)
        refused(lambda: agora.stop(resource_id, sid, "room-8", "900001"), 400, 49)
        refused(lambda: agora.query(resource_id, sid), 404, 404)
        wrong = individual(running, secret="wrong")
        assert "Invalid authentication credentials" in refused(lambda: wrong.acquire("room-8", "1"), 401, None)
