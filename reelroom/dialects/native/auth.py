"""Who calls: the native bearer key, a room token, or a signed URL. Holds no route."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.errors import ControlError
from reelroom.control.tokens import Grant, verify

URL_TTL_S = 12 * 3600
_key = HTTPBearer(auto_error=False, scheme_name="App key", description="the app's native key")
_token = HTTPBearer(auto_error=False, scheme_name="Room token", bearerFormat="JWT", description="see rooms/…/tokens")


def context(request: Request) -> Context:
    found: Context = request.app.state.context
    return found


ContextDep = Annotated[Context, Depends(context)]


KeyDep = Annotated[HTTPAuthorizationCredentials | None, Depends(_key)]


async def by_key(ctx: ContextDep, bearer: KeyDep) -> AppContext:
    """The app whose key the request carries."""
    app = await ctx.apps.by_key(bearer.credentials) if bearer else None
    if app is None:
        raise ControlError("unauthorized", "needs Authorization: Bearer with the app's key")
    return app


AppDep = Annotated[AppContext, Depends(by_key)]
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
