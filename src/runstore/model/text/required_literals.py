"""Required texts of a pattern: pieces that every match contains, for queries to an index.

A match always contains the required texts; a text that contains them need not match. Pieces are
folded, so that one index serves case-sensitive and case-insensitive searches, and they never span
a line end.
"""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from posixpath import commonprefix
from typing import Any, Union

from runstore.model.query.patterns import like_parts
from runstore.model.values import clean_text
from runstore.value_classes import NamedTuple, dataclass

# Syntax that is plain text for `re` but not for `regex`: `{e<=1}` and `[[:alpha:]]`.
_OTHERWISE_IN_REGEX = re.compile(r"\{(?!\d*,?\d*\})|\[\[|\[\^\[|\[:")
# Constructs that depend on the surrounding text: among other lines, they may match differently.
_ASKS_AROUND = frozenset(
    {"ASSERT", "ASSERT_NOT", "ATOMIC_GROUP", "GROUPREF_EXISTS", "POSSESSIVE_REPEAT"}
)
_ENDS = frozenset(
    {"AT_BEGINNING", "AT_BEGINNING_STRING", "AT_END", "AT_END_STRING", "AT_NON_BOUNDARY"}
)
_REPEATS = 4  # maximum number of repetitions that are written out
# Syntax unknown to Python's own parser is either an extension or a mistake.
_UNSURE = (re.error, Warning, RecursionError, OverflowError, AttributeError, ImportError)
_ESCAPED = re.compile(r"\\.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Every:
    """All of these are required; if empty, nothing is."""

    parts: tuple[Needed, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """One of these is required."""

    parts: tuple[Needed, ...]


Needed = Union[str, Every, Some]
NOTHING = Every(())


def fold(text: str) -> str:
    """Return a text as it is indexed, folding case.

    Folding works character by character, so that the fold of a text contains the folds of its
    parts.
    """
    # SQLite treats these two as invalid text, and every NUL as its end.
    return clean_text(text.casefold()).replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")


def needed_by_text(text: str) -> Needed:
    """Return the texts required to contain this text."""
    return Every(tuple(fold(line) for line in text.split("\n") if line))


def needed_by_like(pattern: str) -> Needed:
    """Return the texts required to match a `like` pattern, ignoring case."""
    runs, run = [], ""
    for one, is_wild in like_parts(pattern):
        if is_wild:
            runs.append(run)
            run = ""
        else:
            run += one
    return Every(tuple(needed_by_text(one) for one in (*runs, run) if one))


class Parsed(NamedTuple):
    """The requirements of a regular expression, as far as they are known.

    Attributes:
        needed: The texts that every match contains.
        is_of_a_line: Whether every match in a line is also found among other lines.
    """

    needed: Needed
    is_of_a_line: bool


def needed_by_regex(pattern: str, *, ignores_case: bool = False) -> Parsed:
    """Return the texts that every match of a regular expression contains; none if unsure."""
    try:
        tree = _parsed(pattern)
        ignores_case = ignores_case or bool(tree.state.flags & re.IGNORECASE)
        needed = _Literals(ignores_case=ignores_case).of(tree)
        return Parsed(needed, is_of_a_line=not _asks_around(tree))
    except _UNSURE:
        return Parsed(NOTHING, is_of_a_line=False)


@lru_cache(maxsize=16)
def needed_text(pattern: str) -> str:
    """Return a text, not folded, that every match of a regular expression contains.

    It is empty if there is none, or if that is uncertain.
    """
    try:
        tree = _parsed(pattern)
        if tree.state.flags & re.IGNORECASE:
            return ""
        return _in_each_way(_Literals(ignores_case=False, shown=str).of(tree))
    except _UNSURE:
        return ""


def _in_each_way(needed: Needed) -> str:
    if isinstance(needed, str):
        return needed
    found = [_in_each_way(part) for part in needed.parts]
    return commonprefix(found) if isinstance(needed, Some) else max(found, key=len, default="")


def _parsed(pattern: str) -> Any:
    """Parse a regular expression with Python's own parser; raises one of `_UNSURE`."""
    if _OTHERWISE_IN_REGEX.search(_ESCAPED.sub("", pattern)):
        raise OverflowError("it uses syntax that Python does not support")
    name = "re._parser" if sys.version_info >= (3, 11) else "sre_parse"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return importlib.import_module(name).parse(pattern)


def _asks_around(items: Iterable[tuple[Any, Any]]) -> bool:
    """Check whether an expression depends on the text around a match, or does not backtrack."""
    for op, value in items:
        name, inner = str(op), []
        if name in _ASKS_AROUND or (name == "AT" and str(value) in _ENDS):
            return True
        if name == "BRANCH":
            inner = value[1]
        elif name in {"SUBPATTERN", "MAX_REPEAT", "MIN_REPEAT"}:
            inner = [value[-1]]
        if any(map(_asks_around, inner)):
            return True
    return False


class _Literals:
    """Finds the texts that every match of a parsed expression contains."""

    def __init__(self, *, ignores_case: bool, shown: Callable[[str], str] = fold) -> None:
        self._ignores_case = ignores_case
        self._shown = shown
        self._parts: list[Needed] = []
        self._run = ""

    def of(self, items: Iterable[tuple[Any, Any]], begun: str = "") -> Needed:
        """Return the requirements of a sequence that directly follows a text."""
        self._run = begun
        self._sequence(items)
        self._cut()
        return Every(tuple(self._parts))

    def _sequence(self, items: Iterable[tuple[Any, Any]]) -> None:
        for op, value in items:
            name = str(op)
            if name == "LITERAL":
                self._literal(chr(value))
            elif name == "SUBPATTERN":
                self._group(*value)
            elif name == "ATOMIC_GROUP":
                self._sequence(value)
            elif name in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
                self._repeat(*value)
            elif name == "BRANCH":
                self._branches(value[1])
            elif name not in {"AT", "ASSERT", "ASSERT_NOT"}:  # these match no character
                self._cut()

    def _literal(self, character: str) -> None:
        # Only for these it is certain that all their matches fold to the same text: `i` also
        # matches the dotted and the dotless i of Turkish.
        is_unsure = self._ignores_case and (not character.isascii() or character in "iI")
        if is_unsure or character == "\n":
            self._cut()
        else:
            self._run += character

    def _group(self, _number: int | None, added: int, removed: int, items: Any) -> None:
        if added or removed:  # has its own flags
            self._cut()
        else:
            self._sequence(items)

    def _repeat(self, least: int, most: int, items: Any) -> None:
        is_plain = all(str(op) == "LITERAL" for op, _ in items)
        times = min(least, _REPEATS) if is_plain else min(least, 1)
        for _ in range(times):
            self._sequence(items)
        if most != times:
            self._cut()

    def _branches(self, branches: Sequence[Any]) -> None:
        begun, self._run = self._run, ""
        ways = [
            _Literals(ignores_case=self._ignores_case, shown=self._shown).of(one, begun)
            for one in branches
        ]
        self._parts.append(Some(tuple(ways)))

    def _cut(self) -> None:
        if self._run:
            self._parts.append(self._shown(self._run))
        self._run = ""
