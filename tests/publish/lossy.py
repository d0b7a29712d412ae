"""A UDP relay with loss, delay, jitter and reordering, between a publisher and a server. Parses nothing."""

from __future__ import annotations

import asyncio
import random
import re
from dataclasses import dataclass
from typing import Any, Self

_CANDIDATE = re.compile(r"^a=candidate:(\S+) 1 udp (\d+) (\S+) (\d+) typ host.*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What happens to the packets of one direction.

    `loss` and `reorder` are probabilities 0…1, the rest is in ms. Jitter delays each packet by 0…`jitter_ms`
    more and keeps the order, as a queue does; a reordered packet is held back by `reorder_ms` alone.
    """

    loss: float = 0.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    reorder: float = 0.0
    reorder_ms: float = 20.0


@dataclass(slots=True)
class Counts:
    """Packets of one direction."""

    passed: int = 0
    lost: int = 0
    reordered: int = 0


class _Direction:
    """Applies trouble to packets, in a way that a seed makes repeatable (given the same packets)."""

    def __init__(self, trouble: Trouble, rng: random.Random) -> None:
        self.trouble, self.rng, self.counts = trouble, rng, Counts()
        self._not_before = 0.0

    def push(self, data: bytes, send: Any) -> None:
        trouble, rng = self.trouble, self.rng
        if rng.random() < trouble.loss:
            self.counts.lost += 1
            return
        self.counts.passed += 1
        loop = asyncio.get_running_loop()
        at = loop.time() + (trouble.delay_ms + rng.random() * trouble.jitter_ms) / 1000
        if rng.random() < trouble.reorder:
            self.counts.reordered += 1
            loop.call_at(at + trouble.reorder_ms / 1000, send, data)
            return
        at = self._not_before = max(at, self._not_before)
        loop.call_at(at, send, data)


class _Upstream(asyncio.DatagramProtocol):
    """One client's own socket towards the server, so that the server tells clients apart."""

    def __init__(self, link: LossyLink, client: tuple[str, int]) -> None:
        self.link, self.client = link, client
        self.transport: asyncio.DatagramTransport | None = None
        self.waiting: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        for data in self.waiting:
            self.send(data)
        self.waiting.clear()

    def send(self, data: bytes) -> None:
        if self.transport is None:
            self.waiting.append(data)
        elif not self.transport.is_closing():
            self.transport.sendto(data)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.link.down.push(data, lambda d: self.link.to_client(d, self.client))


class LossyLink(asyncio.DatagramProtocol):
    """`async with LossyLink(up=Trouble(loss=0.05, delay_ms=25), down=…) as link:` and give `link.edit_answer`
    to the publisher: it learns the server's address from the answer's candidate and puts its own there.

    `up` is from the publisher to the server. `link.up.trouble` may be changed at any time: a lost last flight
    of DTLS costs the beginning of the media with any server, so begin without loss when every frame counts.
    The server must be ICE-lite: one that sends checks of its own finds the publisher without the relay.
    """

    def __init__(self, up: Trouble, down: Trouble | None = None, *, seed: int = 1) -> None:
        self.up = _Direction(up, random.Random(seed))
        self.down = _Direction(down if down is not None else up, random.Random(seed + 1))
        self.target: tuple[str, int] | None = None
        self.address = ("127.0.0.1", 0)
        self._transport: asyncio.DatagramTransport | None = None
        self._clients: dict[tuple[str, int], _Upstream] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=self.address)
        self.address = self._transport.get_extra_info("sockname")[:2]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for client in self._clients.values():
            if client.transport:
                client.transport.close()
        if self._transport:
            self._transport.close()

    def edit_answer(self, answer: str) -> str:
        """Take the answer's IPv4 host candidates for the target, and put this relay in their place.

        ValueError when there is none.
        """
        found = [(m[3], int(m[4])) for m in _CANDIDATE.finditer(answer) if ":" not in m[3]]
        if not found:
            raise ValueError(f"the answer has no IPv4 host candidate over UDP:\n{answer}")
        self.target = min(found, key=lambda a: not a[0].startswith("127."))
        seen: set[int] = set()

        def replace(match: re.Match[str]) -> str:
            media = answer.count("\nm=", 0, match.start())
            if media in seen:
                return ""
            seen.add(media)
            host, port = self.address
            return f"a=candidate:{match[1]} 1 udp {match[2]} {host} {port} typ host\r"

        return re.sub(r"(?:\r?\n){2,}", "\r\n", _CANDIDATE.sub(replace, answer))

    def to_client(self, data: bytes, client: tuple[str, int]) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.sendto(data, client)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        client = addr[:2]
        upstream = self._clients.get(client)
        if upstream is None:
            if self.target is None:
                raise RuntimeError("a packet came before edit_answer told the server's address")
            upstream = self._clients[client] = _Upstream(self, client)
            loop = asyncio.get_running_loop()
            created = loop.create_datagram_endpoint(lambda: upstream, remote_addr=self.target)
            task = loop.create_task(created)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self.up.push(data, upstream.send)
