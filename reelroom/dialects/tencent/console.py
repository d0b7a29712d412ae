"""What the vendor's console switches on, kept in an app's settings → templates and rules. Starts nothing.

HLS goes on in its files when a stream comes back soon enough, everything else begins new ones: so these are two rules,
and two recordings of each stream, where both are wanted and an interruption may be bridged.
"""

from __future__ import annotations

from typing import Any

from reelroom.control.apps import AppContext
from reelroom.control.library import Library
from reelroom.control.rules import Rules
from reelroom.control.templates import Templates
from reelroom.dialects.tencent.settings import TencentSettings, settings
from reelroom.domain.rules import Rule

DIALECT = "tencent"
_PREFIX = "tencent.auto_record "


def wanted(chosen: TencentSettings, media_key: str) -> dict[str, tuple[dict[str, Any], int]]:
    """By name: a template's body, and for how many seconds a stream may be away."""
    if not chosen.auto_record or chosen.generation == "new":
        return {}
    formats = list(chosen.formats)
    groups = [("hls", ["hls"], chosen.resume_s), ("files", [name for name in formats if name != "hls"], 0)]
    if not chosen.resume_s or len(formats) == 1 or "hls" not in formats:
        groups = [("all", formats, chosen.resume_s if formats == ["hls"] else 0)]
    made = {}
    for number, (name, some, resume_s) in enumerate(groups):
        body = {
            "formats": some,
            "file_minutes": chosen.file_minutes,
            "pushes": number == 0,  # of two recordings of a stream one tells that it came
            "media_key": media_key,
        }
        made[_PREFIX + name] = (body, max(1, resume_s))
    return made


async def apply(app: AppContext, templates: Templates, rules: Rules, library: Library) -> None:
    """Make the app's templates and rules what its settings say. ControlError."""
    chosen = settings(app)
    desired = wanted(chosen, library.key.hex())
    known = {stored.name: stored for stored in rules.list(app.id, DIALECT) if stored.name.startswith(_PREFIX)}
    for name, (body, resume_s) in desired.items():
        stored = known.pop(name, None)
        if stored is None:
            template = await templates.create(app.id, DIALECT, name, body)
        else:
            template = await templates.get(app.id, DIALECT, stored.rule.template)
            if template.body != body:
                await templates.change(app.id, DIALECT, template.id, body=body)
        rule = Rule(template=template.id, room=chosen.rooms, identity=chosen.users, resume_s=resume_s)
        if stored is None:
            await rules.create(app.id, DIALECT, name, rule)
        elif stored.rule != rule:
            await rules.change(app.id, stored.id, rule=rule)
    for stored in known.values():
        await rules.delete(app.id, stored.id)
        await templates.delete(app.id, DIALECT, stored.rule.template)
