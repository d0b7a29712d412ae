"""Journals made by hand, line by line as a recorder would append them, and a control process's bits around them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from reelroom.deliver.follow import Follower
from reelroom.deliver.uploads import Uploader
from reelroom.domain import lines
from reelroom.domain.recording import Format, RecordingSpec
from reelroom.store.db import Database
from reelroom.store.secrets import SecretBox
from reelroom.store.tables import App, Base, Destination, Recording

S = 1_000_000_000
_ids = itertools.count(1)


class Written:
    """A recording's folder with a journal that grows; segments hold bytes of no meaning."""

    def __init__(self, recordings: Path, spec: RecordingSpec, run: Path | None = None) -> None:
        self.spec = spec
        self.folder = recordings / spec.id
        self.run = run
        self.n = 0
        self.t0 = time.time_ns()
        self.numbers: dict[str, int] = {}
        self.folder.mkdir(parents=True)
        (self.folder / "spec.json").write_bytes(msgspec.json.encode(spec))

    def append(self, *bodies: lines.AnyLine) -> None:
        with (self.folder / "journal.jsonl").open("ab") as file:
            for body in bodies:
                self.n += 1
                line = {"n": self.n, "at_ns": time.time_ns(), "epoch": 1, "prev": "0" * 64, "body": body, "sig": "x"}
                file.write(msgspec.json.encode(line) + b"\n")
        if self.run is not None and (self.run / "control.sock").exists():
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as poke:
                poke.setblocking(False)
                with contextlib.suppress(BlockingIOError, ConnectionRefusedError):  # best effort, as a recorder's
                    poke.sendto(self.spec.id.encode(), str(self.run / "control.sock"))

    def begin(self, *outputs: str) -> None:
        self.append(lines.Opened(room_ns=self.t0, spec_sha256="", ingest="i", public_key="k"))
        for number, identity in enumerate(outputs, 1):
            output = f"{number:03d}"
            self.numbers[output] = 0
            path, digest = self._put(f"segments/{output}/hls/init1.mp4", b"init " + identity.encode())
            self.append(
                lines.OutputOpened(output=output, identity=identity, source="camera", kind="av", start_ns=self.t0),
                lines.Init(output=output, rendition="hls", number=1, path=path, bytes=10, sha256=digest),
            )

    def segment(self, output: str = "001", size: int = 2000) -> lines.Segment:
        self.numbers[output] += 1
        number = self.numbers[output]
        data = f"{self.spec.id} {output} {number} ".encode() * (size // 40 + 1)
        path, digest = self._put(f"segments/{output}/hls/{number:05d}.m4s", data)
        start, end = (number - 1) * 6 * S, number * 6 * S
        line = lines.Segment(
            output=output,
            rendition="hls",
            container="fmp4",
            number=number,
            path=path,
            bytes=len(data),
            sha256=digest,
            start_ns=self.t0 + start,
            end_ns=self.t0 + end,
            media_start_ns=start,
            media_end_ns=end,
            video_codec="h264",
            audio_codec="opus",
            width=1280,
            height=720,
            init=1,
        )
        self.append(line)
        return line

    def end(self, reason: str = "requested", files: dict[str, bytes] | None = None) -> None:
        self.append(lines.Stopped(at_ns=time.time_ns(), reason=reason))
        for name, data in (files or {}).items():
            path, digest = self._put(f"files/{name}", data)
            self.append(
                lines.File(
                    output="001",
                    identity="alice",
                    source="camera",
                    kind="av",
                    format=name.rpartition(".")[2],
                    path=path,
                    bytes=len(data),
                    sha256=digest,
                    start_ns=self.t0,
                    end_ns=time.time_ns(),
                    media_start_ns=0,
                    duration_ns=6 * S,
                )
            )
        self.append(lines.Finished(files=len(files or {})))

    def _put(self, path: str, data: bytes) -> tuple[str, str]:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return path, hashlib.sha256(data).hexdigest()


class House:
    """A database, a follower and an uploader on a data folder; `make` adds a recording."""

    def __init__(self, data: Path, url: str | None = None) -> None:
        self.data = data
        self.recordings = data / "recordings"
        self.recordings.mkdir(parents=True, exist_ok=True)
        self.storage = data / "storage" / "app"
        self.database = Database(url or f"sqlite:///{data / 'reelroom.db'}")
        self.box = SecretBox.load(data / "keys" / "secrets.key")
        self.told: list[Callable[[str], None]] = []
        self.closing: list[Callable[[], Awaitable[None]]] = []
        self.uploader = Uploader(
            self.database, self.box, self.recordings, data / "storage", pause_max_s=2, told=self._tell, poll_s=1
        )
        self.follower = Follower(
            self.database, self.recordings, data / "control.sock", changed=self._changed, poll_s=0.5
        )

    def _tell(self, recording: str) -> None:
        for listener in self.told:
            listener(recording)

    def _changed(self, recording: str) -> None:
        self.uploader.poke(recording)
        self._tell(recording)

    async def open(self) -> House:
        async with self.database.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with self.database.transaction() as session:
            if await session.get(App, "app") is None:
                session.add(App(id="app", secrets=b"", key_hash="", defaults={}, created_ns=1))
        return self

    async def __aenter__(self) -> House:
        await self.open()
        await self.follower.start()
        await self.uploader.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for close in self.closing:
            await close()
        await self.follower.stop()
        await self.uploader.stop()
        await self.database.close()

    async def destination(self, service: str, options: dict[str, str]) -> str:
        id_ = f"dest{next(_ids)}"
        async with self.database.transaction() as session:
            session.add(
                Destination(
                    id=id_, app="app", service=service, options=self.box.seal(options), described={}, created_ns=1
                )
            )
        return id_

    async def make(
        self, destination: str | None = None, callback: dict[str, Any] | None = None, **spec: Any
    ) -> Written:
        made = RecordingSpec(
            id=hashlib.md5(f"{self.data} {next(_ids)}".encode()).hexdigest(),
            app="app",
            room="room",
            formats=spec.pop("formats", (Format.HLS, Format.MP4)),
            requested_ns=time.time_ns(),
            **spec,
        )
        async with self.database.transaction() as session:
            session.add(
                Recording(
                    id=made.id,
                    app="app",
                    room="room",
                    mode="individual",
                    state="starting",
                    spec=msgspec.to_builtins(made),
                    destination=destination,
                    callback=self.box.seal(callback) if callback else None,
                    created_ns=made.requested_ns,
                )
            )
        return Written(self.recordings, made, self.data)

    async def recording(self, id_: str) -> Recording:
        async with self.database.reading() as session:
            row = await session.get(Recording, id_)
        assert row is not None
        return row

    async def state(self, id_: str) -> str:
        return (await self.recording(id_)).state

    async def until(self, check: Callable[[], Any], timeout_s: float = 30.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not await check():
            assert time.monotonic() < deadline, "did not happen in time"
            await asyncio.sleep(0.02)

    async def until_state(self, id_: str, state: str = "finished", timeout_s: float = 30.0) -> None:
        async def there() -> bool:
            return await self.state(id_) == state

        await self.until(there, timeout_s)
