"""Callbacks over real HTTP: in order, signed, again after failures, and nobody waits for somebody else's endpoint."""

from __future__ import annotations

import asyncio
import hmac
import json
import resource
import time
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import pytest
from sqlalchemy import Connection, func, select

from reelroom.control.apps import AppContext
from reelroom.control.guard import resolve
from reelroom.deliver.callbacks import Callbacks, Renderer
from reelroom.deliver.outbox import add_events, lock
from reelroom.deliver.request import Poster
from reelroom.domain.events import Draft, Rendered
from reelroom.store.tables import Attempt, Event
from tests.journals import House, Written
from tests.proxy import Proxy


class Endpoint:
    """An HTTP server that keeps what it is sent; `answers` are the next statuses, then 200."""

    def __init__(self, *answers: int, delay_s: float = 0, location: str = "") -> None:
        self.answers = list(answers)
        self.delay_s = delay_s
        self.location = location
        self.got: list[tuple[int, dict[str, str], bytes]] = []
        self.open = self.most_open = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?x=1"

    @property
    def taken(self) -> list[dict[str, Any]]:
        return [json.loads(body) for status, _, body in self.got if status == 200]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        await asyncio.sleep(self.delay_s)
        status = self.answers.pop(0) if self.answers else 200
        self.got.append((status, headers, body))
        more = f"Location: {self.location}\r\n" if self.location else ""
        writer.write(f"HTTP/1.1 {status} X\r\n{more}Content-Length: 2\r\nConnection: close\r\n\r\nok".encode())
        await writer.drain()
        writer.close()
        self.open -= 1


async def app_of(id_: str) -> AppContext:
    return AppContext(id_, {"native": {"key": "app-key"}})


def callbacks(house: House, *, allow_private: bool = True, timeout_s: float = 2.0, **options: Any) -> Callbacks:
    async def checked(url: str) -> list[str]:
        return await resolve(url, allow_private)

    options = {"pause_s": 0.05, "poll_s": 0.5} | options
    made = Callbacks(house.database, house.box, Poster(checked, timeout_s), app_of, **options)
    house.told.append(made.poke)
    house.closing.append(made.stop)
    return made


async def emit(house: House, written: Written, count: int, at_ns: int | None = None, first: int = 0) -> None:
    drafts = [
        Draft("segment.closed", at_ns or time.time_ns(), {"n": n}, f"test {n}") for n in range(first, first + count)
    ]

    def add(connection: Connection) -> None:
        assert lock(connection, [written.spec.id])
        add_events(connection, written.spec.id, drafts)

    await house.database.run(add)
    house._tell(written.spec.id)


async def states(house: House, written: Written) -> dict[str, int]:
    async with house.database.reading() as session:
        query = select(Event.state, func.count()).where(Event.recording == written.spec.id).group_by(Event.state)
        return dict((await session.execute(query)).all())  # type: ignore[arg-type]


async def until_delivered(house: House, written: Written, count: int, timeout_s: float = 10) -> None:
    async def done() -> bool:
        return (await states(house, written)).get("delivered", 0) == count

    await house.until(done, timeout_s)


async def test_three_errors_delay_the_events_but_change_neither_order_nor_signature(tmp_path: Path) -> None:
    async with House(tmp_path) as house, Endpoint(500, 500, 500) as endpoint:
        outbox = callbacks(house)
        await outbox.start()
        written = await house.make(callback={"url": endpoint.url, "secret": "s3cret"})
        written.begin("alice")
        written.segment()
        written.end()
        await house.until_state(written.spec.id)
        count = (await house.recording(written.spec.id)).event_seq
        await until_delivered(house, written, count)
        await outbox.stop()
        assert [event["seq"] for event in endpoint.taken] == list(range(1, count + 1))
        assert endpoint.taken[0]["type"] == "recording.started"
        assert endpoint.taken[-1]["type"] == "recording.finished"
        assert endpoint.taken[-1]["data"]["files"][0]["key"].endswith("alice_camera.m3u8")
        for _, headers, body in endpoint.got:
            signed = f"{headers['reelroom-id']}.{headers['reelroom-timestamp']}.".encode() + body
            assert headers["reelroom-signature"] == "v1=" + hmac.new(b"s3cret", signed, sha256).hexdigest()
            assert headers["reelroom-id"] == json.loads(body)["id"]
        async with house.database.reading() as session:
            tries = (await session.scalars(select(Attempt).order_by(Attempt.id))).all()
        assert [(one.status, one.error) for one in tries][:4] == [(500, "answered 500")] * 3 + [(200, "")]
        assert all(one.took_ns > 0 for one in tries)
        assert outbox.hosts_failing == 0


async def test_hanging_endpoints_of_others_delay_nobody(tmp_path: Path) -> None:
    async with House(tmp_path) as house, Endpoint() as good:
        outbox = callbacks(house, concurrency=4, timeout_s=120)
        await outbox.start()
        proxies = [Proxy("127.0.0.1", good.port, "refuse") for _ in range(6)]
        for proxy in proxies:
            await proxy.__aenter__()
            stuck = await house.make(callback={"url": proxy.url + "/x"})
            await emit(house, stuck, 3)

        async def known() -> bool:
            return outbox.hosts_failing == len(proxies)

        await house.until(known)
        for proxy in proxies:
            proxy.set("stall")
        before = sum(proxy.connections for proxy in proxies)

        def hanging() -> int:
            return sum(proxy.connections for proxy in proxies) - before

        async def full() -> bool:
            return hanging() == 4

        await house.until(full)
        fine = await house.make(callback={"url": good.url})
        await emit(house, fine, 5)
        await until_delivered(house, fine, 5, 60)
        assert hanging() == 4  # all of them still: when one ended, the next host's turn would have come
        for proxy in proxies:
            await proxy.__aexit__()
        await outbox.stop()


async def test_gone_is_given_up_and_the_next_event_still_goes(tmp_path: Path) -> None:
    async with House(tmp_path) as house, Endpoint(410) as endpoint:
        outbox = callbacks(house)
        await outbox.start()
        written = await house.make(callback={"url": endpoint.url})
        await emit(house, written, 2)
        await until_delivered(house, written, 1)
        assert await states(house, written) == {"given_up": 1, "delivered": 1}
        assert [event["seq"] for event in endpoint.taken] == [2]
        async with house.database.reading() as session:
            given_up = await session.scalar(select(Event.id).where(Event.state == "given_up"))
        assert given_up is not None
        assert await outbox.replay("somebody else", written.spec.id, given_up) is False
        assert await outbox.replay("app", "another recording", given_up) is False
        assert await outbox.replay("app", written.spec.id, given_up) is True
        await until_delivered(house, written, 2)
        await outbox.stop()


async def test_an_event_older_than_a_day_is_tried_once_and_given_up(tmp_path: Path) -> None:
    async with House(tmp_path) as house, Endpoint(500) as endpoint:
        outbox = callbacks(house)
        await outbox.start()
        written = await house.make(callback={"url": endpoint.url})
        await emit(house, written, 1, at_ns=time.time_ns() - 86_401 * 10**9)
        await emit(house, written, 1, first=1)
        await until_delivered(house, written, 1)
        assert (await states(house, written))["given_up"] == 1
        await outbox.stop()


async def test_a_vendors_rule_bounds_the_time_for_an_answer_and_the_age_of_what_is_tried_again(tmp_path: Path) -> None:
    def render(event: Event, *_: object) -> Rendered:
        return Rendered(endpoint.url, {}, json.dumps({"id": event.id}).encode(), timeout_s=0.2)

    async with House(tmp_path) as house, Endpoint(delay_s=1) as endpoint:
        rule = Renderer(render, None, (0.05,) * 1000, None, lambda _recording: 2.0)
        outbox = callbacks(house, timeout_s=30, renderer_of=lambda _dialect: rule)
        await outbox.start()
        written = await house.make(callback={"url": endpoint.url})
        await emit(house, written, 1)

        async def given_up() -> bool:
            return (await states(house, written)).get("given_up", 0) == 1

        await house.until(given_up, 30)
        await outbox.stop()
        async with house.database.reading() as session:
            tries = (await session.scalars(select(Attempt))).all()
        assert 1 < len(tries) < 100
        assert {(one.status, one.error) for one in tries} == {(None, "no answer within 0.2 s")}


@pytest.mark.parametrize("private", [True, False])
async def test_redirects_and_private_addresses_are_refused(tmp_path: Path, private: bool) -> None:
    async with House(tmp_path) as house, Endpoint() as inner, Endpoint(302, location=inner.url) as endpoint:
        outbox = callbacks(house, allow_private=private, pause_s=30)
        await outbox.start()
        written = await house.make(callback={"url": endpoint.url})
        await emit(house, written, 1)

        async def tried() -> bool:
            async with house.database.reading() as session:
                attempt = await session.scalar(select(Attempt))
            return attempt is not None and ("redirects are not" if private else "loopback or private") in attempt.error

        await house.until(tried)
        assert inner.got == []
        assert len(endpoint.got) == int(private)
        await outbox.stop()


async def test_only_the_events_asked_for_are_sent_and_silence_is_no_failure(tmp_path: Path) -> None:
    async with House(tmp_path) as house, Endpoint() as endpoint:
        outbox = callbacks(house)
        await outbox.start()
        written = await house.make(callback={"url": endpoint.url, "events": ["recording.stopped"]})
        written.begin("alice")
        written.segment()
        written.end()
        await house.until_state(written.spec.id)
        await until_delivered(house, written, 1)
        assert [event["type"] for event in endpoint.taken] == ["recording.stopped"]
        await outbox.stop()


async def test_a_renderer_that_fails_is_an_attempt_and_one_that_numbers_gets_what_was_before(tmp_path: Path) -> None:

    seen: list[list[Any]] = []

    def render(
        event: Event, recording: Any, callback: dict[str, Any], app: Any, *, earlier: list[Any]
    ) -> list[Rendered]:
        seen.append([one[3]["n"] for one in earlier])
        if len(seen) == 1:
            raise KeyError("uid")
        return [Rendered(callback["url"], {}, b"1"), Rendered(callback["url"], {}, b"2")]

    async with House(tmp_path) as house, Endpoint() as endpoint:
        outbox = callbacks(house, renderer_of=lambda dialect: Renderer(render, frozenset()))
        await outbox.start()
        written = await house.make(callback={"url": endpoint.url})
        await emit(house, written, 3)
        await until_delivered(house, written, 3)
        assert seen == [[], [], [0], [0, 1]]
        assert [body for _, _, body in endpoint.got] == [b"1", b"2"] * 3
        await outbox.stop()


async def test_what_was_not_delivered_is_after_a_restart(tmp_path: Path) -> None:
    async with House(tmp_path) as house, Endpoint() as endpoint, Proxy("127.0.0.1", endpoint.port, "refuse") as proxy:
        first = callbacks(house)
        await first.start()
        written = await house.make(callback={"url": proxy.url + "/h"})
        await emit(house, written, 3)
        await asyncio.sleep(0.3)
        await first.stop()
        house.told.clear()
        assert endpoint.got == []
        proxy.set("pass")
        second = callbacks(house)
        await second.start()
        await until_delivered(house, written, 3)
        assert [event["seq"] for event in endpoint.taken] == [1, 2, 3]
        await second.stop()


async def test_a_thousand_events_stay_in_order_in_bounded_memory(tmp_path: Path) -> None:
    async with House(tmp_path) as house, Endpoint() as endpoint:
        outbox = callbacks(house)
        many = [await house.make(callback={"url": endpoint.url}) for _ in range(10)]
        for written in many:
            await emit(house, written, 100)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await outbox.start()
        for written in many:
            await until_delivered(house, written, 100, 60)
        grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert endpoint.most_open <= 4  # PER_HOST
        for written in many:
            mine = [event["seq"] for event in endpoint.taken if event["recording"]["id"] == written.spec.id]
            assert mine == list(range(1, 101))
        assert grown_kb < 40_000

        async def idle() -> bool:
            return not outbox._queues and not outbox._hosts and not outbox._tasks

        await house.until(idle)
        await outbox.stop()
