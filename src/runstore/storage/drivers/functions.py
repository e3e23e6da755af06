"""Functions that SQLite does not have: regular expressions, and numbers as texts and back.

Each is imported when a statement calls it first: recording runs needs none of them.
"""

from __future__ import annotations

import sqlite3
from typing import Any


def add_functions(connection: sqlite3.Connection) -> None:
    """Let a connection's statements call `matches`, `number_of` and `number_text`."""
    connection.create_function("matches", 2, _matches, deterministic=True)
    connection.create_function("number_of", 1, _number_of, deterministic=True)
    connection.create_function("number_text", 1, _number_text, deterministic=True)


def _matches(pattern: str, text: Any) -> bool | None:
    from runstore.model.query_match import regex

    return None if text is None else regex(pattern).is_found_in(str(text))


def _number_of(text: Any) -> float | None:
    from runstore.model.query_match import tag_cell

    return None if text is None else tag_cell(str(text))[0]


def _number_text(number: Any) -> str | None:
    from runstore.model.query_match import number_text

    return None if number is None else number_text(float(number))
