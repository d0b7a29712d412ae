"""Names that come from strangers: what can name an app, room, identity or recording. Holds no file names."""

from __future__ import annotations

import re

MAX_NAME_BYTES = 128
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_name(what: str, value: str) -> str:
    """Return `value` if it can name an app, room, identity or recording; else ValueError."""
    if not value or len(value.encode()) > MAX_NAME_BYTES or _CONTROL.search(value):
        raise ValueError(f"{what} must be 1 to {MAX_NAME_BYTES} bytes without control characters")
    return value
