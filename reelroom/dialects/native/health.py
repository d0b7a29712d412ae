"""GET /healthz, /readyz and /metrics. Holds no figure of its own: `control/metrics.py` collects them."""

from __future__ import annotations

import asyncio
from typing import Literal

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from reelroom.control import metrics
from reelroom.control.context import Context
from reelroom.dialects.native.auth import ContextDep

router = APIRouter(tags=["operation"])


class Health(BaseModel):
    status: Literal["ok"]


class Readiness(BaseModel):
    """What answers: "ok", or what is the matter."""

    ready: bool
    database: str
    fleet: str
    ingest: dict[str, Literal["ok", "away"]] = Field(description="by the number of the ingest process")


@router.get("/healthz", summary="This process answers")
async def healthz() -> Health:
    return Health(status="ok")


async def _database(ctx: Context) -> str:
    try:
        async with ctx.database.reading() as session:
            await session.execute(text("select 1"))
    except (SQLAlchemyError, OSError) as error:  # asyncpg's own, when nobody listens
        return type(error).__name__
    return "ok"


async def _fleet(ctx: Context) -> str:
    try:
        async with asyncio.timeout(2):
            await ctx.recorders.running()
    except (OSError, TimeoutError, ValueError, KeyError, asyncio.IncompleteReadError) as error:
        return type(error).__name__
    return "ok"


@router.get(
    "/readyz",
    summary="Rooms can be joined and recordings started",
    responses={503: {"model": Readiness, "description": "not now: the body says what does not answer"}},
)
async def readyz(ctx: ContextDep, response: Response) -> Readiness:
    database, fleet, stats = await asyncio.gather(_database(ctx), _fleet(ctx), ctx.rooms.stats(2))
    ingest: dict[str, Literal["ok", "away"]] = {
        str(index): "ok" if index in stats else "away" for index in range(ctx.settings.workers)
    }
    ready = database == fleet == "ok" and all(state == "ok" for state in ingest.values())
    response.status_code = 200 if ready else 503
    return Readiness(ready=ready, database=database, fleet=fleet, ingest=ingest)


@router.get("/metrics", summary="Prometheus", response_class=PlainTextResponse)
async def read_metrics(ctx: ContextDep) -> Response:
    return Response(await metrics.collect(ctx), media_type=metrics.CONTENT_TYPE)
