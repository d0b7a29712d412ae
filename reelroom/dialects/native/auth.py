"""Who calls: the native bearer key, a room token, or a signed URL. Holds no route."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import APIKeyQuery, HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.errors import ControlError
from reelroom.control.tokens import Grant, verify

URL_TTL_S = 12 * 3600
_key = HTTPBearer(auto_error=False, scheme_name="appKey", description="the app's native key")
_token = HTTPBearer(auto_error=False, scheme_name="roomToken", bearerFormat="JWT", description="see rooms/…/tokens")
_signature = APIKeyQuery(
    name="signature",
    auto_error=False,
    scheme_name="signedUrl",
    description="a file's `url` as answers say it: with `expires`, it opens the files of that recording",
)


def context(request: Request) -> Context:
    found: Context = request.app.state.context
    return found


async def _context(request: Request) -> Context:
    return context(request)  # FastAPI gives a function that is not async to a thread, on every call


ContextDep = Annotated[Context, Depends(_context)]


KeyDep = Annotated[HTTPAuthorizationCredentials | None, Depends(_key)]
SignatureDep = Annotated[str | None, Depends(_signature)]


async def by_key(ctx: ContextDep, bearer: KeyDep) -> AppContext:
    """The app whose key the request carries."""
    app = await ctx.apps.by_key(bearer.credentials) if bearer else None
    if app is None:
        raise ControlError("unauthorized", "needs Authorization: Bearer with the app's key")
    return app


async def caller(request: Request, ctx: ContextDep, bearer: KeyDep) -> AppContext:
    """The same, for calls whose query says nothing but what the OpenAPI document names."""
    app = await by_key(ctx, bearer)
    check_query(request)
    return app


class KeyRoute(APIRoute):
    """A route for whoever has a key: nobody else's body is read, and a body is JSON that says so."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        if self.body_field is None:
            return handler

        async def checked(request: Request) -> Response:
            await by_key(context(request), await _key(request))
            given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if given != "application/json" and not (given.startswith("application/") and given.endswith("+json")):
                raise HTTPException(415, "Content-Type must be application/json", {"Accept": "application/json"})
            return await handler(request)

        return checked


def check_query(request: Request) -> None:
    """ControlError for a parameter that the call does not have, or that is given twice and is no list."""
    if not request.scope["query_string"]:
        return
    document = request.app.openapi()
    path = request.scope["route"].path_format
    call = document["paths"].get(path, {}).get(request.method.lower(), {})
    known = {one["name"]: one["schema"] for one in call.get("parameters", ()) if one["in"] == "query"}
    for name, times in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in known:
            there = ", ".join(known) or "none"
            raise ControlError("invalid", f"no such parameter; there are {there}", f"query.{name}"[:80])
        if times > 1 and "array" not in _types(known[name]):
            raise ControlError("invalid", "is given more than once", f"query.{name}")


def _types(schema: dict[str, Any]) -> set[str]:
    return {one.get("type", "") for one in (schema, *schema.get("anyOf", ()))}


AppDep = Annotated[AppContext, Depends(caller)]
BearerDep = Annotated[HTTPAuthorizationCredentials | None, Depends(_token)]


async def grant(ctx: Context, bearer: HTTPAuthorizationCredentials | None, expired_ok: bool = False) -> Grant:
    """What the room token of this request allows."""
    if bearer is None:
        raise ControlError("unauthorized", "needs Authorization: Bearer with a room token (JWT)")
    return await verify(ctx.apps, bearer.credentials, expired_ok)


def sign(key: bytes, app: str, recording: str, expires_s: int) -> str:
    """The signature that opens all files of one recording until `expires_s` (Unix seconds)."""
    return hmac.new(key, f"{app}\n{recording}\n{expires_s}".encode(), hashlib.sha256).hexdigest()[:40]


def query(key: bytes, app: str, recording: str, now_s: float | None = None) -> tuple[str, int]:
    """The query string of a signed URL, and when it expires."""
    # Rounded up to the hour, so that a player sees the same URL in the next answer and its cache works.
    expires = (int(time.time() if now_s is None else now_s) + URL_TTL_S) // 3600 * 3600 + 3600
    return f"expires={expires}&signature={sign(key, app, recording, expires)}", expires


def check_signature(key: bytes, app: str, recording: str, expires_s: int, signature: str) -> None:
    """ControlError("forbidden") unless `query` made them and they have not expired."""
    if not hmac.compare_digest(sign(key, app, recording, expires_s).encode(), signature.encode()):
        raise ControlError("forbidden", "the signature of this URL is wrong")
    if expires_s < time.time():
        raise ControlError("forbidden", "this URL has expired: ask for the files again")
