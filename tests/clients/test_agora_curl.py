"""Agora's REST flow with curl against a real server, a real call, a real S3 server and a receiver of callbacks."""

from __future__ import annotations

import hashlib
import hmac
import os
import signal
import subprocess
import threading
import time

from tests import storage as servers
from tests.clients.agora_calls import (
    CALLBACK_SECRET,
    Receiver,
    publishing,
    receiver,
    server,
)
from tests.clients.agora_curl import Curl, storage
from tests.needs import need


def test_a_session_with_curl_into_s3_with_signed_notifications() -> None:
    need("curl", "aiortc")
    s3 = servers.seaweedfs()
    bucket = servers.bucket(s3, "agora")
    with receiver() as ncs, server(callback_url=ncs.url) as running:
        with publishing(running, "room-7", "41"):
            curl = Curl(running, "room-7")
            curl.acquire()
            assert (
                curl.start(storage(f"127.0.0.1:{s3.port}"), recordingConfig={"channelType": 1, "maxIdleTime": 60})[0]
                == 200
            )
            time.sleep(4)
            status, answer = curl.call("query")
            assert (status, answer["serverResponse"]["status"]) == (200, 4)
            assert curl.start(storage(f"127.0.0.1:{s3.port}"))[0] == 201
            os.kill(running.recorders()[curl.sid], signal.SIGKILL)
            _until(ncs, 12)
            status, stopped = curl.call("stop")
            assert status == 200, stopped
        response = stopped["serverResponse"]
        assert response["uploadingStatus"] == "uploaded"
        stem = f"calls/{curl.sid}_room-7__uid_s_41__uid_e_"
        names = sorted(file["fileName"] for file in response["fileList"])
        assert names == [f"{stem}audio.m3u8", f"{stem}video.m3u8"]
        for file in response["fileList"]:
            index = _get(s3, f"{bucket}/{file['fileName']}").decode()
            slices = [line for line in index.splitlines() if line.endswith(".ts")]
            assert slices and index.endswith("#EXT-X-ENDLIST\n")
            assert all(_get(s3, f"{bucket}/calls/{name}")[0] == 0x47 for name in slices)
        _check_notices(ncs, curl.sid, stem)


def _get(s3: servers.Server, path: str) -> bytes:
    """An object's bytes, with a signature of curl's own; CalledProcessError when there is none."""
    command = ["curl", "-sf", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", f"{servers.ACCESS}:{servers.SECRET}"]
    return subprocess.run([*command, f"{s3.url}/{path}"], capture_output=True, check=True).stdout


def _until(ncs: Receiver, kind: int) -> None:
    deadline = time.monotonic() + 40
    while not any(notice["eventType"] == kind for notice in ncs.notices()):
        assert time.monotonic() < deadline, [notice["eventType"] for notice in ncs.notices()]
        time.sleep(0.1)


def _check_notices(ncs: Receiver, sid: str, stem: str) -> None:
    _until(ncs, 11)
    for headers, body in ncs.received:
        for name, algorithm in (("Agora-Signature", hashlib.sha1), ("Agora-Signature-V2", hashlib.sha256)):
            assert headers[name] == hmac.new(CALLBACK_SECRET.encode(), body, algorithm).hexdigest()
    notices = ncs.notices()
    kinds = [notice["eventType"] for notice in notices]
    assert kinds[:3] == [13, 40, 30]
    assert kinds[-3:] == [33, 31, 11]
    assert {4, 41, 42, 43, 44} <= set(kinds)
    details = {notice["eventType"]: notice["payload"]["details"] for notice in notices}
    assert (details[3]["status"], details[3]["recordingMode"]) == (4, 0)  # a start of what has been started
    assert details[12]["newUid"] == 900001  # another recorder went on
    assert [notice["payload"]["sequence"] for notice in notices] == list(range(len(notices)))
    assert {notice["payload"]["sid"] for notice in notices} == {sid}
    assert len({notice["noticeId"] for notice in notices}) == len(notices)
    uploaded = notices[-2]["payload"]["details"]["fileList"]
    assert sorted(file["fileName"] for file in uploaded) == [f"{stem}audio.m3u8", f"{stem}video.m3u8"]


def test_errors_with_curl() -> None:
    need("curl")
    with server(storage="app", requests_per_second="0") as running:
        curl = Curl(running, "room-8")
        assert curl("acquire", {}, "-u", "x:y") == (401, {"message": "Invalid authentication credentials"})
        assert curl("acquire", {}, "-H", "X: y") == (401, {"message": "Unauthorized"})
        assert curl("acquire") == (404, {"message": "no Route matched with those values"})
        curl.acquire()
        config = storage("127.0.0.1:1")
        assert curl.start({**config, "vendor": 12})[1]["code"] == 2
        started: list[int] = []
        threads = [threading.Thread(target=lambda: started.append(curl.start(config)[0])) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(started) == [200, 201, 201, 201]  # one resource id, one recording
        stopped: list[int] = []
        threads = [threading.Thread(target=lambda: stopped.append(curl.call("stop")[1]["code"])) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(stopped) == [49, 49, 435]


def test_a_uid_of_somebody_in_the_channel_makes_the_recording_fail() -> None:
    need("curl", "aiortc")
    with receiver() as ncs, server(storage="app", callback_url=ncs.url) as running:
        with publishing(running, "room-9", "900001"):
            curl = Curl(running, "room-9")
            curl.acquire()
            assert curl.start(storage("127.0.0.1:1"))[0] == 200
            deadline = time.monotonic() + 40
            while curl.call("query")[0] != 404:
                assert time.monotonic() < deadline
                time.sleep(0.2)
        deadline = time.monotonic() + 40
        while not any(notice["eventType"] == 11 for notice in ncs.notices()):
            assert time.monotonic() < deadline, ncs.notices()
            time.sleep(0.1)
        details = {notice["eventType"]: notice["payload"]["details"] for notice in ncs.notices()}
        assert (details[1]["errorLevel"], details[1]["errorCode"], details[11]["exitStatus"]) == (5, 53, 1)
