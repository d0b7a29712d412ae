"""What was answered with success is started in the end; what was refused leaves nothing behind."""

import socket
import tempfile
import time
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from reelroom.config import Settings
from reelroom.control.apps import AppContext
from reelroom.control.changes import Changes
from reelroom.control.destinations import DestinationSpec
from reelroom.control.errors import ControlError
from reelroom.control.listing import new_id
from reelroom.control.new_recording import CallbackSpec, NewRecording
from reelroom.control.recorders import Recorders
from reelroom.control.recordings import Recordings
from reelroom.control.starts import IDEMPOTENCY_NS, Starts
from reelroom.domain.lines import Pause, Resume
from reelroom.domain.recording import Mode, RecordingSpec
from reelroom.record.commands import Reader
from reelroom.store import tables
from reelroom.store.db import Database
from reelroom.store.migrations import upgrade
from reelroom.store.secrets import SecretBox


class NoDisk:
    """Recorders without folders and processes: notes what was asked."""

    def __init__(self) -> None:
        self.up = True
        self.prepared: list[str] = []
        self.started: list[str] = []

    def folder(self, recording: str) -> Path:
        return Path("/nonexistent") / recording

    async def prepare(self, spec: RecordingSpec) -> None:
        self.prepared.append(spec.id)

    async def start(self, recording: str) -> bool:
        if self.up:
            self.started.append(recording)
        return self.up


@pytest.fixture
async def made():
    database = Database("sqlite://")
    await upgrade(database.engine)
    recorders = NoDisk()
    box = SecretBox(Fernet.generate_key())
    recordings = Recordings(Settings(dev=True), database, recorders, Changes(), None)  # type: ignore[arg-type]
    starts = Starts(Settings(dev=True), database, box, recorders)  # type: ignore[arg-type]
    yield recordings, starts, recorders
    await database.close()


APP = AppContext("a", {"native": {"key": "k"}})


def new(key: str | None = None, room: str = "r", **more) -> NewRecording:
    mode, at = more.pop("mode", Mode.INDIVIDUAL), more.pop("at_ns", 0)
    spec = RecordingSpec(id=new_id(), app="a", room=room, mode=mode, requested_ns=at)
    return NewRecording(APP, spec, idempotency_key=key, **more)


async def test_a_start_without_a_fork_server_is_made_good(made) -> None:
    _, starts, recorders = made
    recorders.up = False
    rows = [await starts.start(new()) for _ in range(3)]
    assert {row.state for row in rows} == {"starting"}
    assert await starts.start_late(0) == 0
    recorders.up = True
    assert await starts.start_late(60) == 0  # not late yet
    assert await starts.start_late(0) == 3
    assert recorders.started == [row.id for row in rows]
    assert set(recorders.prepared) == {row.id for row in rows}


async def test_a_key_makes_one_recording(made) -> None:
    _, starts, recorders = made
    first, replayed = await starts.start_once(new("k"))
    assert not replayed
    again, replayed = await starts.start_once(new("k"))
    assert replayed and again.id == first.id
    with pytest.raises(ControlError) as caught:
        await starts.start_once(new("k", room="other"))
    assert (caught.value.kind, caught.value.where) == ("invalid", "Idempotency-Key")
    assert recorders.started == [first.id]


async def test_a_key_makes_another_recording_once_it_is_forgotten(made, monkeypatch: pytest.MonkeyPatch) -> None:
    recordings, starts, _ = made
    first, _ = await starts.start_once(new("k"))
    await starts.start_once(new("other"))
    later = time.time_ns() + IDEMPOTENCY_NS + 10**9
    monkeypatch.setattr("reelroom.control.starts.time.time_ns", lambda: later)
    second, replayed = await starts.start_once(new("k", room="another"))
    assert not replayed and second.id != first.id
    again, replayed = await starts.start_once(new("k", room="another"))
    assert replayed and again.id == second.id
    await starts.forget_keys()
    async with recordings._database.reading() as session:
        assert (await session.scalars(select(tables.Idempotency.key))).all() == ["k"]


async def test_what_is_refused_leaves_nothing_behind(made) -> None:
    recordings, starts, recorders = made
    for wrong in (
        new(mode=Mode.PAGE),
        new(destination=DestinationSpec("fs", {"root": "/etc"})),
        new(destination=DestinationSpec("s3", {"bucket": "b"})),
        new(callback=CallbackSpec("http://169.254.169.254/")),
    ):
        with pytest.raises(ControlError):
            await starts.start(wrong)
    assert await recordings.list("a") == ([], "")
    assert recorders.prepared == []


async def test_a_callback_whose_name_does_not_resolve_now_is_taken(made, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked up, and checked, at each delivery."""

    def away(*_: object, **__: object) -> None:
        raise socket.gaierror("Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", away)
    _, starts, recorders = made
    row = await starts.start(new(callback=CallbackSpec("https://hooks.example.test/")))
    assert row.callback is not None
    assert recorders.started == [row.id]
    with pytest.raises(ControlError, match="resolved"):
        await starts.start(new(destination=DestinationSpec("webdav", {"endpoint": "https://dav.example.test"})))


async def test_times_beyond_every_clock_select_nothing_or_everything(made) -> None:
    recordings, starts, _ = made
    row = await starts.start(new())
    for since, until, found in ((-(1 << 70), 1 << 70, [row.id]), (1 << 70, None, []), (None, -(1 << 70), [])):
        rows, _ = await recordings.list("a", since_ns=since, until_ns=until)
        assert [one.id for one in rows] == found


async def test_apps_do_not_see_each_other(made) -> None:
    recordings, starts, _ = made
    row = await starts.start(new())
    assert (await recordings.get("a", row.id)).id == row.id
    for call in (recordings.get, recordings.stop, recordings.pause, recordings.delete, recordings.files):
        with pytest.raises(ControlError) as caught:
            await call("b", row.id)
        assert caught.value.kind == "not_found"
    assert await recordings.list("b") == ([], "")


async def test_a_pause_and_its_end_hold_although_the_row_follows_late(
    made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recordings, starts, _ = made
    monkeypatch.setattr("reelroom.control.recordings.SETTLE_S", 0.0)
    row = await starts.start(new())
    folder = tmp_path / row.id
    folder.mkdir()
    with tempfile.TemporaryDirectory(prefix="rr-") as run:  # `tmp_path` is too long for a socket in it
        recordings._recorders = Recorders(tmp_path, Path(run))  # nobody listens, so rows stay as they are
        for call in (recordings.pause, recordings.pause, recordings.resume, recordings.pause):
            await call("a", row.id)
    told = Reader(folder / "commands.jsonl").read()
    assert [type(command) for command in told] == [Pause, Resume, Pause]


async def test_pages_follow_each_other_even_at_one_instant(made) -> None:
    recordings, starts, _ = made
    for number in range(7):
        await starts.start(new(name=f"n{number}", at_ns=1))
    seen, cursor = [], ""
    while True:
        rows, cursor = await recordings.list("a", limit=3, cursor=cursor)
        seen += [row.id for row in rows]
        if not cursor:
            break
    assert len(seen) == len(set(seen)) == 7


async def test_secrets_are_sealed_in_rows(made) -> None:
    recordings, starts, _ = made
    options = {
        "bucket": "b",
        "region": "r",
        "access_key_id": "AKhunter2",
        "secret_access_key": "hunter2",
    }
    row = await starts.start(
        new(callback=CallbackSpec("http://127.0.0.1/", "hunter2"), destination=DestinationSpec("s3", options))
    )
    assert b"hunter2" not in row.callback
    (stored,) = (await recordings.destinations([row.destination])).values()
    assert b"hunter2" not in stored.options
    assert stored.described == {"bucket": "b", "region": "r"}
    assert "hunter2" not in repr(new(callback=CallbackSpec("u", "hunter2"), destination=DestinationSpec("s3", options)))
