"""Where things lie in one recording's folder. Holds no file contents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Paths:
    """The folder DATA/recordings/<id> of one recording."""

    folder: Path

    @property
    def spec(self) -> Path:
        return self.folder / "spec.json"

    @property
    def commands(self) -> Path:
        return self.folder / "commands.jsonl"

    @property
    def journal(self) -> Path:
        return self.folder / "journal.jsonl"

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def wal(self) -> Path:
        return self.folder / "wal"

    def wal_file(self, output: str, number: int) -> Path:
        """`number` counts this output's write-ahead logs and is not the segment's number."""
        return self.wal / f"{output}.{number:06d}.wal"

    def rendition(self, output: str, rendition: str) -> Path:
        return self.folder / "segments" / output / rendition

    def relative(self, path: Path) -> str:
        """`path` as journal lines name it: within the folder, with slashes."""
        return path.relative_to(self.folder).as_posix()


def wake_socket(run: Path, recording: str) -> Path:
    """A datagram there makes the recorder read its commands at once."""
    return run / f"r-{recording}.sock"


def control_socket(run: Path) -> Path:
    """A recorder sends its id there after each append to its journal."""
    return run / "control.sock"


def ingest_socket(run: Path, index: int) -> Path:
    return run / f"ingest-{index}.sock"


def fleet_socket(run: Path) -> Path:
    return run / "fleet.sock"
