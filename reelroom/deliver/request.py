"""One HTTP POST to somebody else's server, bounded in time and size. Retries nothing and stores nothing."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import httpx

from reelroom.domain.events import Rendered

MAX_ANSWER = 64 << 10  # bytes of an answer that are read at all; its content is of no use

#: The addresses that a URL's host has and that may be called; an exception with a reason when there are none.
Resolve = Callable[[str], Awaitable[list[str]]]


class Result(NamedTuple):
    """What came of a try: `status` None when there was no answer."""

    status: int | None
    error: str
    took_ns: int

    @property
    def ok(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Poster:
    """Sends requests to the very address that was checked: DNS may say something else a moment later.

    Follows no redirect: the place it names was not checked, and a signed request is meant for its URL alone.
    """

    def __init__(self, resolve: Resolve, timeout_s: float = 10.0) -> None:
        self._resolve = resolve
        self._timeout_s = timeout_s
        # No connection is kept: they are found by address, and hosts that share one have other certificates.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._client = httpx.AsyncClient(
            timeout=timeout_s,
            limits=limits,
            follow_redirects=False,
            trust_env=False,
            verify=ssl.create_default_context(),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def post(self, request: Rendered) -> Result:
        """Never raises for what the other side does."""
        began = time.monotonic_ns()
        timeout_s = request.timeout_s or self._timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                status = await self._send(request, timeout_s)
            error = "" if 200 <= status < 300 else f"answered {status}"
            if 300 <= status < 400:
                error += ": redirects are not followed"
        except TimeoutError:
            status, error = None, f"no answer within {timeout_s:g} s"
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, _Refused) as cause:
            status, error = None, f"{type(cause).__name__.lstrip('_')}: {cause}"[:300]
        return Result(status, error, time.monotonic_ns() - began)

    async def _send(self, request: Rendered, timeout_s: float) -> int:
        url = httpx.URL(request.url)
        try:
            addresses = await self._resolve(request.url)
        except Exception as error:  # the guard's own kind, which this layer does not know
            raise _Refused(str(error)) from error
        pinned = url.copy_with(host=addresses[0])
        headers = {**request.headers, "Host": url.netloc.decode("ascii"), "User-Agent": "reelroom"}
        async with self._client.stream(
            "POST", pinned, content=request.body, headers=headers, timeout=timeout_s,
            extensions={"sni_hostname": url.host},
        ) as answer:  # fmt: skip
            size = 0
            async for chunk in answer.aiter_raw():
                size += len(chunk)
                if size > MAX_ANSWER:
                    break
            return answer.status_code


class _Refused(Exception):
    """The URL's host may not be called, or cannot be found."""
