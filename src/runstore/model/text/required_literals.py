"""What a text has to hold to match a pattern: pieces that an index can be asked for.

A text that matches always holds what is needed; one that holds it need not match. Pieces are
folded, so that one index serves searches that tell capitals from small letters and those that do
not, and they never span a line's end.
"""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from posixpath import commonprefix
from typing import Any, NamedTuple, Union

from runstore.model.query.patterns import like_parts
from runstore.model.values import clean_text

# What `re` reads as plain text and `regex` does not: `{e<=1}` and `[[:alpha:]]`.
_OTHERWISE_IN_REGEX = re.compile(r"\{(?!\d*,?\d*\})|\[\[|\[\^\[|\[:")
# What depends on more than what it matches: with other lines around, that may be something else.
_ASKS_AROUND = frozenset(
    {"ASSERT", "ASSERT_NOT", "ATOMIC_GROUP", "GROUPREF_EXISTS", "POSSESSIVE_REPEAT"}
)
_ENDS = frozenset(
    {"AT_BEGINNING", "AT_BEGINNING_STRING", "AT_END", "AT_END_STRING", "AT_NON_BOUNDARY"}
)
_REPEATS = 4  # of a text are written out
# What Python's own parser does not know is a superset of its language, or a mistake.
_UNSURE = (re.error, Warning, RecursionError, OverflowError, AttributeError, ImportError)
_ESCAPED = re.compile(r"\\.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Every:
    """All of these are needed; without any, nothing is."""

    parts: tuple[Needed, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """One of these is needed."""

    parts: tuple[Needed, ...]


Needed = Union[str, Every, Some]
NOTHING = Every(())


def fold(text: str) -> str:
    """Return a text as it is indexed: letters that differ in case alone are the same.

    Folding goes character by character, so what a text holds, its fold holds folded.
    """
    # SQLite takes these two for broken text, and every NUL for the end of it.
    return clean_text(text.casefold()).replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")


def needed_by_text(text: str) -> Needed:
    """Return what has to be there where a text holds this one."""
    return Every(tuple(fold(line) for line in text.split("\n") if line))


def needed_by_like(pattern: str) -> Needed:
    """Return what has to be there where a text is like a pattern; capitals may be small."""
    runs, run = [], ""
    for one, is_wild in like_parts(pattern):
        if is_wild:
            runs.append(run)
            run = ""
        else:
            run += one
    return Every(tuple(needed_by_text(one) for one in (*runs, run) if one))


class Parsed(NamedTuple):
    """What a regular expression needs, as far as that can be told.

    Attributes:
        needed: What has to be there where it matches.
        is_of_a_line: Whether what it finds in a line, it also finds among others.
    """

    needed: Needed
    is_of_a_line: bool


def needed_by_regex(pattern: str, *, ignores_case: bool = False) -> Parsed:
    """Return what has to be there where a regular expression matches; nothing when unsure."""
    try:
        tree = _parsed(pattern)
        ignores_case = ignores_case or bool(tree.state.flags & re.IGNORECASE)
        needed = _Literals(ignores_case=ignores_case).of(tree)
        return Parsed(needed, is_of_a_line=not _asks_around(tree))
    except _UNSURE:
        return Parsed(NOTHING, is_of_a_line=False)


@lru_cache(maxsize=16)
def needed_text(pattern: str) -> str:
    """Return a text, not folded, that is there where a regular expression matches.

    It is empty if there is none, or if that is not certain.
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
    """Return a regular expression as Python's own parser reads it; raises one of `_UNSURE`."""
    if _OTHERWISE_IN_REGEX.search(_ESCAPED.sub("", pattern)):
        raise OverflowError("it has more signs than Python knows")
    name = "re._parser" if sys.version_info >= (3, 11) else "sre_parse"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return importlib.import_module(name).parse(pattern)


def _asks_around(items: Iterable[tuple[Any, Any]]) -> bool:
    """Tell whether an expression asks what stands around a match, or tries no other way."""
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
    """Finds the texts that a parsed expression cannot match without.

    Args:
        ignores_case: Whether capitals are small letters.
        shown: What a text becomes.
    """

    def __init__(self, *, ignores_case: bool, shown: Callable[[str], str] = fold) -> None:
        self._ignores_case = ignores_case
        self._shown = shown
        self._parts: list[Needed] = []
        self._run = ""

    def of(self, items: Iterable[tuple[Any, Any]], begun: str = "") -> Needed:
        """Return what a sequence needs, behind a text that it follows directly."""
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
            elif name not in {"AT", "ASSERT", "ASSERT_NOT"}:  # these take no character
                self._cut()

    def _literal(self, character: str) -> None:
        # Only of these it is certain that whatever they match folds to the same: to `i`, which
        # the library lets match the dotted and the dotless one of Turkish as well, it does not.
        is_unsure = self._ignores_case and (not character.isascii() or character in "iI")
        if is_unsure or character == "\n":
            self._cut()
        else:
            self._run += character

    def _group(self, _number: int | None, added: int, removed: int, items: Any) -> None:
        if added or removed:  # flags of its own
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
