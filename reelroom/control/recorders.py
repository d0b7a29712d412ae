"""Reaching recorders: their folders, the fork server that starts them, commands. Holds no database."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
import structlog

from reelroom.control.errors import ControlError
from reelroom.domain.lines import AnyCommand
from reelroom.domain.recording import RecordingSpec
from reelroom.record import commands
from reelroom.record.paths import Paths, fleet_socket, wake_socket

log = structlog.get_logger("reelroom.recorders")

START_S = 5.0  # how long a start waits for a fork server that is being restarted
_RETRY_S = 0.03


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class Recorders:
    """The recorders of this machine, by the files and sockets they read."""

    def __init__(self, recordings: Path, run: Path) -> None:
        self._recordings = recordings
        self._run = run

    def folder(self, recording: str) -> Path:
        """The recording's folder. ControlError("not_found") when the id could name another place."""
        if not recording.isalnum() or not recording.isascii():
            raise ControlError("not_found", "no such recording")
        return self._recordings / recording

    async def prepare(self, spec: RecordingSpec) -> None:
        """Write the folder with its spec.json; from then on the recording survives everything."""
        await asyncio.to_thread(self._prepare, spec)

    def _prepare(self, spec: RecordingSpec) -> None:
        folder = self.folder(spec.id)
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / "spec.json.part"
        with open(part, "wb", opener=_private) as file:  # there may be keys of streams in it
            file.write(msgspec.json.encode(spec))
            file.flush()
            os.fsync(file.fileno())
        part.rename(folder / "spec.json")
        for parent in (folder, self._recordings):
            descriptor = os.open(parent, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    async def start(self, recording: str) -> bool:
        """Have the recorder forked. False: no fork server answers, or it refuses. Safe to repeat."""
        try:
            async with asyncio.timeout(START_S):
                while True:
                    try:
                        answer = await self._ask({"op": "start", "id": recording})
                    except (OSError, asyncio.IncompleteReadError, ValueError):
                        await asyncio.sleep(_RETRY_S)
                        continue
                    if not answer.get("ok"):
                        log.error("no recorder was started", recording=recording, answer=answer)
                        return False
                    return True
        except TimeoutError:
            return False

    async def running(self) -> dict[str, int]:
        """Process ids of the recorders that the fork server knows, by recording."""
        answer = await self._ask({"op": "list"})
        return {str(key): int(value) for key, value in answer["running"].items()}

    async def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        reader, writer = await asyncio.open_unix_connection(str(fleet_socket(self._run)))
        try:
            writer.write(json.dumps(question).encode() + b"\n")
            answer: dict[str, Any] = json.loads(await reader.readuntil(b"\n"))
            return answer
        finally:
            writer.close()

    async def command(self, recording: str, command: AnyCommand) -> None:
        """Append to commands.jsonl and wake the recorder; it looks by itself each second anyway."""
        await asyncio.to_thread(commands.append, Paths(self.folder(recording)).commands, command)
        commands.wake(wake_socket(self._run, recording))

    async def pausing(self, recording: str) -> bool:
        """Whether the last that the recorder was told of pauses is to make one; it may not have come to that yet."""
        return await asyncio.to_thread(commands.pausing, Paths(self.folder(recording)).commands)

    async def remove(self, recording: str) -> None:
        """Delete the recording's folder with everything in it."""
        folder = self.folder(recording)
        if folder.exists():
            await asyncio.to_thread(shutil.rmtree, folder)
