"""Finished files into the library, as soon as all of them is in storage: within the transaction that says so.

Takes nothing out of it: `shelf.py` does.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, insert, literal, select

from reelroom.deliver import joined
from reelroom.deliver.playlists import ROLES
from reelroom.domain.library import LibrarySpec, media_id
from reelroom.domain.recording import RecordingSpec
from reelroom.store.tables import FILES, RECORDINGS, Media, MediaObject, MediaTag

_file = FILES.c


def register(connection: Connection, row: Any, at_ns: int) -> str:
    """Put a file into the library that its recording says: `row` of `files`, all of which is in storage. Its id there.

    Twice is as good as once.
    """
    wanted = ("app", "room", "mode", "dialect", "dialect_data", "library", "destination", "spec")
    query = select(*(RECORDINGS.c[name] for name in wanted)).where(RECORDINGS.c.id == row.recording)
    recording = connection.execute(query).one()
    library = msgspec.convert(recording.library, LibrarySpec)
    id_ = media_id(row.recording, row.key)
    if connection.scalar(select(Media.id).where(Media.id == id_)) is not None:
        return id_
    line = row.line
    values = _content(connection, row)
    spec = msgspec.convert(recording.spec, RecordingSpec)
    named: dict[str, str | int] = {
        "app": recording.app,
        "room": recording.room,
        "recording": row.recording,
        "identity": line["identity"],
        "source": line["source"],
        "kind": line["kind"],
        "output": line["output"],
        "format": row.format,
        "started": spec.requested_ns,
        "start": values["start_ns"],
        "end": values["end_ns"],
        "sequence": line.get("sequence", 1),
        "index": line.get("sequence", 1) - 1,
    }
    name, stream = library.names(named, row.key)
    connection.execute(
        insert(Media).values(
            id=id_,
            app=recording.app,
            recording=row.recording,
            dialect=recording.dialect,
            mode=recording.mode,
            room=recording.room,
            identity=line["identity"],
            source=line["source"],
            kind=line["kind"],
            stream=stream,
            name=name,
            tags=list(library.tags),
            data=recording.dialect_data,
            format=row.format,
            destination=recording.destination,
            key=row.key,
            created_ns=at_ns,
            expires_ns=at_ns + library.expire_s * 1_000_000_000 if library.expire_s else 0,
            **values,
        )
    )
    if library.tags:
        tags = [{"media": id_, "tag": tag, "app": recording.app} for tag in library.tags]
        connection.execute(insert(MediaTag), tags)
    if row.role in ROLES:
        goes_along = select(literal(id_), _file.key).where(
            _file.recording == row.recording,
            _file.output == row.output,
            _file.rendition == row.rendition,
            _file.role.in_(("init", "segment")),
            *_within(row),
        )
        connection.execute(insert(MediaObject).from_select(["media", "key"], goes_along))
    return id_


def _content(connection: Connection, row: Any) -> dict[str, Any]:
    """Size, times and codecs: of a file from its line, of a playlist from its segments."""
    line = row.line
    if row.role == "file":
        return {
            "bytes": row.bytes,
            "sha256": row.sha256,
            "duration_ns": line["duration_ns"],
            "start_ns": line["start_ns"],
            "end_ns": line["end_ns"],
            **{name: line.get(name, "") for name in ("video_codec", "audio_codec")},
            **{name: line.get(name, 0) for name in ("width", "height")},
        }
    outputs = row.output.split("+") if row.role == joined.ROLE else [row.output]
    query = select(_file.role, _file.bytes, _file.line).where(
        _file.recording == row.recording,
        _file.output.in_(outputs),
        _file.role.in_(("init", "segment")),
        _file.rendition == "hls",
        _file.state == "uploaded",
        *_within(row),
    )
    size, begin, end, media_start, media_end = 0, line["start_ns"], line["start_ns"], None, 0
    said: dict[str, Any] = {"video_codec": "", "audio_codec": "", "width": 0, "height": 0}
    for role, bytes_, segment in connection.execute(query.order_by(_file.output, _file.number)):
        size += bytes_
        if role == "init":
            continue
        end = max(end, segment["end_ns"])
        if media_start is None or "first" not in line:
            media_start = segment["media_start_ns"] if "first" in line else 0
        media_end = max(media_end, segment["media_end_ns"])
        for name, value in said.items():
            said[name] = value or segment.get(name, value)
    if row.role == joined.ROLE:
        size = 0  # those of the two playlists that it joins are counted there
    duration_ns = media_end - (media_start or 0)
    return {"bytes": size, "sha256": row.sha256, "duration_ns": duration_ns, "start_ns": begin, "end_ns": end, **said}


def _within(row: Any) -> list[ColumnElement[bool]]:
    """Which segments a playlist of a part of them has."""
    if "last" not in row.line:
        return []
    return [(_file.role == "init") | _file.number.between(row.line["first"], row.line["last"])]
