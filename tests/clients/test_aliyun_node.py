"""Both of Alibaba Cloud's APIs with the vendor's own Node clients, unchanged, on a real call, down to the files."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from urllib.parse import unquote

from tests.clients.aliyun_calls import APP_ID, KEY, SECRET, host, publishing, server
from tests.clients.recorded import probe
from tests.needs import need
from tests.npm import installed

PACKAGES = (
    "@alicloud/pop-core@1.8.0",
    "@alicloud/openapi-client@0.4.15",
    "@alicloud/openapi-util@0.3.2",
    "@alicloud/tea-util@1.4.9",
)
SCRIPT = Path(__file__).parent / "node" / "aliyun.js"
BASE = "http://rec.oss-cn-shanghai.aliyuncs.com/"


def test_both_generations_with_both_node_clients_down_to_the_files() -> None:
    need("aiortc", "ffprobe")
    modules = installed("aliyun-node", *PACKAGES)
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    with server() as running, publishing(running, "room-n", "userA"):
        given = {"host": host(running), "key": KEY, "secret": SECRET, "app": APP_ID, "room": "room-n"}
        done = subprocess.run(
            ["node", str(SCRIPT), json.dumps(given)],
            capture_output=True, text=True, timeout=240, env=environment | {"NODE_PATH": str(modules)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        said = [json.loads(line) for line in done.stdout.splitlines()]
        assert sorted(one["name"] for one in said) == ["get", "post", "v3"]
        root = running.data / "storage" / "aliyun"
        for one in said:
            assert one["wrong"]["code"] == "SignatureDoesNotMatch"
            assert one["unknown"]["code"] == "NotFound.Task"
            live, rtc = one["live"], one["rtc"]
            task = live["started"]["TaskId"]
            assert live["states"] == ["RUNNING", "STOPPED"]
            assert live["updated"]["TaskId"] == live["stopped"]["TaskId"] == task
            (mp4,), (playlist,) = live["files"]["Mp4FileList"], live["files"]["HlsFileList"]
            assert mp4.startswith(f"dir 1/录制*~/{task}/") and playlist.startswith(f"{task}/")
            assert probe(root / mp4).keys() == {"audio", "video"} and (root / playlist).is_file()
            (template,) = rtc["listed"]["Templates"]
            assert template["TemplateId"] == rtc["added"]["TemplateId"]
            assert (template["Name"], template["Formats"], template["LayoutIds"]) == ("模板 1", ["m3u8", "mp4"], [1, 2])
            assert template["EnableM3u8DateTime"] is True and template["Watermarks"][0]["Alpha"] == 0.5
            for answer in (rtc["started"], rtc["updated"], rtc["stopped"], rtc["deleted"]):
                assert answer.keys() == {"RequestId"}
            (recording,) = rtc["recording"]["RecordTasks"]
            assert (recording["Status"], recording["SubSpecUsers"]) == (1, ["userA"])
            urls = [file["Url"] for file in rtc["files"]["RecordFiles"]]
            assert sorted(url.rpartition(".")[2] for url in urls) == ["m3u8", "mp4"]
            for url in urls:
                assert "640|360" in probe(root / unquote(url.removeprefix(BASE)))["video"]
