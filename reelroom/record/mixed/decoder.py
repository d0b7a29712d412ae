"""Decodes one video track in a thread of its own, shortly before its pictures are wanted. Draws and scales nothing."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import count
from typing import NamedTuple

import av
from av.codec.context import Flags

AHEAD_NS = 150_000_000  # how far beyond the last time asked for is decoded: what is decoded is large
QUEUE_BYTES = 64 << 20  # of frames not decoded yet: more than a ring holds
HIDDEN_BYTES = 8 << 20  # of frames of a track that is not shown, since its last key frame
HIDDEN_NS = 10_000_000_000  # and their time: decoding more would not be immediate any more
_TIME_BASE = Fraction(1, 1_000_000_000)
#: Which decoder of FFmpeg a track's codec takes. libdav1d: FFmpeg's own "av1" needs hardware.
DECODERS = {"h264": "h264", "h265": "hevc", "vp8": "vp8", "vp9": "vp9", "av1": "libdav1d"}
_serials = count(1)  # of all tracks: somebody who is back has another decoder


class Picture(NamedTuple):
    """One decoded picture, to be turned by `rotation` degrees clockwise. No two of all tracks have one `serial`."""

    frame: av.VideoFrame
    room_ns: int
    rotation: int
    serial: int


class _Frame(NamedTuple):
    payload: bytes
    room_ns: int
    key: bool
    after_gap: bool
    rotation: int


class PictureDecoder:
    """One track. `put` and `show` may be called from any thread and never block; `at` and `ready` from one.

    `codec`: a `TrackInfo.codec`. `on_key_wanted` is called, from any thread, when nothing can be shown before the next
    key frame; it is called again only after one has come. `on_progress` is called from the decoding thread whenever
    `ready` may have turned true.
    """

    def __init__(
        self,
        codec: str,
        on_key_wanted: Callable[[], None],
        on_progress: Callable[[], None] | None = None,
    ) -> None:
        if codec not in DECODERS:
            raise ValueError(f"{codec} is not a picture codec that can be decoded")
        self._codec = codec
        self._on_key_wanted = on_key_wanted
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._queue: deque[_Frame] = deque()
        self._bytes = 0
        self._pictures: deque[Picture] = deque()
        self._horizon_ns = 0  # decoded as far as this
        self._busy_ns = -1  # room time of the frame that is being decoded; -1: none
        self._shown = True
        self._closed = False
        self._broken = True  # until a key frame
        self._asked = False
        self._rotations: dict[int, int] = {}
        self._thread = threading.Thread(target=self._run, name=f"decode-{codec}", daemon=True)
        self._thread.start()

    # called by whoever has the frames

    def put(self, payload: bytes, room_ns: int, key: bool, after_gap: bool, rotation: int = 0) -> None:
        """One encoded frame, in decoding order. `rotation`: degrees clockwise that it is to be turned by."""
        ask = False
        with self._lock:
            if self._closed:
                return
            if key and not self._shown:
                self._clear()  # what went before is not needed to show this
            self._queue.append(_Frame(payload, room_ns, key, after_gap, rotation))
            self._bytes += len(payload)
            if not self._shown:
                if self._bytes > HIDDEN_BYTES or room_ns - self._queue[0].room_ns > HIDDEN_NS:
                    self._clear()
            elif self._bytes > QUEUE_BYTES:
                ask = self._overflow()
            if self._shown and room_ns <= self._horizon_ns:
                self._wake.notify()
        if ask:
            self._on_key_wanted()

    def show(self, shown: bool) -> None:
        """Whether its pictures are wanted at all. Hidden, only the frames since the last key frame are kept."""
        with self._lock:
            if shown == self._shown:
                return
            self._shown = shown
            self._pictures.clear()
            if shown:
                ask = not self._queue or not self._queue[0].key
                self._broken = True
                self._asked = ask
                self._wake.notify()
            else:
                ask = False
                self._keep_last_group()
        if ask:
            self._on_key_wanted()

    def close(self) -> None:
        """End its thread. What it has decoded is let go."""
        with self._lock:
            self._closed = True
            self._clear()
            self._pictures.clear()
            self._wake.notify()
        if self._thread is not threading.current_thread():
            self._thread.join()

    # called by whoever shows the pictures

    def at(self, room_ns: int) -> Picture | None:
        """The newest picture of that time or before; earlier ones are let go. None: there is none yet."""
        with self._lock:
            self._look(room_ns)
            pictures = self._pictures
            while len(pictures) > 1 and pictures[1].room_ns <= room_ns:
                pictures.popleft()
            return pictures[0] if pictures and pictures[0].room_ns <= room_ns else None

    def ready(self, room_ns: int) -> bool:
        """Whether all that has been put with that time or before is decoded, or will not be."""
        with self._lock:
            self._look(room_ns)
            if not self._shown or self._closed:
                return True
            waiting = bool(self._queue) and self._queue[0].room_ns <= room_ns
            return not waiting and not 0 <= self._busy_ns <= room_ns

    # inside the lock

    def _look(self, room_ns: int) -> None:
        if room_ns + AHEAD_NS > self._horizon_ns:
            self._horizon_ns = room_ns + AHEAD_NS
            if self._shown and self._queue and self._queue[0].room_ns <= self._horizon_ns:
                self._wake.notify()

    def _clear(self) -> None:
        self._queue.clear()
        self._bytes = 0

    def _overflow(self) -> bool:
        """Drop what comes before the last key frame, or everything; whether a key frame has to be asked for."""
        self._broken = True
        self._keep_last_group()
        if self._queue and self._bytes <= QUEUE_BYTES:
            return False
        self._clear()
        asked, self._asked = self._asked, True
        return not asked

    def _keep_last_group(self) -> None:
        frames = list(self._queue)
        start = next((index for index in reversed(range(len(frames))) if frames[index].key), len(frames))
        self._queue = deque(frames[start:])
        self._bytes = sum(len(frame.payload) for frame in self._queue)

    # the thread

    def _run(self) -> None:
        context: av.VideoCodecContext | None = None
        while True:
            with self._lock:
                self._busy_ns = -1
                while not self._closed and not (
                    self._shown and self._queue and self._queue[0].room_ns <= self._horizon_ns
                ):
                    self._wake.wait()
                if self._closed:
                    return
                frame = self._queue.popleft()
                self._bytes -= len(frame.payload)
                self._busy_ns = frame.room_ns
                if frame.after_gap and not frame.key:
                    self._broken = True
                skip = self._broken and not frame.key
                fresh = self._broken or context is None
                if not skip:
                    self._broken = self._asked = False
                ask = skip and not self._asked
                self._asked = self._asked or skip
            if ask:
                self._on_key_wanted()
            if not skip:
                if fresh or context is None:
                    context = self._open()
                self._decode(context, frame)
            if self._on_progress is not None:
                self._on_progress()

    def _open(self) -> av.VideoCodecContext:
        context = av.CodecContext.create(DECODERS[self._codec], "r")
        if not isinstance(context, av.VideoCodecContext):
            raise TypeError(f"{DECODERS[self._codec]} decodes no pictures")
        context.thread_count = 1  # tracks run beside each other; threads within one would only add delay
        context.flags |= Flags.low_delay
        self._rotations.clear()
        return context

    def _decode(self, context: av.VideoCodecContext, frame: _Frame) -> None:
        packet = av.Packet(frame.payload)
        packet.pts = frame.room_ns
        packet.time_base = _TIME_BASE
        self._rotations[frame.room_ns] = frame.rotation
        try:
            decoded = context.decode(packet)
            broken = any(picture.is_corrupt for picture in decoded)
        except av.FFmpegError:
            decoded, broken = [], True
        ask = False
        with self._lock:
            if broken:
                self._broken = True
                ask, self._asked = not self._asked, True
            elif self._shown:
                for picture in self._numbered(decoded, frame):
                    self._pictures.append(picture)
        if ask:
            self._on_key_wanted()

    def _numbered(self, decoded: list[av.VideoFrame], frame: _Frame) -> Iterator[Picture]:
        for picture in decoded:
            room_ns = frame.room_ns if picture.pts is None else picture.pts
            rotation = self._rotations.pop(room_ns, frame.rotation)
            yield Picture(picture, room_ns, rotation, next(_serials))
