"""Tencent's HTTP surface: which requests are its own, signatures, actions and versions, bodies, the response envelope.

Decides nothing about recordings. HTTP is 200 and Content-Type is application/json without a charset whatever happens:
the vendor's clients see no error otherwise (section 1.5).
"""

from __future__ import annotations

import hmac
import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from starlette.responses import Response

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.errors import ControlError
from reelroom.dialects.dispatch import Call
from reelroom.dialects.tencent import auth, errors, wire, wire_cloud, wire_mcu, wire_vod
from reelroom.dialects.tencent.limits import RateLimit
from reelroom.dialects.tencent.mcu import Mixes
from reelroom.dialects.tencent.replays import Replays
from reelroom.dialects.tencent.settings import settings
from reelroom.dialects.tencent.tasks import Tasks
from reelroom.dialects.tencent.vod import Vod
from reelroom.dialects.tencent.wire import Codes, Wire
from reelroom.dialects.wording import named

log = structlog.get_logger("reelroom.tencent")

MAX_BODY = 256 * 1024
#: Fields of the use cases → parameters, of recordings and of mixes that clients start.
_RECORDING = {
    "destination": "StorageParams.CloudStorage",
    "mix": "MixTranscodeParams",
    "mix.scene": "MixLayoutParams",
    "naming": "StorageParams.CloudStorage.FileNamePrefix",
    "scene": "MixLayoutParams",
    "subscription": "SubscribeStreamUserIds",
}
_MIXING = {
    "mix": "EncodeParams",
    "mix.pushes": "PublishCdnParams.PublishCdnUrls",
    "mix.scene": "LayoutParams",
    "scene": "LayoutParams",
}
TRTC, VOD = "2019-07-22", "2018-07-17"  # versions
VOD_PER_SECOND = 100.0
_ACTION = re.compile(r"[A-Za-z0-9_]{1,100}")

Act = Callable[[AppContext, Any, str], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Action:
    version: str
    model: type[Wire]
    act: Act
    missing: wire.Missing = field(default_factory=dict)
    codes: Codes = lambda path: ""
    reads: bool = False
    recording: bool = False


class Dialect:
    """What is kept between requests, once per control process."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.rate = RateLimit()
        self.replays = Replays(context.database)
        tasks, mixes, vod = Tasks(context), Mixes(context), Vod(context)
        cloud: dict[str, Any] = {"missing": wire_cloud.MISSING, "recording": True}
        mcu: dict[str, Any] = {"missing": wire_mcu.MISSING, "codes": wire_mcu.code}
        self.actions: dict[str, Action] = {
            "CreateCloudRecording": Action(TRTC, wire_cloud.CreateCloudRecording, tasks.create, **cloud),
            "DescribeCloudRecording": Action(
                TRTC, wire_cloud.DescribeCloudRecording, tasks.describe, reads=True, **cloud
            ),
            "ModifyCloudRecording": Action(TRTC, wire_cloud.ModifyCloudRecording, tasks.modify, **cloud),
            "DeleteCloudRecording": Action(TRTC, wire_cloud.DeleteCloudRecording, tasks.delete, **cloud),
            "StartMCUMixTranscode": Action(TRTC, wire_mcu.StartMix, mixes.start, **mcu),
            "StopMCUMixTranscode": Action(TRTC, wire_mcu.StopMix, mixes.stop, **mcu),
            "StartMCUMixTranscodeByStrRoomId": Action(TRTC, wire_mcu.StartMixByStrRoomId, mixes.start, **mcu),
            "StopMCUMixTranscodeByStrRoomId": Action(TRTC, wire_mcu.StopMixByStrRoomId, mixes.stop, **mcu),
            "SearchMedia": Action(VOD, wire_vod.SearchMedia, vod.search, codes=wire_vod.code, reads=True),
            "DescribeMediaInfos": Action(
                VOD, wire_vod.DescribeMediaInfos, vod.describe, codes=wire_vod.code, reads=True
            ),
            "DeleteMedia": Action(VOD, wire_vod.DeleteMedia, vod.delete, codes=wire_vod.code),
        }

    @staticmethod
    def claims(call: Call) -> bool:
        """The first of those who share `/`: its headers, or an older signature's parameters."""
        if "x-tc-action" in call.headers or call.headers.get("authorization", "").startswith("TC3-"):
            return True
        return "Action" in call.parameters and "SecretId" in call.parameters

    async def answer(self, call: Call) -> Response:
        request_id = str(uuid.uuid4())
        recording = False
        try:
            name = self._name(call)
            recording = name in self.actions and self.actions[name].recording
            return _response({**await self._answer(call, name), "RequestId": request_id})
        except errors.TencentError as error:
            said = error
        except ControlError as error:
            said = _said(error, recording)
        except Exception:
            log.exception("tencent call failed", request_id=request_id, action=call.headers.get("x-tc-action", "")[:64])
            said = errors.internal(recording)
        return _response({"Error": {"Code": said.code, "Message": said.message}, "RequestId": request_id})

    def _name(self, call: Call) -> str:
        name = call.headers.get("x-tc-action") or call.parameters.get("Action", "")
        return name[:1].upper() + name[1:]

    async def _answer(self, call: Call, name: str) -> dict[str, Any]:
        if call.method not in ("GET", "POST"):
            raise errors.TencentError("UnsupportedProtocol", "Only GET and POST are supported.")
        if call.broken:
            raise errors.bad_request(f"The body cannot be read: {call.broken}.")
        signed = auth.signed(call, time.time())
        app = await self.context.apps.by_dialect("tencent", signed.secret_id)
        if app is None:
            raise errors.unknown_secret_id()
        if not signed.matches(app.secrets["tencent"]["secret_key"]):
            raise errors.wrong_signature()
        mine = app.secrets["tencent"].get("token", "")
        if not hmac.compare_digest(mine.encode(), signed.token.encode("utf-8", "surrogatepass")):
            raise errors.wrong_token()
        if not _ACTION.fullmatch(name) or name not in self.actions:
            raise errors.no_action(name)
        action = self.actions[name]
        version = call.headers.get("x-tc-version") or call.parameters.get("Version", "")
        if version != action.version:
            raise errors.no_version(version)
        await self.replays.check(signed, app.id, name, action.reads, time.time_ns())
        try:
            most = settings(app).requests_per_second
        except ValueError as error:
            log.error("an app's settings cannot be read", app=app.id, error=str(error))
            raise errors.internal(action.recording) from None
        self.rate.take(app.id, name, time.monotonic_ns(), VOD_PER_SECOND if most and action.version == VOD else most)
        data, as_text = _parameters(call)
        request = wire.parse(action.model, data, as_text, action.missing, action.codes)
        return await action.act(app, request, call.host)


def _parameters(call: Call) -> tuple[dict[str, Any], bool]:
    """What the action is given, and whether it is all text."""
    if "x-tc-action" not in call.headers:
        given = call.form if call.method == "POST" and call.form else call.query
        return wire.nested({name: value for name, value in given.items() if name not in auth.COMMON}), True
    if call.method == "GET":
        return wire.nested(call.query), True
    if len(call.body) > MAX_BODY:
        raise errors.bad_request(f"The body is larger than {MAX_BODY} bytes.")
    if call.content_type == "multipart/form-data":
        return wire.multipart(call.headers["content-type"], call.body), True
    return wire.body(call.body), False


def _said(error: ControlError, recording: bool) -> errors.TencentError:
    """A use case's refusal in Tencent's words."""
    where = named(error.where, _RECORDING if recording else _MIXING)
    message = f"{where}: {error.message}" if where else error.message
    match error.kind:
        case "not_found":
            return errors.TencentError("ResourceNotFound", message)
        case "not_supported":
            return errors.not_supported(message)
        case "overloaded":
            code = "FailedOperation.RestrictedConcurrency" if recording else "ResourceInsufficient.RequestRejection"
            return errors.TencentError(code, message)
        case "unavailable":
            return errors.internal(recording)
        case "conflict":
            return errors.failed(message)
        case _:
            return errors.TencentError("InvalidParameter.OutOfRange" if recording else "InvalidParameter", message)


def _response(said: dict[str, Any]) -> Response:
    response = Response(json.dumps({"Response": said}, separators=(",", ":")).encode(), 200)
    response.headers["Content-Type"] = "application/json"  # as it is: no charset
    return response
