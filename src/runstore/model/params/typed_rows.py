"""A typed tree as rows for display: each value with its type and its exact text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from runstore.model.params.decode import decode_key, tag_of
from runstore.model.params.flatten import joined, tagged
from runstore.model.values import canonical_json, clean_text
from runstore.value_classes import NamedTuple

ROWS_AT_MOST = 20_000
ITEMS_AT_MOST = 500
TEXT_AT_MOST = 10_000
_DEEPEST = 64
_BASIC = {bool: "bool", int: "int", float: "float", str: "text", type(None): "none"}

# Type codes of numpy by kind of number.
_ARRAY_KINDS = {"f": "float", "i": "int", "u": "int", "b": "bool", "c": "complex"}


class TypedRow(NamedTuple):
    """One value, or the head of a mapping or list whose rows follow.

    Attributes:
        key: Its dotted key as in filters, without the name of the set.
        name: The last part of the key.
        depth: Number of heads above it.
        type: `float`, `int`, `text`, `bool`, `none`, `mapping`, `list`, `set`, `array`, or another
            word for the kind of the value.
        text: The exact value: 1.0 is `1.0`; empty for a head.
        size: Number of values of a mapping or list; None for a value.
    """

    key: str
    name: str
    depth: int
    type: str
    text: str
    size: int | None


def typed_rows(tree: str | None) -> list[TypedRow]:
    """Return the rows of a tree text, heads before their contents; up to `ROWS_AT_MOST`."""
    rows: list[TypedRow] = []
    if tree is not None:
        for row in _of_mapping(json.loads(tree), "", 0):
            if len(rows) == ROWS_AT_MOST:
                break
            rows.append(row)
    return rows


def _rows(tree: Any, key: str, name: str, depth: int) -> Iterator[TypedRow]:
    kind = "value"
    if isinstance(tree, dict):
        tag = tag_of(tree)
        if tag == "$array":
            kind, tree = _array_type(tree[tag]), tree[tag][2]
        elif tag == "$set":
            kind, tree = "set", tree[tag]
        elif tag is not None:
            number, text = tagged(tag, tree)
            shown = text if text is not None else str(number)
            yield TypedRow(key, name, depth, tag[1:], _bounded(shown), None)
            return
    if depth >= _DEEPEST and isinstance(tree, (dict, list)):
        yield TypedRow(key, name, depth, "text", _bounded(canonical_json(tree)), None)
    elif isinstance(tree, dict):
        yield TypedRow(key, name, depth, "mapping", "", len(tree))
        yield from _of_mapping(tree, key, depth + 1)
    elif isinstance(tree, list):
        kind = kind if kind != "value" else "list"
        yield TypedRow(key, name, depth, kind, "", len(tree))
        for index, one in enumerate(tree[:ITEMS_AT_MOST]):
            yield from _rows(one, f"{key}[{index}]", f"[{index}]", depth + 1)
    else:
        text = tree if isinstance(tree, str) else repr(tree)
        yield TypedRow(key, name, depth, _BASIC.get(type(tree), kind), _bounded(text), None)


def _array_type(parts: list[Any]) -> str:
    letter, shape, _ = parts
    sizes = "x".join(map(str, shape)) if isinstance(shape, list) else ""
    return " ".join(filter(None, (_ARRAY_KINDS.get(str(letter), ""), "array", sizes)))


def _of_mapping(tree: dict[str, Any], key: str, depth: int) -> Iterator[TypedRow]:
    for text, one in tree.items():
        name = clean_text(str(decode_key(text)))
        yield from _rows(one, clean_text(joined(key, text)), name, depth)


def _bounded(text: str) -> str:
    clean = clean_text(text)
    return clean if len(clean) <= TEXT_AT_MOST else clean[: TEXT_AT_MOST - 1] + "…"
