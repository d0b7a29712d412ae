"""Native API: templates, which are starts without their room; and what rules start by them. Holds no rules."""

from __future__ import annotations

import time
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from reelroom.control import destinations
from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.errors import ControlError
from reelroom.control.new_recording import NewRecording
from reelroom.control.openapi import header, like, refuses
from reelroom.control.templates import MAX_NAME, Template
from reelroom.dialects.native import wire
from reelroom.dialects.native.auth import AppDep, ContextDep, KeyRoute
from reelroom.dialects.native.shapes import NO_NUL, Body
from reelroom.domain.rules import Match

router = APIRouter(prefix="/api/v1/templates", tags=["templates"], route_class=KeyRoute)
DIALECT = "native"
Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=NO_NUL)]


class NewTemplate(Body):
    model_config = ConfigDict(
        json_schema_extra={"example": {"name": "lesson", "recording": {"formats": ["hls", "mp4"]}}}
    )

    name: Name
    recording: wire.RecordingShape = Field(description="as for a start, without the room")


class ChangedTemplate(Body):
    name: Name | None = None
    recording: wire.RecordingShape | None = Field(default=None, description="replaces the one before as a whole")


class ShownTemplate(BaseModel):
    id: str
    name: str
    recording: Annotated[dict[str, Any], WithJsonSchema(like(wire.RecordingShape))] = Field(
        description="what was given, without credentials and secrets"
    )
    created_at: str | None
    changed_at: str | None


class ShownTemplates(BaseModel):
    templates: list[ShownTemplate]
    total: int


def new_recording(app: AppContext, body: dict[str, Any], room: str, now_ns: int, match: Match | None) -> NewRecording:
    """What a template starts in `room`: see `control/templates.py`."""
    try:
        shape = wire.RecordingShape.model_validate(body)
    except ValidationError as error:  # of another version of the server
        raise ControlError("invalid", f"the template does not fit: {error}"[:500], "template") from error
    return shape.in_room(app, room, now_ns, None)


def _shown(template: Template) -> ShownTemplate:
    body = dict(template.body)
    if given := body.get("destination"):
        spec = destinations.DestinationSpec(given["service"], given.get("options", {}))
        known = given["service"] in destinations.SERVICES
        body["destination"] = {"service": spec.service, "options": destinations.describe(spec) if known else {}}
    if body.get("callback"):
        body["callback"] = {name: value for name, value in body["callback"].items() if name != "secret"}
    if (body.get("mix") or {}).get("pushes"):
        pushes = [{**push, "url": _masked(push["url"])} for push in body["mix"]["pushes"]]
        body["mix"] = {**body["mix"], "pushes": pushes}
    return ShownTemplate(
        id=template.id,
        name=template.name,
        recording=body,
        created_at=wire.iso(template.created_ns),
        changed_at=wire.iso(template.changed_ns),
    )


def _masked(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}/…"


async def _body(ctx: Context, app: AppContext, shape: wire.RecordingShape) -> dict[str, Any]:
    """The shape as it is kept, once a start with it could be."""
    await ctx.starts.check(shape.in_room(app, "room", time.time_ns(), None))
    return kept(shape)


def kept(shape: wire.RecordingShape) -> dict[str, Any]:
    """What `new_recording` makes a start of."""
    return shape.model_dump(mode="json", exclude_unset=True)


@router.post(
    "",
    status_code=201,
    summary="Keep a start by name",
    responses={201: {"headers": {"Location": header("where it is")}}, **refuses(409)},
)
async def create(wanted: NewTemplate, ctx: ContextDep, app: AppDep, response: Response) -> ShownTemplate:
    made = await ctx.templates.create(app.id, DIALECT, wanted.name, await _body(ctx, app, wanted.recording))
    response.headers["Location"] = f"/api/v1/templates/{made.id}"
    return _shown(made)


@router.get("", summary="Templates, the newest first")
async def list_templates(
    ctx: ContextDep,
    app: AppDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> ShownTemplates:
    found, total = await ctx.templates.list(app.id, DIALECT, offset=offset, limit=limit)
    return ShownTemplates(templates=[_shown(one) for one in found], total=total)


@router.get("/{id}", summary="One template", responses=refuses(404))
async def get(id: Id, ctx: ContextDep, app: AppDep) -> ShownTemplate:
    return _shown(await ctx.templates.get(app.id, DIALECT, id))


@router.patch("/{id}", summary="Change a template, for what starts from now on", responses=refuses(404))
async def change(id: Id, wanted: ChangedTemplate, ctx: ContextDep, app: AppDep) -> ShownTemplate:
    body = None if wanted.recording is None else await _body(ctx, app, wanted.recording)
    return _shown(await ctx.templates.change(app.id, DIALECT, id, wanted.name, body))


@router.delete("/{id}", status_code=204, summary="Delete a template that no rule uses", responses=refuses(404, 409))
async def delete(id: Id, ctx: ContextDep, app: AppDep) -> Response:
    await ctx.templates.delete(app.id, DIALECT, id)
    return Response(status_code=204)
