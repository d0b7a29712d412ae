"""Agora's six calls as use cases: acquire, start, query, update, updateLayout, stop. Holds no HTTP, no wire types.

The rules about lifetimes and what each call says in each state are here (sections 1.9, 2 and 7.1), those about
identifiers in `named.py`.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.destinations import DestinationSpec
from reelroom.control.errors import ControlError
from reelroom.control.new_recording import NewRecording
from reelroom.control.recordings import SceneChange
from reelroom.dialects.agora import answers, claims, delivery, errors, mixing, naming, postponed, translate
from reelroom.dialects.agora.claims import DIALECT, HOUR_NS
from reelroom.dialects.agora.files import known_name, listed
from reelroom.dialects.agora.named import Named, Session
from reelroom.dialects.agora.redirect import redirect
from reelroom.dialects.agora.resource import Resource, new_nonce
from reelroom.dialects.agora.settings import callback, settings
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


class Sessions:
    """Everything behind the routes; one per control process."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._named = Named(context)

    # acquire

    async def acquire(self, app: AppContext, appid: str, frame: Frame) -> dict[str, Any]:
        naming.check_cname(frame.cname)
        naming.check_uid(frame.uid)
        request = parse(AcquireRequest, frame.clientRequest, "clientRequest")
        translate.check_acquire(request)
        most = settings(app).max_recordings
        if most and await self._named.running(app) >= most:
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
            start_hash=self._named.ids.start_hash(request.startParameter) if request.startParameter else "",
        )
        return {"cname": frame.cname, "uid": frame.uid, "resourceId": self._named.ids.seal(resource)}

    # start

    async def start(self, app: AppContext, appid: str, resource_id: str, mode: str, frame: Frame) -> dict[str, Any]:
        resource = self._named.resource(app, appid, resource_id, frame)
        async with self._named.lock(app, resource.cname, resource.uid):
            return await self._start(app, resource, resource_id, mode, frame)

    async def _start(
        self, app: AppContext, resource: Resource, resource_id: str, mode: str, frame: Frame
    ) -> dict[str, Any]:
        names = {"cname": resource.cname, "uid": resource.uid, "resourceId": resource_id}
        now = time.time_ns()
        sid = await claims.claimed(self._context.database, resource)
        if sid and (row := await self._named.recording(app, sid)):
            if State(row.state) in ENDED:
                raise errors.resource_expired("it was used for a recording that has ended; acquire another")
            await delivery.misplaced(self._context, row, "start")
            raise errors.already_started(**names, sid=sid)
        if resource.expired(now):
            raise errors.resource_expired("it was not started within 5 minutes")
        if resource.start_hash and resource.start_hash != self._named.ids.start_hash(frame.clientRequest):
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
            slice_s=settings(app).slice_s,
        )
        if await self._named.conflict(app, resource):
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
        session = await self._named.session(app, appid, resource_id, sid, mode)
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
        session = await self._named.running_session(app, appid, resource_id, sid, mode, frame)
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
        session = await self._named.running_session(app, appid, resource_id, sid, mode, frame)
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
        session = await self._named.session(app, appid, resource_id, sid, mode, frame)
        request = parse(StopRequest, frame.clientRequest, "clientRequest")
        recordings = self._context.recordings
        async with self._named.lock(app, sid):
            session = await self._named.session(app, appid, resource_id, sid, mode, frame)
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
