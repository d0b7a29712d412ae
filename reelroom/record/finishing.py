"""The last part of a recorder's life: files made and journalled, then Finished. Makes no file itself."""

from __future__ import annotations

import structlog

from reelroom import finish as finisher
from reelroom.domain import lines
from reelroom.domain.recording import RecordingSpec
from reelroom.record import journal as journals
from reelroom.record.closing import Patiently
from reelroom.record.journal import Journal
from reelroom.record.mixed import loudness
from reelroom.record.paths import Paths

log = structlog.get_logger()


def finish(where: Paths, spec: RecordingSpec, journal: Journal, patiently: Patiently) -> None:
    """Make what is missing of the files (a predecessor may have made some) and append Finished."""

    def make() -> tuple[int, tuple[str, ...]]:
        """Once through what the journal does not have; OSError when the disk is full, and then again from the top."""
        found = journals.lines(where.journal)
        files = sum(isinstance(line, lines.File) for line in found)
        failed: list[str] = []
        for made in finisher.make_files(where.folder, spec, found, lambda _share: None):
            if not isinstance(made, finisher.Failure):
                files += isinstance(made, lines.File)
                patiently(lambda made=made: journal.append([made]))  # type: ignore[misc]
            else:
                log.error("file not made", recording=spec.id, failure=str(made))
                failed.append(str(made))
        if (heard := loudness.make(where, spec, found)) is not None:
            files += 1
            patiently(lambda: journal.append([heard]))
        return files, tuple(failed)

    files, failed = patiently(make)
    patiently(lambda: journal.append([lines.Finished(files=files, failed=failed)]))
