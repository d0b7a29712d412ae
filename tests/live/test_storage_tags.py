"""Objects and their tags at a real S3 server, which checks signatures."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests import storage
from tests.needs import need

KEY = "room one/ann é+b&c=d.m3u8"
_PUT = """
import asyncio, json, os, sys
from reelroom.deliver.storage import StorageError, open_storage
options, key = json.loads(sys.stdin.read())
async def main():
    try:
        made = open_storage("s3", options)
        await made.put_bytes(key, b"first")
        await made.put_bytes(key, b"content")
        print("stored", await made.read(key))
    except StorageError as error:
        print("refused", error)
asyncio.run(main())
sys.stdout.flush()
os._exit(0)  # opendal's threads and the interpreter's end do not always agree
"""


def put(**options: str) -> str:
    said: Any = [storage.s3_options(storage.seaweedfs(), "tags") | options, KEY]
    command = [sys.executable, "-c", _PUT]
    root = Path(__file__).parents[2]
    return subprocess.run(command, input=json.dumps(said), capture_output=True, text=True, check=True, cwd=root).stdout


def test_every_object_has_the_tags_of_its_destination() -> None:
    need("curl")
    server = storage.seaweedfs()
    storage.bucket(server, "tags")
    assert put(tagging="project=a%20b%2Bc&empty=", root="/top") == "stored b'content'\n"
    url = f"{server.url}/tags/top/room%20one/ann%20%C3%A9%2Bb%26c%3Dd.m3u8?tagging="
    signed = ["--aws-sigv4", "aws:amz:us-east-1:s3", "--user", f"{storage.ACCESS}:{storage.SECRET}"]
    found = subprocess.run(["curl", "-sf", *signed, url], capture_output=True, text=True, check=True).stdout
    for name, value in (("project", "a b+c"), ("empty", "")):
        assert f"<Key>{name}</Key><Value>{value}</Value>" in found, found


def test_an_object_without_its_tags_does_not_count_as_stored() -> None:
    class Half(BaseHTTPRequestHandler):
        """Takes every object and no tags."""

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(503 if self.path.endswith("?tagging") else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Half)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        said = put(tagging="a=1", endpoint=f"http://127.0.0.1:{http.server_port}")
    finally:
        http.shutdown()
        http.server_close()
    assert said == "refused tags were not taken: the answer was 503\n"
