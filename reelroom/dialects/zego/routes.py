"""ZEGO's HTTP surface: which requests are its own, the order of checks, bodies, the envelope. Decides nothing about
recordings. There is one path, `/`; HTTP is 200 whatever the `Code`, because clients look at that first.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.errors import ControlError
from reelroom.dialects.dispatch import Call
from reelroom.dialects.once import Once
from reelroom.dialects.wording import named
from reelroom.dialects.zego import auth, errors
from reelroom.dialects.zego.limits import RateLimit
from reelroom.dialects.zego.queries import Queries
from reelroom.dialects.zego.settings import settings
from reelroom.dialects.zego.starts import Starts
from reelroom.dialects.zego.tasks import Tasks

log = structlog.get_logger("reelroom.zego")

MAX_BODY = 256 * 1024
MAX_DEPTH = 32  # of JSON within JSON
_COMMON = ("Action", "AppId", "SignatureNonce", "Timestamp", "Signature", "SignatureVersion", "IsTest")
_NUMBERS = frozenset({"Status", "PageOffset", "PageSize", "StartTime", "EndTime"})  # of calls without a body
_FREQUENT = frozenset({"StartRecord", "StopRecord"})
_READING = frozenset({"DescribeRecordStatus", "DescribeTasks"})
_NESTED = frozenset({"StartRecord", "UpdateLayout"})
#: Fields of the use cases → parameters.
_WHERE = {
    "callback": "RecordOutputParams.CallbackUrl",
    "destination": "StorageParams",
    "destination.options.endpoint": "StorageParams.EndPoint",
    "mix": "RecordInputParams.MixConfig",
    "scene": "MixInputList",
    "room": "RoomId",
}
_NOT_HERE = {"UpdateWhiteboard": "whiteboards", "TakeSnapshot": "snapshots"}

Data = dict[str, Any] | None
Act = Callable[[AppContext, str, dict[str, Any], str], Awaitable[Data]]


class Dialect:
    """What is kept between requests, once per control process."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.rate = RateLimit()
        self.once = Once(context.database, "zego.nonce", auth.GOOD_NS)
        starts, tasks, queries = Starts(context), Tasks(context), Queries(context)

        async def describe(app: AppContext, app_id: str, body: dict[str, Any], host: str) -> Data:
            return await queries.describe(app, body, host)

        async def list_(app: AppContext, app_id: str, body: dict[str, Any], host: str) -> Data:
            return await queries.list(app, body)

        async def start(app: AppContext, app_id: str, body: dict[str, Any], host: str) -> Data:
            return await starts.start(app, app_id, body)

        def silent(act: Callable[[AppContext, dict[str, Any]], Awaitable[None]]) -> Act:
            async def call(app: AppContext, app_id: str, body: dict[str, Any], host: str) -> Data:
                await act(app, body)
                return None

            return call

        self._actions: dict[str, Act | None] = {
            "StartRecord": start,
            "StopRecord": silent(tasks.stop),
            "PauseRecord": silent(tasks.pause),
            "ResumeRecord": silent(tasks.resume),
            "UpdateLayout": silent(tasks.update_layout),
            "DescribeRecordStatus": describe,
            "DescribeTasks": list_,
            **dict.fromkeys(_NOT_HERE),
        }

    @staticmethod
    def claims(call: Call) -> bool:
        """The last of those who share `/`: a call with any of the common parameters in its query."""
        return any(name in call.query for name in ("Action", "AppId", "SignatureNonce"))

    async def answer(self, call: Call) -> Response:
        request_id = str(secrets.randbelow(9 * 10**18) + 10**18)
        try:
            data = await self._answer(call)
        except errors.ZegoError as error:
            return _envelope(error.code, error.message, request_id)
        except ControlError as error:
            said = _said(error)
            return _envelope(said.code, said.message, request_id)
        except Exception:
            log.exception("zego call failed", request_id=request_id, action=call.query.get("Action", "")[:64])
            said = errors.system_error()
            return _envelope(said.code, said.message, request_id)
        return _envelope(0, "succeed", request_id, data)

    async def _answer(self, call: Call) -> Data:
        action = call.query.get("Action", "")
        if not action:
            raise errors.no_action()
        if action not in self._actions:
            raise errors.unknown_action()
        app, app_id = await self._app(call)
        try:
            chosen = settings(app)
        except (ValueError, ValidationError):
            raise errors.unreadable_app() from None
        per_second = chosen.starts_per_second if action in _FREQUENT else chosen.others_per_second
        self.rate.take(app_id, action, time.monotonic_ns(), per_second)
        body = _body(call, action)
        act = self._actions[action]
        if act is None:
            raise errors.not_supported(f"{action} ({_NOT_HERE[action]})")
        return await act(app, app_id, body, call.host)

    async def _app(self, call: Call) -> tuple[AppContext, str]:
        """Whose request it is, once its signature is known to be theirs and new."""
        number = str(int(auth.app_id(call.query)))
        app = await self.context.apps.by_dialect("zego", number)
        if app is None:
            raise errors.unknown_app()
        given = auth.signed(call.query)
        now_s = int(time.time())
        auth.check(given, app.secrets["zego"]["server_secret"], now_s)
        try:
            chosen = settings(app)
        except ValueError:
            raise errors.unreadable_app() from None
        if chosen.replays == "refuse":
            await self._use(given, app.id, now_s, reads=call.query["Action"] in _READING)
        return app, number

    async def _use(self, given: auth.Signed, app: str, now_s: int, *, reads: bool) -> None:
        """A signature covers neither action nor body, so a used one may only ask again what changes nothing."""
        mark = f"{given.app}\n{given.timestamp}\n{given.nonce}"
        if not await self.once.use(app, mark, now_s * 10**9, reads=reads) and not reads:
            raise errors.replayed()


def _body(call: Call, action: str) -> dict[str, Any]:
    """The business parameters: a POST's JSON object, whatever its Content-Type says, or a GET's query."""
    if call.method == "GET":
        if action in _NESTED:
            raise errors.invalid(f"{action} has parameters that no query holds; use POST")
        own = {name: value for name, value in call.query.items() if name not in _COMMON}
        return {name: _number(value) if name in _NUMBERS else value for name, value in own.items()}
    if call.method != "POST":
        raise errors.invalid(f"{call.method} is no method of this API; use POST")
    if call.broken:
        raise errors.unreadable_body(call.broken)
    if len(call.body) > MAX_BODY:
        raise errors.unreadable_body(f"it is larger than {MAX_BODY} bytes")
    try:
        data = json.loads(call.body)
        json.dumps(data, ensure_ascii=False).encode()  # no half of a surrogate pair, which no text can hold
    except (ValueError, RecursionError):
        raise errors.invalid("body: not JSON") from None
    if not isinstance(data, dict):
        raise errors.invalid("body: must be a JSON object")
    if _depth(data) > MAX_DEPTH:
        raise errors.invalid(f"body: nested deeper than {MAX_DEPTH}")
    if _has_nul(data):
        raise errors.invalid("body: NUL is in no text here")
    return data


def _number(text: str) -> int | str:
    """What a query has as text; what is no number is left to be refused."""
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 20 else text


def _depth(data: Any) -> int:
    """How deep JSON is nested: 1 for an object of plain values."""
    depth, level = 0, [data]
    while level := [value for value in level if isinstance(value, (dict, list))]:
        depth += 1
        level = [inner for value in level for inner in (value.values() if isinstance(value, dict) else value)]
    return depth


def _has_nul(data: Any) -> bool:
    left = [data]
    while left:
        value = left.pop()
        if isinstance(value, str) and "\0" in value:
            return True
        if isinstance(value, dict):
            left += value.values()
        elif isinstance(value, list):
            left += value
    return False


def _said(error: ControlError) -> errors.ZegoError:
    """A use case's refusal in ZEGO's words."""
    where = named(error.where, _WHERE)
    message = f"{where}: {error.message}" if where else error.message
    match error.kind:
        case "not_found":
            return errors.no_task()
        case "conflict":
            return errors.task_ended()
        case "overloaded":
            return errors.too_many_tasks()
        case "not_supported":
            return errors.not_supported(message)
        case "unavailable":
            return errors.system_error(message)
        case _:
            return errors.invalid(message)


def _envelope(code: int, message: str, request_id: str, data: Data = None) -> JSONResponse:
    body: dict[str, Any] = {"Code": code, "Message": message, "RequestId": request_id}
    if data is not None:
        body["Data"] = data
    return JSONResponse(body)
