"""What the vendor's console switches on, kept in an app's settings → templates and rules. Starts nothing.

Of the classic kind HLS goes on in its files when a stream comes back soon enough, everything else begins new ones: so
these are two rules, and two recordings of each stream, where both are wanted and an interruption may be bridged.
API 3.0's is one rule, and a task for each room.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from reelroom.control.apps import AppContext
from reelroom.control.library import Library
from reelroom.control.rules import Rules
from reelroom.control.templates import Templates
from reelroom.dialects.tencent.recordings import CLOUD, DIALECT, STREAM
from reelroom.dialects.tencent.settings import TASK_FORMATS, TencentSettings, settings
from reelroom.domain.rules import Per, Rule

_PREFIX = "tencent.auto_record "
_STREAM_TYPES = {"av": 0, "audio": 1, "video": 2}
_MODES = {"single": 1, "mixed": 2}


class Wanted(NamedTuple):
    """A template's body, what has a recording of its own, and for how many seconds that may be away."""

    body: dict[str, Any]
    per: Per
    resume_s: int


def wanted(chosen: TencentSettings, media_key: str) -> dict[str, Wanted]:
    """By name."""
    found: dict[str, Wanted] = {}
    if chosen.auto_record and chosen.generation != "new":
        found |= _streams(chosen, media_key)
    if chosen.auto_task and chosen.generation != "classic":
        found[_PREFIX + "tasks"] = Wanted(_task(chosen, media_key), Per.ROOM, chosen.task_resume_s)
    return found


def _streams(chosen: TencentSettings, media_key: str) -> dict[str, Wanted]:
    formats = list(chosen.formats)
    groups = [("hls", ["hls"], chosen.resume_s), ("files", [name for name in formats if name != "hls"], 0)]
    if not chosen.resume_s or len(formats) == 1 or "hls" not in formats:
        groups = [("all", formats, chosen.resume_s if formats == ["hls"] else 0)]
    found = {}
    for number, (name, some, resume_s) in enumerate(groups):
        body = {
            "kind": STREAM,
            "formats": some,
            "file_minutes": chosen.file_minutes,
            "pushes": number == 0,  # of two recordings of a stream one tells that it came
            "specified": chosen.streams == "specified",
            "media_key": media_key,
        }
        found[_PREFIX + name] = Wanted(body, Per.STREAM, max(1, resume_s))
    return found


def _task(chosen: TencentSettings, media_key: str) -> dict[str, Any]:
    """A CreateCloudRecording without its room."""
    output_format, media_type = TASK_FORMATS[tuple(sorted(chosen.task_formats))]
    vod = {"MediaType": media_type, "ExpireTime": chosen.retention_days * 86_400, "SubAppId": chosen.sub_app_id}
    request = {
        "RecordParams": {
            "RecordMode": _MODES[chosen.task_mode],
            "StreamType": _STREAM_TYPES[chosen.task_streams],
            "OutputFormat": output_format,
            "MaxMediaFileDuration": chosen.task_file_minutes,
        },
        "StorageParams": {"CloudVod": {"TencentVod": vod}} if chosen.task_storage == "vod" else {},
    }
    return {"kind": CLOUD, "request": request, "media_key": media_key}


async def apply(app: AppContext, templates: Templates, rules: Rules, library: Library) -> None:
    """Make the app's templates and rules what its settings say. ControlError."""
    chosen = settings(app)
    desired = wanted(chosen, library.key.hex())
    known = {stored.name: stored for stored in rules.list(app.id, DIALECT) if stored.name.startswith(_PREFIX)}
    for name, (body, per, resume_s) in desired.items():
        stored = known.pop(name, None)
        if stored is None:
            template = await templates.create(app.id, DIALECT, name, body)
        else:
            template = await templates.get(app.id, DIALECT, stored.rule.template)
            if template.body != body:
                await templates.change(app.id, DIALECT, template.id, body=body)
        rule = Rule(template=template.id, per=per, room=chosen.rooms, identity=chosen.users, resume_s=resume_s)
        if stored is None:
            await rules.create(app.id, DIALECT, name, rule)
        elif stored.rule != rule:
            await rules.change(app.id, stored.id, rule=rule)
    for stored in known.values():
        await rules.delete(app.id, stored.id)
        await templates.delete(app.id, DIALECT, stored.rule.template)
