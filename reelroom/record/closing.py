"""One output's closed logs made into segments and journal lines. Runs in the worker thread; decides no cuts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec import Struct

from reelroom.domain import lines
from reelroom.domain.media import TrackInfo
from reelroom.domain.recording import Format, RecordingSpec
from reelroom.domain.timeline import (
    DTX_BYTES,
    KNOWN_NS,
    LAST_NS,
    STEP_NS,
    GapFinder,
    Hole,
    Monotonic,
    Pauses,
    end_of,
)
from reelroom.record.cuts import Cuts
from reelroom.record.journal import sync_and_hash, sync_folder, write_synced
from reelroom.record.mux import Fill, Muxed, MuxError, Rendition, Sample, SegmentJob, TrackConfig, plan
from reelroom.record.mux.entries import video_config
from reelroom.record.paths import Paths
from reelroom.record.wal import Contents, Frame
from reelroom.rooms.protocol import KEY, GapSeen, TrackAdded, TrackRemoved, TrackState, degrees

SUFFIX = {"fmp4": ".m4s", "ts": ".ts", "webm": ".webm"}
KINDS = ("video", "audio")


#: Calls a function again and again while the disk is full.
Patiently = Callable[[Callable[[], Any]], Any]


@dataclass(frozen=True, slots=True)
class Close:
    """One log to be made into a segment."""

    path: Path
    end_ns: int | None = None  # room time of the cut; None: the end of its last frame
    moved: dict[int, int] = field(default_factory=dict)  # track → seq from which on frames are in the next log
    codecs: dict[str, str] = field(default_factory=dict)  # kind → codec of the tracks published now
    removed: tuple[TrackRemoved, ...] = ()  # what the log was to say at its end
    last: bool = False  # of the output: encoders are flushed
    adopted: bool = False  # a killed recorder's: parts of it may be in the journal already
    salvaged: bool = False
    pauses: Pauses = field(default_factory=Pauses)
    before_ns: int | None = None  # when the recording was stopped: frames from then on are left out


@dataclass(slots=True)
class RenditionState:
    """What must be known of one rendition to write its next segment."""

    container: str
    number: int = 0  # of the last segment
    init: int = 0
    init_sha256: str = ""
    through: dict[str, dict[int, int]] = field(default_factory=dict)  # ingest → track → seq
    muxer: Rendition | None = None


@dataclass(slots=True)
class Taken:
    """One frame that goes into the segment."""

    sample: Sample
    track: int
    seq: int
    room_ns: int


@dataclass(frozen=True, slots=True)
class Part:
    """Frames that make one segment, with its begin and end in room time and media time."""

    taken: dict[str, list[Taken]]
    start_ns: int
    end_ns: int
    media_start_ns: int
    media_end_ns: int

    @property
    def through(self) -> dict[int, int]:
        return {item.track: item.seq for kind in KINDS for item in self.taken[kind]}

    def split(self, media_ns: int, room_ns: int) -> tuple[Part, Part]:
        before = {k: [t for t in v if t.sample.media_ns < media_ns] for k, v in self.taken.items()}
        after = {k: [t for t in v if t.sample.media_ns >= media_ns] for k, v in self.taken.items()}
        return (
            Part(before, self.start_ns, room_ns, self.media_start_ns, media_ns),
            Part(after, room_ns, self.end_ns, media_ns, self.media_end_ns),
        )


def gap_reason(removed: str) -> str:
    """The gap's reason for a track that went: by itself, by wish, or by a lost connection ("reconnect")."""
    if removed == "ingest_stopped":  # in order, but everybody has to come again all the same
        return "ingest_restart"
    if removed in ("left", "unsubscribed", "ingest_restart"):
        return removed
    return "left" if removed == "unpublished" else "reconnect"


class OutputWriter:
    """Writes one output's segments in all its renditions; not thread-safe."""

    def __init__(self, paths: Paths, spec: RecordingSpec, opened: lines.OutputOpened, patiently: Patiently) -> None:
        self.opened = opened
        self.in_journal = False  # the OutputOpened line is there
        self.renditions: dict[str, RenditionState] = {}
        self.media_end_ns = 0
        self.gaps = GapFinder()
        self.cuts = Cuts(spec.cuts)
        self._said_unturned: set[str] = set()
        self.configs: dict[str, TrackConfig] = {}  # kind → what its last track was
        self._infos: dict[int, TrackInfo] = {}
        self._paths = paths
        self._spec = spec.of_output(opened.source)
        self._patiently = patiently
        self._clocks = {kind: Monotonic(STEP_NS[kind]) for kind in KINDS}
        self._cut_before_ns = 0  # what was cut out before the log at hand

    def close(self, job: Close) -> list[lines.AnyLine]:
        """Write and sync the segment files of one log; the journal lines that make them count.

        Waits while the disk is full. Raises WalError and what the muxer raises, and is then not to be called
        again with this job.
        """
        contents = Contents(job.path)
        header = contents.header
        found: list[lines.AnyLine] = [] if self.in_journal else [self.opened]
        taken, holes = self._read(contents, job)
        for end in job.removed:
            self._note(end)
        if not any(taken.values()):
            return []
        states = self._plan(job)
        unfilled: set[str] = set()
        whole = Part(taken, *self._span(header.start_ns, taken, job))
        for part in self._parts(whole):
            last = job.last and part.end_ns == whole.end_ns
            fills = self._fills(holes, part, job.pauses)
            for name, state in states.items():
                done = state.through.get(header.ingest, {}) if job.adopted else {}
                found += self._segment(name, state, part, done, fills, last, job.salvaged, header.ingest, unfilled)
            self.media_end_ns = part.media_end_ns
        self.cuts.closed(whole.end_ns)
        found += [self._gap_line(hole, unfilled) for hole in holes]
        self.in_journal = True
        return found

    def _parts(self, whole: Part) -> list[Part]:
        """Cut where the picture's format changes (a key frame of another size, profile or orientation): one init
        segment describes a whole segment."""
        parts, rest = [], whole
        config = self.configs.get("video")
        before: object = None
        for item in whole.taken["video"] if config is not None else ():
            if not item.sample.key or config is None:
                continue
            try:
                signature = (video_config(config.codec, bytes(item.sample.data)).signature, item.sample.rotation)
            except MuxError:
                continue  # the muxer says so of the whole segment
            if before not in (None, signature) and item.sample.media_ns > rest.media_start_ns:
                first, rest = rest.split(item.sample.media_ns, item.room_ns)
                parts.append(first)
            before = signature
        return [*parts, rest]

    def _segment(
        self,
        name: str,
        state: RenditionState,
        part: Part,
        done: dict[int, int],
        fills: list[Fill],
        last: bool,
        salvaged: bool,
        ingest: str,
        unfilled: set[str],
    ) -> list[lines.AnyLine]:
        samples = {
            kind: [t.sample for t in part.taken[kind] if not done or t.seq > done.get(t.track, 0)] for kind in KINDS
        }
        if not any(samples.values()):
            return []
        work = SegmentJob(
            number=state.number + 1,
            start_ns=part.media_start_ns,
            end_ns=part.media_end_ns,
            video=self.configs.get("video"),
            video_samples=samples["video"],
            audio=self.configs.get("audio"),
            audio_samples=samples["audio"],
            last=last,
            fill=fills,
        )
        try:
            return self._write(name, state, work, ingest, part, salvaged, unfilled)
        except MuxError as error:
            where = f"{name}, {part.media_start_ns / 1e9:.3f} s to {part.media_end_ns / 1e9:.3f} s"
            return [lines.Notice(code="segment_failed", message=f"{where}: {error}", output=self.opened.output)]

    def _done(self, ingest: str) -> dict[int, int]:
        """Track → seq up to which every rendition has its frames."""
        dones = [state.through.get(ingest, {}) for state in self.renditions.values()]
        return {track: min(done.get(track, 0) for done in dones) for track in dones[0]} if dones else {}

    def _read(self, contents: Contents, job: Close) -> tuple[dict[str, list[Taken]], list[Hole]]:
        taken: dict[str, list[Taken]] = {"video": [], "audio": []}
        holes: list[Hole] = []
        pauses, start = job.pauses, self.opened.start_ns
        spans, cut = bool(pauses.spans), bool(self._spec.cuts)
        done = self._done(contents.header.ingest) if job.adopted else {}
        for record in contents.records():
            if not isinstance(record, Frame):
                self._note(record)
                continue
            flags, track, seq, room_ns, _rtp, _level, payload = record
            if seq >= job.moved.get(track, seq + 1) or seq <= done.get(track, 0):
                continue
            if (spans and pauses.covers(room_ns)) or (job.before_ns is not None and room_ns >= job.before_ns):
                continue
            info = self._infos.get(track)
            if info is None:
                break  # a log announces each track before its frames: what follows is not to be trusted
            kind = info.kind
            if room_ns < start and info.kind == "audio":
                continue  # it came after the output had begun without it; pictures need those before them
            media = pauses.media_ns(start, room_ns) if spans else room_ns - start
            if cut:
                media = self.cuts.place(kind, room_ns, media, pauses)
                if not (taken["video"] or taken["audio"]):
                    self._cut_before_ns = self.cuts.total_ns
            media = self._clocks[kind].next(media)
            holes += self.gaps.frame(kind, room_ns, len(payload) <= DTX_BYTES and kind == "audio", pauses)
            taken[kind].append(
                Taken(Sample(media, bool(flags & KEY) or kind == "audio", payload, degrees(flags)), track, seq, room_ns)
            )
            if not taken[kind][1:] or taken[kind][-2].track != track:
                self.configs[kind] = TrackConfig(info.codec, info.channels, info.clock_rate)
        return taken, holes

    def _note(self, record: Struct) -> None:
        """What a control message says of the gap it stands in."""
        match record:
            case TrackAdded(info=info):
                if self._infos.get(info.track) != info:
                    self.cuts.note("left")
                self._infos[info.track] = info
            case GapSeen(track=track) if track in self._infos:
                self.gaps.seen(self._infos[track].kind, record.from_ns, record.to_ns, record.packets, record.reason)
            case TrackState(track=track, muted=True) if track in self._infos:
                self.gaps.note(self._infos[track].kind, "mute")
                self.cuts.note("mute")
            case TrackRemoved(track=track) if track in self._infos:
                self.gaps.note(self._infos[track].kind, gap_reason(record.reason))

    def _plan(self, job: Close) -> dict[str, RenditionState]:
        codecs = {**job.codecs, **{kind: config.codec for kind, config in self.configs.items()}}
        wanted = plan(self._spec, self.opened.kind, codecs.get("video", ""), codecs.get("audio", ""))
        states: dict[str, RenditionState] = {}
        for name, container in wanted:
            state = self.renditions.setdefault(name, RenditionState(container))
            if state.container != container:
                state.container, state.muxer = container, None
            states[name] = state
        return states

    def _span(self, start_ns: int, taken: dict[str, list[Taken]], job: Close) -> tuple[int, int, int, int]:
        """The segment's begin and end in room time and media time."""
        ends = [end_of((t.room_ns for t in taken[kind]), kind) for kind in KINDS]
        last_ns = max(end for end in ends if end is not None)
        end_ns = job.end_ns if job.end_ns is not None else last_ns
        if self._spec.cuts and end_ns > last_ns + KNOWN_NS:
            end_ns = last_ns  # what follows may be cut out, which the frame after it decides
        if job.before_ns is not None:
            end_ns = min(end_ns, job.before_ns)
        if not self.in_journal:
            start_ns = self.opened.start_ns
        media_start = max(self.media_end_ns, job.pauses.media_ns(self.opened.start_ns, start_ns) - self._cut_before_ns)
        if self._fills_any() and self.media_end_ns:
            media_start = self.media_end_ns
        media_end = job.pauses.media_ns(self.opened.start_ns, end_ns) - self.cuts.total_ns
        media_end = max(media_end, media_start + STEP_NS["audio"])
        if taken["video"]:  # sound may reach over a cut, pictures may not
            media_end = max(media_end, taken["video"][-1].sample.media_ns + STEP_NS["video"])
        return start_ns, max(end_ns, start_ns), media_start, media_end

    def _fills_any(self) -> bool:
        return self._spec.gaps.audio != "leave" or self._spec.gaps.video != "leave"

    def _how(self, kind: str) -> str:
        how = self._spec.gaps.audio if kind == "audio" else self._spec.gaps.video
        return "" if how == "leave" else how

    def _gap_line(self, hole: Hole, unfilled: set[str]) -> lines.Gap:
        return lines.Gap(
            output=self.opened.output,
            kind=hole.kind,
            identity=self.opened.identity,
            from_ns=hole.from_ns,
            to_ns=hole.to_ns,
            reason=hole.reason,
            packets=hole.packets,
            filled="" if hole.kind in unfilled else self._how(hole.kind),
        )

    def _fills(self, holes: Iterable[Hole], part: Part, pauses: Pauses) -> list[Fill]:
        """The gaps of a segment that are to be filled, in media time, within the segment."""
        spans = [(hole.kind, hole.from_ns + LAST_NS[hole.kind], hole.to_ns) for hole in holes]
        for kind in KINDS:
            since = self.gaps.open_since(kind, part.end_ns)
            if since is not None:
                spans.append((kind, since + LAST_NS[kind], part.end_ns))
        fills: list[Fill] = []
        for kind, begin, end in spans:
            how = self._how(kind)
            first = max(part.media_start_ns, pauses.media_ns(self.opened.start_ns, begin))
            last = min(part.media_end_ns, pauses.media_ns(self.opened.start_ns, end))
            if how in ("silence", "black") and last > first:
                fills.append(Fill(kind, first, last, how))
        return fills

    def _write(
        self,
        name: str,
        state: RenditionState,
        work: SegmentJob,
        ingest: str,
        part: Part,
        salvaged: bool,
        unfilled: set[str],
    ) -> list[lines.AnyLine]:
        folder = self._paths.rendition(self.opened.output, name)
        self._patiently(lambda: folder.mkdir(parents=True, exist_ok=True))
        path = folder / f"{work.number:05d}{SUFFIX[state.container]}"
        muxed, size, digest = self._patiently(lambda: self._mux(name, state, work, path))
        unfilled.update(hole.kind for hole in muxed.unfilled)
        found: list[lines.AnyLine] = []
        changed = self._init(folder, name, state, muxed, found)
        found += self._unturned(state.container, muxed)
        found += [lines.encoder_hung(self.opened.output, encoder) for encoder in muxed.hung]
        self._patiently(lambda: sync_folder(folder))
        found.append(
            lines.Segment(
                output=self.opened.output,
                rendition=name,
                container=state.container,
                number=work.number,
                path=self._paths.relative(path),
                bytes=size,
                sha256=digest,
                start_ns=part.start_ns,
                end_ns=part.end_ns,
                media_start_ns=work.start_ns,
                media_end_ns=work.end_ns,
                video_codec=muxed.video_codec,
                audio_codec=muxed.audio_codec,
                channels=muxed.channels,
                sample_rate=muxed.sample_rate,
                width=muxed.width,
                height=muxed.height,
                rotation=muxed.rotation,
                video_frames=muxed.video_frames,
                audio_frames=muxed.audio_frames,
                init=state.init if state.container == "fmp4" else 0,
                discontinuity=work.number > 1 and (muxed.discontinuity or changed),
                key=not work.video_samples or work.video_samples[0].key,
                through=part.through,
                transcoded=muxed.transcoded,
                salvaged=salvaged,
            )
        )
        state.number = work.number
        state.through.setdefault(ingest, {}).update(part.through)
        return found

    def _unturned(self, container: str, muxed: Muxed) -> list[lines.AnyLine]:
        """Said once: which form of this output shows pictures as they came, although they are to be turned."""
        forms = [container.upper()] if muxed.unturned else []
        if muxed.rotation and muxed.video_codec == "h264" and Format.FLV in self._spec.formats:
            forms.append("FLV")
        forms = [form for form in forms if form not in self._said_unturned]
        self._said_unturned.update(forms)
        turn = muxed.unturned or muxed.rotation
        return [
            lines.Notice(
                code="orientation",
                message=f"{form} cannot say that pictures are to be turned by {turn} degrees: they are stored as sent",
                output=self.opened.output,
            )
            for form in forms
        ]

    def _mux(self, name: str, state: RenditionState, work: SegmentJob, path: Path) -> tuple[Muxed, int, str]:
        muxer, state.muxer = state.muxer or Rendition(name, state.container, self._spec), None
        muxed = muxer.write(work, path)
        size, digest = sync_and_hash(path)
        state.muxer = muxer  # only now: one that failed half way is not used again
        return muxed, size, digest

    def _init(self, folder: Path, name: str, state: RenditionState, muxed: Muxed, found: list[lines.AnyLine]) -> bool:
        """Write the init segment if it is another one than the last; whether it was, and not the first."""
        if muxed.init is None:
            return False
        path = folder / f"init{state.init + 1}.mp4"
        data = muxed.init
        self._patiently(lambda: write_synced(path, (data,)))
        size, digest = sync_and_hash(path)
        if digest == state.init_sha256:  # a recorder that came back needs no second one
            os.unlink(path)
            return False
        state.init += 1
        state.init_sha256 = digest
        found.append(
            lines.Init(
                output=self.opened.output,
                rendition=name,
                number=state.init,
                path=self._paths.relative(path),
                bytes=size,
                sha256=digest,
            )
        )
        return state.init > 1
