"""XML of the message service: bodies of requests and of answers (MNS 2015-06-06). Knows no queue."""

from __future__ import annotations

import hashlib
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from reelroom.control.queues import Received

NAMESPACE = "http://mns.aliyuncs.com/doc/v1/"


class MnsError(Exception):
    """`<Error>` with one of the service's codes."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


def parsed(raw: bytes, *roots: str) -> ElementTree.Element:
    """A body whose root is one of these."""
    if b"<!" in raw or b"\0" in raw:  # no declarations, so no entities; in UTF-16 they would look otherwise
        raise MnsError(400, "MalformedXML", "The XML you provided is not well formed.")
    try:
        root = ElementTree.fromstring(raw)  # noqa: S314
    except (ElementTree.ParseError, LookupError, ValueError):  # the latter two of encodings that it does not know
        raise MnsError(400, "MalformedXML", "The XML you provided is not well formed.") from None
    if name(root) not in roots:
        raise MnsError(400, "InvalidArgument", f"The body must be one {' or '.join(roots)}.")
    return root


def name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def fields(element: ElementTree.Element) -> dict[str, str]:
    """The children that have a text."""
    return {name(child): child.text for child in element if child.text}


def elements(fields: dict[str, Any]) -> str:
    return "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in fields.items())


def document(root: str, content: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NAMESPACE}">{content}</{root}>'


def digest(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest().upper()


def message(one: Received, peeked: bool) -> str:
    """Without receipt and visibility of who has only looked."""
    held = {} if peeked else {"ReceiptHandle": one.receipt, "NextVisibleTime": one.visible_ns // 10**6}
    return elements(
        {
            "MessageId": one.id,
            **held,
            "MessageBody": one.body.decode("utf-8", "replace"),
            "MessageBodyMD5": digest(one.body),
            "EnqueueTime": one.created_ns // 10**6,
            "FirstDequeueTime": (one.first_ns or one.created_ns) // 10**6,
            "DequeueCount": one.received,
            "Priority": 8,
        }
    )
