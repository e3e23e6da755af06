"""The PostgreSQL driver: transactions, repetition after errors that pass, error translation.

Nothing depends on the state of a session, so that everything works through PgBouncer in
transaction mode: no prepared statements, no session locks, and no settings outside of a
transaction, except for one that poolers keep.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from runstore.errors import StoreError, StoreUnavailableError
from runstore.storage.driver import DriverBase, Parameters, StoredTable, within
from runstore.storage.files.locks import pause
from runstore.storage.postgres.connections.connection import PostgresConnection
from runstore.storage.postgres.connections.meanings import (
    HELD_UP,
    PASSING,
    lost_or_unusable,
    meaning_of,
    unreachable,
)
from runstore.storage.postgres.connections.pool import ConnectionPool, ThreadPatience
from runstore.storage.postgres.connections.transaction import Transaction
from runstore.storage.postgres.dialect import TYPES
from runstore.storage.postgres.location import ServerLocation

if TYPE_CHECKING:
    from psycopg import Connection as Raw

T = TypeVar("T")
BUSY_TIMEOUT_S = 60.0
# The server reports a lock that it waited for before the silence is noticed here.
_GRACE_S = 2.0


class PostgresDriver(DriverBase):
    """A PostgreSQL database as a `Driver` for storage.

    Attributes:
        psycopg: The library.
        reads_nulls_as_texts: Whether `array_nulls` is off, so that NULL in a list is a text.

    Args:
        location: The server and the database.
        busy_timeout_s: How long to wait for other writers, in seconds.
    """

    types = TYPES
    indexes_later = False
    checks_types = True
    calls_python = False
    changes_in_order = False
    path: str
    _own: ThreadPatience

    def __init__(
        self, location: ServerLocation, *, busy_timeout_s: float = BUSY_TIMEOUT_S
    ) -> None:
        own = ThreadPatience()
        super().__init__(location.shown, own, busy_timeout_s)
        self.location = location
        self._pool = ConnectionPool(location, own)
        self.psycopg = self._pool.psycopg
        self.reads_nulls_as_texts = False

    @property
    def is_in_place(self) -> bool:
        """Whether this is still the database that was opened; always true for a server."""
        return True

    # Blocks

    @contextmanager
    def read(self) -> Iterator[PostgresConnection]:
        """Return a connection for reading; each statement sees what is committed by then."""
        with self._translating():
            raw = self._pool.take()
            self._pool.watch(raw, "a query", self._pool.answers_within_s, is_patient=True)
            connection = PostgresConnection(self._pool, raw)
            try:
                yield connection
            finally:
                self._pool.give_back(connection.raw)

    @contextmanager
    def write(self, of: Collection[str] | None = None) -> Iterator[PostgresConnection]:
        """Return a connection in a transaction that is durable on exit.

        Raises:
            StoreLockedError: Another writer held the lock for too long, or this thread was
                interrupted while writing, by a signal handler or a finalizer.
        """
        with self._writing():
            transaction = self._begun(of, self.patience_s)
            with self._ended(transaction):
                yield transaction.connection
                transaction.commit()

    def transact(
        self,
        work: Callable[[PostgresConnection], T],
        *,
        of: Collection[str] | None = None,
        is_once: bool = False,
    ) -> T:
        """Call a function in a transaction that is durable on return, and return its result.

        After a lost connection, a deadlock or a serialization failure, the function is called
        again. Unless `is_once`, the changes of the first call may have been committed, so that it
        must change nothing in that case.

        Raises:
            StoreLockedError: As for `write`.
            ServerUnreachableError: With `is_once`, the server could not be asked.
        """

        def attempt(raw: Raw[Any], left_s: float) -> T:
            limit_s = self._pool.answers_within_s
            if is_once:  # many of them are long, as those of `write`
                limit_s = max(limit_s, left_s + _GRACE_S)
            self._pool.watch(raw, "a change", limit_s + _GRACE_S, is_patient=is_once)
            with self._ended(Transaction(self._pool, raw)) as transaction:
                transaction.begin(of, min(left_s, limit_s), is_once=is_once)
                result = work(transaction.connection)
                transaction.commit()
            return result

        return within(self._turn(), lambda _: self._repeated(attempt, self.patience_s))

    def call(
        self, statement: str, parameters: Sequence[Any], patience_s: float | None = None
    ) -> Any:
        """Run a statement that is a transaction of its own, in one round trip; return its row.

        It must change nothing if it is repeated: it is tried again after a lost connection, even
        if the server may have committed it.

        Raises:
            StoreLockedError: As for `write`.
        """
        if self.reads_nulls_as_texts:
            return self.transact(lambda one: one.answer_with_nulls(statement, parameters), of=[])
        doing = "the start of a run" if self._own.is_impatient else "a change"

        def attempt(raw: Raw[Any], _: float) -> Any:
            self._pool.watch(raw, doing, self._pool.answers_within_s + _GRACE_S)
            return self._answer_to(raw, statement, parameters)

        until_s = self._pool.returns_within_s if patience_s is None else patience_s
        return within(self._turn(), lambda _: self._repeated(attempt, until_s))

    def _answer_to(self, raw: Raw[Any], statement: str, parameters: Sequence[Any]) -> Any:
        try:
            return raw.execute(statement, parameters).fetchone()
        except self.psycopg.Error:
            raise
        except BaseException:  # of a signal handler
            self._pool.await_answer(raw)
            raise
        finally:
            self._pool.give_back(raw)

    def _repeated(self, attempt: Callable[[Raw[Any], float], T], patience_s: float) -> T:
        """Call a function until it succeeds, as long as its failure may be passing.

        The function gets a connection and the remaining patience, in seconds.
        """
        deadline = time.monotonic() + patience_s
        while True:
            left_s = max(0.0, deadline - time.monotonic())
            raw = self._pool.take(left_s)
            try:
                return attempt(raw, left_s)
            except self.psycopg.Error as error:
                # A lost connection has no code, because the server does not answer.
                is_lost = isinstance(error, self.psycopg.OperationalError) and not error.sqlstate
                is_passing = is_lost or error.sqlstate in PASSING
                self._pool.note_silence(error)
                if not is_passing or time.monotonic() > deadline:
                    raise
            pause(0.05)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        yield from self._turn()

    def _turn(self) -> Generator[None, None, None]:
        """Guard a transaction of this thread, and call `after_commit` at its end."""
        own = self._own
        if own.is_writing:
            raise self._interrupted()
        try:
            own.is_writing = True
            if self._refusal is not None:
                raise self._refusal
            with self._translating():
                yield
        finally:
            # Here, because a signal handler may raise before the first line of any function.
            own.is_writing = False
            self._end_of_turn()
        self._has_committed()

    @contextmanager
    def impatient(self) -> Iterator[None]:
        """Wait only a few seconds for a server that is away, in this thread and block."""
        self._own.is_impatient = True
        try:
            yield
        finally:
            self._own.is_impatient = False

    @property
    def lock_patience_s(self) -> float:
        """How long statements that are recorded elsewhere otherwise wait for locks."""
        return min(self.patience_s, self._pool.answers_within_s)

    def _begun(self, of: Collection[str] | None, patience_s: float) -> Transaction:
        """Return a transaction that holds its locks."""

        def attempt(raw: Raw[Any], left_s: float) -> Transaction:
            limit_s = max(self._pool.answers_within_s, left_s + _GRACE_S)
            self._pool.watch(raw, "a change", limit_s, is_patient=True)
            transaction = Transaction(self._pool, raw)
            try:
                transaction.begin(of, left_s, is_once=True)
                transaction.connection.wait()
            except BaseException:  # otherwise it would stay open
                transaction.abandon()
                raise
            return transaction

        return self._repeated(attempt, patience_s)

    @contextmanager
    def _ended(self, transaction: Transaction) -> Iterator[Transaction]:
        """Return a transaction that is over at the end of the block."""
        try:
            yield transaction
        except BaseException:  # its locks must not stay held
            transaction.abandon()
            raise
        self._pool.give_back(transaction.raw)

    def close(self) -> None:
        """Close every connection; one in use is closed once it is idle."""
        self._closed = True
        self._pool.close()

    def interrupt(self) -> None:
        """Cancel running statements of all threads; each fails with a `StoreError`."""
        self._pool.interrupt()

    # The database as a whole

    def limit_memory(self, limit_bytes: int) -> None:
        """Do nothing: the server has its own limits."""

    def copy_to(self, path: str | Path) -> None:
        """Raise an error: the server has its own backups.

        Raises:
            StoreUnavailableError: Always.
        """
        raise StoreUnavailableError(
            f"{self.path} cannot be copied to {path}.",
            kept="Nothing was copied.",
            hint="Copy the database with pg_dump.",
        )

    def copy_aside(self, suffix: str) -> None:
        """Do nothing: a migration is one transaction, and the server has its own backups."""

    def tables(self, connection: Any) -> Sequence[StoredTable]:
        """Return all tables, each after those that it refers to."""
        from runstore.storage.postgres.tables import tables

        return tables(connection)

    def streamed(
        self, connection: Any, sql: str, parameters: Parameters = (), /
    ) -> Iterator[Sequence[Any]]:
        """Yield the rows of a statement, without keeping all of them in memory."""
        from runstore.storage.postgres.tables import streamed

        return streamed(connection, sql, parameters)

    def adopt_rows(self, connection: Any) -> None:
        """Prepare for further runs after all rows were copied from another store."""
        from runstore.storage.postgres.tables import adopt_rows

        adopt_rows(connection)

    @property
    def duplicates(self) -> type[Exception]:
        """The error of a statement that would write a key twice."""
        return cast("type[Exception]", self.psycopg.errors.UniqueViolation)

    def containing(self, column: str, kind: str) -> str:
        """Return the condition that a column of texts or bytes contains a text `?`."""
        needle = "convert_to(?, 'UTF8')" if kind == "bytes" else "?"
        return f'position({needle} IN "{column}") > 0'

    def overwrite_replaced(self, connection: Any) -> None:
        """Do nothing: replaced rows stay in the files until `wipe`."""

    def wipe(self) -> list[str]:
        """Remove old rows from the files of the server; blocks other programs meanwhile.

        Returns the tables of other roles, which this one may not rewrite.
        """
        from runstore.storage.postgres.tables import wipe

        with self.read() as connection:
            return wipe(connection)

    def reusable_bytes(self) -> int:
        """Return 0: the server reuses free space by itself."""
        return 0

    def vacuum(self) -> None:
        """Do nothing: the server returns free space by itself (autovacuum)."""

    def problems(self, *, is_deep: bool) -> list[str]:  # noqa: ARG002 - the same for each engine
        """Return no problems: the server has its own checks, such as pg_amcheck."""
        return []

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except self.psycopg.Error as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> StoreError:
        """Return our own error with the meaning of this one for users."""
        state = getattr(error, "sqlstate", None) or ""
        # Without the statement and the function in which it failed.
        main = error.diag.message_primary if isinstance(error, self.psycopg.Error) else None
        text = " ".join((main or str(error)).split())
        is_silent = self._pool.is_silence(error)
        if is_silent or (self._own.is_impatient and state in HELD_UP):
            return unreachable(f"{self.path} did not answer: {text}.")
        if found := meaning_of(state, text, self.path, self._kept):
            return found
        if isinstance(error, (self.psycopg.OperationalError, self.psycopg.InterfaceError)):
            return lost_or_unusable(state, text, self.path)
        return StoreError(f"{self.path}: {text}.", kept=self._kept)
