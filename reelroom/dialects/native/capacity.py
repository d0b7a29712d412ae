"""Native API: what the machine has left for recordings. Reckons nothing: `control/capacity.py` does."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from reelroom.control.errors import ControlError
from reelroom.dialects.native.auth import AppDep, ContextDep, KeyRoute
from reelroom.domain.cost import Shape, estimate
from reelroom.domain.mix import MAX_SIDE_4K, Mix
from reelroom.domain.recording import ACTIVE

router = APIRouter(prefix="/api/v1/capacity", tags=["operation"], route_class=KeyRoute)
FRAME_RATE = 30
Side = Annotated[int, Query(ge=16, le=MAX_SIDE_4K, multiple_of=2)]


class Running(BaseModel):
    """One of the app's own recordings, in cores."""

    id: str
    room: str
    mode: str
    used: float = Field(description="measured over the last seconds")
    booked: float = Field(description="kept for it besides, until it has been at work for a while")


class Capacity(BaseModel):
    """In cores: CPU seconds a second."""

    cores: float = Field(description="that the server may use")
    limit: float = Field(description="max_cpu of them; 0: no limit")
    used: float = Field(description="measured, all processes of the server")
    booked: float = Field(description="kept for recordings that began a moment ago or wait for somebody to come")
    free: float = Field(description="a start that needs more is refused; without a limit, what is left of all cores")
    calibrated: bool = Field(description="whether this machine was measured; else `cost` of a mix is a guess")
    cost: float = Field(description="of one recording of the shape that was asked for")
    fits: int = Field(description="how many of that shape could be started now; -1: no limit")
    recordings: list[Running]


@router.get("", summary="What the machine has left")
async def capacity(
    ctx: ContextDep,
    app: AppDep,
    mode: Annotated[Literal["individual", "mixed"], Query(description="the shape to ask about")] = "mixed",
    participants: Annotated[int, Query(ge=1, le=64)] = 4,
    width: Annotated[Side, Query(description="of a mix")] = 1280,
    height: Annotated[Side, Query(description="of a mix")] = 720,
    fps: Annotated[int, Query(ge=1, le=60, description="of a mix")] = 30,
    video_codec: Annotated[Literal["h264", "h265", "vp9", "av1"], Query(description="of a mix")] = "h264",
    source_width: Annotated[int, Query(ge=16, le=7680, description="of each participant's picture")] = 1280,
    source_height: Annotated[int, Query(ge=16, le=7680)] = 720,
) -> Capacity:
    try:
        mix = Mix(width=width, height=height, fps=fps, video_codec=video_codec) if mode == "mixed" else None
    except ValueError as error:
        raise ControlError("invalid", str(error)) from error
    if mix is not None:
        ctx.capacity.calibrate()
    pixels = (source_width * source_height * FRAME_RATE,) * participants
    cost = estimate(Shape(mix=mix, pixels=pixels, voices=participants, people=participants), ctx.capacity.rates)
    ledger = ctx.capacity.ledger
    balance = ledger.balance()
    active, _ = await ctx.recordings.list(app.id, states=ACTIVE, limit=200)
    running = []
    for row in active:
        used, booked = ledger.cost_of(row.id)
        running.append(Running(id=row.id, room=row.room, mode=row.mode, used=round(used, 3), booked=round(booked, 3)))
    return Capacity(
        cores=ctx.capacity.cores,
        limit=round(balance.limit, 3),
        used=round(balance.used, 3),
        booked=round(balance.booked, 3),
        free=round(balance.free, 3),
        calibrated=ctx.capacity.calibrated,
        cost=round(cost, 3),
        fits=max(0, int(balance.free / cost)) if balance.limit else -1,
        recordings=running,
    )
