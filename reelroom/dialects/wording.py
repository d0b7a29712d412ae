"""How refusals of models and of use cases are worded for a vendor's caller. Knows no vendor."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic_core import ErrorDetails

_OBJECTS = frozenset({"model_type", "model_attributes_type", "dict_type"})


def wrong(error: ErrorDetails) -> str:
    """What is wrong with a field, without the names of this server's classes."""
    if error["type"] in _OBJECTS:
        return "Input should be an object"
    return error["msg"].removeprefix("Value error, ")


def path(error: ErrorDetails, first: int = 0) -> str:
    """The field as callers write it, with dots; `first`: the number of a list's first entry."""
    return ".".join(str(part + first) if isinstance(part, int) else part for part in error["loc"])


def named(where: str, names: Mapping[str, str]) -> str:
    """A use case's field, a dotted path, as the parameter that `names` has for the longest part of it."""
    parts = where.split(".")
    for length in range(len(parts), 0, -1):
        known = names.get(".".join(parts[:length]))
        if known is not None:
            return known
    return where
