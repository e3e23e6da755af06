"""SQL functions that SQLite lacks: regular expressions, number conversion, checks of runs.

Their dependencies are imported on the first call, because recording needs none of them. From then
on, a call may be made for every run of a store and costs almost no lookups.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable
from functools import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_tokens = itertools.count(1)
_checks: dict[int, Callable[[int], bool]] = {}


class Undecodable(str):
    """A text with invalid UTF-8, whose invalid bytes are escaped."""

    __slots__ = ()


def text_of(data: bytes) -> str:
    """Decode bytes as text, escaping invalid ones."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return Undecodable(data.decode(errors="backslashreplace"))


def add_functions(connection: sqlite3.Connection) -> None:
    """Register these functions on a connection."""
    connection.create_function("matches", 2, _matches, deterministic=True)
    connection.create_function("number_of", 1, _number_of, deterministic=True)
    connection.create_function("number_text", 1, _number_text, deterministic=True)
    connection.create_function("version_holds", 3, _version_holds, deterministic=True)
    connection.create_function("check_run", 2, _check_run)


def register(check: Callable[[int], bool]) -> int:
    """Register a check for statements: `check_run(<returned token>, run_id)`."""
    token = next(_tokens)
    _checks[token] = check
    return token


def unregister(token: int) -> None:
    """Remove a registered check."""
    del _checks[token]


def _check_run(token: int, run_id: int) -> bool:
    return _checks[token](run_id)


def _matches(pattern: str, text: Any) -> bool | None:
    return None if text is None else _regex()(pattern).is_found_in(str(text))


def _number_of(text: Any) -> float | None:
    return None if text is None else _tag_number()(str(text))


def _number_text(number: Any) -> str | None:
    return None if number is None else _number_writer()(float(number))


def _version_holds(op: str, version: Any, wanted: str) -> bool | None:
    return None if version is None else _version_judge()(op, str(version), wanted)


@cache
def _version_judge() -> Callable[[str, str, str], bool]:
    from runstore.model.query.evaluate import compare_versions
    from runstore.model.query.tree import Op

    return lambda op, version, wanted: compare_versions(Op(op), version, wanted)


@cache
def _regex() -> Callable[[str], Any]:
    from runstore.model.query.evaluate import regex

    return regex


@cache
def _tag_number() -> Callable[[str], float | None]:
    from runstore.model.query.evaluate import tag_number

    return tag_number


@cache
def _number_writer() -> Callable[[float], str | None]:
    from runstore.model.query.evaluate import number_text

    return number_text
