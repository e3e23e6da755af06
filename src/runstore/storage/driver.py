"""What an engine's driver offers to the storage room: connections, transactions, type words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, Union

Parameters = Union[Mapping[str, Any], Sequence[Any]]


class Rows(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int:
        """Rows changed."""

    def fetchone(self) -> Any:
        """Return the next row as a tuple, or None."""

    def __iter__(self) -> Iterator[Any]:
        """Yield the remaining rows as tuples."""

    def fetchall(self) -> Sequence[Any]:
        """Return the remaining rows as tuples."""


class Connection(Protocol):
    """Runs statements whose parameters are written `:name`, or `?` by position."""

    def execute(self, sql: str, parameters: Parameters = ..., /) -> Rows:
        """Run one statement."""

    def executemany(self, sql: str, parameters: Iterable[Parameters], /) -> Rows:
        """Run one statement for each set of parameters."""

    def insert(self, sql: str, parameters: Parameters, /) -> int:
        """Add one row of a table, and return its id."""


class Driver(Protocol):
    """One engine and one database; safe to share between threads and across forks."""

    types: Mapping[str, str]
    after_commit: Callable[[], object]

    @property
    def refusal(self) -> Exception | None:
        """Why this database cannot be written, or None."""

    @property
    def is_writing(self) -> bool:
        """Whether this thread is within a transaction that an interruption cannot wait for."""

    def read(self) -> AbstractContextManager[Connection]:
        """Give a connection to read from; errors leave translated."""

    def write(self) -> AbstractContextManager[Connection]:
        """Give a connection inside a write transaction: durable on leaving, undone on an error."""

    def as_one(self, then: Callable[[], object] | None = None) -> AbstractContextManager[None]:
        """Call `after_commit`, or this, once for all transactions within the block."""

    def hurried(self, patience_s: float) -> AbstractContextManager[None]:
        """Let this thread wait for other writers no longer than this, within the block."""

    def copy_aside(self, suffix: str) -> None:
        """Keep a copy of the database before its tables change."""

    def reusable_bytes(self) -> int:
        """Return the room within the database that is free for new rows."""

    def vacuum(self) -> None:
        """Give the room that is free within the database to the disk; others wait meanwhile."""

    @property
    def is_closed(self) -> bool:
        """Whether the connections were given back for good."""

    def problems(self, *, is_deep: bool) -> list[str]:
        """Return what the engine finds wrong with the database; reads all of it."""

    def close(self) -> None:
        """Give back every connection."""
