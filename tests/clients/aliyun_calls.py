"""What tests of Alibaba Cloud's APIs share: a server with an app, and the vendor's clients pointed at it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.clients.agora_calls import participants, publishing, receiver
from tests.servers import Server

KEY, SECRET, APP_ID = "LTAItestid", "testsecret", "myapp"
CREDENTIALS = {
    "native.key": "native-key",
    "aliyun.access_key_id": KEY,
    "aliyun.access_key_secret": SECRET,
    "aliyun.app_id": APP_ID,
}
LATER_S = 90.0  # nothing takes longer, even where others keep the machine busy

__all__ = [
    "APP_ID",
    "KEY",
    "SECRET",
    "host",
    "live",
    "participants",
    "publishing",
    "receiver",
    "rtc",
    "server",
    "until",
]


@contextlib.contextmanager
def server(**defaults: str) -> Iterator[Server]:
    """A real server with the app `aliyun`; `defaults`: settings by DIALECT__NAME."""
    with tempfile.TemporaryDirectory(prefix="rr-") as folder:
        data = Path(folder) / "data"
        command = [sys.executable, "-m", "reelroom", "app", "add", "aliyun", "--data", str(data), "--json"]
        for name, value in CREDENTIALS.items():
            command += ["--credential", f"{name}={value}"]
        for name, value in {"aliyun_live__storage": "app", "aliyun_rtc__storage": "app", **defaults}.items():
            command += ["--default", f"{name.replace('__', '.')}={value}"]
        subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[2])
        running = Server(data)
        try:
            yield running.start()
        finally:
            running.stop()


def host(running: Server) -> str:
    return running.url.removeprefix("http://")


def _config(endpoint: str, secret: str, **more: Any) -> Any:
    from alibabacloud_tea_openapi import models

    more = {"protocol": "HTTP", **more}
    return models.Config(
        access_key_id=KEY, access_key_secret=secret, endpoint=endpoint, region_id="cn-shanghai", **more
    )


def live(endpoint: str, secret: str = SECRET, **more: Any) -> Any:
    """The vendor's newer client of `live`."""
    from alibabacloud_live20161101.client import Client

    return Client(_config(endpoint, secret, **more))


def rtc(endpoint: str, secret: str = SECRET, **more: Any) -> Any:
    """The vendor's newer client of `rtc`."""
    from alibabacloud_rtc20180111.client import Client

    return Client(_config(endpoint, secret, **more))


def until(look: Callable[[], Any], timeout_s: float = LATER_S) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found
