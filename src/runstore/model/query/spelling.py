"""Spelling of field names in a filter, the inverse of `parse_query`."""

from __future__ import annotations

import json
import re

from runstore.model.query.fields import RUN_FIELDS, SET_FIELDS, STATS
from runstore.model.query.tree import Field, Namespace

# A part that needs no quotes; see the grammar.
_NAME = re.compile(r"[^\W\d][\w/-]*")
# Words with another meaning in place of a value.
_NO_BARE = frozenset({"true", "false", "nan", "inf", "null", "none", "missing"})
_PART = re.compile(r"\w[\w/@:+-]*")
# The names of a list before the one that is being typed, whose quotes may be open.
_BEFORE = re.compile(r'(?:(?:[^",]|"[^"]*(?:"|\Z))*,\s*)*')
# A step into a nested parameter in the format of `params/flatten.py`: in JSON's quotes, plain, or
# an element; and the dot after it if another name follows.
_STEP = re.compile(r'(?:("(?:[^"\\]|\\.)*")|([^.\[\]"\\\s]+)|\[([^\]]*)\])(\.(?!\[)|(?=\[)|$)')


def spelled(namespace: Namespace, key: str) -> str:
    """Return the name of a parameter, metric, tag, fact or package, such as `params.lr`."""
    steps = _steps(key) if namespace is Namespace.PARAM else None
    if steps is None:
        steps = [f".{_part(one)}" for one in _pieces(namespace, key)]
    return namespace.value + "".join(steps)


def spelled_value(text: str) -> str:
    """Return a text as a value of the filter language: bare if possible, else quoted."""
    is_bare = _NAME.fullmatch(text) and text.lower() not in _NO_BARE
    return text if is_bare else "'" + text.replace("'", "''") + "'"


def listed_names(text: str) -> list[str]:
    """Return the names of a list with commas between; a comma in double quotes is part of one."""
    names: list[list[str]] = [[]]
    pieces = text.split('"')
    for place, piece in enumerate(pieces, 1 - len(pieces)):
        # Quotes are counted from the end: one without a partner begins no name with commas.
        within, *more = [piece] if place % 2 else piece.split(",")
        names[-1].append(within)
        names += [[one] for one in more]
    return ['"'.join(parts).strip() for parts in names]


def begun_name(text: str) -> tuple[str, str]:
    """Return the names of a list that is being typed, each with its comma, and the last one."""
    found = _BEFORE.match(text)
    at = 0 if found is None else found.end()
    return text[:at], text[at:]


def field_name(field: Field) -> str:
    """Return the name of a field that is a value of a run: `status`, `metrics.loss.min`."""
    if field.namespace is Namespace.RUN:
        return next(name for name, (key, _) in RUN_FIELDS.items() if key == field.key)
    if field.namespace is Namespace.SET:
        return next(name for name, key in SET_FIELDS.items() if key == field.key)
    name = spelled(field.namespace, field.key)
    if field.set_name is not None:
        name = name.replace(".", f"[{_part(field.set_name)}].", 1)
    return f"{name}.{field.part}" if field.namespace is Namespace.METRIC else name


def _pieces(namespace: Namespace, key: str) -> list[str]:
    """Return the pieces joined by dots; a single piece if one of them needs quotes."""
    pieces = key.split(".")
    is_stat = namespace is Namespace.METRIC and len(pieces) > 1 and pieces[-1] in STATS
    if is_stat or not all(map(_PART.fullmatch, pieces)):
        return [key]
    return pieces


def _part(text: str) -> str:
    return text if _PART.fullmatch(text) else '"' + text.replace('"', '""') + '"'


def _steps(key: str) -> list[str] | None:
    """Return the steps to a nested parameter; None if the key is not a path."""
    steps: list[str] = []
    at = 0
    while at < len(key):
        found = _STEP.match(key, at)
        if found is None:
            return None
        quoted, plain, place, _ = found.groups()
        if place is not None:
            steps.append(f"[{_part(place)}]")
        else:
            steps.append("." + _part(json.loads(quoted) if quoted else plain))
        at = found.end()
    return steps or None
