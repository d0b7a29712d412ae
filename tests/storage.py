"""Real object storage for tests: SeaweedFS as S3, Azurite as Azure Blob, each started once per test session.

Azurite comes from npm, as `tests/npm.py` has it.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.needs import need
from tests.npm import installed

ACCESS, SECRET = "reelroom-test", "reelroom-test-secret"
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # Azurite's
AZURITE = "azurite@3"

_started: dict[str, Server] = {}


@dataclass
class Server:
    """A storage server on a loopback port."""

    process: subprocess.Popen[bytes]
    folder: Path
    port: int
    webdav: int = 0  # SeaweedFS's WebDAV, on the same files

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # SeaweedFS ignores SIGTERM
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)
        for leftover in Path(tempfile.gettempdir()).glob(f"seaweedfs-*-{self.port}*.sock"):
            leftover.unlink(missing_ok=True)


def seaweedfs() -> Server:
    """S3 on a free port; make buckets with `bucket`."""
    need("seaweedfs")
    return _start("seaweedfs", _seaweedfs)


def azurite() -> Server:
    """Azure Blob on a free port; containers are made with `container`."""
    need("node", "npm")
    return _start("azurite", _azurite)


def s3_options(server: Server, bucket: str, port: int | None = None) -> dict[str, str]:
    """opendal's options; `port`: of a proxy in front of the server."""
    return {
        "bucket": bucket,
        "endpoint": f"http://127.0.0.1:{port or server.port}",
        "region": "us-east-1",
        "access_key_id": ACCESS,
        "secret_access_key": SECRET,
        "disable_config_load": "true",
        "disable_ec2_metadata": "true",
    }


def azure_options(server: Server, container: str, port: int | None = None) -> dict[str, str]:
    return {
        "container": container,
        "endpoint": f"http://127.0.0.1:{port or server.port}/{AZURE_ACCOUNT}",
        "account_name": AZURE_ACCOUNT,
        "account_key": AZURE_KEY,
    }


def bucket(server: Server, name: str) -> str:
    """Make a bucket: SeaweedFS's filer keeps them as folders."""
    filer = server.port + 1
    request = urllib.request.Request(f"http://127.0.0.1:{filer}/buckets/{name}/", method="POST")
    with urllib.request.urlopen(request, timeout=10):
        return name


def container(server: Server, name: str) -> str:
    """Make a container, with the shared key's signature (Azure's "Authorize with Shared Key")."""
    import base64
    import hashlib
    import hmac
    from email.utils import formatdate

    date = formatdate(usegmt=True)
    version = "2021-12-02"
    resource = f"/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/{name}\nrestype:container"
    text = "PUT\n" + "\n" * 11 + f"x-ms-date:{date}\nx-ms-version:{version}\n{resource}"
    digest = hmac.new(base64.b64decode(AZURE_KEY), text.encode(), hashlib.sha256).digest()
    headers = {
        "x-ms-date": date,
        "x-ms-version": version,
        "Authorization": f"SharedKey {AZURE_ACCOUNT}:{base64.b64encode(digest).decode()}",
        "Content-Length": "0",
    }
    url = f"{server.url}/{AZURE_ACCOUNT}/{name}?restype=container"
    with urllib.request.urlopen(urllib.request.Request(url, method="PUT", headers=headers), timeout=10):
        return name


def _start(name: str, make: object) -> Server:
    server = _started.get(name)
    if server is None or server.process.poll() is not None:
        server = make()  # type: ignore[operator]
        _started[name] = server
        atexit.register(server.stop)
    return server


def _seaweedfs() -> Server:
    folder = Path(tempfile.mkdtemp(prefix="reelroom-weed-"))
    identity = {"name": "t", "credentials": [{"accessKey": ACCESS, "secretKey": SECRET}]}
    identity["actions"] = ["Admin", "Read", "Write", "List", "Tagging"]
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    s3, filer, master, volume = _ports()
    webdav = _free()
    command = [
        _weed(), "server", "-s3", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        f"-s3.port={s3}", f"-filer.port={filer}", f"-master.port={master}", f"-volume.port={volume}",
        f"-s3.config={folder / 's3.json'}", "-master.volumeSizeLimitMB=64", "-volume.max=1000",
        f"-s3.port.grpc={_free()}", f"-filer.port.grpc={_free()}", f"-master.port.grpc={_free()}",
        f"-volume.port.grpc={_free()}", "-webdav", f"-webdav.port={webdav}", "-s3.iam=false", "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]  # fmt: skip
    # By itself it makes 7 volumes for each new bucket; at the limit of volumes (50 until now), every further bucket
    # answered 500 for good.
    server = Server(_spawn(command, folder, WEED_MASTER_VOLUME_GROWTH_COPY_1="1"), folder, s3, webdav)
    _await(server, f"http://127.0.0.1:{s3}/", 60)
    _await(server, f"http://127.0.0.1:{filer}/", 60)
    return server


def _weed() -> str:
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else "weed"


def _azurite() -> Server:
    script = installed("azurite", AZURITE) / "azurite" / "dist" / "src" / "blob" / "main.js"
    folder = Path(tempfile.mkdtemp(prefix="reelroom-azurite-"))
    port = _free()
    command = [
        "node", str(script), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder),
        "--silent", "--skipApiVersionCheck", "--disableTelemetry",
    ]  # fmt: skip
    server = Server(_spawn(command, folder), folder, port)
    _await(server, f"http://127.0.0.1:{port}/", 60)
    return server


def _spawn(command: list[str], folder: Path, **environment: str) -> subprocess.Popen[bytes]:
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, cwd=folder, start_new_session=True,
            env=os.environ | environment,
        )  # fmt: skip


def _ports() -> tuple[int, int, int, int]:
    """S3 and filer side by side (`bucket` relies on it), master and volume anywhere."""
    while True:
        first = _free()
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", first + 1))
            except OSError:
                continue
        return first, first + 1, _free(), _free()


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(server: Server, url: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except urllib.error.HTTPError:
            return  # it answers
        except OSError:
            time.sleep(0.1)
    log = (server.folder / "log").read_text(errors="replace")[-2000:]
    server.stop()
    raise AssertionError(f"{url} did not come up:\n{log}")
