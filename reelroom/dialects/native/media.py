"""Native API: the app's media library, and the content of files in it. Holds no rules: `control/library.py` does."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse
from pydantic import BaseModel, Field

from reelroom.control.context import Context
from reelroom.control.library import Content, MediaQuery
from reelroom.control.openapi import header, refuses
from reelroom.dialects.native import content
from reelroom.dialects.native.auth import AppDep, ContextDep, KeyRoute
from reelroom.dialects.native.shapes import NO_NUL, Time
from reelroom.dialects.native.wire import Tag, iso
from reelroom.store import tables

router = APIRouter(tags=["media"], route_class=KeyRoute)
Id = Annotated[str, Path(pattern="^[0-9]{19}$")]
Word = Annotated[str, Field(min_length=1, max_length=255, pattern=NO_NUL)]
Words = Annotated[list[Word] | None, Query(max_length=10)]


class Media(BaseModel):
    """A finished file. `url` reads it, by anybody, for 12 to 13 hours."""

    id: str
    name: str
    tags: list[str]
    recording: str
    room: str
    identity: str
    source: str
    kind: str
    stream: str
    format: str
    key: str = Field(description="its name in the app's storage; of HLS the playlist's")
    bytes: int
    duration_s: float
    start_at: str | None
    end_at: str | None
    video_codec: str
    audio_codec: str
    width: int
    height: int
    created_at: str | None
    expires_at: str | None = Field(description="when it goes; null: never")
    url: str


class MediaPage(BaseModel):
    media: list[Media]
    total: int


def _shown(ctx: Context, request: Request, row: tables.Media) -> Media:
    return Media(
        id=row.id,
        name=row.name,
        tags=row.tags,
        recording=row.recording,
        room=row.room,
        identity=row.identity,
        source=row.source,
        kind=row.kind,
        stream=row.stream,
        format=row.format,
        key=row.key,
        bytes=row.bytes,
        duration_s=row.duration_ns / 1e9,
        start_at=iso(row.start_ns),
        end_at=iso(row.end_ns),
        video_codec=row.video_codec,
        audio_codec=row.audio_codec,
        width=row.width,
        height=row.height,
        created_at=iso(row.created_ns),
        expires_at=iso(row.expires_ns or None),
        url=ctx.library.url(str(request.base_url), row),
    )


def _ns(time: datetime | None) -> int | None:
    return None if time is None else round(time.timestamp() * 1e6) * 1000


@router.get("/api/v1/media", summary="Files in the library, the newest first")
async def search(
    request: Request,
    ctx: ContextDep,
    app: AppDep,
    name: Annotated[Words, Query(description="its name begins with this; may be repeated")] = None,
    tag: Annotated[list[Tag] | None, Query(max_length=16, description="it has one of these")] = None,
    room: Words = None,
    identity: Words = None,
    recording: Words = None,
    format: Words = None,
    from_: Annotated[Time | None, Query(alias="from", description="in the library since then or later")] = None,
    to: Annotated[Time | None, Query(description="... since before then")] = None,
    oldest_first: bool = False,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> MediaPage:
    """Values of one parameter are alternatives; all parameters must hold."""
    wanted = MediaQuery(
        name_prefixes=name,
        tags=tag,
        rooms=room,
        identities=identity,
        recordings=recording,
        formats=format,
        created_from_ns=_ns(from_),
        created_until_ns=_ns(to),
    )
    rows, total = await ctx.library.search(app.id, wanted, offset=offset, limit=limit, ascending=oldest_first)
    return MediaPage(media=[_shown(ctx, request, row) for row in rows], total=total)


@router.get("/api/v1/media/{id}", summary="One file", responses=refuses(404))
async def get(id: Id, request: Request, ctx: ContextDep, app: AppDep) -> Media:
    return _shown(ctx, request, await ctx.library.get(app.id, id))


@router.delete("/api/v1/media/{id}", status_code=204, summary="Delete a file, from storage too", responses=refuses(404))
async def delete(id: Id, ctx: ContextDep, app: AppDep) -> Response:
    await ctx.library.delete(app.id, id)
    return Response(status_code=204)


_ELSEWHERE = {302: {"description": "read it there", "headers": {"Location": header("a link into the storage")}}}
_READS: dict[str, Any] = {
    "response_class": Response,
    "responses": {**content.ANSWERS, **_ELSEWHERE, **refuses(403, 404, 503)},
}


@router.head("/media/{token}/{id}/{key:path}", summary="What one file is", **_READS)
@router.get("/media/{token}/{id}/{key:path}", summary="The content of one file, by its `url`", **_READS)
async def read(
    request: Request,
    token: Annotated[str, Path(max_length=100)],
    id: Id,
    key: Annotated[str, Path(max_length=1024)],
    ctx: ContextDep,
) -> Response:
    """A file's content, and that of a playlist's segments by the names that it has for them. Ranges are served."""
    found = await ctx.library.open(token, id, key)
    kind = content.kind_of(key)
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, max-age=3600"}
    if isinstance(found, str):
        return RedirectResponse(found, 302, {"Cache-Control": "no-store"})
    if isinstance(found, bytes):
        return Response(found, 200, headers, media_type=kind)
    if isinstance(found, Content):
        return StreamingResponse(found.chunks, 200, headers | {"Content-Length": str(found.size)}, media_type=kind)
    return content.file(request, found, headers, kind)
