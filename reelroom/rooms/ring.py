"""The last seconds of one track: encoded frames back to a key frame, bounded in time and bytes. Holds no sockets."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

_STALE_NS = 3_000_000_000  # video without a frame for so long has stopped
MAX_AUDIO_NS = 120_000_000  # no audio frame is longer (RFC 7587 section 4.2)


class Kept(NamedTuple):
    """One frame as it goes over the bus: the packed header, then the payload."""

    header: bytes
    data: bytes
    seq: int
    room_ns: int
    key: bool


class Ring:
    """Frames of one track, oldest first.

    Video is kept from the newest key frame that is at least `length_ns` old, so that a recording can look back that
    far and still begin decodable. Audio is kept twice as long, to cover the video beside it. `max_bytes` wins over
    both: then the oldest go first.
    """

    __slots__ = ("_frames", "_keys", "_length_ns", "_max_bytes", "_video", "bytes", "newest_key_ns")

    def __init__(self, *, video: bool, length_ns: int, max_bytes: int) -> None:
        self._video = video
        self._length_ns = length_ns if video else 2 * length_ns
        self._max_bytes = max_bytes
        self._frames: deque[Kept] = deque()
        self._keys: deque[tuple[int, int]] = deque()  # (seq, room time) of video key frames in the ring
        self.bytes = 0
        self.newest_key_ns = 0

    def append(self, frame: Kept) -> None:
        frames = self._frames
        frames.append(frame)
        self.bytes += len(frame.data)
        if not self._video:
            oldest = frame.room_ns - self._length_ns
            while frames[0].room_ns < oldest:
                self.bytes -= len(frames.popleft().data)
        elif frame.key:
            self.newest_key_ns = frame.room_ns
            self._keys.append((frame.seq, frame.room_ns))
            oldest = frame.room_ns - self._length_ns
            while len(self._keys) > 1 and self._keys[1][1] <= oldest:
                self._keys.popleft()
                self._drop_before(self._keys[0][0])
        while self.bytes > self._max_bytes and len(frames) > 1:
            gone = frames.popleft()
            self.bytes -= len(gone.data)
            if self._keys and self._keys[0][0] == gone.seq:
                self._keys.popleft()

    def since(self, room_ns: int) -> list[Kept]:
        """What a recording that begins at `room_ns` needs: video from the key frame at or before (else the first
        one after), audio from the first frame that is not over before it."""
        if not self._video:
            found = [frame for frame in self._frames if frame.room_ns > room_ns - MAX_AUDIO_NS]
            while len(found) > 1 and found[1].room_ns <= room_ns:
                del found[0]
            return found
        if self._frames and self._frames[-1].room_ns < room_ns - _STALE_NS:
            return []  # a picture of long ago: the track was muted, and begins anew when it speaks again
        start = None
        for seq, at in self._keys:
            if start is None or at <= room_ns:
                start = seq
        return self.after(start - 1) if start is not None else []

    def after(self, seq: int) -> list[Kept]:
        """Every kept frame whose number is greater than `seq`."""
        return [frame for frame in self._frames if frame.seq > seq]

    @property
    def first_seq(self) -> int:
        """Number of the oldest frame kept; 0 when there is none."""
        return self._frames[0].seq if self._frames else 0

    @property
    def seconds(self) -> float:
        return (self._frames[-1].room_ns - self._frames[0].room_ns) / 1e9 if self._frames else 0.0

    def _drop_before(self, seq: int) -> None:
        frames = self._frames
        while frames[0].seq < seq:
            self.bytes -= len(frames.popleft().data)
