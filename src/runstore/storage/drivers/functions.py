"""Functions that SQLite does not have: regular expressions, and numbers as texts and back.

What they need is imported when a statement calls them first: recording runs needs none of them.
From then on they are called for up to every run of a store, and so look up next to nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import cache
from typing import Any


def add_functions(connection: sqlite3.Connection) -> None:
    """Let a connection's statements call `matches`, `number_of` and `number_text`."""
    connection.create_function("matches", 2, _matches, deterministic=True)
    connection.create_function("number_of", 1, _number_of, deterministic=True)
    connection.create_function("number_text", 1, _number_text, deterministic=True)


def _matches(pattern: str, text: Any) -> bool | None:
    return None if text is None else _regex()(pattern).is_found_in(str(text))


def _number_of(text: Any) -> float | None:
    return None if text is None else _tag_number()(str(text))


def _number_text(number: Any) -> str | None:
    return None if number is None else _number_writer()(float(number))


@cache
def _regex() -> Callable[[str], Any]:
    from runstore.model.query_match import regex

    return regex


@cache
def _tag_number() -> Callable[[str], float | None]:
    from runstore.model.query_match import tag_number

    return tag_number


@cache
def _number_writer() -> Callable[[float], str | None]:
    from runstore.model.query_match import number_text

    return number_text
