"""One opened picture encoder in a thread of its own, so that whoever waits for it can give it up. Repeats nothing."""

from __future__ import annotations

import threading
import weakref
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import av
from av.video.codeccontext import VideoCodecContext

#: A picture takes no encoder of ours a tenth of this. SVT-AV1 4.1 at times never gives its first one (architecture.md).
HUNG_S = 10.0
_LOOK_S = 0.25  # counted at most between two looks: the whole process may have been stopped


class EncoderHung(Exception):
    """The encoder did not come back from a picture for `HUNG_S`."""


class _Answer(NamedTuple):
    packets: list[av.Packet[Any]]
    error: Exception | None


class Engine:
    """`context` belongs to it. One that hung is not to be used again; its thread ends when, and if, it comes back."""

    def __init__(self, context: VideoCodecContext) -> None:
        self._pictures: SimpleQueue[tuple[av.VideoFrame | None] | None] = SimpleQueue()
        self._answers: SimpleQueue[_Answer] = SimpleQueue()
        threading.Thread(
            target=_serve, args=(context, self._pictures, self._answers), name="encoder", daemon=True
        ).start()
        weakref.finalize(self, self._pictures.put, None)

    def encode(self, picture: av.VideoFrame | None) -> list[av.Packet[Any]]:
        """What the encoder gives for a picture, or for the end (None). Raises EncoderHung, and what it raises."""
        self._pictures.put((picture,))
        waited_s = 0.0
        while True:
            try:
                answer = self._answers.get(timeout=_LOOK_S)
            except Empty:
                waited_s += _LOOK_S
                if waited_s >= HUNG_S:
                    raise EncoderHung from None
                continue
            if answer.error is not None:
                raise answer.error
            return answer.packets


def _serve(
    context: VideoCodecContext,
    pictures: SimpleQueue[tuple[av.VideoFrame | None] | None],
    answers: SimpleQueue[_Answer],
) -> None:
    while (asked := pictures.get()) is not None:
        try:
            answers.put(_Answer(context.encode(asked[0]), None))
        except Exception as error:  # the one who waits raises it
            answers.put(_Answer([], error))
