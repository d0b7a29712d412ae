"""The four actions of API 3.0 as use cases: create, describe, modify, delete (section 2). Holds no HTTP.

`sessions.py` is its name in the dialect of Agora.
"""

from __future__ import annotations

import asyncio
import time
import uuid
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import structlog
from sqlalchemy import func, select

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.errors import ControlError
from reelroom.control.images import ImageSource
from reelroom.control.new_recording import CallbackSpec, NewRecording
from reelroom.control.recordings import SceneChange
from reelroom.deliver.outbox import add_events
from reelroom.dialects.tencent import answers, errors, mixing, translate, usersig
from reelroom.dialects.tencent.settings import callback, sdk_app_id, settings
from reelroom.dialects.tencent.translate import MIXED, Wanted
from reelroom.dialects.tencent.wire_cloud import (
    CreateCloudRecording,
    DeleteCloudRecording,
    DescribeCloudRecording,
    ModifyCloudRecording,
)
from reelroom.domain import events
from reelroom.domain.events import Draft
from reelroom.domain.mix import Mix
from reelroom.domain.recording import ACTIVE, ENDED, State, StopReason
from reelroom.domain.scene import Scene
from reelroom.store import tables

log = structlog.get_logger("reelroom.tencent")

DIALECT = "tencent"
CLOUD, MCU, STREAM = "cloud", "mcu", "stream"  # what kind of recording it is here
HOUR_NS = 3600 * 10**9
TWICE = "the same UserId entered the room again"  # how a task ends of which somebody else has the name
IMAGE_MISSING = "image.missing"  # the event of an image that could not be had


class Tasks:
    """Everything behind the routes; one per control process (it holds the locks)."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._locks: weakref.WeakValueDictionary[tuple[str, ...], asyncio.Lock] = weakref.WeakValueDictionary()

    # CreateCloudRecording

    async def create(self, app: AppContext, request: CreateCloudRecording, host: str) -> dict[str, Any]:
        """`host`: this server's base URL as the caller wrote it, for the URLs of files in callbacks."""
        check_app(app, request.SdkAppId, recording=True)
        self._check_user_sig(app, request)
        now = time.time_ns()
        task = uuid.uuid4().hex
        with errors.as_said():
            asked = translate.wanted(request, task, app.id, now)
        async with self._locks.setdefault((app.id, asked.spec.room), asyncio.Lock()):
            rows = await active(self._context, app)
            most = settings(app).max_recordings
            if most and len(rows) >= most:
                raise errors.too_many_tasks(most)
            taken = request.UserId in await people(self._context, app, asked.spec.room)
            await self._context.starts.start(self._new(app, request, asked, host, now))
            for row in rows:
                same = row.dialect_data.get("user_id") == request.UserId and row.dialect_data.get("kind") == CLOUD
                if row.room == asked.spec.room and same:
                    await self._end(app, row.id, TWICE)
            if taken:  # the vendor's room throws out whoever entered first, and that one comes back
                await self._end(app, task, TWICE)
        await self._tell_missing(task, asked.spec.mix, asked.images)
        return {"TaskId": task}

    def _check_user_sig(self, app: AppContext, request: CreateCloudRecording) -> None:
        if not settings(app).check_user_sig:
            return
        key = app.secrets["tencent"].get("sdk_secret_key", "")
        try:
            usersig.check(request.UserSig, key, request.SdkAppId, request.UserId, time.time())
        except ValueError as error:
            raise errors.invalid("UserSig", f"UserSig is wrong: {error}.") from None

    def _new(self, app: AppContext, request: CreateCloudRecording, asked: Wanted, host: str, now: int) -> NewRecording:
        chosen, vod = settings(app), asked.vod
        data: dict[str, Any] = {
            "kind": CLOUD,
            "user_id": request.UserId,
            "room": request.RoomId,
            "room_type": request.RoomIdType,
            "sdk_app_id": request.SdkAppId,
            "expires_ns": now + request.ResourceExpiredHour * HOUR_NS,
            "mode": request.RecordParams.RecordMode,
            "stream_type": request.RecordParams.StreamType,
            "media": request.RecordParams.MediaId,
            "fill_type": request.RecordParams.FillType,
            "vod": vod is not None,
        }
        if vod is not None:
            data |= {"class_id": vod.ClassId, "sub_app_id": vod.SubAppId, "source_context": vod.SourceContext}
        own = asked.library is None and chosen.storage == "app"
        return NewRecording(
            app=app,
            spec=asked.spec,
            destination=None if own else asked.destination,
            must_resolve=False,  # a provider's host; the vendor takes the start and finds out later, too
            callback=told(self._context, app, host),
            dialect=DIALECT,
            dialect_data=data,
            images=asked.images,
            library=asked.library,
        )

    async def _end(self, app: AppContext, task: str, message: str) -> None:
        try:
            await self._context.recordings.stop(app.id, task, reason=StopReason.ERROR, message=message)
        except ControlError as error:
            if error.kind != "conflict":  # it is ending already
                raise

    async def _tell_missing(self, task: str, mix: Mix | None, images: dict[str, ImageSource] | Any) -> None:
        """An event for each image that the scene was to show and does not: it could not be had."""
        if mix is None or not images:
            return
        row = await self._row(task)
        if row is None:
            return
        shown = msgspec.convert(row.spec["mix"], Mix).scene
        await self._tell(task, _missing(mix.scene, shown, images))

    async def _tell(self, task: str, urls: Sequence[str]) -> None:
        if not urls:
            return
        now = time.time_ns()
        drafts = [Draft(IMAGE_MISSING, now, {"url": url}, f"image {now} {url}") for url in urls]
        async with self._context.database.transaction() as session:
            await session.run_sync(lambda sync: add_events(sync.connection(), task, drafts))
        self._context.changes.notify(task)
        self._context.callbacks.poke(task)

    # DescribeCloudRecording, ModifyCloudRecording, DeleteCloudRecording

    async def describe(self, app: AppContext, request: DescribeCloudRecording, _host: str) -> dict[str, Any]:
        check_app(app, request.SdkAppId, recording=True)
        row = await self._task(app, request.TaskId)
        state = State(row.state)
        if state in ENDED:
            raise errors.no_task(request.TaskId)
        tracks, playlists = await self._media(row.id)
        return {
            "TaskId": row.id,
            "Status": answers.status(state, bool(row.dialect_data.get("stopped")), tracks),
            "StorageFileList": [] if row.dialect_data["vod"] else answers.storage_files(playlists),
            "RecorderKey": None,
        }

    async def modify(self, app: AppContext, request: ModifyCloudRecording, _host: str) -> dict[str, Any]:
        """The whole of both objects is replaced: what is left out is as if it had never been given."""
        check_app(app, request.SdkAppId, recording=True)
        row = await self._running(app, request.TaskId)
        data = row.dialect_data
        subscription = translate.subscription(request.SubscribeStreamUserIds, data["stream_type"], data["media"])
        scene = None
        if data["mode"] == MIXED:
            canvas = row.spec["mix"]["width"], row.spec["mix"]["height"]
            with errors.as_said():
                shown = mixing.shown(request.MixLayoutParams, *canvas, data["fill_type"])
            scene = SceneChange(lambda _: shown.scene, shown.images)
        try:
            row = await self._context.recordings.change(app.id, row.id, subscription, scene)
        except ControlError as error:
            if error.kind == "conflict":
                raise errors.no_task(request.TaskId) from None
            raise
        if scene is not None and shown.images:
            now_shown = msgspec.convert(row.spec["mix"], Mix).scene
            await self._tell(row.id, _missing(shown.scene, now_shown, shown.images))
        return {"TaskId": row.id}

    async def delete(self, app: AppContext, request: DeleteCloudRecording, _host: str) -> dict[str, Any]:
        check_app(app, request.SdkAppId, recording=True)
        async with self._locks.setdefault((app.id, request.TaskId), asyncio.Lock()):
            row = await self._running(app, request.TaskId)
            try:
                await self._context.recordings.stop(app.id, row.id)
            except ControlError as error:
                if error.kind == "conflict":
                    raise errors.no_task(request.TaskId) from None
                raise
            await mark_stopped(self._context, row.id)
        return {"TaskId": row.id}

    # what they have in common

    async def _row(self, task: str) -> tables.Recording | None:
        async with self._context.database.reading() as session:
            return await session.get(tables.Recording, task)

    async def _task(self, app: AppContext, task: str) -> tables.Recording:
        """The recording, for as long as calls may name it (ResourceExpiredHour)."""
        row = await self._row(task)
        if row is None or row.app != app.id or row.dialect != DIALECT or row.dialect_data.get("kind") != CLOUD:
            raise errors.no_task(task)
        if time.time_ns() >= int(row.dialect_data["expires_ns"]):
            raise errors.no_task(task)
        return row

    async def _running(self, app: AppContext, task: str) -> tables.Recording:
        row = await self._task(app, task)
        if State(row.state) not in ACTIVE or row.dialect_data.get("stopped"):
            raise errors.no_task(task)
        return row

    async def _media(self, task: str) -> tuple[int, Sequence[tables.File]]:
        """How many tracks flow now, and the playlists that have something in them."""
        event, file = tables.Event, tables.File
        added, removed = events.TRACK["added"], events.TRACK["removed"]
        changes = select(event.type, func.count()).where(event.recording == task, event.type.in_((added, removed)))
        async with self._context.database.reading() as session:
            counts: dict[str, int] = {
                str(kind): int(count) for kind, count in await session.execute(changes.group_by(event.type))
            }
            tracks = counts.get(added, 0) - counts.get(removed, 0)
            sliced = select(file.output).where(file.recording == task, file.role == "segment").distinct()
            found = select(file).where(file.recording == task, file.role == "playlist", file.output.in_(sliced))
            return tracks, (await session.scalars(found)).all()


def check_app(app: AppContext, number: int, recording: bool) -> None:
    """Whether SdkAppId is the app's, and the app of the generation that the action is of."""
    if number != sdk_app_id(app):
        message = f"The SdkAppId {number} is not one of these credentials."
        raise (
            errors.invalid("SdkAppId", message)
            if recording
            else errors.TencentError("UnauthorizedOperation.SdkAppId", message)
        )
    generation = settings(app).generation
    if recording and generation == "classic":
        raise errors.wrong_generation("This application records by relayed streams (tencent.generation is classic).")
    if not recording and generation == "new":
        raise errors.rejected("push switch not open (tencent.generation is new)")


def told(context: Context, app: AppContext, host: str) -> CallbackSpec | None:
    """Where callbacks go, and what they need to say the URLs of files."""
    where = callback(app)
    if where is None:
        return None
    base = settings(app).media_base or host
    return replace(where, extra={"base": base, "key": context.library.key.hex()})


async def people(context: Context, app: AppContext, room: str) -> set[str]:
    """Who is in the room now."""
    try:
        found = await context.rooms.get(app.id, room)
    except ControlError as error:
        if error.kind != "not_found":
            raise
        return set()
    return {str(participant["identity"]) for participant in found["participants"]}


async def active(context: Context, app: AppContext, room: str | None = None) -> list[tables.Recording]:
    """The app's recordings of this dialect that go on."""
    row = tables.Recording
    found = select(row).where(
        row.app == app.id, row.dialect == DIALECT, row.state.in_([str(state) for state in ACTIVE])
    )
    if room is not None:
        found = found.where(row.room == room)
    async with context.database.reading() as session:
        rows = (await session.scalars(found.order_by(row.created_ns))).all()
    return [each for each in rows if not each.dialect_data.get("stopped")]


async def mark_stopped(context: Context, id: str) -> None:
    """Note that it was stopped by call: the recorder takes a moment to say so itself."""
    async with context.database.transaction() as session:
        row = await session.get_one(tables.Recording, id, with_for_update=True)
        row.dialect_data = {**row.dialect_data, "stopped": True}


def _missing(wanted: Scene, got: Scene, images: Any) -> list[str]:
    """URLs of what a scene was to show and does not."""
    pairs = [(wanted.background.image, got.background.image), (wanted.placeholder.image, got.placeholder.image)]
    for pane, had in zip(wanted.layout.panes, got.layout.panes, strict=True):
        if pane.placeholder is not None:
            pairs.append((pane.placeholder.image, had.placeholder.image if had.placeholder else ""))
    urls = {images[name].url for name, there in pairs if name and not there}
    marks = [mark.image for mark in wanted.watermarks if mark.image]
    if len(marks) != sum(bool(mark.image) for mark in got.watermarks):
        # Which of them is told by what is left: they keep their order and places.
        left = [(mark.x, mark.y, mark.width, mark.height) for mark in got.watermarks if mark.image]
        for mark in wanted.watermarks:
            place = (mark.x, mark.y, mark.width, mark.height)
            if mark.image and place in left:
                left.remove(place)
            elif mark.image:
                urls.add(images[mark.image].url)
    return sorted(urls)
