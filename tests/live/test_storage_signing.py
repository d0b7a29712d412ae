"""Who signs what: requests as they leave for each provider, held against the provider's published rule; and two servers
that check signatures themselves.

Requests are caught by a proxy: they are made for the providers' own host names, over plain HTTP, and go nowhere.
OSS: "Include signatures in the Authorization header" (V1). OBS: "Authentication of signature in a header".
COS: "Request signature". S3 and who speaks its protocol: "Signature Version 4".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pytest

from reelroom.control.providers import place
from reelroom.deliver.storage import ObjectStorage, StorageError
from tests import storage

KEY, SECRET, TOKEN = "AK-test", "SK-test/secret+", "a-token=="
BUCKET = "rec-1250000000"
OBJECT = "room one/ann_é+b&c=d_camera.mp4"

_SEND = """
import asyncio, json, os, sys
from pathlib import Path
from reelroom.deliver.storage import StorageError, open_storage
service, options, key, large = json.loads(sys.stdin.read())
made = open_storage(service, options)
async def main():
    try:
        if large:
            await made.put_file(key, Path(large))
        else:
            await made.put_bytes(key, b"content")
    except StorageError as error:
        print(error, flush=True)
asyncio.run(main())
os._exit(0)  # opendal's threads and the interpreter's end do not always agree
"""


@dataclass
class Caught:
    """One request as it came: its target is absolute, as for proxies."""

    method: str
    url: str
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.url).query, keep_blank_values=True)

    @property
    def host(self) -> str:
        return self.headers["host"]


class Catcher:
    """A proxy that answers everything itself with an empty 200."""

    def __init__(self) -> None:
        self.caught: list[Caught] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as reader:
            while line := reader.readline():
                method, url, _ = line.decode().split(" ")
                headers = {}
                while header := reader.readline().strip():
                    name, _, value = header.decode("latin-1").partition(":")
                    headers[name.lower()] = value.strip()
                body = reader.read(int(headers.get("content-length", "0")))
                self.caught.append(Caught(method, url, headers, body))
                client.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: "e"\r\n\r\n')


@pytest.fixture
def catcher() -> Iterator[Catcher]:
    made = Catcher()
    yield made
    made.close()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "f"
    path.write_bytes(b"x" * (9 << 20))
    return path


def send(catcher: Catcher, provider: str, large: Path | None = None, **more: Any) -> Caught:
    """The first request that storing OBJECT makes."""
    import json

    made = place(provider, bucket=BUCKET, key=KEY, secret=SECRET, **more)
    options = {**made.options, "endpoint": made.options["endpoint"].replace("https://", "http://")}
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [sys.executable, "-c", _SEND],
        input=json.dumps([made.service, options, OBJECT, str(large) if large else ""]).encode(),
        env=clean | {"http_proxy": f"http://127.0.0.1:{catcher.port}"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert catcher.caught, done.stdout.decode()
    first = catcher.caught[0]
    assert SECRET not in first.url and SECRET not in str(first.headers)
    base = urlsplit(made.base_url)
    assert first.host == base.netloc
    assert unquote(first.path) == f"{base.path}/{OBJECT}"
    if large is None:
        assert (first.method, first.body) == ("PUT", b"content")
    else:
        assert first.method == "POST" and dict(first.query) == {"uploads": ""}
    return first


def _sha1(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha1).digest()


def by_date(caught: Caught, own: str, resource: str) -> str:
    """The signature of OSS (`own` x-oss-) and OBS (x-obs-): both took over S3's first one.

    `resource`: bucket and object; OBS has their names as in a URL ("must be encoded … in the URL Encode mode").
    """
    mine = sorted((name, value) for name, value in caught.headers.items() if name.startswith(own))
    date = "" if own + "date" in caught.headers else caught.headers["date"]
    sub = "&".join(name if not value else f"{name}={value}" for name, value in sorted(caught.query))
    text = "\n".join(
        (
            caught.method,
            caught.headers.get("content-md5", ""),
            caught.headers.get("content-type", ""),
            date,
            "".join(f"{name}:{value}\n" for name, value in mine) + resource + (f"?{sub}" if sub else ""),
        )
    )
    return base64.b64encode(_sha1(SECRET.encode(), text)).decode()


def of_cos(caught: Caught) -> dict[str, str]:
    """The fields of COS's Authorization, as they ought to be for the times and lists that they name."""
    given = dict(parse_qsl(caught.headers["authorization"], keep_blank_values=True))

    def listed(values: dict[str, str], names: str) -> str:
        return "&".join(f"{quote(n, safe='-_.~')}={quote(values[n], safe='-_.~')}" for n in names.split(";") if n)

    key_time = given["q-key-time"]
    sign_key = _sha1(SECRET.encode(), key_time).hex()
    http = "\n".join(
        (
            caught.method.lower(),
            unquote(caught.path),
            listed({name.lower(): value for name, value in caught.query}, given["q-url-param-list"]),
            listed(caught.headers, given["q-header-list"]),
            "",
        )
    )
    text = f"sha1\n{given['q-sign-time']}\n{hashlib.sha1(http.encode()).hexdigest()}\n"
    return {**given, "q-ak": KEY, "q-sign-algorithm": "sha1", "q-signature": _sha1(sign_key.encode(), text).hex()}


def of_s3(caught: Caught, region: str) -> str:
    """The Authorization of S3's Signature Version 4."""
    fields = dict(part.strip().split("=", 1) for part in caught.headers["authorization"].partition(" ")[2].split(","))
    names = fields["SignedHeaders"].split(";")
    assert {"host", "x-amz-date", "x-amz-content-sha256"} <= set(names)
    moment = caught.headers["x-amz-date"]
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    query = "&".join(f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}" for n, v in sorted(caught.query))
    canonical = "\n".join(
        (
            caught.method,
            quote(unquote(caught.path), safe="/-_.~"),
            query,
            "".join(f"{name}:{caught.headers[name]}\n" for name in names),
            ";".join(names),
            caught.headers["x-amz-content-sha256"],
        )
    )
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"


@pytest.mark.parametrize("parts", [False, True])
@pytest.mark.parametrize("token", ["", TOKEN])
def test_oss(catcher: Catcher, large: Path, parts: bool, token: str) -> None:
    caught = send(catcher, "oss", large if parts else None, region="oss-cn-hangzhou", token=token)
    assert caught.headers["authorization"] == f"OSS {KEY}:{by_date(caught, 'x-oss-', f'/{BUCKET}/{OBJECT}')}"
    assert caught.headers.get("x-oss-security-token", "") == token


@pytest.mark.parametrize("parts", [False, True])
def test_obs(catcher: Catcher, large: Path, parts: bool) -> None:
    caught = send(catcher, "obs", large if parts else None, region="cn-north-4")
    assert caught.headers["authorization"] == f"OBS {KEY}:{by_date(caught, 'x-obs-', f'/{BUCKET}{caught.path}')}"


@pytest.mark.parametrize("parts", [False, True])
@pytest.mark.parametrize("token", ["", TOKEN])
def test_cos(catcher: Catcher, large: Path, parts: bool, token: str) -> None:
    caught = send(catcher, "cos", large if parts else None, region="ap-beijing", token=token)
    given = dict(parse_qsl(caught.headers["authorization"], keep_blank_values=True))
    assert given == of_cos(caught)
    assert "content-type" in given["q-header-list"].split(";")
    assert given["q-url-param-list"] == ("uploads" if parts else "")
    begin, end = map(int, given["q-sign-time"].split(";"))
    assert begin - 5 <= time.time() <= end
    assert caught.headers.get("x-cos-security-token", "") == token


@pytest.mark.parametrize("parts", [False, True])
@pytest.mark.parametrize(
    ("provider", "region", "signing"),
    [
        ("s3", "eu-central-1", "eu-central-1"),
        ("s3", "cn-north-1", "cn-north-1"),
        ("gcs", "", "auto"),
        ("kodo", "z1", "cn-north-1"),
        ("ks3", "cn-beijing", "BEIJING"),
        ("eos", "eos-shanghai-1", "shanghai1"),
        ("bos", "bj", "bj"),
    ],
)
def test_s3_and_who_speaks_its_protocol(
    catcher: Catcher, large: Path, parts: bool, provider: str, region: str, signing: str
) -> None:
    caught = send(catcher, provider, large if parts else None, region=region)
    assert caught.headers["authorization"] == of_s3(caught, signing)


async def test_a_server_that_checks_takes_s3s_signature_and_no_wrong_one() -> None:
    server = storage.seaweedfs()
    bucket = storage.bucket(server, f"signed-{os.getpid()}")

    def opened(secret: str) -> ObjectStorage:
        made = place("s3_compatible", bucket=bucket, key=storage.ACCESS, secret=secret, endpoint=server.url)
        return ObjectStorage(made.service, made.options)

    await opened(storage.SECRET).put_bytes(OBJECT, b"content")
    assert await opened(storage.SECRET).read(OBJECT) == b"content"
    with pytest.raises(StorageError):
        await opened(storage.SECRET + "x").put_bytes("other", b"content")
    assert await opened(storage.SECRET).size("other") is None


async def test_a_server_that_checks_takes_azures_shared_key_and_no_wrong_one(large: Path) -> None:
    server = storage.azurite()
    container = storage.container(server, f"signed-{os.getpid()}")

    def opened(secret: str) -> ObjectStorage:
        endpoint = f"{server.url}/{storage.AZURE_ACCOUNT}"
        made = place("azure", bucket=container, key=storage.AZURE_ACCOUNT, secret=secret, endpoint=endpoint)
        return ObjectStorage(made.service, made.options)

    good = opened(storage.AZURE_KEY)
    await good.put_bytes(OBJECT, b"content")
    assert await good.read(OBJECT) == b"content"
    await good.put_file("large.mp4", large)
    assert await good.size("large.mp4") == large.stat().st_size
    wrong = base64.b64encode(b"another key, of the same form").decode()
    with pytest.raises(StorageError):
        await opened(wrong).put_bytes("other", b"content")
    assert await good.size("other") is None
