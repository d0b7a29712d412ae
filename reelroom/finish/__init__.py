"""Files of a finished recording: a function of its journal and segments. Uploads nothing, appends nothing."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av.error

from reelroom.domain.lines import AnyLine, File, Notice, encoder_hung
from reelroom.domain.media import AUDIO_ONLY
from reelroom.domain.recording import Format, RecordingSpec
from reelroom.finish import mp4, packets, raw
from reelroom.finish.choose import Output, Plan, outputs, plans
from reelroom.finish.merge import Merged, merged
from reelroom.finish.part import Made
from reelroom.finish.source import FinishError, Reader
from reelroom.finish.transcode import transcoded
from reelroom.record.mux import MuxError
from reelroom.record.mux.boxes import BoxError

__all__ = ["Failure", "make_files"]


#: A full disk passes; what it kept from being made must not be given up.
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be made. `str()` is what `Finished.failed` wants."""

    output: str
    format: str
    message: str

    def __str__(self) -> str:
        return f"{self.output}/{self.format}: {self.message}"


def make_files(
    folder: Path,
    spec: RecordingSpec,
    lines: Iterable[AnyLine],
    progress: Callable[[float], None] = lambda done: None,
) -> Iterator[File | Failure | Notice]:
    """Make every file the spec asks for that has no File line yet, one after the other, in `folder`/files.

    Safe to call again after a crash: what has a line and is there is skipped, what is half made is made anew.
    A format that fails gives a Failure and stops no other. What went wrong and was mended gives Notices before the
    file. `progress` is told 0 to 1.
    Raises OSError when the disk is full: nothing half made is left, and a later call goes on there.
    """
    (folder / "files").mkdir(exist_ok=True)
    todo: list[tuple[Output | Merged, Format, Plan, int]] = []
    for output, format_ in _wanted(spec, list(lines)):
        sound = output.sound if isinstance(output, Merged) else None
        planned = plans(output.picture if isinstance(output, Merged) else output, format_, spec, sound)
        for plan in planned:
            done = output.files.get((format_, plan.sequence))
            if done is None or not (folder / done.path).exists():
                todo.append((output, format_, plan, len(planned)))
    for index, (output, format_, plan, parts) in enumerate(todo):

        def share(done: float, index: int = index) -> None:
            progress((index + done) / len(todo))

        hung: list[str] = []
        made: File | Failure
        try:
            made = _make(folder, spec, output, format_, plan, parts, share, hung)
        except (FinishError, MuxError, BoxError, OSError, av.error.FFmpegError) as error:
            if getattr(error, "errno", None) in _FULL:
                raise
            made = Failure(output.opened.output, format_, str(error) or type(error).__name__)
        yield from (encoder_hung(output.opened.output, encoder) for encoder in hung)
        yield made
    progress(1.0)


def _wanted(spec: RecordingSpec, lines: list[AnyLine]) -> Iterator[tuple[Output | Merged, Format]]:
    """What is to become a file, and of which format."""
    found = outputs(lines)
    pairs = merged(found, lines) if spec.merged else []
    taken = {number for pair in pairs for number in (pair.picture.opened.output, pair.sound.opened.output)}
    everything: list[Output | Merged] = [*pairs, *found]
    for output in everything:
        for format_ in spec.of_output(output.opened.source).formats:
            if format_ == Format.HLS or (format_ in AUDIO_ONLY and output.opened.kind == "video"):
                continue
            if isinstance(output, Merged) != (format_ == Format.MP4 and output.opened.output in taken):
                continue
            yield output, format_


def _make(
    folder: Path,
    spec: RecordingSpec,
    output: Output | Merged,
    format_: Format,
    plan: Plan,
    parts: int,
    progress: Callable[[float], None],
    hung: list[str],
) -> File:
    opened = output.opened
    first, last = plan.picks[0].timing, max((pick.timing for pick in plan.picks), key=lambda line: line.media_end_ns)
    suffix = f"_{plan.sequence}" if plan.sequence > 1 else ""
    path = folder / "files" / f"{opened.output}{suffix}.{format_}"
    scratch = folder / "files" / f"{opened.output}{suffix}.{format_}.scratch"
    base = first.media_start_ns
    steps = output.steps(folder, plan.picks) if isinstance(output, Merged) else Reader(folder, output).steps(plan.picks)
    changed = _transcodes(plan)
    made: Made
    try:
        if changed:
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            steps = transcoded(steps, plan, spec, scratch, hung)
        if format_ in (Format.MP4, Format.M4A):
            made = mp4.write(path, steps, base, progress)
        elif format_ in (Format.AAC, Format.MP3):
            made = raw.write(path, format_, steps, base, spec, progress)
        else:
            codecs = (("video", plan.video_codec), ("audio", plan.audio_codec))
            kinds = tuple(kind for kind, codec in codecs if codec)
            made = packets.write(path, format_, steps, kinds, base, progress)
    finally:
        if changed:
            shutil.rmtree(scratch, ignore_errors=True)
    shown = next((pick.video for pick in plan.picks if pick.video), None)
    return File(
        output=opened.output,
        identity=opened.identity,
        source=opened.source,
        kind=_kind(spec, format_, opened.kind),
        format=format_,
        path=str(path.relative_to(folder)),
        bytes=made.bytes,
        sha256=made.sha256,
        start_ns=first.start_ns,
        end_ns=last.end_ns,
        media_start_ns=base,
        duration_ns=last.media_end_ns - base,
        sequence=plan.sequence,
        parts=parts,
        video_codec=plan.video_codec,
        audio_codec=plan.audio_codec,
        width=shown.width if shown else 0,
        height=shown.height if shown else 0,
        transcoded=tuple(sorted(changed | _was_transcoded(plan))),
    )


def _kind(spec: RecordingSpec, format_: Format, output: str) -> str:
    """What a file is made to hold."""
    if format_ in AUDIO_ONLY:
        return "audio"
    return "video" if spec.sound_alone and output == "av" else output


def _transcodes(plan: Plan) -> set[str]:
    """The kinds that are not yet in the plan's codec."""
    kinds: set[str] = set()
    for pick in plan.picks:
        if pick.video and pick.video.video_codec != plan.video_codec:
            kinds.add("video")
        if pick.audio and pick.audio.audio_codec != plan.audio_codec:
            kinds.add("audio")
    return kinds


def _was_transcoded(plan: Plan) -> set[str]:
    """The kinds that were transcoded while recording."""
    kinds: set[str] = set()
    for pick in plan.picks:
        if pick.video and "video" in pick.video.transcoded:
            kinds.add("video")
        if pick.audio and "audio" in pick.audio.transcoded:
            kinds.add("audio")
    return kinds
