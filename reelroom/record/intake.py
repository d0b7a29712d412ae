"""From bus messages to outputs: the frame loop, tracks that come and go. Owns no socket.

The frame loop appends a frame to its output's log in a few microseconds when nothing is special about it
(`TrackIn.short_until`); everything else takes the long way through `Outputs.place`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from msgspec import Struct

from reelroom.domain import lines
from reelroom.domain.recording import RecordingSpec, Subscription
from reelroom.domain.timeline import SECOND, Pauses
from reelroom.record.bus import Bus, BusError
from reelroom.record.mixed.feed import Feed
from reelroom.record.output import FOREVER_NS, TrackIn
from reelroom.record.outputs import Held, Outputs
from reelroom.record.paths import Paths
from reelroom.record.presence import Presence
from reelroom.record.wal import FLUSH_BYTES
from reelroom.record.worker import Worker
from reelroom.rooms import protocol
from reelroom.rooms.protocol import FRAME, FRAME_HEADER, KEY, MAX_MESSAGE, PREFIX

ENDED_NS = 120 * SECOND  # longer than any ring


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
        self.tracks: dict[int, TrackIn] = {}
        self.people = Presence(worker)
        self.ended: dict[int, tuple[TrackIn, int]] = {}  # tracks that went lately, and when on the monotonic clock
        self.subscription: Subscription = spec.subscription
        self.pauses = Pauses()
        self.before_ns: int | None = None  # when it was stopped
        self.caught_up = False
        self.frames = 0
        self.outputs = Outputs(
            paths, spec, since_ns, worker, self.tracks, lambda: self.subscription, lambda: self.pauses
        )
        self._worker = worker
        self._send = send
        self._on_hello = on_hello
        self._feed = feed  # of a mixed recording: it is given everything, and twice what came before
        self._keeps = spec.mix is None or spec.mix.individual  # participants have outputs
        self._told: set[int] = set()  # tracks whose state this connection has told
        self._paused: deque[Held] = deque()  # the last second's frames while paused

    # the frame loop

    def take(self, bus: Bus, now_ns: int) -> None:
        """Take all whole messages that a connection has received. Raises BusError."""
        buffer, view, position, end = bus.buffer, bus.view, bus.begin, bus.end
        tracks, unpack, flush_bytes = self.tracks, FRAME_HEADER.unpack_from, FLUSH_BYTES
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
        self._told.clear()
        self.people.hello()
        for track in list(self.tracks.values()):
            track.fresh = False
            if track.until_ns < FOREVER_NS:  # nobody says its end any more: it was let go with the last connection
                self._remove(track, track.until_ns, "unsubscribed", now_ns)
        self.outputs.hello(hello.ingest)

    def forget_tracks(self, room_ns: int, now_ns: int) -> None:
        """The ingest has died and with it all tracks: close what is open and say so in the timeline."""
        self.outputs.begin_all(now_ns)
        for track in list(self.tracks.values()):
            self._remove(track, room_ns, "ingest_restart", now_ns)
        for output in self.outputs:
            output.finish(None)
        self.ended.clear()
        self.people.ingest_died(room_ns)

    def message(self, message: Struct, now_ns: int) -> None:
        """Everything but frames."""
        if self._feed is not None:
            self._feed.message(message)
        match message:
            case protocol.Hello():
                self._on_hello(message, now_ns)
            case protocol.TrackAdded():
                self._added(message)
            case protocol.TrackRemoved(track=number) if number in self.tracks:
                self._remove(self.tracks[number], message.room_ns, message.reason, now_ns)
            case protocol.TrackState(track=number) if number in self.tracks:
                self._state(self.tracks[number], message)
            case protocol.GapSeen(track=number) if number in self.tracks:
                track = self.tracks[number]
                if message.reason == "ring":
                    track.ring_gap = False
                if track.output is not None and not track.passed_over:
                    track.output.note(track, message)
            case protocol.Participant():
                self.people.message(message)
            case protocol.CaughtUp():
                self._caught_up(message.room_ns, now_ns)

    def _added(self, added: protocol.TrackAdded) -> None:
        info = added.info
        track = self.tracks.get(info.track)
        if track is not None:  # a connection that came back
            track.fresh = True
            if added.next_seq > track.last_seq + 1:
                track.ring_gap = True
                track.short_until = -1
            return
        if not self.subscription.wants(info.identity, info.source):
            return
        before = self.ended.pop(info.track, None)
        if before is not None and before[0].output not in (None, *self.outputs):
            return  # of an output that has ended
        if before is not None and not before[0].unsubscribed:  # the rest of a track that had gone already
            self.tracks[info.track] = before[0]
            before[0].fresh = before[0].known_gone = True
            return
        track = self.tracks[info.track] = TrackIn(added)
        track.last_seq = before[0].last_seq if before is not None else 0
        self.outputs.end_left(track, added.room_ns)
        output = self.outputs.of(track)
        if output is not None:
            output.add_track(track)
        self._worker.lines([lines.Track(info=info, at_ns=added.room_ns, change="added")])

    def _remove(self, track: TrackIn, room_ns: int, reason: str, now_ns: int) -> None:
        del self.tracks[track.number]
        track.live = False
        self.ended[track.number] = (track, now_ns)
        track.unsubscribed = reason == "unsubscribed"
        if track.known_gone:
            return
        output = track.output
        if output is not None:
            if not track.passed_over:
                output.note(track, protocol.TrackRemoved(track=track.number, room_ns=room_ns, reason=reason))
            output.remove_track(track, now_ns)
            output.left_ns = room_ns
            for other in output.tracks.values():
                if other.video == track.video and other.live and other.passed_over and not track.passed_over:
                    other.passed_over, other.needs_key = False, other.video
        self._worker.lines([lines.Track(info=track.info, at_ns=room_ns, change="removed", reason=reason)])

    def _state(self, track: TrackIn, state: protocol.TrackState) -> None:
        self._told.add(track.number)
        if track.muted == state.muted:
            return
        track.muted = state.muted
        if state.muted:
            track.muted_ns = state.room_ns
        else:
            self.outputs.end_muted(track, state.room_ns)
        if track.output is not None and not track.passed_over:
            track.output.note(track, state)
            track.output.refresh()
        change = "muted" if state.muted else "unmuted"
        self._worker.lines([lines.Track(info=track.info, at_ns=state.room_ns, change=change)])

    def _caught_up(self, room_ns: int, now_ns: int) -> None:
        self.caught_up = True
        for track in list(self.tracks.values()):
            if not track.fresh:  # it went while nobody listened
                wanted = self.subscription.wants(track.info.identity, track.info.source)
                self._remove(track, room_ns, "left" if wanted else "unsubscribed", now_ns)
            elif track.muted and track.number not in self._told:
                self._state(track, protocol.TrackState(track=track.number, room_ns=room_ns, muted=False))
        self.people.caught_up(room_ns)
        self.outputs.begin_ready(now_ns)

    # from outside

    @property
    def steady(self) -> bool:
        """Nothing is waited for: frames may be taken in batches."""
        return self.caught_up and not self.outputs.beginning and self.before_ns is None

    def published(self) -> int:
        """Tracks that are published now and wanted."""
        return len(self.tracks)

    def tick(self, now_ns: int, room_ns: int) -> None:
        """Every 100 ms. `room_ns`: room time now."""
        for number in [n for n, (_, gone_ns) in self.ended.items() if now_ns - gone_ns > ENDED_NS]:
            del self.ended[number]
        for output in self.outputs:
            wanted = output.tick(now_ns, room_ns)
            if wanted is not None and wanted in self.tracks:
                self._send(protocol.Keyframe(track=wanted))
        if self.caught_up:
            self.outputs.begin_ready(now_ns)

    def subscribe(self, at_ns: int, subscription: Subscription) -> None:
        """From `at_ns` on other tracks are wanted. The ingest ends the others when all from before has come."""
        self.subscription = subscription
        for track in self.tracks.values():
            if not subscription.wants(track.info.identity, track.info.source):
                track.until_ns = min(track.until_ns, at_ns)
                track.short_until = min(track.short_until, at_ns)

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
        for track in self.tracks.values():
            if track.video and track.output is not None and not track.passed_over:
                self._ask(track, now_ns)
        late, self._paused = self._paused, deque()
        for track, flags, seq, room_ns, message in late:
            self._frame(track, flags, seq, room_ns, memoryview(message), now_ns)

    def end_at(self, room_ns: int) -> None:
        """The recording ends there: frames from then on are left out."""
        self.before_ns = room_ns
        for track in self.tracks.values():
            track.short_until = min(track.short_until, room_ns)

    def reached_end(self) -> bool:
        """Whether every track that flows has reached the end."""
        return self.caught_up and all(t.done or t.muted or t.passed_over for t in self.tracks.values())

    def finish(self, now_ns: int, giving_up: bool = False) -> None:
        """The recording is stopped: begin and close all that is open. `giving_up`: the disk is full."""
        self.outputs.finish(self.before_ns, now_ns, giving_up)

    def keep(self) -> None:
        """This process ends and another one will go on: leave the open logs whole."""
        for output in self.outputs:
            output.keep()

    def positions(self) -> tuple[protocol.Position, ...]:
        """What has been received of each track, of those that went lately too: the ingest still has them."""
        tracks = [*self.tracks.values(), *(track for track, _ in self.ended.values())]
        return tuple(protocol.Position(track=t.number, seq=t.last_seq) for t in tracks if t.last_seq)
