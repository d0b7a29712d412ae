"""What the error of a destination says of real HTTP answers: the service's own words, and no other server's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from reelroom.deliver.storage import ObjectStorage, StorageError

SERVICES = {
    "s3": {
        "bucket": "b",
        "region": "x",
        "access_key_id": "AKIDAKID",
        "secret_access_key": "hush-hush",
        "disable_config_load": "true",
    },
    "webdav": {},
    "azblob": {"container": "c", "account_name": "abc", "account_key": "aHVzaC1odXNo"},
}


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A server that says the same to everything."""

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65_537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def error_of(service: str, endpoint: str) -> str:
    with pytest.raises(StorageError) as caught:
        await ObjectStorage(service, SERVICES[service] | {"endpoint": endpoint}).put_bytes("k", b"x")
    return str(caught.value)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("body", [b"inner secret", b"inner\n\nContext:\n   secret", b"<a>inner</a>\n\nSource:\nsecret"])
async def test_what_is_no_answer_of_the_service_is_not_repeated(service: str, body: bytes) -> None:
    with answering(500, body) as endpoint:
        said = await error_of(service, endpoint)
    assert "secret" not in said and "inner" not in said
    assert "500" in said or 'code: ""' in said


@pytest.mark.parametrize("service", ["s3", "azblob"])
async def test_the_services_own_words_are(service: str) -> None:
    body = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>not this bucket</Message></Error>"
    with answering(403, body) as endpoint:
        said = await error_of(service, endpoint)
    assert "AccessDenied" in said and "not this bucket" in said


async def test_no_answer_says_why() -> None:
    with answering(500, b"") as endpoint:
        pass
    said = await error_of("s3", endpoint)
    assert "refused" in said and "hush" not in said and endpoint not in said
