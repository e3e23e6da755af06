"""Decoding of a typed tree to plain Python values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LONGEST = 64 << 20  # characters; recorded trees have 16 million at most
# Levels of lists and objects; more than 64 levels of values with a tag each.
_DEEP = 256


def plain_values(tree: str) -> dict[str, Any]:
    """Return the values of a tree text."""
    decoded = json.loads(tree)
    # Without a quote followed by a dollar, there are no tags and no escaped keys.
    values = decoded if '"$' not in tree else decode(decoded)
    return values if isinstance(values, dict) else {}


def _refused(constant: str) -> Any:
    raise ValueError(constant)


_STRICT = json.JSONDecoder(parse_constant=_refused)  # NaN and infinities have a tag
# Numbers that may be parsed as infinity. Not compiled, because recording does not need them.
_EXPONENT = r"[eE]\+?\d\d\d"
_DIGITS = r"\d{300}"
_LONG_NUMBER = 300
# Short valid trees, cached because the same runs are read repeatedly.
_known_trees: set[str] = set()
_SHORT, _KNOWN_AT_MOST = 2000, 1000


def is_tree(text: Any) -> bool:
    """Check whether a text is a valid tree.

    A file may contain anything: truncated text, tags without a value, endlessly nested lists.
    """
    if type(text) is not str or len(text) > _LONGEST:
        return False
    if text in _known_trees:
        return True
    if not _can_be_read(text):
        return False
    if len(text) < _SHORT:
        if len(_known_trees) == _KNOWN_AT_MOST:
            _known_trees.clear()
        _known_trees.add(text)
    return True


def _can_be_read(text: str) -> bool:
    try:
        whole, end = _STRICT.raw_decode(text)  # runstore writes no surrounding whitespace
        if end != len(text) or (text.count("[") + text.count("{") > _DEEP < _depth(whole)):
            return False
        if '"$' in text:
            decode(whole)
        if re.search(_EXPONENT, text) or (len(text) > _LONG_NUMBER and re.search(_DIGITS, text)):
            json.dumps(whole, allow_nan=False)  # rejects 1e999, which is parsed as infinity
    # All errors that decoding a tagged value may raise.
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        return False
    return isinstance(whole, dict)


def _depth(tree: Any) -> int:
    level, depth = [tree], 0
    while level:
        depth += 1
        inner: list[Any] = []
        for one in level:
            if isinstance(one, (list, dict)):
                inner.extend(one.values() if isinstance(one, dict) else one)
        level = inner
    return depth


def decode(tree: Any) -> Any:
    """Return the value of a tree."""
    if isinstance(tree, list):
        return [decode(one) for one in tree]
    if not isinstance(tree, dict):
        return tree
    if (tag := tag_of(tree)) is not None:
        return TAGS[tag](tree[tag])
    values: dict[Any, Any] = {}
    for text, one in tree.items():
        key = decode_key(text)
        # An enum member is decoded to its name, which may equal another key.
        values[text if key in values else key] = decode(one)
    return values


def tag_of(tree: dict[str, Any]) -> str | None:
    """Return the tag of a tagged object; None for a mapping."""
    if len(tree) != 1:
        return None
    key = next(iter(tree))
    return key if key in TAGS else None


def decode_key(text: str) -> Any:
    """Decode a mapping key from its text."""
    if text[:1] != "$":
        return text
    if text[:2] == "$$":
        return text[1:]
    return _hashable(decode(json.loads(text[1:])))


def _hashable(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_hashable(one) for one in value)
    if isinstance(value, dict):
        return tuple((key, _hashable(one)) for key, one in value.items())
    return frozenset(value) if isinstance(value, set) else value


def _set(trees: list[Any]) -> set[Any]:
    return {_hashable(decode(one)) for one in trees}


def _fraction(parts: list[Any]) -> Any:
    from fractions import Fraction

    return Fraction(decode(parts[0]), decode(parts[1]))


def _decimal(text: str) -> Any:
    from decimal import Decimal

    return Decimal(text)


def _path(text: str) -> Any:
    from pathlib import Path

    return Path(decode(text))


def _uuid(text: str) -> Any:
    from uuid import UUID

    return UUID(text)


def _timedelta(micros: int) -> Any:
    from datetime import timedelta

    return timedelta(microseconds=micros)


def _iso(kind: str) -> Callable[[str], Any]:
    def parsed(text: str) -> Any:
        import datetime as dt

        try:
            return getattr(dt, kind).fromisoformat(text)
        except ValueError:  # finer than a microsecond, as written by pandas
            return text

    return parsed


TAGS: dict[str, Callable[[Any], Any]] = {
    "$array": lambda parts: decode(parts[2]),
    "$bytes": bytes.fromhex,
    "$complex": lambda parts: complex(decode(parts[0]), decode(parts[1])),
    "$date": _iso("date"),
    "$datetime": _iso("datetime"),
    "$decimal": _decimal,
    "$enum": lambda parts: decode(parts[1]),
    "$float": float,
    "$fraction": _fraction,
    "$int": lambda text: int(text, 16),
    "$name": lambda name: name if isinstance(name, str) else " ".join(name),
    "$numpy": lambda parts: parts[1],
    "$object": lambda name: f"<{name}>",
    "$path": _path,
    "$range": lambda parts: range(*decode(parts)),
    "$set": _set,
    "$text": lambda parts: decode(parts[1]),
    "$time": _iso("time"),
    "$timedelta": _timedelta,
    "$utf32": lambda digits: bytes.fromhex(digits).decode("utf-32-be", "surrogatepass"),
    "$uuid": _uuid,
}
