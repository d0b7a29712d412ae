"""Native API: a recording's files, by list and by content; playlists that grow during the call. Holds no rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field

from reelroom.control.context import Context
from reelroom.control.errors import ControlError
from reelroom.control.openapi import refuses
from reelroom.deliver.playlists import MAX_SEGMENT, ROLES
from reelroom.dialects.native import auth, content
from reelroom.dialects.native.auth import AppDep, ContextDep, KeyRoute
from reelroom.dialects.native.recordings import Id
from reelroom.dialects.native.wire import iso
from reelroom.domain import lines
from reelroom.domain.recording import ACTIVE
from reelroom.finish.playlist import playlist, relative_uri, target_duration
from reelroom.store import tables

Line = TypeVar("Line")

router = APIRouter(prefix="/api/v1/recordings", tags=["files"], route_class=KeyRoute)


class File(BaseModel):
    """One object in storage. `url` reads it from the server itself, by anybody, until `expires_at`."""

    key: str = Field(description="its name in storage")
    role: str = Field(description="file, playlist, segment or init")
    format: str
    output: str
    identity: str
    source: str
    kind: str
    sequence: int
    state: str = Field(description="pending, uploading, uploaded or deleted")
    error: str = Field(description="why the last upload failed")
    bytes: int
    sha256: str
    start_at: str | None
    duration_s: float | None
    video_codec: str
    audio_codec: str
    width: int
    height: int
    transcoded: list[str]
    uploaded_at: str | None
    url: str


class Files(BaseModel):
    recording: str
    expires_at: str | None
    files: list[File]


def _file(row: tables.File, outputs: dict[str, dict[str, Any]], base: str, query: str) -> File:
    line = row.line
    output = outputs.get(row.output, {})
    duration = line.get("duration_ns")
    if duration is None and "media_end_ns" in line:
        duration = line["media_end_ns"] - line["media_start_ns"]
    return File(
        key=row.key,
        role=row.role,
        format=row.format,
        output=row.output,
        identity=line.get("identity") or output.get("identity", ""),
        source=line.get("source") or output.get("source", ""),
        kind=line.get("kind") or output.get("kind", ""),
        sequence=row.number,
        state=row.state,
        error=row.error,
        bytes=row.bytes,
        sha256=row.sha256,
        start_at=iso(line.get("start_ns")),
        duration_s=None if duration is None else duration / 1e9,
        video_codec=line.get("video_codec", ""),
        audio_codec=line.get("audio_codec", ""),
        width=line.get("width", 0),
        height=line.get("height", 0),
        transcoded=list(line.get("transcoded", ())),
        uploaded_at=iso(row.uploaded_ns),
        url=f"{base}/{quote(row.key)}?{query}",
    )


@router.get("/{id}/files", summary="Its files, with URLs to read them from the server", responses=refuses(404))
async def list_files(
    request: Request,
    id: Id,
    ctx: ContextDep,
    app: AppDep,
    segments: Annotated[bool, Query(description="HLS segments too")] = False,
) -> Files:
    roles = ("playlist", "file") + (("init", "segment") if segments else ())
    rows = await ctx.recordings.files(app.id, id, roles)
    query, expires = auth.query(ctx.url_key, app.id, id)
    base = str(request.base_url).rstrip("/") + f"/api/v1/recordings/{id}/files"
    outputs = {row.output: row.line for row in rows if row.role == "playlist"}
    return Files(
        recording=id,
        expires_at=iso(expires * 10**9),
        files=[_file(row, outputs, base, query) for row in rows],
    )


async def _reader(
    ctx: ContextDep,
    id: Id,
    bearer: auth.KeyDep,
    signature: auth.SignatureDep,
    expires: Annotated[int | None, Query(ge=0, le=1 << 40, description="of a signed URL")] = None,
) -> str:
    """The app in whose name a file is read: by its key, or by a signed URL of this recording."""
    if signature is None or expires is None:
        return (await auth.by_key(ctx, bearer)).id
    try:
        app = await ctx.recordings.app_of(id)
    except ControlError:
        app = ""  # no app: who has no signature does not hear which recordings there are
    auth.check_signature(ctx.url_key, app, id, expires, signature)
    return app


_READS: dict[str, Any] = {"response_class": Response, "responses": {**content.ANSWERS, **refuses(403, 404)}}


@router.head("/{id}/files/{name:path}", summary="What one file is", **_READS)
@router.get("/{id}/files/{name:path}", summary="The content of one file", **_READS)
async def read_file(
    request: Request,
    id: Id,
    name: Annotated[str, Path(max_length=1024)],
    ctx: ContextDep,
    app_id: Annotated[str, Depends(_reader)],
    signature: auth.SignatureDep,
    expires: Annotated[int | None, Query(include_in_schema=False)] = None,
) -> Response:
    """By its name in storage. Ranges are served. A playlist is made at each call, so it grows during the call."""
    row = await ctx.recordings.file(app_id, id, name)
    signed = f"?expires={expires}&signature={signature}" if signature and expires is not None else ""
    kind = content.kind_of(row.key)
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, max-age=3600"}
    if row.role in ROLES:
        text = await _playlist(ctx, app_id, row, signed)
        return Response(text, 200, headers | {"Cache-Control": "no-store"}, media_type=kind)
    folder = ctx.recorders.folder(id)
    path = (folder / row.path).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ControlError("not_found", "the file lies outside the recording")
    if not path.is_file():
        raise ControlError("not_found", "the server no longer has this file; look in storage")
    return content.file(request, path, headers, kind)


async def _playlist(ctx: Context, app_id: str, row: tables.File, signed: str) -> str:
    recording = await ctx.recordings.get(app_id, row.recording)  # before the segments: see `ended`
    rows = await ctx.recordings.output_files(row.recording, row.output, row.rendition)
    first, last = row.line.get("first", 1), row.line.get("last", 0)  # where playlists are split
    part = range(first, last + 1) if last else range(first, MAX_SEGMENT)
    rows = [one for one in rows if one.role != "segment" or one.number in part]
    keys = {(one.role, one.number): one.key for one in rows}

    def uri(line: lines.Segment | lines.Init) -> str:
        role = "init" if isinstance(line, lines.Init) else "segment"
        return relative_uri(keys[role, line.number], row.key) + signed

    return playlist(
        _lines(rows, "segment", lines.Segment),
        _lines(rows, "init", lines.Init),
        uri,
        ended=bool(last) or recording.state not in ACTIVE,
        target_s=target_duration(recording.spec["hls"]["segment_s"]),
        dated=recording.spec["hls"].get("dated", False),
    )


def _lines(rows: Sequence[tables.File], role: str, kind: type[Line]) -> list[Line]:
    return [msgspec.convert(row.line, kind) for row in rows if row.role == role]
