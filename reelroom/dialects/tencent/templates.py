"""The classic kind's recording template → a recording of one stream. Rules start it (control/autorecord.py)."""

from __future__ import annotations

import uuid
from typing import Any

from reelroom.control.apps import AppContext
from reelroom.control.errors import ControlError
from reelroom.control.new_recording import NewRecording
from reelroom.dialects.tencent import given, naming, streams
from reelroom.dialects.tencent.settings import sdk_app_id, settings
from reelroom.domain.recording import Format, Hls, RecordingSpec
from reelroom.domain.rules import Match

DIALECT, KIND = "tencent", "stream"


def new_recording(app: AppContext, body: dict[str, Any], room: str, now_ns: int, match: Match | None) -> NewRecording:
    """`body` as console.py keeps it: formats, file_minutes, pushes, media_key. ControlError without a stream."""
    if match is None or not match.output:
        raise ControlError("invalid", "this template is for one stream each: use it with a rule per stream", "template")
    chosen = settings(app)
    user, output = match.identity, match.output
    bizid = chosen.bizid if chosen.stream_ids == "md5" else ""
    said = given.find((app.id, room, user, output))
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
            app, KIND, room, user, stream, name, now_ns, bool(body["pushes"]), defined=said.record_id
        ),
        library=streams.library(app, stream, name),
    )
