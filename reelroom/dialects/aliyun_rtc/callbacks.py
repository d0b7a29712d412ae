"""Alibaba Cloud RTC's only notification, FileCreated (section 2.11), for a URL or a queue. Sends nothing."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any
from urllib.parse import quote

from reelroom.control.apps import AppContext
from reelroom.deliver.queues import SCHEME
from reelroom.dialects.aliyun_rtc.settings import settings
from reelroom.dialects.aliyun_rtc.times import iso
from reelroom.domain import events
from reelroom.domain.events import Rendered
from reelroom.store import tables


def render(
    event: tables.Event, recording: tables.Recording, callback: dict[str, Any], app: AppContext | None
) -> Rendered | None:
    """The request that tells of a file; None for whatever else happens, and for an index over others."""
    data = event.data
    if event.type != events.FILE_UPLOADED or data["role"] not in ("playlist", "file"):
        return None
    if data["role"] == "playlist" and not data["ended"]:
        return None
    kept = recording.dialect_data
    body = {
        "AppId": kept["app_id"],
        "ChannelId": recording.room,
        "TaskId": kept["task"],
        "Event": "FileCreated",
        "MsgId": str(uuid.UUID(hex=event.id)),
        "Duration": round((data["duration_ns"] or 0) / 1e9, 3),
        "StartTime": iso(data["start_ns"]),
        "StopTime": iso(data["end_ns"] or data["start_ns"]),
        "Url": f"{kept['url_base']}/{quote(data['key'])}",
    }
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    if callback["url"].startswith(SCHEME) and app is not None and settings(app).mns_base64:
        text = base64.b64encode(text)
    return Rendered(callback["url"], {"Content-Type": "application/json"}, text)
