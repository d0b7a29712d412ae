"""Which of Alibaba Cloud's APIs a call to `/` is for, whose it is, and how the answer goes out. Records nothing.

An API is a `Product`: its version and its actions, which V3 names in headers and V1 in parameters (section 1.3).
"""

from __future__ import annotations

import hmac
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import structlog
from starlette.responses import Response

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.errors import ControlError
from reelroom.dialects.aliyun import answers, auth, errors
from reelroom.dialects.aliyun.limits import RateLimit
from reelroom.dialects.aliyun.parameters import tree
from reelroom.dialects.aliyun_live.routes import Live
from reelroom.dialects.aliyun_rtc.routes import Rtc
from reelroom.dialects.dispatch import Call
from reelroom.dialects.once import Once

log = structlog.get_logger("reelroom.aliyun")

Action = Callable[[AppContext, dict[str, Any]], Awaitable[dict[str, Any]]]  # app, parameters → fields


class Product(Protocol):
    """One API."""

    name: str  # as in the vendor's host names
    version: str

    @property
    def actions(self) -> Mapping[str, Action]: ...

    def per_second(self, app: AppContext, action: str) -> float:
        """How often the action may be called; 0: as often as anybody likes."""
        ...

    def said(self, error: ControlError, action: str) -> errors.AliyunError:
        """A use case's refusal in the vendor's words."""
        ...


class Dialect:
    """Everything of Alibaba Cloud's at `/`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._once = Once(context.database, "aliyun.nonce", auth.GOOD_NS)
        self._rate = RateLimit()
        products: list[Product] = [Live(context), Rtc(context)]
        self._products = {product.version: product for product in products}

    @staticmethod
    def claims(call: Call) -> bool:
        if "x-acs-action" in call.headers or auth.is_v3(call):
            return True
        return "AccessKeyId" in call.parameters or {"Action", "Version"} <= call.parameters.keys()

    async def answer(self, call: Call) -> Response:
        request_id = str(uuid.uuid4()).upper()
        v3 = auth.is_v3(call)
        format_ = "JSON" if v3 else call.parameters.get("Format") or "XML"
        xml = format_.upper() != "JSON"
        if v3:
            action, version = call.headers.get("x-acs-action", ""), call.headers.get("x-acs-version", "")
        else:
            action, version = call.parameters.get("Action", ""), call.parameters.get("Version", "")
        product = self._products.get(version)
        name = product.name if product else "api"
        try:
            if xml and format_.upper() != "XML":
                raise errors.bad_format(format_)
            app = await self._app(call, action)
            fields = await self._act(call, app, product, action, version)
        except errors.AliyunError as error:
            return answers.error(error, request_id, name, xml)
        except ControlError as error:
            assert product is not None  # nothing else asks a use case
            return answers.error(product.said(error, action), request_id, name, xml)
        except Exception:
            log.exception("an aliyun call failed", request_id=request_id, action=action[:100])
            return answers.error(errors.internal(), request_id, name, xml)
        return answers.result(action, request_id, fields, xml)

    async def _app(self, call: Call, action: str) -> AppContext:
        """The app whose key signed the call, which is in time and has not been made before."""
        if call.broken:
            raise errors.invalid("body", call.broken)
        if call.method not in ("GET", "POST"):
            raise errors.bad_http_method(call.method)
        now_s = time.time()
        signed = auth.read(call, now_s)
        app = await self._context.apps.by_dialect("aliyun", signed.key_id)
        if app is None:
            raise errors.unknown_key()
        if not signed.matches(app.secrets["aliyun"]["access_key_secret"]):
            raise errors.mismatch(signed.string_to_sign)
        _check_token(signed.token, app)
        reads = action.startswith("Describe")
        mark = f"{signed.key_id}\n{signed.nonce}"
        if not await self._once.use(app.id, mark, int(now_s * 10**9), reads=reads):
            raise errors.nonce_used()
        return app

    async def _act(
        self, call: Call, app: AppContext, product: Product | None, action: str, version: str
    ) -> dict[str, Any]:
        for name, value in (("Version", version), ("Action", action)):
            if not value:
                raise errors.missing(name)
        if product is None:
            raise errors.no_version(version)
        act = product.actions.get(action)
        if act is None:
            raise errors.no_action(action)
        key_id = app.secrets["aliyun"]["access_key_id"]
        self._rate.take(key_id, f"{product.name} {action}", time.monotonic_ns(), product.per_second(app, action))
        return await act(app, tree(call.parameters))


def _check_token(given: str, app: AppContext) -> None:
    """That temporary credentials come with the token that belongs to them, and others with none."""
    mine = app.secrets["aliyun"].get("security_token", "")
    if mine and not given:
        raise errors.no_token()
    if not hmac.compare_digest(mine.encode(), given.encode("utf-8", "surrogatepass")):
        raise errors.wrong_token()
