"""Reads the fMP4 segments and inits of a journal: sample tables as arrays, payload left in the file.

Takes what `record/mux` writes and fMP4 like it (default-base-is-moof, no reordering); nothing else.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reelroom.record.mux.boxes import Box, BoxError, TrackHeader, find, rotation_of, walk

Ints = NDArray[np.int64]
_NOT_SYNC = 0x10000


@dataclass(slots=True)
class Table:
    """One track's samples in one segment file: times in the track's ticks, offsets in the file."""

    dts: Ints
    durations: Ints
    sizes: Ints
    offsets: Ints
    keys: NDArray[np.bool_]
    chunks: list[int]  # index of the first sample of each stretch that lies together in the file


def read_init(data: bytes) -> dict[int, TrackHeader]:
    """The tracks of an initialisation segment by id. Raises BoxError if it is none."""
    tracks: dict[int, TrackHeader] = {}
    moov = find(data, (b"moov",))
    for trak in walk(data, moov.begin, moov.end):
        if trak.kind != b"trak":
            continue
        tkhd = find(data, (b"tkhd",), trak.begin, trak.end)
        mdhd = find(data, (b"mdia", b"mdhd"), trak.begin, trak.end)
        hdlr = find(data, (b"mdia", b"hdlr"), trak.begin, trak.end)
        stsd = find(data, (b"mdia", b"minf", b"stbl", b"stsd"), trak.begin, trak.end)
        number = _u32(data, tkhd.begin + (20 if data[tkhd.begin] else 12))
        scale = _u32(data, mdhd.begin + (20 if data[mdhd.begin] else 12))
        kind = "video" if data[hdlr.begin + 8 : hdlr.begin + 12] == b"vide" else "audio"
        entries = tuple(data[item.start : item.end] for item in walk(data, stsd.begin + 8, stsd.end))
        size = (_u32(data, tkhd.end - 8) >> 16, _u32(data, tkhd.end - 4) >> 16)
        turn = rotation_of(data[tkhd.end - 44 : tkhd.end - 8]) if kind == "video" else 0
        tracks[number] = TrackHeader(number, kind, scale, entries, *size, turn)
    return tracks


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def read_segment(path: Path) -> dict[int, Table]:
    """The sample tables of a segment file by track id. Raises BoxError, or OSError if it is not there."""
    tables: dict[int, list[Table]] = {}
    file = os.open(path, os.O_RDONLY)
    try:
        end, at = os.fstat(file).st_size, 0
        while at < end:
            head = os.pread(file, 16, at)
            size = _u32(head, 0)
            if size == 1:
                size = int.from_bytes(head[8:16], "big")
            if size < 8 or at + size > end:
                raise BoxError(f"{path.name}: a box at {at} says {size} bytes, {end - at} are there")
            if head[4:8] == b"moof":
                moof = os.pread(file, size, at)
                for traf in walk(moof, 8):
                    if traf.kind == b"traf":
                        number, table = _traf(moof, traf, at, path.name)
                        tables.setdefault(number, []).append(table)
            at += size
    finally:
        os.close(file)
    return {number: _joined(parts) for number, parts in tables.items()}


def _joined(parts: list[Table]) -> Table:
    if len(parts) == 1:
        return parts[0]
    chunks: list[int] = []
    base = 0
    for part in parts:
        chunks += [base + first for first in part.chunks]
        base += len(part.dts)
    return Table(
        np.concatenate([part.dts for part in parts]),
        np.concatenate([part.durations for part in parts]),
        np.concatenate([part.sizes for part in parts]),
        np.concatenate([part.offsets for part in parts]),
        np.concatenate([part.keys for part in parts]),
        chunks,
    )


def _traf(data: bytes, traf: Box, moof_at: int, name: str) -> tuple[int, Table]:
    number, start = 0, 0
    default = [0, 0, 0]  # duration, size, flags
    rows: list[Ints] = []
    offsets: list[Ints] = []
    chunks: list[int] = []
    count = 0
    for item in walk(data, traf.begin, traf.end):
        flags = _u32(data, item.begin) & 0xFFFFFF
        at = item.begin + 4
        if item.kind == b"tfhd":
            number = _u32(data, at)
            if not flags & 0x020000 or flags & 3:
                raise BoxError(f"{name}: fragments must be addressed from their moof")
            at += 4
            for index, bit in enumerate((8, 16, 32)):
                if flags & bit:
                    default[index] = _u32(data, at)
                    at += 4
        elif item.kind == b"tfdt":
            start = int.from_bytes(data[at : at + (8 if data[item.begin] else 4)], "big")
        elif item.kind == b"trun":
            samples = _u32(data, at)
            if not flags & 1 or flags & 0x800:
                raise BoxError(f"{name}: a trun needs a data offset and no reordering")
            first = moof_at + int.from_bytes(data[at + 4 : at + 8], "big", signed=True)
            at += 8
            first_flags = None
            if flags & 4:
                first_flags = _u32(data, at)
                at += 4
            table = np.empty((samples, 3), np.int64)
            present = [index for index, bit in enumerate((0x100, 0x200, 0x400)) if flags & bit]
            raw = np.frombuffer(data, ">u4", samples * len(present), at).reshape(samples, -1)
            for index in range(3):
                table[:, index] = raw[:, present.index(index)] if index in present else default[index]
            if first_flags is not None and samples:
                table[0, 2] = first_flags
            rows.append(table)
            ends = np.cumsum(table[:, 1])
            offsets.append(first + ends - table[:, 1])
            chunks.append(count)
            count += samples
    if not rows:
        none = np.empty(0, np.int64)
        return number, Table(none, none, none, none, np.empty(0, np.bool_), [])
    whole = np.concatenate(rows)
    durations = whole[:, 0]
    dts = start + np.cumsum(durations) - durations
    return number, Table(dts, durations, whole[:, 1], np.concatenate(offsets), (whole[:, 2] & _NOT_SYNC) == 0, chunks)
