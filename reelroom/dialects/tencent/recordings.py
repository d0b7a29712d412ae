"""What all of Tencent's actions ask: whether an app may, who is in a room, what is being recorded. Starts nothing."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import func, select

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.errors import ControlError
from reelroom.control.new_recording import CallbackSpec
from reelroom.dialects.tencent import errors
from reelroom.dialects.tencent.settings import callback, sdk_app_id, settings
from reelroom.domain.recording import ACTIVE
from reelroom.store import tables

DIALECT = "tencent"
CLOUD, MCU, STREAM = "cloud", "mcu", "stream"  # what kind of recording it is here


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


async def active(context: Context, app: AppContext, room: str) -> list[tables.Recording]:
    """The app's recordings of this dialect that go on in a room."""
    row = tables.Recording
    found = (
        select(row)
        .where(row.app == app.id, row.dialect == DIALECT, row.state.in_([str(state) for state in ACTIVE]))
        .where(row.room == room)
        .order_by(row.created_ns)
    )
    rows = await context.database.look(lambda session: session.scalars(found).all())
    return [each for each in rows if not each.dialect_data.get("stopped")]


async def running(context: Context, app: AppContext) -> int:
    """How many of them there are."""
    row = tables.Recording
    query = (
        select(func.count())
        .select_from(row)
        .where(row.app == app.id, row.dialect == DIALECT, row.state.in_([str(state) for state in ACTIVE]))
        .where(row.dialect_data["stopped"].as_boolean().is_not(True))
    )
    return await context.database.look(lambda session: session.scalar(query)) or 0


async def mark_stopped(context: Context, id: str) -> None:
    """Note that it was stopped by call: the recorder takes a moment to say so itself."""
    async with context.database.transaction() as session:
        row = await session.get_one(tables.Recording, id, with_for_update=True)
        row.dialect_data = {**row.dialect_data, "stopped": True}
