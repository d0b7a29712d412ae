"""Agora's API by curl, and a storage of its requests."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests import storage as servers
from tests.clients.agora_calls import APPID, CUSTOMER, SECRET
from tests.servers import Server

JSON = ["-H", "Content-Type: application/json;charset=utf-8"]


class Curl:
    """Agora's API by curl: status and JSON of each answer."""

    def __init__(self, running: Server, cname: str, uid: str = "900001", mode: str = "individual") -> None:
        self.mode = mode
        self.base = f"{running.url}/v1/apps/{APPID}/cloud_recording"
        self.names = {"cname": cname, "uid": uid}
        self.resource_id = self.sid = ""

    def __call__(self, path: str, request: dict[str, Any] | None = None, *flags: str) -> tuple[int, dict[str, Any]]:
        command = ["curl", "-s", "-w", "\n%{http_code}", *(flags or ("-u", f"{CUSTOMER}:{SECRET}"))]
        if request is not None:
            command += [*JSON, "-d", json.dumps({**self.names, "clientRequest": request})]
        done = subprocess.run([*command, f"{self.base}/{path}"], capture_output=True, text=True, check=True)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(body)

    def acquire(self) -> None:
        status, answer = self("acquire", {})
        assert status == 200, answer
        self.resource_id = answer["resourceId"]

    def start(self, storage: dict[str, Any], **request: Any) -> tuple[int, dict[str, Any]]:
        path = f"resourceid/{self.resource_id}/mode/{self.mode}/start"
        status, answer = self(path, {"storageConfig": storage, **request})
        self.sid = answer.get("sid", self.sid)
        return status, answer

    def call(self, what: str, request: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        path = f"resourceid/{self.resource_id}/sid/{self.sid}/mode/{self.mode}/{what}"
        return self(path, None if what == "query" else request or {})


def storage(endpoint: str) -> dict[str, Any]:
    return {
        "vendor": 11,
        "region": 0,
        "bucket": "agora",
        "accessKey": servers.ACCESS,
        "secretKey": servers.SECRET,
        "fileNamePrefix": ["calls"],
        "extensionParams": {"endpoint": endpoint},
    }
