"""A client of ZEGO's recording API as its documentation has it: plain HTTP with the MD5 signature. Tests nothing."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests import storage as servers
from tests.clients.agora_calls import Receiver
from tests.servers import Server

APP_ID, SERVER_SECRET, CALLBACK_SECRET = "1000000000", "dev-secret", "dev-secret"


class Zego:
    """The vendor's sample client: common parameters in the query, business parameters as a JSON body."""

    def __init__(self, server: Server) -> None:
        self._http = httpx.Client(base_url=server.url, timeout=30, trust_env=False)

    def __call__(self, action: str, **body: Any) -> dict[str, Any]:
        nonce, timestamp = secrets.token_hex(8), int(time.time())
        signed = f"{APP_ID}{nonce}{SERVER_SECRET}{timestamp}"
        query = {
            "Action": action,
            "AppId": APP_ID,
            "SignatureNonce": nonce,
            "Timestamp": str(timestamp),
            "Signature": hashlib.md5(signed.encode()).hexdigest(),
            "SignatureVersion": "2.0",
            "IsTest": "false",
        }
        answer = self._http.post("/", params=query, json=body)
        answer.raise_for_status()
        return dict(answer.json())

    def ok(self, action: str, **body: Any) -> dict[str, Any]:
        answer = self(action, **body)
        assert answer["Code"] == 0, answer
        return dict(answer.get("Data") or {})

    def wait(self, task: str, until: Callable[[dict[str, Any]], bool], timeout_s: float = 60) -> dict[str, Any]:
        """DescribeRecordStatus again and again."""
        deadline = time.monotonic() + timeout_s
        while True:
            data = self.ok("DescribeRecordStatus", TaskId=task)
            if until(data):
                return data
            assert time.monotonic() < deadline, data
            time.sleep(0.1)


def storage(s3: servers.Server, bucket: str) -> dict[str, Any]:
    return {
        "Vendor": 10,
        "Region": "us-east-1",
        "Bucket": bucket,
        "AccessKeyId": servers.ACCESS,
        "AccessKeySecret": servers.SECRET,
        "EndPoint": s3.url,
        "S3ForcePathStyle": True,
    }


def fetch(s3: servers.Server, bucket: str, key: str, folder: Path) -> Path:
    """An object, through the store's own file server."""
    answer = httpx.get(f"http://127.0.0.1:{s3.port + 1}/buckets/{bucket}/{key}", trust_env=False, timeout=30)
    path = folder / key.rpartition("/")[2]
    path.write_bytes(answer.raise_for_status().content)
    return path


def told(receiver: Receiver, task: str) -> list[dict[str, Any]]:
    """A task's callbacks so far, each signed by the vendor's rule."""
    found = []
    for _, body in receiver.received:
        event = json.loads(body)
        if event["task_id"] != task:
            continue
        parts = sorted([CALLBACK_SECRET, event["timestamp"], event["nonce"]])
        assert event["signature"] == hashlib.sha1("".join(parts).encode()).hexdigest()
        assert event["app_id"] == int(APP_ID)
        found.append(event)
    return found


def uploaded(receiver: Receiver, task: str, timeout_s: float = 60) -> list[dict[str, Any]]:
    """The same once event 1 is among them."""
    came(receiver, task, 1, timeout_s)
    return told(receiver, task)


def came(receiver: Receiver, task: str, type_: int, timeout_s: float = 60) -> list[dict[str, Any]]:
    """Those of one type, once there is one."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = told(receiver, task)
        if wanted := [event for event in found if event["event_type"] == type_]:
            return wanted
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
