"""Picture and sound that were recorded apart, on one time line, for a file that has both. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from reelroom.domain import lines
from reelroom.domain.lines import AnyLine, File, OutputOpened
from reelroom.domain.timeline import Pauses
from reelroom.finish.choose import Output, Pick
from reelroom.finish.source import Piece, Reader, Step

_S = 1_000_000_000


@dataclass(slots=True)
class Merged:
    """Two outputs of one participant. Media time 0 is where the earlier of them begins."""

    opened: OutputOpened  # the picture's, as of an output that has both
    picture: Output
    sound: Output
    late_picture_ns: int
    late_sound_ns: int
    files: dict[tuple[str, int], File] = field(default_factory=dict)

    def steps(self, folder: Path, picks: list[Pick]) -> Iterator[Step]:
        """Raises FinishError where a segment is missing or broken."""
        readers = {"video": Reader(folder, self.picture), "audio": Reader(folder, self.sound)}
        late = {"video": self.late_picture_ns, "audio": self.late_sound_ns}
        for pick in picks:
            kind = "video" if pick.video else "audio"
            step = next(readers[kind].steps([pick]))
            yield Step(pick, _later(step.video, late[kind]), _later(step.audio, late[kind]))


def merged(outputs: list[Output], journal: Iterable[AnyLine]) -> list[Merged]:
    """Every picture with sound that has an output of its own."""
    pauses = Pauses()
    for line in journal:
        if isinstance(line, lines.Paused):
            pauses = pauses.pause(line.at_ns)
        elif isinstance(line, lines.Resumed):
            pauses = pauses.resume(line.at_ns)
    sounds = {(o.opened.identity, o.opened.source): o for o in outputs if o.opened.kind == "audio"}
    found = []
    for picture in outputs:
        sound = sounds.get((picture.opened.identity, picture.opened.source))
        if picture.opened.kind != "video" or sound is None:
            continue
        begin = min(picture.opened.start_ns, sound.opened.start_ns)
        late_picture, late_sound = (pauses.media_ns(begin, each.opened.start_ns) for each in (picture, sound))
        opened = msgspec.structs.replace(picture.opened, kind="av", start_ns=begin)
        files = picture.files  # what was made of both has the picture's number
        shifted = _shifted(picture, late_picture), _shifted(sound, late_sound)
        found.append(Merged(opened, *shifted, late_picture, late_sound, files))
    return found


def _shifted(output: Output, late_ns: int) -> Output:
    segments = {
        rendition: {
            number: msgspec.structs.replace(
                line, media_start_ns=line.media_start_ns + late_ns, media_end_ns=line.media_end_ns + late_ns
            )
            for number, line in numbered.items()
        }
        for rendition, numbered in output.segments.items()
    }
    return replace(output, segments=segments)


def _later(piece: Piece | None, late_ns: int) -> Piece | None:
    if piece is None or not late_ns:
        return piece
    scale = piece.header.scale
    ticks = (late_ns * scale + _S // 2) // _S
    return replace(piece, table=replace(piece.table, dts=piece.table.dts + ticks))
