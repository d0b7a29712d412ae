"""How Tencent's requests become models, and what is said of those that do not. The models are in wire_*.py.

A request in a query or form (GET, the older signature) says all values as text and nests them by dots; `nested` makes
JSON's shape of it, and then numbers may be text. An unknown field is UnknownParameter, null is as if absent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from reelroom.dialects import wording
from reelroom.dialects.tencent import errors

MAX_DEPTH = 32  # of JSON within JSON
_INDEX = re.compile(r"0|[1-9][0-9]{0,3}")


def plain(value: str) -> str:
    """No NUL and no half of a surrogate pair: neither databases nor files take them."""
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("must not contain NUL or halves of surrogate pairs")
    return value


Text = Annotated[str, Field(max_length=4096), AfterValidator(plain)]
Given = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(plain)]
UserName = Annotated[str, Field(max_length=128), AfterValidator(plain)]
Flag = Annotated[int, Field(ge=0, le=1)]
Pixel = Annotated[int, Field(ge=0, le=1920)]
Wide = Annotated[int, Field(ge=0, le=2560)]
AppNumber = Annotated[int, Field(ge=0, le=2**53)]
TaskName = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(plain)]


class Wire(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _absent(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


_W = TypeVar("_W", bound=Wire)
#: The code of a value that cannot be, by the path of its field; "" leaves OutOfRange.
Codes = Callable[[str], str]
#: Parameters whose absence has a code of its own → its second level.
Missing = Mapping[str, str]

_TYPES = {
    "int_type": "must be an integer",
    "int_parsing": "must be an integer",
    "int_from_float": "must be an integer",
    "int_parsing_size": "is too large",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be an array",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
}


def parse(model: type[_W], data: Any, as_text: bool, known: Missing, codes: Codes = lambda path: "") -> _W:
    """`data` as `model`; TencentError for the first field that is wrong. `as_text`: values may be text all."""
    try:
        return model.model_validate(data, strict=not as_text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]  # never the input: it may be a secret
    path = wording.path(first)
    kind, leaf = str(first["type"]), path.rpartition(".")[2]
    if kind == "missing" or (kind == "string_too_short" and leaf in known):
        raise errors.missing(path, known.get(leaf, ""))
    if kind == "extra_forbidden":
        raise errors.unknown_parameter(path)
    if kind in _TYPES:
        raise errors.wrong_type(path or "The request", _TYPES[kind])
    message = wording.wrong(first)
    if code := codes(path):
        raise errors.TencentError(code, f"{path}: {message}.")
    raise errors.out_of_range(path, f"is wrong: {message}")


def body(raw: bytes) -> dict[str, Any]:
    """A JSON body. TencentError unless it is an object that is not nested absurdly."""
    data = _json(raw or b"{}")
    if not isinstance(data, dict):
        raise errors.bad_request("The body must be a JSON object.")
    return data


def _json(raw: bytes) -> Any:
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        raise errors.bad_request("The body is not JSON.") from None
    depth, level = 0, [data]
    while level := [value for value in level if isinstance(value, (dict, list))]:
        depth += 1
        if depth > MAX_DEPTH:
            raise errors.bad_request(f"The body is nested deeper than {MAX_DEPTH}.")
        level = [inner for value in level for inner in (value.values() if isinstance(value, dict) else value)]
    return data


def multipart(content_type: str, raw: bytes) -> dict[str, Any]:
    """A multipart/form-data body: text, or JSON where a part says so. TencentError unless it is one."""
    # By the older policy: what the newer one has for headers raises IndexError for some that are malformed.
    message = BytesParser(policy=compat32).parsebytes(
        b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n" + raw
    )
    found: dict[str, Any] = {}
    for part in message.get_payload() if message.is_multipart() else ():
        if not isinstance(part, Message):
            raise errors.bad_request("A part of the body cannot be read.")
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(content, bytes):
            raise errors.bad_request("A part of the body has no name, or has parts itself.")
        try:
            text = content.decode()
        except ValueError:
            raise errors.bad_request("A part of the body is not UTF-8.") from None
        found[name] = _json(content) if part.get_content_type() == "application/json" else text
    if not found:
        raise errors.bad_request("The body is not multipart/form-data.")
    return nested(found)


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """`A.B.0=x` → `{"A": {"B": ["x"]}}`. TencentError where two names contradict each other."""
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        if len(path) >= MAX_DEPTH:
            raise errors.unknown_parameter(name[:200])
        inner = tree
        for part in path:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise errors.bad_request(f"{name[:200]} is said in two ways.")
        if last in inner:
            raise errors.bad_request(f"{name[:200]} is said in two ways.")
        inner[last] = value
    return {name: _listed(value) for name, value in tree.items()}


def _listed(value: Any) -> Any:
    """What has whole numbers for names is a list, in their order."""
    if not isinstance(value, dict):
        return value
    inner = {name: _listed(each) for name, each in value.items()}
    if inner and all(_INDEX.fullmatch(name) for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner
