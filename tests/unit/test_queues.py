"""Message queues: who receives what, what is hidden from whom and for how long; callbacks that go into them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from reelroom.control.errors import ControlError
from reelroom.control.queues import Queues, is_queue
from reelroom.deliver import queues as deliver
from reelroom.store.db import Database
from reelroom.store.migrations import upgrade
from reelroom.store.tables import Message

S = 1_000_000_000


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'q.db'}")
    await upgrade(made.engine)
    yield made
    await made.close()


@pytest.fixture
def queues(database: Database) -> Queues:
    return Queues(database)


async def _later(database: Database, seconds: int) -> None:
    """As if so much time had passed."""
    async with database.transaction() as session:
        past = {"visible_ns": Message.visible_ns - seconds * S, "created_ns": Message.created_ns - seconds * S}
        await session.execute(update(Message).values(**past))


async def test_messages_come_in_order_and_each_to_one_receiver(queues: Queues) -> None:
    await queues.create("a", "q")
    for number in range(20):
        await queues.send("a", "q", str(number).encode())
    taken = await asyncio.gather(*(queues.receive("a", "q", 4) for _ in range(6)))
    bodies = [one.body for some in taken for one in some]
    assert sorted(bodies, key=int) == [str(number).encode() for number in range(20)]
    assert len(bodies) == 20
    first = next(some for some in taken if some and some[0].body == b"0")
    assert [one.body for one in first] == [b"0", b"1", b"2", b"3"]
    assert await queues.receive("a", "q") == []


async def test_what_is_not_removed_in_time_comes_again_and_the_old_receipt_is_void(
    queues: Queues, database: Database
) -> None:
    await queues.send("a", "q", b"m")
    (one,) = await queues.receive("a", "q")
    assert (one.received, one.visible_ns - one.first_ns) == (1, 30 * S)
    await _later(database, 29)
    assert await queues.receive("a", "q") == []
    await _later(database, 2)
    (again,) = await queues.receive("a", "q", visibility_s=5)
    assert (again.id, again.received, again.first_ns) == (one.id, 2, one.first_ns)
    with pytest.raises(ControlError):
        await queues.remove("a", "q", one.receipt)
    longer = await queues.postpone("a", "q", again.receipt, 1000)
    await _later(database, 100)
    assert await queues.receive("a", "q") == []
    await queues.remove("a", "q", longer.receipt)
    await _later(database, 100_000)
    assert await queues.receive("a", "q") == []
    with pytest.raises(ControlError):
        await queues.remove("a", "q", longer.receipt)


async def test_a_message_that_was_never_received_has_no_receipt(queues: Queues) -> None:
    await queues.send("a", "q", b"m")
    with pytest.raises(ControlError):
        await queues.remove("a", "q", "")


async def test_queues_are_their_apps_own(queues: Queues) -> None:
    await queues.send("a", "q", b"m")
    for call in (queues.receive("b", "q"), queues.get("b", "q"), queues.delete("b", "q")):
        with pytest.raises(ControlError) as caught:
            await call
        assert caught.value.kind == "not_found"
    (one,) = await queues.receive("a", "q")
    await queues.create("b", "q")
    with pytest.raises(ControlError):
        await queues.remove("b", "q", one.receipt)
    assert [(row.name, count) for row, count in await queues.list("a")] == [("q", 1)]
    await queues.delete("a", "q")
    assert await queues.list("a") == []


async def test_a_receiver_waits_for_a_message(queues: Queues) -> None:
    await queues.create("a", "q")
    waiting = asyncio.create_task(queues.receive("a", "q", wait_s=20))
    await asyncio.sleep(0.1)
    await queues.send("a", "q", b"late")
    assert [one.body for one in await waiting] == [b"late"]
    began = time.monotonic()
    assert await queues.receive("a", "q", wait_s=0.2) == []
    assert time.monotonic() - began >= 0.2


async def test_old_messages_go(queues: Queues, database: Database) -> None:
    await queues.create("a", "q", retention_s=3600)
    await queues.send("a", "q", b"old")
    await _later(database, 3700)
    await queues.send("a", "q", b"new")
    assert await queues.sweep() == (1, None)
    assert [one.body for one in await queues.receive("a", "q", 16)] == [b"new"]


async def test_a_callback_is_put_once_whatever_is_killed(database: Database, queues: Queues) -> None:
    for _ in range(2):
        result = await deliver.deliver(database, "a", "queue://events", b"{}", "event.0")
        assert result.ok
    assert [one.body for one in await queues.receive("a", "events", 16)] == [b"{}"]
    refused = await deliver.deliver(database, "a", "queue://events", b"x" * (deliver.MAX_BODY + 1), "event.1")
    assert (refused.ok, refused.status) == (False, 413)
    async with database.reading() as session:
        assert len((await session.scalars(select(Message.id))).all()) == 1


def test_only_queues_names_are_taken_as_queues() -> None:
    assert is_queue("queue://record-callback-queue", "url")
    assert not is_queue("https://example.com/", "url")
    for wrong in ("queue://", "queue://a/b", "queue://-a", "queue://a b", "queue://" + "a" * 121):
        with pytest.raises(ControlError):
            is_queue(wrong, "url")


@pytest.mark.parametrize(("visibility_s", "retention_s"), [(0, 3600), (43_201, 3600), (30, 59), (30, 604_801)])
async def test_settings_have_bounds(queues: Queues, visibility_s: int, retention_s: int) -> None:
    with pytest.raises(ControlError):
        await queues.create("a", "q", visibility_s, retention_s)


async def test_empty_and_long_messages_are_refused(queues: Queues) -> None:
    for body in (b"", b"x" * 65_537):
        with pytest.raises(ControlError):
            await queues.send("a", "q", body)
