"""What tests of Tencent's API share: an app, the vendor's clients pointed at a server, a receiver. Tests nothing."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.servers import Server

SDK_APP_ID = 1_400_000_123
ID, SECRET, SIG_KEY, CALLBACK_KEY = "AKIDtest", "tencent-secret", "0123456789abcdef" * 4, "cbkey123"
CREDENTIALS = {
    "native.key": "native-key",
    "tencent.secret_id": ID,
    "tencent.secret_key": SECRET,
    "tencent.sdk_app_id": str(SDK_APP_ID),
    "tencent.sdk_secret_key": SIG_KEY,
    "tencent.callback_key": CALLBACK_KEY,
}
LATER_S = 90.0  # nothing takes longer, even where others keep the machine busy


@contextlib.contextmanager
def server(**defaults: str) -> Iterator[Server]:
    """A real server with the app `tencent`, whose settings of the dialect are `defaults`."""
    with tempfile.TemporaryDirectory(prefix="rr-") as folder:
        data = Path(folder) / "data"
        command = [sys.executable, "-m", "reelroom", "app", "add", "tencent", "--data", str(data), "--json"]
        for name, value in CREDENTIALS.items():
            command += ["--credential", f"{name}={value}"]
        for name, value in defaults.items():
            command += ["--default", f"tencent.{name}={value}"]
        subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[2])
        running = Server(data)
        try:
            yield running.start()
        finally:
            running.stop()


def _profile(running: Server, **more: Any) -> Any:
    from tencentcloud.common.profile.client_profile import ClientProfile
    from tencentcloud.common.profile.http_profile import HttpProfile

    method = {"reqMethod": more.pop("method")} if "method" in more else {}
    host = running.url.removeprefix("http://")
    return ClientProfile(httpProfile=HttpProfile(protocol="http", endpoint=host, **method), **more)


def trtc(running: Server, secret: str = SECRET, **more: Any) -> Any:
    """The vendor's client, unchanged; `more`: signMethod and the like."""
    from tencentcloud.common import credential
    from tencentcloud.trtc.v20190722 import trtc_client

    return trtc_client.TrtcClient(credential.Credential(ID, secret), "ap-guangzhou", _profile(running, **more))


def vod(running: Server) -> Any:
    from tencentcloud.common import credential
    from tencentcloud.vod.v20180717 import vod_client

    return vod_client.VodClient(credential.Credential(ID, SECRET), "", _profile(running))


def request(name: str, said: dict[str, Any], service: str = "trtc") -> Any:
    """The vendor's request model `<name>Request`, filled from JSON as its own users do."""
    import json

    if service == "vod":
        from tencentcloud.vod.v20180717 import models
    else:
        from tencentcloud.trtc.v20190722 import models
    made = getattr(models, f"{name}Request")()
    made.from_json_string(json.dumps(said))
    return made


def until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + LATER_S
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def local(running: Server, key: str) -> Path:
    """An object of the app's own storage, which is a folder of the server."""
    return running.data / "storage" / "tencent" / key


def fetch(running: Server, url: str) -> bytes:
    """A file by a URL that an answer or callback has; without a host it is this server's."""
    whole = url if url.startswith("http") else running.url + url
    return httpx.get(whole, follow_redirects=True, trust_env=False, timeout=30).raise_for_status().content


def probe(path: Path) -> dict[str, str]:
    """Codec name by codec type."""
    entries = ["-show_entries", "stream=codec_type,codec_name", "-of", "compact=p=0:nk=1"]
    done = subprocess.run(["ffprobe", "-v", "error", *entries, str(path)], capture_output=True, text=True, check=True)
    found = {}
    for line in done.stdout.split():
        codec, _, kind = line.strip("|").partition("|")
        found[kind.split("|")[0]] = codec
    return found
