"""Recordings of the classic kind: of a relayed stream, and of a mix that a client started (sections 3.1 to 3.4).

What both leave: files in the library, named by stream and times, and what callbacks say of the stream. Starts nothing.
"""

from __future__ import annotations

from typing import Any

from reelroom.control.apps import AppContext
from reelroom.control.new_recording import CallbackSpec
from reelroom.dialects.tencent import naming, relayed, translate
from reelroom.dialects.tencent.settings import callback, sdk_app_id, settings
from reelroom.domain.library import LibrarySpec
from reelroom.domain.recording import Format, Naming

SLICE_S = 10.0
NAMING = Naming(prefix="{recording}/", mixed="mix", mixed_segment="mix_{sequence:05d}")


def library(app: AppContext, stream: str, name: str) -> LibrarySpec:
    """Where the files go, for as long as the app's settings say. `name`: what stands before the times."""
    chosen = settings(app)
    return LibrarySpec(
        tags=translate.tags(chosen.sub_app_id, 0, "Record"),
        expire_s=chosen.retention_days * 86_400,
        name=naming.classic_name(name),
        stream=naming.library_literal(stream),
        sources=naming.SOURCES,
        utc_offset_s=chosen.utc_offset_s,
    )


def formats(names: tuple[str, ...] | list[str]) -> tuple[Format, ...]:
    return tuple(Format(name) for name in names)


def data(
    app: AppContext,
    kind: str,
    room: str,
    user: str,
    stream: str,
    name: str,
    now_ns: int,
    pushes: bool,
    defined: str = "",
) -> dict[str, Any]:
    """The recording's dialect_data. `pushes`: callbacks 1 and 0 are told of this recording's tracks. `defined`:
    userDefineRecordId."""
    chosen = settings(app)
    return {
        "kind": kind,
        "room": room,
        "user_id": user,
        "stream": stream,
        "sdk_app_id": sdk_app_id(app),
        "appid": chosen.appid,
        "domain": chosen.push_domain,
        "path": f"trtc_{sdk_app_id(app)}",
        "stream_param": relayed.stream_param(sdk_app_id(app), room, user, name, now_ns // 10**9, defined),
        "pushes": pushes,
        "sub_app_id": chosen.sub_app_id,
    }


def told(app: AppContext, host: str, media_key: str) -> CallbackSpec | None:
    """Where callbacks go. `media_key`: in hex, what signs the URLs of the library's files."""
    where = callback(app)
    if where is None:
        return None
    return CallbackSpec(where.url, where.secret, extra={"base": settings(app).media_base or host, "key": media_key})
