"""Which vendor a request to `/` is meant for: several of them have one path only, and tell calls by other means.

Reads the request once and hands it to the first dialect that claims it. Knows no vendor, checks no signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol
from urllib.parse import parse_qsl

from fastapi import APIRouter, HTTPException, Request
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from reelroom.control.context import Context
from reelroom.control.problems import problem

FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 1000  # of a query or form; one with more has none
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]


@dataclass(frozen=True)
class Call:
    """A request that was read to its end. Bytes are as they came, for signatures over them."""

    method: str
    path: str  # decoded
    query_string: bytes
    headers: Headers
    body: bytes
    broken: str = ""  # why the body could not be read; `body` is empty then
    host: str = ""  # scheme and host as the client wrote them

    @property
    def content_type(self) -> str:
        """Without parameters, in lower case; "" when there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @cached_property
    def query(self) -> dict[str, str]:
        """Of a name that is given twice the last value, as most vendors' gateways have it."""
        return _fields(self.query_string.decode("latin-1"))

    @cached_property
    def form(self) -> dict[str, str]:
        """The body's fields when it is a form, else empty. JSON is none, though curl and PHP call it one by default."""
        if self.content_type != FORM or self.body.lstrip()[:1] in (b"{", b"["):
            return {}
        return _fields(self.body.decode("latin-1"))

    @cached_property
    def parameters(self) -> dict[str, str]:
        """Query and form together; the query has precedence."""
        return self.form | self.query


class Dialect(Protocol):
    """A vendor with one path for all calls. Made once per control process, at its first request."""

    def __init__(self, context: Context) -> None: ...

    @staticmethod
    def claims(call: Call) -> bool:
        """Whether this request is meant for this vendor, however wrong it is otherwise."""
        ...

    async def answer(self, call: Call) -> Response:
        """The answer, refusals in the vendor's words among them. Raises nothing."""
        ...


def router(kinds: Sequence[type[Dialect]], path: str = "/") -> APIRouter:
    """The routes of `path`. The order matters: the first that claims a request gets it."""
    made = APIRouter(include_in_schema=False)

    async def endpoint(request: Request) -> Response:
        call = await read(request)
        for kind in kinds:
            if kind.claims(call):
                return await _dialect(request, kind).answer(call)
        return problem(404, "not_found", "there is nothing here; the API is at /api/v1")

    made.add_route(path, endpoint, methods=_METHODS, include_in_schema=False)
    return made


def _dialect(request: Request, kind: type[Dialect]) -> Dialect:
    state: Any = request.app.state
    if getattr(state, "dialects", None) is None:
        state.dialects = {}
    if kind not in state.dialects:
        state.dialects[kind] = kind(state.context)
    found: Dialect = state.dialects[kind]
    return found


async def read(request: Request) -> Call:
    """The request with its body, which the server's own bounds keep small."""
    body, broken = b"", ""
    try:
        body = await request.body()
    except HTTPException as error:  # too large, or too slow
        broken = str(error.detail)
    except ClientDisconnect:
        broken = "the connection ended before the body did"
    return Call(
        method=request.method,
        path=request.url.path,
        query_string=request.scope["query_string"],
        headers=request.headers,
        body=body,
        broken=broken,
        host=f"{request.url.scheme}://{request.url.netloc}",
    )


def _fields(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:  # more fields than any call has
        return {}
