"""From bus messages to outputs: the frame loop, tracks that come and go, outputs that begin. Owns no socket.

The frame loop appends a frame to its output's log in a few microseconds when nothing is special about it
(`TrackIn.short_until`); everything else takes the long way through `Output.place`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import Struct

from reelroom.domain import lines
from reelroom.domain.recording import RecordingSpec, Subscription
from reelroom.domain.timeline import SECOND, Pauses
from reelroom.record.bus import Bus, BusError
from reelroom.record.closing import Close
from reelroom.record.mixed.feed import Feed
from reelroom.record.output import Output, TrackIn
from reelroom.record.paths import Paths
from reelroom.record.wal import FLUSH_BYTES
from reelroom.record.worker import Worker
from reelroom.rooms import protocol
from reelroom.rooms.protocol import FRAME, FRAME_HEADER, KEY, MAX_MESSAGE, PREFIX
from reelroom.rooms.ring import MAX_AUDIO_NS

ENDED_NS = 120 * SECOND  # longer than any ring
_WAIT_NS = SECOND // 2  # how long an output waits for its other kind of track before it begins
Key = tuple[str, str, str]  # identity, "camera" or "screen", kind
Held = tuple[TrackIn, int, int, int, bytes]  # track, flags, seq, room_ns, message


@dataclass(slots=True)
class Beginning:
    """The frames of an output that has not begun: its start is the earliest of them."""

    arrived_ns: int
    frames: list[Held] = field(default_factory=list)


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
        self.outputs: dict[Key, Output] = {}
        self.present: set[tuple[str, str]] = set()  # (identity, session) in the room
        self.ended: dict[int, tuple[TrackIn, int]] = {}  # tracks that went lately, and when on the monotonic clock
        self.subscription: Subscription = spec.subscription
        self.pauses = Pauses()
        self.before_ns: int | None = None  # when it was stopped
        self.caught_up = False
        self.frames = 0
        self._paths = paths
        self._spec = spec
        self._since_ns = since_ns
        self._worker = worker
        self._send = send
        self._on_hello = on_hello
        self._feed = feed  # of a mixed recording: it is given everything, and twice what came before
        self._keeps = spec.mix is None or spec.mix.individual  # participants have outputs
        self._ingest = ""
        self._told: set[int | tuple[str, str]] = set()  # tracks with a state, and participants, of this connection
        self._beginnings: dict[Key, Beginning] = {}
        self._begun = 0  # outputs so far
        self._paused: deque[Held] = deque()  # the last second's frames while paused
        self._target_ns = round(spec.hls.segment_s * SECOND)

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
        if self.before_ns is not None and room_ns >= self.before_ns:
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
            self._hold(track, flags, seq, room_ns, bytes(message), now_ns)
            return
        if track.known_gone and output.segmenter.tracks.get(track.video) not in (None, track.number):
            return  # a newer track has taken its place
        if track.ring_gap:
            track.ring_gap = False
            output.note(track, protocol.GapSeen(track=track.number, from_ns=0, to_ns=0, packets=0, reason="ring"))
        self._place(output, track, flags, seq, room_ns, message, now_ns)

    def _place(
        self, output: Output, track: TrackIn, flags: int, seq: int, room_ns: int, message: memoryview, now_ns: int
    ) -> None:
        if output.segmenter.tracks.get(track.video) != track.number:
            for other in output.tracks.values():  # of two microphones the newer one is recorded
                if other is not track and other.video == track.video and not other.passed_over:
                    other.passed_over = True
            output.place(track, flags, seq, room_ns, message, now_ns)
            output.refresh()
            return
        output.place(track, flags, seq, room_ns, message, now_ns)

    def _ask(self, track: TrackIn, now_ns: int) -> None:
        if now_ns - track.asked_ns >= SECOND or not track.asked_ns:
            track.asked_ns = now_ns
            self._send(protocol.Keyframe(track=track.number))

    # outputs that begin

    def key_of(self, track: TrackIn) -> Key:
        identity, source = track.info.identity, track.info.source.output
        kind = track.info.kind
        if self._spec.tracks == "together":
            if (identity, source, kind) in self.outputs:
                return identity, source, kind
            wanted = self.subscription
            both = wanted.audio is not None and wanted.video is not None
            if both or (identity, source, "av") in self.outputs:
                kind = "av"
        return identity, source, kind

    def _hold(self, track: TrackIn, flags: int, seq: int, room_ns: int, message: bytes, now_ns: int) -> None:
        key = self.key_of(track)
        beginning = self._beginnings.get(key)
        if beginning is None:
            beginning = self._beginnings[key] = Beginning(now_ns)
        beginning.frames.append((track, flags, seq, room_ns, message))
        if self.caught_up:
            self._begin_ready(key, beginning, now_ns)

    def _begin_ready(self, key: Key, beginning: Beginning, now_ns: int) -> None:
        kinds = {held[0].video for held in beginning.frames}
        expected = {
            t.video
            for t in self.tracks.values()
            if t.live and not t.muted and t.output is None and self.key_of(t) == key
        }
        if expected <= kinds or now_ns - beginning.arrived_ns >= _WAIT_NS:
            self._begin(key, beginning, now_ns)

    def _begin(self, key: Key, beginning: Beginning, now_ns: int) -> None:
        del self._beginnings[key]
        frames = self._reach_back(beginning.frames)
        if not frames:
            return
        number = f"{self._begun + 1:03d}"
        opened = lines.OutputOpened(
            output=number, identity=key[0], source=key[1], kind=key[2], start_ns=min(held[3] for held in frames)
        )
        output = self.add_output(opened)
        self._worker.open_output(opened)
        for track in self.tracks.values():
            if track.output is None and self.key_of(track) == key:
                output.add_track(track)
        for track, flags, seq, room_ns, message in frames:
            if track.output is None:
                output.add_track(track)
            self._place(output, track, flags, seq, room_ns, memoryview(message), now_ns)
        for track in {held[0].number: held[0] for held in frames if not held[0].live}.values():
            output.remove_track(track, now_ns)  # it came and went before the output began

    def add_output(self, opened: lines.OutputOpened) -> Output:
        def submit(job: Close) -> None:
            self._worker.close(job, opened, self.pauses)

        output = Output(self._paths, opened, self._target_ns, self._ingest, submit)
        self.outputs[opened.identity, opened.source, opened.kind] = output
        self._begun += 1
        return output

    def _end_left(self, key: Key) -> None:
        """End an output that nobody is in any more, where those who come back begin another one."""
        output = self.outputs.get(key)
        if self._spec.rejoin == "anew" and output and not any(track.live for track in output.tracks.values()):
            output.finish(None)
            del self.outputs[key]

    def _reach_back(self, frames: list[Held]) -> list[Held]:
        """In room time's order, from the last key frame at or before the wanted begin on, else from that begin."""
        latest: dict[int, int] = {}
        order: list[tuple[int, int]] = []
        for index, held in enumerate(frames):
            at_ns = latest[held[0].number] = max(held[3], latest.get(held[0].number, 0))
            order.append((at_ns, index))
        gone = {h[0].number for h in frames if not h[0].live and latest[h[0].number] < self._since_ns}
        keys = [h[3] for h in frames if h[0].video and h[1] & KEY and h[3] <= self._since_ns]
        begin_ns = max(keys, default=self._since_ns)
        begins = {  # sound that is still heard at the begin begins with its own frame
            number: max((h[3] for h in frames if h[0].number == number and h[3] <= begin_ns), default=begin_ns)
            for number, track in {h[0].number: h[0] for h in frames}.items()
            if not track.video
        }
        return [
            frames[i]
            for at_ns, i in sorted(order)
            if at_ns >= max(begins.get(frames[i][0].number, begin_ns), begin_ns - MAX_AUDIO_NS)
            and frames[i][0].number not in gone
        ]

    # what else the ingest says

    def hello(self, hello: protocol.Hello) -> None:
        """A connection begins."""
        self._ingest = hello.ingest
        self.caught_up = False
        self._told.clear()
        for track in self.tracks.values():
            track.fresh = False
        for output in self.outputs.values():
            output.ingest = hello.ingest

    def forget_tracks(self, room_ns: int, now_ns: int) -> None:
        """The ingest has died and with it all tracks: close what is open and say so in the timeline."""
        for key in list(self._beginnings):
            self._begin(key, self._beginnings[key], now_ns)
        for track in list(self.tracks.values()):
            self._remove(track, room_ns, "ingest_restart", now_ns)
        for output in self.outputs.values():
            output.finish(None)
        self.ended.clear()
        for identity, session in sorted(self.present):
            self._participant(
                protocol.Participant(
                    identity=identity, session=session, room_ns=room_ns, joined=False, reason="ingest_stopped"
                )
            )

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
                self._participant(message)
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
        if before is not None and before[0].output not in (None, *self.outputs.values()):
            return  # of an output that has ended
        if before is not None and not before[0].unsubscribed:  # the rest of a track that had gone already
            self.tracks[info.track] = before[0]
            before[0].fresh = before[0].known_gone = True
            return
        track = self.tracks[info.track] = TrackIn(added)
        track.last_seq = before[0].last_seq if before is not None else 0
        self._end_left(self.key_of(track))
        output = self.outputs.get(self.key_of(track))
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
            for other in output.tracks.values():
                if other.video == track.video and other.live and other.passed_over and not track.passed_over:
                    other.passed_over, other.needs_key = False, other.video
        self._worker.lines([lines.Track(info=track.info, at_ns=room_ns, change="removed", reason=reason)])

    def _state(self, track: TrackIn, state: protocol.TrackState) -> None:
        self._told.add(track.number)
        if track.muted == state.muted:
            return
        track.muted = state.muted
        if track.output is not None and not track.passed_over:
            track.output.note(track, state)
            track.output.refresh()
        change = "muted" if state.muted else "unmuted"
        self._worker.lines([lines.Track(info=track.info, at_ns=state.room_ns, change=change)])

    def _participant(self, message: protocol.Participant) -> None:
        who = (message.identity, message.session)
        self._told.add(who)
        if (who in self.present) == message.joined:
            return
        (self.present.add if message.joined else self.present.discard)(who)
        self._worker.lines(
            [
                lines.Participant(
                    identity=message.identity,
                    session=message.session,
                    at_ns=message.room_ns,
                    joined=message.joined,
                    reason=message.reason,
                )
            ]
        )

    def _caught_up(self, room_ns: int, now_ns: int) -> None:
        self.caught_up = True
        for track in list(self.tracks.values()):
            if not track.fresh:  # it went while nobody listened
                self._remove(track, room_ns, "left", now_ns)
            elif track.muted and track.number not in self._told:
                self._state(track, protocol.TrackState(track=track.number, room_ns=room_ns, muted=False))
        for identity, session in sorted(self.present - self._told):
            self._participant(
                protocol.Participant(identity=identity, session=session, room_ns=room_ns, joined=False, reason="left")
            )
        for key in list(self._beginnings):
            self._begin_ready(key, self._beginnings[key], now_ns)

    # from outside

    @property
    def steady(self) -> bool:
        """Nothing is waited for: frames may be taken in batches."""
        return self.caught_up and not self._beginnings and self.before_ns is None

    def published(self) -> int:
        """Tracks that are published now and wanted."""
        return len(self.tracks)

    def tick(self, now_ns: int, room_ns: int) -> None:
        """Every 100 ms. `room_ns`: room time now."""
        for number in [n for n, (_, gone_ns) in self.ended.items() if now_ns - gone_ns > ENDED_NS]:
            del self.ended[number]
        for output in self.outputs.values():
            wanted = output.tick(now_ns, room_ns)
            if wanted is not None and wanted in self.tracks:
                self._send(protocol.Keyframe(track=wanted))
        if self.caught_up:
            for key in list(self._beginnings):
                self._begin_ready(key, self._beginnings[key], now_ns)

    def pause(self, at_ns: int, now_ns: int) -> None:
        """Frames from `at_ns` on are left out; segments end there."""
        self.pauses = self.pauses.pause(at_ns)
        for output in self.outputs.values():
            output.pause(at_ns, now_ns)

    def resume(self, at_ns: int, now_ns: int) -> None:
        """Frames from `at_ns` on are taken again, video from a key frame on, which is asked for."""
        self.pauses = self.pauses.resume(at_ns)
        for output in self.outputs.values():
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
        for output in self.outputs.values():
            output.giving_up = giving_up
        if giving_up:
            self._beginnings.clear()
        for key in list(self._beginnings):
            self._begin(key, self._beginnings[key], now_ns)
        for output in self.outputs.values():
            output.finish(self.before_ns)

    def keep(self) -> None:
        """This process ends and another one will go on: leave the open logs whole."""
        for output in self.outputs.values():
            output.keep()

    def positions(self) -> tuple[protocol.Position, ...]:
        """What has been received of each track, of those that went lately too: the ingest still has them."""
        tracks = [*self.tracks.values(), *(track for track, _ in self.ended.values())]
        return tuple(protocol.Position(track=t.number, seq=t.last_seq) for t in tracks if t.last_seq)
