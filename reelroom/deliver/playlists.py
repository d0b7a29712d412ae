"""What an output's playlist says right now: the segments that are in storage, in order. Uploads nothing."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, bindparam, or_, select

from reelroom.domain.lines import Init, Segment
from reelroom.domain.recording import RecordingSpec
from reelroom.finish.playlist import Growing, Tags, relative_uri, target_duration
from reelroom.store.tables import FILES, RECORDINGS

PAGE = 500
MAX_SEGMENT = 1 << 40
MAX_CACHED = 200_000  # segments in all cached playlists together, about 20 MB
PART = "index"  # role of a playlist of some of an output's segments, beside the one that grew with it
ROLES = ("playlist", PART)

_file = FILES.c
_BEYOND = (
    select(_file.role, _file.number, _file.key, _file.state, _file.line)
    .where(
        _file.recording == bindparam("recording"),
        _file.output == bindparam("output"),
        _file.rendition == bindparam("rendition"),
        or_(
            _file.role == "init",
            (_file.role == "segment") & (_file.number > bindparam("after")) & (_file.number <= bindparam("until")),
        ),
    )
    .order_by(_file.number)
)


class Built(NamedTuple):
    text: str
    segments: int
    ended: bool


class Playlists:
    """Builds playlists, and keeps those of running recordings so that a segment more is not all of them again."""

    def __init__(self) -> None:
        self._cache: OrderedDict[int, Growing] = OrderedDict()
        self._cached = 0  # segments

    def forget(self, file: int) -> None:
        if growing := self._cache.pop(file, None):
            self._cached -= growing.segments

    def build(self, connection: Connection, file: Any, stopped: bool) -> Built:
        """The playlist as it may be uploaded now. `stopped`: no segment comes beyond those that have rows.

        It ends before the first segment that is not in storage: one that came in before it waits, because what a
        growing playlist has said it may not change. A segment whose file is gone for good is said to be missing.
        One of a part of the segments, numbers `first` to `last` of the row's line, ends with them; no `last`: not yet.
        """
        growing = self._cache.get(file.id)
        self.forget(file.id)
        if growing is None:
            spec = connection.execute(select(RECORDINGS.c.spec).where(RECORDINGS.c.id == file.recording)).scalar_one()
            hls = msgspec.convert(spec, RecordingSpec).hls
            line = file.line
            tags = Tags(hls.tags, line["identity"], line["source"], line["kind"]) if hls.tags else None
            growing = Growing(target_duration(hls.segment_s), line.get("first", 1), hls.dated, tags)
        last = file.line.get("last", 0)
        complete = _extend(connection, growing, file, last or MAX_SEGMENT)
        self._cache[file.id] = growing
        self._cached += growing.segments
        while self._cached > MAX_CACHED and len(self._cache) > 1:
            self._cached -= self._cache.popitem(last=False)[1].segments
        ended = growing.last == last if last else complete and stopped
        return Built(growing.text(ended), growing.segments, ended)


def _extend(connection: Connection, growing: Growing, file: Any, last: int) -> bool:
    """Append every segment up to `last` that may be named; True: there is none beyond."""
    where = {"recording": file.recording, "output": file.output, "rendition": file.rendition}
    while True:
        inits: dict[int, Init] = {}
        ready: dict[int, str] = {}
        segments = []
        span = {"after": growing.last, "until": min(growing.last + PAGE, last)}
        for row in connection.execute(_BEYOND, where | span).all():
            if row.role == "segment":
                segments.append(row)
                continue
            inits[row.number] = msgspec.convert(row.line, Init)
            if row.state in ("uploaded", "deleted"):
                ready[row.number] = row.key
        for row in segments:
            segment = msgspec.convert(row.line, Segment)
            waits = segment.init and segment.init not in ready
            if row.number != growing.last + 1 or row.state not in ("uploaded", "deleted") or waits:
                return False

            def uri(line: Segment | Init, key: str = row.key, ready: dict[int, str] = ready) -> str:
                return relative_uri(ready[line.number] if isinstance(line, Init) else key, file.key)

            growing.add(segment, inits, uri, missing=row.state == "deleted")
        if len(segments) < PAGE:
            return True
