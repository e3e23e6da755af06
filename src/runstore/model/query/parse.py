"""A query from its text: `params.lr > 0.01 and status = 'error' order by metrics.loss.last`.

`grammar.py` reads the text, `build.py` and `fields.py` know what it means. MLflow's filter strings
are a part of the language.
"""

from __future__ import annotations

import re
from datetime import datetime

from runstore.errors import FilterError
from runstore.model.query.build import Builder, Named
from runstore.model.query.grammar import Mistake, Token, tree_of
from runstore.model.query.tree import EVERYTHING, Field, Order, Query

TEXT_LIMIT = 10_000
_BEFORE_NAMES = "order by "


def parse_query(text: str, *, now: datetime | None = None) -> Query:
    """Return the query that a text asks for.

    Args:
        text: The filter, the order, or both; empty for everything, the newest run first.
        now: What `3 days ago` counts from, aware; None for the present.

    Raises:
        FilterError: The text is no query; the message shows the place and what may stand there.
    """
    if len(text) > TEXT_LIMIT:
        raise FilterError(
            f"A filter has at most {TEXT_LIMIT:,} characters, not {len(text):,}.",
            hint="Ask in several steps.",
        )
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


def parse_fields(text: str) -> tuple[Field, ...]:
    """Return the fields that a text names, with commas between: `params.lr, metrics.loss.min`.

    Raises:
        FilterError: The text names none; the message shows the place.
    """
    if len(text) > TEXT_LIMIT:
        raise FilterError(f"Names have at most {TEXT_LIMIT:,} characters, not {len(text):,}.")
    try:
        _, order = _Names(None).built(tree_of(_BEFORE_NAMES + text))
    except Mistake as mistake:
        mistake.at = max(0, mistake.at - len(_BEFORE_NAMES))
        raise shown(text, mistake) from None
    return tuple(one.field for one in order)


class _Names(Builder):
    """Builds fields of any kind, where an order takes those that have one."""

    def key(self, named: Named, direction: Token | None) -> Order:
        """Return a field as a key."""
        if direction is not None:
            raise Mistake("A name stands alone here.", direction.at)
        return Order(named.field)


def shown(text: str, mistake: Mistake) -> FilterError:
    """Return the error with the text and a caret under the place."""
    return FilterError(
        f"{mistake.why}\n{_pointed(text, mistake.at)}",
        position=mistake.at,
        end=_end(text, mistake.at),
        suggestions=(mistake.near,) if mistake.near else (),
        hint=mistake.hint,
    )


def _end(text: str, at: int) -> int:
    """Return where the word or sign ends that begins at a place."""
    found = _WORD.match(text, at)
    return at if found is None else found.end()


def _pointed(text: str, at: int) -> str:
    """Return the line of a place, cut to what surrounds it, and a caret below."""
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
