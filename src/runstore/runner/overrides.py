"""`--set key=value`: values changed on the command line, by dotted key, with their types kept."""

from __future__ import annotations

import ast
import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from enum import Enum
from pathlib import PurePath
from typing import Any

from runstore.errors import UsageError, quoted
from runstore.model.display.suggestions import hint_of, nearest
from runstore.value_classes import fields, is_dataclass

_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_NOTHING = ("none", "null")


def apply(values: Any, settings: Sequence[str]) -> Any:
    """Return a copy of a parameter set with these settings; the set itself is not changed.

    Args:
        values: A dataclass instance, a mapping, or an object with attributes.
        settings: Texts such as `lr=0.1` or `model.layers.0=64`. A value takes the type of the one
            that it replaces; a new key of a mapping takes the type that it is written as.

    Raises:
        UsageError: The key does not exist, or the text does not fit its type.
    """
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator or not key.strip():
            raise UsageError(
                f"{quoted(setting)} is not of the form key=value.",
                kept="Nothing was recorded.",
                hint="Write for example: lr=0.1",
            )
        values = _replaced(values, key.strip().split("."), text, key.strip())
    return values


def doubts(values: Any, settings: Sequence[str]) -> Iterator[str]:
    """Yield a question for each setting that added a key similar to another one of its mapping."""
    for setting in settings:
        key = setting.partition("=")[0].strip()
        *path, name = key.split(".")
        known = _named_children(values)
        for part in path:
            known = _named_children(known.get(part))
        if name not in known and (near := nearest(name, known)):
            yield f"--set {key} adds the new parameter {name!r}. Did you mean {near!r}?"


def _named_children(values: Any) -> dict[str, Any]:
    return {str(name): one for name, one in (_children(values) or {}).items()}


def built(settings: Sequence[str]) -> dict[str, Any]:
    """Return a parameter set made of these settings alone; dots make mappings.

    Raises:
        UsageError: A setting is not of the form key=value, or a key is a value and a mapping.
    """
    values: dict[str, Any] = {}
    for setting in settings:
        *path, _ = setting.partition("=")[0].strip().split(".")
        inner: Any = values
        for name in path:
            inner = inner.setdefault(name, {}) if isinstance(inner, dict) else inner
        values = apply(values, [setting])
    return values


def _replaced(values: Any, path: Sequence[str], text: str, key: str) -> Any:
    first, rest = path[0], path[1:]
    children = _children(values)
    if children is None:
        raise _wrong(f"{key}: {values!r:.60} has no values inside it")
    name = _name_in(values, first, children, key, is_last=not rest)
    if rest:
        new = _replaced(children[name], rest, text, key)
    else:
        new = read_value(text, children.get(name), key)
    return _with(values, name, new)


def _children(values: Any) -> dict[Any, Any] | None:
    if isinstance(values, Mapping):
        return dict(values)
    if isinstance(values, (list, tuple)):
        return dict(enumerate(values))
    if is_dataclass(values) and not isinstance(values, type):
        return {one.name: getattr(values, one.name) for one in fields(values)}
    return dict(vars(values)) if hasattr(values, "__dict__") else None


def _name_in(
    values: Any, name: str, children: Mapping[Any, Any], key: str, *, is_last: bool
) -> Any:
    texts = {str(one): one for one in children}
    if name in texts:
        return texts[name]
    if is_last and isinstance(values, Mapping):
        return name
    raise UsageError(
        f"Parameter {key}: the parameter set has no {quoted(name)}.",
        kept="Nothing was recorded.",
        hint=hint_of(name, texts),
    )


def _with(values: Any, name: Any, new: Any) -> Any:
    if isinstance(values, Mapping):
        changed = copy.copy(values)
        if not hasattr(changed, "__setitem__"):
            changed = dict(values)
        changed[name] = new
        return changed
    if isinstance(values, list):
        return [new if place == name else old for place, old in enumerate(values)]
    if isinstance(values, tuple):
        items = [new if place == name else old for place, old in enumerate(values)]
        return type(values)(*items) if hasattr(values, "_fields") else tuple(items)
    changed = copy.copy(values)
    # Fields without init, and frozen classes, take a new value no other way.
    object.__setattr__(changed, name, new)
    return changed


def read_value(text: str, old: Any, key: str) -> Any:
    """Return a text as a value of the type that the old value has.

    Raises:
        UsageError: The text does not fit the type.
    """
    if old is None:
        return _as_written(text)
    if text.strip().lower() in _NOTHING and not isinstance(old, str):
        return None
    readers = (
        (bool, _bool),
        (Enum, lambda word: _member(type(old), word)),
        (str, str),
        (int, _number),
        (float, float),
        (PurePath, type(old)),
        (datetime, datetime.fromisoformat),
        (date, date.fromisoformat),
        ((list, tuple, dict, set, frozenset), lambda word: _container(old, word)),
    )
    for kind, reader in readers:
        if isinstance(old, kind):
            try:
                return reader(text)
            except (ValueError, SyntaxError, KeyError, TypeError):
                kind_name = _with_article(type(old).__name__)
                raise _wrong(
                    f"{key}: expected {kind_name} (such as {old!r:.60}), got {text!r:.60}"
                ) from None
    return _as_written(text)


def _bool(text: str) -> bool:
    word = text.strip().lower()
    return bool(int(word)) if word in {"0", "1"} else _WORDS[word]


def _number(text: str) -> int | float:
    """Return a whole number, or another one: `lr = 1` in a file may well become 0.5."""
    with suppress(ValueError):
        return int(text, 0)
    return float(text)


def _member(kind: type[Enum], text: str) -> Enum:
    with suppress(KeyError):
        return kind[text]
    for member in kind:
        if str(member.value) == text:
            return member
    raise ValueError(text)


def _container(old: Any, text: str) -> Any:
    read = _as_written(text)
    if isinstance(old, dict):
        return dict(read)
    if isinstance(read, str):
        raise ValueError(text)  # noqa: TRY004 - read as the other failures are
    return type(old)(read)


def _as_written(text: str) -> Any:
    """Return the value of a text as JSON or as a Python literal, else the text itself."""
    word = text.strip()
    if word.lower() in {"true", "false"}:
        return word.lower() == "true"
    if word.lower() in _NOTHING:
        return None
    with suppress(ValueError):
        return json.loads(word)
    with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        return ast.literal_eval(word)
    return text


def _with_article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def _wrong(problem: str) -> UsageError:
    return UsageError(f"Parameter {problem}.", kept="Nothing was recorded.")
