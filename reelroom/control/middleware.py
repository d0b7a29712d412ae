"""What every request passes before any route: bounds on its body, CORS. Knows no route's meaning."""

from __future__ import annotations

import asyncio

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reelroom.control.methods import allowed
from reelroom.control.problems import problem

EXPOSED = "Location, ETag, Link, Accept-Patch, Retry-After, Idempotent-Replayed, Content-Range, X-Request-ID"
ALLOWED_HEADERS = "Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, Range, X-Request-ID"
_SIGNALLING = ("/whip/", "/whep/")
_OURS = ("/api/", *_SIGNALLING)  # dialects say it in words of their own
BODY_S = 60.0  # for a whole body, from when it is first asked for


class NoNul:
    """Answers 400 to NUL in a path or a query: there is nothing of that name, and PostgreSQL would not even look."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and ("\0" in scope["path"] or b"%00" in scope["query_string"]):
            await problem(400, "invalid", "NUL is in no path and no query here")(scope, receive, send)
            return
        await self.app(scope, receive, send)


class BodyLimit:
    """Answers 413 to a body that is longer than allowed, before it is in memory, and 408 to one that does not come.

    Where a dialect answers, its reading of the body raises that as an HTTPException.
    """

    def __init__(self, app: ASGIApp, limit: int, sdp_limit: int) -> None:
        self.app = app
        self.limit = limit
        self.sdp_limit = sdp_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.sdp_limit if scope["path"].startswith(_SIGNALLING) else self.limit
        message = f"the body may have at most {limit} bytes"
        length = Headers(scope=scope).get("content-length", "0")
        too_long = not length.isdecimal() or int(length) > limit
        if too_long and scope["path"].startswith(_OURS):
            # No "Connection: close": the reset would overtake this answer. The server drops the rest unread.
            await problem(413, "too_large", message)(scope, receive, send)
            return
        received = 0
        whole = False
        deadline: float | None = None

        async def counted() -> Message:
            nonlocal received, whole, deadline
            if whole:
                return await receive()  # for the end of the connection, however late
            if too_long:
                raise HTTPException(413, message)
            deadline = deadline or asyncio.get_running_loop().time() + BODY_S
            try:
                async with asyncio.timeout_at(deadline):
                    part = await receive()
            except TimeoutError:
                raise HTTPException(408, f"the body did not come within {BODY_S:g} seconds") from None
            if part["type"] == "http.request":
                received += len(part.get("body", b""))
                whole = not part.get("more_body", False)
                if received > limit:
                    raise HTTPException(413, message)
            return part

        await self.app(scope, counted, send)


class Cors:
    """Cross-origin access for the configured origins (no cookies are used, so `*` gives nothing away).

    Also answers OPTIONS of WHIP and WHEP with what they accept (RFC 9725, section 4.2).
    """

    def __init__(self, app: ASGIApp, origins: list[str]) -> None:
        self.app = app
        self.origins = frozenset(origins)

    def _allow(self, headers: MutableHeaders, origin: str | None) -> None:
        if "*" in self.origins:
            headers["Access-Control-Allow-Origin"] = "*"
        else:
            headers.add_vary_header("Origin")
            if origin not in self.origins or origin is None:
                return
            headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = EXPOSED

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        origin = Headers(scope=scope).get("origin")
        if scope["method"] == "OPTIONS":
            headers = MutableHeaders()
            self._allow(headers, origin)
            methods = ", ".join(allowed(scope))
            headers["Allow"] = methods
            if "Access-Control-Allow-Origin" in headers:
                headers["Access-Control-Allow-Methods"] = methods
                headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
                headers["Access-Control-Max-Age"] = "3600"
            if scope["path"].startswith(_SIGNALLING):
                headers["Accept-Post"] = "application/sdp"
                headers["Accept-Patch"] = "application/trickle-ice-sdpfrag"
            await send({"type": "http.response.start", "status": 204, "headers": headers.raw})
            await send({"type": "http.response.body"})
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._allow(MutableHeaders(scope=message), origin)
            await send(message)

        await self.app(scope, receive, with_headers)
