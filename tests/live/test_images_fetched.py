"""Images of mixed recordings that control fetches from real HTTP servers: what it takes, follows and refuses."""

import gzip
import hashlib
import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from reelroom.control.errors import ControlError
from reelroom.control.images import Images, ImageSource

OUT = io.BytesIO()
Image.new("RGB", (64, 36), "green").save(OUT, "JPEG")
JPEG = OUT.getvalue()


class Handler(BaseHTTPRequestHandler):
    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
            return
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")  # its bytes count, not what a server says
        if self.path == "/packed":
            assert self.headers["Accept-Encoding"] == "identity"
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        if self.path == "/endless":
            try:
                while True:
                    self.wfile.write(b"\0" * 65_536)
            except OSError:
                return
        body = {"/image": JPEG, "/packed": gzip.compress(JPEG)}
        self.wfile.write(body.get(self.path, b"<html>"))

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Handler.asked = []
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()


async def load(folder: Path, source: ImageSource, allow_private: bool = True) -> str:
    return (await Images(allow_private).load(folder, {source.reference: source}))[source.reference]


async def test_an_image_is_kept_under_the_sha256_of_its_bytes(server: str, tmp_path: Path) -> None:
    name = await load(tmp_path, ImageSource(url=f"{server}/image"))
    assert name == hashlib.sha256(JPEG).hexdigest()
    assert (tmp_path / "images" / name).read_bytes() == JPEG
    assert await load(tmp_path, ImageSource(url=f"{server}/to//image")) == name
    assert await load(tmp_path, ImageSource(sha256=name)) == name


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/missing", "answered 404"),
        ("/page", "not an image"),
        ("/endless", "larger than"),
        ("/to/http://169.254.169.254/latest/meta-data", "metadata"),
        ("/to/file:///etc/passwd", "http"),
        ("/packed", "compressed"),
        ("/to/http://[", "no URL|not a URL"),
        ("/to//to//to//to//image", "redirects"),
    ],
)
async def test_what_is_no_image_is_refused_with_its_field(server: str, tmp_path: Path, path: str, why: str) -> None:
    with pytest.raises(ControlError, match=why) as refused:
        await load(tmp_path, ImageSource(url=server + path, where="here"))
    assert refused.value.where == "here"
    assert await load(tmp_path, ImageSource(url=server + path, optional=True)) == ""
    assert list((tmp_path / "images").glob("*")) == []


async def test_the_servers_own_network_is_not_asked(server: str, tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="loopback or private"):
        await load(tmp_path, ImageSource(url=f"{server}/image"), allow_private=False)
    assert Handler.asked == []
