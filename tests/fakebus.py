"""A bus server that replays encoded frames with real time stamps over a real Unix socket: stands in for an ingest.

Holds no packets: what is sent is what a test says. Recorders see the wire protocol of `rooms/protocol.py`.
"""

from __future__ import annotations

import fractions
import os
import socket
import threading
import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import av
import numpy as np

from reelroom.domain.media import TrackInfo
from reelroom.domain.recording import Source
from reelroom.rooms import protocol
from reelroom.rooms.protocol import FRAME, FRAME_HEADER, KEY, PREFIX, TURN_SHIFT

MS = 1_000_000


@lru_cache
def video_frames(seconds: int = 4, gop: int = 30, size: tuple[int, int] = (160, 90)) -> list[tuple[bool, bytes]]:
    """H.264 Annex B access units, 30 a second, in-band parameter sets."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height = size
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = fractions.Fraction(1, 30)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(gop), "sc_threshold": "0"}
    found = []
    for index in range(seconds * 30):
        picture = np.full((size[1] * 3 // 2, size[0]), 128, np.uint8)
        picture[: size[1], : (index * 4) % size[0] + 1] = 200
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts = index
        found += [(bool(p.is_keyframe), bytes(p)) for p in encoder.encode(frame)]
    return found


@lru_cache
def audio_frames(seconds: int = 4) -> list[tuple[bool, bytes]]:
    """Opus packets of 20 ms with a tone."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate = 48_000
    encoder.layout = "mono"
    encoder.format = "s16"
    encoder.time_base = fractions.Fraction(1, 48_000)
    found = []
    for index in range(seconds * 50):
        at = np.arange(960) + index * 960
        tone = (np.sin(at * 440 * 2 * np.pi / 48_000) * 8000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(tone.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = 48_000
        frame.pts = index * 960
        found += [(True, bytes(p)) for p in encoder.encode(frame)]
    return found


@dataclass
class Track:
    """One published track: `frames` from room time `start_ns` on, `step_ns` apart, again and again."""

    info: TrackInfo
    frames: list[tuple[bool, bytes]]
    step_ns: int
    start_ns: int
    end_ns: int | None = None
    holes: list[tuple[int, int]] = field(default_factory=list)  # room time spans in which nothing is sent
    removed: str = ""  # why it is removed at `end_ns`
    delay_ns: int = 0  # how late it arrives
    turn: tuple[int, int] = (0, 0)  # from which frame on it is to be turned, and how many quarters clockwise

    def frame(self, index: int) -> tuple[int, bytes]:
        """Room time and message of frame `index` (from 0)."""
        key, payload = self.frames[index % len(self.frames)]
        at_ns = self.start_ns + index * self.step_ns
        head = FRAME_HEADER.pack(
            FRAME_HEADER.size - 4 + len(payload),
            FRAME,
            (KEY if key else 0) | (self.turn[1] << TURN_SHIFT if index >= self.turn[0] else 0),
            self.info.track,
            index + 1,
            at_ns,
            index,
            255,
        )
        return at_ns, head + payload


def camera(number: int, identity: str, start_ns: int, **more: object) -> Track:
    info = TrackInfo(
        track=number, identity=identity, source=Source.CAMERA, codec="h264", clock_rate=90_000, session="s1"
    )
    return Track(info, video_frames(), 1_000_000_000 // 30, start_ns, **more)  # type: ignore[arg-type]


def microphone(number: int, identity: str, start_ns: int, **more: object) -> Track:
    info = TrackInfo(
        track=number,
        identity=identity,
        source=Source.MICROPHONE,
        codec="opus",
        clock_rate=48_000,
        channels=1,
        session="s1",
    )
    return Track(info, audio_frames(), 20 * MS, start_ns, **more)  # type: ignore[arg-type]


class FakeBus:
    """Serves `tracks` to every subscriber; time is the machine's, `ring_ns` how far back a track can be asked for."""

    def __init__(self, path: Path, tracks: list[Track], ingest: str = "life1", ring_ns: int = 10_000 * MS) -> None:
        self.tracks = tracks
        self.ingest = ingest
        self.ring_ns = ring_ns
        self.keyframes: list[int] = []
        self.updates: list[protocol.Update] = []
        self.subscribes: list[protocol.Subscribe] = []
        self._say: list[bytes] = []
        self._served = threading.Event()  # somebody hears what is said from now on
        self._path = path
        self._closed = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path.unlink(missing_ok=True)
        self._listener.bind(os.fspath(path))
        self._listener.listen()
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def say(self, message: object) -> None:
        """Send a message to all subscribers behind the frames sent so far, once there is one."""
        assert self._served.wait(30), "nobody has subscribed"
        self._say.append(protocol.encode(message))  # type: ignore[arg-type]

    def close(self) -> None:
        """Die: connections break."""
        self._closed.set()
        self._listener.close()
        self._path.unlink(missing_ok=True)
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads[1:]:
            thread.join(5)
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _read(self, connection: socket.socket, subscribed: list[protocol.Subscribe]) -> None:
        stream = connection.makefile("rb")
        try:
            while head := stream.read(PREFIX.size):
                length, kind = PREFIX.unpack(head)
                message = protocol.decode(kind, stream.read(length - 1))
                match message:
                    case protocol.Subscribe():
                        self.subscribes.append(message)
                        subscribed.append(message)
                    case protocol.Keyframe(track=track):
                        self.keyframes.append(track)
                    case protocol.Update():
                        self.updates.append(message)
        except OSError:
            pass  # a recorder was killed
        finally:
            stream.close()

    def _serve(self, connection: socket.socket) -> None:
        subscribed: list[protocol.Subscribe] = []
        try:
            reader = threading.Thread(target=self._read, args=(connection, subscribed), daemon=True)
            reader.start()
            while not subscribed and not self._closed.wait(0.002):
                pass
            if subscribed:
                self._stream(connection, subscribed[0])
        except OSError:
            pass

    def _stream(self, connection: socket.socket, subscribe: protocol.Subscribe) -> None:
        now = time.time_ns()
        connection.sendall(protocol.encode(protocol.Hello(ingest=self.ingest, room_ns=now, ring_s=self.ring_ns / 1e9)))
        resume = {p.track: p.seq for p in subscribe.resume} if subscribe.ingest == self.ingest else {}
        said = len(self._say)
        self._served.set()
        following: dict[int, int] = {}  # track → index of the next frame
        removed: set[int] = set()
        live = False
        while not self._closed.is_set():
            now = time.time_ns()
            batch: list[tuple[int, int, bytes]] = []
            for track in self.tracks:
                number = track.info.track
                if number not in following:
                    if track.start_ns > now:
                        continue
                    following[number] = self._first(track, subscribe.since_ns, resume.get(number), now)
                    connection.sendall(
                        protocol.encode(
                            protocol.TrackAdded(info=track.info, room_ns=now, next_seq=following[number] + 1)
                        )
                    )
                while True:
                    at_ns, message = track.frame(following[number])
                    if at_ns > now - track.delay_ns or (track.end_ns is not None and at_ns >= track.end_ns):
                        break
                    following[number] += 1
                    if not any(begin <= at_ns < end for begin, end in track.holes):
                        batch.append((at_ns, number, message))
            for _, _, message in sorted(batch):
                connection.sendall(message)
            for track in self.tracks:
                number = track.info.track
                if track.removed and track.end_ns is not None and now >= track.end_ns and number not in removed:
                    removed.add(number)
                    gone = protocol.TrackRemoved(track=number, room_ns=track.end_ns, reason=track.removed)
                    connection.sendall(protocol.encode(gone))
            while said < len(self._say):
                connection.sendall(self._say[said])
                said += 1
            if not live:
                live = True
                connection.sendall(protocol.encode(protocol.CaughtUp(room_ns=now)))
            self._closed.wait(0.01)

    def _first(self, track: Track, since_ns: int, resume: int | None, now: int) -> int:
        oldest = max(0, (now - self.ring_ns - track.start_ns) // track.step_ns)
        if resume is not None:
            return max(resume, oldest)
        index = max(oldest, (since_ns - track.start_ns) // track.step_ns, 0)
        if track.info.kind == "video":
            while index > oldest and not track.frames[index % len(track.frames)][0]:
                index -= 1
        return index
