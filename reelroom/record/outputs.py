"""Which outputs a recording has, which one a track belongs to, and when one begins. Takes no messages from the bus.

An output's start is the earliest of its frames, so its first frames are held until both kinds of track are there,
or one has been waited for long enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from reelroom.domain import lines
from reelroom.domain.recording import RecordingSpec, Subscription
from reelroom.domain.timeline import SECOND, Pauses
from reelroom.record.closing import Close
from reelroom.record.output import Output, TrackIn
from reelroom.record.paths import Paths
from reelroom.record.segmenter import NEVER
from reelroom.record.worker import Worker
from reelroom.rooms.protocol import KEY
from reelroom.rooms.ring import MAX_AUDIO_NS

_WAIT_NS = SECOND // 2  # how long an output waits for its other kind of track before it begins
Key = tuple[str, str, str]  # identity, "camera" or "screen", kind
Held = tuple[TrackIn, int, int, int, bytes]  # track, flags, seq, room_ns, message


@dataclass(slots=True)
class Beginning:
    """The frames of an output that has not begun: its start is the earliest of them."""

    arrived_ns: int
    frames: list[Held] = field(default_factory=list)


class Outputs:
    """All outputs of participants. `now_ns` is the monotonic clock. Methods that write raise OSError (a full disk)."""

    def __init__(
        self,
        paths: Paths,
        spec: RecordingSpec,
        since_ns: int,
        worker: Worker,
        tracks: Mapping[int, TrackIn],
        wanted: Callable[[], Subscription],
        pauses: Callable[[], Pauses],
    ) -> None:
        """`tracks` are those that are published; `wanted` and `pauses` answer with what holds now."""
        self._all: dict[Key, Output] = {}
        self._beginnings: dict[Key, Beginning] = {}
        self._begun = 0  # outputs so far
        self._ingest = ""
        self._paths = paths
        self._spec = spec
        self._since_ns = since_ns
        self._worker = worker
        self._tracks = tracks
        self._wanted = wanted
        self._pauses = pauses
        self._target_ns = round(spec.hls.segment_s * SECOND)

    def __iter__(self) -> Iterator[Output]:
        """Those that are open."""
        return iter(self._all.values())

    @property
    def beginning(self) -> bool:
        """Frames are held for outputs that have not begun."""
        return bool(self._beginnings)

    def of(self, track: TrackIn) -> Output | None:
        """The output that a track belongs to, if it is open."""
        return self._all.get(self._key(track))

    def _key(self, track: TrackIn) -> Key:
        identity, source = track.info.identity, track.info.source.output
        kind = track.info.kind
        if self._spec.tracks == "together":
            if (identity, source, kind) in self._all:
                return identity, source, kind
            wanted = self._wanted()
            both = wanted.audio is not None and wanted.video is not None
            if both or (identity, source, "av") in self._all:
                kind = "av"
        return identity, source, kind

    # frames

    def hold(self, track: TrackIn, flags: int, seq: int, room_ns: int, message: bytes, now_ns: int) -> Key:
        """Keep a frame until its output begins; say for which that is."""
        key = self._key(track)
        beginning = self._beginnings.get(key)
        if beginning is None:
            beginning = self._beginnings[key] = Beginning(now_ns)
        beginning.frames.append((track, flags, seq, room_ns, message))
        return key

    def place(
        self, output: Output, track: TrackIn, flags: int, seq: int, room_ns: int, message: memoryview, now_ns: int
    ) -> None:
        """A frame of an output that has begun."""
        if output.segmenter.tracks.get(track.video) != track.number:
            for other in output.tracks.values():  # of two microphones the newer one is recorded
                if other is not track and other.video == track.video and not other.passed_over:
                    other.passed_over = True
            output.place(track, flags, seq, room_ns, message, now_ns)
            output.refresh()
            return
        output.place(track, flags, seq, room_ns, message, now_ns)

    # beginning and ending

    def begin_ready(self, now_ns: int) -> None:
        """Begin all that need not wait any longer."""
        for key in list(self._beginnings):
            self.begin_if_ready(key, now_ns)

    def begin_if_ready(self, key: Key, now_ns: int) -> None:
        """Begin one for which frames are held, if it need not wait any longer."""
        beginning = self._beginnings[key]
        kinds = {held[0].video for held in beginning.frames}
        expected = {
            t.video
            for t in self._tracks.values()
            if t.live and not t.muted and t.output is None and self._key(t) == key
        }
        if expected <= kinds or now_ns - beginning.arrived_ns >= _WAIT_NS:
            self._begin(key, now_ns)

    def begin_all(self, now_ns: int) -> None:
        """Begin what frames are held for: no others will come."""
        for key in list(self._beginnings):
            self._begin(key, now_ns)

    def _begin(self, key: Key, now_ns: int) -> None:
        frames = reach_back(self._beginnings.pop(key).frames, self._since_ns)
        if not frames:
            return
        number = f"{self._begun + 1:03d}"
        opened = lines.OutputOpened(
            output=number, identity=key[0], source=key[1], kind=key[2], start_ns=min(held[3] for held in frames)
        )
        output = self.add(opened)
        self._worker.open_output(opened)
        for track in self._tracks.values():
            if track.output is None and self._key(track) == key:
                output.add_track(track)
        for track, flags, seq, room_ns, message in frames:
            if track.output is None:
                output.add_track(track)
            self.place(output, track, flags, seq, room_ns, memoryview(message), now_ns)
        for track in {held[0].number: held[0] for held in frames if not held[0].live}.values():
            output.remove_track(track, now_ns)  # it came and went before the output began

    def add(self, opened: lines.OutputOpened) -> Output:
        """One more, without frames yet."""

        def submit(job: Close) -> None:
            self._worker.close(job, opened, self._pauses())

        output = Output(self._paths, opened, self._target_ns, self._ingest, submit)
        self._all[opened.identity, opened.source, opened.kind] = output
        self._begun += 1
        return output

    def end_left(self, track: TrackIn, room_ns: int) -> None:
        """A track has come: end its output if nobody is in it any more, where those who come back begin another one."""
        key = self._key(track)
        output = self._all.get(key)
        if output is None or any(track.live for track in output.tracks.values()):
            return
        away_ns, most_s = room_ns - output.left_ns, self._spec.rejoin_s
        if self._spec.rejoin == "anew" or (most_s and output.left_ns and away_ns > most_s * SECOND):
            output.finish(None)
            del self._all[key]

    def end_muted(self, track: TrackIn, room_ns: int) -> None:
        """A track speaks again: end its output if it was silent for so long that its files are to end there."""
        output, split_s = track.output, self._spec.mute_split_s
        if output is None or track.passed_over or split_s < 0 or room_ns - track.muted_ns < split_s * SECOND:
            return
        del self._all[self._key(track)]
        output.finish(None)
        for each in output.tracks.values():
            each.output = each.wal = None
            each.short_until = NEVER

    def hello(self, ingest: str) -> None:
        """Frames come from this ingest from now on."""
        self._ingest = ingest
        for output in self:
            output.ingest = ingest

    def finish(self, before_ns: int | None, now_ns: int, giving_up: bool) -> None:
        """Begin and close all. `giving_up`: the disk is full."""
        for output in self:
            output.giving_up = giving_up
        if giving_up:
            self._beginnings.clear()
        self.begin_all(now_ns)
        for output in self:
            output.finish(before_ns)


def reach_back(frames: list[Held], since_ns: int) -> list[Held]:
    """In room time's order, from the last key frame at or before the wanted begin on, else from that begin."""
    latest: dict[int, int] = {}
    order: list[tuple[int, int]] = []
    for index, held in enumerate(frames):
        at_ns = latest[held[0].number] = max(held[3], latest.get(held[0].number, 0))
        order.append((at_ns, index))
    gone = {h[0].number for h in frames if not h[0].live and latest[h[0].number] < since_ns}
    keys = [h[3] for h in frames if h[0].video and h[1] & KEY and h[3] <= since_ns]
    begin_ns = max(keys, default=since_ns)
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
