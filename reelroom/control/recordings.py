"""The use cases of recordings: start, list, change, pause, stop, delete. Knows no dialect and no HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Delete, bindparam, func, select
from sqlalchemy import delete as delete_rows
from sqlalchemy.exc import IntegrityError

from reelroom.config import Settings
from reelroom.control import destinations
from reelroom.control.apps import AppContext
from reelroom.control.capacity import Capacity
from reelroom.control.changes import Changes
from reelroom.control.destinations import DestinationSpec
from reelroom.control.errors import ControlError
from reelroom.control.guard import Unresolved, check_url
from reelroom.control.images import Images, ImageSource
from reelroom.control.listing import after, next_cursor
from reelroom.control.pushes import check_push
from reelroom.control.queues import is_queue
from reelroom.control.recorders import Recorders
from reelroom.deliver.storage import StorageError, local_root
from reelroom.deliver.uploads import Uploader
from reelroom.domain.layout import check_layout
from reelroom.domain.library import LibrarySpec
from reelroom.domain.lines import Change, ChangeScene, Pause, Resume, Stop
from reelroom.domain.mix import Mix, Push
from reelroom.domain.naming import check_naming, used
from reelroom.domain.recording import ACTIVE, ENDED, Format, Mode, RecordingSpec, State, Subscription
from reelroom.domain.scene import Scene
from reelroom.store import tables
from reelroom.store.db import Database
from reelroom.store.destinations import forget
from reelroom.store.secrets import SecretBox

IDEMPOTENCY_NS = 7 * 86_400 * 10**9  # for so long a key is remembered
LATE_S = 3.0  # a recorder says that it has begun well before
MAX_NS = (1 << 63) - 1  # what the database's integers hold: the year 2262
SETTLE_S = 2.0  # how long pause and resume wait for the recorder to say that it did

#: Asked again and again, mostly in vain.
_LATE = (
    select(tables.RECORDINGS.c.id)
    .where(tables.RECORDINGS.c.state == str(State.STARTING), tables.RECORDINGS.c.created_ns <= bindparam("until"))
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class CallbackSpec:
    """Where events go. `events` None: all; `extra`: what a dialect needs to render them."""

    url: str
    secret: str = field(repr=False, default="")
    events: tuple[str, ...] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewRecording:
    """Everything a start needs. `spec.id` is chosen by the caller (`new_id`), `spec.app` must be `app.id`."""

    app: AppContext
    spec: RecordingSpec
    name: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    destination: DestinationSpec | None = None  # None: the app's, else local storage
    callback: CallbackSpec | None = None
    dialect: str = "native"
    dialect_data: dict[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None
    must_resolve: bool = True  # the destination's host, now; False for providers' own, which no caller made up
    images: Mapping[str, ImageSource] = field(default_factory=dict)  # of the scene, by the name that it has there
    library: LibrarySpec | None = None  # finished files go into the app's library; then `destination` is None
    match: str = ""  # a rule started it, for this (domain/rules.py's Match.key)


@dataclass(frozen=True, slots=True)
class SceneChange:
    """Another scene for a mixed recording: what to make of the present one, and the images that it names."""

    edit: Callable[[Scene], Scene]  # ValueError on what cannot be
    images: Mapping[str, ImageSource] = field(default_factory=dict)


class Recordings:
    """All recordings of all apps; every call names the app whose they must be."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        box: SecretBox,
        recorders: Recorders,
        changes: Changes,
        uploader: Uploader,
        capacity: Capacity | None = None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._box = box
        self._recorders = recorders
        self._changes = changes
        self._uploader = uploader
        self._capacity = capacity
        self._images = Images(settings.allow_private)
        self._changing: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

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
        _check(spec, self._settings)
        _check_library(new)
        fingerprint = _fingerprint(new)
        if new.idempotency_key and (known := await self._known(new, fingerprint)):
            return known, True
        if self._capacity is None:
            return await self._begin(new, fingerprint)
        await self._capacity.admit(spec)
        replayed = True
        try:
            row, replayed = await self._begin(new, fingerprint)
        finally:
            if replayed:  # or failed
                self._capacity.release(spec.id)
        return row, replayed

    async def _begin(self, new: NewRecording, fingerprint: str) -> tuple[tables.Recording, bool]:
        destination = await self._destination(new)
        try:
            spec = await self._with_images(new)
            row = await self._row(new, spec)
            async with self._database.transaction() as session:
                if destination is not None:
                    session.add(destination)
                    await session.flush()
                    row.destination = destination.id
                session.add(row)
                if new.idempotency_key:
                    key = tables.Idempotency.app == new.app.id, tables.Idempotency.key == new.idempotency_key
                    await session.execute(_old_keys().where(*key))  # it may be used again by now
                    session.add(
                        tables.Idempotency(
                            app=new.app.id,
                            key=new.idempotency_key,
                            fingerprint=fingerprint,
                            recording=row.id,
                            created_ns=row.created_ns,
                        )
                    )
        except IntegrityError as error:  # somebody was faster with the same key, or the id is taken
            await self._forget_images(new)
            if new.idempotency_key and (known := await self._known(new, fingerprint)):
                return known, True
            if new.match and await self.active_match(new.match) is not None:
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
        for number, push in enumerate(spec.mix.pushes):
            await check_push(push, self._settings.allow_private, f"mix.pushes.{number}.url")
        scene = spec.mix.scene
        if not scene.images():
            return spec
        async with self._database.reading() as session:  # nothing is put into the folder of another's recording
            if await session.get(tables.Recording, spec.id) is not None:
                raise ControlError("conflict", f"recording {spec.id} exists already", "id")
        names = await self._images.load(self._recorders.folder(spec.id), _sources(scene, new.images))
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

    async def _row(self, new: NewRecording, spec: RecordingSpec) -> tables.Recording:
        callback = None
        if new.callback is not None:
            try:
                if not is_queue(new.callback.url, "callback.url"):
                    await check_url(new.callback.url, self._settings.allow_private, "callback.url")
            except Unresolved:
                pass  # name servers may be away. Each delivery looks the name up, checks it again, and is retried
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

    async def _known(self, new: NewRecording, fingerprint: str) -> tables.Recording | None:
        async with self._database.reading() as session:
            made = await session.get(tables.Idempotency, (new.app.id, new.idempotency_key))
            if made is None or made.created_ns < time.time_ns() - IDEMPOTENCY_NS:
                return None
            if made.fingerprint != fingerprint:
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

    async def get(self, app_id: str, id: str) -> tables.Recording:
        """ControlError("not_found") when it is not there or another app's."""
        async with self._database.reading() as session:
            row = await session.get(tables.Recording, id)
        if row is None or row.app != app_id:
            raise ControlError("not_found", f"no recording {id!r}"[:160])
        return row

    async def list(
        self,
        app_id: str,
        *,
        room: str | None = None,
        states: Iterable[str] = (),
        since_ns: int | None = None,
        until_ns: int | None = None,
        name_prefix: str = "",
        limit: int = 50,
        cursor: str = "",
        dialect: str | None = None,
    ) -> tuple[Sequence[tables.Recording], str]:
        """The newest first, and a cursor for the next page (empty: there is none)."""
        row = tables.Recording
        query = select(row).where(row.app == app_id).order_by(row.created_ns.desc(), row.id.desc())
        if room is not None:
            query = query.where(row.room == room)
        if wanted := [str(state) for state in states]:
            query = query.where(row.state.in_(wanted))
        if since_ns is not None:
            query = query.where(row.created_ns >= _bounded(since_ns))
        if until_ns is not None:
            query = query.where(row.created_ns < _bounded(until_ns))
        if name_prefix:
            query = query.where(func.substr(row.name, 1, len(name_prefix)) == name_prefix)
        if dialect is not None:
            query = query.where(row.dialect == dialect)
        if cursor:
            query = query.where(after(row.created_ns, row.id, cursor))
        async with self._database.reading() as session:
            found = (await session.scalars(query.limit(limit + 1))).all()
        page = found[:limit]
        return page, next_cursor(page[-1].created_ns, page[-1].id) if len(found) > limit else ""

    async def change(
        self, app_id: str, id: str, subscription: Subscription | None = None, scene: SceneChange | None = None
    ) -> tables.Recording:
        """Record other participants from now on, or show another scene, or both; None: as it is.

        One change after the other, so that what is shown last is what was asked for last.
        """
        async with self._changing.setdefault(id, asyncio.Lock()):
            row = await self._active(app_id, id)
            if subscription is not None and row.mode == Mode.MIXED:
                await asyncio.to_thread(_check_kinds, self._recorders.folder(id), subscription)
            changed = None if scene is None else await self._edited(row, scene)
            async with self._database.transaction() as session:
                row = await session.get_one(tables.Recording, id, with_for_update=True)
                spec = dict(row.spec)
                if subscription is not None:
                    spec["subscription"] = msgspec.to_builtins(subscription)
                if changed is not None:
                    spec["mix"] = {**spec["mix"], "scene": msgspec.to_builtins(changed)}
                row.spec = spec
            now = time.time_ns()
            if subscription is not None:
                await self._recorders.command(id, Change(at_ns=now, subscription=subscription))
            if changed is not None:
                await self._recorders.command(id, ChangeScene(at_ns=now, scene=changed))
        return await self.get(app_id, id)

    async def _edited(self, row: tables.Recording, change: SceneChange) -> Scene:
        """The scene after a change, its images in the recording's folder. ControlError."""
        if row.mode != Mode.MIXED:
            raise ControlError("invalid", f"a recording of mode {row.mode} has no scene", "scene")
        mix = msgspec.convert(row.spec["mix"], Mix)
        try:
            scene = change.edit(mix.scene)
            check_layout(scene.layout, mix.width, mix.height)
        except ValueError as error:
            raise ControlError("invalid", str(error), "scene") from error
        wanted = _sources(scene, change.images)
        return scene.with_images(await self._images.load(self._recorders.folder(row.id), wanted))

    async def pause(self, app_id: str, id: str) -> tables.Recording:
        """Leave out what follows, until `resume`. Pausing what is paused changes nothing."""
        row = await self._active(app_id, id)
        if row.state == State.PAUSED:
            return row
        await self._recorders.command(id, Pause(at_ns=time.time_ns()))
        return await self.wait(app_id, id, set(State) - {State.STARTING, State.RECORDING}, SETTLE_S)

    async def resume(self, app_id: str, id: str) -> tables.Recording:
        """Go on after a pause."""
        row = await self._active(app_id, id)
        if row.state != State.PAUSED:
            raise ControlError("conflict", f"the recording is {row.state}, not paused")
        await self._recorders.command(id, Resume(at_ns=time.time_ns()))
        return await self.wait(app_id, id, set(State) - {State.PAUSED}, SETTLE_S)

    async def stop(
        self, app_id: str, id: str, reason: str = "requested", wait_s: float = 0.0, message: str = ""
    ) -> tables.Recording:
        """End the recording and wait up to `wait_s` for its last file to be in storage.

        ControlError("conflict") when it is stopping already.
        """
        await self._active(app_id, id)
        await self._recorders.command(id, Stop(at_ns=time.time_ns(), reason=reason, message=message))
        return await self.wait(app_id, id, ENDED, wait_s)

    async def wait(self, app_id: str, id: str, states: Iterable[str], timeout_s: float) -> tables.Recording:
        """The recording once it is in one of `states`, or as it is after `timeout_s`."""
        wanted = {str(state) for state in states}
        deadline = time.monotonic() + timeout_s
        while True:
            row = await self.get(app_id, id)
            left = deadline - time.monotonic()
            if row.state in wanted or left <= 0:
                return row
            await self._changes.wait(id, left)

    async def files(self, app_id: str, id: str, roles: Iterable[str] = ()) -> Sequence[tables.File]:
        """Its objects in storage to be, in order of output, rendition and number."""
        await self.get(app_id, id)
        file = tables.File
        query = select(file).where(file.recording == id)
        if wanted := list(roles):
            query = query.where(file.role.in_(wanted))
        async with self._database.reading() as session:
            rows = await session.scalars(query.order_by(file.output, file.rendition, file.role, file.number))
            return rows.all()

    async def file(self, app_id: str, id: str, name: str) -> tables.File:
        """One of them by its name in storage, or by its path in the recording's folder."""
        await self.get(app_id, id)
        file = tables.File
        async with self._database.reading() as session:
            query = select(file).where(file.recording == id)
            found = await session.scalar(query.where(file.key == name))
            if found is None:
                found = await session.scalar(query.where(file.path == name, file.path != ""))
        if found is None:
            raise ControlError("not_found", "the recording has no such file")
        return found

    async def output_files(self, id: str, output: str, rendition: str) -> Sequence[tables.File]:
        """The init and media segments of one output's rendition, in order."""
        file = tables.File
        query = select(file).where(file.recording == id, file.output == output, file.rendition == rendition)
        async with self._database.reading() as session:
            return (await session.scalars(query.order_by(file.number))).all()

    async def active_match(self, match: str) -> tables.Recording | None:
        """The recording that goes on for a rule's match; there is one at most."""
        row = tables.Recording
        async with self._database.reading() as session:
            query = select(row).where(row.match == match, row.state.in_([str(state) for state in ACTIVE]))
            return (await session.scalars(query.limit(1))).first()

    async def last_match(self, match: str) -> tables.Recording | None:
        """The newest recording for a rule's match, whatever became of it."""
        row = tables.Recording
        async with self._database.reading() as session:
            query = select(row).where(row.match == match).order_by(row.created_ns.desc(), row.id.desc())
            return (await session.scalars(query.limit(1))).first()

    async def app_of(self, id: str) -> str:
        """Whose recording this is, for those who show a signature instead of a key."""
        async with self._database.reading() as session:
            app = await session.scalar(select(tables.Recording.app).where(tables.Recording.id == id))
        if app is None:
            raise ControlError("not_found", "no such recording")
        return app

    async def destinations(self, ids: Iterable[str]) -> dict[str, tables.Destination]:
        """Rows of destinations by id, their credentials sealed."""
        async with self._database.reading() as session:
            rows = await session.scalars(select(tables.Destination).where(tables.Destination.id.in_(set(ids))))
            return {row.id: row for row in rows}

    async def events(
        self, app_id: str, id: str, after_seq: int = 0, limit: int = 200
    ) -> Sequence[tuple[tables.Event, Sequence[tables.Attempt]]]:
        """Its events in order, each with the tries to deliver it."""
        await self.get(app_id, id)
        event, attempt = tables.Event, tables.Attempt
        async with self._database.reading() as session:
            query = select(event).where(event.recording == id, event.seq > after_seq)
            rows = (await session.scalars(query.order_by(event.seq).limit(limit))).all()
            tries = await session.scalars(
                select(attempt).where(attempt.event.in_([row.id for row in rows])).order_by(attempt.id)
            )
            by_event: dict[str, list[tables.Attempt]] = {row.id: [] for row in rows}
            for one in tries:
                by_event[one.event].append(one)
        return [(row, by_event[row.id]) for row in rows]

    async def delete(self, app_id: str, id: str, storage: bool = False) -> None:
        """Delete an ended recording: its folder, then its rows; `storage`: its objects in storage before, and what
        the library has of them. Without, files in the library stay there.

        ControlError("conflict") before its end, "unavailable" when the storage does not delete.
        """
        row = await self.get(app_id, id)
        if row.state not in ENDED:
            raise ControlError("conflict", f"the recording is {row.state}: stop it and wait until it has ended")
        if storage:
            try:
                await self._uploader.delete_objects(id)
            except StorageError as error:
                raise ControlError("unavailable", f"the storage does not delete: {error}") from error
        await self._recorders.remove(id)
        async with self._database.transaction() as session:
            if storage:
                await session.execute(delete_rows(tables.Media).where(tables.Media.recording == id))
            await session.execute(delete_rows(tables.Recording).where(tables.Recording.id == id))
            await forget(session, row.destination)

    async def _active(self, app_id: str, id: str) -> tables.Recording:
        row = await self.get(app_id, id)
        if row.state not in ACTIVE:
            raise ControlError("conflict", f"the recording is {row.state}: it has been stopped already")
        return row


def _check_kinds(folder: Path, wanted: Subscription) -> None:
    """ControlError when a mix is to have pictures, or sound, that it was started without: its files have no place."""
    began = msgspec.json.decode((folder / "spec.json").read_bytes(), type=RecordingSpec).subscription
    for kind, then, now in (("audio", began.audio, wanted.audio), ("video", began.video, wanted.video)):
        if then is None and now is not None:
            raise ControlError("invalid", f"the mix was started without {kind}", f"subscription.{kind}")


def _check(spec: RecordingSpec, settings: Settings) -> None:
    """What RecordingSpec cannot check by itself. ControlError."""
    if spec.mode not in (Mode.INDIVIDUAL, Mode.MIXED):
        raise ControlError("not_supported", f"mode {spec.mode} is not supported; use individual or mixed", "mode")
    if spec.preroll_s > settings.ring_s:
        raise ControlError("invalid", f"must be at most the ring's length, {settings.ring_s:g} s", "preroll_s")
    if spec.mix is not None:
        _check_mix(spec, spec.mix, settings.mix_max_side)
    try:
        check_naming(spec.naming, spec.formats, bool(spec.hls.split_s))
    except ValueError as error:
        where, _, message = str(error).partition(" ")
        raise ControlError("invalid", message, where) from error


def _check_library(new: NewRecording) -> None:
    if new.library is None:
        return
    if new.destination is not None:
        message = "files of the library are in the app's own storage: leave destination out"
        raise ControlError("invalid", message, "destination")
    if "recording" not in used(new.spec.naming.prefix):
        raise ControlError("invalid", "must have {recording} for files of the library", "naming.prefix")


def _bounded(ns: int) -> int:
    return min(max(ns, 0), MAX_NS)


def _check_mix(spec: RecordingSpec, mix: Mix, max_side: int) -> None:
    for name, side in (("width", mix.width), ("height", mix.height)):
        if side > max_side:
            raise ControlError("invalid", f"must be at most {max_side} pixels on this server", f"mix.{name}")
    if Format.HLS in spec.formats and mix.gop_s > spec.hls.segment_s:
        raise ControlError("invalid", f"must be at most the segments' length, {spec.hls.segment_s:g} s", "mix.gop_s")
    try:
        check_layout(mix.scene.layout, mix.width, mix.height)
    except ValueError as error:
        raise ControlError("invalid", str(error), "mix.scene") from error


def _sources(scene: Scene, given: Mapping[str, ImageSource]) -> dict[str, ImageSource]:
    """Where each image of a scene comes from; what nobody gives, the recording must have already."""
    return {name: given.get(name) or ImageSource(sha256=name, where="scene") for name in sorted(scene.images())}


def _old_keys() -> Delete:
    return delete_rows(tables.Idempotency).where(tables.Idempotency.created_ns < time.time_ns() - IDEMPOTENCY_NS)


def _fingerprint(new: NewRecording) -> str:
    """The same for the same request: without what each call makes anew."""
    spec = msgspec.structs.replace(new.spec, id="0" * 32, requested_ns=0)
    destination = new.destination and (new.destination.service, dict(sorted(new.destination.options.items())))
    callback = new.callback and (
        new.callback.url,
        new.callback.secret,
        new.callback.events,
        new.callback.extra,
    )
    said: tuple[object, ...] = (spec, new.name, dict(sorted(new.labels.items())), destination, callback, new.dialect)
    if new.library is not None:
        said += (new.library,)
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()
