"""Native callbacks: an event as a signed HTTP request. Sends nothing.

A receiver checks `Reelroom-Signature` against HMAC-SHA256 of "<Reelroom-Id>.<Reelroom-Timestamp>." and the raw body,
and drops what is older than it likes. The id stays the same when an event is sent again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from datetime import UTC, datetime
from typing import Any

from reelroom.control.apps import AppContext
from reelroom.domain.events import Rendered
from reelroom.store import tables


def sign(secret: str, id_: str, timestamp: str, body: bytes) -> str:
    """The value of `Reelroom-Signature`."""
    made = hmac.new(secret.encode(), f"{id_}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1={made.hexdigest()}"


def render(
    event: tables.Event, recording: tables.Recording, callback: dict[str, Any], app: AppContext | None
) -> Rendered | None:
    """The request that tells of `event`, signed with the callback's secret or, if it has none, the app's key."""
    secret = callback.get("secret") or (app.key if app else "")
    if not secret:
        raise ValueError(f"recording {recording.id}: the app {recording.app} is gone and the callback has no secret")
    body = json.dumps(_body(event, recording), separators=(",", ":"), ensure_ascii=False).encode()
    timestamp = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "Reelroom-Id": event.id,
        "Reelroom-Timestamp": timestamp,
        "Reelroom-Signature": sign(secret, event.id, timestamp, body),
    }
    return Rendered(callback["url"], headers, body)


def _body(event: tables.Event, recording: tables.Recording) -> dict[str, Any]:
    at = datetime.fromtimestamp(event.at_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return {
        "id": event.id,
        "seq": event.seq,
        "type": event.type,
        "at": f"{at}.{event.at_ns // 1_000_000 % 1000:03d}Z",
        "recording": {
            "id": recording.id,
            "app": recording.app,
            "room": recording.room,
            "name": recording.name,
            "labels": recording.labels,
            "mode": recording.mode,
        },
        "data": event.data,
    }
