"""Putting files into storage: which go together, and what became of each. Writes nothing into the database."""

from __future__ import annotations

from pathlib import Path

import structlog

from reelroom.deliver.pending import Work
from reelroom.deliver.results import Result
from reelroom.deliver.storage import Outcome, SourceGone, Storage, StorageError

log = structlog.get_logger("reelroom.uploads")

JOB_BYTES = 64 << 20  # objects put together are no more than this: what has to be copied holds up few others


def jobs(work: list[Work], together: int) -> list[list[Work]]:
    """What is put at once: so many objects, not too large together."""
    made: list[list[Work]] = []
    size = 0
    for each in work:
        bytes_ = len(each.data) if each.data is not None else each.row.bytes
        if not made or len(made[-1]) >= together or size + bytes_ > JOB_BYTES:
            made.append([])
            size = 0
        made[-1].append(each)
        size += bytes_
    return made


async def put(storage: Storage, job: list[Work], recordings: Path) -> list[Result]:
    """Put one job's objects; `recordings` has the folders that files come from. Failures are results too."""
    results = []
    objects: list[tuple[str, Path | bytes]] = []
    works: list[Work] = []
    for work in job:
        if work.built is not None and not work.built.segments:
            results.append(Result(work))  # a playlist with nothing to say
            continue
        if work.error:
            results.append(Result(work, work.error))
            continue
        if work.data is not None:
            objects.append((work.row.key, work.data))
        else:
            path = _source(recordings, work)
            if path is None:
                results.append(Result(work, f"{work.row.path!r} lies outside the recording's folder"))
                continue
            objects.append((work.row.key, path))
        works.append(work)
    outcomes = await storage.put_all(objects) if objects else []
    for work, outcome in zip(works, outcomes, strict=True):
        results.append(await _result(storage, work, outcome))
    return results


def _source(recordings: Path, work: Work) -> Path | None:
    folder = (recordings / work.row.recording).resolve()
    path = (folder / work.row.path).resolve()
    return path if path.is_relative_to(folder) else None


async def _result(storage: Storage, work: Work, outcome: Outcome) -> Result:
    if outcome is None:
        return Result(work)
    if isinstance(outcome, StorageError):
        return Result(work, str(outcome))
    if isinstance(outcome, OSError):  # of this machine: the file cannot be read
        return Result(work, f"{outcome.strerror}: {outcome.filename}")
    # The local file is not there. Either it is in storage already (the database was rebuilt) or it is lost.
    assert isinstance(outcome, SourceGone)
    try:
        there = await storage.size(work.row.key) == work.row.bytes
    except StorageError as error:
        return Result(work, str(error))
    if not there:
        log.error("file lost", recording=work.row.recording, key=work.row.key, path=work.row.path)
    return Result(work, lost=not there)
