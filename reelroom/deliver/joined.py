"""The multivariant playlist that joins a participant's picture with sound recorded apart from it. Uploads nothing.

It is made when the second of the two playlists is in storage, and again when they end: then the bit rates are known.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from reelroom.domain.lines import OutputOpened
from reelroom.domain.naming import Names, distinct
from reelroom.domain.recording import RecordingSpec
from reelroom.finish.playlist import Variant, multivariant, relative_uri
from reelroom.store.tables import File, Recording

ROLE = "joined"


async def wake(session: AsyncSession, playlist: File, recording: Recording) -> None:
    """`playlist` is in storage: the one that joins it with its partner is to be uploaded, if there is a partner."""
    spec = msgspec.convert(recording.spec, RecordingSpec)
    if not spec.joined:
        return
    partner = await _partner(session, playlist)
    if partner is None:
        return
    audio, video = sorted((playlist, partner), key=lambda each: str(each.line["kind"]))
    output = f"{audio.output}+{video.output}"
    mine = (File.recording == recording.id, File.role == ROLE, File.output == output)
    row = await session.scalar(select(File).where(*mine))
    if row is None:
        start_ns = min(audio.line["start_ns"], video.line["start_ns"])
        line = {**video.line, "output": output, "kind": "av", "start_ns": start_ns}
        key = await _free(session, recording.id, Names(spec).joined(msgspec.convert(line, OutputOpened)), video.output)
        row = File(recording=recording.id, role=ROLE, output=output, key=key, path="", format="hls", line=line)
        session.add(row)
    row.state, row.due_ns = "pending", 0


async def text(session: AsyncSession, row: File) -> str:
    """What the playlist of `row` says now."""
    mine = (File.recording == row.recording, File.role == "playlist", File.output.in_(row.output.split("+")))
    found = {str(file.line["kind"]): file for file in (await session.scalars(select(File).where(*mine))).all()}
    audio, video = [await _variant(session, found[kind], row) for kind in ("audio", "video")]
    return multivariant(video, [audio])


async def _free(session: AsyncSession, recording: str, key: str, output: str) -> str:
    """`key`, or another when the recording has an object of that name: a camera's beside a screen's."""
    tried: list[str] = []
    while True:
        candidate = distinct(key, output, lambda name: name in tried)
        found = select(File.id).where(File.recording == recording, File.key == candidate)
        if (await session.scalar(found)) is None:
            return candidate
        tried.append(candidate)


async def _partner(session: AsyncSession, playlist: File) -> File | None:
    """The newest uploaded playlist of the same participant and source with the other kind."""
    query = select(File).where(
        File.recording == playlist.recording,
        File.role == "playlist",
        File.output != playlist.output,
        File.uploaded_ns.is_not(None),
    )
    line = playlist.line
    for other in (await session.scalars(query.order_by(File.output.desc()))).all():
        same = (other.line["identity"], other.line["source"]) == (line["identity"], line["source"])
        if same and {other.line["kind"], line["kind"]} == {"audio", "video"}:
            return other
    return None


async def _variant(session: AsyncSession, playlist: File, row: File) -> Variant:
    query = select(File.bytes, File.line).where(
        File.recording == playlist.recording, File.output == playlist.output, File.role == "segment"
    )
    bandwidth = width = height = 0
    for size, line in await session.execute(query):
        duration = line["media_end_ns"] - line["media_start_ns"]
        bandwidth = max(bandwidth, size * 8 * 1_000_000_000 // duration if duration > 0 else 0)
        if line.get("width", 0) * line.get("height", 0) > width * height:
            width, height = line["width"], line["height"]
    return Variant(relative_uri(playlist.key, row.key), playlist.line["identity"], bandwidth, width, height)
