"""What became of uploads, written down: files' states, what they wake, events, the recording's end. Uploads nothing.

Results of many uploads are one transaction. If it is lost their files are uploaded again, under the same names, and
nobody was told of them yet.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from reelroom.deliver import joined
from reelroom.deliver.library import register
from reelroom.deliver.outbox import ENDED_NS, NEVER_NS, REFUSALS, add_events, delayed, file_data, lock, now_ns, settle
from reelroom.deliver.pending import Work, playlist_gap_ns, still_failing, tick_after, wake_playlists
from reelroom.domain import events
from reelroom.domain.events import Draft
from reelroom.store.tables import FILES, Finished

FIRST_PAUSE_S = 1.0
GONE = "the local file was gone before it was uploaded"

_file = FILES.c
_NOW = select(_file.id, _file.state, _file.due_ns, _file.uploaded_ns, _file.attempts).where(
    _file.id.in_(bindparam("ids", expanding=True))
)
_DONE = (
    update(FILES)
    .where(_file.id.in_(bindparam("ids", expanding=True)))
    .values(state="uploaded", uploaded_ns=bindparam("at"), error="", attempts=0)
)
_LISTED = select(Finished.file).where(Finished.file == bindparam("file"))
_MADE = (
    update(FILES)
    .where(_file.id == bindparam("file"))
    .values(
        state=bindparam("to"), due_ns=bindparam("due"), bytes=bindparam("size"), sha256=bindparam("hash"),
        uploaded_ns=bindparam("at"), error="", attempts=0,
    )
)  # fmt: skip


class Result(NamedTuple):
    """One upload that has ended. `error` None: the object is in storage; `lost`: it never will be."""

    work: Work
    error: str | None = None
    lost: bool = False


@dataclass(slots=True)
class Stored:
    """What the results of uploads changed."""

    next_ns: dict[str, int] = field(default_factory=dict)  # when something more of a recording is due
    told: set[str] = field(default_factory=set)  # recordings with new events, or ended
    failing: set[str] = field(default_factory=set)  # recordings that were told "upload.failing" last, from now on
    working: set[str] = field(default_factory=set)  # ... and those that no longer are
    ended: list[int] = field(default_factory=list)  # playlists that will not change any more


def store(connection: Connection, results: Iterable[Result], failing: Collection[str], pause_max_s: float) -> Stored:
    """Write down the results. `failing`: recordings whose last word on uploads was that they fail."""
    by_recording: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_recording[result.work.row.recording].append(result)
    stored = Stored()
    for recording, row in lock(connection, by_recording).items():
        library = row.library is not None
        one = _Recording(connection, row, stored, pause_max_s)
        one.store(by_recording[recording], recording in failing)
        if row.state == "uploading" and settle(connection, recording):
            stored.told.add(recording)
            stored.working.add(recording)
        elif row.state == "uploading" and one.tries >= REFUSALS and delayed(connection, recording, library):
            stored.told.add(recording)
    return stored


class _Recording:
    """The results of one recording, whose row is locked."""

    def __init__(
        self,
        connection: Connection,
        row: Row[Any],
        stored: Stored,
        pause_max_s: float,
    ) -> None:
        self._connection = connection
        self._row = row
        self._recording: str = row.id
        self._stopped = row.stopped_ns is not None
        self._library = row.library is not None
        self._stored = stored
        self._pause_max_s = pause_max_s
        self.tries = 0  # the most often that something was refused
        self._at = now_ns()
        self._drafts: list[Draft] = []
        self._wakes: dict[str, int] = {}  # outputs whose playlists have something to say → highest number

    def store(self, results: list[Result], failing: bool) -> None:
        now = {row.id: row for row in self._connection.execute(_NOW, {"ids": [r.work.row.id for r in results]})}
        results = [result for result in results if result.work.row.id in now]
        self._done([result.work for result in results if result.error is None])
        for result in results:
            work, before = result.work, now[result.work.row.id]
            if result.lost:
                self._lost(work)
            elif result.error is not None:
                if before.state == "pending":
                    failing |= self._failed(work, result.error, before.attempts + 1, failing)
            elif work.built is not None:
                self._playlist(work, before)
            elif work.row.role == joined.ROLE:
                self._joined(work, before)
        if self._wakes:
            self._due(wake_playlists(self._connection, self._recording, self._wakes, self._stopped))
        worked = any(result.error is None for result in results)
        if failing and worked and not still_failing(self._connection, self._recording):
            self._drafts.append(Draft(events.UPLOAD_RECOVERED, self._at, {}, f"recovered {self._at}"))
            self._stored.working.add(self._recording)
        if add_events(self._connection, self._recording, self._drafts):
            self._stored.told.add(self._recording)

    def _due(self, ns: int) -> None:
        self._stored.next_ns[self._recording] = min(ns, self._stored.next_ns.get(self._recording, NEVER_NS))

    def _done(self, works: list[Work]) -> None:
        """Segments, init segments and finished files."""
        plain = [work.row for work in works if work.data is None]
        if plain:
            self._connection.execute(_DONE, {"ids": [row.id for row in plain], "at": self._at})
        for row in plain:
            if row.role == "file":
                data = file_data(row) | self._shelved(row)
                self._drafts.append(Draft(events.FILE_UPLOADED, self._at, data, f"uploaded {row.key}"))
                self._listed(row)
            else:
                self._wake(row)

    def _wake(self, row: Any) -> None:
        self._wakes[row.output] = max(row.number, self._wakes.get(row.output, 0))

    def _playlist(self, work: Work, before: Any) -> None:
        assert work.built is not None
        row, built = work.row, work.built
        if not built.segments:
            self._left_out(work, before)
            return
        gap_ns = 0 if self._stopped else playlist_gap_ns(built.segments)
        part_ended = built.ended and "last" in row.line
        self._made(work, before, row.sha256, tick_after(self._at + gap_ns) if gap_ns else 0, ended=part_ended)
        if part_ended and row.role == "playlist":
            self._listed(row)
        first = before.uploaded_ns is None
        if (first or built.ended) and joined.wake(self._connection, row):
            self._due(0)
        data = file_data(row) | {"bytes": len(work.data or b""), "segments": built.segments, "ended": built.ended}
        if built.ended:
            data |= self._shelved(row)
        if first:
            self._drafts.append(Draft(events.FILE_UPLOADED, self._at, data, f"uploaded {row.key}"))
        if built.ended:
            self._stored.ended.append(row.id)
            if not first:
                self._drafts.append(Draft(events.FILE_UPLOADED, self._at, data, f"ended {row.key}"))

    def _listed(self, row: Any) -> None:
        """A file that will not change any more is found by its task from now on, if it has one. Twice is as good."""
        of = self._row
        if of.task is None or self._connection.scalar(_LISTED, {"file": row.id}) is not None:
            return
        times = {"start_ns": row.line["start_ns"], "end_ns": row.line["end_ns"]}
        values = {"file": row.id, "app": of.app, "dialect": of.dialect, "room": of.room, "task": of.task, **times}
        self._connection.execute(insert(Finished).values(**values))

    def _shelved(self, row: Any) -> dict[str, str]:
        """A finished file goes into the library if its recording's files do; what its event says of that."""
        return {"media": register(self._connection, row, self._at)} if self._library else {}

    def _left_out(self, work: Work, before: Any) -> None:
        """A playlist without segments: the first one in storage will wake it, unless there will be none."""
        assert work.built is not None
        if before.due_ns != work.row.due_ns:
            self._due(before.due_ns)
            return  # meanwhile there is something to say: it is still pending
        values = {"state": "deleted"} if work.built.ended else {"due_ns": NEVER_NS}
        self._connection.execute(update(FILES).where(_file.id == work.row.id).values(**values))

    def _joined(self, work: Work, before: Any) -> None:
        data = work.data or b""
        digest = hashlib.sha256(data).hexdigest()
        self._made(work, before, digest, 0)
        shelved = self._shelved(work.row) if self._stopped else {}
        if before.uploaded_ns is None:
            said = file_data(work.row) | {"bytes": len(data), "sha256": digest} | shelved
            self._drafts.append(Draft(events.FILE_UPLOADED, self._at, said, f"uploaded {work.row.key}"))

    def _made(self, work: Work, before: Any, digest: str, again_ns: int, ended: bool = False) -> None:
        """A playlist is in storage. Its row says by another `due_ns` than it had when it began that it is old.

        `ended`: it is one of some segments only, and has them all.
        """
        current = before.due_ns == work.row.due_ns
        values = {
            "file": work.row.id,
            "to": "uploaded" if current else "pending",
            "due": again_ns if not current else ENDED_NS if ended else before.due_ns,
            "size": len(work.data or b""),
            "hash": digest,
            "at": self._at,
        }
        self._connection.execute(_MADE, values)
        if not current:
            self._due(again_ns)

    def _failed(self, work: Work, error: str, attempts: int, failing: bool) -> bool:
        pause_s = min(FIRST_PAUSE_S * 2 ** min(attempts - 1, 20), self._pause_max_s) * random.uniform(0.8, 1.0)
        due = self._at + int(pause_s * 1e9)
        self.tries = max(self.tries, attempts)
        values = {"attempts": attempts, "error": error, "due_ns": due}
        self._connection.execute(update(FILES).where(_file.id == work.row.id).values(**values))
        self._due(due)
        if not failing:
            data = _about(work.row) | {"error": error}
            self._drafts.append(Draft(events.UPLOAD_FAILING, self._at, data, f"failing {work.row.key} {self._at}"))
            self._stored.failing.add(self._recording)
        return True

    def _lost(self, work: Work) -> None:
        row = work.row
        self._connection.execute(update(FILES).where(_file.id == row.id).values(state="deleted", error=GONE))
        data = _about(row) | {"error": GONE, "lost": True}
        self._drafts.append(Draft(events.UPLOAD_FAILING, self._at, data, f"lost {row.key}"))
        self._stored.told.add(self._recording)
        if row.role in ("init", "segment"):
            self._wake(row)


def _about(row: Any) -> dict[str, Any]:
    """What an event says of an object that is in no storage; `identity` and `kind` of segments are empty."""
    line = row.line if row.role not in ("init", "segment") else {}
    return {"key": row.key, "role": row.role, "identity": line.get("identity", ""), "kind": line.get("kind", "")}
