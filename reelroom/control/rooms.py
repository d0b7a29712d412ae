"""Rooms as the use cases see them: a room's ingest process, and its refusals in our words. No HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from reelroom.control.errors import ControlError
from reelroom.record.paths import ingest_socket
from reelroom.rooms.placement import ingest_index
from reelroom.rooms.rpc import RpcClient, RpcError, RpcUnavailable

#: What an ingest process's codes mean to a caller.
_KINDS = {
    "sdp": "invalid",
    "invalid": "invalid",
    "not_found": "not_found",
    "conflict": "conflict",
    "busy": "unavailable",
}


class SdpRefused(ControlError):
    """The SDP is the trouble: HTTP 400 in WHIP's words, not 422."""


class PreconditionFailed(ControlError):
    """The If-Match given names an ICE session that is no more."""


class Rooms:
    """All ingest processes of this machine."""

    def __init__(self, run: Path, workers: int) -> None:
        self.clients = [RpcClient(ingest_socket(run, index)) for index in range(workers)]

    async def call(self, index: int, method: str, params: dict[str, Any] | None = None, timeout_s: float = 5.0) -> Any:
        """One request to one ingest process; ControlError when it refuses or is away."""
        try:
            return await self.clients[index].call(method, params, timeout_s)
        except RpcUnavailable as error:
            raise ControlError("unavailable", str(error)) from error
        except RpcError as error:
            if error.code == "sdp":
                raise SdpRefused("invalid", error.message, "sdp") from error
            if error.code == "precondition":
                raise PreconditionFailed("conflict", error.message) from error
            raise ControlError(_KINDS.get(error.code, "unavailable"), error.message) from error

    def index(self, app: str, room: str) -> int:
        return ingest_index(app, room, len(self.clients))

    async def in_room(
        self, app: str, room: str, method: str, params: dict[str, Any] | None = None, timeout_s: float = 5.0
    ) -> Any:
        """A request about a room, to the process that it lives in."""
        params = {"app": app, "room": room, **(params or {})}
        return await self.call(self.index(app, room), method, params, timeout_s)

    async def list(self, app: str) -> list[dict[str, Any]]:
        """The app's rooms, the oldest first."""
        answers = await asyncio.gather(
            *(self.call(index, "rooms.list", {"app": app}) for index in range(len(self.clients)))
        )
        rooms = [room for answer in answers for room in answer]
        return sorted(rooms, key=lambda room: (room["created_ns"], room["room"]))

    async def get(self, app: str, room: str, timeout_s: float = 5.0) -> dict[str, Any]:
        """A room's participants with their tracks; ControlError("not_found") for a room without any."""
        answer: dict[str, Any] = await self.in_room(app, room, "rooms.get", timeout_s=timeout_s)
        return answer

    async def remove(self, app: str, room: str, identity: str) -> None:
        """Throw a participant out."""
        await self.in_room(app, room, "participants.remove", {"identity": identity})

    async def stats(self, timeout_s: float = 1.0) -> dict[int, dict[str, float]]:
        """Each ingest process's figures; one that does not answer is left out."""

        async def one(index: int) -> tuple[int, dict[str, float]] | None:
            try:
                return index, await self.call(index, "stats", {}, timeout_s)
            except ControlError:
                return None

        answers = await asyncio.gather(*(one(index) for index in range(len(self.clients))))
        return dict(answer for answer in answers if answer is not None)

    async def close(self) -> None:
        await asyncio.gather(*(client.close() for client in self.clients))
