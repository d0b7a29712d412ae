"""The samples of one file to be made, segment by segment, whatever rendition they lie in. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reelroom.domain.lines import Init, Segment
from reelroom.finish.choose import Output, Pick
from reelroom.finish.read import Table, read_init, read_segment
from reelroom.record.mux.boxes import BoxError, TrackHeader


class FinishError(Exception):
    """A file that cannot be made; the message says why."""


@dataclass(slots=True)
class Piece:
    """One track's samples in one segment."""

    header: TrackHeader
    init: bytes
    path: Path
    table: Table


@dataclass(slots=True)
class Step:
    """One segment: `video` and `audio` may be of different files, or missing."""

    pick: Pick
    video: Piece | None
    audio: Piece | None


class Reader:
    """Reads the segments that an output's picks name. Keeps inits, nothing else."""

    def __init__(self, folder: Path, output: Output) -> None:
        self._folder = folder
        self._output = output
        self._inits: dict[str, tuple[bytes, dict[int, TrackHeader]]] = {}

    def steps(self, picks: list[Pick]) -> Iterator[Step]:
        """Raises FinishError where a segment is missing or broken."""
        for pick in picks:
            tables: dict[str, dict[int, Table]] = {}
            yield Step(
                pick,
                self._piece(pick.video, "video", tables) if pick.video else None,
                self._piece(pick.audio, "audio", tables) if pick.audio else None,
            )

    def _piece(self, line: Segment, kind: str, tables: dict[str, dict[int, Table]]) -> Piece | None:
        path = self._folder / line.path
        init, headers = self._init(line)
        header = next((item for item in headers.values() if item.kind == kind), None)
        try:
            if line.path not in tables:
                tables[line.path] = read_segment(path)
        except (OSError, BoxError, ValueError) as error:
            raise FinishError(f"segment {line.path}: {error}") from error
        if header is None:
            raise FinishError(f"the init of {line.path} has no {kind} track, its journal line has")
        table = tables[line.path].get(header.track_id)
        return Piece(header, init, path, table) if table is not None and len(table.dts) else None

    def _init(self, line: Segment) -> tuple[bytes, dict[int, TrackHeader]]:
        init: Init | None = self._output.inits.get((line.rendition, line.init))
        if init is None:
            raise FinishError(f"{line.path} needs init {line.init} of {line.rendition}: not in the journal")
        if init.path not in self._inits:
            try:
                data = (self._folder / init.path).read_bytes()
                self._inits[init.path] = (data, read_init(data))
            except (OSError, BoxError) as error:
                raise FinishError(f"init {init.path}: {error}") from error
        return self._inits[init.path]
