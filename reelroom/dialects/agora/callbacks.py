"""Agora's notifications as HTTP requests: envelope, signatures, numbering (sections 6.1 to 6.3). Sends nothing."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterable
from typing import Any

from reelroom.control.apps import AppContext
from reelroom.dialects.agora.notices import SILENT, About, Notice, notices
from reelroom.dialects.agora.translate import INDIVIDUAL
from reelroom.domain.events import Rendered
from reelroom.store import tables

PRODUCT = 3  # Cloud Recording
SCENE = "rtc_record"
RECORDED_FIRST, TRANSCODED_LATER = "postpone_transcode::rtc_record", "postpone_transcode::transcode"
#: Sent again at once and then after growing pauses, as by the vendor; for a day, where the vendor gives up after three.
PAUSES_S = (0.0, *(min(5.0 * 2**n, 3600.0) for n in range(33)))
PROGRESS_S = 60.0  # event 33 comes so often (deliver/progress.py)

__all__ = ["PAUSES_S", "PROGRESS_S", "SILENT", "render", "signatures"]


def signatures(body: bytes, secret: str) -> dict[str, str]:
    """Both headers that Agora always sends: HMAC-SHA1 and HMAC-SHA256 of exactly these bytes, lower-case hex."""
    key = secret.encode()
    return {
        "Agora-Signature": hmac.new(key, body, hashlib.sha1).hexdigest(),
        "Agora-Signature-V2": hmac.new(key, body, hashlib.sha256).hexdigest(),
    }


def render(
    event: tables.Event,
    recording: tables.Recording,
    callback: dict[str, Any],
    app: AppContext | None,
    *,
    earlier: Iterable[tuple[str, str, int, dict[str, Any]]] = (),
    now_ns: int | None = None,
) -> list[Rendered]:
    """The requests that tell of `event`, in order; none when Agora has no word for it.

    `earlier`: type, id, at_ns and data of the recording's events before this one (those of `SILENT` may be left out);
    they give the first notice its `sequence`. `now_ns` (UTC): time of this delivery; a repeated one has another.
    """
    about = about_of(recording)
    made = notices(event.type, event.id, event.at_ns, event.data, recording.id, about)
    if not made:
        return []
    first = sum(len(notices(*known, recording.id, about)) for known in earlier if known[0] not in SILENT)
    now_ms = (time.time_ns() if now_ns is None else now_ns) // 1_000_000
    requests = []
    for index, notice in enumerate(made):
        envelope = _envelope(event, recording, notice, f"{event.id}:{index}", first + index, now_ms)
        body = json.dumps(envelope, separators=(",", ":"), ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", **signatures(body, callback.get("secret") or "")}
        requests.append(Rendered(callback["url"], headers, body))
    return requests


def about_of(recording: tables.Recording) -> About:
    data = recording.dialect_data
    return About(uid=data["uid"], mode=data.get("mode", INDIVIDUAL), postponed=data.get("postponed", ""))


def _scene(recording: tables.Recording, notice: Notice) -> str:
    if not recording.dialect_data.get("postponed"):
        return SCENE
    return TRANSCODED_LATER if notice.later else RECORDED_FIRST


def _envelope(
    event: tables.Event, recording: tables.Recording, notice: Notice, notice_id: str, sequence: int, now_ms: int
) -> dict[str, Any]:
    return {
        "noticeId": notice_id,
        "productId": PRODUCT,
        "eventType": notice.type,
        "notifyMs": now_ms,
        "sid": recording.id,
        "payload": {
            "cname": recording.room,
            "uid": recording.dialect_data["uid"],
            "sid": recording.id,
            "sequence": sequence,
            "sendts": event.at_ns // 1_000_000,
            "serviceType": notice.service,
            "serviceScene": _scene(recording, notice),
            "details": notice.details,
        },
    }
