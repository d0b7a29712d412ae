"""What bodies of native requests have in common: nothing unknown, nothing coerced. Holds no request."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

NO_NUL = r"^[^\x00]*$"  # which PostgreSQL takes in no text
NO_CONTROL = r"^[^\x00-\x1f\x7f]*$"  # as domain/names.py has it
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

#: A name in a path: one with a slash would be another path, however it is written.
IN_PATH = r"^[^/\x00-\x1f\x7f]+$"
#: Who, or which room: at most 128 bytes of UTF-8, which a schema cannot say; the domain checks that.
Identity = Annotated[str, Field(min_length=1, max_length=128, pattern=NO_CONTROL)]
#: The id of what this server made.
Made = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]

#: The default of a field that may be left out, but not be null.
LEFT_OUT: Any = None


class Body(BaseModel):
    """A JSON body, or a part of one. What its schema does not name is refused, and "5" is no number."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @field_validator("*", mode="before")
    @classmethod
    def _whole(cls, value: Any) -> Any:
        """5.0 is 5: JSON has one kind of number, and some languages write all of them with a point."""
        return int(value) if type(value) is float and value.is_integer() else value


def _time(value: Any) -> Any:
    if isinstance(value, str) and not _RFC3339.fullmatch(value):  # pydantic takes Unix seconds and more
        raise ValueError("must be a time of RFC 3339 with its offset, as 2026-01-31T12:00:00Z")
    return value


#: A time in a query.
Time = Annotated[AwareDatetime, BeforeValidator(_time)]
