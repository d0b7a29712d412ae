"""What Agora's calls name: resource ids, the recordings that go with them, and a turn for each. Carries no call out."""

from __future__ import annotations

import asyncio
import time
import weakref
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.dialects.agora import errors
from reelroom.dialects.agora.claims import DIALECT
from reelroom.dialects.agora.resource import PURPOSE, Resource, ResourceIds
from reelroom.dialects.agora.translate import INDIVIDUAL
from reelroom.dialects.agora.wire import Frame
from reelroom.domain.recording import ACTIVE, State
from reelroom.store import tables


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


class Named:
    """Looks up what calls name; one per control process (it holds the locks)."""

    def __init__(self, context: Context) -> None:
        self.ids = ResourceIds(context.box.derive(PURPOSE))
        self._context = context
        self._locks: weakref.WeakValueDictionary[tuple[str, ...], asyncio.Lock] = weakref.WeakValueDictionary()

    def lock(self, app: AppContext, *names: str) -> asyncio.Lock:
        """One at a time for what the names say; there is one control process, so a lock in memory will do."""
        return self._locks.setdefault((app.id, *names), asyncio.Lock())

    def resource(self, app: AppContext, appid: str, resource_id: str, frame: Frame | None = None) -> Resource:
        """What a resource id says, if it was given to this caller, and for what the call's frame names."""
        resource = self.ids.open(resource_id)
        if (resource.app, resource.appid) != (app.id, appid):
            raise errors.not_of_resource("appid")
        if frame and (frame.cname, frame.uid) != (resource.cname, resource.uid):
            raise errors.identity_mismatch("cname" if frame.cname != resource.cname else "uid")
        return resource

    async def running_session(
        self, app: AppContext, appid: str, resource_id: str, sid: str, mode: str, frame: Frame
    ) -> Session:
        """The same as `session`, for calls that want one that goes on."""
        session = await self.session(app, appid, resource_id, sid, mode, frame)
        if session.stopped or State(session.row.state) not in ACTIVE:
            raise errors.no_worker(**session.identifiers)
        return session

    async def session(
        self, app: AppContext, appid: str, resource_id: str, sid: str, mode: str, frame: Frame | None = None
    ) -> Session:
        """The recording that a call after start names; every way in which it does not name one is an error."""
        resource = self.resource(app, appid, resource_id, frame)
        row = await self.recording(app, sid)
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

    async def recording(self, app: AppContext, sid: str) -> tables.Recording | None:
        """One of the app's, of whatever API."""
        row = await self._context.recordings.find(sid)
        return row if row is not None and row.app == app.id else None

    async def running(self, app: AppContext) -> int:
        """How many recordings of this API the app has that go on."""
        query = select(func.count()).select_from(tables.Recording).where(*_going(app))
        return await self._context.database.look(lambda session: session.scalar(query)) or 0

    async def conflict(self, app: AppContext, resource: Resource) -> bool:
        """Whether another one of the same channel goes on under the same uid."""
        row = tables.Recording
        query = select(row.dialect_data).where(*_going(app), row.room == resource.cname)
        kept = await self._context.database.look(lambda session: session.scalars(query).all())
        return any(one.get("uid") == resource.uid for one in kept)


def _going(app: AppContext) -> tuple[ColumnElement[bool], ...]:
    """Of recordings: those of the app, of this dialect, that go on."""
    row = tables.Recording
    return row.app == app.id, row.dialect == DIALECT, row.state.in_([str(state) for state in ACTIVE])
