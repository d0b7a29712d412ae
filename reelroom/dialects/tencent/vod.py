"""The part of Tencent's VOD that finds, describes and deletes recorded files: the app's library (section 3.8)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.errors import ControlError
from reelroom.control.library import MediaQuery
from reelroom.dialects.tencent import answers, errors, translate
from reelroom.dialects.tencent.settings import sdk_app_id, settings
from reelroom.dialects.tencent.wire_vod import (
    MAX_DESCRIBED,
    MAX_RESULTS,
    DeleteMedia,
    DescribeMediaInfos,
    SearchMedia,
    TimeRange,
)
from reelroom.domain import events
from reelroom.store import tables

DIALECT = "tencent"
_CATEGORIES = {"Video": ("av", "video"), "Audio": ("audio",), "Image": ()}
_WORDS = {
    "Categories": frozenset(_CATEGORIES),
    "Status": frozenset({"Normal", "SystemForbidden", "Forbidden"}),
    "StorageClasses": frozenset({"STANDARD", "STANDARD_IA", "ARCHIVE", "DEEP_ARCHIVE"}),
}
_FORMATS = {"hls": "hls", "m3u8": "hls", "mp4": "mp4", "flv": "flv", "aac": "aac", "mp3": "mp3"}


class Vod:
    """Everything behind the routes."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def search(self, app: AppContext, request: SearchMedia, host: str) -> dict[str, Any]:
        if request.Offset > MAX_RESULTS:
            raise errors.invalid_value("OffsetTooLarge", f"Offset must be at most {MAX_RESULTS}.")
        if request.Offset + request.Limit > MAX_RESULTS:
            raise errors.invalid_value("LimitTooLarge", f"Offset + Limit must be at most {MAX_RESULTS}.")
        ascending = _ascending(request)
        query = _query(app, request)
        rows: Sequence[tables.Media] = ()
        total = 0
        if query is not None:
            rows, total = await self._context.library.search(
                app.id, query, offset=request.Offset, limit=request.Limit, ascending=ascending
            )
        infos = await self._infos(app, rows, request.Filters, host)
        return {"TotalCount": min(total, MAX_RESULTS), "MediaInfoSet": infos}

    async def describe(self, app: AppContext, request: DescribeMediaInfos, host: str) -> dict[str, Any]:
        if not request.FileIds:
            raise errors.invalid_value("FileIdsEmpty", "FileIds must name a file.")
        if len(request.FileIds) > MAX_DESCRIBED:
            raise errors.invalid_value("FileIdsOverLimit", f"FileIds must be at most {MAX_DESCRIBED}.")
        found = await self._mine(app, request.FileIds, request.SubAppId)
        rows = [found[id] for id in dict.fromkeys(request.FileIds) if id in found]
        missing = [id for id in dict.fromkeys(request.FileIds) if id not in found]
        infos = await self._infos(app, rows, request.Filters, host)
        return {"MediaInfoSet": infos, "NotExistFileIdSet": missing}

    async def delete(self, app: AppContext, request: DeleteMedia, _host: str) -> dict[str, Any]:
        if any(part.Type != "OriginalFiles" for part in request.DeleteParts):
            raise errors.not_supported("DeleteParts other than OriginalFiles: files have no other parts here")
        if request.FileId not in await self._mine(app, [request.FileId], request.SubAppId):
            raise errors.no_file(request.FileId)
        try:
            await self._context.library.delete(app.id, request.FileId)
        except ControlError as error:
            if error.kind == "not_found":
                raise errors.no_file(request.FileId) from None
            raise
        return {}

    async def _mine(self, app: AppContext, ids: Iterable[str], sub_app_id: int) -> dict[str, tables.Media]:
        """Those of the ids that are this dialect's and of that sub-application."""
        found = await self._context.library.many(app.id, ids)
        tag = translate.tag(sub_app_id)
        return {id: row for id, row in found.items() if row.dialect == DIALECT and tag in row.tags}

    async def _infos(
        self, app: AppContext, rows: Sequence[tables.Media], filters: list[str] | None, host: str
    ) -> list[dict[str, Any]]:
        sections = _sections(filters)
        base = settings(app).media_base or host
        users = (
            await self._users({row.recording for row in rows if not row.identity}) if "BasicInfo" in sections else {}
        )
        return [
            answers.media_info(
                row,
                self._context.library.url(base, row),
                sections,
                [row.identity] if row.identity else users.get(row.recording, ()),
            )
            for row in rows
        ]

    async def _users(self, mixes: set[str]) -> dict[str, list[str]]:
        """Who was in each of these recordings, in the order of their coming."""
        event = tables.Event
        query = select(event.recording, event.data).where(
            event.recording.in_(mixes), event.type == events.TRACK["added"]
        )
        found: dict[str, dict[str, None]] = {}
        async with self._context.database.reading() as session:
            for recording, track in await session.execute(query.order_by(event.seq)):
                found.setdefault(recording, {})[track["identity"]] = None
        return {recording: [*users] for recording, users in found.items()}


def _sections(filters: list[str] | None) -> frozenset[str]:
    if not filters:
        return frozenset({"BasicInfo", "MetaData"})
    unknown = [name for name in filters if name not in answers.FILTERS]
    if unknown:
        raise errors.invalid_value("Filters", f"There is no section {unknown[0][:60]!r}.")
    return frozenset(answers.FILTERS[name] for name in filters)


def _ascending(request: SearchMedia) -> bool:
    """Files are sorted by when they came, the newest first; the vendor's own order where names are asked for."""
    if request.Sort is None or request.Text or request.Names or request.Descriptions:
        return False
    if request.Sort.Field != "CreateTime" or request.Sort.Order not in ("Asc", "Desc"):
        raise errors.invalid_value("Sort", "Sort must have the Field CreateTime and the Order Asc or Desc.")
    return request.Sort.Order == "Asc"


def _query(app: AppContext, request: SearchMedia) -> MediaQuery | None:
    """None: nothing can match, as no file has what is asked for."""
    for name in ("ReviewResults", "KnowledgeBases", "Vids", "Vid", "StreamDomains", "StreamPaths"):
        if getattr(request, name):
            raise errors.not_supported(f"SearchMedia by {name}")
    sources = list(request.SourceTypes or ()) + ([request.SourceType] if request.SourceType else [])
    streams = list(request.StreamIds or ()) + ([request.StreamId] if request.StreamId else [])
    kinds, formats = None, None
    for name, words in _WORDS.items():
        if unknown := set(getattr(request, name) or ()) - words:
            raise errors.invalid_value(name, f"{name} has the unknown value {min(unknown)[:60]!r}.")
    if request.Categories is not None:
        kinds = [kind for name in request.Categories for kind in _CATEGORIES[name]]
    if request.MediaTypes is not None:
        formats = [_FORMATS[name.lower()] for name in request.MediaTypes if name.lower() in _FORMATS]
    empty = [
        bool(request.Tags or request.Descriptions),
        request.Status is not None and "Normal" not in request.Status,
        request.StorageClasses is not None and "STANDARD" not in request.StorageClasses,
        request.StorageRegions is not None and "local" not in request.StorageRegions,
        request.TrtcSdkAppIds is not None and sdk_app_id(app) not in request.TrtcSdkAppIds,
        bool(sources) and not {"Record", "TrtcRecord"} & set(sources),
    ]
    if any(empty):
        return None
    created_from, created_until = _range(request.CreateTime, "CreateTime")
    expires_from, expires_until = _range(request.ExpireTime, "ExpireTime")
    if request.StartTime:  # the older parameters, which yield to CreateTime
        start = _time(request.StartTime, "StartTime")
        created_from = start if created_from is None else created_from
    if request.EndTime:
        end = _time(request.EndTime, "EndTime")
        created_until = end if created_until is None else created_until
    kind = {"Record", "TrtcRecord"} & set(sources)
    source = kind.pop() if len(kind) == 1 else ""
    classes: list[int | None] = [None] if request.ClassIds is None else [*request.ClassIds]
    tags = [translate.tag(request.SubAppId, number, source) for number in classes]
    names = list(request.Names or ()) + ([request.Text] if request.Text else [])
    return MediaQuery(
        ids=request.FileIds,
        name_prefixes=request.NamePrefixes,
        names=names or None,
        streams=streams or None,
        rooms=request.TrtcRoomIds,
        formats=formats,
        kinds=kinds,
        dialects=[DIALECT],
        tags=tags,
        created_from_ns=created_from,
        created_until_ns=created_until,
        expires_from_ns=expires_from,
        expires_until_ns=expires_until,
    )


def _range(given: TimeRange | None, where: str) -> tuple[int | None, int | None]:
    """From (inclusive) and until (exclusive), in UTC nanoseconds."""
    if given is None:
        return None, None
    after = _time(given.After, f"{where}.After") if given.After else None
    before = _time(given.Before, f"{where}.Before") if given.Before else None
    return after, before


def _time(text: str, where: str) -> int:
    """ISO 8601, with a zone or in UTC; UTC nanoseconds."""
    try:
        found = datetime.fromisoformat(text)
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        return int(found.timestamp()) * 10**9
    except (ValueError, OverflowError, OSError):
        name = where.partition(".")[0]
        raise errors.invalid_value(name, f"{where} must be a time in ISO 8601, as 2026-01-31T10:00:00Z.") from None
