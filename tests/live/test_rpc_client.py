"""The client of an ingest process's requests: pipelined, in time, connected again, and safe from junk."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from reelroom.rooms import protocol
from reelroom.rooms.rpc import RpcClient, RpcError, RpcUnavailable

Handler = Callable[[protocol.Request, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def ingest(path: Path, handler: Handler):
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        try:
            while True:
                length, kind = protocol.PREFIX.unpack(await reader.readexactly(protocol.PREFIX.size))
                await handler(protocol.decode(kind, await reader.readexactly(length - 1)), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_unix_server(serve, str(path))
    try:
        yield
    finally:
        server.close()
        for writer in writers:
            writer.close()
        path.unlink(missing_ok=True)


async def echo(request: protocol.Request, writer: asyncio.StreamWriter) -> None:
    writer.write(protocol.encode(protocol.Reply(id=request.id, result=request.params)))


async def test_replies_find_their_requests_in_any_order(tmp_path: Path) -> None:
    held: list[protocol.Request] = []

    async def backwards(request: protocol.Request, writer: asyncio.StreamWriter) -> None:
        held.append(request)
        if len(held) == 50:
            for one in reversed(held):
                await echo(one, writer)

    async with ingest(tmp_path / "s", backwards):
        client = RpcClient(tmp_path / "s")
        answers = await asyncio.gather(*(client.call("m", {"n": number}) for number in range(50)))
        assert [answer["n"] for answer in answers] == list(range(50))
        await client.close()


async def test_refusals_carry_their_code(tmp_path: Path) -> None:
    async def refuse(request: protocol.Request, writer: asyncio.StreamWriter) -> None:
        writer.write(protocol.encode(protocol.Reply(id=request.id, error="no such room", code="not_found")))

    async with ingest(tmp_path / "s", refuse):
        client = RpcClient(tmp_path / "s")
        with pytest.raises(RpcError) as caught:
            await client.call("rooms.get")
        assert (caught.value.code, caught.value.message) == ("not_found", "no such room")
        await client.close()


async def test_silence_and_absence_end_in_time(tmp_path: Path) -> None:
    async def silent(request: protocol.Request, writer: asyncio.StreamWriter) -> None:
        if request.method == "late":
            return
        await echo(request, writer)

    client = RpcClient(tmp_path / "s")
    with pytest.raises(RpcUnavailable):
        await client.call("m", timeout_s=0.2)
    async with ingest(tmp_path / "s", silent):
        with pytest.raises(RpcUnavailable, match="did not answer"):
            await client.call("late", timeout_s=0.2)
        assert await client.call("m", {"a": 1}) == {"a": 1}  # the connection is still good
        await client.close()


async def test_a_restarted_ingest_is_found_again(tmp_path: Path) -> None:
    client = RpcClient(tmp_path / "s")

    async def hang_up(request: protocol.Request, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with ingest(tmp_path / "s", hang_up):
        with pytest.raises(RpcUnavailable, match="went away"):
            await client.call("m")
    waiting = asyncio.create_task(client.call("m", {"a": 1}))  # before it is back
    await asyncio.sleep(0.2)
    async with ingest(tmp_path / "s", echo):
        assert await waiting == {"a": 1}
        await client.close()


@pytest.mark.parametrize(
    "junk",
    [
        protocol.PREFIX.pack(0, 0),
        protocol.PREFIX.pack(0xFFFFFFFF, protocol.REPLY),
        protocol.PREFIX.pack(4, protocol.REPLY) + b"\xc1\xc1\xc1",
    ],
)
async def test_junk_breaks_the_connection_and_nothing_else(tmp_path: Path, junk: bytes) -> None:
    first = True

    async def once(request: protocol.Request, writer: asyncio.StreamWriter) -> None:
        nonlocal first
        if first:
            first = False
            writer.write(junk)
            return
        await echo(request, writer)

    async with ingest(tmp_path / "s", once):
        client = RpcClient(tmp_path / "s")
        with pytest.raises(RpcUnavailable):
            await client.call("m", timeout_s=2)
        assert await client.call("m", {"a": 1}) == {"a": 1}
        await client.close()
