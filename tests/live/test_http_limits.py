"""Clients that send too much or too slowly, at a real HTTP server: hung up on, and nobody else notices."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request

from reelroom.control import middleware, problems, protocol
from reelroom.control.protocol import MAX_HEAD, BoundedHttp


@pytest.fixture
async def port() -> AsyncIterator[int]:
    app = FastAPI()
    problems.install(app)

    @app.post("/length")
    async def length(request: Request) -> dict[str, int]:
        return {"length": len(await request.body())}

    app.add_middleware(middleware.BodyLimit, limit=1 << 20, sdp_limit=1 << 10)
    config = uvicorn.Config(app, port=0, http=BoundedHttp, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


async def answer_to(port: int, *parts: bytes, wait_s: float = 0.02) -> bytes:
    """What comes back until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(wait_s)
    except ConnectionError:
        pass  # it hung up in the middle
    try:
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def works(port: int) -> bool:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer: Any = (await client.post(f"http://127.0.0.1:{port}/length", content=b"x" * 100_000)).json()
    return bool(answer == {"length": 100_000})


@pytest.mark.parametrize(
    "start",
    [b"GET /", b"GET / HTTP/1.1\r\nX-A: ", b"GET / HTTP/1.1\r\nX-A: b\r\n"],
    ids=["URL", "one header", "many headers"],
)
async def test_a_head_without_end_is_refused(port: int, start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_S", 1000)  # its length is what ends it
    more = b"x: y\r\n" * 1000 if start.endswith(b"\r\n") else b"a" * 6000
    got = await answer_to(port, start, *[more] * (2 * MAX_HEAD // len(more)), wait_s=0.001)
    assert got == b"" or got.startswith(b"HTTP/1.1 431 "), got
    assert await works(port)


async def test_a_long_head_within_the_bound_passes(port: int) -> None:
    async with httpx.AsyncClient(trust_env=False, headers={"X-Long": "a" * (MAX_HEAD - 2000)}) as client:
        for _ in range(2):
            assert (await client.post(f"http://127.0.0.1:{port}/length", content=b"xy")).json() == {"length": 2}


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"POST /length HTTP/1.1\r\nHost: x\r\n",
        b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n\r\n",
    ],
    ids=["nothing", "half a head", "a request and an empty line"],
)
async def test_who_sends_no_whole_head_is_hung_up_on(port: int, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    monkeypatch.setattr(protocol, "HEAD_S", 0.2)
    got = await answer_to(port, said)
    assert got == b"" or got.startswith(b"HTTP/1.1 200 ")
    assert await works(port)


async def test_a_body_that_does_not_come_is_408(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "BODY_S", 0.2)
    monkeypatch.setattr(protocol, "HEAD_S", 0.5)
    head = b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    got = await answer_to(port, head, *[b"x"] * 4, wait_s=0.02)
    assert got.startswith(b"HTTP/1.1 408 "), got
    assert await works(port)


async def test_more_connections_than_the_bound_are_hung_up_on(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_CONNECTIONS", 3)
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    await asyncio.sleep(0.1)
    assert await answer_to(port, b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n") == b""
    for _, writer in held:
        writer.close()
        await writer.wait_closed()
    await asyncio.sleep(0.1)
    assert await works(port)
