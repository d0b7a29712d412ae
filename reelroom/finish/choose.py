"""Which segments of which rendition make up which file: a pure function of journal lines. Opens nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from reelroom.domain.lines import AnyLine, File, Init, OutputOpened, Segment
from reelroom.domain.media import AUDIO_ONLY, COPIES, TARGET
from reelroom.domain.recording import Format, RecordingSpec


@dataclass(slots=True)
class Output:
    """What the journal holds of one output. Keys: rendition, then number."""

    opened: OutputOpened
    inits: dict[tuple[str, int], Init] = field(default_factory=dict)
    segments: dict[str, dict[int, Segment]] = field(default_factory=dict)
    files: dict[tuple[str, int], File] = field(default_factory=dict)


def outputs(lines: Iterable[AnyLine]) -> list[Output]:
    """The outputs of a journal in order of their first frames."""
    found: dict[str, Output] = {}
    for line in lines:
        if isinstance(line, OutputOpened):
            found.setdefault(line.output, Output(line))
        elif isinstance(line, Init):
            found[line.output].inits[line.rendition, line.number] = line
        elif isinstance(line, Segment):
            found[line.output].segments.setdefault(line.rendition, {})[line.number] = line
        elif isinstance(line, File):
            found[line.output].files[line.format, line.sequence] = line
    return list(found.values())


@dataclass(slots=True)
class Pick:
    """One segment's worth of a file: where its picture and its sound come from. None: there is none."""

    timing: Segment
    video: Segment | None
    audio: Segment | None


@dataclass(slots=True)
class Plan:
    """One file to be made. A codec that differs from the picks' must still be transcoded."""

    sequence: int
    picks: list[Pick]
    video_codec: str
    audio_codec: str
    bytes: int = 0  # about, of what has been picked
    rotation: int | None = None  # how all its pictures are turned when shown, in degrees; None: not known yet


def _best(candidates: list[Segment], kind: str, taken: frozenset[str]) -> Segment | None:
    """Of one number's segments the one to read `kind` from: copied before transcoded, fit before unfit."""

    def rank(line: Segment) -> tuple[bool, bool]:
        codec = line.video_codec if kind == "video" else line.audio_codec
        return codec not in taken, kind in line.transcoded

    held = [line for line in candidates if (line.video_codec if kind == "video" else line.audio_codec)]
    held = [line for line in held if (line.video_frames if kind == "video" else line.audio_frames)]
    return min(held, key=rank, default=None)


def plans(output: Output, format_: Format, spec: RecordingSpec, sound: Output | None = None) -> list[Plan]:
    """The files of `format_` that an output becomes: one, or more with splits and codec changes.

    `sound`: that of `output`'s picture, recorded apart from it and to be in the same file; both on one time line. A
    new file begins with a picture then.
    """
    video_taken = frozenset() if format_ in AUDIO_ONLY else COPIES[format_]
    audio_taken = COPIES[format_]
    if format_ == Format.MP4 and spec.audio_codec == "aac":
        audio_taken = frozenset({"aac"})
    sounds = format_ in AUDIO_ONLY or not spec.sound_alone
    made: list[Plan] = []
    moments = _moments(output)
    if sound is not None:
        moments = sorted(moments + _moments(sound), key=lambda lines: lines[0].media_start_ns)
    for lines in moments:
        video = _best(lines, "video", video_taken) if video_taken else None
        audio = _best(lines, "audio", audio_taken) if sounds else None
        if video is None and audio is None:
            continue
        video_codec = _target(video.video_codec, video_taken, TARGET[format_][0] or "") if video else ""
        audio_codec = _target(audio.audio_codec, audio_taken, TARGET[format_][1]) if audio else ""
        pick = Pick(video or audio or lines[0], video, audio)
        # One matrix holds for a whole file. What is transcoded is turned on the way; FLV cannot say it anyway.
        rotation = None
        if video and format_ != Format.FLV:
            rotation = video.rotation if video.video_codec == video_codec else 0
        plan = made[-1] if made else None
        size = _size(pick, video_codec, spec)
        full = plan is not None and (_too_long(plan, pick, spec.split_s) or 0 < spec.split_bytes < plan.bytes + size)
        if (
            plan is None
            or (video_codec and plan.video_codec not in ("", video_codec))
            or (audio_codec and plan.audio_codec not in ("", audio_codec))
            or (rotation is not None and plan.rotation not in (None, rotation))
            or (full and (sound is None or video is not None))
        ):
            made.append(Plan(len(made) + 1, [pick], video_codec, audio_codec, size, rotation))
            continue
        plan.picks.append(pick)
        plan.bytes += size
        plan.video_codec = plan.video_codec or video_codec
        plan.audio_codec = plan.audio_codec or audio_codec
        plan.rotation = rotation if plan.rotation is None else plan.rotation
    return made


def _moments(output: Output) -> list[list[Segment]]:
    """Readable segments of all renditions that hold the same stretch of media time, in order.

    Numbers do not tell: a rendition may begin later than another. Nor are times quite enough: what a killed
    recorder had written in one rendition and not in another is cut differently, so that nothing is taken twice.
    """
    moments: dict[int, list[Segment]] = {}
    for lines in output.segments.values():
        for line in lines.values():
            if line.container == "fmp4":
                moments.setdefault(line.media_start_ns, []).append(line)
    chosen: list[list[Segment]] = []
    covered = 0
    for _, lines_ in sorted(moments.items()):
        fresh = [line for line in lines_ if line.media_start_ns + line.media_end_ns >= 2 * covered]
        if fresh:
            chosen.append(fresh)
            covered = max(line.media_end_ns for line in fresh)
    return chosen


def _target(codec: str, taken: frozenset[str], otherwise: str) -> str:
    return codec if codec in taken else otherwise


def _size(pick: Pick, video_codec: str, spec: RecordingSpec) -> int:
    """About how many bytes a pick comes to in a file."""
    lines = {(line.output, line.rendition, line.number): line for line in (pick.video, pick.audio) if line is not None}
    size = sum(line.bytes for line in lines.values())
    seconds = (pick.timing.media_end_ns - pick.timing.media_start_ns) / 1e9
    if pick.video is None and pick.audio is not None and pick.audio.video_codec:  # its picture is left out
        return min(size, round(seconds * spec.audio_bitrate / 8))
    if pick.video is not None and pick.video.video_codec != video_codec:  # another size when it is transcoded
        size = max(size, round(seconds * spec.video_bitrate / 8))
    return size


def _too_long(plan: Plan, pick: Pick, split_s: float) -> bool:
    if not split_s:
        return False
    length = pick.timing.media_end_ns - plan.picks[0].timing.media_start_ns
    return length > round(split_s * 1e9)
