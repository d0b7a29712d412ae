"""Tasks as the domain's templates: what a task starts when somebody publishes in its channel. Record templates, which
are another thing, are kept beside them. Starts nothing itself.

A task is an auto-record rule for its channel. So it waits for people, and whoever comes back after DelayStopTime begins
another recording of the same task (section 2.10).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from reelroom.control.apps import AppContext
from reelroom.control.new_recording import NewRecording
from reelroom.dialects.aliyun_rtc import translate
from reelroom.dialects.aliyun_rtc.layouts import Shape
from reelroom.dialects.aliyun_rtc.wire import StartTask, TemplateRequest
from reelroom.domain.rules import Match

DIALECT = "aliyun_rtc"
RECORD_TEMPLATES = "aliyun_rtc.tpl"  # the dialect by which record templates are kept


def body(template: TemplateRequest, task: StartTask, custom: Mapping[int, Shape]) -> dict[str, Any]:
    """A task as it is kept: with its template and its custom layouts as they were then."""
    return {
        "template": template.model_dump(mode="json"),
        "task": task.model_dump(mode="json"),
        "layouts": {str(id_): list(shape) for id_, shape in custom.items()},
    }


def opened(body: dict[str, Any]) -> tuple[TemplateRequest, StartTask, dict[int, Shape]]:
    custom = {int(id_): msgspec.convert(shape, Shape) for id_, shape in body.get("layouts", {}).items()}
    return TemplateRequest.model_validate(body["template"]), StartTask.model_validate(body["task"]), custom


def new_recording(
    app: AppContext, body: dict[str, Any], room: str, now_ns: int, match: Match | None = None
) -> NewRecording:
    template, task, custom = opened(body)
    spec, images = translate.spec(template, task, custom, app, uuid.uuid4().hex, now_ns)
    destination, must_resolve = translate.destination(template, app)
    return NewRecording(
        app=app,
        spec=spec,
        destination=destination,
        must_resolve=must_resolve,
        callback=translate.callback(template),
        dialect=DIALECT,
        dialect_data={"app_id": task.AppId, "task": task.TaskId, "url_base": translate.url_base(template, app)},
        task=task.TaskId,
        images=images,
    )
