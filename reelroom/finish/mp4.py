"""Progressive MP4, moov first, out of fMP4 segments: sample tables made anew, payload copied by the kernel.

Decodes, encodes and looks at no sample.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np

from reelroom.finish.part import Made, Range, join
from reelroom.finish.read import Ints
from reelroom.finish.source import FinishError, Piece, Step
from reelroom.record.mux.boxes import TrackHeader, box, full, mvhd, trak

_MOVIE_SCALE = 90_000


class _Track:
    """Collects one track's tables over all segments."""

    def __init__(self, track_id: int, header: TrackHeader) -> None:
        self.header = header
        self.track_id = track_id
        self.entries: list[bytes] = []
        self.dts: list[Ints] = []
        self.sizes: list[Ints] = []
        self.keys: list[np.ndarray] = []
        self.last_duration = 0
        self.chunk_samples: list[int] = []
        self.chunk_entries: list[int] = []
        self.chunk_offsets: list[int] = []  # relative to the first byte of payload

    def add(self, piece: Piece) -> int:
        """Take a segment's samples; returns the number of its sample entry, from 1."""
        if piece.header.scale != self.header.scale:
            raise FinishError(f"{piece.path.name}: its time scale {piece.header.scale} is not the file's")
        if piece.header.rotation != self.header.rotation:
            raise FinishError(f"{piece.path.name}: its pictures are turned another way than the file's")
        table = piece.table
        self.dts.append(table.dts)
        self.sizes.append(table.sizes)
        self.keys.append(table.keys)
        self.last_duration = int(table.durations[-1])
        entry = piece.header.entries[0]
        if entry not in self.entries:
            self.entries.append(entry)
        return self.entries.index(entry) + 1

    def tables(self, base: int) -> tuple[bytes, int, bytes, int]:
        """stbl's tables, media duration, edts, and the end, relative to `base` ticks, in movie ticks."""
        dts = np.concatenate(self.dts)
        steps = np.diff(dts)
        if steps.size and int(steps.min()) <= 0:
            raise FinishError(f"{self.header.kind}: sample times do not increase from segment to segment")
        durations = np.append(steps, self.last_duration)
        if int(durations.max()) >> 32:
            raise FinishError(f"{self.header.kind}: a hole is longer than MP4 can tell (2^32 ticks)")
        sizes = np.concatenate(self.sizes)
        keys = np.concatenate(self.keys)
        total = int(durations.sum())
        parts = [_stts(durations)]
        if not keys.all():
            sync = np.flatnonzero(keys) + 1
            parts.append(full(b"stss", 0, 0, struct.pack(">I", len(sync)), sync.astype(">u4").tobytes()))
        parts.append(self._stsc())
        parts.append(full(b"stsz", 0, 0, struct.pack(">II", 0, len(sizes)), sizes.astype(">u4").tobytes()))
        delay = int(dts[0]) - base
        edits, end = _edits(delay, total, self.header.scale)
        return b"".join(parts), total, edits, end

    def _stsc(self) -> bytes:
        samples, entries = np.asarray(self.chunk_samples), np.asarray(self.chunk_entries)
        starts = np.flatnonzero(np.append(True, (np.diff(samples) != 0) | (np.diff(entries) != 0)))
        rows = np.stack([starts + 1, samples[starts], entries[starts]], axis=1)
        return full(b"stsc", 0, 0, struct.pack(">I", len(rows)), rows.astype(">u4").tobytes())

    def offsets(self, payload: int) -> bytes:
        values = np.asarray(self.chunk_offsets, np.int64) + payload
        return full(b"co64", 0, 0, struct.pack(">I", len(values)), values.astype(">u8").tobytes())


def _stts(durations: Ints) -> bytes:
    starts = np.flatnonzero(np.append(True, np.diff(durations) != 0))
    counts = np.diff(starts, append=len(durations))
    rows = np.stack([counts, durations[starts]], axis=1)
    return full(b"stts", 0, 0, struct.pack(">I", len(rows)), rows.astype(">u4").tobytes())


def _edits(delay: int, total: int, scale: int) -> tuple[bytes, int]:
    """edts for a track that begins `delay` ticks late (or early: its first part is not shown)."""
    if delay == 0:
        return b"", total * _MOVIE_SCALE // scale
    if delay > 0:
        late, shown, skipped = delay * _MOVIE_SCALE // scale, total * _MOVIE_SCALE // scale, 0
        rows = [struct.pack(">QqI", late, -1, 0x10000)]
    else:
        late, shown, skipped = 0, max(0, total + delay) * _MOVIE_SCALE // scale, -delay
        rows = []
    rows.append(struct.pack(">QqI", shown, skipped, 0x10000))
    return box(b"edts", full(b"elst", 1, 0, struct.pack(">I", len(rows)), *rows)), late + shown


def write(path: Path, steps: Iterable[Step], base_ns: int, progress: Callable[[float], None]) -> Made:
    """Write the file; media time `base_ns` is its time 0. Raises FinishError, or OSError (disk full)."""
    tracks: dict[str, _Track] = {}
    ranges: list[Range] = []
    size = 0
    for step in steps:
        chunks: list[tuple[float, str, Piece, int, int, int]] = []
        for kind, piece in (("video", step.video), ("audio", step.audio)):
            if piece is None:
                continue
            track = tracks.get(kind)
            if track is None:
                track = tracks[kind] = _Track(len(tracks) + 1, piece.header)
            entry = track.add(piece)
            cuts = [*piece.table.chunks, len(piece.table.dts)]
            for first, after in pairwise(cuts):
                if after > first:
                    offset = int(piece.table.offsets[first])
                    chunks.append((offset, kind, piece, first, after, entry))
        # In the order in which they lie in their file: neighbours become one copy.
        one_file = len({chunk[2].path for chunk in chunks}) == 1
        chunks.sort(key=lambda c: (c[0] if one_file else float(c[2].table.dts[c[3]]) / c[2].header.scale, c[1]))
        for _, kind, piece, first, after, entry in chunks:
            track = tracks[kind]
            length = int(piece.table.sizes[first:after].sum())
            track.chunk_samples.append(after - first)
            track.chunk_entries.append(entry)
            track.chunk_offsets.append(size)
            ranges.append(Range(piece.path, int(piece.table.offsets[first]), length))
            size += length
    if not tracks:
        raise FinishError("there is neither picture nor sound")
    progress(0.2)
    made = join(path, _head(list(tracks.values()), size, base_ns), ranges)
    progress(1.0)
    return made


def _head(tracks: list[_Track], size: int, base_ns: int) -> bytes:
    ftyp = box(b"ftyp", b"isom", struct.pack(">I", 0x200), b"isomiso2mp41")
    built = []
    for track in tracks:
        scale = track.header.scale
        base = (base_ns * scale + 500_000_000) // 1_000_000_000
        built.append((track, *track.tables(base)))
    duration = max(end for *_, end in built)

    def moov(payload: int) -> bytes:
        traks = []
        for track, table, total, edits, end in built:
            entries = tuple(track.entries)
            header = track.header._replace(track_id=track.track_id, entries=entries)
            traks.append(trak(header, table + track.offsets(payload), total, end, edits))
        return box(b"moov", mvhd(_MOVIE_SCALE, duration, len(tracks) + 1), *traks)

    # Offsets have a fixed width, so the box is as long with the right ones as with none.
    payload = len(ftyp) + len(moov(0)) + 16
    return ftyp + moov(payload) + struct.pack(">I4sQ", 1, b"mdat", size + 16)
