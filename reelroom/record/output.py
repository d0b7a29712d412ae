"""One output of a recording while it is open: which log each frame goes to. Muxes nothing, writes no journal."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from msgspec import Struct

from reelroom.domain.lines import OutputOpened
from reelroom.domain.media import TrackInfo
from reelroom.domain.timeline import SECOND
from reelroom.record.closing import Close
from reelroom.record.paths import Paths
from reelroom.record.segmenter import CUT, NEVER, OLD, Segmenter
from reelroom.record.wal import Header, Wal
from reelroom.rooms import protocol
from reelroom.rooms.protocol import KEY, TrackAdded

_HELD_NS = 2 * SECOND  # how far back audio is kept to be moved over a cut: video is never later than that
FOREVER_NS = 1 << 62
_QUIET_NS = 2 * SECOND  # nothing has arrived for so long: a segment that is long enough is closed without a cut


class TrackIn:
    """One track on the bus. `short_until`: frames before that room time are appended to `wal` unasked."""

    __slots__ = (
        "announcement",
        "asked_ns",
        "done",
        "fresh",
        "info",
        "known_gone",
        "last_seq",
        "live",
        "muted",
        "muted_ns",
        "needs_key",
        "number",
        "output",
        "passed_over",
        "ring_gap",
        "short_until",
        "unsubscribed",
        "until_ns",
        "video",
        "wal",
    )

    def __init__(self, added: TrackAdded) -> None:
        self.info: TrackInfo = added.info
        self.number = added.info.track
        self.video = added.info.kind == "video"
        self.output: Output | None = None
        self.wal: Wal | None = None
        self.last_seq = 0
        self.short_until = NEVER
        self.needs_key = self.video
        self.asked_ns = 0  # arrival time of the last request for a key frame
        self.live = True
        self.muted = False
        self.muted_ns = 0  # room time since when, while it is
        self.announcement = protocol.encode(added)
        self.passed_over = False  # a newer track of its kind has taken its place in the output
        self.fresh = True  # announced on this connection
        self.unsubscribed = False  # it went because nobody wanted it
        self.known_gone = False  # the journal has its end already: only its last frames are still coming
        self.until_ns = FOREVER_NS  # room time from which on nobody wants it
        self.done = False  # has reached that, or the time at which the recording was stopped
        self.ring_gap = False  # the ring no longer had the frame after `last_seq`


class Output:
    """One participant's camera or screen, or the audio or video of it. Runs in the recorder's main thread.

    `now_ns` is arrival time on the monotonic clock. All methods that write raise OSError.
    """

    def __init__(
        self, paths: Paths, opened: OutputOpened, target_ns: int, ingest: str, submit: Callable[[Close], None]
    ) -> None:
        self.opened = opened
        self.segmenter = Segmenter(target_ns)
        self.ingest = ingest
        self.wals = 0  # logs made so far
        self.tracks: dict[int, TrackIn] = {}
        self.left_ns = 0  # room time since when no track of it is there; of no meaning while one is
        self.current: Wal | None = None
        self._paths = paths
        self._submit = submit
        self._old: Wal | None = None
        self._old_end_ns: int | None = None
        self._moved: dict[int, int] = {}
        self._held: deque[tuple[int, int, int, bytes]] = deque()  # room_ns, track, seq, message: audio past the target
        self._notes: list[bytes] = []  # control messages for the next log
        self._resume_ns: int | None = None  # where the next segment begins: right after a pause
        self._latest_ns = 0  # latest room time seen the long way
        self._arrived_ns = 0
        self._adopted: Wal | None = None
        self._grown = True  # it has taken frames since it was adopted
        self.giving_up = False  # the disk is full: what cannot be flushed is let go

    # frames

    def place(self, track: TrackIn, flags: int, seq: int, room_ns: int, message: memoryview, now_ns: int) -> None:
        """A frame that could not take the short way (`TrackIn.short_until`)."""
        cutter = self.segmenter
        self._latest_ns = max(self._latest_ns, room_ns)
        self._arrived_ns = now_ns
        self._grown = True
        closing = cutter.closing
        result = cutter.place(track.number, track.video, bool(flags & KEY), room_ns, now_ns)
        if result == OLD:
            if self._old is not None:
                self._append(self._old, track, message)
            return
        if result == CUT:
            if closing:
                self._close_old()
            self._cut(room_ns, now_ns)
        wal = self.current
        if wal is None:
            raise RuntimeError(f"output {self.opened.output}: a segment is open without a log")
        self._append(wal, track, message)
        if not track.video and cutter.start_ns is not None and room_ns >= cutter.start_ns + cutter.target_ns:
            held = self._held
            held.append((room_ns, track.number, seq, bytes(message)))
            while held[0][0] < room_ns - _HELD_NS:
                held.popleft()
        if cutter.old_done(now_ns):
            self._close_old()
        track.wal = wal
        track.short_until = min(cutter.short_until(track.number, track.video), track.until_ns)

    def _append(self, wal: Wal, track: TrackIn, message: memoryview) -> None:
        if track.number not in wal.tracks:
            wal.tracks.add(track.number)
            wal.buffer += track.announcement
        wal.buffer += message

    def _cut(self, room_ns: int, now_ns: int) -> None:
        """Begin the next log at a frame; audio that came before it but belongs behind it moves along."""
        self._long_way()
        old, held = self.current, self._held
        start_ns = room_ns
        if self._resume_ns is not None:
            start_ns, self._resume_ns = min(room_ns, self._resume_ns), None
            self.segmenter.start_ns = start_ns
        self.current = self._next_wal(start_ns)
        if old is not None:
            self._old, self._old_end_ns, self._moved = old, room_ns, {}
            moving = False
            while held:
                at_ns, number, seq, message = held.popleft()
                moving = moving or at_ns >= room_ns
                if moving and number in self.tracks:
                    self._moved.setdefault(number, seq)
                    self._append(self.current, self.tracks[number], memoryview(message))
                    self.segmenter.tracks[False] = number
                    self.segmenter.passed(number)
        held.clear()

    def _next_wal(self, start_ns: int) -> Wal:
        self.wals += 1
        opened = self.opened
        header = Header(
            output=opened.output,
            identity=opened.identity,
            source=opened.source,
            kind=opened.kind,
            output_start_ns=opened.start_ns,
            ingest=self.ingest,
            number=self.wals,
            start_ns=start_ns,
        )
        wal = Wal.create(self._paths.wal_file(opened.output, self.wals), header)
        for track in self.tracks.values():
            if self._notes:  # notes name tracks: they must be known in this log
                wal.tracks.add(track.number)
                wal.buffer += track.announcement
        for note in self._notes:
            wal.buffer += note
        self._notes.clear()
        self.tracks = {number: track for number, track in self.tracks.items() if track.live}
        return wal

    def _long_way(self) -> None:
        for track in self.tracks.values():
            track.short_until = NEVER

    # what happens beside frames

    def add_track(self, track: TrackIn) -> None:
        """A published track of this output; its frames come to `place` from now on."""
        self.tracks[track.number] = track
        track.output = self

    def note(self, track: TrackIn, message: Struct) -> None:
        """Keep a control message of a track beside its frames: it explains a gap."""
        raw = protocol.encode(message)
        if self.current is None:
            self._notes.append(raw)
            return
        self._append(self.current, track, memoryview(b""))
        self.current.buffer += raw

    def refresh(self) -> None:
        """Tracks came, went, fell silent or spoke: whether cuts wait for key frames."""
        started = self.segmenter.tracks.get(True)
        self.segmenter.video_live = any(
            t.video and t.live and not t.muted and (not t.needs_key or t.number == started)
            for t in self.tracks.values()
        )

    def remove_track(self, track: TrackIn, now_ns: int) -> None:
        """A track went. When it was the last one, the segment is closed after a grace."""
        track.live = False
        track.short_until = NEVER
        if not any(t.live for t in self.tracks.values()):
            self.stop_segment(None, now_ns)
        self.segmenter.passed(track.number)
        self.refresh()

    def stop_segment(self, end_ns: int | None, now_ns: int) -> None:
        """Cut without a frame at a room time, or at the end of what came (None)."""
        if self.current is None:
            return
        if self.segmenter.closing:
            self._close_old()
        self._long_way()
        self._held.clear()
        self.segmenter.stop(end_ns if end_ns is not None else 1 << 62, now_ns)
        self._old, self._old_end_ns, self._moved, self.current = self.current, end_ns, {}, None

    def pause(self, at_ns: int, now_ns: int) -> None:
        """Cut at `at_ns`; the caller drops frames from then on."""
        if self.current is not None:
            self.stop_segment(max(at_ns, self.current.header.start_ns), now_ns)
            self._resume_ns = at_ns

    def resume(self, at_ns: int) -> None:
        """The next segment begins at `at_ns` if one was open at the pause; its video at a key frame."""
        if self._resume_ns is not None:
            self._resume_ns = at_ns
        for track in self.tracks.values():
            track.needs_key = track.video
            track.asked_ns = 0
        self.refresh()

    def tick(self, now_ns: int, room_ns: int) -> int | None:
        """Every 100 ms: flush, close what waited long enough; a track to ask for a key frame, or None."""
        if self.segmenter.old_done(now_ns):
            self._close_old()
        for wal in (self.current, self._old):
            if wal is not None and wal.buffer:
                wal.flush()
        start_ns = self.segmenter.start_ns
        if start_ns is None:
            return None
        age_ns = room_ns - start_ns
        if age_ns < self.segmenter.target_ns:
            return None
        if now_ns - self._arrived_ns > _QUIET_NS:  # past the target every frame goes the long way
            if age_ns > self.segmenter.target_ns + _QUIET_NS:
                self.stop_segment(None, now_ns)
            return None
        return self.segmenter.tracks.get(True) if self.segmenter.wants_key(room_ns) else None

    def finish(self, before_ns: int | None) -> None:
        """Close everything that is open."""
        if self._old is not None:
            self._close_old(before_ns)
        if self.current is not None:
            wal, self.current = self.current, None
            self._hand_over(wal, None, {}, before_ns, last=True)
        self._long_way()
        self.segmenter.stop(self.segmenter.start_ns or 0, 0)
        self.segmenter.old_closed()

    def keep(self) -> None:
        """Sync the open logs and let go of them: the next recorder of this recording goes on with them."""
        for wal in (self.current, self._old):
            if wal is not None:
                wal.flush()
                wal.sync()
                wal.close()
        self.current = self._old = None

    def _close_old(self, before_ns: int | None = None) -> None:
        self.segmenter.old_closed()
        if self._old is not None:
            wal, self._old = self._old, None
            self._hand_over(wal, self._old_end_ns, self._moved, before_ns, last=False)
        for track in self.tracks.values():
            if track.wal is self.current:
                track.short_until = min(self.segmenter.short_until(track.number, track.video), track.until_ns)

    def _hand_over(
        self, wal: Wal, end_ns: int | None, moved: dict[int, int], before_ns: int | None, last: bool
    ) -> None:
        try:
            wal.flush()
        except OSError:
            if not self.giving_up:
                raise
            wal.buffer.clear()
        wal.close()
        codecs = {t.info.kind: t.info.codec for t in self.tracks.values() if t.live}
        self._submit(
            Close(
                path=wal.path,
                end_ns=end_ns,
                moved=moved,
                codecs=codecs,
                last=last,
                adopted=self._adopted is wal,
                salvaged=self._adopted is wal and not self._grown,
                before_ns=before_ns,
            )
        )

    # after a restart

    def adopt(self, wal: Wal, tracks: dict[bool, int], held: list[tuple[int, int, int, bytes]], now_ns: int) -> None:
        """Go on with the log that a killed recorder had open."""
        self._arrived_ns = now_ns
        self.current = wal
        self._adopted = wal
        self._held.extend(held)
        self._grown = False
        self.segmenter.restore(wal.header.start_ns, tracks)
