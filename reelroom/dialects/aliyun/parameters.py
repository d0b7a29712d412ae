"""Parameters as clients send them → nested values, and the types that models of requests are made of (section 1.8).

An object or array comes as one parameter of JSON text or as dotted names (`Panes.1.X`); numbers and booleans as text.
Holds no request's model.
"""

from __future__ import annotations

import json
import math
import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

MAX_DEPTH = 8
_INDEX = re.compile(r"[0-9]{1,6}", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}(\.0+)?", re.ASCII)
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def tree(flat: dict[str, str]) -> dict[str, Any]:
    """Nested values of dotted names; indices count in numerical order, whichever are left out."""
    root: dict[str, Any] = {}
    for name, value in flat.items():
        parts = name.split(".")
        if len(parts) > MAX_DEPTH or not all(parts):
            continue  # no parameter of any action is called so
        node = root
        for part in parts[:-1]:
            inner = node.get(part)
            if not isinstance(inner, dict):
                inner = node[part] = {}  # dotted names say more than a value of the same name
            node = inner
        if not isinstance(node.get(parts[-1]), dict):
            node[parts[-1]] = value
    return {name: _listed(value) for name, value in root.items()}


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(_INDEX.fullmatch(key) for key in value):
        return [_listed(value[key]) for key in sorted(value, key=int)]
    return {key: _listed(inner) for key, inner in value.items()}


def _integer(value: Any) -> Any:
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value.strip().partition(".")[0])
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _number(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return value
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


def _boolean(value: Any) -> Any:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    return value


def _text(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and _SURROGATE.search(value):
        raise ValueError("must be Unicode text")
    return value


def _structure(kind: type) -> Any:
    def read(value: Any) -> Any:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                raise ValueError("must be JSON") from None
        if not isinstance(value, kind):
            raise ValueError("must be a JSON " + ("object" if kind is dict else "array"))
        return value

    return read


Int = Annotated[int, BeforeValidator(_integer)]
Number = Annotated[float, BeforeValidator(_number)]
Bool = Annotated[bool, BeforeValidator(_boolean)]
Text = Annotated[str, BeforeValidator(_text), Field(max_length=4096)]
AsObject = BeforeValidator(_structure(dict))
AsList = BeforeValidator(_structure(list))
Fraction = Annotated[Number, Field(ge=0, le=1)]


class Wire(BaseModel):
    """A request, or an object in one: unknown names are ignored; null, empty text and empty arrays are not given."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _given(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {str(name): value for name, value in data.items() if value is not None and value not in ("", [], "[]")}
