"""The fork server with a fault in front of mixes' picture encoders: with more than one thread they hang at a picture.

As SVT-AV1 did once: a call does not come back, the GIL is released, and only the end of the process ends it. All else
is real, the encoder behind the fault too.
"""

from __future__ import annotations

import ctypes
from typing import Any

from av import VideoFrame
from av.video.codeccontext import VideoCodecContext

from reelroom.domain.mix import Mix
from reelroom.fleet.__main__ import main
from reelroom.record.mixed import encoder

LAST = 45  # pictures that are encoded before
_open = encoder.open_encoder
_libc = ctypes.CDLL(None)


class Hanging:
    """An encoder up to its `LAST` picture."""

    def __init__(self, real: VideoCodecContext) -> None:
        self.__dict__.update(real=real, taken=0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.real, name, value)

    def encode(self, frame: VideoFrame | None) -> Any:
        self.__dict__["taken"] += 1
        while self.taken > LAST:
            _libc.pause()  # until a signal comes
        return self.real.encode(frame)


def open_encoder(mix: Mix, name: str, preset: str, alone: bool = False) -> Any:
    real = _open(mix, name, preset, alone)
    return real if alone else Hanging(real)


if __name__ == "__main__":
    encoder.open_encoder = open_encoder
    main()
