"""Where one output's segments are cut, as a pure state machine. Holds no frames, files or clocks.

A segment ends at the first key frame at or after `target` (less `EARLY_NS`) since its start; without live
video, at the first audio frame. A cut segment stays open beside the new one until the other tracks have passed
the cut or a grace is over, so that frames from before the cut that come a little later still land in it.
"""

from __future__ import annotations

SECOND = 1_000_000_000
GRACE_NS = SECOND // 2
CURRENT, OLD, CUT = 0, 1, 2
#: Key frames that a sender makes every `target` come a little early or late in room time.
EARLY_NS = SECOND // 20
#: "No frame may take the short way": less than any room time.
NEVER = -1


class Segmenter:
    """One output's cuts. `room_ns` is the frames' time, `now_ns` arrival on any monotonic clock."""

    def __init__(self, target_ns: int, grace_ns: int = GRACE_NS) -> None:
        self.target_ns = target_ns - EARLY_NS
        self.limit_ns = max(3 * target_ns, 60 * SECOND)
        self.grace_ns = grace_ns
        self.start_ns: int | None = None  # of the current segment, None: none is open
        self.tracks: dict[bool, int] = {}  # video? → track of that kind in the current segment
        self.video_live = False  # video is published, started and not muted
        self.closing = False  # an old segment is still open
        self.cut_ns = 0  # where the old one ends
        self._old: set[int] = set()  # its tracks that have not passed the cut
        self._deadline_ns = 0
        self._asked_ns: int | None = None

    def short_until(self, track: int, video: bool) -> int:
        """Frames of this track before that room time go to the current segment without asking `place`."""
        if self.start_ns is None or self.closing or self.tracks.get(video) != track:
            return NEVER
        return self.start_ns + self.target_ns

    def place(self, track: int, video: bool, key: bool, room_ns: int, now_ns: int) -> int:
        """CURRENT or OLD: the segment this frame belongs to; CUT: a new one begins with it.

        After CUT the caller must have closed the old one that was open before, if any, and now has one that
        ends at `cut_ns` (unless there was none: `closing` says).
        """
        if self.closing and track in self._old:
            if room_ns < self.cut_ns:
                return OLD
            self._old.discard(track)
        if self.start_ns is None:
            self._begin(track, video, room_ns, now_ns, was_open=False)
            return CUT
        mine = self.tracks.get(video)
        elapsed = room_ns - self.start_ns
        if mine is not None and mine != track:
            cut = True
        elif elapsed < self.target_ns:
            cut = False
        elif video:
            cut = key or elapsed >= self.limit_ns
        else:
            cut = not self.video_live or elapsed >= self.limit_ns
        if cut:
            self._begin(track, video, room_ns, now_ns, was_open=True)
            return CUT
        self.tracks[video] = track
        return CURRENT

    def _begin(self, track: int, video: bool, room_ns: int, now_ns: int, was_open: bool) -> None:
        if was_open:
            self._close(max(room_ns, self.start_ns or 0), now_ns, passed=track)
        self.start_ns = room_ns
        self.tracks = {video: track}
        self._asked_ns = None

    def _close(self, cut_ns: int, now_ns: int, passed: int | None) -> None:
        self.closing = True
        self.cut_ns = cut_ns
        self._old = set(self.tracks.values())
        if passed is not None:
            self._old.discard(passed)
        self._deadline_ns = now_ns + self.grace_ns

    def stop(self, cut_ns: int, now_ns: int) -> None:
        """Cut at a room time without a frame: a pause, the end, everybody left. Nothing is current after it."""
        if self.start_ns is None:
            return
        self._close(max(cut_ns, self.start_ns), now_ns, passed=None)
        self.start_ns = None
        self.tracks = {}

    def passed(self, track: int) -> None:
        """No more frames of a track are to be waited for: it was moved over the cut, or has gone."""
        self._old.discard(track)

    def old_done(self, now_ns: int) -> bool:
        """Whether the old segment can be closed now."""
        return self.closing and (not self._old or now_ns >= self._deadline_ns)

    def old_closed(self) -> None:
        self.closing = False
        self._old.clear()

    def restore(self, start_ns: int, tracks: dict[bool, int]) -> None:
        """Go on with a segment that a killed recorder had open."""
        self.start_ns = start_ns
        self.tracks = dict(tracks)

    def wants_key(self, room_ns: int) -> bool:
        """Whether to ask the sender for a key frame now: the target is reached, and again every second."""
        if self.start_ns is None or not self.video_live or room_ns - self.start_ns < self.target_ns:
            return False
        if self._asked_ns is not None and room_ns - self._asked_ns < SECOND:
            return False
        self._asked_ns = room_ns
        return True
