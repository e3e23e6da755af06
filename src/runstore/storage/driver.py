"""The interface of database drivers: connections, transactions and SQL type names."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from runstore.errors import StoreError, StoreLockedError, is_interruption
from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, Protocol, TypeVar

    T = TypeVar("T")
    C = TypeVar("C")
else:
    Protocol = object

Parameters = Mapping[str, object] | Sequence[object]
NOT_WRITTEN = "Runs recorded before are safe; this change was not written."


class Highest(bytes):
    """A key above every other one: in SQLite above numbers, and texts in their place."""

    __slots__ = ()


class StoredTable(NamedTuple):
    """A table of a store: the kinds of its columns, and those that identify a row.

    A kind is `text`, `bytes` or another one; the key may be a hidden column.
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

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""

    def execute(self, sql: str, parameters: Parameters = ..., /) -> Rows:
        """Run one statement."""

    def executemany(self, sql: str, parameters: Iterable[Parameters], /) -> Rows:
        """Run one statement once per set of parameters."""

    def insert(self, sql: str, parameters: Parameters, /) -> int:
        """Insert one row and return its id."""

    def first_rows(self, questions: Iterable[tuple[str, Parameters]], /) -> list[Any]:
        """Return the first row of each statement, or None; on a server, in one round trip."""

    def lock_new_keys(self, keys: Collection[str], /) -> None:
        """Lock the names of metrics that are new, until the end of the transaction.

        On a server, transactions of several runs would otherwise wait for each other, because
        each adds its names in the order in which they were logged.
        """

    def lock_facts(self, added: Collection[int], removed: Collection[int], /) -> None:
        """Lock sets of facts that runs share, until the end of the transaction.

        On a server, another transaction could otherwise add a set to its run while this one
        removes the values of that set.
        """


@contextmanager
def one_moment(connection: Connection) -> Iterator[None]:
    """Run several statements on one snapshot of the database.

    After an interruption, such as that of Ctrl-C, the connection is closed, and the snapshot ends.
    """
    try:
        connection.execute("BEGIN")
        yield
    except Exception as error:  # whatever a statement or the block raises
        if not is_interruption(error):
            _end_moment(connection)
        raise
    _end_moment(connection)


def _end_moment(connection: Connection) -> None:
    if connection.in_transaction:  # not after an error that ended it
        connection.execute("ROLLBACK")


def within(turn: Generator[C, None, None], work: Callable[[C], T]) -> T:
    """Call a function with what a generator yields, and end the generator.

    A signal handler that raises as a `with` block ends keeps `contextmanager` from ending its
    generator, until the exception is deleted; notebooks keep it. Here it has no chance to.
    """
    try:
        result = work(next(turn))
    except BaseException:  # the generator decides what is raised
        # Without a name: up to Python 3.12, `is_of_signal` makes this frame keep its variables.
        turn.throw(sys.exc_info()[1])  # type: ignore[arg-type]
        raise
    else:
        next(turn, None)
        return result
    finally:
        turn.close()


class Moment:
    """A snapshot that several uses of a connection share.

    Attributes:
        is_over: Whether the next use of the connection ends it.
    """

    is_over = False


class Driver(Protocol):
    """One engine and one database; safe to share between threads and across forks."""

    types: Mapping[str, str]
    after_commit: Callable[[], object]
    indexes_later: bool  # whether parameters are indexed after a start, see `indexes/params.py`
    checks_types: bool  # whether columns contain only values of their type
    calls_python: bool  # whether statements can call functions of this program
    changes_in_order: bool  # whether changes of runs are committed in the order of their numbers

    @property
    def duplicates(self) -> type[Exception]:
        """The error of a statement that would write a key twice."""

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

    def fetch_all(self, sql: str, parameters: Parameters = ..., /) -> Sequence[Any]:
        """Return all rows of one statement."""

    def fetch_one(self, sql: str, parameters: Parameters = ..., /) -> Any:
        """Return the first row of one statement, or None."""

    def write(self, of: Collection[str] | None = None) -> AbstractContextManager[Connection]:
        """Return a connection in a write transaction: durable on exit, rolled back on an error.

        Args:
            of: The uids of the only runs that the transaction reads or changes, apart from
                values that runs share, such as names of metrics. Others can be changed at the
                same time on a server. By default, no other transaction runs meanwhile.
        """

    def transact(
        self,
        work: Callable[[Connection], T],
        *,
        of: Collection[str] | None = None,
        is_once: bool = False,
    ) -> T:
        """Call a function in a write transaction, durable on return, and return its result.

        If the connection to a server is lost, or the transaction is in conflict with another, the
        function is called again.

        Args:
            work: The function. It has no effects outside of the database that cannot be repeated.
            of: See `write`.
            is_once: Whether a second call would change something after the changes of the first
                one were committed. Then the server is asked first, which may cost a round trip.

        Raises:
            ServerUnreachableError: The server could not be asked.
        """

    def as_one(self, then: Callable[[], object] | None = None) -> AbstractContextManager[None]:
        """Call `after_commit`, or `then`, once for all transactions inside the block."""

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

    def copy_to(self, path: str | Path) -> None:
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

    def containing(self, column: str, kind: str) -> str:
        """Return the condition that a column of texts or bytes contains a text `?`."""

    def overwrite_replaced(self, connection: Any) -> None:
        """Overwrite data that this transaction replaces with zeros, if the engine can."""

    def wipe(self) -> list[str]:
        """Remove replaced and deleted data from the files of the database; blocks other writers.

        Returns the tables that may still have it.
        """

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


class ThreadState(threading.local):
    """State of a thread.

    Attributes:
        patience_s: How long it waits for other writers, if limited.
        is_writing: Whether it is inside a write transaction.
        is_held: Whether `after_commit` is delayed until the end of a block.
        is_owed: Whether a transaction was committed inside that block.
        waiting: Functions to call after that transaction.
    """

    def __init__(self) -> None:
        self.patience_s: float | None = None
        self.is_writing = False
        self.is_held = False
        self.is_owed = False
        self.waiting: list[Callable[[], None]] = []


class DriverBase:
    """The parts that all drivers share: one transaction per thread, and work after it.

    Attributes:
        after_commit: Called after each write transaction, in its thread; must not raise.

    Args:
        path: The database, for messages.
        own: The state of each thread.
        busy_timeout_s: How long to wait for other writers, in seconds.
    """

    _own: ThreadState
    read: Callable[[], AbstractContextManager[Any]]

    def __init__(self, path: str, own: ThreadState, busy_timeout_s: float) -> None:
        self.path: Any = path
        self.busy_timeout_s = busy_timeout_s
        self._own = own
        self._refusal: StoreError | None = None
        self._closed = False
        self.after_commit: Callable[[], object] = _nothing

    def fetch_all(self, sql: str, parameters: Parameters = ()) -> Sequence[Any]:
        """Return all rows of one statement."""
        with self.read() as connection:
            return connection.execute(sql, parameters).fetchall()  # type: ignore[no-any-return]

    def fetch_one(self, sql: str, parameters: Parameters = ()) -> Any:
        """Return the first row of one statement, or None."""
        with self.read() as connection:
            return connection.execute(sql, parameters).fetchone()

    @property
    def refusal(self) -> StoreError | None:
        """The error that writing raises, or None if the database is writable."""
        return self._refusal

    def refuse_writes(self, why: StoreError) -> None:
        """Raise this error for every later write."""
        self._refusal = why

    @property
    def is_closed(self) -> bool:
        """Whether the connections were permanently closed."""
        return self._closed

    @property
    def is_writing(self) -> bool:
        """Whether this thread is inside a transaction that must not be interrupted."""
        return self._own.is_writing

    @property
    def _kept(self) -> str:
        """The part of an error about what was kept; a read has no change that could be lost."""
        return NOT_WRITTEN if self.is_writing else "Nothing was changed."

    def after_writing(self, work: Callable[[], None]) -> None:
        """Call a function after the current transaction of this thread; it must not raise."""
        self._own.waiting.append(work)

    def _interrupted(self) -> StoreError:
        """Return the error for a write inside a transaction of the same thread."""
        return StoreLockedError(
            f"This thread is already writing to {self.path}, and was interrupted.",
            kept=NOT_WRITTEN,
            hint="Write outside of signal handlers and finalizers.",
        )

    def _end_of_turn(self) -> None:
        """Call the functions that waited for the end of a transaction, however it ended."""
        own = self._own
        while own.waiting:
            own.waiting.pop()()

    def _has_committed(self) -> None:
        if self._own.is_held:
            self._own.is_owed = True
        else:
            self.after_commit()

    @contextmanager
    def as_one(self, then: Callable[[], object] | None = None) -> Iterator[None]:
        """Call `after_commit`, or `then`, once for all transactions in the block."""
        own = self._own
        if own.is_held:
            yield
            return
        own.is_held, own.is_owed = True, False
        try:
            yield
        finally:
            own.is_held = False
            if own.is_owed:
                (then or self.after_commit)()

    @property
    def patience_s(self) -> float:
        """How long this thread waits for other writers."""
        asked_s = self._own.patience_s
        return self.busy_timeout_s if asked_s is None else asked_s

    @contextmanager
    def hurried(self, patience_s: float) -> Iterator[None]:
        """Limit how long this thread waits for other writers inside the block."""
        before, self._own.patience_s = self._own.patience_s, patience_s
        try:
            yield
        finally:
            self._own.patience_s = before


def _nothing() -> None:
    """Do nothing: the default of `after_commit`."""
