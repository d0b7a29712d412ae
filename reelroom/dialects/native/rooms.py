"""Native API: rooms, their participants, tokens. Holds no rules."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from reelroom.control.errors import ControlError
from reelroom.control.openapi import refuses
from reelroom.control.tokens import ANY_ROOM, MAX_TTL_S, mint
from reelroom.dialects.native.auth import AppDep, ContextDep, KeyRoute
from reelroom.dialects.native.shapes import IN_PATH, Body, Identity
from reelroom.dialects.native.wire import iso

router = APIRouter(prefix="/api/v1/rooms", tags=["rooms"], route_class=KeyRoute)
Name = Annotated[str, Path(min_length=1, max_length=128, pattern=IN_PATH)]


class Room(BaseModel):
    room: str
    participants: int
    created_at: str


class Rooms(BaseModel):
    rooms: list[Room]


class Track(BaseModel):
    """A track as it arrives. `lost`: packets that never came; `bitrate`: bit/s over the last second."""

    track: int
    source: str
    kind: str
    codec: str
    muted: bool
    packets: int
    lost: int
    bitrate: int
    width: int = 0
    height: int = 0


class Participant(BaseModel):
    identity: str
    session: str
    joined_at: str
    tracks: list[Track]


class Participants(BaseModel):
    participants: list[Participant]


class RoomDetail(Participants):
    room: str


class TokenRequest(Body):
    model_config = ConfigDict(json_schema_extra={"example": {"identity": "ann", "ttl_s": 3600}})

    identity: Identity
    permissions: list[Literal["publish", "watch"]] = Field(["publish", "watch"], min_length=1, max_length=2)
    ttl_s: int = Field(6 * 3600, ge=1, le=MAX_TTL_S)
    source: Literal["camera", "screen"] | None = Field(None, description="what its video must be")
    any_room: bool = Field(
        False, description='that "*" is meant as every room: a room\'s name may come from a stranger'
    )


class Token(BaseModel):
    token: str
    whip: str = Field(description="path to publish at")


def _participants(answer: dict[str, Any]) -> list[Participant]:
    return [
        Participant(
            identity=one["identity"],
            session=one["session"],
            joined_at=iso(one["joined_ns"]) or "",
            tracks=[Track.model_validate(track) for track in one["tracks"]],
        )
        for one in answer["participants"]
    ]


@router.get("", summary="Rooms that somebody is in")
async def list_rooms(ctx: ContextDep, app: AppDep) -> Rooms:
    rooms = await ctx.rooms.list(app.id)
    return Rooms(
        rooms=[
            Room(room=one["room"], participants=one["participants"], created_at=iso(one["created_ns"]) or "")
            for one in rooms
        ]
    )


@router.get("/{room}", summary="One room", responses=refuses(404))
async def get_room(room: Name, ctx: ContextDep, app: AppDep) -> RoomDetail:
    return RoomDetail(room=room, participants=_participants(await ctx.rooms.get(app.id, room)))


@router.get("/{room}/participants", summary="Who is in a room, with their tracks", responses=refuses(404))
async def list_participants(room: Name, ctx: ContextDep, app: AppDep) -> Participants:
    return Participants(participants=_participants(await ctx.rooms.get(app.id, room)))


@router.delete(
    "/{room}/participants/{identity}", status_code=204, summary="Throw a participant out", responses=refuses(404)
)
async def remove_participant(room: Name, identity: Name, ctx: ContextDep, app: AppDep) -> Response:
    await ctx.rooms.remove(app.id, room, identity)
    return Response(status_code=204)


@router.post("/{room}/tokens", status_code=201, summary="A token to publish or watch with")
async def make_token(room: Name, wanted: TokenRequest, app: AppDep) -> Token:
    if (room == ANY_ROOM) != wanted.any_room:
        raise ControlError("invalid", 'any_room is given with the room "*", and only with it', "any_room")
    token = mint(
        app, room, wanted.identity, tuple(dict.fromkeys(wanted.permissions)), wanted.ttl_s, wanted.source or ""
    )
    return Token(token=token, whip=f"/whip/{quote(room, safe='')}")
