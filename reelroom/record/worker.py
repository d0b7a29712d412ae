"""The recorder's one worker thread: closes logs into segments and appends to the journal, in order.

Decides nothing; the bus loop never waits for it. A full disk makes it wait and try again, however long.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import structlog

from reelroom.domain.lines import AnyLine, Notice, OutputOpened
from reelroom.domain.recording import RecordingSpec
from reelroom.domain.timeline import Pauses
from reelroom.record.closing import Close, OutputWriter
from reelroom.record.journal import Journal
from reelroom.record.paths import Paths

log = structlog.get_logger()
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_RETRY_S = 1.0
_TOGETHER = 64  # lines


class Stopping(Exception):
    """The process is to end while the disk is full."""


class Worker:
    """`on_full` is called, in the worker thread, the first time the disk is full; `on_dead` when it ends by itself."""

    def __init__(
        self,
        paths: Paths,
        spec: RecordingSpec,
        journal: Journal,
        writers: dict[str, OutputWriter],
        on_full: Callable[[], None],
        on_dead: Callable[[], None],
    ) -> None:
        self.error: BaseException | None = None
        self.pending = 0  # segments waiting, for metrics and notices
        self.writers = writers
        self._paths = paths
        self._spec = spec
        self._journal = journal
        self._on_full = on_full
        self._on_dead = on_dead
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lines: list[AnyLine] = []  # waiting to be appended together
        self._spent: list[Path] = []  # logs whose segments these are
        self._abandon = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    # called by the main thread

    def lines(self, bodies: Sequence[AnyLine]) -> None:
        """Append lines behind everything that was handed over before."""
        self._queue.put(lambda: self._lines.extend(bodies))

    def next_epoch(self) -> None:
        """What is handed over from now on belongs to the next epoch (an Opened line comes first)."""
        self._queue.put(self._next_epoch)

    def open_output(self, opened: OutputOpened) -> None:
        def work() -> None:
            writer = self._writer(opened)
            if not writer.in_journal:
                self._lines.append(opened)
                writer.in_journal = True

        self._queue.put(work)

    def close(self, job: Close, opened: OutputOpened, pauses: Pauses) -> None:
        """Make a segment of a log; the log is deleted when the segment's line is in the journal."""
        self.pending += 1
        job = replace(job, pauses=pauses)
        self._queue.put(lambda: self._close(job, opened))

    def drain(self) -> None:
        """Wait until all that was handed over is done, and end the thread. Raises what ended it."""
        self._queue.put(None)
        self._thread.join()
        if self.error is not None:
            raise self.error

    def abandon(self) -> None:
        """Make a worker that waits for room on the disk give up."""
        self._abandon.set()

    # in the thread

    def _run(self) -> None:
        try:
            while (work := self._queue.get()) is not None:
                work()
                if self._queue.empty() or len(self._lines) >= _TOGETHER:
                    self._commit()
            self._commit()
        except BaseException as error:
            self.error = error
            self._on_dead()

    def patiently(self, work: Callable[[], Any]) -> Any:
        """What `work` returns, once the disk has room for it."""
        while True:
            try:
                return work()
            except OSError as error:
                if error.errno not in FULL:
                    raise
                log.warning("disk full", recording=self._spec.id, error=str(error))
                self._on_full()
                if self._abandon.wait(_RETRY_S):
                    raise Stopping("the disk is full") from error

    def _commit(self) -> None:
        """Append what is waiting, in one write and one sync; then the logs that it came from may go.

        A deletion that a power failure undoes does no harm: the journal says which of its frames it has.
        """
        if self._lines:
            self.patiently(lambda: self._journal.append(self._lines))
            self._lines = []
        for path in self._spent:
            path.unlink()
        self._spent.clear()

    def _next_epoch(self) -> None:
        self._commit()
        self._journal.next_epoch()

    def _writer(self, opened: OutputOpened) -> OutputWriter:
        writer = self.writers.get(opened.output)
        if writer is None:
            writer = self.writers[opened.output] = OutputWriter(self._paths, self._spec, opened, self.patiently)
        return writer

    def _close(self, job: Close, opened: OutputOpened) -> None:
        writer = self._writer(opened)
        try:
            found = writer.close(job)
        except (Stopping, OSError):
            raise
        except Exception as error:  # whatever is in one log must not end the recording of the others
            log.exception("segment failed", recording=self._spec.id, output=opened.output, wal=job.path.name)
            kept = job.path.with_suffix(".failed")
            os.replace(job.path, kept)
            message = f"{self._paths.relative(kept)} could not be made into a segment: {error!r}"
            self._lines.append(Notice(code="segment_failed", message=message, output=opened.output))
            self.pending -= 1
            return
        self._lines += found
        if found:
            writer.in_journal = True
        self._spent.append(job.path)
        self.pending -= 1
