"""The fork server with faults in front of picture encoders, each behind one picture: AV1 of mixes hangs, H.264 fails.

The call that hangs is what SVT-AV1 did once: it does not come back, the GIL is released, and only the end of the
process ends it; with one thread it does not. The one that fails does so in every recorder, at the same picture.
The first encoder of segments hangs in each recorder. All else is real, the encoders behind the faults too.
"""

from __future__ import annotations

import ctypes
from typing import Any

from av import VideoFrame
from av.video.codeccontext import VideoCodecContext

from reelroom.domain.mix import Mix
from reelroom.fleet.__main__ import main
from reelroom.record.mixed import encoder
from tests.hanging import hanging

LAST = 45  # the picture that is still encoded
_open = encoder.open_encoder
_libc = ctypes.CDLL(None)


class Faulty:
    """An encoder up to its `LAST` picture."""

    def __init__(self, real: VideoCodecContext) -> None:
        self.__dict__["real"] = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.real, name, value)

    def encode(self, frame: VideoFrame | None) -> Any:
        if frame is not None and frame.pts > LAST:
            if self.real.name == "libx264":
                raise RuntimeError("the encoder has had enough")
            while True:
                _libc.pause()  # until a signal comes
        return self.real.encode(frame)


def open_encoder(mix: Mix, name: str, preset: str, alone: bool = False) -> Any:
    real = _open(mix, name, preset, alone)
    return real if alone else Faulty(real)


if __name__ == "__main__":
    encoder.open_encoder = open_encoder
    with hanging(LAST):
        main()
