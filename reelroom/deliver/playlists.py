"""What an output's playlist says right now: the segments that are in storage, in order. Uploads nothing."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from reelroom.domain.lines import Init, Segment
from reelroom.domain.recording import RecordingSpec
from reelroom.finish.playlist import Growing, relative_uri, target_duration
from reelroom.store.tables import File, Recording

PAGE = 500
MAX_CACHED = 200_000  # segments in all cached playlists together, about 20 MB


class Built(NamedTuple):
    text: str
    segments: int
    ended: bool


class Playlists:
    """Builds playlists, and keeps those of running recordings so that a segment more is not all of them again."""

    def __init__(self) -> None:
        self._cache: OrderedDict[int, Growing] = OrderedDict()

    def forget(self, file: int) -> None:
        self._cache.pop(file, None)

    async def build(self, session: AsyncSession, file: File, recording: Recording) -> Built:
        """The playlist as it may be uploaded now.

        It ends before the first segment that is not in storage: one that came in before it waits, because what a
        growing playlist has said it may not change. A segment whose file is gone for good is said to be missing.
        """
        growing = self._cache.pop(file.id, None)
        if growing is None:
            spec = msgspec.convert(recording.spec, RecordingSpec)
            growing = Growing(target_duration(spec.hls.segment_s))
        inits, ready = await self._inits(session, file)
        complete = await self._extend(session, growing, file, inits, ready)
        self._cache[file.id] = growing
        total = sum(each.segments for each in self._cache.values())
        while total > MAX_CACHED and len(self._cache) > 1:
            total -= self._cache.popitem(last=False)[1].segments
        ended = complete and recording.stopped_ns is not None
        return Built(growing.text(ended), growing.segments, ended)

    async def _inits(self, session: AsyncSession, file: File) -> tuple[dict[int, Init], dict[int, str]]:
        query = select(File.number, File.key, File.state, File.line).where(
            File.recording == file.recording,
            File.output == file.output,
            File.rendition == file.rendition,
            File.role == "init",
        )
        inits: dict[int, Init] = {}
        ready: dict[int, str] = {}
        for number, key, state, line in await session.execute(query):
            inits[number] = msgspec.convert(line, Init)
            if state in ("uploaded", "deleted"):
                ready[number] = key
        return inits, ready

    async def _extend(
        self, session: AsyncSession, growing: Growing, file: File, inits: dict[int, Init], ready: dict[int, str]
    ) -> bool:
        """Append every segment that may be named; True: there is none beyond."""
        while True:
            query = (
                select(File.number, File.key, File.state, File.line)
                .where(
                    File.recording == file.recording,
                    File.output == file.output,
                    File.rendition == file.rendition,
                    File.role == "segment",
                    File.number > growing.segments,
                )
                .order_by(File.number)
                .limit(PAGE)
            )
            rows = (await session.execute(query)).all()
            for number, key, state, line in rows:
                segment = msgspec.convert(line, Segment)
                waits = segment.init and segment.init not in ready
                if number != growing.segments + 1 or state not in ("uploaded", "deleted") or waits:
                    return False

                def uri(line: Segment | Init, key: str = key) -> str:
                    return relative_uri(ready[line.number] if isinstance(line, Init) else key, file.key)

                growing.add(segment, inits, uri, missing=state == "deleted")
            if len(rows) < PAGE:
                return True
