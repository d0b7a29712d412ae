"""The message service that MnsQueue names, as far as a consumer needs it: receive, peek, put off, delete, send.

MNS 2015-06-06: `/queues/NAME` and `/queues/NAME/messages`, signed over verb, Content-MD5, Content-Type, Date, x-mns
headers and resource; XML both ways. Messages are kept by control/queues.py.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from email.utils import parsedate_to_datetime

import structlog
from fastapi import APIRouter, Request
from starlette.responses import Response

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.errors import ControlError
from reelroom.deliver.queues import MAX_BODY
from reelroom.dialects.aliyun_rtc import mns_xml as xml
from reelroom.dialects.aliyun_rtc.mns_xml import MnsError

log = structlog.get_logger("reelroom.mns")

MAX_BATCH = 16
XML = "text/xml;charset=utf-8"
SKEW_S = 15 * 60
VERSION = "2015-06-06"
_METHODS = ["GET", "PUT", "POST", "DELETE"]

router = APIRouter(include_in_schema=False)


def string_to_sign(method: str, headers: Mapping[str, str], resource: str) -> str:
    """`headers` by lower-case name; `resource`: path and query as sent."""
    own = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers) if name.startswith("x-mns-"))
    parts = [method, headers.get("content-md5", ""), headers.get("content-type", ""), headers.get("date", "")]
    return "\n".join(parts) + "\n" + own + resource


def signature(secret: str, text: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()


async def _app(context: Context, request: Request) -> AppContext:
    headers = {name.lower(): value for name, value in request.headers.items()}
    scheme, _, given = headers.get("authorization", "").partition(" ")
    key, colon, signed = given.strip().partition(":")
    if scheme != "MNS" or not colon:
        raise MnsError(403, "AccessDenied", "Authorization must be MNS, the AccessKey's id, a colon and a signature.")
    try:
        sent_s = parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (ValueError, OverflowError):
        raise MnsError(400, "InvalidDateFormat", "The Date header is missing or malformed.") from None
    if abs(time.time() - sent_s) > SKEW_S:
        raise MnsError(408, "TimeExpired", "The request is more than 15 minutes off.")
    app = await context.apps.by_dialect("aliyun", key)
    if app is None:
        raise MnsError(403, "InvalidAccessKeyId", "The AccessKey Id you provided does not exist.")
    query = request.scope["query_string"].decode("latin-1")
    resource = request.scope["raw_path"].decode("latin-1").partition("?")[0] + (f"?{query}" if query else "")
    expected = signature(app.secrets["aliyun"]["access_key_secret"], string_to_sign(request.method, headers, resource))
    if not hmac.compare_digest(expected.encode(), signed.encode()):
        raise MnsError(403, "SignatureDoesNotMatch", "The request signature we calculated does not match yours.")
    token = app.secrets["aliyun"].get("security_token", "")
    if not hmac.compare_digest(token.encode(), headers.get("security-token", "").encode("utf-8", "surrogatepass")):
        raise MnsError(403, "InvalidSecurityToken", "The security token does not belong to the AccessKey.")
    return app


def _number(request: Request, name: str, low: int, high: int) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or not low <= int(text[:9]) <= high:
        raise MnsError(400, "InvalidArgument", f"{name} must be {low} to {high}.")
    return int(text[:9])


async def _messages(context: Context, app: AppContext, request: Request, name: str) -> Response:
    queues = context.queues
    receipt = request.query_params.get("ReceiptHandle") or request.query_params.get("receiptHandle") or ""
    if request.method == "DELETE":
        if not receipt:
            return await _delete_many(context, app, request, name)
        await queues.remove(app.id, name, receipt)
        return _answer(204, "")
    if request.method == "PUT":
        hidden = _number(request, "visibilityTimeout", 1, 43_200) or _number(request, "VisibilityTimeout", 1, 43_200)
        if not receipt or hidden is None:
            raise MnsError(400, "InvalidArgument", "receiptHandle and visibilityTimeout are needed.")
        held = await queues.postpone(app.id, name, receipt, hidden)
        fields = {"ReceiptHandle": held.receipt, "NextVisibleTime": held.visible_ns // 10**6}
        return _answer(200, xml.document("ChangeVisibility", xml.elements(fields)))
    if request.method == "POST":
        return await _send(context, app, request, name)
    count = _number(request, "numOfMessages", 1, 16)
    wait_s = _number(request, "waitseconds", 0, 30) or 0
    peeked = request.query_params.get("peekonly") == "true"
    if peeked:
        found = await queues.peek(app.id, name, count or 1)
    else:
        found = await queues.receive(app.id, name, limit=count or 1, wait_s=wait_s)
    if not found:
        raise MnsError(404, "MessageNotExist", "Message not exist.")
    if count is None:
        return _answer(200, xml.document("Message", xml.message(found[0], peeked)))
    listed = "".join(f"<Message>{xml.message(one, peeked)}</Message>" for one in found)
    return _answer(200, xml.document("Messages", listed))


async def _delete_many(context: Context, app: AppContext, request: Request, name: str) -> Response:
    """All that can be; who is told of the others may try again."""
    root = xml.parsed(await request.body(), "ReceiptHandles")
    receipts = [child.text for child in root if xml.name(child) == "ReceiptHandle" and child.text]
    if not 1 <= len(receipts) <= MAX_BATCH:
        raise MnsError(400, "InvalidArgument", f"1 to {MAX_BATCH} ReceiptHandles are needed.")
    failed = ""
    for receipt in receipts:
        try:
            await context.queues.remove(app.id, name, receipt)
        except ControlError as error:
            said = _said(error)
            fields = {"ErrorCode": said.code, "ErrorMessage": said.message, "ReceiptHandle": receipt}
            failed += f"<Error>{xml.elements(fields)}</Error>"
    return _answer(404, xml.document("Errors", failed)) if failed else _answer(204, "")


def _usual(fields: Mapping[str, str], **usual: str) -> None:
    """That nothing is asked for besides what is said to be usual."""
    for name, value in fields.items():
        if usual.get(name) != value:
            raise MnsError(400, "InvalidArgument", f"{name} {value[:40]} is not supported.")


async def _send(context: Context, app: AppContext, request: Request, name: str) -> Response:
    root = xml.parsed(await request.body(), "Message", "Messages")
    many = xml.name(root) == "Messages"
    bodies = []
    for one in root if many else [root]:
        fields = xml.fields(one)
        body = fields.pop("MessageBody", "").encode()
        _usual(fields, DelaySeconds="0", Priority="8")
        if not 1 <= len(body) <= MAX_BODY:
            raise MnsError(400, "InvalidArgument", f"A MessageBody of 1 to {MAX_BODY} bytes is needed.")
        bodies.append(body)
    if not 1 <= len(bodies) <= MAX_BATCH:
        raise MnsError(400, "InvalidArgument", f"1 to {MAX_BATCH} messages are needed.")
    sent = []
    for body in bodies:
        id_ = await context.queues.send(app.id, name, body)
        sent.append(xml.elements({"MessageId": id_, "MessageBodyMD5": xml.digest(body)}))
    if many:
        return _answer(201, xml.document("Messages", "".join(f"<Message>{one}</Message>" for one in sent)))
    return _answer(201, xml.document("Message", sent[0]))


async def _queue(context: Context, app: AppContext, request: Request, name: str) -> Response:
    """Make a queue, change it, tell of it, or delete it with its messages."""
    if request.method == "PUT":
        return await _put_queue(context, app, request, name)
    if request.method == "DELETE":
        await context.queues.delete(app.id, name)
        return _answer(204, "")
    if request.method != "GET":
        raise MnsError(400, "InvalidArgument", "Only PUT, GET and DELETE are supported of a queue.")
    row = await context.queues.get(app.id, name)
    active, hidden = await context.queues.depth(app.id, name)
    created_s = row.created_ns // 10**9
    fields = {
        "QueueName": row.name,
        "CreateTime": created_s,
        "LastModifyTime": created_s,
        "VisibilityTimeout": row.visibility_s,
        "MaximumMessageSize": MAX_BODY,
        "MessageRetentionPeriod": row.retention_s,
        "DelaySeconds": 0,
        "PollingWaitSeconds": 0,
        "ActiveMessages": active,
        "InactiveMessages": hidden,
        "DelayMessages": 0,
        "LoggingEnabled": "False",
    }
    return _answer(200, xml.document("Queue", xml.elements(fields)))


async def _put_queue(context: Context, app: AppContext, request: Request, name: str) -> Response:
    raw = await request.body()
    given = xml.fields(xml.parsed(raw, "Queue")) if raw else {}
    numbers = {}
    change = request.query_params.get("metaoverride") == "true"
    if change:  # of a queue that is there: what is not given stays
        row = await context.queues.get(app.id, name)
        numbers = {"visibility_s": row.visibility_s, "retention_s": row.retention_s}
    for field, ours in (("VisibilityTimeout", "visibility_s"), ("MessageRetentionPeriod", "retention_s")):
        text = given.pop(field, "")
        if text and not (text.isascii() and text.isdigit() and len(text) < 10):
            raise MnsError(400, "InvalidArgument", f"{field} must be a number.")
        if text:
            numbers[ours] = int(text)
    _usual(given, DelaySeconds="0", MaximumMessageSize=str(MAX_BODY), PollingWaitSeconds="0", LoggingEnabled="False")
    await context.queues.create(app.id, name, **numbers)
    if change:
        return _answer(204, "")
    made = _answer(201, "")
    made.headers["Location"] = f"{str(request.base_url).rstrip('/')}/queues/{name}"
    return made


def _answer(status: int, text: str) -> Response:
    headers = {"x-mns-request-id": uuid.uuid4().hex.upper()[:24], "x-mns-version": VERSION}
    return Response(text, status, headers, media_type=XML if text else None)


def _error(error: MnsError, request: Request) -> Response:
    fields = {"Code": error.code, "Message": error.message, "RequestId": uuid.uuid4().hex.upper()[:24]}
    return _answer(error.status, xml.document("Error", xml.elements(fields | {"HostId": str(request.base_url)})))


def _said(error: ControlError) -> MnsError:
    if error.kind == "not_found" and error.where == "queue":
        return MnsError(404, "QueueNotExist", "The queue name you provided does not exist.")
    if error.kind == "not_found":
        return MnsError(400, "ReceiptHandleError", error.message)
    if error.kind == "unavailable":
        return MnsError(503, "ServerBusy", error.message)
    return MnsError(400, "InvalidArgument", f"{error.where}: {error.message}")


async def _answered(
    request: Request, name: str, act: Callable[[Context, AppContext, Request, str], Awaitable[Response]]
) -> Response:
    context: Context = request.app.state.context
    try:
        return await act(context, await _app(context, request), request, name)
    except MnsError as error:
        return _error(error, request)
    except ControlError as error:
        return _error(_said(error), request)


@router.api_route("/queues/{name}/messages", methods=_METHODS)
async def messages(request: Request, name: str) -> Response:
    return await _answered(request, name, _messages)


@router.api_route("/queues/{name}", methods=_METHODS)
async def queue(request: Request, name: str) -> Response:
    return await _answered(request, name, _queue)
