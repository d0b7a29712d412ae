"""The files of a task as they are now: finished ones from the database, those being recorded from the journal.

Changes nothing and knows no wire format.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
from sqlalchemy import bindparam, select

from reelroom.deliver.journals import JournalBroken, read
from reelroom.deliver.outbox import REFUSALS
from reelroom.dialects.zego import answers
from reelroom.dialects.zego.answers import SOUND_WAVE, Kept
from reelroom.domain import lines
from reelroom.domain.media import AUDIO_ONLY
from reelroom.domain.naming import Names
from reelroom.domain.recording import ACTIVE, ENDED, Format, RecordingSpec, State
from reelroom.store import tables
from reelroom.store.db import Database

_REMEMBERED = 2000  # tasks whose journal was read up to somewhere
_file = tables.File
_FILES = select(_file).where(
    _file.recording == bindparam("recording"), _file.role.in_(("playlist", "file")), _file.format != SOUND_WAVE
)
_SUMS = select(tables.Output).where(tables.Output.recording == bindparam("recording"), tables.Output.segments > 0)


@dataclass(slots=True)
class _Output:
    opened: lines.OutputOpened
    end_ns: int = 0  # media time
    width: int = 0
    height: int = 0


@dataclass(slots=True)
class _Journal:
    offset: int = 0
    outputs: dict[str, _Output] = field(default_factory=dict)


class Files:
    """One per control process."""

    def __init__(self, database: Database, recordings: Path) -> None:
        self._database = database
        self._recordings = recordings
        self._journals: OrderedDict[str, _Journal] = OrderedDict()

    async def of(self, row: tables.Recording, url: Callable[[str], str | None], stopped: bool) -> list[Kept]:
        """The files of a task, those that are being recorded among them. `url`: an object's address by its key."""
        active = State(row.state) in ACTIVE and not stopped
        found = await self._database.look(lambda session: session.scalars(_FILES, {"recording": row.id}).all())
        sizes = await self._segments(row.id) if any(one.role == "playlist" for one in found) else {}
        listed = []
        for one in found:
            if one.role == "file":
                listed.append(_finished(one))
            elif one.output in sizes:
                tracks = answers.VIDEO if row.dialect_data.get("sound_alone") else 0
                listed.append(_playlist(one, sizes[one.output], active, tracks))
        if State(row.state) not in ENDED:
            made = {(one.output, one.format) for one in found}
            listed += await self._unfinished(row, made, active)
        return [kept._replace(url=url(kept.key)) for kept in listed]

    async def _segments(self, recording: str) -> dict[str, tables.Output]:
        """What has been recorded of each output."""
        found = await self._database.look(lambda session: session.scalars(_SUMS, {"recording": recording}).all())
        return {one.output: one for one in found}

    async def _unfinished(self, row: tables.Recording, made: set[tuple[str, str]], active: bool) -> list[Kept]:
        """What the journal says is being recorded and is no file yet."""
        spec = msgspec.convert(row.spec, RecordingSpec)
        formats = [format_ for format_ in spec.formats if format_ is not Format.HLS]
        if not formats:
            return []
        names = Names(spec)
        found = []
        for output in (await self._outputs(row.id)).values():
            opened = output.opened
            for format_ in formats:
                kind = _kind(spec, format_, opened.kind)
                if kind is None or (opened.output, str(format_)) in made:
                    continue
                found.append(
                    Kept(
                        key=names.file(_file_to_be(opened, format_, kind)),
                        format=str(format_),
                        identity=opened.identity,
                        source=opened.source,
                        tracks=answers.tracks({"kind": kind}),
                        start_ns=opened.start_ns,
                        duration_ns=output.end_ns,
                        width=0 if kind == "audio" else output.width,
                        height=0 if kind == "audio" else output.height,
                        status=answers.BEING_RECORDED if active else answers.UPLOADING,
                    )
                )
        return found

    async def _outputs(self, recording: str) -> dict[str, _Output]:
        """A task's outputs so far; only what is new in the journal is read."""
        journal = self._journals.setdefault(recording, _Journal())
        self._journals.move_to_end(recording)
        if len(self._journals) > _REMEMBERED:
            self._journals.popitem(last=False)
        path = self._recordings / recording / "journal.jsonl"
        if not _grown(path, journal.offset):
            return journal.outputs
        # On a copy: two calls at a time read the same lines, and one may end in the middle.
        fresh = replace(journal, outputs=dict(journal.outputs))
        try:
            await asyncio.to_thread(_follow, path, fresh)
        except JournalBroken:
            return journal.outputs
        self._journals[recording] = fresh
        return fresh.outputs


def _grown(path: Path, offset: int) -> bool:
    try:
        return path.stat().st_size > offset
    except FileNotFoundError:
        return False


def _follow(path: Path, journal: _Journal) -> None:
    while True:
        entries, end = read(path, journal.offset)
        for entry in entries:
            match entry.body:
                case lines.OutputOpened() as opened:
                    journal.outputs[opened.output] = _Output(opened)
                case lines.Segment() as segment if segment.output in journal.outputs:
                    known = journal.outputs[segment.output]
                    journal.outputs[segment.output] = replace(
                        known,
                        end_ns=max(known.end_ns, segment.media_end_ns),
                        width=segment.width or known.width,
                        height=segment.height or known.height,
                    )
        if end == journal.offset:
            return
        journal.offset = end


def _kind(spec: RecordingSpec, format_: Format, output: str) -> str | None:
    """What the file of an output will hold; None: there will be none."""
    if format_ in AUDIO_ONLY:
        return "audio" if output != "video" else None
    if not spec.sound_alone:
        return output
    return "video" if output != "audio" else None


def _file_to_be(opened: lines.OutputOpened, format_: Format, kind: str) -> lines.File:
    return lines.File(
        output=opened.output,
        identity=opened.identity,
        source=opened.source,
        kind=kind,
        format=str(format_),
        path="",
        bytes=0,
        sha256="",
        start_ns=opened.start_ns,
        end_ns=opened.start_ns,
        media_start_ns=0,
        duration_ns=0,
    )


def _status(file: tables.File) -> int:
    if file.state == "uploaded":
        return answers.UPLOADED
    if file.state == "deleted":
        return answers.LOST if file.error else answers.UPLOADED
    return answers.IN_BACKUP if file.attempts >= REFUSALS else answers.UPLOADING


def _finished(file: tables.File) -> Kept:
    line = file.line
    return Kept(
        key=file.key,
        format=file.format,
        identity=line["identity"],
        source=line["source"],
        tracks=answers.tracks(line),
        start_ns=line["start_ns"],
        bytes=file.bytes,
        duration_ns=line["duration_ns"],
        width=line.get("width") or 0,
        height=line.get("height") or 0,
        status=_status(file),
    )


def _playlist(file: tables.File, segments: tables.Output, active: bool, tracks: int) -> Kept:
    """`tracks`: what it has; 0: what its output has."""
    line = file.line
    return Kept(
        key=file.key,
        format=file.format,
        identity=line["identity"],
        source=line["source"],
        tracks=tracks or answers.tracks({"kind": line["kind"]}),
        start_ns=line["start_ns"],
        bytes=segments.bytes,
        duration_ns=segments.end_ns,
        width=segments.width,
        height=segments.height,
        status=answers.BEING_RECORDED if active else _status(file),
    )
