"""The OpenAPI document: what FastAPI makes of the routes, and what holds for all of them. Describes no call itself."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field

from reelroom.control.problems import MEDIA_TYPE
from reelroom.domain.library import LibrarySpec
from reelroom.domain.recording import RecordingSpec, Subscription
from reelroom.domain.scene import Scene

_METHODS = frozenset({"get", "head", "post", "put", "patch", "delete", "options"})
_UNUSED = ("HTTPValidationError", "ValidationError")  # FastAPI's own shapes of errors, which nobody gets to see
_REF = "#/components/schemas/"
_STRUCT, _MODEL = "x-struct", "x-model"
REQUIRED = "x-required"  # in the schema of a parameter that is needed, though its lack is not for FastAPI to refuse
#: Of a recording's spec: what answers say elsewhere, or not at all.
_APART = {"RecordingSpec": ("id", "app", "requested_ns")}


class Mistake(BaseModel):
    """One of several things that are wrong with a request."""

    where: str = Field(description="the field or parameter", examples=["body.hls.segment_s"])
    message: str


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str = Field(
        description="what kind of problem it is", examples=["urn:reelroom:not-found"], pattern="^urn:reelroom:[a-z-]+$"
    )
    title: str = Field(description="the status in words")
    status: int = Field(description="the HTTP status", ge=400, le=599)
    detail: str = Field(description="what is wrong, and what would be right")
    where: str | None = Field(None, description="the field that is wrong, if it is one")
    asked_cores: float | None = Field(None, description="what a recording would need that the machine has no room for")
    free_cores: float | None = Field(None, description="what is free")
    errors: list[Mistake] | None = Field(None, description="all fields that are wrong, if there are several")


def refuses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: the refusals that are its own. Those of every route are added by `describe`."""
    return {status: {"$ref": f"#/components/responses/{_response(status)}"} for status in statuses}


def header(description: str, **schema: Any) -> dict[str, Any]:
    """A header that an answer always has."""
    return {"description": description, "required": True, "schema": {"type": "string", **schema}}


def shape_of(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON schema of a value that is one of the domain's structs, for pydantic's `WithJsonSchema`."""
    return {"type": "object", _STRUCT: struct.__name__}


def like(model: type[BaseModel]) -> dict[str, Any]:
    """The same of a value that fits a request's model."""
    return {"type": "object", _MODEL: model.__name__}


def describe(app: FastAPI) -> None:
    """Make `app.openapi()` tell what every route answers besides its own answers."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            app.openapi_schema = _completed(made)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    for calls in document["paths"].values():
        for method, call in calls.items():
            if method in _METHODS:
                _refusals_of_all(call)
                for parameter in call.get("parameters", ()):
                    _as_sent(parameter)
    components = document.setdefault("components", {})
    components["responses"] = {_response(status): _described(status) for status in (400, 401, 503)}
    schemas = components.setdefault("schemas", {})
    for name in _UNUSED:
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template=_REF + "{model}")
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    schemas.update(_structs())
    for part in _parts(document):
        if name := part.pop(_STRUCT, None):
            part.pop("type")
            part["$ref"] = f"{_REF}{_struct(name)}"
        elif name := part.pop(_MODEL, None):
            part.pop("type")
            part["$ref"] = f"{_REF}{name if name in schemas else name + '-Input'}"
        if "default" in part and part["default"] is None and not _nullable(part):
            del part["default"]
        if isinstance(part.get("patternProperties"), dict):
            part.setdefault("additionalProperties", False)  # keys that do not fit are refused
    return document


def _refusals_of_all(call: dict[str, Any]) -> None:
    """What middleware, authentication and validation answer, whatever the route."""
    answers = call["responses"]
    if answers.get("422", {}).get("description") == "Validation Error":  # FastAPI's own, which is not ours
        del answers["422"]
    statuses = [400, 500]
    if call.get("parameters") or call.get("requestBody") or "security" in call:
        statuses.append(422)
    if call.get("requestBody"):
        statuses += [408, 413, 415]
    if "security" in call:
        statuses += [401, 503]
    for status, refusal in refuses(*statuses).items():
        answers.setdefault(str(status), refusal)
    for status, answer in answers.items():
        if "$ref" in answer:
            answers[status] = {"$ref": answer["$ref"]}
    call["responses"] = dict(sorted(answers.items()))


def _as_sent(parameter: dict[str, Any]) -> None:
    """No query, path or header can say null: it is left out instead."""
    schema = parameter["schema"]
    if schema.pop(REQUIRED, False):
        parameter["required"] = True
    choices = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(choices) == 1:
        del schema["anyOf"]
        schema.update({**choices[0], **schema})
    elif choices:
        schema["anyOf"] = choices
    if "default" in schema and schema["default"] is None:
        del schema["default"]


def _response(status: int) -> str:
    return {401: "Unauthorized", 503: "Unavailable"}.get(status, "Problem")


def _described(status: int) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": _REF + "Problem"}}}
    if status == 401:
        headers = {"WWW-Authenticate": header("the scheme", const="Bearer")}
        return {"description": "no credentials, or wrong ones", "headers": headers, "content": content}
    if status == 503:
        headers = {"Retry-After": header("seconds", pattern="^[0-9]+$")}
        return {"description": "not now: " + HTTPStatus(503).description, "headers": headers, "content": content}
    return {"description": "it was refused or failed", "content": content}


def _nullable(schema: dict[str, Any]) -> bool:
    return {"type": "null"} in schema.get("anyOf", ())


def _struct(name: str) -> str:
    return f"Stored{name}"  # requests have shapes of the same names


def _structs() -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components(
        (RecordingSpec, Subscription, Scene, LibrarySpec), ref_template=_REF + _struct("{name}")
    )
    for name, fields in _APART.items():
        for field in fields:
            schemas[name]["properties"].pop(field)
        schemas[name]["required"] = [field for field in schemas[name]["required"] if field not in fields]
    return {_struct(name): schema for name, schema in schemas.items()}


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of the document."""
    if isinstance(value, dict):
        yield value
        for part in list(value.values()):
            yield from _parts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _parts(part)
