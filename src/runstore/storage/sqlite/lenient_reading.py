"""Reading of texts with invalid UTF-8, which `sqlite3` refuses to decode."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from runstore.storage.driver import Parameters
from runstore.storage.sqlite.functions import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class LenientReading:
    """A connection for reading that also returns texts with invalid UTF-8."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    def execute(self, sql: str, parameters: Parameters = ()) -> _Rows:
        """Run one statement."""
        return _Rows(self._raw, sql, parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


class _Rows:
    """The rows of a statement, which is run again if one of their texts cannot be decoded."""

    def __init__(self, raw: sqlite3.Connection, sql: str, parameters: Parameters) -> None:
        self._statement = raw, sql, parameters
        self._given = 0
        self._found: Any = None
        try:
            self._found = raw.execute(sql, parameters)
        except sqlite3.OperationalError as error:
            self._run_again(error)

    def _run_again(self, error: sqlite3.OperationalError) -> None:
        """Run the statement again up to the same row; from here on, reading texts is slower."""
        raw, sql, parameters = self._statement
        if "decode" not in str(error) or raw.text_factory is text_of:
            raise error
        raw.text_factory = text_of
        if self._found is not None:
            self._found.close()  # before Python 3.11, its end would end the new one
        self._found = raw.execute(sql, parameters)
        if self._given:
            self._found.fetchmany(self._given)

    @property
    def rowcount(self) -> int:
        """Number of rows changed."""
        return int(self._found.rowcount)

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        try:
            row = self._found.fetchone()
        except sqlite3.OperationalError as error:
            self._run_again(error)
            row = self._found.fetchone()
        self._given += 1
        return row

    def fetchall(self) -> Any:
        """Return the remaining rows."""
        try:
            return self._found.fetchall()
        except sqlite3.OperationalError as error:
            self._run_again(error)
            return self._found.fetchall()

    def __iter__(self) -> Iterator[Any]:
        try:
            for self._given, row in enumerate(self._found, self._given + 1):  # noqa: B020 - no name
                yield row
        except sqlite3.OperationalError as error:
            self._run_again(error)
            yield from self._found
