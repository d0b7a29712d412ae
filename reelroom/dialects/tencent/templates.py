"""What the console's settings record by themselves → recordings: of one stream, or a task of API 3.0 for a room.

Rules start them (control/autorecord.py); console.py makes the templates' bodies.
"""

from __future__ import annotations

import uuid
from typing import Any

from reelroom.control.apps import AppContext
from reelroom.control.errors import ControlError
from reelroom.control.new_recording import NewRecording
from reelroom.control.templates import Declined
from reelroom.dialects.tencent import given, naming, streams, translate
from reelroom.dialects.tencent.errors import TencentError
from reelroom.dialects.tencent.recordings import CLOUD, DIALECT, STREAM
from reelroom.dialects.tencent.settings import sdk_app_id, settings
from reelroom.dialects.tencent.wire_cloud import CreateCloudRecording
from reelroom.domain.recording import Format, Hls, RecordingSpec
from reelroom.domain.rules import Match

ROBOT = "reelroom_auto_recorder"  # the UserId of tasks that nobody called for


def new_recording(app: AppContext, body: dict[str, Any], room: str, now_ns: int, match: Match | None) -> NewRecording:
    """`body` as console.py keeps it. ControlError for a room or match that it is not for; Declined."""
    if body["kind"] == CLOUD:
        return _task(app, body, room, now_ns)
    if match is None or not match.output:
        raise ControlError("invalid", "this template is for one stream each: use it with a rule per stream", "template")
    return _stream(app, body, room, now_ns, match)


def _stream(app: AppContext, body: dict[str, Any], room: str, now_ns: int, match: Match) -> NewRecording:
    chosen = settings(app)
    user, output = match.identity, match.output
    bizid = chosen.bizid if chosen.stream_ids == "md5" else ""
    said = given.find((app.id, room, user, output))
    if body["specified"] and not said.record_id:
        raise Declined
    stream = said.stream_id or naming.stream_id(sdk_app_id(app), room, user, output, bizid)
    name = f"{said.record_id}_{naming.STREAM_TYPES[output]}" if said.record_id else stream
    formats = streams.formats(body["formats"])
    split_s = int(body["file_minutes"]) * 60 if formats != (Format.HLS,) else 0
    spec = RecordingSpec(
        id=uuid.uuid4().hex,
        app=app.id,
        room=room,
        formats=formats,
        hls=Hls(container="ts", segment_s=streams.SLICE_S),
        audio_codec="aac",
        split_s=split_s,
        naming=streams.NAMING,
        requested_ns=now_ns,
    )
    return NewRecording(
        app=app,
        spec=spec,
        callback=streams.told(app, "", body["media_key"]),
        dialect=DIALECT,
        dialect_data=streams.data(
            app, STREAM, room, user, stream, name, now_ns, bool(body["pushes"]), defined=said.record_id
        ),
        library=streams.library(app, stream, name),
    )


def _task(app: AppContext, body: dict[str, Any], room: str, now_ns: int) -> NewRecording:
    """As if somebody had called CreateCloudRecording for the room."""
    request = CreateCloudRecording.model_validate(
        {
            **body["request"],
            "SdkAppId": sdk_app_id(app),
            "RoomId": room,
            "RoomIdType": naming.NUMBER_ROOM if naming.is_number(room) else naming.STRING_ROOM,
            "UserId": ROBOT,
            "UserSig": "-",
        }
    )
    try:
        asked = translate.wanted(request, uuid.uuid4().hex, app.id, now_ns, own=True)
    except TencentError as error:
        raise ControlError("invalid", error.message) from None
    return NewRecording(
        app=app,
        spec=asked.spec,
        destination=None,
        callback=streams.told(app, "", body["media_key"]),
        dialect=DIALECT,
        dialect_data=translate.data(request, asked.vod, now_ns) | {"auto": True},
        library=asked.library,
    )
