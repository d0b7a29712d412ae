"""The four actions of API 3.0 as use cases: create, describe, modify, delete (section 2). Holds no HTTP.

`sessions.py` is its name in the dialect of Agora.
"""

from __future__ import annotations

import asyncio
import time
import uuid
import weakref
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, case, func, select
from sqlalchemy.orm import Session

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.errors import ControlError
from reelroom.control.new_recording import NewRecording
from reelroom.control.recorded import SLICED
from reelroom.control.recordings import SceneChange
from reelroom.dialects.tencent import answers, errors, images, mixing, naming, translate, usersig
from reelroom.dialects.tencent.recordings import CLOUD, DIALECT, active, check_app, mark_stopped, people, running, told
from reelroom.dialects.tencent.settings import settings
from reelroom.dialects.tencent.translate import MIXED, Wanted
from reelroom.dialects.tencent.wire_cloud import (
    CreateCloudRecording,
    DeleteCloudRecording,
    DescribeCloudRecording,
    ModifyCloudRecording,
)
from reelroom.domain import events
from reelroom.domain.mix import Mix
from reelroom.domain.recording import ACTIVE, ENDED, State, StopReason
from reelroom.store import tables

TWICE = "the same UserId entered the room again"  # how a task ends of which somebody else has the name

_ADDED, _REMOVED = events.TRACK["added"], events.TRACK["removed"]
_event = tables.EVENTS.c
_FLOWING = select(func.sum(case((_event.type == _ADDED, 1), else_=-1))).where(
    _event.recording == bindparam("recording"), _event.type.in_((_ADDED, _REMOVED))
)
_PLAYLISTS = select(tables.File).where(
    tables.File.recording == bindparam("recording"), tables.File.role == "playlist", SLICED
)


class Tasks:
    """Everything behind the routes; one per control process (it holds the locks)."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._locks: weakref.WeakValueDictionary[tuple[str, ...], asyncio.Lock] = weakref.WeakValueDictionary()

    # CreateCloudRecording

    async def create(self, app: AppContext, request: CreateCloudRecording, host: str) -> dict[str, Any]:
        """`host`: this server's base URL as the caller wrote it, for the URLs of files in callbacks."""
        check_app(app, request.SdkAppId, recording=True)
        self._check_tickets(app, request)
        now = time.time_ns()
        task = uuid.uuid4().hex
        with errors.as_said():
            asked = translate.wanted(request, task, app.id, now)
        async with self._locks.setdefault((app.id, asked.spec.room), asyncio.Lock()):
            most = settings(app).max_recordings
            if most and await running(self._context, app) >= most:
                raise errors.too_many_tasks(most)
            rows = await active(self._context, app, asked.spec.room)
            taken = request.UserId in await people(self._context, app, asked.spec.room)
            await self._context.starts.start(self._new(app, request, asked, host, now))
            for row in rows:
                same = row.dialect_data.get("user_id") == request.UserId and row.dialect_data.get("kind") == CLOUD
                if same:
                    await self._end(app, row.id, TWICE)
            if taken:  # the vendor's room throws out whoever entered first, and that one comes back
                await self._end(app, task, TWICE)
        if (
            asked.spec.mix is not None
            and asked.images
            and (begun := await self._context.recordings.find(task)) is not None
        ):
            shown = msgspec.convert(begun.spec["mix"], Mix).scene
            await images.tell_missing(self._context, task, asked.spec.mix.scene, shown, asked.images)
        return {"TaskId": task}

    def _check_tickets(self, app: AppContext, request: CreateCloudRecording) -> None:
        chosen, now_s = settings(app), time.time()
        user = app.secrets["tencent"].get("sdk_secret_key", ""), request.SdkAppId, request.UserId
        if chosen.check_user_sig:
            try:
                usersig.check(request.UserSig, *user, now_s)
            except ValueError as error:
                raise errors.invalid("UserSig", f"UserSig is wrong: {error}.") from None
        if chosen.check_private_map_key:
            string_room = request.RoomIdType == naming.STRING_ROOM
            naming.check_room(request.RoomId, request.RoomIdType)
            try:
                usersig.check_room(request.PrivateMapKey, *user, request.RoomId, string_room, now_s)
            except ValueError as error:
                raise errors.no_permission(f"PrivateMapKey is wrong: {error}.") from None

    def _new(self, app: AppContext, request: CreateCloudRecording, asked: Wanted, host: str, now: int) -> NewRecording:
        chosen = settings(app)
        own = asked.library is None and chosen.storage == "app"
        return NewRecording(
            app=app,
            spec=asked.spec,
            destination=None if own else asked.destination,
            must_resolve=False,  # a provider's host; the vendor takes the start and finds out later, too
            callback=told(self._context, app, host),
            dialect=DIALECT,
            dialect_data=translate.data(request, asked.vod, now),
            images=asked.images,
            library=asked.library,
        )

    async def _end(self, app: AppContext, task: str, message: str) -> None:
        try:
            await self._context.recordings.stop(app.id, task, reason=StopReason.ERROR, message=message)
        except ControlError as error:
            if error.kind != "conflict":  # it is ending already
                raise

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
        if scene is not None:
            now_shown = msgspec.convert(row.spec["mix"], Mix).scene
            await images.tell_missing(self._context, row.id, shown.scene, now_shown, shown.images)
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

    async def _task(self, app: AppContext, task: str) -> tables.Recording:
        """The recording, for as long as calls may name it (ResourceExpiredHour)."""
        row = await self._context.recordings.find(task)
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
        asked = {"recording": task}

        def look(session: Session) -> tuple[int, Sequence[tables.File]]:
            flow = session.connection().scalar(_FLOWING, asked)
            return int(flow or 0), session.scalars(_PLAYLISTS, asked).all()

        return await self._context.database.look(look)
