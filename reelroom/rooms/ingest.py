"""The ingest process's life: UDP, rooms and bus put together, and the timers. Holds no protocol of its own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from msgspec import Struct

from reelroom.rooms import protocol
from reelroom.rooms.bus import BusServer, Connection
from reelroom.rooms.requests import Requests
from reelroom.rooms.room import Room
from reelroom.rooms.subscriber import Subscriber
from reelroom.rooms.udp import RoomClock, UdpPort
from reelroom.rooms.viewers import Viewers
from reelroom.rtc.dtls import Certificate
from reelroom.rtc.track import RemoteTrack

log = structlog.get_logger(__name__)

_TICK_NS = 20_000_000  # timers of peers. Datagrams that come in wake us anyway: the tick is done on the way
_TIMER_S = 0.05  # when none come
_IDLE_TIMER_S = 0.25  # when nobody is here
_GATHER_NS = 40_000_000  # how long frames gather before one write to a recorder
_SLOW_NS = 240_000_000  # mutes, silent participants, key frames for the rings
_CONNECT_NS = 15_000_000_000  # a session whose transport is not up after this is dropped


@dataclass(frozen=True, slots=True)
class IngestConfig:
    """What one ingest process needs to know."""

    index: int
    socket: Path  # of the bus
    hosts: Sequence[str]
    port: int  # 0: any
    announce: Sequence[str]  # addresses for the SDP answers; empty: those bound
    ring_s: float = 10.0
    ring_bytes: int = 16 << 20
    silent_s: float = 30.0
    video_orientation: bool = False  # agree to CVO: senders tell how pictures are turned and do not turn them


class Ingest:
    """`start`, `run`, `close`."""

    def __init__(self, config: IngestConfig) -> None:
        self.config = config
        self.id = secrets.token_hex(8)
        self.clock = RoomClock()
        self.certificate = Certificate()
        self.udp = UdpPort(self.clock, self._after_batch)
        self.rooms: dict[tuple[str, str], Room] = {}
        self.viewers = Viewers()
        self.bus = BusServer(self._message, self._gone, self._drained)
        self._requests = Requests(self)
        self._watchers: set[Connection] = set()
        self._tracks = 0
        self._ticked_ns = self._looked_ns = self._flushed_ns = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self.udp.open(self.config.hosts, self.config.port)
        self.udp.start(loop)
        self.bus.open(self.config.socket, loop)
        log.info("ingest is ready", index=self.config.index, udp_port=self.udp.port, hosts=list(self.config.hosts))

    async def run(self, stop: asyncio.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_timer()
        try:
            await stop.wait()
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        now = self.clock()
        for room in list(self.rooms.values()):
            for session in list(room.sessions.values()):
                if session.peer is not None:
                    session.peer.close("ingest_stopped")
                room.left(session, "ingest_stopped", now)
        self.viewers.close()
        self.bus.close(loop)
        self.udp.close(loop)

    def room(self, app: str, name: str) -> Room:
        """The room, made if need be."""
        room = self.rooms.get((app, name))
        if room is None:
            ring_ns = int(self.config.ring_s * 1e9)
            room = Room(app, name, self.clock(), ring_ns, self.config.ring_bytes, self._next_track)
            room.watch = self._published
            self.rooms[app, name] = room
        return room

    def _next_track(self) -> int:
        self._tracks += 1
        return self._tracks

    def _on_timer(self) -> None:
        if self._loop is not None:
            busy = bool(self.rooms) or len(self.viewers) > 0
            self._timer = self._loop.call_later(_TIMER_S if busy else _IDLE_TIMER_S, self._on_timer)
        if self.clock() - self._ticked_ns >= _TICK_NS:
            # Nothing came, or we stood still: then who sent something meanwhile is not silent.
            self._after_batch(self.udp.read())

    def _after_batch(self, now: int) -> None:
        if now - self._ticked_ns >= _TICK_NS:
            self._ticked_ns = now
            self._tick(now)

    def _tick(self, now: int) -> None:
        slow = now - self._looked_ns >= _SLOW_NS
        if slow:
            self._looked_ns = now
            self.udp.adapt(now)
        for room in list(self.rooms.values()):
            self._poll_room(room, now)
            if slow:
                self._look_after(room, now)
        self.viewers.poll(now, self.udp)
        if now - self._flushed_ns >= _GATHER_NS:
            self._flushed_ns = now
            self.bus.heard(self.udp.read())  # of all sockets; after a standstill there is much
            self.bus.flush()

    def _poll_room(self, room: Room, now: int) -> None:
        ended = None
        for session in room.sessions.values():
            peer = session.peer
            if peer is None:
                continue
            if now >= peer.next_poll_ns:
                try:
                    peer.poll(now)
                except Exception:  # ours to mend, but one participant's alone
                    log.exception("a peer's timers failed: its session ends", room=room.name)
                    peer.close("internal_error")
            if peer.closed:
                ended = [*(ended or ()), session]
            elif peer.connected and not session.announced:
                for replaced in room.connected(session, now):
                    if replaced.peer is not None:
                        replaced.peer.close("replaced")
        for session in ended or ():
            if session.peer is not None:
                self.udp.remove(session.peer)
                room.left(session, session.peer.close_reason, now)
                log.info(
                    "session ended",
                    room=room.name,
                    identity=session.identity,
                    reason=session.peer.close_reason,
                    connected=session.announced,
                )

    def _look_after(self, room: Room, now: int) -> None:
        room.forget_ended(now)
        silent_ns = int(self.config.silent_s * 1e9)
        for session in room.sessions.values():
            peer = session.peer
            if peer is None or peer.closed:
                continue
            if peer.connected:
                session.look_for_mutes(now)
                if now - peer.last_seen_ns > silent_ns:
                    peer.close("timeout")
                    continue
                for live in session.live.values():
                    old = now - live.ring.newest_key_ns > self.config.ring_s * 1e9
                    if live.info.kind == "video" and not live.muted and old:
                        peer.request_keyframe(live.remote, now)
            elif now - session.joined_ns > _CONNECT_NS:
                peer.close("never_connected")
        if room.empty:
            del self.rooms[room.app, room.name]

    # --- bus ----------------------------------------------------------------------------------------------------

    def _message(self, connection: Connection, message: Struct) -> None:
        if isinstance(message, protocol.Request):
            connection.tell(self._requests.answer(message))
            return
        subscriber = connection.subscriber
        if isinstance(message, protocol.Subscribe) and subscriber is None:
            room = self.room(message.app, message.room)
            connection.subscriber = Subscriber(message, connection.outbox)
            now = self.clock()
            connection.outbox.put(
                protocol.encode(protocol.Hello(ingest=self.id, room_ns=now, ring_s=self.config.ring_s))
            )
            room.subscribe(connection.subscriber, message, self.id, now)
            connection.flush()
        elif isinstance(message, protocol.Watch) and subscriber is None and connection not in self._watchers:
            self._watch(connection)
        elif isinstance(message, protocol.Update) and subscriber is not None:
            self.room(subscriber.app, subscriber.room).resubscribe(subscriber, message, self.clock())
            connection.flush()
        elif isinstance(message, protocol.Keyframe) and subscriber is not None:
            self.request_keyframe(self.room(subscriber.app, subscriber.room), message.track)
        else:
            log.warning("bus client sent a message out of place", kind=type(message).__name__)
            connection.close()

    def _watch(self, connection: Connection) -> None:
        now = self.clock()
        connection.tell(protocol.Hello(ingest=self.id, room_ns=now, ring_s=self.config.ring_s))
        for room in self.rooms.values():
            for live in room.tracks.values():
                if not live.low:
                    connection.tell(room.published(live))
        connection.tell(protocol.CaughtUp(room_ns=now))
        if connection in self.bus.connections:  # it may have been gone before it had all of it
            self._watchers.add(connection)

    def _published(self, message: protocol.Published) -> None:
        for connection in tuple(self._watchers):
            connection.tell(message)

    def request_keyframe(self, room: Room, track: int) -> None:
        live = room.tracks.get(track)
        if live is None or live.info.kind != "video":
            return
        self.request_keyframe_of(room, live.info.session, live.remote)

    def request_keyframe_of(self, room: Room, session_id: str, track: RemoteTrack) -> None:
        session = room.sessions.get(session_id)
        if session is not None and session.peer is not None:
            session.peer.request_keyframe(track, self.clock())

    def _gone(self, connection: Connection) -> None:
        self._watchers.discard(connection)
        subscriber = connection.subscriber
        if subscriber is not None:
            self.room(subscriber.app, subscriber.room).unsubscribe(subscriber)

    def _drained(self, connection: Connection) -> None:
        subscriber = connection.subscriber
        if subscriber is not None:
            self.room(subscriber.app, subscriber.room).catch_up_lagging(subscriber)
