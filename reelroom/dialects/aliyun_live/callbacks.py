"""Alibaba Cloud Live's notifications as HTTP requests: envelope, signature, rule of retries. Sends nothing."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

from reelroom.control.apps import AppContext
from reelroom.dialects.aliyun_live.naming import task_id
from reelroom.dialects.aliyun_live.notices import notices
from reelroom.domain.events import Rendered
from reelroom.store import tables

PAUSES_S = (0.0,)  # sent once more


def worth_another(status: int | None) -> bool:
    """Only when there was no answer, or one of 5xx."""
    return status is None or status >= 500


def signature(timestamp: str, key: str) -> str:
    """ALI-LIVE-SIGNATURE; the body is no part of it. `timestamp`: Unix seconds as they are in ALI-LIVE-TIMESTAMP."""
    return hashlib.md5(f"{timestamp}|{key}".encode(), usedforsecurity=False).hexdigest()


def render(
    event: tables.Event,
    recording: tables.Recording,
    callback: dict[str, Any],
    app: AppContext | None,
    now_ns: int | None = None,
) -> list[Rendered]:
    """The requests that tell of `event`, in order. `now_ns` (UTC): of this delivery; a repeated one has another."""
    now = time.time_ns() if now_ns is None else now_ns
    headers = {"Content-Type": "application/json"}
    if key := callback.get("secret"):
        timestamp = str(now // 10**9)
        headers |= {"ALI-LIVE-TIMESTAMP": timestamp, "ALI-LIVE-SIGNATURE": signature(timestamp, key)}
    made = []
    for notice in notices(event.type, event.data, recording.dialect_data["formats"]):
        body = {
            "appId": recording.dialect_data["app_id"],
            "channelId": recording.room,
            "taskId": task_id(recording.id),
            "eventType": notice.type,
            "callbackTs": now // 10**6,
            "payload": json.dumps(notice.payload, ensure_ascii=False, separators=(",", ":")),
        }
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        made.append(Rendered(callback["url"], headers, text.encode()))
    return made
