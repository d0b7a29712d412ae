"""What lists have in common: cursors, beginnings of names, the newest of some recordings. Asks no database."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select, union_all
from sqlalchemy.orm import InstrumentedAttribute

from reelroom.control.errors import ControlError
from reelroom.store.tables import Recording

_LAST = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


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


def starting_with(column: InstrumentedAttribute[str], prefix: str) -> ColumnElement[bool]:
    """`column`, which is compared by code points, begins with `prefix`: a range of it, which an index has."""
    above = prefix.rstrip(chr(_LAST))
    if not above:
        return column >= prefix
    following = ord(above[-1]) + 1
    if following in _SURROGATES:
        following = _SURROGATES.stop
    return and_(column >= prefix, column < above[:-1] + chr(following))


def newest(
    wanted: Sequence[ColumnElement[bool]], states: Iterable[str], limit: int, offset: int = 0
) -> Select[Recording]:
    """The newest recordings for which `wanted` holds, in any of these states; no states: in any at all.

    With states, the newest of each are taken: an index that begins with the state has them in order, however many
    others there are.
    """
    row = Recording
    order = row.created_ns.desc(), row.id.desc()
    one = select(row.id).where(*wanted).order_by(*order).limit(limit + offset)
    found = [select(one.where(row.state == state).subquery().c.id) for state in sorted(set(states))]
    query = select(row).where(row.id.in_(union_all(*found))) if found else select(row).where(*wanted)
    return query.order_by(*order).offset(offset).limit(limit)
