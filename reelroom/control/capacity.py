"""What the machine's recordings cost, what is free, and whether one more fits. The reckoning is `domain/cost.py`.

Measured are this server's own processes. What else runs on the machine is not known here: `max_cpu` leaves room for it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import structlog

from reelroom.config import Settings
from reelroom.control.errors import ControlError
from reelroom.control.plans import fate
from reelroom.control.recorders import Recorders
from reelroom.domain.cost import FRAME_RATE, Balance, Ledger, Rates, Shape, estimate
from reelroom.domain.recording import Format, RecordingSpec, Source

log = structlog.get_logger("reelroom.capacity")

SAMPLE_S = 2.0
SMOOTH = 0.4  # weight of a recorder's newest sample
SMOOTH_OURS = 0.1  # of the other processes': they burst at their start, and when files are made and sent
YOUNG_S = 30.0  # what a process has used until then is its start, and says nothing of what it goes on to use
LOOK_S = 0.2  # a start does not wait longer for the room's tracks of this moment
MEASURE_S = 300.0  # on a busy machine it gets little
CALIBRATION = "calibration.json"
_TICKS = os.sysconf("SC_CLK_TCK")


class Overloaded(ControlError):
    """There is not enough left of the machine. In cores: what was asked for and what is free."""

    def __init__(self, asked: float, balance: Balance) -> None:
        free = max(0.0, balance.free)
        super().__init__(
            "overloaded",
            f"this recording would need about {asked:.2f} cores and {free:.2f} of {balance.limit:.2f} are free",
        )
        self.asked = round(asked, 3)
        self.free = round(free, 3)


def cores() -> float:
    """What this process may use: the machine's processors, or what its control group allows."""
    count = float(len(os.sched_getaffinity(0)))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return count
    return count if quota == "max" else min(count, int(quota) / int(period))


class Meter:
    """CPU use of processes, smoothed over some samples. Reads /proc/<pid>/stat."""

    def __init__(self, weight: float, now: Callable[[], float] = time.monotonic) -> None:
        self._weight = weight
        self._now = now
        self._last: dict[tuple[int, int], tuple[float, float]] = {}  # pid and start → when, CPU seconds
        self._cores: dict[tuple[int, int], float] = {}

    def sample(self, pids: Iterable[int]) -> dict[int, float]:
        """Cores that each process uses; those that have ended are left out."""
        found: dict[int, float] = {}
        last: dict[tuple[int, int], tuple[float, float]] = {}
        smoothed: dict[tuple[int, int], float] = {}
        for pid in pids:
            try:
                spent, started = cpu_of(pid)
            except (OSError, ValueError, IndexError):
                continue
            now, key = self._now(), (pid, started)
            if key in self._last:
                then, before = self._last[key]
                fresh = max(0.0, spent - before) / max(now - then, 0.001)
                cores = self._cores[key] + self._weight * (fresh - self._cores[key])
            else:
                age = time.clock_gettime(time.CLOCK_BOOTTIME) - started / _TICKS
                cores = spent / age if age > YOUNG_S else 0.0
            last[key], smoothed[key], found[pid] = (now, spent), cores, cores
        self._last, self._cores = last, smoothed
        return found


def cpu_of(pid: int) -> tuple[float, int]:
    """CPU seconds of a process, and when it began, in ticks since the boot. Not of its children: the fork server's are
    recorders, which would count again as a burst when they end."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(value) for value in fields[11:13]) / _TICKS, int(fields[19])


def siblings(parent: int) -> list[int]:
    """The server's processes beside the recorders: what its supervisor started."""
    try:
        return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    except OSError:
        return [os.getpid()]


class Capacity:
    """One per control process. `look` gives a room's participants, as `Rooms.get` does."""

    def __init__(self, settings: Settings, recorders: Recorders, look: Callable[..., Any]) -> None:
        self.cores = cores()
        self.ledger = Ledger(self.cores * settings.max_cpu, self.cores)
        self.rates = Rates()
        self.calibrated = False
        self._settings = settings
        self._recorders = recorders
        self._look = look
        self._meter = Meter(SMOOTH)
        self._ours = Meter(SMOOTH_OURS)
        self._tasks: list[asyncio.Task[None]] = []
        self._calibrating = False

    async def start(self) -> None:
        """Read what was measured before, look once, and go on looking."""
        self._read_rates()
        await self._sample()
        self._tasks.append(asyncio.create_task(self._run(), name="capacity"))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # asking and booking

    async def cost(self, spec: RecordingSpec) -> float:
        """Cores that it will need, by who is in its room now."""
        if spec.mix is not None:
            self.calibrate()
        try:
            room = await self._look(spec.app, spec.room, LOOK_S)
        except ControlError:  # nobody is there yet, or no answer in time
            room = {"participants": []}
        return estimate(shape(spec, room["participants"]), self.rates)

    async def admit(self, spec: RecordingSpec) -> None:
        """Book what it needs, or raise Overloaded. `release` it if it does not start after all."""
        asked = await self.cost(spec)
        if not self.ledger.fits(asked):
            raise Overloaded(asked, self.ledger.balance())
        self.ledger.book(spec.id, asked, time.monotonic())

    def release(self, recording: str) -> None:
        self.ledger.release(recording)

    # measuring

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_S)
            await self._sample()

    async def _sample(self) -> None:
        try:
            running = await self._recorders.running()
        except (OSError, ValueError, KeyError, asyncio.IncompleteReadError):
            return  # the fork server is being restarted: what was measured last stands
        ours = siblings(os.getppid())
        used = self._meter.sample(running.values())
        measured = {recording: used[pid] for recording, pid in running.items() if pid in used}
        self.ledger.seen(measured, sum(self._ours.sample(ours).values()), time.monotonic())

    # what pixels cost here

    def calibrate(self) -> None:
        """Measure in the background, once in a data folder's life on a machine; until then the defaults hold."""
        if not self.calibrated and not self._calibrating:
            self._calibrating = True
            self._tasks.append(asyncio.create_task(self._calibrate(), name="calibrate"))

    async def _calibrate(self) -> None:
        err = b""
        try:
            out, err = await _measured()
            self.rates = _bounded(json.loads(out))
        except (OSError, ValueError, KeyError, TypeError) as error:  # TimeoutError is an OSError
            tail = err.decode(errors="replace")[-300:]
            log.warning("this machine could not be measured; defaults hold", error=repr(error), said=tail)
            return
        self.calibrated = True
        kept = {"machine": _machine(), **{name: getattr(self.rates, name) for name in _MEASURED}}
        path = self._settings.data / CALIBRATION
        try:
            await asyncio.to_thread(path.write_text, json.dumps(kept))
        except OSError as error:
            log.warning("what was measured is not kept: it is measured again after a restart", error=repr(error))
        log.info("measured what pixels cost here", **kept)

    def _read_rates(self) -> None:
        try:
            kept = json.loads((self._settings.data / CALIBRATION).read_text())
            if kept.pop("machine") != _machine():
                return
            self.rates = _bounded(kept)
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("what was measured before cannot be read", error=repr(error))
            return
        self.calibrated = True


_MEASURED = ("encode", "decode", "draw")
#: Times the defaults. No machine that serves is so far from them, but one measured in a bad moment may seem so, and
#: would refuse what it can do from then on.
_LEAST, _MOST = 0.1, 3.0


def _bounded(found: dict[str, Any]) -> Rates:
    """The rates with what was measured, within what is believed. ValueError, KeyError or TypeError when it is no
    measurement at all."""
    rates = Rates()
    changes = {}
    for name in _MEASURED:
        value, default = float(found[name]), getattr(rates, name)
        if not value > 0:
            raise ValueError(f"{name} was measured as {value}")
        changes[name] = min(max(value, _LEAST * default), _MOST * default)
    return msgspec.structs.replace(rates, **changes)


async def _measured() -> tuple[bytes, bytes]:
    """What the measuring process prints on both its outputs; it never outlives this. OSError, TimeoutError."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "reelroom.record.mixed.measure"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(MEASURE_S):
            return await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _machine() -> str:
    """Which processor this is: another one is measured anew."""
    names = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith(("model name", "CPU part"))
    ]
    return names[0].partition(":")[2].strip() if names else os.uname().machine


def shape(spec: RecordingSpec, participants: list[dict[str, Any]]) -> Shape:
    """What a recording does with those who are in its room."""
    wanted = [
        (participant["identity"], track)
        for participant in participants
        for track in participant["tracks"]
        if spec.subscription.wants(participant["identity"], Source(track["source"]))
    ]
    pictures = [track for _, track in wanted if track["kind"] == "video"]
    again = [  # while it runs; the other formats' files are made after its end
        track
        for track in pictures
        if Format.HLS in spec.formats and fate(spec, Format.HLS, track["codec"].lower()).startswith("transcode")
    ]
    return Shape(
        mix=spec.mix,
        pixels=tuple(track.get("width", 0) * track.get("height", 0) * FRAME_RATE for track in pictures),
        voices=len(wanted) - len(pictures),
        people=len({identity for identity, _ in wanted}),
        picture=spec.subscription.video is not None,
        sound=spec.subscription.audio is not None,
        transcoded=len(again) if spec.mix is None else 0,
    )
