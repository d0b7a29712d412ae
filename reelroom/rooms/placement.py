"""Which ingest process a room lives in. Pure; moves nothing."""

from __future__ import annotations

import zlib


def ingest_index(app: str, room: str, workers: int) -> int:
    """0..workers-1, the same in every process and after every restart."""
    return zlib.crc32(f"{app}\0{room}".encode()) % workers
