"""What goes back to clients: JSON or XML, of results and of errors (section 1.9). Decides nothing."""

from __future__ import annotations

import re
from typing import Any
from xml.sax.saxutils import escape

from starlette.responses import JSONResponse, Response

from reelroom.dialects.aliyun.errors import AliyunError

JSON, XML = "application/json;charset=utf-8", "text/xml;charset=utf-8"  # the only XML that newer clients read
_HELP = "https://api.aliyun.com/troubleshoot"
_NO_XML = re.compile(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NO_NAME = re.compile(r"[^A-Za-z0-9_]")


def result(action: str, request_id: str, fields: dict[str, Any], xml: bool) -> Response:
    return _response(200, {"RequestId": request_id, **fields}, f"{action}Response", request_id, xml)


def error(said: AliyunError, request_id: str, product: str, xml: bool) -> Response:
    fields = {
        "RequestId": request_id,
        "HostId": f"{product}.aliyuncs.com",
        "Code": said.code,
        "Message": said.message,
        "Recommend": f"{_HELP}?q={said.code}&product={product}&requestId={request_id}",
    }
    return _response(said.status, fields, "Error", request_id, xml)


def _response(status: int, fields: dict[str, Any], root: str, request_id: str, xml: bool) -> Response:
    headers = {"x-acs-request-id": request_id}
    if xml:
        name = _NO_NAME.sub("", root)
        text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{name}>{_elements(fields)}</{name}>'
        return Response(text.encode("utf-8", "replace"), status, headers | {"Content-Type": XML})
    return JSONResponse(fields, status, headers | {"Content-Type": JSON})


def _elements(fields: dict[str, Any]) -> str:
    """Each field as an element; of a list each value as one."""
    made = []
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                content = _elements(one)
            elif isinstance(one, bool):
                content = str(one).lower()
            else:
                content = escape(_NO_XML.sub("\ufffd", str(one)))
            made.append(f"<{name}>{content}</{name}>")
    return "".join(made)
