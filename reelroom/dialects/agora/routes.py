"""Agora's HTTP surface: paths, authentication, bodies, headers and how errors go out. Decides nothing about recordings.

Paths are matched here and not by FastAPI, because the vendor's gateway answers a wrong method like a wrong path.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse
from starlette.convertors import PathConvertor, register_url_convertor

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.errors import ControlError
from reelroom.dialects.agora import auth, errors, limits, senders
from reelroom.dialects.agora.sessions import Sessions
from reelroom.dialects.agora.settings import settings
from reelroom.dialects.agora.translate import INDIVIDUAL, MIX
from reelroom.dialects.agora.wire import Frame, parse
from reelroom.dialects.wording import named

log = structlog.get_logger("reelroom.agora")

MAX_BODY = 256 * 1024
MAX_DEPTH = 64  # of JSON within JSON
REGIONS = ("na", "eu", "ap", "cn")  # an optional first path segment that the vendor's Python client writes

_BASE = r"/v1/apps/(?P<appid>[^/]{1,128})/cloud_recording"
_RESOURCE = _BASE + r"/resourceid/(?P<resource>[^/]+)"
_SID = _RESOURCE + r"/sid/(?P<sid>[^/]{1,128})"
_MODE = r"/mode/(?P<mode>individual|mix|web|raw)"
_ROUTES = [
    ("POST", re.compile(_BASE + "/acquire"), "acquire"),
    ("POST", re.compile(_RESOURCE + _MODE + "/start"), "start"),
    ("GET", re.compile(_SID + _MODE + "/query"), "query"),
    ("POST", re.compile(_SID + _MODE + "/update"), "update"),
    ("POST", re.compile(_SID + "/mode/(?P<mode>mix)/updateLayout"), "updateLayout"),
    ("POST", re.compile(_SID + _MODE + "/stop"), "stop"),
]
#: Fields of the use cases → parameters.
_WHERE = {
    "destination": "clientRequest.storageConfig",
    "destination.options.endpoint": "clientRequest.storageConfig.extensionParams.endpoint",
    "mix": "clientRequest.recordingConfig.transcodingConfig",
    "scene": "clientRequest",
    "subscription": "clientRequest.streamSubscribe",
}
_SENDERS = re.compile("/v[12]/ncs/ip")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]

router = APIRouter(include_in_schema=False)


class Dialect:
    """What the routes keep between requests, once per control process."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.sessions = Sessions(context)
        self.rate = limits.RateLimit()

    async def app(self, request: Request, appid: str) -> AppContext:
        """The app that this request may use: credentials first, then the App ID, then the rate (section 1.2)."""
        given = auth.basic(request.headers.get("authorization"))
        app = await self.context.apps.by_dialect("agora", appid)
        if app is None:
            known = any(auth.matches(given, other.secrets.get("agora")) for other in self.context.apps.known())
            raise errors.unknown_app() if known else errors.wrong_credentials()
        if not auth.matches(given, app.secrets.get("agora")):
            raise errors.wrong_credentials()
        self._count(app, appid)
        return app

    def customer(self, request: Request) -> None:
        """GatewayError unless these are the credentials of any app; they count as a request of it."""
        given = auth.basic(request.headers.get("authorization"))
        app = next((app for app in self.context.apps.known() if auth.matches(given, app.secrets.get("agora"))), None)
        if app is None:
            raise errors.wrong_credentials()
        self._count(app, str(app.secrets["agora"].get("appid", "")))

    def _count(self, app: AppContext, appid: str) -> None:
        per_second = settings(app).requests_per_second
        self.rate.take(appid, time.monotonic_ns(), per_second, max(1, round(per_second)))

    async def answer(self, request: Request, path: str) -> dict[str, Any]:
        if request.method == "GET" and _SENDERS.fullmatch(path):
            self.customer(request)
            settings_ = self.context.settings
            return senders.answer(senders.addresses(settings_.rtc_announce, settings_.rtc_host))
        call, names = _route(request.method, path)
        app = await self.app(request, names["appid"])
        frame = None if call == "query" else await _frame(request)
        if names.get("mode", INDIVIDUAL) not in (INDIVIDUAL, MIX):
            raise errors.not_supported(f"mode {names['mode']}: this server records in modes individual and mix")
        return await self._call(call, app, names, frame)

    async def _call(self, call: str, app: AppContext, names: dict[str, str], frame: Frame | None) -> dict[str, Any]:
        sessions, appid, mode = self.sessions, names["appid"], names.get("mode", INDIVIDUAL)
        if call == "query":
            return await sessions.query(app, appid, names["resource"], names["sid"], mode)
        assert frame is not None  # every other call is a POST
        if call == "acquire":
            return await sessions.acquire(app, appid, frame)
        if call == "start":
            return await sessions.start(app, appid, names["resource"], mode, frame)
        act = {"update": sessions.update, "updateLayout": sessions.update_layout, "stop": sessions.stop}[call]
        return await act(app, appid, names["resource"], names["sid"], mode, frame)


def _route(method: str, path: str) -> tuple[str, dict[str, str]]:
    """The call that a path means and the names in it; GatewayError 404."""
    for wanted, pattern, call in _ROUTES:
        found = pattern.fullmatch(path)
        if found and method == wanted:
            return call, found.groupdict()
    raise errors.no_route()


async def _frame(request: Request) -> Frame:
    """The body, which is small JSON with the three keys that every POST has."""
    kind = request.headers.get("content-type", "")
    if kind and kind.partition(";")[0].strip().lower() != "application/json":
        raise errors.bad_content_type(kind[:100])
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                raise errors.too_large()
    except HTTPException as error:  # the server's own bounds
        raise (errors.too_slow() if error.status_code == 408 else errors.too_large()) from None
    try:
        data = json.loads(bytes(body))
        json.dumps(data, ensure_ascii=False).encode()  # no half of a surrogate pair, which no text can hold
    except (ValueError, RecursionError):
        raise errors.body_check_failed("the body is not JSON") from None
    if _depth(data) > MAX_DEPTH:
        raise errors.body_check_failed(f"the body is nested deeper than {MAX_DEPTH}")
    if not isinstance(data, dict):
        raise errors.body_check_failed("the body must be a JSON object")
    return parse(Frame, data, "body")


def _depth(data: Any) -> int:
    """How deep JSON is nested: 1 for an object of plain values."""
    depth, level = 0, [data]
    while level := [value for value in level if isinstance(value, (dict, list))]:
        depth += 1
        level = [inner for value in level for inner in (value.values() if isinstance(value, dict) else value)]
    return depth


def _said(error: ControlError) -> errors.ServiceError:
    """A use case's refusal in Agora's words."""
    where = named(error.where, _WHERE)
    message = f"{where}: {error.message}" if where else error.message
    match error.kind:
        case "not_found":
            return errors.no_worker()
        case "not_supported":
            return errors.not_supported(message)
        case "unavailable" | "overloaded":
            return errors.no_capacity(message)
        case _:
            return errors.invalid(message)


async def _respond(request: Request, act: Callable[[], Awaitable[dict[str, Any]]]) -> JSONResponse:
    given = request.headers.get("x-request-id", "")
    request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    status, headers = 200, {"X-Request-ID": request_id}
    try:
        body = await act()
    except errors.AgoraError as error:
        status, body = error.status, error.body
        headers |= error.headers
    except ControlError as error:
        said = _said(error)
        status, body = said.status, said.body
    except Exception:
        log.exception("agora call failed", request_id=request_id, path=request.url.path)
        said = errors.internal_error()
        status, body = said.status, said.body
    return JSONResponse(body, status, headers)


async def _endpoint(request: Request) -> JSONResponse:
    path = request.url.path
    first, _, rest = path.removeprefix("/").partition("/")
    if first in REGIONS:
        path = f"/{rest}"
    state = request.app.state
    if getattr(state, "agora", None) is None:
        state.agora = Dialect(state.context)
    dialect: Dialect = state.agora
    return await _respond(request, lambda: dialect.answer(request, path))


class _Whole(PathConvertor):
    """The rest of a path with line ends, which Starlette's own "path" does not take."""

    regex = "(?s:.*)"


register_url_convertor("whole", _Whole())
for _prefix in ("", *(f"/{region}" for region in REGIONS)):
    for _path in ("/v1/apps/{rest:whole}", "/v1/ncs/ip", "/v2/ncs/ip"):
        router.add_route(_prefix + _path, _endpoint, methods=_METHODS, include_in_schema=False)
