"""Tencent's callbacks as HTTP requests: envelopes, signatures, retries (sections 3.7, 4.1 and 4.2). Sends nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

from reelroom.control.apps import AppContext
from reelroom.control.library import media_url
from reelroom.dialects.tencent import relayed
from reelroom.dialects.tencent.notices import TEXT_TIMES, Notice, Told, notices
from reelroom.domain import events
from reelroom.domain.events import Rendered
from reelroom.store import tables

GROUP = 3  # cloud recording
CLOUD = "cloud"  # the recordings of API 3.0; all others are of the classic kind
URL_S = 7 * 86_400
#: Seconds before each further try: at once, then every 10 s until the event is a minute old; every minute, 12 tries.
_NEW_S = (0.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0)
_CLASSIC_S = (60.0,) * 11
_NEW_AGE_S, _CLASSIC_AGE_S = 60.0, 86_400.0  # how old an event may be to be tried again
_NEW_TIMEOUT_S, _CLASSIC_TIMEOUT_S = 5.0, 20.0  # for an answer

_HEARD = {events.FILE_UPLOADED, events.UPLOAD_FAILING, events.STOPPED, events.TRACK["added"], events.TRACK["removed"]}
#: Events that no notice depends on.
SILENT = frozenset(events.TYPES) - _HEARD


def PAUSES_S(recording: tables.Recording) -> Sequence[float]:
    """The vendor's rule of retries for a recording's events."""
    return _NEW_S if recording.dialect_data.get("kind") == CLOUD else _CLASSIC_S


def give_up_s(recording: tables.Recording) -> float:
    """API 3.0 bounds the age of what it says; the classic kind the number of tries alone."""
    return _NEW_AGE_S if recording.dialect_data.get("kind") == CLOUD else _CLASSIC_AGE_S


def sign(key: str, body: bytes) -> str:
    """The header Sign: HMAC-SHA256 of exactly these bytes."""
    return base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()


def render(
    event: tables.Event,
    recording: tables.Recording,
    callback: dict[str, Any],
    app: AppContext | None,
    *,
    earlier: Iterable[tuple[str, str, int, dict[str, Any]]] = (),
    now_ns: int | None = None,
) -> list[Rendered]:
    """The requests that tell of `event`, in order; none when Tencent has no word for it.

    `earlier`: type, id, at_ns and data of the recording's events before this one (those of `SILENT` may be left out).
    """
    now = time.time_ns() if now_ns is None else now_ns
    extra, key = callback.get("extra") or {}, str(callback.get("secret") or "")

    def url(media: str, name: str) -> str:
        return media_url(bytes.fromhex(extra.get("key", "")), extra.get("base", ""), media, name, URL_S)

    data, before = recording.dialect_data, list(earlier)
    requests = []
    if data.get("kind") != CLOUD:
        this = (event.type, event.id, event.at_ns, event.data)
        for said in relayed.bodies(this, before, data, recording.id, url):
            if key:
                t = now // 10**9 + relayed.VALID_S
                said |= {"sign": relayed.sign(key, t), "t": t}
            body = json.dumps(said, separators=(",", ":")).encode()
            headers = {"Content-Type": "application/json"}
            requests.append(Rendered(callback["url"], headers, body, _CLASSIC_TIMEOUT_S))
        return requests
    kind = bool(data["vod"]), bool(data.get("auto"))
    told = Told(event.type, event.id, event.at_ns, event.data, before, recording.id, *kind, url)
    for notice in notices(told):
        body = json.dumps(_envelope(notice, event.at_ns, data, recording.id, now), separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", "SdkAppId": str(data["sdk_app_id"])}
        if key:
            headers["Sign"] = sign(key, body)
        requests.append(Rendered(callback["url"], headers, body, _NEW_TIMEOUT_S))
    return requests


def _envelope(notice: Notice, at_ns: int, data: dict[str, Any], recording: str, now: int) -> dict[str, Any]:
    seconds = at_ns // 10**9
    return {
        "EventGroupId": GROUP,
        "EventType": notice.type,
        "CallbackTs": now // 10**6,
        "EventInfo": {
            "RoomId": data["room"],
            "EventTs": str(seconds) if notice.type in TEXT_TIMES else seconds,
            "EventMsTs": at_ns // 10**6,
            "UserId": data["user_id"],
            "TaskId": recording,
            "Payload": notice.payload,
        },
    }
