"""Room tokens (JWT, HS256): who may publish or watch in which room, until when. Holds no HTTP."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import jwt

from reelroom.control.apps import AppContext, Apps
from reelroom.control.errors import ControlError
from reelroom.domain.names import check_name

PUBLISH, WATCH = "publish", "watch"
PERMISSIONS = (PUBLISH, WATCH)
SOURCES = ("camera", "screen")
ANY_ROOM = "*"
MAX_TTL_S = 7 * 86_400
MAX_TOKEN = 4096
LEEWAY_S = 10  # clocks of minting servers differ a little

# The dev app's key is short on purpose and loopback only; `app add` makes long ones.
warnings.filterwarnings("ignore", message="The HMAC key is")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a verified token allows."""

    app: str
    room: str  # "*": every room of the app
    identity: str
    permissions: frozenset[str]
    expires_s: int
    source: str = ""  # "camera" or "screen" when the token fixes it

    def check(self, room: str, permission: str) -> None:
        """ControlError("forbidden") unless this allows `permission` in `room`."""
        if self.room not in (room, ANY_ROOM):
            raise ControlError("forbidden", "the token is for another room")
        if permission not in self.permissions:
            raise ControlError("forbidden", f"the token does not permit to {permission}")


def mint(
    app: AppContext,
    room: str,
    identity: str,
    permissions: tuple[str, ...] = PERMISSIONS,
    ttl_s: int = 6 * 3600,
    source: str = "",
    now_s: float | None = None,
) -> str:
    """A token signed with the app's native key. ControlError("invalid") on names or times that cannot be."""
    _check_names(room, identity)
    if not 1 <= ttl_s <= MAX_TTL_S:
        raise ControlError("invalid", f"must be 1 to {MAX_TTL_S} seconds", "ttl_s")
    if not permissions or set(permissions) - set(PERMISSIONS):
        raise ControlError("invalid", "must be of " + ", ".join(PERMISSIONS), "permissions")
    if source and source not in SOURCES:
        raise ControlError("invalid", "must be camera or screen", "source")
    now = int(time.time() if now_s is None else now_s)
    claims: dict[str, Any] = {
        "iss": app.id,
        "sub": identity,
        "room": room,
        "permissions": list(permissions),
        "iat": now,
        "exp": now + ttl_s,
    }
    if source:
        claims["source"] = source
    return jwt.encode(claims, app.key, algorithm="HS256", headers={"kid": app.id})


async def verify(apps: Apps, token: str, expired_ok: bool = False) -> Grant:
    """What `token` allows. ControlError("unauthorized") when it is not an app's, was changed, or has expired.

    `expired_ok`: for taking down what was set up while it was valid.
    """
    if not token or len(token) > MAX_TOKEN:
        raise ControlError("unauthorized", "a bearer token is needed (JWT, HS256)")
    try:
        named = jwt.decode(token, options={"verify_signature": False}).get("iss")
        app = await apps.by_id(named) if isinstance(named, str) else None
        if app is None:
            raise ControlError("unauthorized", "the token names no app here (iss)")
        claims = jwt.decode(
            token,
            app.key,
            algorithms=["HS256"],
            leeway=LEEWAY_S,
            options={"require": ["exp", "iss"], "verify_exp": not expired_ok, "verify_aud": False},
        )
    except jwt.ExpiredSignatureError as error:
        raise ControlError("unauthorized", "the token has expired") from error
    except jwt.InvalidTokenError as error:
        raise ControlError("unauthorized", f"not a valid token: {error}") from error
    except (RecursionError, OverflowError) as error:  # a thousand brackets, a time beyond all numbers
        raise ControlError("unauthorized", f"not a valid token: {type(error).__name__}") from error
    return _grant(app.id, claims)


def _grant(app: str, claims: dict[str, Any]) -> Grant:
    room, identity = claims.get("room"), claims.get("identity", claims.get("sub"))
    permissions, source = claims.get("permissions"), claims.get("source", "")
    if not isinstance(room, str) or not isinstance(identity, str):
        raise ControlError("unauthorized", "the token lacks room or identity (sub)")
    _check_names(room, identity, kind="unauthorized")
    if not isinstance(permissions, list) or not all(isinstance(item, str) for item in permissions):
        raise ControlError("unauthorized", "the token's permissions must be a list of strings")
    if source not in ("", *SOURCES):
        raise ControlError("unauthorized", "the token's source must be camera or screen")
    try:
        expires_s = int(claims["exp"])
    except (TypeError, ValueError, OverflowError) as error:  # unchecked when it may have expired
        raise ControlError("unauthorized", "the token's exp must be a number") from error
    return Grant(app, room, identity, frozenset(permissions), expires_s, source)


def _check_names(room: str, identity: str, kind: str = "invalid") -> None:
    for where, value in (("room", room), ("identity", identity)):
        try:
            check_name(where, value)
        except ValueError as error:
            raise ControlError(kind, str(error), where) from error
