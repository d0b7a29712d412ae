"""Playlists that are split: which part of an output the present one has, and giving it its end. Uploads nothing.

A part is a row of `files` like an output's whole playlist; its line says which segments it has (`first` to `last`, once
that is known). One that is called by its end is `held`: in no storage before it has ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, bindparam, select, update

from reelroom.deliver.outbox import NEVER_NS
from reelroom.domain.lines import Segment
from reelroom.domain.naming import distinct
from reelroom.store.tables import FILES

_file = FILES.c
_PARTS = (
    select(_file.output, _file.number, _file.line)
    .where(_file.recording == bindparam("recording"), _file.role == "playlist")
    .order_by(_file.number)
)
_SEGMENTS = (
    select(_file.line)
    .where(
        _file.recording == bindparam("recording"),
        _file.output == bindparam("output"),
        _file.role == "segment",
        _file.rendition == "hls",
        _file.number >= bindparam("first"),
    )
    .order_by(_file.number)
)
_PART = select(_file.id, _file.key, _file.state, _file.due_ns, _file.line).where(
    _file.recording == bindparam("recording"),
    _file.role == "playlist",
    _file.output == bindparam("output"),
    _file.number == bindparam("number"),
)


class Period:
    """The part of an output that its present playlist has. Times are room time, but media times."""

    __slots__ = ("end_ns", "first", "last", "media_end_ns", "media_start_ns", "number", "start_ns")

    def __init__(self, number: int, segment: Segment) -> None:
        """`number`: from 0, of the part; `segment`: its first."""
        self.number = number
        self.first = segment.number
        self.start_ns = segment.start_ns
        self.media_start_ns = segment.media_start_ns
        self.extend(segment)

    def extend(self, segment: Segment) -> None:
        self.last = segment.number
        self.end_ns = segment.end_ns
        self.media_end_ns = segment.media_end_ns


class Close(NamedTuple):
    """A part has ended; `key`: what it is called, if that was not known before."""

    output: str
    number: int
    part: dict[str, int | bool]
    key: str

    @classmethod
    def of(cls, output: str, period: Period, key: str) -> Close:
        part = {
            "last": period.last,
            "end_ns": period.end_ns,
            "duration_ns": period.media_end_ns - period.media_start_ns,
            "held": False,
        }
        return cls(output, period.number, part, key)


def load(connection: Connection, recording: str) -> dict[str, Period]:
    """The present part of each output that has segments."""
    found: dict[str, Period] = {}
    newest = {row.output: row for row in connection.execute(_PARTS, {"recording": recording})}
    for output, row in newest.items():
        where = {"recording": recording, "output": output, "first": row.line.get("first", 1)}
        for line in connection.scalars(_SEGMENTS, where):
            segment = msgspec.convert(line, Segment)
            if output in found:
                found[output].extend(segment)
            else:
                found[output] = Period(row.number, segment)
    return found


def close(connection: Connection, recording: str, closings: Iterable[Close]) -> None:
    """Say of parts which segment is their last, and make their playlists due."""
    for closing in closings:
        where = {"recording": recording, "output": closing.output, "number": closing.number}
        row = connection.execute(_PART, where).one()
        key = closing.key or row.key
        if key != row.key:
            key = distinct(key, closing.output, lambda name: _taken(connection, recording, name))
        in_flight = row.state == "pending" and row.due_ns < NEVER_NS
        values = {
            "line": {**row.line, **closing.part},
            "key": key,
            "state": "pending",
            "due_ns": row.due_ns + 1 if in_flight else 1,
        }
        connection.execute(update(FILES).where(_file.id == row.id).values(**values))


def _taken(connection: Connection, recording: str, key: str) -> bool:
    query = select(_file.id).where(_file.recording == recording, _file.key == key)
    return connection.scalar(query) is not None
