"""What a test needs from the machine: a failure under CI=true when it is missing, elsewhere a skip."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SYSTEM_PYTHON = "/usr/bin/python3"


def _binary(name: str) -> Callable[[], str | None]:
    return lambda: None if shutil.which(name) else f"no {name} on the PATH"


def _module(name: str) -> Callable[[], str | None]:
    return lambda: None if importlib.util.find_spec(name) else f"the Python module {name} is not installed"


def _script(name: str) -> Callable[[], str | None]:
    """A command that a Python package installs: beside this interpreter, or on the PATH."""
    beside = Path(sys.executable).with_name(name)
    return lambda: None if beside.exists() or shutil.which(name) else f"no {name} beside Python or on the PATH"


def _libsrt() -> str | None:
    from reelroom.record.mixed.srt import library

    return None if library() else "no libsrt on this machine"


def _gstreamer() -> str | None:
    """The system's Python with GStreamer's bindings and webrtcbin with its ICE."""
    check = (
        "import gi; gi.require_version('Gst','1.0'); gi.require_version('GstWebRTC','1.0'); "
        "from gi.repository import Gst, GstWebRTC, GstSdp; Gst.init(None); "
        "missing = [e for e in ('webrtcbin','nicesrc','rtph264pay','h264parse','opusparse','splitmuxsink',"
        "'mp4mux') if not Gst.ElementFactory.find(e)]; raise SystemExit(' '.join(missing) or 0)"
    )
    if not shutil.which(SYSTEM_PYTHON):
        return f"no {SYSTEM_PYTHON}"
    done = subprocess.run([SYSTEM_PYTHON, "-c", check], capture_output=True, text=True)
    if done.returncode == 0:
        return None
    return f"GStreamer for {SYSTEM_PYTHON} is not complete: {done.stderr.strip().splitlines()[-1:]}"


def _postgresql() -> str | None:
    from tests.postgres import programs

    return _module("asyncpg")() or (None if programs() else "no PostgreSQL server on this machine")


_CHECKS: dict[str, Callable[[], str | None]] = {
    "ffmpeg": _binary("ffmpeg"),
    "libsrt": _libsrt,
    "ffprobe": _binary("ffprobe"),
    "chromium": _binary("chromium"),
    "node": _binary("node"),
    "npm": _binary("npm"),
    "aiortc": _module("aiortc"),
    "playwright": _module("playwright"),
    "schemathesis": _module("schemathesis"),
    "seaweedfs": _script("weed"),
    "agora_rest_client": _module("agora_rest_client"),
    "tencentcloud": _module("tencentcloud"),
    "alibabacloud_live20161101": _module("alibabacloud_live20161101"),
    "alibabacloud_rtc20180111": _module("alibabacloud_rtc20180111"),
    "aliyunsdklive": _module("aliyunsdklive"),
    "aliyunsdkrtc": _module("aliyunsdkrtc"),
    "gstreamer": _gstreamer,
    "postgresql": _postgresql,
}


@functools.cache
def missing(name: str) -> str | None:
    """Why `name` cannot be used here, or None when it can. Unknown names count as binaries on the PATH."""
    return _CHECKS.get(name, _binary(name))()


def need(*names: str) -> None:
    """End the calling test unless everything named is here."""
    reasons = [reason for name in names if (reason := missing(name))]
    if not reasons:
        return
    message = "needs " + ", ".join(names) + ": " + "; ".join(reasons)
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
