"""A live push of the mix: keeps a connection, tries again with growing pauses, and never makes anybody wait.

The connection itself is in a process of its own (`pusher.py`), which is ended when it hangs. What cannot be sent in
time is left out up to the next key frame. Records nothing.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
import threading
import time
from collections import deque
from typing import NamedTuple

import msgspec
import structlog

from reelroom.domain import mix as domain
from reelroom.record.mixed.pusher import FRAME, HEADERS, KEY, VIDEO, Line
from reelroom.record.mux.boxes import TrackHeader, init_segment
from reelroom.record.mux.entries import audio_config, video_config
from reelroom.record.mux.model import AUDIO_SCALE, VIDEO_SCALE, MuxError

log = structlog.get_logger()
STARTED, FAILING, RECOVERED = "push.started", "push.failing", "push.recovered"
_CONNECT_S = 20.0  # until the other side has taken the stream
_STALL_S = 10.0  # without a byte taken
_PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
_STEADY_S = 30.0  # a connection that held so long makes the next pause short again
_LATE_NS = 8_000_000_000  # what waits longer is left out
_BYTES = 16 << 20
_END_S = 2.0
_POLL_S = 0.1
_BUFFER = 256 << 10


class Notice(NamedTuple):
    """Something to be told as an event."""

    code: str  # STARTED, FAILING or RECOVERED
    push: str  # its id
    message: str


class _Frame(NamedTuple):
    flags: int
    room_ns: int
    payload: bytes


class Push:
    """One push. `put` and `notices` are for one other thread; everything else is in the push's own."""

    def __init__(self, push: domain.Push, mix: domain.Mix, *, video: bool, audio: bool) -> None:
        self.notices: deque[Notice] = deque(maxlen=256)
        self.dropped = 0  # frames that were left out since the beginning
        self._push = push
        self._mix = mix
        self._video, self._audio = video, audio
        self._queue: deque[_Frame] = deque()
        self._bytes = 0
        self._skipping = True  # to the next frame that a viewer can begin with
        self._overflows = 0
        self._changed = threading.Condition()
        self._closing = False
        self._until = 0.0  # monotonic; until then what is there may be sent when it is closed
        self._slow = 0.0  # monotonic; when frames were left out last
        self._init = b""
        self._ever = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name=f"push {push.id}", daemon=True)

    @property
    def connected(self) -> bool:
        """Whether the other side takes the stream."""
        return self._ever and not self._failing

    def start(self) -> None:
        self._thread.start()

    def put(self, video: bool, key: bool, room_ns: int, payload: bytes) -> None:
        """One encoded frame of the mix, in the order of their times. Never waits."""
        flags = VIDEO * video | KEY * key
        with self._changed:
            begins = key and video == self._video
            if self._skipping and not begins:
                self.dropped += 1
                return
            queue = self._queue
            if queue and (self._bytes > _BYTES or room_ns - queue[0].room_ns > _LATE_NS):
                self.dropped += len(queue)
                self._overflows += 1
                queue.clear()
                self._bytes = 0
                if not begins:
                    self._skipping = True
                    self.dropped += 1
                    return
            self._skipping = False
            queue.append(_Frame(flags, room_ns, payload))
            self._bytes += len(payload)
            self._changed.notify()

    def close(self) -> None:
        """Send what is there, for two seconds at most, and end the connection."""
        with self._changed:
            self._closing = True
            self._until = time.monotonic() + _END_S
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(2 * _END_S + 1)

    # the thread

    def _run(self) -> None:
        tries = 0
        while True:
            first = self._first()
            if first is None:
                return
            began = time.monotonic()
            try:
                reason = self._connection(first)
            except (OSError, MuxError, ValueError) as error:
                reason = str(error) or type(error).__name__
            except Exception as error:  # the recording goes on whatever a push does
                log.exception("push failed", push=self._push.id)
                reason = type(error).__name__
            if not reason:
                return
            if time.monotonic() - began > _STEADY_S:
                tries = 0
            pause_s = _PAUSES_S[min(tries, len(_PAUSES_S) - 1)]
            tries += 1
            self._fail(f"{reason}; next try in {pause_s:g} s")
            with self._changed:
                self._queue.clear()
                self._bytes, self._skipping = 0, True
                if self._changed.wait_for(lambda: self._closing, pause_s):
                    return
                # The pause's frames are old: a viewer who comes back wants what is now.
                self._queue.clear()
                self._bytes, self._skipping = 0, True

    def _first(self) -> _Frame | None:
        """The frame that a connection begins with; it stays in the queue. None: it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            return None if self._closing or not self._queue else self._queue[0]

    def _fail(self, reason: str) -> None:
        if not self._failing:
            self._failing = True
            self.notices.append(Notice(FAILING, self._push.id, f"{self._push.masked.url}: {reason}"))

    def _well(self) -> None:
        if not self._ever or self._failing:
            code = RECOVERED if self._failing else STARTED
            self.notices.append(Notice(code, self._push.id, f"{self._push.masked.url}: connected"))
        self._ever, self._failing = True, False

    def _headers(self, key_frame: bytes) -> bytes:
        """An initialisation segment of both tracks, by a key frame."""
        mix, headers = self._mix, []
        if self._video:
            config = video_config(mix.video_codec, key_frame)
            headers.append(TrackHeader(1, "video", VIDEO_SCALE, (config.entry,), config.width, config.height))
        if self._audio:
            scale = AUDIO_SCALE if mix.audio_codec == "opus" else mix.sample_rate
            entry = audio_config(mix.audio_codec, mix.channels, mix.sample_rate).entry
            headers.append(TrackHeader(2, "audio", scale, (entry,)))
        return init_segment(headers)

    def _line(self, first: _Frame) -> Line:
        mix = self._mix
        self._init = self._headers(first.payload)
        return Line(
            url=self._push.url,
            init=self._init,
            video=mix.video_codec if self._video else "",
            audio=mix.audio_codec if self._audio else "",
            rate=mix.sample_rate,
            channels=mix.channels,
        )

    def _connection(self, first: _Frame) -> str:
        """One connection, until it breaks (the reason) or the push is closed ("")."""
        head = msgspec.msgpack.encode(self._line(first))
        child = subprocess.Popen(
            [sys.executable, "-m", "reelroom.record.mixed.pusher"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return self._feed(child, len(head).to_bytes(4, "big") + head)
        finally:
            assert child.stdin is not None and child.stdout is not None
            with contextlib.suppress(BrokenPipeError):
                child.stdin.close()
            try:
                child.wait(_END_S if self._closing else 0.1)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            child.stdout.close()

    def _feed(self, child: subprocess.Popen[bytes], pending: bytes) -> str:
        assert child.stdin is not None and child.stdout is not None
        into, answers = child.stdin.fileno(), child.stdout.fileno()
        os.set_blocking(into, False)
        os.set_blocking(answers, False)
        connected, said, overflows = False, b"", 0
        began = moved = time.monotonic()
        with selectors.DefaultSelector() as ready:
            ready.register(answers, selectors.EVENT_READ)
            while True:
                now = time.monotonic()
                answer = _read(answers)
                if answer is not None:
                    said += answer
                    if said.startswith(b"C") and not connected:
                        connected, moved, overflows = True, now, self._overflows
                        self._well()
                    if not answer:
                        return said.lstrip(b"C")[1:].decode(errors="replace") or "the connection ended"
                if self._closing and now > self._until:
                    return ""
                if not connected and now - began > _CONNECT_S:
                    return f"not connected after {_CONNECT_S:g} s"
                if connected and pending and now - moved > _STALL_S:
                    return f"nothing was taken for {_STALL_S:g} s"
                if connected and self._overflows != overflows:
                    overflows = self._overflows
                    self._fail("the line is too slow: pictures are left out")
                    self._slow = now
                elif connected and self._failing and now - self._slow > _STALL_S:
                    self._well()
                pending = pending or self._more(connected)
                if pending:
                    written = _write(into, pending)
                    if written is None:
                        return "the connection ended" if connected else _last(answers, said)
                    if written:
                        pending, moved = pending[written:], now
                    else:
                        ready.select(_POLL_S)  # full: the other side or its line is slow
                elif self._closing:
                    return ""
                else:
                    moved = now
                    self._wait(connected)

    def _more(self, connected: bool) -> bytes:
        """What is in the queue, up to a buffer's worth; nothing before the other side is there."""
        if not connected:
            return b""
        parts: list[bytes] = []
        size = 0
        with self._changed:
            while self._queue and size < _BUFFER:
                frame = self._queue.popleft()
                self._bytes -= len(frame.payload)
                if self._video and frame.flags == VIDEO | KEY:
                    init = self._headers(frame.payload)
                    if init != self._init:  # another encoder took over
                        self._init = init
                        parts += (FRAME.pack(len(init), HEADERS, frame.room_ns), init)
                parts += (FRAME.pack(len(frame.payload), frame.flags, frame.room_ns), frame.payload)
                size += len(frame.payload)
        return b"".join(parts)

    def _wait(self, connected: bool) -> None:
        with self._changed:
            if not connected:
                self._changed.wait_for(lambda: self._closing, _POLL_S)
            elif not self._queue and not self._closing:
                self._changed.wait(_POLL_S)


def _read(file: int) -> bytes | None:
    """What is there; b"" at the end, None when there is nothing yet."""
    try:
        return os.read(file, 4096)
    except BlockingIOError:
        return None


def _write(file: int, data: bytes) -> int | None:
    """How much was taken; None when nobody reads any more."""
    try:
        return os.write(file, data[:_BUFFER])
    except BlockingIOError:
        return 0
    except BrokenPipeError:
        return None


def _last(answers: int, said: bytes) -> str:
    """What a process said that ended before it was connected."""
    os.set_blocking(answers, True)
    while more := os.read(answers, 4096):
        said += more
    return said[1:].decode(errors="replace") or "the process that connects ended"
