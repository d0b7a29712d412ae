"""`reelroom verify`: whether a recording's folder is what its journal says. Changes nothing, prints nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import av
import av.error
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from reelroom.domain import lines
from reelroom.record.journal import ZERO, JournalError, check_signature, parse
from reelroom.record.paths import Paths


@dataclass(slots=True)
class Report:
    """What was found. `problems` is empty when everything is as it should be."""

    folder: Path
    problems: list[str] = field(default_factory=list)
    journal_lines: int = 0
    epochs: int = 0
    segments: int = 0
    files: int = 0
    bytes: int = 0
    decoded_frames: int = 0
    gaps: list[lines.Gap] = field(default_factory=list)
    stopped: str = ""  # why; empty while it is going on
    finished: bool = False
    torn: bool = False  # the last line is torn: its recorder was killed or is writing right now
    keys: tuple[str, ...] = ()  # public keys that signed, base64

    @property
    def ok(self) -> bool:
        return not self.problems


def verify(
    folder: Path,
    decode: bool = True,
    public_key: str | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Report:
    """Check a recording's folder: numbering, chain, signatures, every segment's and file's size and hash.

    `decode` also decodes every segment. `public_key` (base64, as in DATA/keys/journal.pub): the only key that
    may have signed; without it the journal's own key is believed, which shows tampering but not forgery.
    Raises FileNotFoundError when there is no journal.
    """
    report = Report(folder)
    bodies = _check_lines(Paths(folder).journal, report, public_key)
    stored = [line for line in bodies if isinstance(line, lines.Init | lines.Segment | lines.File)]
    total = sum(line.bytes for line in stored) * (3 if decode else 1) or 1
    done = 0
    for line in stored:
        _check_file(folder, line, report)
        done += line.bytes
        progress(done / total)
    _check_numbers(stored, report)
    if decode:
        for run in _runs(stored):
            _decode(folder, run, report)
            done += 2 * sum(line.bytes for line in run)
            progress(done / total)
    progress(1.0)
    return report


def _check_lines(path: Path, report: Report, public_key: str | None) -> list[lines.AnyLine]:
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    report.torn = end != len(data)
    bodies: list[lines.AnyLine] = []
    previous, epoch, at_ns = ZERO, 0, 0
    key: Ed25519PublicKey | None = None
    keys: list[str] = []
    for number, raw in enumerate(data[:end].split(b"\n")[:-1], 1):
        where = f"journal line {number}"
        try:
            entry = parse(raw)
        except JournalError as error:
            report.problems.append(f"{where}: {error}")
            previous = hashlib.sha256(raw).hexdigest()
            continue
        if entry.n != number:
            report.problems.append(f"{where} says it is line {entry.n}")
        if entry.prev != previous:
            report.problems.append(f"{where}: the chain is broken: the line before is not the one it was written after")
        previous = hashlib.sha256(raw).hexdigest()
        if entry.epoch < epoch:
            report.problems.append(f"{where}: epoch {entry.epoch} after epoch {epoch}")
        if isinstance(entry.body, lines.Opened):
            if public_key is not None and entry.body.public_key != public_key.strip():
                report.problems.append(f"{where}: signed with another key than the given one")
            key = _key(entry.body.public_key, where, report)
            keys.append(entry.body.public_key)
        elif entry.epoch != epoch:
            report.problems.append(f"{where}: epoch {entry.epoch} does not begin with an Opened line")
        epoch = entry.epoch
        _check_signature(raw, key, where, report)
        if entry.at_ns < at_ns - 1_000_000_000:
            report.problems.append(f"{where} was written {(at_ns - entry.at_ns) / 1e9:.1f} s before the line before it")
        at_ns = entry.at_ns
        bodies.append(entry.body)
        report.journal_lines += 1
    report.epochs = epoch
    report.keys = tuple(dict.fromkeys(keys))
    report.gaps = [body for body in bodies if isinstance(body, lines.Gap)]
    report.stopped = next((body.reason for body in bodies if isinstance(body, lines.Stopped)), "")
    report.finished = bool(bodies) and isinstance(bodies[-1], lines.Finished)
    return bodies


def _key(text: str, where: str, report: Report) -> Ed25519PublicKey | None:
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except ValueError as error:
        report.problems.append(f"{where}: no public key: {error}")
        return None


def _check_signature(raw: bytes, key: Ed25519PublicKey | None, where: str, report: Report) -> None:
    if key is None:
        report.problems.append(f"{where}: no key is known to check its signature with")
        return
    try:
        check_signature(raw, key)
    except InvalidSignature:
        report.problems.append(f"{where}: its signature is wrong")
    except ValueError as error:
        report.problems.append(f"{where}: {error}")


def _inside(folder: Path, name: str) -> Path | None:
    path = (folder / name).resolve()
    return path if path.is_relative_to(folder.resolve()) else None


def _check_file(folder: Path, line: lines.Init | lines.Segment | lines.File, report: Report) -> None:
    path = _inside(folder, line.path)
    if path is None:
        report.problems.append(f"{line.path} lies outside the recording's folder")
        return
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except OSError as error:
        report.problems.append(f"{line.path}: {error.strerror}")
        return
    if size != line.bytes:
        report.problems.append(f"{line.path} has {size} bytes, its journal line says {line.bytes}")
    elif digest != line.sha256:
        report.problems.append(f"{line.path}: its SHA-256 is not the journal's")
    report.bytes += size
    report.segments += isinstance(line, lines.Segment)
    report.files += isinstance(line, lines.File)


def _check_numbers(stored: Iterable[lines.Init | lines.Segment | lines.File], report: Report) -> None:
    """Segments count from 1 without holes, have their init segment, and follow each other in media time."""
    numbers: dict[tuple[str, str, str], int] = {}
    ends: dict[tuple[str, str], int] = {}
    for line in stored:
        if isinstance(line, lines.File):
            continue
        place = (line.output, line.rendition)
        what = (*place, type(line).__name__)
        if line.number != numbers.get(what, 0) + 1:
            report.problems.append(f"{line.path}: number {line.number} after {numbers.get(what, 0)}")
        numbers[what] = line.number
        if isinstance(line, lines.Segment):
            if line.init > numbers.get((*place, "Init"), 0) or (line.container == "fmp4") != bool(line.init):
                report.problems.append(f"{line.path}: needs init segment {line.init}, which is not there")
            if line.media_start_ns < ends.get(place, 0) or line.media_end_ns <= line.media_start_ns:
                report.problems.append(f"{line.path}: its media time overlaps the segment before")
            ends[place] = line.media_end_ns


Run = list[lines.Init | lines.Segment]


def _runs(stored: Iterable[lines.Init | lines.Segment | lines.File]) -> list[Run]:
    """Segments that make one stream: an init segment, if any, and what needs it."""
    runs: list[Run] = []
    inits: dict[tuple[str, str, int], lines.Init] = {}
    segments = [line for line in stored if isinstance(line, lines.Segment)]
    for line in stored:
        if isinstance(line, lines.Init):
            inits[line.output, line.rendition, line.number] = line
    segments.sort(key=lambda s: (s.output, s.rendition, s.number))
    for (output, rendition, _, init), group in groupby(
        segments, key=lambda s: (s.output, s.rendition, s.container, s.init)
    ):
        head: Run = [inits[output, rendition, init]] if (output, rendition, init) in inits else []
        runs.append([*head, *group])
    return runs


class _Chain:
    """Files read one after the other as one stream."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = paths
        self._at = 0
        self._file = paths[0].open("rb") if paths else None

    def read(self, count: int) -> bytes:
        while self._file is not None:
            if data := self._file.read(count):
                return data
            self._file.close()
            self._at += 1
            self._file = self._paths[self._at].open("rb") if self._at < len(self._paths) else None
        return b""


def _decode(folder: Path, run: Run, report: Report) -> None:
    segments = [line for line in run if isinstance(line, lines.Segment)]
    where = f"{segments[0].path} to {segments[-1].path.rpartition('/')[2]}"
    paths = [_inside(folder, line.path) for line in run]
    present = [path for path in paths if path is not None and path.is_file()]
    if len(present) != len(run):
        return  # said already
    container_name = {"fmp4": "mp4", "ts": "mpegts", "webm": "webm"}[segments[0].container]
    wanted = {
        "video": sum(line.video_frames for line in segments),
        "audio": sum(line.audio_frames for line in segments),
    }
    packets = {"video": 0, "audio": 0}
    try:
        with av.open(_Chain(present), "r", format=container_name) as container:
            for packet in container.demux():
                if packet.size:
                    packets[packet.stream.type] = packets.get(packet.stream.type, 0) + 1
                report.decoded_frames += len(packet.decode())
    except (av.error.FFmpegError, OSError) as error:
        at = f"after {packets['video']} pictures and {packets['audio']} sounds"
        report.problems.append(f"{where} does not decode: {error} {at}")
        return
    for kind, count in wanted.items():
        if packets[kind] != count:
            report.problems.append(f"{where} holds {packets[kind]} {kind} frames, the journal says {count}")
