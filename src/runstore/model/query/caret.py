"""Completion: the kinds of input possible at a position of a filter."""

from __future__ import annotations

import re

from runstore.model.query.build import Builder
from runstore.model.query.grammar import Mistake, kinds_after
from runstore.model.query.tree import Field
from runstore.value_classes import NamedTuple

# A word with its dots, brackets and quoted parts, closed or not; white space; or a sign.
_PIECE = re.compile(
    r"""\s+|(?:`[^`]*`?|'(?:[^']|'')*'?|"(?:[^"]|"")*"?|[\w.@:+/\[\]-])+|.""", re.DOTALL
)
_SIGN = re.compile(r"\W|\s+")


class CaretPlace(NamedTuple):
    """A position in a filter that is being typed.

    Attributes:
        start: Begin of the word being typed.
        end: Its end, which may be after the caret.
        word: The word up to the caret.
        kinds: Kinds of tokens allowed there, as named in the grammar.
        field: The field whose value is expected there; None if there is none.
    """

    start: int
    end: int
    word: str
    kinds: frozenset[str]
    field: Field | None

    @property
    def wants_field(self) -> bool:
        """Whether the name of a field is allowed there."""
        return "BACKTICKED" in self.kinds

    @property
    def wants_value(self) -> bool:
        """Whether a value is allowed there."""
        return "NUMBER" in self.kinds


def place_at(text: str, at: int) -> CaretPlace:
    """Return the possible input at a position; no kinds after a mistake.

    Args:
        text: The text typed so far.
        at: The position of the caret, from 0.
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
