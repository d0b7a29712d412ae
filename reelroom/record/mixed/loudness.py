"""How loud everybody in a mix was each second: measured, kept in the recording's folder, made into a file at its end.

The file has a line of JSON for each second, as ZEGO's `.sw` files: `{"time": 10, "sound_wave": [{"stream_id": "ann",
"volume": 57}]}`. A `volume` is 0 for -60 dBFS and less, 100 for full scale.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from reelroom.domain import lines
from reelroom.domain.naming import stream_name
from reelroom.domain.recording import RecordingSpec
from reelroom.domain.timeline import SECOND
from reelroom.record.journal import sync_and_hash, write_synced
from reelroom.record.mixed.frames import OUTPUT
from reelroom.record.mixed.resample import Sound
from reelroom.record.paths import Paths

FORMAT = "sw"
_FLOOR_DB = 60.0


class Meter:
    """The power of each voice since it was last asked for. Runs in the mixing thread."""

    def __init__(self) -> None:
        self._energy: dict[int, float] = {}
        self._ticks = 0

    def heard(self, voice: int, sound: Sound) -> None:
        """A piece of a voice, values within -1..1."""
        self._energy[voice] = self._energy.get(voice, 0.0) + float(np.square(sound).sum()) / sound.shape[0]

    def passed(self, ticks: int) -> None:
        self._ticks += ticks

    def take(self) -> dict[int, int]:
        """Voices that were heard → volume."""
        ticks, energy, self._ticks, self._energy = self._ticks, self._energy, 0, {}
        return {voice: volume(sum_ / ticks) for voice, sum_ in energy.items()} if ticks else {}


def volume(power: float) -> int:
    """0..100 of a mean square, 1 being full scale."""
    decibels = 10 * math.log10(power) if power > 0 else -_FLOOR_DB
    return round(100 * min(1.0, max(0.0, 1 + decibels / _FLOOR_DB)))


class Log:
    """Seconds as they pass. Raises OSError (a full disk)."""

    def __init__(self, paths: Paths, key: str) -> None:
        """`key`: "stream_id", or "user_id" for one entry a person."""
        self._path = _log(paths)
        self._key = key

    def add(self, second: int, volumes: Iterable[tuple[str, str, int]]) -> None:
        """`volumes`: identity, "camera" or "screen", volume."""
        named: dict[str, int] = {}
        for identity, source, loud in volumes:
            name = identity if self._key == "user_id" else stream_name(identity, source)
            named[name] = max(loud, named.get(name, 0))
        wave = [{self._key: name, "volume": loud} for name, loud in named.items()]
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"time": second, "sound_wave": wave}, ensure_ascii=False) + "\n")


def make(paths: Paths, spec: RecordingSpec, found: Iterable[lines.AnyLine]) -> lines.File | None:
    """The file of a recording that was stopped; None: it has one already, wants none, or nothing was heard."""
    if spec.mix is None or not spec.mix.loudness or not _log(paths).exists():
        return None
    opened: lines.OutputOpened | None = None
    last: lines.Segment | None = None
    for line in found:
        match line:
            case lines.OutputOpened(output=output) if output == OUTPUT:
                opened = line
            case lines.Segment(output=output) if output == OUTPUT:
                last = line
            case lines.File(format=format_) if format_ == FORMAT:
                return None
    if opened is None or last is None:
        return None
    seconds = _seconds(_log(paths), -(-last.media_end_ns // SECOND))
    path = paths.folder / "files" / f"{OUTPUT}.{FORMAT}"
    path.parent.mkdir(exist_ok=True)
    write_synced(path, (f"{json.dumps(seconds[time], ensure_ascii=False)}\n".encode() for time in sorted(seconds)))
    size, digest = sync_and_hash(path)
    return lines.File(
        output=OUTPUT,
        identity=opened.identity,
        source=opened.source,
        kind="audio" if spec.sound_alone else opened.kind,
        format=FORMAT,
        path=paths.relative(path),
        bytes=size,
        sha256=digest,
        start_ns=opened.start_ns,
        end_ns=last.end_ns,
        media_start_ns=0,
        duration_ns=last.media_end_ns,
    )


def _log(paths: Paths) -> Path:
    return paths.folder / "loudness.jsonl"


def _seconds(log: Path, until: int) -> Mapping[int, object]:
    """What was kept, by second; of one that was mixed again after a restart, the later. A torn line is left out."""
    found: dict[int, object] = {}
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if said["time"] <= until:
            found[said["time"]] = said
    return found
