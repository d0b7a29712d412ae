"""What one control process has: made once, shared by every request. Decides nothing."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import SQLAlchemyError

from reelroom.config import Settings
from reelroom.control import destinations, guard
from reelroom.control.apps import Apps
from reelroom.control.autorecord import AutoRecord
from reelroom.control.capacity import Capacity
from reelroom.control.changes import Changes
from reelroom.control.consoles import Consoles
from reelroom.control.library import Library
from reelroom.control.queues import Queues
from reelroom.control.recorders import Recorders
from reelroom.control.recordings import Recordings
from reelroom.control.rooms import Rooms
from reelroom.control.rules import Rules
from reelroom.control.starts import LATE_S, Starts
from reelroom.control.streams import Streams
from reelroom.control.templates import Templates
from reelroom.deliver.callbacks import Callbacks
from reelroom.deliver.follow import Follower
from reelroom.deliver.progress import Progress
from reelroom.deliver.request import Poster
from reelroom.deliver.retention import Retention
from reelroom.deliver.shelf import Shelf
from reelroom.deliver.uploads import Uploader
from reelroom.record.paths import control_socket
from reelroom.store.db import Database
from reelroom.store.migrations import upgrade
from reelroom.store.secrets import SecretBox, SecretError

log = structlog.get_logger("reelroom.control")

FORGET_S = 3600.0  # how often old Idempotency-Keys are deleted


async def _start_late(starts: Starts, apps: Apps) -> None:
    """Again and again: recordings that were accepted and not started; apps that `reelroom app set` changed."""
    look = starts.recover
    forgotten = time.monotonic()
    while True:
        try:
            await look()
            look = starts.start_late  # type: ignore[assignment]
            await apps.load()
            if time.monotonic() - forgotten > FORGET_S:
                await starts.forget_keys()
                forgotten = time.monotonic()
        except (OSError, SQLAlchemyError, SecretError) as error:
            log.error("cannot look after recordings and apps", error=repr(error))
        await asyncio.sleep(LATE_S)


@dataclass(slots=True)
class Context:
    """The parts, in the order in which they need each other. Routes find it at `app.state.context`."""

    settings: Settings
    database: Database
    box: SecretBox
    apps: Apps
    changes: Changes
    recorders: Recorders
    recordings: Recordings
    starts: Starts
    rooms: Rooms
    follower: Follower
    uploader: Uploader
    callbacks: Callbacks
    progress: Progress
    retention: Retention
    capacity: Capacity
    library: Library
    templates: Templates
    rules: Rules
    queues: Queues
    streams: Streams
    autorecord: AutoRecord
    consoles: Consoles
    starting: asyncio.Task[None]
    url_key: bytes  # signs the URLs of files

    @classmethod
    async def open(cls, settings: Settings) -> Context:
        """Migrate the database, catch up with the journals, and start what runs in the background."""
        database = Database(settings.database)
        await upgrade(database.engine)
        box = SecretBox.load(settings.keys / "secrets.key")
        apps = Apps(database, box)
        if settings.dev:
            await apps.ensure_dev()
        else:
            await apps.load()
        changes = Changes()

        async def resolve(url: str) -> list[str]:
            return await guard.resolve(url, settings.allow_private)

        async def reachable(service: str, options: dict[str, str]) -> None:
            await destinations.check_again(service, options, settings.allow_private)

        callbacks = Callbacks(
            database,
            box,
            Poster(resolve, settings.callback_timeout_s),
            apps.by_id,
            concurrency=settings.callback_concurrency,
            give_up_s=settings.callback_give_up_s,
        )

        def told(recording: str) -> None:
            changes.notify(recording)
            callbacks.poke(recording)

        recorders = Recorders(settings.recordings, settings.run)
        uploader = Uploader(
            database,
            box,
            settings.recordings,
            settings.storage,
            concurrency=settings.upload_concurrency,
            pause_max_s=settings.upload_pause_max_s,
            told=told,
            guard=reachable,
        )
        rooms = Rooms(settings.run, settings.workers)
        capacity = Capacity(settings, recorders, rooms.get)
        recordings = Recordings(settings, database, recorders, changes, uploader)
        starts = Starts(settings, database, box, recorders, capacity)

        def changed(recording: str) -> None:
            told(recording)
            uploader.poke(recording)

        shelf = Shelf(database, uploader, settings.recordings)
        library = Library(database, uploader, shelf, settings.recordings, box.derive("media urls"))
        queues = Queues(database)
        templates = Templates(database, box)
        rules = Rules(database, templates)
        streams = Streams(settings.run, settings.workers)
        autorecord = AutoRecord(settings.ring_s, apps, streams, rules, templates, recordings, starts)
        follower = Follower(
            database, settings.recordings, control_socket(settings.run), changed=changed, ended=autorecord.ended
        )
        await follower.rebuild()
        expiring = (shelf.sweep, queues.sweep)
        retention = Retention(database, settings.recordings, settings.delete_local_after_s, others=expiring)
        await retention.start()
        await callbacks.start()
        progress = Progress(database, told)
        progress.start()
        await uploader.start()
        await follower.start()
        await autorecord.start()  # after the follower has caught up: what has ended meanwhile is known
        consoles = Consoles(apps, templates, rules, library)
        consoles.start()
        streams.start()
        await capacity.start()
        starting = asyncio.create_task(_start_late(starts, apps), name="start late")
        return cls(
            settings=settings,
            database=database,
            box=box,
            apps=apps,
            changes=changes,
            recorders=recorders,
            recordings=recordings,
            starts=starts,
            rooms=rooms,
            follower=follower,
            uploader=uploader,
            callbacks=callbacks,
            progress=progress,
            retention=retention,
            capacity=capacity,
            library=library,
            templates=templates,
            rules=rules,
            queues=queues,
            streams=streams,
            autorecord=autorecord,
            consoles=consoles,
            starting=starting,
            url_key=box.derive("file urls"),
        )

    async def close(self) -> None:
        self.starting.cancel()
        await asyncio.gather(self.starting, return_exceptions=True)
        await self.streams.stop()
        await self.consoles.stop()
        await self.autorecord.stop()
        await self.capacity.stop()
        await self.follower.stop()
        await self.uploader.stop()
        await self.progress.stop()
        await self.callbacks.stop()
        await self.retention.stop()
        await self.rooms.close()
        await self.database.close()
