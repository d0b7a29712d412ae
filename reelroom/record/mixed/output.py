"""The mix's encoded frames as an output of the recording, with a log of its own like any participant's.

Runs in the recorder's main thread: ten times a second it takes what the mixing thread has made.
"""

from __future__ import annotations

from collections.abc import Callable

from reelroom.domain import lines
from reelroom.domain.recording import RecordingSpec
from reelroom.domain.timeline import SECOND, Pauses
from reelroom.record import recovery
from reelroom.record.closing import Close
from reelroom.record.mixed.frames import LIFE, OUTPUT, PICTURE, SOUND, Made, Mark, Resume, track_info
from reelroom.record.mixed.mixer import Mixer
from reelroom.record.output import Output, TrackIn
from reelroom.record.paths import Paths
from reelroom.record.wal import FLUSH_BYTES, Wal
from reelroom.record.worker import Worker
from reelroom.rooms import protocol
from reelroom.rooms.protocol import FRAME, FRAME_HEADER, KEY, TrackAdded

_UNKNOWN_LEVEL = 255
_LENGTH = 4  # bytes of a message's length field, which does not count itself
_RTP_MASK = 0xFFFF_FFFF


class MixedOutput:
    """`pauses` answers with the recording's pauses as they are now. Methods that write raise OSError."""

    def __init__(self, paths: Paths, spec: RecordingSpec, worker: Worker, pauses: Callable[[], Pauses]) -> None:
        assert spec.mix is not None
        wanted = spec.subscription
        self._kind = "av" if wanted.audio and wanted.video else "video" if wanted.video else "audio"
        self._paths = paths
        self._worker = worker
        self._pauses = pauses
        self._target_ns = round(spec.hls.segment_s * SECOND)
        self._output: Output | None = None
        self._tracks: dict[bool, TrackIn] = {}
        for video, wants in ((True, wanted.video), (False, wanted.audio)):
            if wants is not None:
                track = TrackIn(TrackAdded(info=track_info(spec.mix, video), room_ns=0))
                track.needs_key = False
                self._tracks[video] = track
        #: By kind (True: pictures) what was left out, until a frame comes after it.
        self.left_out: dict[bool, Mark] = {}
        self._rates = {True: 90_000, False: spec.mix.sample_rate}
        self._paused = False

    @property
    def opened(self) -> lines.OutputOpened | None:
        """What the journal has of it, once it has begun."""
        return self._output.opened if self._output is not None else None

    def take(self, mixer: Mixer, now_ns: int) -> None:
        """Everything that the mixing thread has made so far."""
        made = mixer.made
        while made:
            item = made.popleft()
            if isinstance(item, Mark):
                self._mark(item, now_ns)
            else:
                self._frame(item, mixer.start_ns, now_ns)

    def tick(self, now_ns: int) -> None:
        """Every 100 ms."""
        if self._output is not None:
            # At no time is it old enough to be cut without a frame: whoever mixes late goes on where it stopped.
            self._output.tick(now_ns, 0)

    def finish(self, before_ns: int | None, giving_up: bool) -> None:
        """Close what is open."""
        if self._output is not None:
            self._output.giving_up = giving_up
            self._output.finish(before_ns)

    def keep(self) -> None:
        if self._output is not None:
            self._output.keep()

    def _frame(self, made: Made, start_ns: int, now_ns: int) -> None:
        output = self._output or self._open(start_ns)
        track = self._tracks[made.video]
        if self._paused:
            self._resume(output)
        track.last_seq = made.seq
        self.left_out.pop(made.video, None)
        rtp = (made.room_ns * self._rates[made.video] // SECOND) & _RTP_MASK
        length = FRAME_HEADER.size - _LENGTH + len(made.payload)
        flags = KEY if made.key else 0
        head = FRAME_HEADER.pack(length, FRAME, flags, track.number, made.seq, made.room_ns, rtp, _UNKNOWN_LEVEL)
        message = memoryview(head + made.payload)
        wal = track.wal
        if wal is not None and made.room_ns < track.short_until:
            wal.buffer += message
        else:
            other = output.segmenter.tracks.get(made.video) != track.number
            output.place(track, flags, made.seq, made.room_ns, message, now_ns)
            if other:
                output.refresh()
            wal = output.current
        if wal is not None and len(wal.buffer) > FLUSH_BYTES:
            wal.flush()

    def _resume(self, output: Output) -> None:
        """The first frame after a pause, or the last sound before it, which comes out of its encoder only now."""
        self._paused = False
        end_ns = next((end for _, end in reversed(self._pauses().spans) if end is not None), None)
        if end_ns is not None:
            output.resume(end_ns)
            for track in self._tracks.values():
                track.needs_key = False
            output.refresh()

    def _mark(self, mark: Mark, now_ns: int) -> None:
        output = self._output
        if output is None:
            return
        if mark.what == "pause":
            output.pause(mark.from_ns, now_ns)
            self._paused = True
            return
        for video, track in self._tracks.items():
            self.left_out[video] = mark
            output.note(
                track,
                protocol.GapSeen(track=track.number, from_ns=0, to_ns=0, packets=0, reason=mark.what),
            )

    def _open(self, start_ns: int) -> Output:
        opened = lines.OutputOpened(output=OUTPUT, identity="", source="mixed", kind=self._kind, start_ns=start_ns)
        output = self._make(opened)
        self._worker.open_output(opened)
        return output

    def _make(self, opened: lines.OutputOpened) -> Output:
        def submit(job: Close) -> None:
            self._worker.close(job, opened, self._pauses())

        output = self._output = Output(self._paths, opened, self._target_ns, LIFE, submit)
        for track in self._tracks.values():
            output.add_track(track)
        return output

    # after a restart

    def adopt(self, found: recovery.Found, now_ns: int) -> Resume | None:
        """Go on where the predecessor stopped; None when it had not begun."""
        logs = recovery.leftovers(self._paths).get(OUTPUT, [])
        opened = found.outputs.get(OUTPUT) or (recovery.opened_of(logs[0]) if logs else None)
        if opened is None:
            return None
        output = self._make(opened)
        if OUTPUT not in found.outputs:
            self._worker.open_output(opened)
        last = dict(found.mixed)
        for log in logs:
            for number, seq in log.last.items():
                last[number] = max(seq, last.get(number, 0))
        for track in self._tracks.values():
            track.last_seq = last.get(track.number, 0)
        current = logs[-1] if logs and logs[-1].last else None
        if current is not None and all(seq <= found.mixed.get(number, 0) for number, seq in current.last.items()):
            current = None  # its segment is in the journal already
        recovery.submit(logs, len(logs) - (current is not None), opened, self._worker, self._pauses())
        output.wals = max((one.contents.header.number for one in logs), default=0)
        if current is not None:
            tracks = {added.info.kind == "video": n for n, added in current.added.items() if n in current.last}
            target_ns = current.contents.header.start_ns + output.segmenter.target_ns
            output.adopt(Wal.reopen(current.contents, set(current.added)), tracks, current.held(target_ns), now_ns)
        output.refresh()
        return Resume(opened.start_ns, last.get(PICTURE, 0), last.get(SOUND, 0))
