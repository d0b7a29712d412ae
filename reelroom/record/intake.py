"""From bus messages to outputs: the frame loop, and who is told of what. Owns no socket.

The frame loop appends a frame to its output's log in a few microseconds when nothing is special about it
(`TrackIn.short_until`); everything else takes the long way through `Outputs.place`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from msgspec import Struct

from reelroom.domain.recording import RecordingSpec
from reelroom.domain.timeline import SECOND, Pauses
from reelroom.record.bus import Bus, BusError
from reelroom.record.mixed.feed import Feed
from reelroom.record.output import TrackIn
from reelroom.record.outputs import Held, Outputs
from reelroom.record.paths import Paths
from reelroom.record.presence import Presence
from reelroom.record.tracks import Tracks
from reelroom.record.wal import FLUSH_BYTES
from reelroom.record.worker import Worker
from reelroom.rooms import protocol
from reelroom.rooms.protocol import FRAME, FRAME_HEADER, KEY, MAX_MESSAGE, PREFIX


class Intake:
    """All tracks and outputs of one recording. `now_ns` is the monotonic clock. Raises OSError (a full disk)."""

    def __init__(
        self,
        paths: Paths,
        spec: RecordingSpec,
        since_ns: int,
        worker: Worker,
        send: Callable[[Struct], None],
        on_hello: Callable[[protocol.Hello, int], None],
        feed: Feed | None = None,
    ) -> None:
        self.people = Presence(worker)
        self.pauses = Pauses()
        self.before_ns: int | None = None  # when it was stopped
        self.caught_up = False
        self.frames = 0
        published: dict[int, TrackIn] = {}
        self.outputs = Outputs(
            paths, spec, since_ns, worker, published, lambda: self.tracks.subscription, lambda: self.pauses
        )
        self.tracks = Tracks(published, spec.subscription, self.outputs, worker)
        self._send = send
        self._on_hello = on_hello
        self._feed = feed  # of a mixed recording: it is given everything, and twice what came before
        self._keeps = spec.mix is None or spec.mix.individual  # participants have outputs
        self._paused: deque[Held] = deque()  # the last second's frames while paused

    # the frame loop

    def take(self, bus: Bus, now_ns: int) -> None:
        """Take all whole messages that a connection has received. Raises BusError."""
        buffer, view, position, end = bus.buffer, bus.view, bus.begin, bus.end
        tracks, unpack, flush_bytes = self.tracks.published, FRAME_HEADER.unpack_from, FLUSH_BYTES
        prefix, header = PREFIX.size, FRAME_HEADER.size
        frames, feed = 0, self._feed
        while end - position >= prefix:
            after = position + 4 + int.from_bytes(buffer[position : position + 4], "big")
            if after > end:
                if after - position > MAX_MESSAGE + 4:
                    raise BusError(f"a bus message of {after - position - 4} bytes")
                break
            if buffer[position + 4] == FRAME:
                if after - position < header:
                    raise BusError("a frame shorter than its header")
                _, _, flags, number, seq, room_ns, _, level = unpack(buffer, position)
                if feed is not None:
                    feed.frame(number, flags, seq, room_ns, level, view[position + header : after])
                track = tracks.get(number)
                if track is not None and seq > track.last_seq:
                    track.last_seq = seq
                    frames += 1
                    if room_ns < track.short_until:
                        log = track.wal.buffer  # type: ignore[union-attr]  # short_until says there is one
                        log += view[position:after]
                        if len(log) > flush_bytes:
                            track.wal.flush()  # type: ignore[union-attr]
                    else:
                        self._frame(track, flags, seq, room_ns, view[position:after], now_ns)
            elif after - position < prefix:
                raise BusError("a bus message without a type")
            else:
                bus.begin = after  # taken, whatever becomes of it
                self.message(protocol.decode(buffer[position + 4], view[position + prefix : after]), now_ns)
            position = after
        bus.begin = position
        self.frames += frames

    def _frame(self, track: TrackIn, flags: int, seq: int, room_ns: int, message: memoryview, now_ns: int) -> None:
        if track.passed_over:
            return
        if self.pauses.spans and self.pauses.covers(room_ns):
            if self.pauses.paused:  # the resume that takes it back may be on its way
                self._paused.append((track, flags, seq, room_ns, bytes(message)))
                while room_ns - self._paused[0][3] > SECOND:
                    self._paused.popleft()
            return
        if room_ns >= track.until_ns or (self.before_ns is not None and room_ns >= self.before_ns):
            track.done = True
            return
        if not self._keeps:
            return
        if track.needs_key:
            if not flags & KEY:
                self._ask(track, now_ns)
                return
            track.needs_key = False
        output = track.output
        if output is None:
            key = self.outputs.hold(track, flags, seq, room_ns, bytes(message), now_ns)
            if self.caught_up:
                self.outputs.begin_if_ready(key, now_ns)
            return
        if track.known_gone and output.segmenter.tracks.get(track.video) not in (None, track.number):
            return  # a newer track has taken its place
        if track.ring_gap:
            track.ring_gap = False
            output.note(track, protocol.GapSeen(track=track.number, from_ns=0, to_ns=0, packets=0, reason="ring"))
        self.outputs.place(output, track, flags, seq, room_ns, message, now_ns)

    def _ask(self, track: TrackIn, now_ns: int) -> None:
        if now_ns - track.asked_ns >= SECOND or not track.asked_ns:
            track.asked_ns = now_ns
            self._send(protocol.Keyframe(track=track.number))

    # what else the ingest says

    def hello(self, hello: protocol.Hello, now_ns: int) -> None:
        """A connection begins."""
        self.caught_up = False
        self.people.hello()
        self.tracks.hello(now_ns)
        self.outputs.hello(hello.ingest)

    def forget_tracks(self, room_ns: int, now_ns: int) -> None:
        """The ingest has died and with it all tracks: close what is open and say so in the timeline."""
        self.outputs.begin_all(now_ns)
        self.tracks.ingest_died(room_ns, now_ns)
        for output in self.outputs:
            output.finish(None)
        self.people.ingest_died(room_ns)

    def message(self, message: Struct, now_ns: int) -> None:
        """Everything but frames."""
        if self._feed is not None:
            self._feed.message(message)
        match message:
            case protocol.Hello():
                self._on_hello(message, now_ns)
            case protocol.TrackAdded():
                self.tracks.added(message)
            case protocol.TrackRemoved() | protocol.TrackState() | protocol.GapSeen():
                self.tracks.message(message, now_ns)
            case protocol.Participant():
                self.people.message(message)
            case protocol.CaughtUp():
                self.caught_up = True
                self.tracks.caught_up(message.room_ns, now_ns)
                self.people.caught_up(message.room_ns)
                self.outputs.begin_ready(now_ns)

    # from outside

    @property
    def steady(self) -> bool:
        """Nothing is waited for: frames may be taken in batches."""
        return self.caught_up and not self.outputs.beginning and self.before_ns is None

    def published(self) -> int:
        """Tracks that are published now and wanted."""
        return len(self.tracks.published)

    def tick(self, now_ns: int, room_ns: int) -> None:
        """Every 100 ms. `room_ns`: room time now."""
        self.tracks.forget(now_ns)
        for output in self.outputs:
            wanted = output.tick(now_ns, room_ns)
            if wanted is not None and wanted in self.tracks.published:
                self._send(protocol.Keyframe(track=wanted))
        if self.caught_up:
            self.outputs.begin_ready(now_ns)

    def pause(self, at_ns: int, now_ns: int) -> None:
        """Frames from `at_ns` on are left out; segments end there."""
        self.pauses = self.pauses.pause(at_ns)
        for output in self.outputs:
            output.pause(at_ns, now_ns)

    def resume(self, at_ns: int, now_ns: int) -> None:
        """Frames from `at_ns` on are taken again, video from a key frame on, which is asked for."""
        self.pauses = self.pauses.resume(at_ns)
        for output in self.outputs:
            output.resume(at_ns)
        for track in self.tracks.published.values():
            if track.video and track.output is not None and not track.passed_over:
                self._ask(track, now_ns)
        late, self._paused = self._paused, deque()
        for track, flags, seq, room_ns, message in late:
            self._frame(track, flags, seq, room_ns, memoryview(message), now_ns)

    def end_at(self, room_ns: int) -> None:
        """The recording ends there: frames from then on are left out."""
        self.before_ns = room_ns
        for track in self.tracks.published.values():
            track.short_until = min(track.short_until, room_ns)

    def reached_end(self) -> bool:
        """Whether every track that flows has reached the end."""
        return self.caught_up and all(t.done or t.muted or t.passed_over for t in self.tracks.published.values())

    def finish(self, now_ns: int, giving_up: bool = False) -> None:
        """The recording is stopped: begin and close all that is open. `giving_up`: the disk is full."""
        self.outputs.finish(self.before_ns, now_ns, giving_up)

    def keep(self) -> None:
        """This process ends and another one will go on: leave the open logs whole."""
        for output in self.outputs:
            output.keep()
