"""Regular expressions of Python as those of PostgreSQL, if both mean the same.

Classes of characters and the letters of another case are written out, because PostgreSQL's depend
on the locale of the database.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from runstore.errors import FilterError
from runstore.model.query.characters import ranges_of

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
}
# Between characters of words and others, by the class of the former.
_BOUNDARIES = {
    "AT_BOUNDARY": "(?:(?<={word})(?!{word})|(?<!{word})(?={word}))",
    "AT_NON_BOUNDARY": "(?:(?<={word})(?={word})|(?<!{word})(?!{word}))",
}


_NEVER = "(?!)"


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
        names = "".join(
            name for flag, name in ((re.IGNORECASE, "i"), (re.ASCII, "a")) if flags & flag
        )
        any_character = "." if flags & re.DOTALL else r"[^\n]"
        return _Writer(any_character, f"(?{names})" if names else "").all(parsed)
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
    """Writes a parsed expression."""

    def __init__(self, any_character: str, flags: str) -> None:
        self._any = any_character
        self._flags = flags
        self._write: dict[str, Callable[[Any], str]] = {
            "LITERAL": lambda code: self._character(_literal(code)),
            "NOT_LITERAL": lambda code: self._character(f"[^{_literal(code)}]"),
            "ANY": lambda _: self._any,
            "IN": self._one_of,
            "BRANCH": lambda value: f"(?:{'|'.join(map(self.all, value[1]))})",
            "SUBPATTERN": self._group,
            "MAX_REPEAT": self._repeat,
            "MIN_REPEAT": self._repeat,
            "AT": self._place,
            "ASSERT": lambda value: self._look("=", value),
            "ASSERT_NOT": lambda value: self._look("!", value),
        }

    def all(self, parsed: Iterable[Any]) -> str:
        """Return a sequence of expressions."""
        return "".join(_known(self._write, kind)(value) for kind, value in parsed) or "(?:)"

    def _character(self, expression: str, *, has_class: bool = False) -> str:
        """Return an expression for one character, written out if its meaning may vary."""
        if not (self._flags or has_class):
            return expression
        parts = [
            _escape(first) if first == last else f"{_escape(first)}-{_escape(last)}"
            for first, last in ranges_of(self._flags + expression)
        ]
        return f"[{''.join(parts)}]" if parts else _NEVER

    def _one_of(self, items: Any) -> str:
        parts, has_class = [], False
        for kind, value in items:
            name = str(kind)
            if name == "NEGATE":
                parts.append("^")
            elif name == "LITERAL":
                parts.append(_literal(value))
            elif name == "RANGE":
                parts.append(f"{_literal(value[0])}-{_literal(value[1])}")
            elif name == "CATEGORY":
                parts.append(_known(_CATEGORIES, value))
                has_class = True
            else:
                raise _UnknownError
        return self._character(f"[{''.join(parts)}]", has_class=has_class)

    def _place(self, place: Any) -> str:
        between = _BOUNDARIES.get(str(place))
        if between is None:
            return str(_known(_PLACES, place))
        return between.format(word=self._character(r"\w", has_class=True))

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
    return one if one.isascii() and (one.isalnum() or one == " ") else _escape(code)


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"
