"""ZEGO's callbacks as HTTP requests: envelope, signature, numbering (sections 5.1, 5.2 and 5.4). Sends nothing."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from typing import Any

from reelroom.control.apps import AppContext
from reelroom.dialects.zego.naming import task_of
from reelroom.dialects.zego.notices import SILENT, Teller
from reelroom.domain.events import Rendered
from reelroom.store import tables

#: At most two further tries, five seconds apart.
PAUSES_S = (5.0, 5.0)

__all__ = ["PAUSES_S", "SILENT", "render", "sign"]


def sign(secret: str, timestamp: str, nonce: str) -> str:
    """SHA-1 of the three, sorted by their bytes and joined, in lower-case hex."""
    joined = b"".join(sorted(part.encode() for part in (secret, timestamp, nonce)))
    return hashlib.sha1(joined, usedforsecurity=False).hexdigest()


def render(
    event: tables.Event,
    recording: tables.Recording,
    callback: dict[str, Any],
    app: AppContext | None,
    *,
    earlier: Iterable[tuple[str, str, int, dict[str, Any]]] = (),
    now_s: int | None = None,
) -> list[Rendered]:
    """The requests that tell of `event`, in order; none when ZEGO has no word for it.

    `earlier`: type, id, at_ns and data of the recording's events before this one (those of `SILENT` may be left out).
    Every try is signed anew with the time at which it is made; `sequence` and `nonce` stay the same.
    """
    kept = recording.dialect_data
    teller = Teller(recording.id, kept)
    sequence = sum(len(teller.tell(type_, id_, data)) for type_, id_, _, data in earlier)
    timestamp = str(int(time.time()) if now_s is None else now_s)
    requests = []
    for index, notice in enumerate(teller.tell(event.type, event.id, event.data)):
        nonce = _nonce(event.id, index)
        body = {
            "app_id": int(kept["app_id"]),
            "task_id": task_of(recording.id),
            "room_id": recording.room,
            "event_type": notice.type,
            "message": "",
            "nonce": nonce,
            "timestamp": timestamp,
            "signature": sign(callback.get("secret") or "", timestamp, nonce),
            "sequence": sequence + index,
            "detail": notice.detail,
        }
        raw = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        requests.append(Rendered(callback["url"], {"Content-Type": "application/json"}, raw))
    return requests


def _nonce(event: str, index: int) -> str:
    digest = hashlib.sha256(f"{event}:{index}".encode()).digest()
    return str(int.from_bytes(digest[:4], "big"))
