"""Decodes one video track in a thread of its own, shortly before its pictures are wanted. Draws and scales nothing."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from itertools import count, islice
from typing import NamedTuple

import av
import structlog
from av.codec.context import Flags

AHEAD_NS = 200_000_000  # how far beyond the last time asked for is decoded: what is decoded is large
LOW_NS = 40_000_000  # it goes on when no more than this is left: some pictures in one go are less work
QUEUE_BYTES = 64 << 20  # of frames not decoded yet: more than a ring holds
HIDDEN_BYTES = 8 << 20  # of frames of a track that is not shown
HIDDEN_NS = 10_000_000_000  # and their time: decoding more would not be immediate any more
LATE_NS = 2_000_000_000  # so far behind the time asked for, frames in front of a later key frame are not decoded
ASK_NS = 1_000_000_000  # between two requests for a key frame, by the frames that go by in vain
MAX_PIXELS = 4096 * 4096  # of a picture
_SWALLOWED = 30  # frames without a picture after which the decoder has lost its way
_REORDERED = 4  # frames whose times may be out of order
_TIME_BASE = Fraction(1, 1_000_000_000)
#: Which decoder of FFmpeg a track's codec takes. libdav1d: FFmpeg's own "av1" needs hardware.
DECODERS = {"h264": "h264", "h265": "hevc", "vp8": "vp8", "vp9": "vp9", "av1": "libdav1d"}
_serials = count(1)  # of all tracks: somebody who is back has another decoder

log = structlog.get_logger(__name__)


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

    `codec`: a `TrackInfo.codec`. `on_key_wanted` is called, from any thread and outside of locks, when nothing can be
    shown before the next key frame, and again each second while that does not come. `on_progress` is called from the
    decoding thread whenever `ready` may have turned true.
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
        self._now_ns = 0  # the latest time asked for
        self._busy_ns: int | None = None  # room time of the frame that is being decoded
        self._shown = True
        self._catching_up = False  # shown again, and not yet where it has to be
        self._closed = False
        self._broken = True  # until a key frame
        self._asked_ns = 0  # room time of the frame that a key frame was last asked for at
        self._swallowed = 0
        self._last_ns = 0  # of the last picture
        self._damaged_ns = 0  # since when pictures cannot be decoded, although nothing was lost on the way
        self.damages: deque[tuple[int, int]] = deque()  # room times from when to when, for another thread to take
        self._turns: deque[tuple[int, int]] = deque([(0, 0)])  # since when which rotation
        self._thread = threading.Thread(target=self._run, name=f"decode-{codec}", daemon=True)
        self._thread.start()

    # called by whoever has the frames

    def put(self, payload: bytes, room_ns: int, key: bool, after_gap: bool, rotation: int = 0) -> None:
        """One encoded frame, in decoding order. `rotation`: 0, 90, 180 or 270 degrees clockwise to turn it by."""
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
                    self._lose()
            elif self._bytes > QUEUE_BYTES:
                self._keep_last_group()
                if self._bytes > QUEUE_BYTES or not self._queue[0].key:
                    self._lose()
                    ask = self._may_ask(room_ns)
            if self._due(self._now_ns + LOW_NS):
                self._wake.notify()
        if ask:
            self._on_key_wanted()

    def show(self, shown: bool) -> None:
        """Whether its pictures are wanted at all. While they are not, frames are kept for a while but not decoded."""
        ask = False
        with self._lock:
            if shown == self._shown or self._closed:
                return
            self._shown = shown
            self._pictures.clear()
            self._catching_up = shown
            if shown:
                if self._broken and not any(frame.key for frame in self._queue):
                    self._asked_ns = self._queue[-1].room_ns if self._queue else self._now_ns
                    ask = True
                self._wake.notify()
            elif any(frame.key for frame in self._queue):
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
            busy = self._busy_ns is not None and self._busy_ns <= room_ns
            return self._closed or not self._shown or not (busy or self._due(room_ns))

    # inside the lock

    def _look(self, room_ns: int) -> None:
        if room_ns > self._now_ns:
            self._now_ns = room_ns
            if self._due(room_ns + LOW_NS):
                self._wake.notify()

    def _due(self, room_ns: int) -> bool:
        """Whether a frame waits that has to be decoded to show that time."""
        return self._shown and any(frame.room_ns <= room_ns for frame in islice(self._queue, _REORDERED))

    def _clear(self) -> None:
        self._queue.clear()
        self._bytes = 0

    def _lose(self) -> None:
        """Drop everything that waits: nothing can be shown until a key frame comes."""
        self._clear()
        self._broken = True

    def _keep_last_group(self) -> None:
        """Drop what waits in front of the last key frame."""
        frames = list(self._queue)
        start = next((index for index in reversed(range(len(frames))) if frames[index].key), 0)
        self._queue = deque(frames[start:])
        self._bytes = sum(len(frame.payload) for frame in self._queue)

    def _may_ask(self, room_ns: int) -> bool:
        """Whether a key frame is to be asked for at that frame. None is when one has come already."""
        if room_ns - self._asked_ns < ASK_NS or any(frame.key for frame in self._queue):
            return False
        self._asked_ns = room_ns
        return True

    def _take(self) -> _Frame:
        """The next frame to decode. What would be late for long is left out where a key frame allows it."""
        if self._queue[0].room_ns < self._now_ns - LATE_NS:
            frames = list(self._queue)
            keys = [n for n, frame in enumerate(frames) if frame.key and frame.room_ns <= self._now_ns]
            for _ in range(keys[-1] if keys else 0):
                self._bytes -= len(self._queue.popleft().payload)
        frame = self._queue.popleft()
        self._bytes -= len(frame.payload)
        return frame

    # the thread

    def _run(self) -> None:
        try:
            self._decode_all()
        finally:
            with self._lock:
                self._closed = True  # nobody waits for what will not come

    def _decode_all(self) -> None:
        context: av.VideoCodecContext | None = None
        while True:
            with self._lock:
                self._busy_ns = None
                if not self._due(self._now_ns + AHEAD_NS):
                    while not self._closed and not self._due(self._now_ns + LOW_NS):
                        self._wake.wait()
                if self._closed:
                    return
                frame = self._take()
                self._busy_ns = frame.room_ns
                if frame.after_gap and not frame.key:
                    self._broken = True
                skip = self._broken and not frame.key
                if self._broken:
                    context = None  # a new one: the old one may still wait for what is lost
                if not skip:
                    self._broken = False
                # Who decodes slower than frames come never catches up by itself.
                slow = frame.room_ns < self._now_ns - LATE_NS and not self._catching_up
                ask = (skip or slow) and self._may_ask(frame.room_ns)
            if not skip:
                if context is None:
                    context = self._open()
                ask = self._decode(context, frame) or ask
            if ask:
                self._on_key_wanted()
            if self._on_progress is not None:
                self._on_progress()

    def _open(self) -> av.VideoCodecContext:
        context = av.CodecContext.create(DECODERS[self._codec], "r")
        if not isinstance(context, av.VideoCodecContext):
            raise TypeError(f"{DECODERS[self._codec]} decodes no pictures")
        context.thread_count = 1  # tracks run beside each other; threads within one would only add delay
        context.options = {"max_pixels": str(MAX_PIXELS)}
        if self._codec == "av1":
            context.flags |= Flags.low_delay  # libdav1d holds pictures back otherwise
        self._swallowed = 0
        return context

    def _decode(self, context: av.VideoCodecContext, frame: _Frame) -> bool:
        """Whether a key frame is to be asked for."""
        packet = av.Packet(frame.payload)
        packet.pts = frame.room_ns
        packet.time_base = _TIME_BASE
        if frame.rotation != self._turns[-1][1]:
            self._turns.append((frame.room_ns, frame.rotation))
        try:
            decoded = context.decode(packet)
            broken = any(picture.is_corrupt for picture in decoded)
        except av.FFmpegError as error:
            log.info("picture cannot be decoded", codec=self._codec, error=str(error))
            decoded, broken = [], True
        self._swallowed = 0 if decoded else self._swallowed + 1
        with self._lock:
            if broken or self._swallowed >= _SWALLOWED:
                self._broken = True
                self._damaged_ns = self._damaged_ns or self._last_ns or frame.room_ns
                return self._may_ask(frame.room_ns)
            if decoded:
                self._last_ns = frame.room_ns
                if self._damaged_ns:
                    self.damages.append((self._damaged_ns, frame.room_ns))
                    self._damaged_ns = 0
            if self._shown and not self._closed:
                for picture in decoded:
                    self._keep(picture, frame.room_ns if picture.pts is None else picture.pts)
            return False

    def _keep(self, picture: av.VideoFrame, room_ns: int) -> None:
        if self._catching_up:
            if self._due(self._now_ns):
                return  # it would be seen in fast motion
            self._catching_up = False
        while len(self._turns) > 1 and self._turns[1][0] <= room_ns:
            self._turns.popleft()
        self._pictures.append(Picture(picture, room_ns, self._turns[0][1], next(_serials)))
