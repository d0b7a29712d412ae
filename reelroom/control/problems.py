"""Errors as problem details (RFC 9457). Dialects with words of their own answer before this gets to see them."""

from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from reelroom.control.capacity import Overloaded
from reelroom.control.errors import ControlError
from reelroom.control.methods import allowed
from reelroom.control.rooms import PreconditionFailed, SdpRefused

log = structlog.get_logger("reelroom.http")

MEDIA_TYPE = "application/problem+json"
STATUS = {
    "invalid": 422,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "not_supported": 422,
    "unavailable": 503,
    "overloaded": 503,
    "too_large": 413,
}
_KINDS = {400: "invalid", 422: "invalid", **{status: kind for kind, status in STATUS.items() if status != 422}}
_KINDS[503] = "unavailable"
_KINDS[416] = "range-not-satisfiable"  # its phrase is another in other versions of Python
_MAX_ERRORS = 20


def problem(status: int, kind: str, detail: str, headers: dict[str, str] | None = None, **more: Any) -> JSONResponse:
    """One problem; `kind` makes its type: urn:reelroom:not-found."""
    body = {
        "type": "urn:reelroom:" + kind.replace("_", "-"),
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **{name: value for name, value in more.items() if value not in ("", None, [])},
    }
    return JSONResponse(body, status, headers, media_type=MEDIA_TYPE)


def of_error(error: ControlError) -> JSONResponse:
    status = STATUS[error.kind]
    if isinstance(error, SdpRefused):
        status = 400
    elif isinstance(error, PreconditionFailed):
        status = 412
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    elif status == 503:
        headers["Retry-After"] = "1"
    more = {"asked_cores": error.asked, "free_cores": error.free} if isinstance(error, Overloaded) else {}
    return problem(status, error.kind, error.message, headers, where=error.where, **more)


async def _control(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ControlError)
    return of_error(error)


async def _validation(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"where": ".".join(str(part) for part in one["loc"])[:200], "message": one["msg"][:300]}
        for one in error.errors()[:_MAX_ERRORS]
    ]
    first = errors[0] if errors else {"where": "", "message": "the request cannot be read"}
    malformed = any(one["type"] == "json_invalid" for one in error.errors()[:_MAX_ERRORS])
    return problem(400 if malformed else 422, "invalid", f"{first['where']}: {first['message']}", errors=errors)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    if error.status_code == 405:  # Starlette names the methods of one route only
        headers = {"Allow": ", ".join(allowed(request.scope))}
    kind = _KINDS.get(error.status_code, HTTPStatus(error.status_code).phrase.lower().replace(" ", "-"))
    return problem(error.status_code, kind, str(error.detail), headers)


async def _away(request: Request, error: Exception) -> JSONResponse:
    log.error("the database is away", path=request.url.path, error=repr(error)[:300])
    return problem(503, "unavailable", "the database does not answer: try again", {"Retry-After": "1"})


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    number = uuid.uuid4().hex
    log.error("unexpected", path=request.url.path, incident=number, exc_info=error)
    return problem(500, "internal", f"an unexpected error; the log has it under {number}")


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem."""
    app.add_exception_handler(ControlError, _control)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    for away in (OperationalError, InterfaceError, PoolTimeout, ConnectionError):
        app.add_exception_handler(away, _away)
    app.add_exception_handler(Exception, _unexpected)
