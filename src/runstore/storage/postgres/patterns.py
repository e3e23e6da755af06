"""Regular expressions of Python as those of PostgreSQL, if both mean the same."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from runstore.errors import FilterError

# Source: PostgreSQL 18, 9.7.3, POSIX Regular Expressions; Python 3.13, re._parser.
_MOST_REPEATS = 255
_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_NOT_WORD": r"\W",
}
_PLACES = {
    "AT_BEGINNING": r"\A",
    "AT_BEGINNING_STRING": r"\A",
    "AT_END": r"(?=\n?\Z)",
    "AT_END_STRING": r"\Z",
    "AT_BOUNDARY": r"\y",
    "AT_NON_BOUNDARY": r"\Y",
}


class _UnknownError(Exception):
    """PostgreSQL has no equivalent."""


@lru_cache(maxsize=64)
def postgres_pattern(pattern: str) -> str:
    """Return a regular expression in PostgreSQL's syntax.

    Raises:
        FilterError: PostgreSQL cannot express it.
    """
    import re

    parser: Any = importlib.import_module(
        "re._parser" if sys.version_info >= (3, 11) else "sre_parse"
    )
    try:
        parsed = parser.parse(pattern)
        flags = parsed.state.flags
        _check_flags(flags & re.MULTILINE)
        prefix = "(?i)" if flags & re.IGNORECASE else ""
        return prefix + _Writer(any_character="." if flags & re.DOTALL else r"[^\n]").all(parsed)
    except (re.error, _UnknownError, RecursionError, OverflowError):
        raise FilterError(
            f"The regular expression {pattern!r:.60} is not available on PostgreSQL yet.",
            hint="Use literals, character classes, groups, alternatives and repetitions; or"
            " `contains` or `like`.",
        ) from None


def _check_flags(unknown: int) -> None:
    if unknown:
        raise _UnknownError


class _Writer:
    """Writes a parsed expression.

    Args:
        any_character: The expression for a dot.
    """

    def __init__(self, *, any_character: str) -> None:
        self._any = any_character
        self._write: dict[str, Callable[[Any], str]] = {
            "LITERAL": _literal,
            "NOT_LITERAL": lambda code: f"[^{_literal(code)}]",
            "ANY": lambda _: self._any,
            "IN": _one_of,
            "BRANCH": lambda value: f"(?:{'|'.join(map(self.all, value[1]))})",
            "SUBPATTERN": self._group,
            "MAX_REPEAT": self._repeat,
            "MIN_REPEAT": self._repeat,
            "AT": lambda place: _known(_PLACES, place),
            "ASSERT": lambda value: self._look("=", value),
            "ASSERT_NOT": lambda value: self._look("!", value),
        }

    def all(self, parsed: Iterable[Any]) -> str:
        """Return a sequence of expressions."""
        return "".join(_known(self._write, kind)(value) for kind, value in parsed) or "(?:)"

    def _group(self, value: Any) -> str:
        _, added, removed, inner = value
        if added or removed:
            raise _UnknownError
        return f"(?:{self.all(inner)})"

    def _repeat(self, value: Any) -> str:
        least, most, inner = value
        # Whether there is a match does not depend on who takes first.
        is_endless = str(most) == "MAXREPEAT"
        if least > _MOST_REPEATS or (not is_endless and most > _MOST_REPEATS):
            raise _UnknownError
        return f"(?:{self.all(inner)}){{{least},{'' if is_endless else most}}}"

    def _look(self, sign: str, value: Any) -> str:
        direction, inner = value
        return f"(?{'<' if direction < 0 else ''}{sign}{self.all(inner)})"


def _known(table: dict[str, Any], key: object) -> Any:
    try:
        return table[str(key)]
    except KeyError:
        raise _UnknownError from None


def _literal(code: int) -> str:
    one = chr(code)
    if one.isascii() and (one.isalnum() or one == " "):
        return one
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"


def _one_of(items: Any) -> str:
    parts, is_negated = [], False
    for kind, value in items:
        name = str(kind)
        if name == "NEGATE":
            is_negated = True
        elif name == "LITERAL":
            parts.append(_literal(value))
        elif name == "RANGE":
            parts.append(f"{_literal(value[0])}-{_literal(value[1])}")
        elif name == "CATEGORY":
            parts.append(_known(_CATEGORIES, value))
        else:
            raise _UnknownError
    if len(parts) > 1 and any(part[:2] in {r"\D", r"\S", r"\W"} for part in parts):
        raise _UnknownError
    if not is_negated and len(parts) == 1 and parts[0] in _CATEGORIES.values():
        return parts[0]
    return f"[{'^' if is_negated else ''}{''.join(parts)}]"
