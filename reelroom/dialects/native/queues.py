"""Native API: message queues, which callbacks can go to (`queue://NAME`). Holds no rules: `control/queues.py` does."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from reelroom.control.errors import ControlError
from reelroom.control.openapi import refuses
from reelroom.control.queues import MAX_BATCH, MAX_RETENTION_S, MAX_VISIBILITY_S, Received
from reelroom.deliver.queues import MAX_BODY, RETENTION_S, VISIBILITY_S
from reelroom.dialects.native.auth import AppDep, ContextDep, KeyRoute
from reelroom.dialects.native.shapes import Body
from reelroom.dialects.native.wire import iso

router = APIRouter(prefix="/api/v1/queues", tags=["queues"], route_class=KeyRoute)
Name = Annotated[str, Path(pattern="^[A-Za-z0-9][A-Za-z0-9-]{0,119}$")]
Receipt = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


class QueueSettings(Body):
    visibility_s: int = Field(
        VISIBILITY_S, ge=1, le=MAX_VISIBILITY_S, description="for so long a received message is hidden from others"
    )
    retention_s: int = Field(RETENTION_S, ge=60, le=MAX_RETENTION_S, description="messages are kept for so long")


class Queue(QueueSettings):
    name: str
    messages: int
    created_at: str | None


class Queues(BaseModel):
    queues: list[Queue]


class NewMessage(Body):
    """Give `text`, or `data` for bytes that are no text; at most 65,536 bytes of UTF-8."""

    text: str | None = Field(default=None, min_length=1, max_length=MAX_BODY)
    data: str | None = Field(default=None, min_length=1, max_length=MAX_BODY * 2, description="base64")


class MessageId(BaseModel):
    id: str


class Message(BaseModel):
    id: str
    receipt: str = Field(description="removes the message, until somebody else has received it")
    text: str | None = Field(description="its content, if that is text")
    data: str = Field(description="its content in base64")
    received: int = Field(description="how often, this time included")
    visible_at: str | None = Field(description="when others may receive it")
    created_at: str | None


class Messages(BaseModel):
    messages: list[Message]


def _shown(one: Received) -> Message:
    try:
        text = one.body.decode()
    except UnicodeDecodeError:
        text = None
    return Message(
        id=one.id,
        receipt=one.receipt,
        text=text,
        data=base64.b64encode(one.body).decode(),
        received=one.received,
        visible_at=iso(one.visible_ns),
        created_at=iso(one.created_ns),
    )


@router.get("", summary="The app's queues")
async def list_queues(ctx: ContextDep, app: AppDep) -> Queues:
    return Queues(
        queues=[
            Queue(
                name=row.name,
                messages=count,
                visibility_s=row.visibility_s,
                retention_s=row.retention_s,
                created_at=iso(row.created_ns),
            )
            for row, count in await ctx.queues.list(app.id)
        ]
    )


@router.put("/{name}", status_code=204, summary="Make a queue, or change its settings")
async def put(name: Name, wanted: QueueSettings, ctx: ContextDep, app: AppDep) -> Response:
    await ctx.queues.create(app.id, name, wanted.visibility_s, wanted.retention_s)
    return Response(status_code=204)


@router.delete("/{name}", status_code=204, summary="Delete a queue with its messages", responses=refuses(404))
async def delete(name: Name, ctx: ContextDep, app: AppDep) -> Response:
    await ctx.queues.delete(app.id, name)
    return Response(status_code=204)


@router.post("/{name}/messages", status_code=201, summary="Put a message")
async def send(name: Name, wanted: NewMessage, ctx: ContextDep, app: AppDep) -> MessageId:
    if (wanted.text is None) == (wanted.data is None):
        raise ControlError("invalid", "give text or data")
    try:
        body = base64.b64decode(wanted.data, validate=True) if wanted.data is not None else (wanted.text or "").encode()
    except (binascii.Error, ValueError) as error:
        raise ControlError("invalid", f"not base64: {error}", "data") from error
    return MessageId(id=await ctx.queues.send(app.id, name, body))


@router.post("/{name}/receive", summary="Receive messages: they are yours for a while", responses=refuses(404))
async def receive(
    name: Name,
    ctx: ContextDep,
    app: AppDep,
    limit: Annotated[int, Query(ge=1, le=MAX_BATCH)] = 1,
    wait_s: Annotated[float, Query(ge=0, le=30, description="seconds to wait for the first")] = 0,
    visibility_s: Annotated[int | None, Query(ge=1, le=MAX_VISIBILITY_S, description="default: the queue's")] = None,
) -> Messages:
    found = await ctx.queues.receive(app.id, name, limit, wait_s, visibility_s)
    return Messages(messages=[_shown(one) for one in found])


@router.delete(
    "/{name}/messages/{receipt}",
    status_code=204,
    summary="A received message was dealt with",
    responses=refuses(404),
)
async def remove(name: Name, receipt: Receipt, ctx: ContextDep, app: AppDep) -> Response:
    await ctx.queues.remove(app.id, name, receipt)
    return Response(status_code=204)
