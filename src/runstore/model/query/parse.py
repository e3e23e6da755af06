"""Parsing of queries: `params.lr > 0.01 and status = 'error' order by metrics.loss.last`.

`grammar.py` parses the text, `build.py` and `fields.py` resolve it. MLflow's filter strings are a
subset of the language.
"""

from __future__ import annotations

import re
from datetime import datetime

from runstore.errors import FilterError
from runstore.model.query.build import Builder, Named
from runstore.model.query.grammar import Mistake, Token, tree_of
from runstore.model.query.tree import EVERYTHING, Field, Order, Query
from runstore.model.values import clean_text

TEXT_LIMIT = 10_000
_BEFORE_NAMES = "order by "


def parse_query(text: str, *, now: datetime | None = None) -> Query:
    """Parse a query.

    Args:
        text: The filter, the order, or both; empty for everything, newest run first.
        now: Reference for `3 days ago`, aware; None for the present.

    Raises:
        FilterError: The text is invalid; the message shows the position and the tokens allowed
            there.
    """
    if len(text) > TEXT_LIMIT:
        raise FilterError(
            f"The filter has {len(text):,} characters; the limit is {TEXT_LIMIT:,}.",
            hint="Use several shorter filters.",
        )
    text = _cleaned(text)
    if not text.strip():
        return Query(text=text)
    builder = Builder(now)
    try:
        where, order = builder.built(tree_of(text))
    except Mistake as mistake:
        raise shown(text, mistake) from None
    except RecursionError:
        raise FilterError("The filter is nested too deeply.") from None
    return Query(where or EVERYTHING, tuple(order), text)


def _cleaned(text: str) -> str:
    """Clean a text like those that it is compared with; printed lines may contain NUL."""
    return "\0".join(map(clean_text, text.split("\0")))


def parse_fields(text: str) -> tuple[Field, ...]:
    """Parse a list of fields, separated by commas: `params.lr, metrics.loss.min`.

    Raises:
        FilterError: The text is invalid; the message shows the position.
    """
    if len(text) > TEXT_LIMIT:
        raise FilterError(f"The names have {len(text):,} characters; the limit is {TEXT_LIMIT:,}.")
    text = _cleaned(text)
    try:
        _, order = _Names(None).built(tree_of(_BEFORE_NAMES + text))
    except Mistake as mistake:
        mistake.at = max(0, mistake.at - len(_BEFORE_NAMES))
        raise shown(text, mistake) from None
    return tuple(one.field for one in order)


class _Names(Builder):
    """Builds fields of any kind, even if runs cannot be sorted by them."""

    def key(self, named: Named, direction: Token | None) -> Order:
        """Return a field as a key."""
        if direction is not None:
            raise Mistake("A direction is not allowed here.", direction.at)
        return Order(named.field)


def shown(text: str, mistake: Mistake) -> FilterError:
    """Return the error with the text and a caret under the position."""
    return FilterError(
        f"{mistake.why}\n{_pointed(text, mistake.at)}",
        position=mistake.at,
        end=_end(text, mistake.at),
        suggestions=(mistake.near,) if mistake.near else (),
        hint=mistake.hint,
    )


def _end(text: str, at: int) -> int:
    """Return the end of the word or sign at a position."""
    found = _WORD.match(text, at)
    return at if found is None else found.end()


def _pointed(text: str, at: int) -> str:
    """Return the line of a position, shortened to its surroundings, and a caret below."""
    begin = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    line = text[begin : len(text) if end < 0 else end].replace("\t", " ")
    at -= begin
    if at > _BEFORE:
        cut = at - _BEFORE
        line, at = "…" + line[cut + 1 :], _BEFORE
    return f"  {line[:_SHOWN]}\n  {' ' * at}^"


_BEFORE, _SHOWN = 60, 100
_WORD = re.compile(r"[\w.'\"`/@:+-]+|\S")
