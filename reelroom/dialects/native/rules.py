"""Native API: auto-record rules. Holds none: `control/autorecord.py` does."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Path, Response
from pydantic import ConfigDict, Field

from reelroom.control.context import Context
from reelroom.control.errors import ControlError
from reelroom.control.openapi import header, refuses
from reelroom.control.rules import StoredRule
from reelroom.dialects.native.auth import AppDep, ContextDep, KeyRoute
from reelroom.dialects.native.shapes import NO_NUL, Body, Made
from reelroom.dialects.native.templates import DIALECT, Name
from reelroom.dialects.native.wire import Once, iso
from reelroom.domain.rules import MAX_PATTERN, MAX_RESUME_S, Per, Rule

router = APIRouter(prefix="/api/v1/rules", tags=["rules"], route_class=KeyRoute)
Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
Pattern = Annotated[str, Field(min_length=1, max_length=MAX_PATTERN, pattern=NO_NUL)]
Sources = Annotated[list[Literal["camera", "screen"]], Field(min_length=1, max_length=2, json_schema_extra=Once)]
Resume = Annotated[int, Field(ge=1, le=MAX_RESUME_S, description="seconds that whoever it records may be away")]


class NewRule(Body):
    """Streams that match are recorded, from when they come until they have been away for `resume_s`."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"name": "teachers", "template": "0" * 32, "identity": "teacher-*"}},
    )

    name: Name
    template: Made = Field(description="a template's id: what is started")
    per: Literal["stream", "room"] = Field(
        "stream", description="a recording for each stream, or one for the room, with whom the template subscribes to"
    )
    room: Pattern = Field("*", description="glob (`*`, `?`, `[…]`) of rooms' names, with case")
    identity: Pattern = Field("*", description="glob of identities")
    sources: Sources = Field(["camera", "screen"], description="a camera is one with its microphone, or that alone")
    resume_s: Resume = 30
    enabled: bool = True


class ChangedRule(Body):
    name: Name | None = None
    template: Made | None = None
    per: Literal["stream", "room"] | None = None
    room: Pattern | None = None
    identity: Pattern | None = None
    sources: Sources | None = None
    resume_s: Resume | None = None
    enabled: bool | None = None


class ShownRule(NewRule):
    model_config = ConfigDict(json_schema_extra=None)

    id: str
    created_at: str | None
    error: str = Field(description="why it could not start what it should have, the last time that it did not")


class ShownRules(Body):
    rules: list[ShownRule]


def _shown(ctx: Context, stored: StoredRule) -> ShownRule:
    rule = stored.rule
    return ShownRule(
        id=stored.id,
        name=stored.name,
        template=rule.template,
        per=rule.per.value,
        room=rule.room,
        identity=rule.identity,
        sources=list(rule.outputs),  # type: ignore[arg-type]
        resume_s=rule.resume_s,
        enabled=rule.enabled,
        created_at=iso(stored.created_ns),
        error=ctx.autorecord.failures.get(stored.id, ""),
    )


@router.post(
    "",
    status_code=201,
    summary="Record by itself what matches",
    responses={201: {"headers": {"Location": header("where it is")}}, **refuses(409)},
)
async def create(wanted: NewRule, ctx: ContextDep, app: AppDep, response: Response) -> ShownRule:
    """Holds for whoever is there already, too."""
    try:
        rule = Rule(
            template=wanted.template,
            per=Per(wanted.per),
            room=wanted.room,
            identity=wanted.identity,
            outputs=tuple(wanted.sources),
            resume_s=wanted.resume_s,
            enabled=wanted.enabled,
        )
    except ValueError as error:
        raise ControlError("invalid", str(error)) from error
    made = await ctx.rules.create(app.id, DIALECT, wanted.name, rule)
    response.headers["Location"] = f"/api/v1/rules/{made.id}"
    return _shown(ctx, made)


@router.get("", summary="Rules, the oldest first")
async def list_rules(ctx: ContextDep, app: AppDep) -> ShownRules:
    return ShownRules(rules=[_shown(ctx, stored) for stored in ctx.rules.list(app.id, DIALECT)])


@router.get("/{id}", summary="One rule", responses=refuses(404))
async def get(id: Id, ctx: ContextDep, app: AppDep) -> ShownRule:
    return _shown(ctx, _native(ctx.rules.get(app.id, id)))


@router.patch("/{id}", summary="Change a rule; what it has started goes on", responses=refuses(404))
async def change(id: Id, wanted: ChangedRule, ctx: ContextDep, app: AppDep) -> ShownRule:
    known = _native(ctx.rules.get(app.id, id)).rule
    given = wanted.model_dump(exclude_none=True, exclude={"name"})
    if "sources" in given:
        given["outputs"] = tuple(given.pop("sources"))
    if "per" in given:
        given["per"] = Per(given["per"])
    try:
        rule = msgspec.structs.replace(known, **given)
    except ValueError as error:
        raise ControlError("invalid", str(error)) from error
    return _shown(ctx, await ctx.rules.change(app.id, id, wanted.name, rule))


@router.delete("/{id}", status_code=204, summary="Delete a rule; what it has started goes on", responses=refuses(404))
async def delete(id: Id, ctx: ContextDep, app: AppDep) -> Response:
    _native(ctx.rules.get(app.id, id))
    await ctx.rules.delete(app.id, id)
    return Response(status_code=204)


def _native(stored: StoredRule) -> StoredRule:
    """Another dialect's rules are changed in that dialect: its words may be more than these."""
    if stored.dialect != DIALECT:
        raise ControlError("not_found", f"no rule {stored.id!r}")
    return stored
