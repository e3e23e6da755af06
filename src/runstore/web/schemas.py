"""The subset of JSON Schema used by the API, for both its checks and its description."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
ANYTHING: Schema = {}
TIME: Schema = {"type": "string", "format": "date-time"}
# NaN and infinities, which JSON has no numbers for, are words.
REAL: Schema = {
    "anyOf": [{"type": "number"}, {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}]
}


def optional(schema: Schema) -> Schema:
    """Return the schema of a value or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def listed(of: Schema, **more: int) -> Schema:
    """Return the schema of a list, such as one of `maxItems`."""
    return {"type": "array", "items": of, **more}


def mapped(of: Schema, **more: int) -> Schema:
    """Return the schema of an object with any keys."""
    return {"type": "object", "additionalProperties": of, **more}


def record(optionally: Mapping[str, Schema] | None = None, /, **required: Schema) -> Schema:
    """Return the schema of an object with these keys and no others."""
    return {
        "type": "object",
        "properties": {**required, **(optionally or {})},
        "required": list(required),
        "additionalProperties": False,
    }


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def mismatch(value: object, schema: Schema, at: str = "it") -> str:  # noqa: PLR0911 - one for each kind
    """Return how a value does not fit a schema, as part of a sentence; empty if it does."""
    if "anyOf" in schema:
        ways = [mismatch(value, one, at) for one in schema["anyOf"]]
        return "" if "" in ways else ways[0]
    kind = schema.get("type")
    if kind is not None and not _TYPES[kind](value):
        return f"{at} is not of the type {kind}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{at} is not one of {', '.join(map(str, schema['enum']))}"
    if isinstance(value, str):
        return _length(value, schema, "Length", "characters", at)
    if isinstance(value, list):
        return _length(value, schema, "Items", "items", at) or _first(
            mismatch(one, schema.get("items", {}), f"item {n} of {at}")
            for n, one in enumerate(value)
        )
    if isinstance(value, dict):
        return _length(value, schema, "Properties", "keys", at) or _object(value, schema, at)
    return ""


def _object(value: Mapping[str, object], schema: Schema, at: str) -> str:
    known: Mapping[str, Schema] = schema.get("properties", {})
    missing = [name for name in schema.get("required", ()) if name not in value]
    if missing:
        return f"{at} has no {missing[0]!r}"
    others = schema.get("additionalProperties", {})
    for name, one in value.items():
        if name not in known and others is False:
            return f"{at} has the unknown key {name!r:.60}"
        wrong = mismatch(one, known.get(name, others), f"{name!r:.60}")
        if wrong:
            return wrong
    return ""


def _length(
    value: Sequence[Any] | Mapping[str, Any], schema: Schema, word: str, unit: str, at: str
) -> str:
    least, most = schema.get(f"min{word}", 0), schema.get(f"max{word}", len(value))
    return "" if least <= len(value) <= most else f"{at} has {len(value)} {unit}"


def _first(texts: Any) -> str:
    return next(filter(None, texts), "")
