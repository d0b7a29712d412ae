"""The multivariant playlist that joins a participant's picture with sound recorded apart from it. Uploads nothing.

It is made when the second of the two playlists is in storage, and again when they end: then the bit rates are known.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, insert, select, update

from reelroom.domain.lines import OutputOpened
from reelroom.domain.naming import Names, distinct
from reelroom.domain.recording import RecordingSpec
from reelroom.finish.playlist import Variant, multivariant, relative_uri
from reelroom.store.tables import FILES, RECORDINGS

ROLE = "joined"
_file = FILES.c


def wake(connection: Connection, playlist: Any) -> bool:
    """`playlist` is in storage: the one that joins it with its partner is to be uploaded. False: it has no partner."""
    spec = connection.execute(select(RECORDINGS.c.spec).where(RECORDINGS.c.id == playlist.recording)).scalar_one()
    made = msgspec.convert(spec, RecordingSpec)
    if not made.joined:
        return False
    partner = _partner(connection, playlist)
    if partner is None:
        return False
    audio, video = sorted((playlist, partner), key=lambda each: str(each.line["kind"]))
    output = f"{audio.output}+{video.output}"
    mine = (_file.recording == playlist.recording, _file.role == ROLE, _file.output == output)
    row = connection.execute(select(_file.id, _file.state, _file.due_ns).where(*mine)).first()
    if row is not None:  # one that is on its way is told by another due_ns that it is out of date
        due_ns = row.due_ns + 1 if row.state == "pending" else 0
        connection.execute(update(FILES).where(_file.id == row.id).values(state="pending", due_ns=due_ns))
        return True
    start_ns = min(audio.line["start_ns"], video.line["start_ns"])
    line = {**video.line, "output": output, "kind": "av", "start_ns": start_ns}
    key = Names(made).joined(msgspec.convert(line, OutputOpened))
    key = _free(connection, playlist.recording, key, video.output)
    named = {"recording": playlist.recording, "role": ROLE, "output": output, "key": key, "path": "", "format": "hls"}
    connection.execute(insert(FILES).values(**named, line=line))
    return True


def text(connection: Connection, row: Any) -> str:
    """What the playlist of `row` says now."""
    mine = (_file.recording == row.recording, _file.role == "playlist", _file.output.in_(row.output.split("+")))
    found = {str(file.line["kind"]): file for file in connection.execute(select(FILES).where(*mine))}
    audio, video = [_variant(connection, found[kind], row) for kind in ("audio", "video")]
    return multivariant(video, [audio])


def _free(connection: Connection, recording: str, key: str, output: str) -> str:
    """`key`, or another when the recording has an object of that name: a camera's beside a screen's."""
    tried: list[str] = []
    while True:
        candidate = distinct(key, output, lambda name: name in tried)
        found = select(_file.id).where(_file.recording == recording, _file.key == candidate)
        if connection.scalar(found) is None:
            return candidate
        tried.append(candidate)


def _partner(connection: Connection, playlist: Any) -> Row[Any] | None:
    """The newest uploaded playlist of the same participant and source with the other kind."""
    query = select(FILES).where(
        _file.recording == playlist.recording,
        _file.role == "playlist",
        _file.output != playlist.output,
        _file.uploaded_ns.is_not(None),
    )
    line = playlist.line
    for other in connection.execute(query.order_by(_file.output.desc())):
        same = (other.line["identity"], other.line["source"]) == (line["identity"], line["source"])
        if same and {other.line["kind"], line["kind"]} == {"audio", "video"}:
            return other
    return None


def _variant(connection: Connection, playlist: Any, row: Any) -> Variant:
    query = select(_file.bytes, _file.line).where(
        _file.recording == playlist.recording, _file.output == playlist.output, _file.role == "segment"
    )
    bandwidth = width = height = 0
    for size, line in connection.execute(query):
        duration = line["media_end_ns"] - line["media_start_ns"]
        bandwidth = max(bandwidth, size * 8 * 1_000_000_000 // duration if duration > 0 else 0)
        if line.get("width", 0) * line.get("height", 0) > width * height:
            width, height = line["width"], line["height"]
    return Variant(relative_uri(playlist.key, row.key), playlist.line["identity"], bandwidth, width, height)
