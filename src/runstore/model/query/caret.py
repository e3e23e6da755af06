"""What may be typed at a place of a filter."""

from __future__ import annotations

import re
from typing import NamedTuple

from runstore.model.query.build import Builder
from runstore.model.query.grammar import Mistake, kinds_after
from runstore.model.query.tree import Field

# A word with its dots, brackets and parts in quotes, closed or not; white space; or a sign.
_PIECE = re.compile(
    r"""\s+|(?:`[^`]*`?|'(?:[^']|'')*'?|"(?:[^"]|"")*"?|[\w.@:+/\[\]-])+|.""", re.DOTALL
)
_SIGN = re.compile(r"\W|\s+")


class CaretPlace(NamedTuple):
    """A place where somebody types.

    Attributes:
        start: Where the word begins that is typed.
        end: Where it ends; behind the caret if that stands within it.
        word: The word up to the caret.
        kinds: The kinds of tokens that may stand there, as the grammar calls them.
        field: The field whose value may stand there; None if there is none.
    """

    start: int
    end: int
    word: str
    kinds: frozenset[str]
    field: Field | None

    @property
    def wants_field(self) -> bool:
        """Whether the name of a field may stand there."""
        return "BACKTICKED" in self.kinds

    @property
    def wants_value(self) -> bool:
        """Whether a value may stand there."""
        return "NUMBER" in self.kinds


def place_at(text: str, at: int) -> CaretPlace:
    """Return what may be typed at a place of a text; no kinds behind a mistake.

    Args:
        text: The filter, as far as it is typed.
        at: The place of the caret, from 0.
    """
    start, end = _word_at(text, at)
    kinds, compared = kinds_after(text[:start])
    field = None
    if compared is not None:
        try:
            field = Builder(None).built(compared).field
        except Mistake:  # there is no such field
            kinds = frozenset()
    return CaretPlace(start, end, text[start:at], kinds, field)


def _word_at(text: str, at: int) -> tuple[int, int]:
    for found in _PIECE.finditer(text):
        is_word = not _SIGN.fullmatch(found[0]) or found[0][0] in "`'\"["
        if found.start() < at <= found.end() and is_word:
            return found.span()
    return at, at
