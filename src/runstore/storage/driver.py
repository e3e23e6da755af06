"""The interface of database drivers: connections, transactions and SQL type names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Union

from runstore.errors import StoreError

Parameters = Union[Mapping[str, Any], Sequence[Any]]


class Highest(bytes):
    """A key above every other one: in SQLite above numbers, and texts in their place."""

    __slots__ = ()


class StoredTable(NamedTuple):
    """A table of a store.

    Attributes:
        name: Its name.
        columns: The kind of each column, `text`, `bytes` or another one.
        key: The columns that identify a row, or a hidden one.
    """

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...]


class Rows(Protocol):
    """The result of a statement."""

    @property
    def rowcount(self) -> int:
        """Number of rows changed."""

    def fetchone(self) -> Any:
        """Return the next row as a tuple, or None."""

    def __iter__(self) -> Iterator[Any]:
        """Yield the remaining rows as tuples."""

    def fetchall(self) -> Sequence[Any]:
        """Return the remaining rows as tuples."""


class Connection(Protocol):
    """Runs statements with `:name` parameters, or positional `?` parameters."""

    def execute(self, sql: str, parameters: Parameters = ..., /) -> Rows:
        """Run one statement."""

    def executemany(self, sql: str, parameters: Iterable[Parameters], /) -> Rows:
        """Run one statement once per set of parameters."""

    def insert(self, sql: str, parameters: Parameters, /) -> int:
        """Insert one row and return its id."""


class Driver(Protocol):
    """One engine and one database; safe to share between threads and across forks."""

    types: Mapping[str, str]
    after_commit: Callable[[], object]
    indexes_later: bool  # whether parameters are indexed after a start, see `indexes/params.py`
    checks_types: bool  # whether columns contain only values of their type
    calls_python: bool  # whether statements can call functions of this program

    @property
    def refusal(self) -> Exception | None:
        """The error that writing raises, or None if the database is writable."""

    @property
    def is_in_place(self) -> bool:
        """Whether this is still the database that was opened, neither deleted nor replaced."""

    @property
    def is_writing(self) -> bool:
        """Whether this thread is inside a transaction that must not be interrupted."""

    def read(self) -> AbstractContextManager[Connection]:
        """Return a connection for reading; driver errors are translated."""

    def write(self) -> AbstractContextManager[Connection]:
        """Return a connection in a write transaction: durable on exit, rolled back on an error."""

    def as_one(self, then: Callable[[], object] | None = None) -> AbstractContextManager[None]:
        """Call `after_commit`, or `then`, once for all transactions in the block."""

    @property
    def patience_s(self) -> float:
        """How long this thread waits for other writers."""

    def hurried(self, patience_s: float) -> AbstractContextManager[None]:
        """Limit how long this thread waits for other writers inside the block."""

    def after_writing(self, work: Callable[[], None]) -> None:
        """Call a function after the current transaction of this thread; it must not raise."""

    def refuse_writes(self, why: StoreError) -> None:
        """Raise this error for every later write."""

    def interrupt(self) -> None:
        """Interrupt running statements of all threads; each fails with a `StoreError`."""

    def limit_memory(self, limit_bytes: int) -> None:
        """Limit the memory of the engine, if it is in this process, which must be our own."""

    def copy_to(self, path: Path) -> None:
        """Copy the database to a new file; durable on return."""

    def copy_aside(self, suffix: str) -> None:
        """Copy the database before its tables change."""

    def tables(self, connection: Any) -> Sequence[StoredTable]:
        """Return all tables, each after those that it refers to."""

    def streamed(
        self, connection: Any, sql: str, parameters: Parameters = ..., /
    ) -> Iterator[Sequence[Any]]:
        """Yield the rows of a statement, without keeping all of them in memory.

        The connection must be in a transaction.
        """

    def adopt_rows(self, connection: Any) -> None:
        """Prepare for further runs after all rows were copied from another store."""

    def reusable_bytes(self) -> int:
        """Return the free space inside the database, in bytes."""

    def vacuum(self) -> None:
        """Return free space inside the database to the file system; blocks other writers."""

    @property
    def is_closed(self) -> bool:
        """Whether the connections were permanently closed."""

    def problems(self, *, is_deep: bool) -> list[str]:
        """Return problems that the engine finds in the database; reads all of it."""

    def close(self) -> None:
        """Close every connection."""
