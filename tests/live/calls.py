"""A call for live tests: people publish clips into a room of a real server, and somebody records it. Judges nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from reelroom.demo.clip import make_clip
from reelroom.demo.clipfile import Clip
from reelroom.demo.publisher import AiortcPublisher
from reelroom.demo.whip import WhipError
from tests.servers import Server

ATTEMPTS = 40  # half a second apart
T = TypeVar("T")


class Elsewhere:
    """An event loop in a thread of its own. Who publishes there is not held up by what a test does meanwhile: on a busy
    machine a call of the API that blocks the test takes seconds, and what is sent so late is in no mix."""

    def __init__(self) -> None:
        self._began = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._stay()), name="publisher", daemon=True)
        self._thread.start()
        self._began.wait()

    async def _stay(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._began.set()
        await self._over.wait()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something there and wait for it."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def hold_up(self, seconds: float) -> None:
        """From now on nothing is done there for so long; then all that was due, at once."""
        self._loop.call_soon_threadsafe(time.sleep, seconds)

    def close(self) -> None:
        """Cancel what still runs there."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()


class Call:
    """One room. Clips carry a clock; the participant's number is in its pitch."""

    def __init__(self, server: Server, room: str, api: httpx.Client) -> None:
        self.server = server
        self.room = room
        self.api = api
        self.speaking: list[tuple[AiortcPublisher, asyncio.Task[None], Elsewhere]] = []

    async def join(
        self,
        identity: str,
        *,
        seconds: int = 30,
        last_s: float | None = None,
        ppm: int = 0,
        edit_answer: Callable[[str], str] | None = None,
        token: Mapping[str, Any] | None = None,
        **clip: Any,
    ) -> AiortcPublisher:
        """Publish a clip of so many seconds; `leave` ends it.

        `last_s`: publish it again and again for so long. `ppm`: how much faster the sender's clock runs than the
        machine's. `edit_answer` may put a relay in between; `token` is what the room token says besides.
        """
        made = await asyncio.to_thread(
            make_clip, seconds, **({"size": (320, 180), "video_kbps": 250, "participant": 5} | clip)
        )
        return await self.publish(
            identity, made, last_s or seconds, loop=last_s is not None, ppm=ppm, edit_answer=edit_answer, token=token
        )

    async def publish(
        self, identity: str, clip: Clip, seconds: float, *, token: Mapping[str, Any] | None = None, **how: Any
    ) -> AiortcPublisher:
        """Publish a clip that is there already; `how` is the publisher's.

        While an ingest that was killed is coming back, it is tried again, as clients do.
        """
        for attempt in range(1, ATTEMPTS + 1):
            publisher = AiortcPublisher(
                f"{self.server.url}/whip/{self.room}",
                self.server.token(self.room, identity, **(token or {})),
                clip,
                **how,
            )
            try:
                await self.speak(publisher, seconds)
                break
            except WhipError as error:
                if error.status != 503 or attempt == ATTEMPTS:
                    raise
                await asyncio.sleep(0.5)
        return publisher

    async def speak(self, publisher: AiortcPublisher, seconds: float) -> None:
        """Let a publisher begin that was made for this call; `leave` ends it."""

        async def begin() -> asyncio.Task[None]:
            try:
                await publisher.start()
            except WhipError:
                await publisher.close(delete=False)
                raise
            return asyncio.create_task(publisher.run(seconds))

        elsewhere = Elsewhere()
        try:
            self.speaking.append((publisher, await elsewhere.run(begin()), elsewhere))
        except BaseException:
            elsewhere.close()
            raise

    def hold_up(self, publisher: AiortcPublisher, seconds: float) -> None:
        """From now on nothing of somebody's is sent for so long; then all that was due, at once."""
        for each, _, elsewhere in self.speaking:
            if each is publisher:
                elsewhere.hold_up(seconds)

    async def leave(self, publisher: AiortcPublisher, *, goodbye: bool = True) -> None:
        for entry in list(self.speaking):
            if entry[0] is publisher:
                self.speaking.remove(entry)
                _, running, elsewhere = entry
                try:
                    await elsewhere.run(_end(publisher, running, goodbye=goodbye))
                finally:
                    elsewhere.close()

    async def end(self) -> None:
        for publisher, _, _ in list(self.speaking):
            await self.leave(publisher)

    def start(self, **body: Any) -> str:
        made = self.api.post("/api/v1/recordings", json={"room": self.room, "formats": ["hls", "mp4"], **body})
        return str(made.raise_for_status().json()["id"])

    def do(self, recording: str, what: str) -> dict[str, Any]:
        return dict(self.api.post(f"/api/v1/recordings/{recording}/{what}").raise_for_status().json())

    async def stop(self, recording: str) -> dict[str, Any]:
        self.do(recording, "stop")
        return await self.finished(recording)

    async def finished(self, recording: str) -> dict[str, Any]:
        return await asyncio.to_thread(self.server.wait_for, recording, "finished", timeout_s=60)

    def timeline(self, recording: str) -> dict[str, Any]:
        return dict(self.api.get(f"/api/v1/recordings/{recording}/timeline").raise_for_status().json())

    def fetch(self, recording: str, folder: Path) -> dict[str, list[Path]]:
        """Every file of the recording in `folder`, by format ("hls": the playlists), in the order of their names."""
        answer = self.api.get(f"/api/v1/recordings/{recording}/files", params={"segments": True})
        found: dict[str, list[Path]] = {}
        for file in sorted(answer.raise_for_status().json()["files"], key=lambda one: str(one["key"])):
            path = folder / file["key"].rpartition("/")[2]
            path.write_bytes(self.api.get(file["url"].partition("?")[0]).raise_for_status().content)
            if file["role"] in ("playlist", "file"):
                found.setdefault(file["format"], []).append(path)
        return found


@contextmanager
def call(server: Server, folder: Path) -> Iterator[Call]:
    """A call in a room of its own, named after the test's folder."""
    with server.client() as api:
        made = Call(server, folder.name.replace("_", "-")[:60], api)
        try:
            yield made
        finally:
            for _, _, elsewhere in made.speaking:
                elsewhere.close()


async def _end(publisher: AiortcPublisher, running: asyncio.Task[None], *, goodbye: bool) -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await publisher.close(delete=goodbye)


async def kill_recorder(server: Server, recording: str) -> None:
    """Kill a recording's recorder with -9 and wait for its successor."""
    before = server.recorders()[recording]
    os.kill(before, signal.SIGKILL)
    for _ in range(200):
        await asyncio.sleep(0.05)
        if server.recorders().get(recording) not in (None, before):
            return
    raise TimeoutError(f"nobody took over {recording} from {before}:\n{server.tail()}")
