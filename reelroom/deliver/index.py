"""Journal lines to rows: files to upload, events to tell, the recording's state. Reads no journal, uploads nothing.

A batch of lines becomes rows in the transaction that moves `journal_offset` beyond them, so each line counts once.
What an output is stays in memory between batches; the database has it too, for whoever comes after.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, case, insert, select, update

from reelroom.deliver import periods
from reelroom.deliver.journals import Entry, JournalBroken
from reelroom.deliver.outbox import ENDED_NS, NEVER_NS, add_events, settle
from reelroom.deliver.periods import Close, Period
from reelroom.deliver.playlists import PART
from reelroom.domain import events, lines
from reelroom.domain.naming import Names, distinct
from reelroom.domain.recording import TRANSITIONS, Format, RecordingSpec, Source, State
from reelroom.store.tables import FILES, OUTPUTS, RECORDINGS

FOLLOWED = (State.STARTING, State.RECORDING, State.PAUSED, State.FINISHING)

_file = FILES.c
_ROW = select(
    *(RECORDINGS.c[name] for name in ("id", "state", "spec", "started_ns", "message", "journal_offset"))
).where(RECORDINGS.c.id.in_(bindparam("ids", expanding=True)))
_OUTPUTS = select(_file.line).where(
    _file.recording == bindparam("recording"), _file.role == "playlist", _file.number == 0
)
_KEYS = select(_file.key, _file.role, _file.output, _file.number, _file.path).where(
    _file.recording == bindparam("recording"), _file.key.in_(bindparam("keys", expanding=True))
)
_SAME = select(_file.id).where(
    _file.recording == bindparam("recording"),
    _file.role == bindparam("role"),
    _file.output == bindparam("output"),
    _file.number == bindparam("number"),
    _file.path == bindparam("path"),
)
_sum = OUTPUTS.c
_ADD = (
    update(OUTPUTS)
    .where(_sum.recording == bindparam("of"), _sum.output == bindparam("named"))
    .values(
        segments=_sum.segments + bindparam("more"),
        bytes=_sum.bytes + bindparam("size"),
        end_ns=case((_sum.end_ns < bindparam("end"), bindparam("end")), else_=_sum.end_ns),
        width=case((_sum.width < bindparam("wide"), bindparam("wide")), else_=_sum.width),
        height=case((_sum.height < bindparam("high"), bindparam("high")), else_=_sum.height),
    )
)
_COPY = 1_000_000  # numbers of a file's copies are so much higher: no recording has so many parts
_Identity = tuple[str, str, int, str]  # role, output, number, path: what makes two rows the same file


@dataclass(slots=True)
class Known:
    """What of a recording its next lines need. Forget it when their transaction fails."""

    id: str
    offset: int
    state: State
    started_ns: int | None
    message: str
    names: Names
    hls: bool
    mix_hls: bool  # the mix is among what has playlists
    outputs: dict[str, lines.OutputOpened]
    split_ns: int = 0  # longest playlist
    whole: bool = False
    periods: dict[str, Period] = field(default_factory=dict)  # the present one of each output, with split_ns


def load(connection: Connection, recordings: list[str]) -> dict[str, Known]:
    """Those of the recordings that are followed."""
    found = {}
    for row in connection.execute(_ROW, {"ids": recordings}).all():
        if row.state not in FOLLOWED:
            continue
        spec = msgspec.convert(row.spec, RecordingSpec)
        opened = [
            msgspec.convert(line, lines.OutputOpened) for line in connection.scalars(_OUTPUTS, {"recording": row.id})
        ]
        found[row.id] = Known(
            id=row.id,
            offset=row.journal_offset,
            state=State(row.state),
            started_ns=row.started_ns,
            message=row.message,
            names=Names(spec),
            hls=Format.HLS in spec.formats,
            mix_hls=Format.HLS in spec.of_output(Source.MIXED).formats,
            outputs={line.output: line for line in opened},
            split_ns=round(spec.hls.split_s * 1e9),
            whole=spec.hls.whole,
        )
        if spec.hls.split_s:
            found[row.id].periods = periods.load(connection, row.id)
    return found


def index(connection: Connection, known: Known, entries: list[Entry], end: int) -> bool:
    """Make rows of lines that end at byte `end`; False: somebody else did. JournalBroken before anything is written."""
    batch = _Batch(known)
    try:
        batch.read(entries)
        rows = _fresh(connection, known.id, batch.rows)
    except (ValueError, KeyError, msgspec.MsgspecError) as error:
        raise JournalBroken(f"{known.id}/journal.jsonl after byte {known.offset}: {error!r}") from error
    moved = connection.execute(
        update(RECORDINGS)
        .where(RECORDINGS.c.id == known.id, RECORDINGS.c.journal_offset == known.offset)
        .values(journal_offset=end, journal_lines=RECORDINGS.c.journal_lines + len(entries), **batch.changes)
    )
    if moved.rowcount != 1:
        return False
    if rows:
        connection.execute(insert(FILES), rows)
        _sum_up(connection, known.id, rows)
    periods.close(connection, known.id, batch.closings)
    if batch.stopped:  # every playlist once more, with its end
        mine = (_file.recording == known.id, _file.role == "playlist", _file.due_ns < ENDED_NS)
        connection.execute(update(FILES).where(*mine).values(state="pending", due_ns=0))
    add_events(connection, known.id, batch.drafts)
    if batch.finished:
        settle(connection, known.id)
    known.offset = end
    return True


class _Batch:
    """What some lines come to, before the database is asked."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self.changes: dict[str, Any] = {}  # of the recording's row
        self.rows: list[dict[str, Any]] = []
        self.drafts: list[events.Draft] = []
        self.closings: list[Close] = []
        self.stopped = self.finished = False

    def read(self, entries: list[Entry]) -> None:
        known = self._known
        for entry in entries:
            draft = events.of_line(entry.n, entry.at_ns, entry.body)
            if draft and not (known.hls and getattr(entry.body, "rendition", "hls") != "hls"):
                self.drafts.append(draft)  # beside HLS, the finisher's own copies are nobody's news
            match entry.body:
                case lines.Opened() as opened:
                    self._started(opened.room_ns)
                    if known.state is State.STARTING:  # who takes over in a pause goes on with the pause
                        self._become(State.RECORDING)
                case lines.Paused():
                    self._become(State.PAUSED)
                case lines.Resumed():
                    self._become(State.RECORDING)
                case lines.Stopped() as stopped:
                    self._started(stopped.at_ns)
                    known.message = stopped.message
                    self.changes |= {
                        "stopped_ns": stopped.at_ns, "reason": stopped.reason, "message": stopped.message,
                    }  # fmt: skip
                    self._become(State.FINISHING)
                    self.stopped = True
                    self._end_periods()
                case lines.OutputOpened() as output:
                    self._output(output)
                case lines.Init() as init if known.hls and init.rendition == "hls":
                    key = known.names.init(self._opened(init.output), init)
                    self._add("init", init, init.output, key, "hls", init.number, rendition="hls")
                case lines.Segment() as segment if known.hls and segment.rendition == "hls":
                    self._period(segment)
                    key = known.names.segment(self._opened(segment.output), segment)
                    self._add("segment", segment, segment.output, key, "hls", segment.number, rendition="hls")
                case lines.File() as file:
                    self._add("file", file, file.output, known.names.file(file), file.format, file.sequence)
                    for copy, key in enumerate(known.names.copies(file), 1):
                        number = copy * _COPY + file.sequence
                        self._add("file", file, file.output, key, file.format, number)
                case lines.Finished() as done:
                    self._become(State.UPLOADING)
                    if done.failed:
                        known.message = "; ".join(filter(None, (known.message, *done.failed)))
                        self.changes["message"] = known.message
                    self.finished = True

    def _started(self, at_ns: int) -> None:
        if self._known.started_ns is None:
            self._known.started_ns = self.changes["started_ns"] = at_ns

    def _become(self, state: State) -> None:
        if self._known.state != state and state in TRANSITIONS[self._known.state]:
            self._known.state = state
            self.changes["state"] = str(state)

    def _output(self, line: lines.OutputOpened) -> None:
        """An output's playlist. Its row also is where later processes find what the output is."""
        if self._known.mix_hls if line.source == Source.MIXED else self._known.hls:
            self._known.outputs[line.output] = line
            key = self._known.names.playlist(line)
            part = {"first": 1, "held": self._known.names.ends(line)} if self._known.split_ns else {}
            self._add("playlist", line, line.output, key, "hls", 0, rendition="hls", due_ns=NEVER_NS, part=part)

    def _period(self, segment: lines.Segment) -> None:
        """With `split_ns`: the playlist that a segment belongs to, which is the next one when that gets too long."""
        known = self._known
        if not known.split_ns:
            return
        period = known.periods.get(segment.output)
        if period is not None and segment.media_end_ns - period.media_start_ns > known.split_ns:
            self._close(segment.output, period)
            opened = self._opened(segment.output)
            period = known.periods[segment.output] = Period(period.number + 1, segment)
            key = known.names.playlist(opened, period.number + 1, segment.start_ns, segment.start_ns)
            part = {"first": segment.number, "start_ns": segment.start_ns, "held": known.names.ends(opened)}
            number, never = period.number, NEVER_NS  # until it has something to say
            self._add("playlist", opened, opened.output, key, "hls", number, rendition="hls", due_ns=never, part=part)
        elif period is None:
            known.periods[segment.output] = Period(0, segment)
        else:
            period.extend(segment)

    def _close(self, output: str, period: Period) -> None:
        names, opened = self._known.names, self._opened(output)
        key = ""
        if names.ends(opened):
            key = names.playlist(opened, period.number + 1, period.start_ns, period.end_ns)
        self.closings.append(Close.of(output, period, key))

    def _end_periods(self) -> None:
        known = self._known
        for output, period in known.periods.items():
            self._close(output, period)
            if known.whole and period.number:
                opened = self._opened(output)
                key = known.names.playlist(opened, 1, opened.start_ns, period.end_ns)
                part = {"first": 1, "last": period.last, "end_ns": period.end_ns, "duration_ns": period.media_end_ns}
                self._add(PART, opened, output, key, "hls", 0, rendition="hls", part=part)

    def _opened(self, output: str) -> lines.OutputOpened:
        if output not in self._known.outputs:
            raise ValueError(f"output {output} has a segment but was never opened")
        return self._known.outputs[output]

    def _add(
        self,
        role: str,
        line: lines.AnyLine,
        output: str,
        key: str,
        format_: str,
        number: int,
        *,
        rendition: str = "",
        due_ns: int = 0,
        part: dict[str, Any] | None = None,  # of a playlist: which segments
    ) -> None:
        row = {
            "recording": self._known.id,
            "role": role,
            "output": output,
            "rendition": rendition,
            "number": number,
            "key": key,
            "path": getattr(line, "path", ""),
            "format": format_,
            "line": _as_json(line) | (part or {}),
            "bytes": getattr(line, "bytes", 0),
            "sha256": getattr(line, "sha256", ""),
            "state": "pending",
            "due_ns": due_ns,
        }
        self.rows.append(row)


def _fresh(connection: Connection, recording: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that are not there yet, each with a key that no other has."""
    if not rows:
        return []
    found = connection.execute(_KEYS, {"recording": recording, "keys": [row["key"] for row in rows]})
    taken: dict[str, _Identity] = {row.key: (row.role, row.output, row.number, row.path) for row in found}
    made: set[_Identity] = set()
    fresh = []
    for row in rows:
        identity: _Identity = (row["role"], row["output"], row["number"], row["path"])
        if identity in made or taken.get(row["key"]) == identity:
            continue  # the journal is read again
        if row["key"] in taken or "first" in row["line"]:
            same = dict(zip(("role", "output", "number", "path"), identity, strict=True))
            if connection.execute(_SAME, {"recording": recording, **same}).first() is not None:
                continue  # ... and it had to have another key then
        if row["key"] in taken:
            row["key"] = _free(connection, recording, row["key"], row["output"], taken)
        taken[row["key"]] = identity
        made.add(identity)
        fresh.append(row)
    return fresh


def _sum_up(connection: Connection, recording: str, rows: list[dict[str, Any]]) -> None:
    """Count segments among new rows to what their outputs come to."""
    opened = [row["output"] for row in rows if row["role"] == "playlist" and row["number"] == 0]
    if opened:
        zero = {"segments": 0, "bytes": 0, "end_ns": 0, "width": 0, "height": 0}
        connection.execute(insert(OUTPUTS), [{"recording": recording, "output": name, **zero} for name in opened])
    sums: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["role"] != "segment":
            continue
        line = row["line"]
        none = {"of": recording, "named": row["output"], "more": 0, "size": 0, "end": 0, "wide": 0, "high": 0}
        one = sums.setdefault(row["output"], none)
        one["more"] += 1
        one["size"] += row["bytes"]
        for name, field_ in (("end", "media_end_ns"), ("wide", "width"), ("high", "height")):
            one[name] = max(one[name], line.get(field_) or 0)
    if sums:
        connection.execute(_ADD, list(sums.values()))


def _free(connection: Connection, recording: str, key: str, output: str, taken: dict[str, _Identity]) -> str:
    def used(candidate: str) -> bool:
        return (
            candidate in taken
            or connection.execute(_KEYS, {"recording": recording, "keys": [candidate]}).first() is not None
        )

    return distinct(key, output, used)


def _as_json(line: lines.AnyLine) -> dict[str, Any]:
    value: dict[str, Any] = msgspec.to_builtins(line)
    value.pop("through", None)  # the recorder's own bookkeeping
    return value
