"""Starting recordings: once for each key, for sure once it was said, and nothing left behind otherwise."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import msgspec
from sqlalchemy import Delete, bindparam, select
from sqlalchemy import delete as delete_rows
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from reelroom.config import Settings
from reelroom.control import destinations
from reelroom.control.capacity import Capacity
from reelroom.control.errors import ControlError
from reelroom.control.guard import Unresolved, check_url
from reelroom.control.images import Images, sources
from reelroom.control.new_recording import NewRecording, check, fingerprint
from reelroom.control.pushes import check_push
from reelroom.control.queues import is_queue
from reelroom.control.recorders import Recorders
from reelroom.deliver.storage import local_root
from reelroom.domain.mix import Mix, Push
from reelroom.domain.recording import ACTIVE, RecordingSpec, State
from reelroom.store import tables
from reelroom.store.db import Database
from reelroom.store.secrets import SecretBox

IDEMPOTENCY_NS = 7 * 86_400 * 10**9  # for so long a key is remembered
LATE_S = 3.0  # a recorder says that it has begun well before

#: Asked again and again, mostly in vain.
_LATE = (
    select(tables.RECORDINGS.c.id)
    .where(tables.RECORDINGS.c.state == str(State.STARTING), tables.RECORDINGS.c.created_ns <= bindparam("until"))
    .limit(1)
)


class Starts:
    """Starts recordings of all apps."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        box: SecretBox,
        recorders: Recorders,
        capacity: Capacity | None = None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._box = box
        self._recorders = recorders
        self._capacity = capacity
        self._images = Images(settings.allow_private)

    async def start(self, new: NewRecording) -> tables.Recording:
        """See `start_once`."""
        return (await self.start_once(new))[0]

    async def start_once(self, new: NewRecording) -> tuple[tables.Recording, bool]:
        """The recording, and whether its Idempotency-Key had already made it.

        Overloaded when the machine has no room for it. Returns when its recorder was forked. If there is no fork server
        at the moment the recording stays STARTING and `start_late` begins it when that is back: nothing that was
        answered with success is forgotten.
        """
        spec = new.spec
        check(new, self._settings)
        digest = fingerprint(new)
        if new.idempotency_key and (known := await self._known(new, digest)):
            return known, True
        if self._capacity is None:
            return await self._begin(new, digest)
        await self._capacity.admit(spec)
        replayed = True
        try:
            row, replayed = await self._begin(new, digest)
        finally:
            if replayed:  # or failed
                self._capacity.release(spec.id)
        return row, replayed

    async def check(self, new: NewRecording) -> None:
        """ControlError when `new` could not be started, whatever is in its room: for templates. Fetches no image."""
        check(new, self._settings)
        await self._destination(replace(new, must_resolve=False))
        await self._check_callback(new)
        if new.spec.mix is not None:
            try:
                await self._check_pushes(new.spec.mix)
            except Unresolved:
                pass  # it is to be found when it starts

    async def _begin(self, new: NewRecording, digest: str) -> tuple[tables.Recording, bool]:
        destination = await self._destination(new)
        try:
            spec = await self._with_images(new)
            row = await self._row(new, spec)
            key = None
            if new.idempotency_key:
                key = tables.Idempotency(
                    app=new.app.id,
                    key=new.idempotency_key,
                    fingerprint=digest,
                    recording=row.id,
                    created_ns=row.created_ns,
                )
            await self._database.write(partial(_insert, row, destination, key))
        except IntegrityError as error:  # somebody was faster with the same key, or the id is taken
            await self._forget_images(new)
            if new.idempotency_key and (known := await self._known(new, digest)):
                return known, True
            if new.match and await self._active_match(new.match) is not None:
                raise ControlError("conflict", "its rule's match is being recorded already", "match") from error
            raise ControlError("conflict", f"recording {row.id} exists already", "id") from error
        except ControlError:
            await self._forget_images(new)
            raise
        await self._recorders.prepare(spec)
        await self._recorders.start(spec.id)
        return row, False

    async def _with_images(self, new: NewRecording) -> RecordingSpec:
        """The spec with its images' real names, once they are in its folder and where it pushes to is allowed."""
        spec = new.spec
        if spec.mix is None:
            return spec
        await self._check_pushes(spec.mix)
        scene = spec.mix.scene
        if not scene.images():
            return spec
        async with self._database.reading() as session:  # nothing is put into the folder of another's recording
            if await session.get(tables.Recording, spec.id) is not None:
                raise ControlError("conflict", f"recording {spec.id} exists already", "id")
        names = await self._images.load(self._recorders.folder(spec.id), sources(scene, new.images))
        mix = msgspec.structs.replace(spec.mix, scene=scene.with_images(names))
        return msgspec.structs.replace(spec, mix=mix)

    async def _forget_images(self, new: NewRecording) -> None:
        """Remove what a start that failed had put into a folder, unless the folder is another recording's."""
        if not new.images:
            return
        async with self._database.reading() as session:
            if await session.get(tables.Recording, new.spec.id) is not None:
                return
        await self._recorders.remove(new.spec.id)

    async def _destination(self, new: NewRecording) -> tables.Destination | None:
        if new.destination is None:
            return None
        settings = self._settings
        checked = await destinations.check(
            new.destination,
            local_root(settings.storage, new.app.id),
            settings.allow_private,
            must_resolve=new.must_resolve,
        )
        return destinations.row(new.app.id, checked, self._box)

    async def _check_callback(self, new: NewRecording) -> None:
        if new.callback is None or is_queue(new.callback.url, "callback.url"):
            return
        try:
            await check_url(new.callback.url, self._settings.allow_private, "callback.url")
        except Unresolved:
            pass  # name servers may be away. Each delivery looks the name up, checks it again, and is retried

    async def _check_pushes(self, mix: Mix) -> None:
        for number, push in enumerate(mix.pushes):
            await check_push(push, self._settings.allow_private, f"mix.pushes.{number}.url")

    async def _row(self, new: NewRecording, spec: RecordingSpec) -> tables.Recording:
        callback = None
        if new.callback is not None:
            await self._check_callback(new)
            callback = self._box.seal(
                {
                    "url": new.callback.url,
                    "secret": new.callback.secret,
                    "events": None if new.callback.events is None else list(new.callback.events),
                    "extra": new.callback.extra,
                }
            )
        return tables.Recording(
            id=new.spec.id,
            app=new.app.id,
            room=new.spec.room,
            mode=str(new.spec.mode),
            state=str(State.STARTING),
            reason="",
            message="",
            name=new.name,
            labels=dict(new.labels),
            spec=msgspec.to_builtins(spec.masked),
            dialect=new.dialect,
            dialect_data=new.dialect_data,
            task=new.task,
            destination=new.app.destination,
            callback=callback,
            pushes=self._sealed(spec),
            library=None if new.library is None else msgspec.to_builtins(new.library),
            match=new.match or None,
            created_ns=new.spec.requested_ns or time.time_ns(),
            started_ns=None,
            stopped_ns=None,
            finished_ns=None,
            journal_offset=0,
            journal_lines=0,
            event_seq=0,
        )

    async def _known(self, new: NewRecording, digest: str) -> tables.Recording | None:
        async with self._database.reading() as session:
            made = await session.get(tables.Idempotency, (new.app.id, new.idempotency_key))
            if made is None or made.created_ns < time.time_ns() - IDEMPOTENCY_NS:
                return None
            if made.fingerprint != digest:
                raise ControlError("invalid", "this key was used for a start with another body", "Idempotency-Key")
            found = await session.get(tables.Recording, made.recording)
        if found is None:
            raise ControlError("conflict", "the recording that this key made was deleted", "Idempotency-Key")
        return found

    async def recover(self) -> None:
        """Forget old Idempotency-Keys, and start what was accepted and could not be started: see `start_late`."""
        await self.forget_keys()
        await self.start_late(0)

    async def forget_keys(self) -> None:
        """Delete the Idempotency-Keys that are not to be remembered any more."""
        async with self._database.transaction() as session:
            await session.execute(_old_keys())

    async def start_late(self, after_s: float = LATE_S) -> int:
        """Start recordings that have been STARTING for `after_s`, and return how many recorders that made.

        There was no fork server when they were asked for, or control was killed in between.
        """
        until = time.time_ns() - int(after_s * 1e9)
        found = await self._database.run(lambda connection: connection.scalar(_LATE, {"until": until}), reading=True)
        if found is None:
            return 0
        row = tables.Recording
        async with self._database.reading() as session:
            query = select(row).where(row.state == str(State.STARTING), row.created_ns <= until)
            rows = (await session.scalars(query.order_by(row.created_ns).limit(100))).all()
        started = 0
        for late in rows:
            folder = self._recorders.folder(late.id)
            if (folder / "journal.jsonl").exists():
                continue  # it has begun: the fork server looks after it
            if not (folder / "spec.json").exists():
                await self._recorders.prepare(self._whole(late))
            if not await self._recorders.start(late.id):
                break  # no fork server: the others would wait for it too
            started += 1
        return started

    def _sealed(self, spec: RecordingSpec) -> bytes | None:
        """The secrets that a row's spec does not show; `_whole` puts them back."""
        if spec.mix is None or not spec.mix.pushes:
            return None
        return self._box.seal({push.id: push.url for push in spec.mix.pushes})

    def _whole(self, row: tables.Recording) -> RecordingSpec:
        """What a row's spec was before secrets were taken out of it."""
        spec = msgspec.convert(row.spec, RecordingSpec)
        if spec.mix is None or row.pushes is None:
            return spec
        urls = self._box.open(row.pushes)
        pushes = tuple(Push(id=push.id, url=urls[push.id]) for push in spec.mix.pushes)
        return msgspec.structs.replace(spec, mix=msgspec.structs.replace(spec.mix, pushes=pushes))

    async def _active_match(self, match: str) -> tables.Recording | None:
        """The recording that goes on for a rule's match; there is one at most."""
        row = tables.Recording
        async with self._database.reading() as session:
            query = select(row).where(row.match == match, row.state.in_([str(state) for state in ACTIVE]))
            return (await session.scalars(query.limit(1))).first()


def _insert(
    row: tables.Recording,
    destination: tables.Destination | None,
    key: tables.Idempotency | None,
    session: Session,
) -> None:
    if destination is not None:
        session.add(destination)
        session.flush()
        row.destination = destination.id
    session.add(row)
    if key is not None:
        mine = tables.Idempotency.app == key.app, tables.Idempotency.key == key.key
        session.execute(_old_keys().where(*mine))  # it may be used again by now
        session.add(key)


def _old_keys() -> Delete:
    return delete_rows(tables.Idempotency).where(tables.Idempotency.created_ns < time.time_ns() - IDEMPOTENCY_NS)
