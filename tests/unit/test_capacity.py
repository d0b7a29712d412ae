"""Admission of starts: what is refused, what a failed or repeated start gives back, and how it is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.fernet import Fernet

from reelroom.config import Settings
from reelroom.control.apps import AppContext
from reelroom.control.capacity import CALIBRATION, Capacity, Meter, Overloaded, _bounded, _machine, cores, cpu_of
from reelroom.control.destinations import DestinationSpec
from reelroom.control.errors import ControlError
from reelroom.control.listing import new_id
from reelroom.control.new_recording import NewRecording
from reelroom.control.problems import of_error
from reelroom.control.recorded import Recorded
from reelroom.control.starts import Starts
from reelroom.domain.cost import Rates
from reelroom.domain.recording import RecordingSpec
from reelroom.store.db import Database
from reelroom.store.migrations import upgrade
from reelroom.store.secrets import SecretBox
from tests.unit.agora_server import Server, refused, serving

APP = AppContext("a", {"native": {"key": "k"}})


class Nothing:
    """Recorders that only count."""

    started = 0

    def folder(self, recording: str) -> Path:
        return Path("/nonexistent") / recording

    async def prepare(self, spec: RecordingSpec) -> None:
        pass

    async def start(self, recording: str) -> bool:
        self.started += 1
        return True


async def nobody(*_args: object) -> dict:
    raise ControlError("not_found", "no such room")


@pytest.fixture
async def made():
    database = Database("sqlite://")
    await upgrade(database.engine)
    settings, recorders = Settings(dev=True), Nothing()
    capacity = Capacity(settings, recorders, nobody)  # type: ignore[arg-type]
    capacity.ledger.limit = 0.025  # two recordings of one participant
    box = SecretBox(Fernet.generate_key())
    starts = Starts(settings, database, box, recorders, capacity)  # type: ignore[arg-type]
    yield starts, capacity, recorders
    await database.close()


def new(key: str | None = None, **more: object) -> NewRecording:
    spec = RecordingSpec(id=new_id(), app="a", room="r", requested_ns=time.time_ns())
    return NewRecording(APP, spec, idempotency_key=key, **more)  # type: ignore[arg-type]


async def test_a_start_beyond_the_limit_is_refused_and_leaves_nothing(made) -> None:
    starts, capacity, recorders = made
    await starts.start(new())
    await starts.start(new())
    with pytest.raises(Overloaded) as caught:
        await starts.start(new())
    assert (caught.value.asked, caught.value.free) == (0.01, 0.005)
    assert "0.01 cores" in caught.value.message
    assert recorders.started == 2
    assert len((await Recorded(starts._database).list("a"))[0]) == 2
    assert capacity.ledger.balance().booked == pytest.approx(0.02)


async def test_a_repeated_or_failed_start_books_nothing(made) -> None:
    starts, capacity, _ = made
    for _ in range(3):
        await starts.start(new("key"))
    assert capacity.ledger.balance().booked == pytest.approx(0.01)
    with pytest.raises(ControlError, match="must be one of"):
        await starts.start(new(destination=DestinationSpec("memory", {})))
    assert capacity.ledger.balance().booked == pytest.approx(0.01)


def test_a_refusal_says_what_is_free_and_what_was_asked() -> None:
    answer = of_error(Overloaded(0.5, SimpleNamespace(limit=1.8, free=-0.1)))  # type: ignore[arg-type]
    assert answer.status_code == 503 and answer.headers["retry-after"]
    assert b'"type":"urn:reelroom:overloaded"' in answer.body
    assert b'"asked_cores":0.5' in answer.body and b'"free_cores":0.0' in answer.body


async def test_agora_says_that_there_is_no_worker() -> None:
    async with serving() as server:
        assert isinstance(server, Server)
        context = server.http._transport.app.state.context  # type: ignore[attr-defined]
        resource_id = await server.acquire()

        async def full(_spec: RecordingSpec) -> None:
            raise Overloaded(0.5, SimpleNamespace(limit=1.8, free=0.1))  # type: ignore[arg-type]

        context.starts._capacity = SimpleNamespace(admit=full)
        refused(await server.start(resource_id), 500, 502, "Failed to allocate worker")
        context.capacity = SimpleNamespace(ledger=SimpleNamespace(fits=lambda _cost: False))
        body = {"cname": "room-7", "uid": "900001", "clientRequest": {}}
        refused(await server.http.post("/v1/apps/dev/cloud_recording/acquire", json=body), 500, 501)


def test_a_meter_sees_what_a_process_uses() -> None:
    clock = iter((0.0, 1.0))
    meter = Meter(0.4, lambda: next(clock))
    assert meter.sample([os.getpid()])[os.getpid()] >= 0
    spent = time.process_time()
    while time.process_time() - spent < 0.3:
        pass
    assert meter.sample([os.getpid()])[os.getpid()] > 0.1  # of 0.3 in one second, smoothed
    assert meter.sample([2**22 + 1]) == {}  # no such process


def test_what_a_process_took_to_start_and_what_its_children_took_is_no_use_of_it() -> None:
    busy = "import time; t = time.process_time() + 0.5\nwhile time.process_time() < t: pass\nprint(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        before, _ = cpu_of(os.getpid())
        assert Meter(1.0).sample([child.pid]) == {child.pid: 0.0}
        child.communicate(b"\n")
    assert cpu_of(os.getpid())[0] - before < 0.3


def test_there_are_cores() -> None:
    assert 0 < cores() <= len(os.sched_getaffinity(0))


def test_a_measurement_of_a_bad_moment_is_not_believed_beyond_bounds() -> None:
    default = Rates()
    found = _bounded({"encode": 1000.0, "decode": 1e-9, "draw": default.draw * 2})
    assert found.encode == pytest.approx(3 * default.encode)
    assert found.decode == pytest.approx(default.decode / 10)
    assert found.draw == default.draw * 2
    for wrong in ({"encode": 0, "decode": 1, "draw": 1}, {"encode": float("nan"), "decode": 1, "draw": 1}):
        with pytest.raises(ValueError, match="encode"):
            _bounded(wrong)


async def test_what_was_measured_once_is_read_again_within_bounds(tmp_path: Path) -> None:
    (tmp_path / CALIBRATION).write_text(json.dumps({"machine": _machine(), "encode": 50, "decode": 50, "draw": 50}))
    capacity = Capacity(Settings(dev=True, data=tmp_path), Nothing(), nobody)  # type: ignore[arg-type]
    capacity._read_rates()
    assert capacity.calibrated
    assert capacity.rates.encode == pytest.approx(3 * Rates().encode)
