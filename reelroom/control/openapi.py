"""What OpenAPI says of errors: problem details for every call of the native API. Describes no call itself."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field

from reelroom.control.problems import MEDIA_TYPE

_METHODS = frozenset({"get", "head", "post", "put", "patch", "delete", "options"})
_UNUSED = ("HTTPValidationError", "ValidationError")  # FastAPI's own shapes of errors, which nobody gets to see


class Mistake(BaseModel):
    """One of several things that are wrong with a request."""

    where: str = Field(description="the field or parameter", examples=["body.hls.segment_s"])
    message: str


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str = Field(description="what kind of problem it is", examples=["urn:reelroom:not-found"])
    title: str = Field(description="the status in words")
    status: int = Field(description="the HTTP status")
    detail: str = Field(description="what is wrong, and what would be right")
    where: str | None = Field(None, description="the field that is wrong, if it is one")
    asked_cores: float | None = Field(None, description="what a recording would need that the machine has no room for")
    free_cores: float | None = Field(None, description="what is free")
    errors: list[Mistake] | None = Field(None, description="all fields that are wrong, if there are several")


def describe(app: FastAPI) -> None:
    """Make `app.openapi()` name problems instead of FastAPI's own errors."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            app.openapi_schema = _with_problems(made)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _with_problems(schema: dict[str, Any]) -> dict[str, Any]:
    for calls in schema["paths"].values():
        for method, call in calls.items():
            if method not in _METHODS:
                continue
            call["responses"].pop("422", None)
            if "security" in call:
                call["responses"]["default"] = {"$ref": "#/components/responses/Problem"}
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in _UNUSED:
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    components["responses"] = {"Problem": {"description": "it was refused or failed", "content": content}}
    return schema
