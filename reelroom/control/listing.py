"""Cursors: where a page of a list ended, as an opaque word. Holds no query."""

from __future__ import annotations

import base64
import binascii
import uuid
from typing import Any

from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.orm import InstrumentedAttribute

from reelroom.control.errors import ControlError


def new_id() -> str:
    """A recording's id: 32 lower-case hex characters, which every vendor's client takes for its own kind."""
    return uuid.uuid4().hex


def next_cursor(created_ns: int, id: str) -> str:
    return base64.urlsafe_b64encode(f"{created_ns}:{id}".encode()).decode().rstrip("=")


def after(created: InstrumentedAttribute[int], id: InstrumentedAttribute[str], cursor: str) -> ColumnElement[bool]:
    """What comes behind `cursor` in a list with the newest first. ControlError("invalid") when it is none."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        time_ns, colon, last = text.partition(":")
        at: Any = int(time_ns)
        if not colon or abs(at) >= 1 << 63 or "\0" in last:
            raise ValueError(text)
    except (ValueError, binascii.Error, UnicodeError) as error:
        raise ControlError("invalid", "not a cursor of this list", "cursor") from error
    return or_(created < at, and_(created == at, id < last))
