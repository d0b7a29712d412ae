"""One fMP4 media segment from samples: styp, moof, mdat. Chooses no times and knows no codec."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from reelroom.record.mux.boxes import box, full

_KEY = 0x02000000  # depends on no other sample
_DELTA = 0x01010000  # depends on others, and is no sync sample


@dataclass(slots=True)
class Run:
    """A track's samples in one segment. `dts` strictly increasing, in the track's ticks; no reordering."""

    track_id: int
    scale: int
    dts: Sequence[int]
    durations: Sequence[int]
    data: Sequence[bytes | memoryview]
    keys: Sequence[bool] | None = None  # None: every sample is one (audio)


def _chunks(run: Run) -> list[tuple[int, int, int]]:
    """(second, first, after last) of the stretches of one second: players want both tracks at hand."""
    seconds = np.asarray(run.dts, np.int64) // run.scale
    cuts = [0, *(np.flatnonzero(np.diff(seconds)) + 1).tolist(), len(seconds)]
    return [(int(seconds[a]), a, b) for a, b in pairwise(cuts)]


def segment(number: int, runs: Sequence[Run]) -> list[bytes | memoryview]:
    """The parts of a segment file, to be written one after the other (ISO/IEC 14496-12 §8.8, §8.16).

    One moof; each track's samples in several truns of a second each, interleaved with the other track's.
    """
    runs = [run for run in runs if len(run.dts)]
    pieces: list[tuple[int, int, int, int]] = []  # second, run, first, after last
    tables: list[np.ndarray] = []
    sizes: list[np.ndarray] = []
    moof_bytes = 8 + 16
    for index, run in enumerate(runs):
        mine = _chunks(run)
        pieces += [(second, index, a, b) for second, a, b in mine]
        size = np.fromiter(map(len, run.data), np.int64, len(run.data))
        columns = [np.asarray(run.durations, np.int64), size]
        if run.keys is not None:
            columns.append(np.where(np.asarray(run.keys, bool), _KEY, _DELTA))
        sizes.append(size)
        tables.append(np.stack(columns, axis=1).astype(">u4"))
        moof_bytes += 8 + 20 + 20 + sum(20 + 4 * len(columns) * (b - a) for _, a, b in mine)
    pieces.sort(key=lambda piece: piece[:2])
    truns: list[list[bytes]] = [[] for _ in runs]
    payload: list[bytes | memoryview] = []
    offset = moof_bytes + 8
    for _, index, a, b in pieces:
        run, table = runs[index], tables[index]
        flags = 0x000301 if run.keys is None else 0x000701
        truns[index].append(full(b"trun", 0, flags, struct.pack(">II", b - a, offset), table[a:b].tobytes()))
        payload += run.data[a:b]
        offset += int(sizes[index][a:b].sum())
    trafs = [
        box(
            b"traf",
            full(b"tfhd", 0, 0x020020, struct.pack(">II", run.track_id, _KEY)),
            full(b"tfdt", 1, 0, struct.pack(">Q", run.dts[0])),
            *truns[index],
        )
        for index, run in enumerate(runs)
    ]
    moof = box(b"moof", full(b"mfhd", 0, 0, struct.pack(">I", number)), *trafs)
    if len(moof) != moof_bytes:
        raise AssertionError(f"moof has {len(moof)} bytes, its data offsets were made for {moof_bytes}")
    mdat = struct.pack(">I", 8 + offset - moof_bytes - 8) + b"mdat"
    return [box(b"styp", b"msdh", bytes(4), b"msdhiso6"), moof, mdat, *payload]
