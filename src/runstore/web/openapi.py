"""The description of the API, made from the same declarations that check requests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any

import runstore
from runstore.web.endpoints import Endpoint, Parameter
from runstore.web.schemas import ANYTHING, TEXT, optional

_ROOT = "/api/v1"
_PATH = re.compile(r"\{(\w+)(:path)?\}")
_ALWAYS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_WITH_BODY = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "kept", "hint"],
            "properties": {
                "code": TEXT,
                "message": TEXT,
                "kept": optional(TEXT),
                "hint": optional(TEXT),
            },
            "additionalProperties": ANYTHING,
        }
    },
}


def description(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Return the API as OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        path = _ROOT + _PATH.sub(r"{\1}", endpoint.path)
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "runstore",
            "version": runstore.__version__,
            "description": "Runs of one store, for `runstore ui` and programs.",
        },
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
            },
        },
        "security": [{"token": []}],
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    made: dict[str, Any] = {
        "summary": endpoint.about,
        "operationId": _name_of(endpoint),
        "parameters": [*_of_path(endpoint), *map(_of_query, endpoint.parameters)],
        "responses": dict(_responses(endpoint)),
    }
    if endpoint.body is not None:
        made["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": endpoint.body}},
        }
    return made


def _name_of(endpoint: Endpoint) -> str:
    words = re.sub(r"\W+", "_", _PATH.sub(r"\1", endpoint.path)).strip("_")
    return f"{endpoint.method.lower()}_{words}"


def _of_path(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    for found in _PATH.finditer(endpoint.path):
        yield {
            "name": found[1],
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
        }


def _of_query(parameter: Parameter) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": parameter.name,
        "in": "query",
        "description": parameter.about,
        "required": parameter.is_required,
        "schema": parameter.schema,
    }
    if parameter.schema.get("type") == "array":
        made |= {"style": "form", "explode": False}
    return made


def _responses(endpoint: Endpoint) -> Iterator[tuple[str, dict[str, Any]]]:
    content = {endpoint.media_type: {"schema": endpoint.result}}
    yield "200", {"description": endpoint.about, "content": content}
    if endpoint.method == "GET":
        yield "304", {"description": "The client already has it: see If-None-Match."}
    more = _WITH_BODY if endpoint.body is not None else ()
    unknown = (HTTPStatus.NOT_FOUND,) if _PATH.search(endpoint.path) else ()
    for status in sorted({*_ALWAYS, *more, *unknown, *endpoint.statuses}):
        schema = {"$ref": "#/components/schemas/Error"}
        yield (
            str(int(status)),
            {
                "description": status.phrase,
                "content": {"application/json": {"schema": schema}},
            },
        )
