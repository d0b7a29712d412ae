"""A real S3-protocol server (SeaweedFS, one process) on free ports, for the time of a block. Tests nothing itself."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

KEY, SECRET = "weed-key", "weed-secret-of-some-length"
BINARY = Path(sys.executable).with_name("weed")


@dataclass(frozen=True)
class S3:
    """Where it listens (host:port)."""

    endpoint: str


def _free() -> int:
    """A port that is free together with the one 10000 above, where SeaweedFS puts its gRPC."""
    for _ in range(200):
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            if port > 55_000:
                continue
            try:
                other.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
            return int(port)
    pytest.fail("no two free ports 10000 apart")


@contextlib.contextmanager
def seaweed(bucket: str) -> Iterator[S3]:
    """The server, with `bucket` in it. It ignores SIGTERM: it is killed."""
    with tempfile.TemporaryDirectory(prefix="weed-") as folder:
        identity = {
            "name": "test",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        config = Path(folder) / "s3.json"
        config.write_text(json.dumps({"identities": [identity]}))
        master, volume, filer, s3 = (_free() for _ in range(4))
        command = [str(BINARY), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"]
        command += [f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.port={s3}"]
        command += [f"-s3.config={config}", "-volume.max=4", "-master.volumeSizeLimitMB=64"]
        command += ["-master.telemetry=false"]
        with open(Path(folder) / "log", "wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        try:
            _make_bucket(process, f"127.0.0.1:{s3}", bucket, Path(folder) / "log")
            yield S3(f"127.0.0.1:{s3}")
        finally:
            process.kill()
            process.wait()


def _make_bucket(process: subprocess.Popen[bytes], endpoint: str, bucket: str, log: Path) -> None:
    """curl signs requests to S3 by itself; the server takes some seconds to be ready."""
    command = ["curl", "-sf", "-X", "PUT", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", f"{KEY}:{SECRET}"]
    deadline = time.monotonic() + 60
    while subprocess.run([*command, f"http://{endpoint}/{bucket}"], capture_output=True).returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail("SeaweedFS did not get ready:\n" + log.read_text(errors="replace")[-2000:])
        time.sleep(0.3)


def get(endpoint: str, path: str) -> bytes:
    """An object's bytes; CalledProcessError when there is none."""
    command = ["curl", "-sf", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", f"{KEY}:{SECRET}"]
    return subprocess.run([*command, f"http://{endpoint}/{path}"], capture_output=True, check=True).stdout
