"""Questions about pending files, asked within the uploader's transactions. Decides nothing about destinations."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from reelroom.deliver.outbox import NEVER_NS, now_ns
from reelroom.domain import events
from reelroom.domain.recording import State
from reelroom.store.tables import Event, File, Recording

PLAYLIST_GAP_S = 1.0  # between two uploads of one playlist...
PLAYLIST_GAP_PER_SEGMENT_S = 0.002  # ...and more the longer it is: it is uploaded whole each time


def playlist_gap_ns(segments: int) -> int:
    """The least time between two uploads of a growing playlist of so many segments."""
    return int((PLAYLIST_GAP_S + segments * PLAYLIST_GAP_PER_SEGMENT_S) * 1e9)


async def due(
    session: AsyncSession, recording: str, running: Iterable[int], room: int
) -> tuple[list[File], int | None]:
    """What can be uploaded now, a playlist first, and when the next can be; None: nothing is pending at all."""
    mine = set(running)
    now = now_ns()
    pending = (File.recording == recording, File.state == "pending")
    playlists = select(File).where(*pending, File.role == "playlist", File.due_ns <= now).limit(room + len(mine))
    others = (
        select(File)
        .where(*pending, File.role != "playlist", File.due_ns <= now)
        .order_by(File.due_ns, File.id)
        .limit(room + len(mine))
    )
    rows = [row for row in (await session.scalars(playlists)).all() if row.id not in mine]
    rows += [row for row in (await session.scalars(others)).all() if row.id not in mine]
    if len(rows) > room:
        return rows[:room], 0
    later = await session.scalar(select(func.min(File.due_ns)).where(*pending, File.due_ns > now))
    if later is None or later >= NEVER_NS:
        return rows, None if not rows else now + 60_000_000_000
    return rows, later


async def wake_playlist(session: AsyncSession, file: File) -> None:
    """A segment or init segment is in storage (or lost): its output's playlist has something to say."""
    playlist = await session.scalar(
        select(File).where(File.recording == file.recording, File.output == file.output, File.role == "playlist")
    )
    if playlist is None or (playlist.state == "pending" and playlist.due_ns < NEVER_NS):
        return
    last = playlist.uploaded_ns or 0
    playlist.state, playlist.due_ns = "pending", max(last + playlist_gap_ns(file.number), 1) if last else 1


async def told_failing(session: AsyncSession) -> set[str]:
    """Unfinished recordings whose last word on uploads was that they fail."""
    kinds = (events.UPLOAD_FAILING, events.UPLOAD_RECOVERED)
    query = (
        select(Event.recording, Event.type)
        .join(Recording, Recording.id == Event.recording)
        .where(Event.type.in_(kinds), Recording.state.not_in((State.FINISHED, State.FAILED)))
        .order_by(Event.recording, Event.seq)
    )
    last = dict((await session.execute(query)).tuples().all())
    return {recording for recording, type_ in last.items() if type_ == events.UPLOAD_FAILING}


async def still_failing(session: AsyncSession, recording: str) -> bool:
    """Whether the last try of any of its pending files failed."""
    query = select(File.id).where(File.recording == recording, File.state == "pending", File.error != "")
    return (await session.scalar(query.limit(1))) is not None
