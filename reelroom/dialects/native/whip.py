"""WHIP (RFC 9725) and WHEP: SDP over HTTP, relayed to the room's ingest process. Parses no SDP."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Header, HTTPException, Path, Query, Request, Response

from reelroom.control.context import Context
from reelroom.control.errors import ControlError
from reelroom.control.openapi import REQUIRED, header, refuses
from reelroom.control.rooms import SdpRefused
from reelroom.control.tokens import PUBLISH, WATCH
from reelroom.dialects.native.auth import BearerDep, ContextDep, grant
from reelroom.dialects.native.shapes import IN_PATH
from reelroom.dialects.tencent import given
from reelroom.domain.names import check_name

router = APIRouter(tags=["WHIP and WHEP"])

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
Name = Annotated[str, Path(min_length=1, max_length=128, pattern=IN_PATH)]
Session = Annotated[str, Path(min_length=8, max_length=128, pattern=r"^[A-Za-z0-9_.-]+$")]
_GIVEN = "^[A-Za-z0-9_-]{0,64}$"
_TEXT = {"schema": {"type": "string", "pattern": "\\S"}}
_ETAG = header("of the ICE session: what If-Match is to say", pattern='^"[^"]+"$')
#: What FastAPI is told of each kind of call; bodies are no JSON, so it reads none.
_CREATES: dict[str, Any] = {
    "status_code": 201,
    "response_class": Response,
    "responses": {
        201: {
            "description": "the SDP answer",
            "content": {SDP: {"schema": {"type": "string"}}},
            "headers": {
                "Location": header("of the session: takes PATCH and DELETE"),
                "ETag": _ETAG,
                "Accept-Patch": header("what PATCH takes", const=FRAGMENT),
            },
        },
        **refuses(403, 404, 406),
    },
    "openapi_extra": {"requestBody": {"required": True, "content": {SDP: _TEXT}}},
}
_PATCHES: dict[str, Any] = {
    "summary": "Trickle ICE or restart it",
    "status_code": 204,
    "response_class": Response,
    "response_description": "candidates were taken",
    "responses": {
        200: {
            "description": "ICE was restarted: the new credentials",
            "content": {FRAGMENT: {"schema": {"type": "string"}}},
            "headers": {"ETag": _ETAG},
        },
        **refuses(403, 404, 412, 428),
    },
    "openapi_extra": {"requestBody": {"required": True, "content": {FRAGMENT: _TEXT}}},
}
_DELETES: dict[str, Any] = {
    "response_class": Response,
    "response_description": "the session has ended",
    "responses": refuses(403, 404),
}


async def _body(request: Request, kind: str) -> str:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != kind:
        header = "Accept-Post" if kind == SDP else "Accept-Patch"
        raise HTTPException(415, f"Content-Type must be {kind}", {header: kind})
    try:
        text = (await request.body()).decode()
    except UnicodeDecodeError as error:
        raise SdpRefused("invalid", "the body is not UTF-8", "body") from error
    if not text.strip():
        raise SdpRefused("invalid", "the body is empty", "body")
    return text


def _accepts(request: Request, kind: str) -> None:
    accept = request.headers.get("accept", "")
    ranges = [part.partition(";")[0].strip().lower() for part in accept.split(",") if part.strip()]
    if ranges and not {kind, "application/*", "*/*"} & set(ranges):
        raise HTTPException(406, f"the answer is {kind}, which Accept rules out")


def _name(where: str, value: str) -> str:
    try:
        return check_name(where, value)
    except ValueError as error:
        raise ControlError("invalid", str(error), where) from error


def _created(path: str, answer: dict[str, Any]) -> Response:
    headers = {
        "Location": f"{path}/{quote(answer['session'], safe='')}",
        "ETag": f'"{answer["etag"]}"',
        "Accept-Patch": FRAGMENT,
        "Cache-Control": "no-store",
    }
    return Response(answer["sdp"], 201, headers, media_type=SDP)


@router.post("/whip/{room}", summary="Publish into a room", **_CREATES)
async def publish(
    request: Request,
    room: Name,
    ctx: ContextDep,
    bearer: BearerDep,
    source: Annotated[
        Literal["camera", "screen"] | None, Query(description="what the picture shows; default camera")
    ] = None,
    stream_id: Annotated[
        str, Query(alias="streamId", pattern=_GIVEN, description="of Tencent's auto-recording: the stream's id")
    ] = "",
    record_id: Annotated[
        str, Query(alias="userDefineRecordId", pattern=_GIVEN, description="… and what its files are called after")
    ] = "",
) -> Response:
    granted = await grant(ctx, bearer)
    granted.check(_name("room", room), PUBLISH)
    if source and granted.source and source != granted.source:
        raise ControlError("forbidden", f"the token is for {granted.source}", "source")
    offer = await _body(request, SDP)
    _accepts(request, SDP)
    shows = granted.source or source or "camera"
    given.remember((granted.app, room, granted.identity, shows), stream_id, record_id)
    answer = await ctx.rooms.in_room(
        granted.app,
        room,
        "whip.create",
        {
            "identity": granted.identity,
            "session_labels": {"video": shows},
            "sdp": offer,
            "permissions": sorted(granted.permissions),
        },
    )
    return _created(f"/whip/{quote(room, safe='')}", answer)


@router.post("/whep/{room}/{identity}", summary="Watch a participant", **_CREATES)
async def watch(request: Request, room: Name, identity: Name, ctx: ContextDep, bearer: BearerDep) -> Response:
    granted = await grant(ctx, bearer)
    granted.check(_name("room", room), WATCH)
    offer = await _body(request, SDP)
    _accepts(request, SDP)
    answer = await ctx.rooms.in_room(
        granted.app,
        room,
        "whep.create",
        {"identity": _name("identity", identity), "viewer": granted.identity, "sdp": offer},
    )
    return _created(f"/whep/{quote(room, safe='')}/{quote(identity, safe='')}", answer)


def _etag(if_match: str | None) -> str:
    """RFC 9725, section 4.3.1: strong comparison with the ICE session's ETag, or `*` for an ICE restart."""
    if if_match is None:
        raise HTTPException(428, 'If-Match is needed: the ETag of the ICE session, or "*" to restart ICE')
    value = if_match.strip()
    if value == "*":
        return value
    if len(value) < 2 or not value.startswith('"') or not value.endswith('"') or '"' in value[1:-1]:
        raise HTTPException(412, "If-Match must be one strong ETag")
    return value[1:-1]


async def _patch(
    ctx: Context, request: Request, room: str, session: str, permission: str, bearer: BearerDep, etag: str | None
) -> Response:
    granted = await grant(ctx, bearer, expired_ok=True)  # it was valid when the session was made
    granted.check(room, permission)
    fragment = await _body(request, FRAGMENT)
    answer = await ctx.rooms.in_room(
        granted.app,
        room,
        "peer.patch",
        {"identity": granted.identity, "session": session, "etag": _etag(etag), "sdpfrag": fragment},
    )
    if not answer.get("sdpfrag"):
        return Response(status_code=204)
    return Response(
        answer["sdpfrag"], 200, {"ETag": f'"{answer["etag"]}"', "Cache-Control": "no-store"}, media_type=FRAGMENT
    )


async def _delete(ctx: Context, room: str, session: str, permission: str, bearer: BearerDep) -> Response:
    granted = await grant(ctx, bearer, expired_ok=True)
    granted.check(room, permission)
    await ctx.rooms.in_room(granted.app, room, "peer.delete", {"identity": granted.identity, "session": session})
    return Response(status_code=200)


IfMatch = Annotated[str | None, Header(max_length=256, json_schema_extra={REQUIRED: True})]  # else 428, not 422


@router.patch("/whip/{room}/{session}", **_PATCHES)
async def patch_publisher(
    request: Request, room: Name, session: Session, ctx: ContextDep, bearer: BearerDep, if_match: IfMatch = None
) -> Response:
    return await _patch(ctx, request, room, session, PUBLISH, bearer, if_match)


@router.delete("/whip/{room}/{session}", summary="Stop publishing", **_DELETES)
async def delete_publisher(room: Name, session: Session, ctx: ContextDep, bearer: BearerDep) -> Response:
    return await _delete(ctx, room, session, PUBLISH, bearer)


@router.patch("/whep/{room}/{identity}/{session}", **_PATCHES)
async def patch_viewer(
    request: Request,
    room: Name,
    identity: Name,
    session: Session,
    ctx: ContextDep,
    bearer: BearerDep,
    if_match: IfMatch = None,
) -> Response:
    return await _patch(ctx, request, room, session, WATCH, bearer, if_match)


@router.delete("/whep/{room}/{identity}/{session}", summary="Stop watching", **_DELETES)
async def delete_viewer(room: Name, identity: Name, session: Session, ctx: ContextDep, bearer: BearerDep) -> Response:
    return await _delete(ctx, room, session, WATCH, bearer)
