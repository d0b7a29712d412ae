"""WHEP sessions: who watches whom, and when it ends. Holds no packets: see `rtc/send.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from reelroom.rtc.send import Forwarder

if TYPE_CHECKING:
    from reelroom.rooms.room import Room
    from reelroom.rooms.udp import UdpPort

log = structlog.get_logger(__name__)

_SILENT_NS = 30_000_000_000


@dataclass(slots=True)
class ViewerSession:
    """One page that watches one participant."""

    id: str
    name: str
    room: Room
    peer: Forwarder
    created_ns: int


class Viewers:
    """All viewers of an ingest process."""

    def __init__(self) -> None:
        self._sessions: dict[str, ViewerSession] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def add(self, viewer: ViewerSession) -> None:
        self._sessions[viewer.id] = viewer

    def get(self, number: str) -> ViewerSession | None:
        return self._sessions.get(number)

    def poll(self, now_ns: int, udp: UdpPort) -> None:
        ended = []
        for viewer in self._sessions.values():
            peer = viewer.peer
            if now_ns >= peer.next_poll_ns:
                try:
                    peer.poll(now_ns)
                except Exception:
                    log.exception("a viewer's timers failed: its session ends", room=viewer.room.name)
                    peer.close("internal_error")
            if not peer.closed and now_ns - max(peer.last_seen_ns, viewer.created_ns) > _SILENT_NS:
                peer.close("timeout")
            if peer.closed:
                ended.append(viewer)
        for viewer in ended:
            del self._sessions[viewer.id]
            udp.remove(viewer.peer)

    def close(self) -> None:
        for viewer in self._sessions.values():
            viewer.peer.close("ingest_stopped")
        self._sessions.clear()
