"""What a recorder that starts finds: the state its predecessor left in the journal and in logs. Talks to no bus."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import structlog

from reelroom.domain import lines
from reelroom.domain.media import TrackInfo
from reelroom.domain.recording import RecordingSpec
from reelroom.domain.timeline import LAST_NS, Pauses
from reelroom.record.closing import Close, OutputWriter, Patiently, RenditionState, gap_reason
from reelroom.record.intake import Intake
from reelroom.record.journal import Entry
from reelroom.record.mixed.frames import LIFE, OUTPUT
from reelroom.record.output import TrackIn
from reelroom.record.paths import Paths
from reelroom.record.tracks import ENDED_NS
from reelroom.record.wal import Contents, Frame, Wal, WalError
from reelroom.record.worker import Worker
from reelroom.rooms.protocol import TrackAdded, TrackRemoved

log = structlog.get_logger()


@dataclass(slots=True)
class Found:
    """A predecessor's state as its journal has it."""

    started_ns: int = 0  # room time of the first Opened line; 0: there is none
    ingest: str = ""
    stopped: lines.Stopped | None = None
    finished: bool = False
    commands: int = 0  # carried out
    outputs: dict[str, lines.OutputOpened] = field(default_factory=dict)
    tracks: dict[int, TrackInfo] = field(default_factory=dict)  # published, of `ingest`
    muted: dict[int, int] = field(default_factory=dict)  # track → since when
    present: set[tuple[str, str]] = field(default_factory=set)
    through: dict[int, int] = field(default_factory=dict)  # track → seq in closed segments, of `ingest`
    mixed: dict[int, int] = field(default_factory=dict)  # the same of the mix's own tracks, whatever the ingest
    orders: dict[str, None] = field(default_factory=dict)  # identities by when their first track came
    ended: dict[int, tuple[TrackInfo, int, str]] = field(default_factory=dict)  # tracks that went: what, when, why
    ends: dict[str, int] = field(default_factory=dict)  # output → end of its last segment
    hung: set[str] = field(default_factory=set)  # encoders of the mix that did not come back
    failed: str = ""  # what was told last of a mix that failed


def read(entries: Iterable[Entry]) -> Found:
    """Fold a journal's lines."""
    found = Found()
    for entry in entries:
        match entry.body:
            case lines.Opened() as opened:
                found.started_ns = found.started_ns or opened.room_ns
                if opened.ingest != found.ingest:
                    found.ingest = opened.ingest
                    for state in (found.tracks, found.muted, found.present, found.through, found.ended):
                        state.clear()
            case lines.OutputOpened() as output:
                found.outputs[output.output] = output
            case lines.Track(info=info, change=change) as track:
                if change == "added":
                    found.tracks[info.track] = info
                    found.orders.setdefault(info.identity)
                    found.ended.pop(info.track, None)
                elif change == "removed":
                    found.tracks.pop(info.track, None)
                    if track.reason != "unsubscribed":
                        found.ended[info.track] = (info, track.at_ns, track.reason)
                    found.muted.pop(info.track, None)
                elif change == "muted":
                    found.muted[info.track] = track.at_ns
                else:
                    found.muted.pop(info.track, None)
            case lines.Participant(identity=identity, session=session, joined=joined):
                (found.present.add if joined else found.present.discard)((identity, session))
            case lines.Segment(through=through) as segment:
                found.ends[segment.output] = segment.end_ns
                done = found.mixed if segment.output == OUTPUT else found.through
                for number, seq in through.items():
                    done[number] = max(seq, done.get(number, 0))
            case lines.Paused() | lines.Resumed() | lines.Subscribed() | lines.SceneChanged():
                found.commands += 1
            case lines.Notice(code="mix_hung", about=about):
                found.hung.add(about)
            case lines.Notice(code="mix_failed", message=message):
                found.failed = message
            case lines.Stopped() as stopped:
                found.stopped = stopped
            case lines.Finished():
                found.finished = True
            case _:
                pass
    return found


def writers(
    entries: Iterable[Entry], paths: Paths, spec: RecordingSpec, patiently: Patiently
) -> dict[str, OutputWriter]:
    """The outputs' writers as they were after the journal's last line."""
    made: dict[str, OutputWriter] = {}
    last: dict[tuple[str, str], lines.Segment] = {}  # output, kind → the last one with frames of that kind
    changes: list[lines.Track] = []
    pauses = Pauses()
    ingest = ""
    for entry in entries:
        match entry.body:
            case lines.Opened() as opened:
                ingest = opened.ingest
            case lines.Paused(at_ns=at_ns):
                pauses = pauses.pause(at_ns)
            case lines.Resumed(at_ns=at_ns):
                pauses = pauses.resume(at_ns)
            case lines.OutputOpened() as opened_output:
                writer = made[opened_output.output] = OutputWriter(paths, spec, opened_output, patiently)
                writer.in_journal = True
            case lines.Init() as init:
                state = made[init.output].renditions.setdefault(init.rendition, RenditionState("fmp4"))
                state.init, state.init_sha256 = init.number, init.sha256
            case lines.Segment() as segment:
                writer = made[segment.output]
                state = writer.renditions.setdefault(segment.rendition, RenditionState(segment.container))
                state.container, state.number = segment.container, segment.number
                life = LIFE if segment.output == OUTPUT else ingest
                state.through.setdefault(life, {}).update(segment.through)
                writer.media_end_ns = segment.media_end_ns
                if spec.cuts:
                    whole_ns = pauses.media_ns(writer.opened.start_ns, segment.end_ns)
                    writer.cuts.restore(segment.end_ns, whole_ns - segment.media_end_ns)
                for kind, frames in (("video", segment.video_frames), ("audio", segment.audio_frames)):
                    if frames:
                        last[segment.output, kind] = segment
            case lines.Track() as track:
                changes.append(track)
            case _:
                pass
    for (output, kind), segment in last.items():
        _restore_gaps(made[output], kind, segment, changes)
    return made


def _restore_gaps(writer: OutputWriter, kind: str, segment: lines.Segment, changes: list[lines.Track]) -> None:
    """When the last frame of a kind came, and what has happened since that will explain the gap."""
    last_ns = segment.end_ns - LAST_NS[kind]
    place = (writer.opened.identity, writer.opened.source, kind)
    reasons: dict[str, int] = {}
    for change in changes:
        info = change.info
        if (info.identity, info.source.output, info.kind) != place or change.at_ns <= segment.start_ns:
            continue
        if change.change == "muted":
            reasons.setdefault("mute", change.at_ns)
        elif change.change == "unmuted":
            reasons.pop("mute", None)
        elif change.change == "removed":
            reasons.setdefault(gap_reason(change.reason), change.at_ns)
    writer.gaps.restore(kind, min(last_ns, *reasons.values()) if reasons else last_ns)
    for reason in reasons:
        writer.gaps.note(kind, reason)
        writer.cuts.note(reason)


@dataclass(slots=True)
class Left:
    """One log that was left, its outputs' logs in their order."""

    contents: Contents
    first: dict[int, int] = field(default_factory=dict)  # track → seq
    last: dict[int, int] = field(default_factory=dict)
    last_ns: dict[int, int] = field(default_factory=dict)  # track → room time
    added: dict[int, TrackAdded] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)  # tracks whose end it says

    def held(self, from_ns: int) -> list[tuple[int, int, int, bytes]]:
        """Room time, track, seq and message of the sound from a room time on: it may belong behind the next cut."""
        audio = {number for number, added in self.added.items() if added.info.kind == "audio"}
        return [
            (record.room_ns, record.track, record.seq, record.message())
            for record in self.contents.records()
            if isinstance(record, Frame) and record.track in audio and record.room_ns >= from_ns
        ]


def leftovers(paths: Paths) -> dict[str, list[Left]]:
    """Output → its logs, oldest first. A log without a whole header held no frame: it is removed."""
    found: dict[str, list[Left]] = {}
    for path in sorted(paths.wal.glob("*.wal")):
        try:
            contents = Contents(path)
        except WalError as error:
            log.warning("log without header removed", error=str(error))
            path.unlink()
            continue
        left = Left(contents)
        for record in contents.records():
            if isinstance(record, Frame):
                left.first.setdefault(record.track, record.seq)
                left.last[record.track] = record.seq
                left.last_ns[record.track] = record.room_ns
            elif isinstance(record, TrackAdded):
                left.added[record.info.track] = record
            elif isinstance(record, TrackRemoved):
                left.removed.add(record.track)
        found.setdefault(contents.header.output, []).append(left)
    return found


def opened_of(left: Left) -> lines.OutputOpened:
    header = left.contents.header
    return lines.OutputOpened(
        output=header.output,
        identity=header.identity,
        source=header.source,
        kind=header.kind,
        start_ns=header.output_start_ns,
    )


def unsaid(this: Left, later: Sequence[Left], found: Found) -> tuple[TrackRemoved, ...]:
    """Ends of tracks that a log does not tell, since its recorder was killed first, and that explain the gap after it.

    The journal has them, or they follow from another ingest's coming. A track that another one of its kind has
    followed in the same log is none: its gap is over.
    """
    ingest = this.contents.header.ingest
    over = (later[0].contents.header.ingest if later else found.ingest) != ingest
    ends = []
    for number, at_ns in this.last_ns.items():
        if number in this.removed or number not in this.added:
            continue
        if any(number in one.last and one.contents.header.ingest == ingest for one in later):
            continue
        kind = this.added[number].info.kind
        if any(ns > at_ns and this.added[n].info.kind == kind for n, ns in this.last_ns.items() if n in this.added):
            continue
        if over:
            ends.append(TrackRemoved(track=number, room_ns=at_ns, reason="ingest_restart"))
        elif ingest == found.ingest and number in found.ended:
            ends.append(TrackRemoved(track=number, room_ns=at_ns, reason=found.ended[number][2]))
    return tuple(ends)


def submit(
    left: list[Left],
    count: int,
    opened: lines.OutputOpened,
    worker: Worker,
    pauses: Pauses,
    found: Found | None = None,
) -> None:
    """Make segments of the first `count` of an output's logs; `found` says what ended its tracks, if that matters."""
    for index, this in enumerate(left[:count]):
        later = left[index + 1 :]
        after = later[0] if later else None
        header = this.contents.header
        follows = after is not None and after.contents.header.ingest == header.ingest
        codecs = {added.info.kind: added.info.codec for added in this.added.values()}
        job = Close(
            path=this.contents.path,
            end_ns=after.contents.header.start_ns if after is not None and follows else None,
            moved=after.first if after is not None and follows else {},
            codecs=codecs,
            removed=unsaid(this, later, found) if found is not None else (),
            adopted=True,
            salvaged=True,
        )
        worker.close(job, opened, pauses)


def adopt(found: Found, paths: Paths, worker: Worker, intake: Intake, now_ns: int) -> None:
    """Go on where the predecessor stopped, with the same ingest: the newest log of each output is open again.

    The mix looks after its own output.
    """
    left = {output: logs for output, logs in leftovers(paths).items() if output != OUTPUT}
    opened = {output: line for output, line in found.outputs.items() if output != OUTPUT}
    for output, logs in left.items():
        opened.setdefault(output, opened_of(logs[0]))
    newest_ns = max((at_ns for _, at_ns, _ in found.ended.values()), default=0)
    gone = {number: info for number, (info, at_ns, _) in found.ended.items() if newest_ns - at_ns < ENDED_NS}
    infos = {number: TrackAdded(info=info, room_ns=0) for number, info in (gone | found.tracks).items()}
    last = dict(found.through)
    for logs in left.values():
        for one in logs:
            if one.contents.header.ingest == found.ingest:
                for number, added in one.added.items():
                    if number not in infos and number not in found.ended:  # its line did not make it
                        infos[number] = added
                        line = lines.Track(info=added.info, at_ns=added.room_ns, change="added")
                        worker.lines([line])
                for number, seq in one.last.items():
                    last[number] = max(seq, last.get(number, 0))
    for number, added in infos.items():
        track = intake.tracks.published[number] = TrackIn(added)
        track.last_seq = last.get(number, 0)
        track.needs_key = track.video and not track.last_seq  # the others go on where they were
        track.muted, track.muted_ns = number in found.muted, found.muted.get(number, 0)
        track.fresh = False
        if number in gone and number not in found.tracks:
            track.live = False
            intake.tracks.ended[number] = (intake.tracks.published.pop(number), now_ns)
    goes_on = {(line.identity, line.source, line.kind): output for output, line in sorted(opened.items())}
    for output in sorted(opened):
        made = intake.outputs.add(opened[output])
        made.ingest = found.ingest
        made.left_ns = _left_ns(opened[output], found)
        logs = left.get(output, [])
        if output not in found.outputs:
            worker.open_output(opened[output])
        current = None
        if logs and logs[-1].contents.header.ingest == found.ingest and logs[-1].last:
            newest = logs[-1]
            this = opened[output]
            ended = goes_on[this.identity, this.source, this.kind] != output  # another one has taken its place
            if not ended and any(seq > found.through.get(number, 0) for number, seq in newest.last.items()):
                current = newest  # else its segment is in the journal already
        submit(logs, len(logs) - (current is not None), opened[output], worker, intake.pauses, found)
        made.wals = max((one.contents.header.number for one in logs), default=0)
        for track in intake.tracks.known():
            if intake.outputs.of(track) is made:
                made.add_track(track)
        if current is not None:
            tracks = {added.info.kind == "video": n for n, added in current.added.items() if n in current.last}
            target_ns = current.contents.header.start_ns + made.segmenter.target_ns
            made.adopt(Wal.reopen(current.contents, set(current.added)), tracks, current.held(target_ns), now_ns)
            for end in unsaid(current, (), found):
                made.note(made.tracks[end.track], end)
        elif intake.pauses.spans and found.ends.get(output, 0) <= (intake.pauses.spans[-1][1] or 0):
            made.resume(intake.pauses.spans[-1][1] or 0)  # nothing came after the pause yet: wait for a key frame
        made.refresh()
    intake.people.present = set(found.present)


def _left_ns(output: lines.OutputOpened, found: Found) -> int:
    """When the last track of an output went, as far as can be told."""
    who = output.identity, output.source
    ends = [at_ns for info, at_ns, _ in found.ended.values() if (info.identity, info.source.output) == who]
    return max(ends, default=found.ends.get(output.output, 0))
