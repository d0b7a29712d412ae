"""Native API: recordings and what is known about them. Holds no rules: `control/recordings.py` does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import BaseModel

from reelroom.control import plans
from reelroom.control import timeline as journal
from reelroom.control.context import Context
from reelroom.control.errors import ControlError
from reelroom.control.openapi import header, refuses
from reelroom.dialects.native import wire
from reelroom.dialects.native.auth import AppDep, ContextDep, KeyRoute
from reelroom.dialects.native.shapes import NO_CONTROL, NO_NUL, Time
from reelroom.dialects.native.timeline import Timeline
from reelroom.domain.recording import Mode, RecordingSpec, State
from reelroom.store import tables

router = APIRouter(prefix="/api/v1/recordings", tags=["recordings"], route_class=KeyRoute)
Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
Key = Annotated[str | None, Header(min_length=1, max_length=255)]
Wait = Annotated[float, Query(ge=0, le=60, description="seconds to wait for it to end")]
PLAN_S = 0.2  # a start does not wait longer for the room's tracks of this moment


class Attempt(BaseModel):
    at: str | None
    took_ms: float
    status: int | None
    error: str


class Event(BaseModel):
    id: str
    seq: int
    type: str
    at: str | None
    data: dict[str, Any]
    delivery: str
    attempts: list[Attempt]


class Events(BaseModel):
    events: list[Event]


async def _shown(ctx: Context, rows: Sequence[tables.Recording], plan: wire.Plan | None = None) -> list[wire.Recording]:
    wanted = {row.destination for row in rows if row.destination}
    found = await ctx.recordings.destinations(wanted) if wanted else {}
    return [wire.recording(row, found.get(row.destination or ""), plan) for row in rows]


async def _plan(ctx: Context, spec: RecordingSpec) -> wire.Plan:
    try:
        room = await ctx.rooms.get(spec.app, spec.room, PLAN_S)
    except ControlError:  # nobody is there yet, or no answer in time: nothing is known of tracks
        room = {"participants": []}
    tracks = [wire.PlannedTrack(**track) for track in plans.present(spec, room["participants"])]
    return wire.Plan(formats=plans.by_codec(spec), tracks=tracks)


@router.post(
    "",
    status_code=201,
    summary="Start a recording",
    responses={
        200: {
            "model": wire.Recording,
            "description": "this Idempotency-Key has made it before",
            "headers": {"Location": header("where it is"), "Idempotent-Replayed": header("it is so", const="true")},
        },
        201: {"headers": {"Location": header("where it is")}},
        **refuses(404, 409),
    },
)
async def start(
    wanted: wire.CreateRecording,
    ctx: ContextDep,
    app: AppDep,
    response: Response,
    idempotency_key: Key = None,
) -> wire.Recording:
    if wanted.template is not None:
        wanted = wanted.over((await ctx.templates.get(app.id, "native", wanted.template)).body)
    if wanted.mode not in (Mode.INDIVIDUAL, Mode.MIXED):
        raise ControlError("not_supported", f"mode {wanted.mode} is not supported yet; use individual or mixed", "mode")
    new = wanted.in_room(app, wanted.room, time.time_ns(), idempotency_key)
    (row, replayed), plan = await asyncio.gather(ctx.starts.start_once(new), _plan(ctx, new.spec))
    if replayed:
        response.status_code = 200
        response.headers["Idempotent-Replayed"] = "true"
    response.headers["Location"] = f"/api/v1/recordings/{row.id}"
    return (await _shown(ctx, [row], plan))[0]


def _ns(time_: datetime | None) -> int | None:
    return None if time_ is None else round(time_.timestamp() * 1e6) * 1000


@router.get("", summary="Recordings, the newest first")
async def list_recordings(
    ctx: ContextDep,
    app: AppDep,
    room: Annotated[str | None, Query(max_length=128, pattern=NO_CONTROL)] = None,
    state: Annotated[list[State] | None, Query(max_length=len(State), description="may be repeated")] = None,
    from_: Annotated[Time | None, Query(alias="from", description="created at or after")] = None,
    to: Annotated[Time | None, Query(description="created before")] = None,
    name: Annotated[str, Query(max_length=256, pattern=NO_NUL, description="its name begins with this")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str, Query(max_length=200, pattern="^[A-Za-z0-9_-]*$")] = "",
) -> wire.Recordings:
    rows, following = await ctx.recordings.list(
        app.id,
        room=room,
        states=state or (),
        since_ns=_ns(from_),
        until_ns=_ns(to),
        name_prefix=name,
        limit=limit,
        cursor=cursor,
    )
    return wire.Recordings(recordings=await _shown(ctx, rows), next=following)


@router.get("/{id}", summary="One recording", responses=refuses(404))
async def get(id: Id, ctx: ContextDep, app: AppDep) -> wire.Recording:
    return (await _shown(ctx, [await ctx.recordings.get(app.id, id)]))[0]


@router.patch("/{id}", summary="Change whom it records, or what a mix shows, from now on", responses=refuses(404, 409))
async def change(id: Id, wanted: wire.ChangeRecording, ctx: ContextDep, app: AppDep) -> wire.Recording:
    if wanted.subscription is None and wanted.scene is None:
        raise ControlError("invalid", "give subscription, scene or both")
    subscription = None
    if wanted.subscription is not None:
        try:
            subscription = wanted.subscription.to_domain()
        except ValueError as error:
            raise ControlError("invalid", str(error), "subscription") from error
    scene = None if wanted.scene is None else wanted.scene.to_domain()
    return (await _shown(ctx, [await ctx.recordings.change(app.id, id, subscription, scene)]))[0]


@router.post("/{id}/pause", summary="Leave out what follows", responses=refuses(404, 409))
async def pause(id: Id, ctx: ContextDep, app: AppDep) -> wire.Recording:
    return (await _shown(ctx, [await ctx.recordings.pause(app.id, id)]))[0]


@router.post("/{id}/resume", summary="Go on after a pause, in the same files", responses=refuses(404, 409))
async def resume(id: Id, ctx: ContextDep, app: AppDep) -> wire.Recording:
    return (await _shown(ctx, [await ctx.recordings.resume(app.id, id)]))[0]


@router.post("/{id}/stop", summary="End the recording", responses=refuses(404, 409))
async def stop(id: Id, ctx: ContextDep, app: AppDep, wait_s: Wait = 0) -> wire.Recording:
    return (await _shown(ctx, [await ctx.recordings.stop(app.id, id, wait_s=wait_s)]))[0]


@router.delete("/{id}", status_code=204, summary="Delete an ended recording", responses=refuses(404, 409))
async def delete(
    id: Id,
    ctx: ContextDep,
    app: AppDep,
    storage: Annotated[bool, Query(description="its objects in the destination too")] = False,
) -> Response:
    """Removes what the server itself keeps: segments, journal, events. With `storage=true` also the objects."""
    await ctx.recordings.delete(app.id, id, storage)
    return Response(status_code=204)


@router.get("/{id}/events", summary="What happened, and each try to tell", responses=refuses(404))
async def events(
    id: Id,
    ctx: ContextDep,
    app: AppDep,
    after: Annotated[int, Query(ge=0, le=(1 << 63) - 1, description="events behind this number")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Events:
    return Events(
        events=[
            Event(
                id=event.id,
                seq=event.seq,
                type=event.type,
                at=wire.iso(event.at_ns),
                data=event.data,
                delivery=event.state,
                attempts=[
                    Attempt(at=wire.iso(one.at_ns), took_ms=one.took_ns / 1e6, status=one.status, error=one.error)
                    for one in attempts
                ],
            )
            for event, attempts in await ctx.recordings.events(app.id, id, after, limit)
        ]
    )


@router.post(
    "/{id}/events/{event}/replay",
    status_code=202,
    summary="Deliver an event once more",
    response_class=Response,
    responses=refuses(404),
)
async def replay(
    id: Id, event: Annotated[str, Path(pattern="^[0-9a-f]{32}$")], ctx: ContextDep, app: AppDep
) -> Response:
    """Whatever became of it. Its `Reelroom-Id` stays the same."""
    await ctx.recordings.get(app.id, id)
    if not await ctx.callbacks.replay(app.id, id, event):
        raise ControlError("not_found", "the recording has no such event, or no callback", "event")
    return Response(status_code=202)


@router.get(
    "/{id}/timeline", summary="Outputs, gaps, pauses and participants, from the journal", responses=refuses(404)
)
async def get_timeline(id: Id, ctx: ContextDep, app: AppDep) -> Timeline:
    await ctx.recordings.get(app.id, id)
    read = await asyncio.to_thread(journal.read, ctx.recorders.folder(id) / "journal.jsonl")
    return Timeline.model_validate(read)
