"""ISO BMFF boxes: small builders, and a walk over their headers. Knows no codec."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

UNITY_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


#: The upper left of a tkhd's matrix by degrees clockwise: x' = ax + cy, y' = bx + dy (ISO/IEC 14496-12 section 8.3.2).
_TURNS = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


class BoxError(ValueError):
    """A box that ends outside its parent, or is missing."""


class Box(NamedTuple):
    """A box found in a buffer: its payload is `data[begin:end]`."""

    kind: bytes
    start: int
    begin: int
    end: int


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box of less than 4 GiB (ISO/IEC 14496-12 §4.2)."""
    return struct.pack(">I", 8 + sum(map(len, parts))) + kind + b"".join(parts)


def full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """A box with version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def walk(data: bytes | memoryview, begin: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes from `begin` to `end`, without going into them. Raises BoxError on an impossible size."""
    end = len(data) if end is None else end
    at = begin
    while at < end:
        if at + 8 > end:
            raise BoxError(f"{end - at} bytes at {at} are too few for a box header")
        size = int.from_bytes(data[at : at + 4], "big")
        kind = bytes(data[at + 4 : at + 8])
        head = 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = end - at
        if size < head or at + size > end:
            raise BoxError(f"box {kind!r} at {at} says {size} bytes, {end - at} are there")
        yield Box(kind, at, at + head, at + size)
        at += size


def find(data: bytes | memoryview, path: Sequence[bytes], begin: int = 0, end: int | None = None) -> Box:
    """The first box at `path`, such as (b"moov", b"trak"). Raises BoxError if it is not there."""
    found: Box | None = None
    for kind in path:
        found = next((item for item in walk(data, begin, end) if item.kind == kind), None)
        if found is None:
            raise BoxError(f"there is no {'/'.join(part.decode('latin1') for part in path)} box")
        begin, end = found.begin, found.end
    if found is None:
        raise BoxError("an empty path names no box")
    return found


class TrackHeader(NamedTuple):
    """What a `trak` says besides its samples. `entries` are whole sample entries of its stsd."""

    track_id: int
    kind: str  # "video" or "audio"
    scale: int
    entries: tuple[bytes, ...]
    width: int = 0
    height: int = 0
    rotation: int = 0  # degrees clockwise by which pictures are turned when they are shown


def matrix(rotation: int, width: int, height: int) -> bytes:
    """The display matrix that turns pictures of this size by 0, 90, 180 or 270 degrees clockwise into sight."""
    a, b, c, d = _TURNS[rotation]
    x = height if rotation == 90 else width if rotation == 180 else 0
    y = height if rotation == 180 else width if rotation == 270 else 0
    rows = (a << 16, b << 16, 0, c << 16, d << 16, 0, x << 16, y << 16, 0x40000000)
    return struct.pack(">9i", *rows)


def rotation_of(matrix_: bytes | memoryview) -> int:
    """What `matrix` was made with. BoxError for a matrix that does more than turn."""
    a, b, _, c, d, *_ = struct.unpack(">9i", matrix_)
    for degrees, turn in _TURNS.items():
        if (a, b, c, d) == tuple(value << 16 for value in turn):
            return degrees
    raise BoxError(f"a track's matrix does more than turn pictures: {bytes(matrix_).hex()}")


def mvhd(scale: int, duration: int, next_track: int) -> bytes:
    return full(
        b"mvhd",
        1,
        0,
        struct.pack(">QQIQ", 0, 0, scale, duration),
        struct.pack(">IHHII", 0x10000, 0x0100, 0, 0, 0),
        UNITY_MATRIX,
        bytes(24),
        struct.pack(">I", next_track),
    )


def trak(track: TrackHeader, table: bytes, media_duration: int, movie_duration: int, edits: bytes = b"") -> bytes:
    """A track box. `table` is what follows stsd in stbl; `edits` is an edts box or nothing."""
    video = track.kind == "video"
    tkhd = full(
        b"tkhd",
        1,
        3,
        struct.pack(">QQIIQ", 0, 0, track.track_id, 0, movie_duration),
        bytes(8),
        struct.pack(">HHHH", 0, 0 if video else 1, 0 if video else 0x0100, 0),
        matrix(track.rotation, track.width, track.height),
        struct.pack(">II", track.width << 16, track.height << 16),
    )
    mdhd = full(b"mdhd", 1, 0, struct.pack(">QQIQHH", 0, 0, track.scale, media_duration, 0x55C4, 0))
    handler, name = (b"vide", b"video\0") if video else (b"soun", b"audio\0")
    hdlr = full(b"hdlr", 0, 0, bytes(4), handler, bytes(12), name)
    head = full(b"vmhd", 0, 1, bytes(8)) if video else full(b"smhd", 0, 0, bytes(4))
    dinf = box(b"dinf", full(b"dref", 0, 0, struct.pack(">I", 1), full(b"url ", 0, 1)))
    stsd = full(b"stsd", 0, 0, struct.pack(">I", len(track.entries)), *track.entries)
    minf = box(b"minf", head, dinf, box(b"stbl", stsd, table))
    return box(b"trak", tkhd, edits, box(b"mdia", mdhd, hdlr, minf))


_EMPTY_TABLE = (
    full(b"stts", 0, 0, bytes(4))
    + full(b"stsc", 0, 0, bytes(4))
    + full(b"stsz", 0, 0, bytes(8))
    + full(b"stco", 0, 0, bytes(4))
)


def init_segment(tracks: Sequence[TrackHeader]) -> bytes:
    """ftyp and moov of a fragmented file without any sample (an EXT-X-MAP)."""
    ftyp = box(b"ftyp", b"iso6", bytes(4), b"iso6isomcmfcmp41")
    traks = [trak(track, _EMPTY_TABLE, 0, 0) for track in tracks]
    trex = [full(b"trex", 0, 0, struct.pack(">5I", track.track_id, 1, 0, 0, 0)) for track in tracks]
    next_track = max(track.track_id for track in tracks) + 1
    return ftyp + box(b"moov", mvhd(1000, 0, next_track), *traks, box(b"mvex", *trex))
