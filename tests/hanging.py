"""Encoders of segments and files that hang: the call that takes a picture does not come back, the GIL released.

That is how SVT-AV1 4.1 hangs. What stands behind the fault is the real encoder, and so is what notices it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from av import VideoFrame
from av.video.codeccontext import VideoCodecContext

from reelroom.record.mux import engine, video

NOTICED_S = 0.5  # once one hangs; the others have as long as always, so that a busy machine is no fault


class _Hanging:
    """An encoder that hangs at its picture number `at` (from 0), or at the flush (None)."""

    def __init__(self, real: VideoCodecContext, at: int | None, released: threading.Event) -> None:
        self._real = real
        self._at = at
        self._released = released
        self._count = 0

    def encode(self, picture: VideoFrame | None) -> Any:
        if (None if picture is None else self._count) == self._at:
            engine.HUNG_S = NOTICED_S
            self._released.wait()
        self._count += 1
        return self._real.encode(picture)


@contextmanager
def hanging(*at: int | None) -> Iterator[list[str]]:
    """The first `len(at)` encoders that are opened hang, each at that picture, until the end of the block.

    Gives the names of all encoders that are opened meanwhile.
    """
    todo = list(at)
    opened: list[str] = []
    released = threading.Event()
    real, patience_s = video.Engine, engine.HUNG_S

    def start(context: VideoCodecContext) -> engine.Engine:
        engine.HUNG_S = patience_s
        opened.append(context.name)
        return real(_Hanging(context, todo.pop(0), released) if todo else context)  # type: ignore[arg-type]

    video.Engine = start  # type: ignore[assignment, misc]
    try:
        yield opened
    finally:
        video.Engine = real  # type: ignore[misc]
        engine.HUNG_S = patience_s
        released.set()
