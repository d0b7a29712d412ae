"""Which HTTP methods a path takes. Holds no route."""

from __future__ import annotations

from starlette.routing import Match
from starlette.types import Scope

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def allowed(scope: Scope) -> list[str]:
    """All methods that some route has for this path, and OPTIONS, which every path takes (RFC 9110, section 10.2.1)."""
    routes = scope["app"].routes
    found = [
        method
        for method in _METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    return [*found, "OPTIONS"]
