"""Callbacks of the classic kind: event_type 1 and 0 (a stream came and went), 100 (a file is there). Section 3.7.

Signs with MD5 of key and time, as the vendor does. Sends nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from reelroom.domain import events

VALID_S = 600
RECORDED, BEGAN, ENDED = 100, 1, 0

Known = tuple[str, str, int, dict[str, Any]]


def sign(key: str, t: int) -> str:
    """Lower-case hex of MD5 over the key and the decimal time at which the signature expires (Unix seconds)."""
    return hashlib.md5(f"{key}{t}".encode(), usedforsecurity=False).hexdigest()


def stream_param(sdk_app_id: int, room: str, user: str, record_name: str, begun_s: int, defined: str = "") -> str:
    """The query of the address to which the vendor would have relayed the stream."""
    pairs = [
        ("cliRecoId", "0"),
        ("from", "interactive"),
        ("groupid", quote(room, safe="")),
        ("record_name", quote(record_name, safe="")),
        ("sdkappid", str(sdk_app_id)),
        ("ts", f"{begun_s:x}"),
    ]
    if defined:
        pairs.append(("userdefinerecordid", quote(defined, safe="")))
    pairs.append(("userid", base64.b64encode(user.encode()).decode()))  # its padding is left as it is
    return "&".join(f"{name}={value}" for name, value in pairs)


def bodies(
    event: Known,
    earlier: Sequence[Known],
    data: dict[str, Any],
    recording: str,
    url: Callable[[str, str], str],
) -> list[dict[str, Any]]:
    """What is said of an event, in order, without signature. `data`: the recording's (streams.py)."""
    type_, _, at_ns, said = event
    if type_ == events.FILE_UPLOADED:
        return [_file(event, data, recording, url)] if "media" in said else []
    if type_ not in (events.TRACK["added"], events.TRACK["removed"]) or not data.get("pushes"):
        return []
    live: set[tuple[str, str]] = set()
    began_ns, begun = at_ns, 0
    for known, _, known_ns, track in earlier:
        one = (track.get("session", ""), track.get("source", ""))
        if known == events.TRACK["added"]:
            if not live:
                began_ns, begun = known_ns, begun + 1
            live.add(one)
        elif known == events.TRACK["removed"]:
            live.discard(one)
    this = (said.get("session", ""), said.get("source", ""))
    if type_ == events.TRACK["added"]:
        return [] if live else [_push(BEGAN, at_ns, begun + 1, at_ns, data, recording)]
    if this not in live or live - {this}:
        return []
    return [_push(ENDED, at_ns, begun, began_ns, data, recording)]


def _common(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "appid": data["appid"],
        "app": data["domain"],
        "appname": data["path"],
        "stream_id": data["stream"],
        "channel_id": data["stream"],
        "stream_param": data["stream_param"],
    }


def _push(type_: int, at_ns: int, number: int, began_ns: int, data: dict[str, Any], recording: str) -> dict[str, Any]:
    digest = hashlib.sha256(f"{recording}\n{number}".encode()).digest()
    body = {
        "event_type": type_,
        **_common(data),
        "event_time": at_ns // 10**9,
        "sequence": str(int.from_bytes(digest[:8], "big") >> 1),
        "node": "127.0.0.1",
        "user_ip": "127.0.0.1",
        "errcode": 0,
        "errmsg": "ok",
        "set_id": 2,
        "width": 0,
        "height": 0,
    }
    if type_ == ENDED:
        body |= {"errcode": 1, "errmsg": "recv rtmp deleteStream", "push_duration": str((at_ns - began_ns) // 10**6)}
    return body


def _file(event: Known, data: dict[str, Any], recording: str, url: Callable[[str, str], str]) -> dict[str, Any]:
    said = event[3]
    begin, end = int(said["start_ns"] or event[2]), int(said["end_ns"] or event[2])
    duration = said["duration_ns"] if said["duration_ns"] is not None else end - begin
    ext = {"video_codec": said["video_codec"] or "", "resolution": f"{said['width']}x{said['height']}"}
    return {
        "event_type": RECORDED,
        **_common(data),
        "file_id": said["media"],
        "record_file_id": said["media"],
        "file_format": said["format"],
        "task_id": "",
        "start_time": begin // 10**9,
        "end_time": end // 10**9,
        "start_time_usec": begin // 1000 % 10**6,
        "end_time_usec": end // 1000 % 10**6,
        "duration": round(duration / 1e9),
        "file_size": said["bytes"],
        "video_url": url(said["media"], said["key"]),
        "video_id": f"{data['appid']}_{recording}",
        "media_start_time": 0,
        "record_bps": 0,
        "callback_ext": json.dumps({**ext, "session_id": recording}),
    }
