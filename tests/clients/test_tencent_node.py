"""Tencent's API 3.0 and VOD with the vendor's own Node client, unchanged, on a real call, down to the files."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from reelroom.dialects.tencent import usersig
from tests.clients.agora_calls import publishing
from tests.clients.tencent_calls import ID, SDK_APP_ID, SECRET, SIG_KEY, local, probe, server
from tests.needs import need
from tests.npm import installed

PACKAGE = "tencentcloud-sdk-nodejs@4.1.313"
SCRIPT = Path(__file__).parent / "node" / "tencent.js"


def test_the_node_client_down_to_the_files() -> None:
    need("aiortc", "ffprobe")
    modules = installed("tencent-node", PACKAGE)
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    with server(storage="app", check_user_sig="true") as running, publishing(running, "1001", "teacher"):
        given = {
            "host": running.url.removeprefix("http://"), "id": ID, "secret": SECRET, "app": SDK_APP_ID, "room": "1001",
            "sig": {user: usersig.make(SIG_KEY, SDK_APP_ID, user) for user in ("robot_1", "robot_2")},
            "folder": str(running.data),
        }  # fmt: skip
        done = subprocess.run(
            ["node", str(SCRIPT), json.dumps(given)],
            capture_output=True, text=True, timeout=240, env=environment | {"NODE_PATH": str(modules)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        told = json.loads(done.stdout)
        single, mixed = told["tasks"]
        stem = f"{SDK_APP_ID}_1001__UserId_s_dGVhY2hlcg..__UserId_e_main"
        (file,) = told["files"]
        assert (file["UserId"], file["FileName"], file["TrackType"]) == (
            "teacher", f"{stem}_audio_video.m3u8", "audio_video",
        )  # fmt: skip
        assert [answer["TaskId"] for answer in told["modified"]] == [single, mixed]
        assert [answer["TaskId"] for answer in told["deleted"]] == [single, mixed]
        codes = {name: said["code"] for name, said in told["refusals"].items()}
        assert all(said["request"] for said in told["refusals"].values())
        assert codes == {
            "secret": "AuthFailure.SignatureFailure",
            "range": "InvalidParameter.OutOfRange",
            "missing": "MissingParameter.CloudStorage",
            "sha1": "ResourceNotFound",
            "sha256": "ResourceNotFound",
            "file": "ResourceNotFound.FileNotExist",
        }
        both = {"video": "h264", "audio": "aac"}
        assert probe(local(running, f"p1/p2/{single}/{stem}.mp4")) == both
        index = local(running, f"p1/p2/{single}/{stem}_audio_video.m3u8").read_text()
        assert index.endswith("#EXT-X-ENDLIST\n") and "\n#EXT-X-TRTC-USER-ID:teacher\n" in index
        assert told["absent"] == ["77"]
        assert (told["left"], sorted(info["BasicInfo"]["Type"] for info in told["media"])) == (0, ["m3u8", "mp4"])
        for info in told["media"]:
            assert info["BasicInfo"]["SourceInfo"]["TrtcRecordInfo"]["TaskId"] == mixed
            assert info["MetaData"]["AudioStreamSet"][0]["SamplingRate"] == 44_100
        assert probe(running.data / "node.mp4") == both
        assert (running.data / "node.m3u8").read_text().endswith("#EXT-X-ENDLIST\n")
