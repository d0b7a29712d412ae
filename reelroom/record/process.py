"""The recorder process: its loop, its life from lock to Finished. What happens to frames is in `intake.py`,
what commands do in `execute.py`, what a stop does in `ending.py`.

SIGTERM ends the process without ending the recording: the open logs are synced and the next recorder of this
recording goes on with them.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import time
from functools import partial
from pathlib import Path

import msgspec
import structlog

from reelroom.domain import lines
from reelroom.domain.limits import LimitWatch
from reelroom.domain.recording import RecordingSpec, StopReason
from reelroom.domain.timeline import SECOND
from reelroom.record import commands, paths, recovery
from reelroom.record.bus import Bus
from reelroom.record.disk import DiskWatch
from reelroom.record.ending import Ending
from reelroom.record.epochs import Epochs
from reelroom.record.execute import Executor
from reelroom.record.finishing import finish
from reelroom.record.intake import Intake
from reelroom.record.journal import FencedError, Journal, make_key
from reelroom.record.link import Link
from reelroom.record.mixed.recording import MixedRecording
from reelroom.record.paths import Paths
from reelroom.record.wakes import Wakes
from reelroom.record.worker import Stopping, Worker
from reelroom.rooms import protocol
from reelroom.rooms.placement import ingest_index

log = structlog.get_logger()
LOCKED = 75  # exit code: another process records this one
LOST = 70  # exit code: mixing hangs or has failed, and another process has to go on
_TICK_NS = SECOND // 10
_ALONE_NS = 2 * SECOND  # a stop waits so long for an ingest that is not there
#: Frames are taken in batches this far apart, by how many bytes the last one had: waking up costs more than a
#: frame does. A socket holds about 200 kB by default. After a small one it is the next tick that wakes us.
_BATCHES_NS = ((100_000, 0), (25_000, 20_000_000), (1, _TICK_NS))


def record(recording: str, data: Path, run: Path, workers: int, hardware: tuple[str, ...] = ()) -> int:
    """Record until the recording is finished (0), SIGTERM (0), somebody else holds its lock (`LOCKED`), or mixing
    hangs or fails (`LOST`): then the process has to be ended without waiting for its threads.

    `hardware`: which hardware encoders a mix tries first, see the setting `mix_hardware`.
    """
    where = Paths(data / "recordings" / recording)
    lock = os.open(where.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return LOCKED
    try:
        return Recorder(where, data, run, workers, hardware).run()
    except FencedError as error:
        log.error("taken over", recording=recording, error=str(error))
        return LOCKED
    finally:
        os.close(lock)


class Recorder:
    """One recording's process, main thread. Holds the lock's caller's promise that nobody else writes here."""

    def __init__(self, where: Paths, data: Path, run: Path, workers: int, hardware: tuple[str, ...]) -> None:
        raw = where.spec.read_bytes()
        self.spec = msgspec.json.decode(raw, type=RecordingSpec)
        self._where = where
        where.wal.mkdir(exist_ok=True)
        self._selector = selectors.DefaultSelector()
        self._without_bus = selectors.DefaultSelector()  # which is left alone between two batches
        bus = paths.ingest_socket(run, ingest_index(self.spec.app, self.spec.room, workers))
        self._link = Link(bus, self._selector, self.spec.id)
        self._wakes = Wakes(run, self.spec.id)
        self._journal = Journal(where.journal, make_key(data), self._wakes.poke_control)
        entries = self._journal.entries
        self._found = recovery.read(entries)
        self._reader = commands.Reader(where.commands)
        self._effective = commands.Effective()
        self._todo: list[lines.AnyCommand] = []
        wake_self, send = self._wakes.wake_self, self._link.send
        self._worker = Worker(where, self.spec, self._journal, {}, self._worker_full, wake_self)
        self._worker.writers = recovery.writers(entries, where, self.spec, self._worker.patiently)
        self._epochs = Epochs(self._found, raw, self._journal.public_key, self._worker)
        requested = self.spec.requested_ns or time.time_ns()
        since = requested - round(self.spec.preroll_s * SECOND)
        self._mixed: MixedRecording | None = None
        if self.spec.mix is not None:
            self._mixed = MixedRecording(
                where, self.spec, since, self._worker, send, self._epochs.room_now, wake_self, hardware
            )
        feed = self._mixed.feed if self._mixed is not None else None
        self._intake = Intake(where, self.spec, since, self._worker, send, self._hello, feed)
        self._executor = Executor(self._intake, self._mixed, self._worker, send)
        self._told_gaps = [entry.body for entry in entries if isinstance(entry.body, lines.Gap)]
        self._since_ns = since
        self._limits = LimitWatch(self.spec.limits, self._found.started_ns or requested)
        self._disk = DiskWatch(where.folder)
        self._ending = Ending(self._intake, self._mixed, self._epochs, self._worker)
        self._started_ns = time.monotonic_ns()
        self._terminated = False

    # life

    def run(self) -> int:
        if self._found.finished:
            return 0
        self._wakes.listen(self._selector, self._without_bus)
        signal.signal(signal.SIGTERM, self._on_term)
        self._worker.start()
        try:
            if self._epochs.opened:
                self._epochs.open(self._found.ingest, resumed=True)
            if self._found.stopped is None:
                self._restore_commands()
                now = time.monotonic_ns()
                recovery.adopt(self._found, self._where, self._worker, self._intake, now)
                if self._mixed is not None:
                    self._mixed.adopt(self._found, self._told_gaps, now)
                    self._mixed.start()
                self._told_gaps.clear()
                self._journal.forget()
                self._loop()
            lost = self._mixed is not None and self._mixed.lost
            if self._terminated or lost:
                self._worker.abandon()
                self._worker.drain()
                return LOST if lost else 0
            self._worker.drain()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # making files goes on where it was
            finish(self._where, self.spec, self._journal, self._worker.patiently)
            return 0
        except Stopping:
            return 0
        finally:
            self._wakes.close()
            self._journal.close()
            if self._mixed is not None:
                self._mixed.end()

    def _on_term(self, _number: int, _frame: object) -> None:
        self._terminated = True

    def _restore_commands(self) -> None:
        """Commands that the journal shows as carried out only leave their state; the others are still to do."""
        for index, command in enumerate(c for c in self._reader.read() if self._effective.take(c)):
            if index >= self._found.commands:
                self._executor.foresee(command)
                self._todo.append(command)
            else:
                self._executor.restore(command)
        self._executor.mix_pauses()

    def _loop(self) -> None:
        tick_ns = second_ns = batch_ns = 0
        while True:
            now = time.monotonic_ns()
            if self._link.due(now):
                self._link.connect(now, self._subscribe)
            batching = now < batch_ns
            until_ns = min(tick_ns, batch_ns) if batching else tick_ns
            selector = self._without_bus if batching else self._selector
            ready = selector.select(max(0, until_ns - now) / 1e9)
            looked_ns, heard = time.monotonic_ns(), not batching
            for key, _ in ready:
                if key.data == "bus":
                    received = self._take()
                    heard = received < _BATCHES_NS[0][0]  # else there may be more
                    if self._todo:  # they waited for the ingest's first word
                        second_ns = 0
                    wait_ns = next((ns for least, ns in _BATCHES_NS if received >= least), 0)
                    batch_ns = min(now + wait_ns, tick_ns) if self._intake.steady else 0
                else:
                    self._wakes.drain(key.fileobj)
                    second_ns = 0
            if heard and self._mixed is not None:
                feed = self._mixed.feed
                feed.heard_ns = min(self._epochs.room_ns(looked_ns), feed.ingest_ns)
            now = time.monotonic_ns()
            if self._worker.error is not None:
                raise self._worker.error
            if self._terminated or (self._mixed is not None and self._mixed.lost):
                self._intake.keep()
                if self._mixed is not None:
                    self._mixed.keep(now)
                return
            if now >= tick_ns:
                tick_ns = now + _TICK_NS
                self._ending.guarded(partial(self._tick, now))
            if now >= second_ns:
                second_ns = now + SECOND
                self._each_second(now)
            if self._ending.due(now):
                self._link.close()
                self._ending.end(now)
                return

    def _tick(self, now: int) -> None:
        self._intake.tick(now, self._epochs.room_ns(now))
        if self._mixed is not None:
            self._mixed.tick(now)

    def _each_second(self, now: int) -> None:
        room, ending = self._epochs.room_ns(now), self._ending
        for command in self._reader.read():
            if self._effective.take(command):
                self._executor.foresee(command)
                self._todo.append(command)
        if self._epochs.opened or (self._todo and isinstance(self._todo[-1], lines.Stop) and self._alone(now)):
            while self._todo:
                command = self._todo.pop(0)
                if isinstance(command, lines.Stop):
                    ending.begin(command, now)
                else:
                    self._executor.carry_out(command, now, ending.guarded)
        if ending.full and (ending.stop is None or ending.stop.reason != StopReason.DISK_FULL):
            ending.begin(lines.Stop(at_ns=room, reason=StopReason.DISK_FULL, message="the disk is full"), now)
        if ending.stop is not None or not self._epochs.opened:
            return
        self._limits.published(self._occupied() if self._link.up else 0, room)
        due = self._limits.due(room, self._intake.pauses)
        if due is not None:
            ending.begin(lines.Stop(at_ns=due[1], reason=due[0]), now)
        quiet_ns = self._limits.quiet(room, self._intake.pauses)
        if quiet_ns is not None:
            self._worker.lines([lines.Quiet(at_ns=room, since_ns=quiet_ns)])
        notice = self._disk.look()
        if notice is not None:
            self._worker.lines([notice])
        if self._disk.full:
            ending.full = True

    def _occupied(self) -> int:
        """What keeps the recording from being idle."""
        people = len(self._intake.people.present) if self.spec.limits.idle_by == "people" else 0
        return max(people, self._intake.published())

    def _alone(self, now: int) -> bool:
        return now - self._started_ns >= _ALONE_NS

    # the bus

    def _subscribe(self) -> protocol.Subscribe:
        return protocol.Subscribe(
            app=self.spec.app,
            room=self.spec.room,
            recording=self.spec.id,
            subscription=self._intake.tracks.subscription,
            since_ns=self._mixed.since_ns() if self._mixed is not None else self._since_ns,
            resume=(self._mixed.feed if self._mixed is not None else self._intake.tracks).positions(),
            ingest=self._epochs.ingest,
            heard=self._mixed is not None,
        )

    def _take(self) -> int:
        def take(bus: Bus) -> None:
            self._ending.guarded(lambda: self._intake.take(bus, time.monotonic_ns()))

        received = self._link.receive(take)
        if not self._link.up and self._mixed is not None:
            self._mixed.feed.disconnected()
        return received

    def _hello(self, hello: protocol.Hello, now: int) -> None:
        epochs = self._epochs
        epochs.set_clock(hello.room_ns, now)
        if not epochs.opened:
            epochs.open(hello.ingest, resumed=False)
        elif hello.ingest != epochs.ingest:
            self._intake.forget_tracks(hello.room_ns, now)
            epochs.open(hello.ingest, resumed=True)
        self._intake.hello(hello, now)

    # from the worker thread

    def _worker_full(self) -> None:
        if not self._ending.full:
            self._ending.full = True
            self._wakes.wake_self()
