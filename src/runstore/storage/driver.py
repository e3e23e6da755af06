"""The interface of database drivers: connections, transactions and SQL type names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, Union

Parameters = Union[Mapping[str, Any], Sequence[Any]]


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

    @property
    def refusal(self) -> Exception | None:
        """The error that writing raises, or None if the database is writable."""

    @property
    def is_writing(self) -> bool:
        """Whether this thread is inside a transaction that must not be interrupted."""

    def read(self) -> AbstractContextManager[Connection]:
        """Return a connection for reading; driver errors are translated."""

    def write(self) -> AbstractContextManager[Connection]:
        """Return a connection in a write transaction: durable on exit, rolled back on an error."""

    def as_one(self, then: Callable[[], object] | None = None) -> AbstractContextManager[None]:
        """Call `after_commit`, or `then`, once for all transactions in the block."""

    def hurried(self, patience_s: float) -> AbstractContextManager[None]:
        """Limit how long this thread waits for other writers inside the block."""

    def copy_aside(self, suffix: str) -> None:
        """Copy the database before its tables change."""

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
