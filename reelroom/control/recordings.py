"""What is done with recordings that were started: change, pause, resume, stop, delete. Knows no dialect and no HTTP."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from sqlalchemy import delete as delete_rows

from reelroom.config import Settings
from reelroom.control.changes import Changes
from reelroom.control.errors import ControlError
from reelroom.control.images import Images, ImageSource, sources
from reelroom.control.recorded import Recorded
from reelroom.control.recorders import Recorders
from reelroom.deliver.storage import StorageError
from reelroom.deliver.uploads import Uploader
from reelroom.domain.layout import check_layout
from reelroom.domain.lines import Change, ChangeScene, Pause, Resume, Stop
from reelroom.domain.mix import Mix
from reelroom.domain.recording import ACTIVE, ENDED, Mode, RecordingSpec, State, Subscription
from reelroom.domain.scene import Scene
from reelroom.store import tables
from reelroom.store.db import Database
from reelroom.store.destinations import forget

SETTLE_S = 2.0  # how long pause and resume wait for the recorder to say that it did


@dataclass(frozen=True, slots=True)
class SceneChange:
    """Another scene for a mixed recording: what to make of the present one, and the images that it names."""

    edit: Callable[[Scene], Scene]  # ValueError on what cannot be
    images: Mapping[str, ImageSource] = field(default_factory=dict)


class Recordings(Recorded):
    """All recordings of all apps; every call names the app whose they must be. `Starts` makes them."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        recorders: Recorders,
        changes: Changes,
        uploader: Uploader,
    ) -> None:
        super().__init__(database)
        self._recorders = recorders
        self._changes = changes
        self._uploader = uploader
        self._images = Images(settings.allow_private)
        self._changing: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

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
        wanted = sources(scene, change.images)
        return scene.with_images(await self._images.load(self._recorders.folder(row.id), wanted))

    async def pause(self, app_id: str, id: str) -> tables.Recording:
        """Leave out what follows, until `resume`. Pausing what is paused changes nothing.

        Here and in `resume` it counts what the recorder was told: the row follows later, on a busy machine by seconds.
        """
        await self._active(app_id, id)
        if not await self._recorders.pausing(id):
            await self._recorders.command(id, Pause(at_ns=time.time_ns()))
        return await self.wait(app_id, id, set(State) - {State.STARTING, State.RECORDING}, SETTLE_S)

    async def resume(self, app_id: str, id: str) -> tables.Recording:
        """Go on after a pause."""
        await self._active(app_id, id)
        if not await self._recorders.pausing(id):
            raise ControlError("conflict", "the recording is not paused, or is told to go on already")
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
