"""Events that ZEGO has and the recorder does not know: an image or a stream that is not there. Addresses nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy.orm import Session

from reelroom.control.context import Context
from reelroom.control.images import ImageSource
from reelroom.deliver.outbox import add_events, lock
from reelroom.dialects.zego import mixing
from reelroom.domain import events
from reelroom.domain.events import Draft
from reelroom.domain.mix import Mix
from reelroom.domain.naming import stream_name
from reelroom.domain.recording import ACTIVE
from reelroom.domain.scene import Scene
from reelroom.store import tables

ABSENT_S = 5.0  # a stream that was asked for has so long to come
LOOK_S = 0.25


async def tell_missing_images(
    context: Context, row: tables.Recording, asked: Scene, images: Mapping[str, ImageSource]
) -> None:
    """An event for each image that could not be had: the task goes on without (section 5.3, event 3)."""
    shown = msgspec.convert(row.spec["mix"], Mix).scene
    now = time.time_ns()
    drafts = [
        Draft(events.IMAGE_MISSING, now, {"image_type": one.type, "url": one.url}, f"image {now} {number}")
        for number, one in enumerate(mixing.missing(asked, shown, images))
    ]
    await _tell(context, row, drafts)


async def tell_missing_streams(context: Context, row: tables.Recording, wanted: Sequence[str]) -> None:
    """An event for each stream that was asked for and does not come within a moment (section 5.3, event 6).

    When one comes later it is recorded. Nothing is told if this process ends meanwhile.
    """
    missing = dict.fromkeys(wanted)
    until = time.monotonic() + ABSENT_S
    while True:
        for one in context.streams.all(row.app, row.room):
            missing.pop(stream_name(one.stream.identity, one.stream.output), None)
        if not missing or time.monotonic() > until:
            break
        await asyncio.sleep(LOOK_S)
    if not missing or (await context.recordings.get(row.app, row.id)).state not in ACTIVE:
        return
    now = time.time_ns()
    drafts = [Draft(events.STREAM_MISSING, now, {"stream": stream}, f"stream {stream}") for stream in missing]
    await _tell(context, row, drafts)


async def _tell(context: Context, row: tables.Recording, drafts: Sequence[Draft]) -> None:
    if not drafts:
        return

    def add(session: Session) -> None:
        connection = session.connection()
        lock(connection, [row.id])
        add_events(connection, row.id, drafts)

    async with context.database.transaction() as session:
        await session.run_sync(add)
    context.callbacks.poke(row.id)
