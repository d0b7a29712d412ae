"""The recorder's connection to its ingest process: made again until it holds. Understands no message."""

from __future__ import annotations

import selectors
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from reelroom.domain.timeline import SECOND
from reelroom.record.bus import Bus, BusError
from reelroom.rooms import protocol

log = structlog.get_logger()
_RECONNECT_NS = SECOND // 5


class Link:
    """At most one `Bus`. While there is one, `selector` has it under the name "bus"."""

    def __init__(self, path: Path, selector: selectors.BaseSelector, recording: str) -> None:
        self._path = path
        self._selector = selector
        self._recording = recording
        self._bus: Bus | None = None
        self._broken = False
        self._retry_ns = 0

    @property
    def up(self) -> bool:
        return self._bus is not None

    def due(self, now: int) -> bool:
        """There is no connection, and it is time to try again."""
        return self._bus is None and now >= self._retry_ns

    def connect(self, now: int, subscribe: Callable[[], protocol.Subscribe]) -> None:
        """Try once, and begin with what `subscribe` gives then."""
        self._retry_ns = now + _RECONNECT_NS
        try:
            self._bus = Bus.connect(self._path)
        except OSError:
            return  # it is being restarted; tried again soon
        self._broken = False
        self.send(subscribe())
        self._selector.register(self._bus, selectors.EVENT_READ, "bus")

    def send(self, message: Struct) -> None:
        """To the ingest if it is there: what is asked of a connection that is gone is void with it."""
        if self._bus is None:
            return
        try:
            self._bus.send(message)
        except OSError:
            self._broken = True

    def receive(self, take: Callable[[Bus], None]) -> int:
        """Receive what there is and have it taken. The number of bytes; afterwards `up` says whether it still holds."""
        bus = self._bus
        assert bus is not None
        before = bus.end - bus.begin
        try:
            alive = bus.receive()
            received = bus.end - bus.begin - before
            take(bus)
        except (BusError, msgspec.DecodeError, KeyError, ConnectionError) as error:
            log.warning("bus connection given up", recording=self._recording, error=repr(error))
            alive, received = False, 0
        if not alive or self._broken:
            self.close()
        return received

    def close(self) -> None:
        """Give the connection up, if there is one."""
        if self._bus is not None:
            self._selector.unregister(self._bus)
            self._bus.close()
            self._bus = None
