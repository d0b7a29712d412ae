"""The one exception that use cases raise at their callers. Each dialect says it in its own words."""

from __future__ import annotations

KINDS = (
    "invalid",
    "unauthorized",
    "forbidden",
    "not_found",
    "conflict",
    "not_supported",
    "unavailable",
    "overloaded",
    "too_large",
)


class ControlError(Exception):
    """Something a caller can be told: what kind, what, and where in the input (a JSON path)."""

    def __init__(self, kind: str, message: str, where: str = "") -> None:
        if kind not in KINDS:
            raise ValueError(f"unknown kind of error {kind!r}")
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.where = where
