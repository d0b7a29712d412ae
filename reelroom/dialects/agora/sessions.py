"""Agora's six calls as use cases: acquire, start, query, update, updateLayout, stop. Holds no HTTP, no wire types.

The rules about identifiers, lifetimes and what each call says in each state are here (sections 1.9, 2 and 7.1).
"""

from __future__ import annotations

import asyncio
import time
import uuid
import weakref
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import ColumnElement, func, select

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.destinations import DestinationSpec
from reelroom.control.errors import ControlError
from reelroom.control.new_recording import NewRecording
from reelroom.control.recordings import SceneChange
from reelroom.dialects.agora import answers, claims, delivery, errors, mixing, naming, postponed, translate
from reelroom.dialects.agora.claims import DIALECT, HOUR_NS
from reelroom.dialects.agora.files import known_name, listed
from reelroom.dialects.agora.redirect import redirect
from reelroom.dialects.agora.resource import PURPOSE, Resource, ResourceIds, new_nonce
from reelroom.dialects.agora.settings import callback, settings
from reelroom.dialects.agora.translate import INDIVIDUAL
from reelroom.dialects.agora.wire import (
    AcquireRequest,
    Frame,
    StartRequest,
    StopRequest,
    UpdateRequest,
    parse,
)
from reelroom.domain.recording import ACTIVE, ENDED, State, StopReason
from reelroom.store import tables

log = structlog.get_logger("reelroom.agora")


@dataclass(slots=True)
class Session:
    """A recording that a call names, with the resource id as the caller wrote it."""

    resource: Resource
    resource_id: str
    row: tables.Recording

    @property
    def stopped(self) -> bool:
        """Somebody has called `stop` of this API."""
        return bool(self.row.dialect_data.get("stopped"))

    @property
    def identifiers(self) -> dict[str, str]:
        resource = self.resource
        return {"cname": resource.cname, "uid": resource.uid, "resourceId": self.resource_id, "sid": self.row.id}


class Sessions:
    """Everything behind the routes; one per control process (it holds the locks)."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ids = ResourceIds(context.box.derive(PURPOSE))
        self._locks: weakref.WeakValueDictionary[tuple[str, ...], asyncio.Lock] = weakref.WeakValueDictionary()

    # acquire

    async def acquire(self, app: AppContext, appid: str, frame: Frame) -> dict[str, Any]:
        naming.check_cname(frame.cname)
        naming.check_uid(frame.uid)
        request = parse(AcquireRequest, frame.clientRequest, "clientRequest")
        translate.check_acquire(request)
        most = settings(app).max_recordings
        if most and await self._running(app) >= most:
            raise errors.over_load()
        if not self._context.capacity.ledger.fits(0.0):
            raise errors.no_worker_manager()
        resource = Resource(
            app=app.id,
            appid=appid,
            cname=frame.cname,
            uid=frame.uid,
            scene=request.scene,
            expired_hour=request.resourceExpiredHour,
            issued_ns=time.time_ns(),
            nonce=new_nonce(),
            start_hash=self._ids.start_hash(request.startParameter) if request.startParameter else "",
        )
        return {"cname": frame.cname, "uid": frame.uid, "resourceId": self._ids.seal(resource)}

    # start

    async def start(self, app: AppContext, appid: str, resource_id: str, mode: str, frame: Frame) -> dict[str, Any]:
        resource = self._open(app, appid, resource_id)
        if (frame.cname, frame.uid) != (resource.cname, resource.uid):
            raise errors.identity_mismatch("cname" if frame.cname != resource.cname else "uid")
        async with self._lock(app, resource.cname, resource.uid):
            return await self._start(app, resource, resource_id, mode, frame)

    async def _start(
        self, app: AppContext, resource: Resource, resource_id: str, mode: str, frame: Frame
    ) -> dict[str, Any]:
        names = {"cname": resource.cname, "uid": resource.uid, "resourceId": resource_id}
        now = time.time_ns()
        sid = await claims.claimed(self._context.database, resource)
        if sid and (row := await self._recording(app, sid)):
            if State(row.state) in ENDED:
                raise errors.resource_expired("it was used for a recording that has ended; acquire another")
            await delivery.misplaced(self._context, row, "start")
            raise errors.already_started(**names, sid=sid)
        if resource.expired(now):
            raise errors.resource_expired("it was not started within 5 minutes")
        if resource.start_hash and resource.start_hash != self._ids.start_hash(frame.clientRequest):
            raise errors.request_hash_mismatch()
        request = parse(StartRequest, frame.clientRequest, "clientRequest")
        storage = translate.where_to(request.storageConfig, now // 10**9)
        sid = sid or uuid.uuid4().hex
        spec, images = translate.spec(
            request,
            sid=sid,
            app=app.id,
            cname=resource.cname,
            prefix=storage.prefix,
            requested_ns=now,
            mode=mode,
            scene=resource.scene,
        )
        if await self._conflict(app, resource):
            raise errors.task_conflict(**names)
        taken = await self._uid_in_room(app, resource)
        await claims.claim(self._context.database, resource, sid, now)
        new = NewRecording(
            app=app,
            spec=spec,
            destination=self._destination(app, storage.service, storage.options),
            must_resolve=not storage.ours,  # the vendor takes the start and finds out later, too
            callback=callback(app),
            dialect=DIALECT,
            dialect_data={
                "uid": resource.uid,
                "nonce": resource.nonce,
                "expires_ns": now + resource.expired_hour * HOUR_NS,
                "mode": mode,
                "stream_types": request.recordingConfig.streamTypes,
                "prefix": storage.prefix,
                "postponed": postponed.mode_of(spec),
            },
            images=images,
        )
        await self._context.starts.start(new)
        if taken:
            # The vendor accepts the call and the two clients throw each other out: the task fails afterwards.
            message = f"uid {resource.uid} is taken by somebody in the channel"
            await self._context.recordings.stop(app.id, sid, reason=StopReason.ERROR, message=message)
        return {**names, "sid": sid}

    async def _uid_in_room(self, app: AppContext, resource: Resource) -> bool:
        try:
            room = await self._context.rooms.get(app.id, resource.cname)
        except ControlError as error:
            if error.kind != "not_found":
                raise
            return False
        return any(participant["identity"] == resource.uid for participant in room["participants"])

    def _destination(self, app: AppContext, service: str, options: dict[str, str]) -> DestinationSpec | None:
        """The caller's storage, unless the operator wants everything in the app's own."""
        if settings(app).storage == "app":
            return None
        return DestinationSpec(service, options)

    # query, update, stop

    async def query(self, app: AppContext, appid: str, resource_id: str, sid: str, mode: str) -> dict[str, Any]:
        session = await self._session(app, appid, resource_id, sid, mode)
        state = State(session.row.state)
        if state in ENDED or session.row.reason == StopReason.ERROR:
            raise errors.no_worker(**session.identifiers)
        if session.stopped and state in ACTIVE:
            state = State.FINISHING  # the recorder has not said so yet
        files = await listed(self._context.database, session.row)
        response = answers.query(state, files.uploaded, files.indexes, known_name(session.row))
        return {**session.identifiers, "serverResponse": response}

    async def update(
        self, app: AppContext, appid: str, resource_id: str, sid: str, mode: str, frame: Frame
    ) -> dict[str, Any]:
        session = await self._running_session(app, appid, resource_id, sid, mode, frame)
        request = parse(UpdateRequest, frame.clientRequest, "clientRequest")
        translate.check_update(request, mode)
        subscription = None
        if request.streamSubscribe is not None:
            stream_types = int(session.row.dialect_data["stream_types"])
            layer = str(session.row.spec["subscription"].get("layer", "high"))
            subscription = translate.update_subscription(request.streamSubscribe, stream_types, layer)
        if request.storageConfig is not None:
            await self._refresh_storage(app, session, request)
        if subscription is not None:
            await self._context.recordings.change(app.id, sid, subscription)
        return session.identifiers

    async def update_layout(
        self, app: AppContext, appid: str, resource_id: str, sid: str, mode: str, frame: Frame
    ) -> dict[str, Any]:
        session = await self._running_session(app, appid, resource_id, sid, mode, frame)
        shown = mixing.update_layout(frame.clientRequest)
        await self._context.recordings.change(app.id, sid, scene=SceneChange(lambda _: shown.scene, shown.images))
        return session.identifiers

    async def _refresh_storage(self, app: AppContext, session: Session, request: UpdateRequest) -> None:
        """Use other credentials or another bucket from now on; names stay what they were at start."""
        where = "clientRequest.storageConfig"
        assert request.storageConfig is not None
        storage = translate.where_to(request.storageConfig, time.time_ns() // 10**9)
        if storage.prefix != session.row.dialect_data["prefix"]:
            raise errors.not_supported(f"{where}.fileNamePrefix: it cannot change while recording")
        destination = self._destination(app, storage.service, storage.options)
        if destination is not None:
            await redirect(self._context, app, session.row.id, destination, must_resolve=not storage.ours)

    async def stop(
        self, app: AppContext, appid: str, resource_id: str, sid: str, mode: str, frame: Frame
    ) -> dict[str, Any]:
        session = await self._session(app, appid, resource_id, sid, mode, frame)
        request = parse(StopRequest, frame.clientRequest, "clientRequest")
        recordings = self._context.recordings
        async with self._lock(app, sid):
            session = await self._session(app, appid, resource_id, sid, mode, frame)
            if session.stopped:
                await delivery.misplaced(self._context, session.row, "stop")
                raise errors.already_leaving(**session.identifiers)
            state = State(session.row.state)
            if state in ENDED or session.row.reason == StopReason.ERROR:
                raise errors.no_worker(**session.identifiers)
            if state not in ACTIVE:
                await delivery.misplaced(self._context, session.row, "stop")
                raise errors.already_leaving(**session.identifiers)
            await recordings.stop(app.id, sid)
            await self._mark_stopped(sid)
        if request.async_stop:
            uploading, files = "unknown", await listed(self._context.database, session.row)
        else:
            uploading, files = await delivery.delivered(self._context, session.row, session.identifiers)
        response = answers.stop(uploading, files.indexes, known_name(session.row))
        return {**session.identifiers, "serverResponse": response}

    async def _mark_stopped(self, sid: str) -> None:
        """Note that `stop` was called: the recorder takes a moment to say so itself."""
        async with self._context.database.transaction() as session:
            row = await session.get_one(tables.Recording, sid, with_for_update=True)
            row.dialect_data = {**row.dialect_data, "stopped": True}

    # what the calls have in common

    def _lock(self, app: AppContext, *names: str) -> asyncio.Lock:
        """One at a time for what the names say; there is one control process, so a lock in memory will do."""
        return self._locks.setdefault((app.id, *names), asyncio.Lock())

    def _open(self, app: AppContext, appid: str, resource_id: str) -> Resource:
        resource = self._ids.open(resource_id)
        if (resource.app, resource.appid) != (app.id, appid):
            raise errors.not_of_resource("appid")
        return resource

    async def _running_session(
        self, app: AppContext, appid: str, resource_id: str, sid: str, mode: str, frame: Frame
    ) -> Session:
        session = await self._session(app, appid, resource_id, sid, mode, frame)
        if session.stopped or State(session.row.state) not in ACTIVE:
            raise errors.no_worker(**session.identifiers)
        return session

    async def _session(
        self, app: AppContext, appid: str, resource_id: str, sid: str, mode: str, frame: Frame | None = None
    ) -> Session:
        """The recording that a call after start names; every way in which it does not name one is an error."""
        resource = self._open(app, appid, resource_id)
        if frame and (frame.cname, frame.uid) != (resource.cname, resource.uid):
            raise errors.identity_mismatch("cname" if frame.cname != resource.cname else "uid")
        row = await self._recording(app, sid)
        if row is None or row.dialect != DIALECT:
            raise errors.no_worker()
        if row.dialect_data.get("nonce") != resource.nonce:
            raise errors.not_of_resource("sid")
        session = Session(resource, resource_id, row)
        if row.dialect_data.get("mode", INDIVIDUAL) != mode:
            raise errors.no_worker(**session.identifiers)  # no recorder of that mode answers
        if time.time_ns() >= int(row.dialect_data["expires_ns"]):
            raise errors.no_worker(**session.identifiers)
        return session

    async def _recording(self, app: AppContext, sid: str) -> tables.Recording | None:
        row = await self._context.recordings.find(sid)
        return row if row is not None and row.app == app.id else None

    async def _running(self, app: AppContext) -> int:
        query = select(func.count()).select_from(tables.Recording).where(*_going(app))
        return await self._context.database.look(lambda session: session.scalar(query)) or 0

    async def _conflict(self, app: AppContext, resource: Resource) -> bool:
        row = tables.Recording
        query = select(row.dialect_data).where(*_going(app), row.room == resource.cname)
        kept = await self._context.database.look(lambda session: session.scalars(query).all())
        return any(one.get("uid") == resource.uid for one in kept)


def _going(app: AppContext) -> tuple[ColumnElement[bool], ...]:
    """Of recordings: those of the app, of this dialect, that go on."""
    row = tables.Recording
    return row.app == app.id, row.dialect == DIALECT, row.state.in_([str(state) for state in ACTIVE])
