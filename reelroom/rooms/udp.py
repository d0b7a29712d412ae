"""The UDP side of an ingest process: sockets, and which peer a datagram belongs to. Holds no rooms."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from reelroom.rooms.datagrams import BATCH, RawAddress, Receiver, address_of
from reelroom.rtc.ice import Address, local_ufrag_of, looks_like_stun
from reelroom.rtc.peer import Peer

log = structlog.get_logger(__name__)

_MANY = 600  # datagrams a second: about three participants
_ROUND_S = 0.005
_BATCHES = 4  # batches read before other work of the loop gets a turn
_BUFFER = 8 * 1024 * 1024  # bytes of kernel receive buffer asked for: a second of 60 participants
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33  # Linux; Python's socket module has no names for them


class UdpPort:
    """One port number on every given address. Datagrams go to `Peer.stun` and `Peer.receive`."""

    def __init__(self, clock: Callable[[], int], after_batch: Callable[[int], None]) -> None:
        self._clock = clock
        self._after_batch = after_batch
        self._sockets: list[socket.socket] = []
        self._by_ufrag: dict[str, Peer] = {}
        self._by_address: dict[Address, Peer] = {}
        self._by_raw: dict[RawAddress, Peer] = {}  # the same, for the hot loop
        self._routes: dict[Address, socket.socket] = {}  # with several sockets of a family: who came in where
        self._answering: socket.socket | None = None  # while a check from an unknown address is handled
        self._ambiguous = False
        self.datagrams = 0
        self.dropped = 0  # from addresses that have passed no check
        self.unsent = 0  # that the kernel did not take
        self.port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._receivers: list[tuple[socket.socket, Receiver]] = []
        self._rounds: asyncio.TimerHandle | None = None  # while sockets are read in rounds
        self._counted = self._counted_ns = 0  # datagrams at the last `adapt`, and when that was

    def open(self, hosts: Sequence[str], port: int) -> None:
        """Bind `port` (0: a free one, the same on every host). OSError when it is taken."""
        for host in hosts:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            try:
                sock = socket.socket(family, socket.SOCK_DGRAM)
            except OSError:
                if family == socket.AF_INET6 and self._sockets:
                    continue  # a machine without IPv6
                raise
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            _grow_buffers(sock)
            sock.setblocking(False)
            try:
                sock.bind((host, port or self.port))
            except OSError:
                sock.close()
                if family == socket.AF_INET6 and self._sockets:
                    continue
                raise
            self.port = sock.getsockname()[1]
            self._ambiguous = self._ambiguous or any(other.family == family for other in self._sockets)
            self._sockets.append(sock)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._receivers = [(sock, Receiver(sock)) for sock in self._sockets]
        self._watch()

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._rounds is not None:
            self._rounds.cancel()
        for sock in self._sockets:
            loop.remove_reader(sock)
            sock.close()

    def adapt(self, now_ns: int) -> None:
        """Choose how to wait for datagrams by how many came since the last call; call it a few times a second.

        Few: the event loop says when a socket is readable. Many: all sockets are read every 5 ms, which saves most
        wake-ups. Arrival times do not suffer, since they are the kernel's.
        """
        rate = (self.datagrams - self._counted) * 1_000_000_000 // max(now_ns - self._counted_ns, 1)
        self._counted, self._counted_ns = self.datagrams, now_ns
        if self._loop is None:
            return
        if self._rounds is None and rate > _MANY:
            for sock in self._sockets:
                self._loop.remove_reader(sock)
            self._rounds = self._loop.call_later(_ROUND_S, self._round)
        elif self._rounds is not None and rate < _MANY // 2:
            self._rounds.cancel()
            self._rounds = None
            self._watch()

    def _watch(self) -> None:
        if self._loop is not None:
            for sock, receiver in self._receivers:
                self._loop.add_reader(sock, partial(self._readable, sock, receiver))

    def _round(self) -> None:
        if self._loop is not None:
            self._rounds = self._loop.call_later(_ROUND_S, self._round)
        self._after_batch(self.read())

    def _readable(self, sock: socket.socket, receiver: Receiver) -> None:
        self._after_batch(self._read(sock, receiver))

    def read(self) -> int:
        """Take what has come, a few hundred datagrams at most; returns the time up to which that is all."""
        return min([self._clock(), *(self._read(sock, receiver) for sock, receiver in self._receivers)])

    def add(self, peer: Peer) -> None:
        """Take connectivity checks for this peer from now on; again after an ICE restart."""
        if peer.previous_ice is not None:
            valid = {peer.ice.ufrag, peer.previous_ice.ufrag}
            self._by_ufrag = {u: other for u, other in self._by_ufrag.items() if other is not peer or u in valid}
        self._by_ufrag[peer.ice.ufrag] = peer

    def remove(self, peer: Peer) -> None:
        self._by_ufrag = {ufrag: other for ufrag, other in self._by_ufrag.items() if other is not peer}
        self._by_address = {address: other for address, other in self._by_address.items() if other is not peer}
        self._by_raw = {raw: other for raw, other in self._by_raw.items() if other is not peer}
        self._routes = {address: sock for address, sock in self._routes.items() if address in self._by_address}

    def send(self, data: bytes, address: Address) -> None:
        """Send, or lose the datagram as a network would: the protocols above retransmit."""
        sock = self._socket_for(address)
        if sock is not None:
            try:
                sock.sendto(data, address)
            except OSError:
                self.unsent += 1

    def _socket_for(self, address: Address) -> socket.socket | None:
        if self._ambiguous:  # an answer must come from the address that was asked
            sock = self._answering or self._routes.get(address)
            if sock is not None:
                return sock
        six = ":" in address[0]
        return next((sock for sock in self._sockets if (sock.family == socket.AF_INET6) == six), None)

    def _read(self, sock: socket.socket, receiver: Receiver) -> int:
        # The hot loop: everything that a datagram costs outside of its peer is here.
        now = self._clock()
        to_room = now - time.time_ns()  # the kernel's stamps are wall clock time
        stamp = 0
        for _ in range(_BATCHES):
            try:
                found = receiver.read()
            except OSError as error:  # an ICMP error about something we sent
                log.debug("UDP socket reports an error", error=str(error))
                continue
            peers = self._by_raw
            for data, sender, stamp in found:
                peer = peers.get(sender)
                if peer is not None and data and data[0] > 3:
                    try:
                        peer.receive(data, stamp + to_room if stamp else now)
                    except Exception:
                        self._fail(peer)
                else:
                    self._stun(sock, data, sender)
            self.datagrams += len(found)
            if len(found) < BATCH:
                return now
        # More wait: whose packets are among them is not silent, and what they bring is not lost.
        return min(now, stamp + to_room) if stamp else now

    def _fail(self, peer: Peer) -> None:
        """A mistake of ours must end one participant's session, not everybody's; ingest lets it leave its room."""
        log.exception("a peer's packet could not be handled: its session ends")
        peer.close("internal_error")

    def _stun(self, sock: socket.socket, data: bytes, raw: RawAddress) -> None:
        if not looks_like_stun(data):
            self.dropped += 1
            return
        peer = self._by_ufrag.get(local_ufrag_of(data) or "")
        if peer is None or peer.closed:
            self.dropped += 1
            return
        address = address_of(raw)
        before = set(peer.addresses)
        self._answering = sock
        try:
            accepted = peer.stun(data, address, self._clock())
        except Exception:
            self._fail(peer)
            return
        finally:
            self._answering = None
        if not accepted:
            self.dropped += 1
            return
        for gone in before.difference(peer.addresses):
            if self._by_address.get(gone) is peer:
                del self._by_address[gone]
                self._by_raw = {key: other for key, other in self._by_raw.items() if address_of(key) != gone}
            self._routes.pop(gone, None)
        self._by_address[address] = peer
        self._by_raw[raw] = peer
        if self._ambiguous:
            self._routes[address] = sock


def _grow_buffers(sock: socket.socket) -> None:
    """Ask for room for the burst of everybody's key frames at once. Without the privilege to exceed it
    (CAP_NET_ADMIN) the kernel grants at most `net.core.rmem_max`; what overflows is repaired by NACK."""
    for option, forced, size in (
        (socket.SO_RCVBUF, _SO_RCVBUFFORCE, _BUFFER),
        (socket.SO_SNDBUF, _SO_SNDBUFFORCE, _BUFFER // 4),
    ):
        try:
            sock.setsockopt(socket.SOL_SOCKET, forced, size)
        except PermissionError:
            sock.setsockopt(socket.SOL_SOCKET, option, size)


class RoomClock:
    """UTC nanoseconds that advance with the monotonic clock: wall-clock steps do not reach the media."""

    def __init__(self) -> None:
        self._offset = time.time_ns() - time.monotonic_ns()

    def __call__(self) -> int:
        return time.monotonic_ns() + self._offset
