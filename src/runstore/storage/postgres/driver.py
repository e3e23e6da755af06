"""The PostgreSQL driver: connections by process, transactions, error translation.

Nothing depends on the state of a session, so that everything works through PgBouncer in
transaction mode: no prepared statements, no session locks, and no settings outside of a
transaction, except for one that poolers keep.
"""

from __future__ import annotations

import errno
import os
import random
import time
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from runstore.errors import (
    ServerUnreachableError,
    StoreCorruptError,
    StoreError,
    StoreLockedError,
    StoreReadOnlyError,
    StoreUnavailableError,
)
from runstore.extras import library
from runstore.storage.driver import DriverBase, Parameters, StoredTable, T, ThreadState
from runstore.storage.files.locks import pause
from runstore.storage.postgres import away
from runstore.storage.postgres.dialect import TYPES, translated
from runstore.storage.postgres.functions import LOCKS_AT_MOST, WRITE_LOCK
from runstore.storage.postgres.location import ServerLocation
from runstore.storage.postgres.waiting import WAITING, count_waiting
from runstore.storage.sqlite.descriptors import (
    identity_of,
    keep_for_ever,
    none_left,
    with_room,
)
from runstore.user_warnings import warn_in_background

if TYPE_CHECKING:
    from psycopg import Connection as Raw
    from psycopg import Pipeline

    from runstore.storage.postgres.connections.waits import SilentError, WatchedConnection

BUSY_TIMEOUT_S = 60.0
# How long a program that was connected waits for the server to return, for example after a
# restart, from when it was first missed.
RETURNS_WITHIN_S = 30.0
# The same for the start of a run, which is recorded on this machine otherwise.
STARTS_WITHIN_S = 5.0
# How long the network may confirm nothing, or the server answer nothing, before a connection
# counts as lost. Statements that only read may take longer, as long as the server works on them.
SILENT_AT_MOST_S = 30.0
# The same for the answer to the start of a run.
STARTS_ANSWERED_WITHIN_S = 10.0
# The server reports a lock that it waited for before the silence is noticed here.
_GRACE_S = 2.0
_IDLE_AT_MOST = 4
# How long to wait for a free connection, which is usual when many programs start at once, and
# when a warning says so.
FREES_WITHIN_S = 10.0
_TELLS_FULL_AFTER_S = 1.0
# How long a failed attempt to connect counts.
_FAILS_AT_MOST_S = 60.0
# If it is off, the server reads backslashes in strings of SQL differently. It reports the value.
_STRINGS = "standard_conforming_strings"
# How long to wait for the answer to a statement that was interrupted here.
_ANSWER_S = 5.0
# States of a connection. Source: PostgreSQL 18, libpq, PQtransactionStatus.
_IDLE, _ACTIVE, _IN_TRANSACTION = 0, 1, (2, 3)
# The result of the end of a pipeline. Source: PostgreSQL 18, libpq, PQresultStatus.
_SYNC = 10
# The number of a transaction, and what became of one.
_NUMBER = "SELECT pg_current_xact_id()::text"
_STATUS = "SELECT pg_xact_status($1::xid8)"
# Reasons to try again: the server is starting, stopping or recovering, or has no free connection.
# Source: PostgreSQL 18, Appendix A, Error Codes.
_AWAY = frozenset({"57P01", "57P02", "57P03", "53300"})
_PASSING = _AWAY | {"40001", "40P01"}  # also serialization failures and deadlocks
# A lock or a time limit of the server: the start of a run is recorded on this machine.
_HELD_UP = frozenset({"55P03", "57014", "25P04"})
_LOST = "08"  # the class of lost connections
_KEPT = "Runs recorded before are safe; nothing more was written."
# Errors of the server and their meaning for users: the first one with the code counts. What was
# kept depends on the statement if it is None.
_MEANINGS: tuple[tuple[frozenset[str], type[StoreError], str, str | None, str], ...] = (
    (
        frozenset({"55P03", "40001", "40P01"}),
        StoreLockedError,
        "Another program keeps {path} locked.",
        _KEPT,
        "Try again; if it persists, see pg_stat_activity on the server.",
    ),
    (
        frozenset({"25006"}),
        StoreReadOnlyError,
        "The store at {path} cannot be written: {text}.",
        "Nothing was changed; reading still works.",
        "Use a role that may write.",
    ),
    (
        frozenset({"42501"}),
        StoreReadOnlyError,
        "The role has no permission for this in {path}: {text}.",
        _KEPT,
        "Ask the owner of the tables to grant it.",
    ),
    (
        frozenset({"57014", "25P04"}),  # statement_timeout, transaction_timeout
        StoreUnavailableError,
        "The server stopped a statement in {path}: {text}.",
        _KEPT,
        "Try again; if it persists, use a longer statement_timeout for the role.",
    ),
    (
        frozenset({"3F000"}),
        StoreUnavailableError,
        "{path} cannot have a store: {text}.",
        "Nothing was changed.",
        "Set the search_path of the role to a schema that exists.",
    ),
    (
        frozenset({"42P01", "42703", "42883"}),  # no such table, column, function
        StoreCorruptError,
        "{path} lacks a part of its tables: {text}.",
        None,
        "Try: runstore migrate. If data is missing, restore the database from a backup.",
    ),
    (
        frozenset({"53100", "53200"}),
        StoreUnavailableError,
        "There is no space left for {path}: {text}.",
        _KEPT,
        "Free some space on the server, then try again.",
    ),
    (
        frozenset({"54000", "22001"}),
        StoreError,
        "A value is too long for {path}: {text}.",
        None,
        "Use shorter names.",
    ),
)


class PostgresConnection:
    """A connection inside a block, as a `Connection` of storage.

    In a transaction, statements are sent at once, and their results awaited when one is looked
    at, so that several statements take one round trip.

    Attributes:
        longest: Maximum length of a value; the server's limit is 1 GB.
    """

    longest = 1 << 30

    def __init__(
        self, driver: PostgresDriver, raw: Raw[Any], pipeline: Pipeline | None = None
    ) -> None:
        self._driver = driver
        self.raw = raw
        self._pipeline = pipeline
        # Whether a statement depends on an earlier one: not outside of a transaction.
        self._is_inside = pipeline is not None
        # Whether this transaction has locked the whole store.
        self._is_alone = False

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.raw.pgconn.transaction_status != _IDLE

    def limit_length(self, limit_bytes: int) -> None:
        """Do nothing: the server limits the length of values."""

    def execute(self, sql: str, parameters: Parameters = ()) -> PostgresRows:
        """Run one statement."""
        statement = translated(sql)
        values = statement.values(parameters)
        try:
            found = self.raw.execute(statement.text, values)
        except self._driver.psycopg.OperationalError as error:
            # A server that was restarted closed its connections, or the process for this one
            # hangs.
            if self._is_inside or not (self.raw.broken or self._driver.is_of_process(error)):
                raise
            self.raw = self._driver.reconnected(self.raw)
            found = self.raw.execute(statement.text, values)
        if self._pipeline is None:
            self._is_inside = self.in_transaction
        return PostgresRows(found, self)

    def executemany(self, sql: str, parameters: Iterable[Parameters]) -> PostgresRows:
        """Run one statement once per set of parameters."""
        statement = translated(sql)
        cursor = self.raw.cursor()
        cursor.executemany(statement.text, [statement.values(one) for one in parameters])
        return PostgresRows(cursor, self)

    def answer_with_nulls(self, statement: str, parameters: Sequence[Any]) -> Any:
        """Run a statement whose lists contain NULL, and return its row."""
        self.raw.execute("SET LOCAL array_nulls = on")
        return PostgresRows(self.raw.execute(statement, parameters), self).fetchone()

    def wait(self) -> None:
        """Wait for the results of all statements sent so far, if they were not awaited yet."""
        sent = self._pipeline
        if sent is not None and (sent.command_queue or sent.result_queue):
            sent.sync()

    def let_go(self) -> None:
        """Wait for nothing more: the server's connection may belong to another thread now."""
        self._pipeline = None

    def insert(self, sql: str, parameters: Parameters) -> int:
        """Insert one row and return its id."""
        return int(self.execute(f"{sql} RETURNING id", parameters).fetchone()[0])

    def first_rows(self, questions: Iterable[tuple[str, Parameters]]) -> list[Any]:
        """Return the first row of each statement, or None, in one round trip."""
        return [one.fetchone() for one in [self.execute(*question) for question in questions]]

    def lock_store(self, patience: str) -> None:
        """Wait for all other transactions that write, and keep later ones waiting."""
        self.raw.execute(f"SET LOCAL lock_timeout = '{patience}'")
        self.raw.execute(f"SELECT pg_advisory_xact_lock({WRITE_LOCK})")
        self._is_alone = True

    def lock_new_keys(self, keys: Collection[str]) -> None:
        """Lock names of metrics that are not in the table yet, in the order of all programs."""
        if not self._is_alone:
            self.raw.execute("SELECT lock_new_keys($1)", [[*keys]])

    def lock_facts(self, added: Collection[int], removed: Collection[int]) -> None:
        """Lock sets of facts in the order of all programs: removed ones for this program only."""
        if not self._is_alone:
            self.raw.execute("SELECT lock_facts($1, $2)", [[*added], [*removed]])


class PostgresRows:
    """The rows of a statement."""

    def __init__(self, cursor: Any, connection: PostgresConnection) -> None:
        self._cursor = cursor
        self._connection = connection

    def _arrived(self) -> Any:
        self._connection.wait()
        return self._cursor

    @property
    def rowcount(self) -> int:
        """Number of rows changed."""
        return int(self._arrived().rowcount)

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        cursor = self._arrived()
        return None if cursor.description is None else cursor.fetchone()

    def fetchall(self) -> Sequence[Any]:
        """Return the remaining rows."""
        cursor = self._arrived()
        return [] if cursor.description is None else cursor.fetchall()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())


class _Transaction:
    """A transaction that is sent with its locks, without waiting for them.

    Args:
        driver: The driver.
        raw: The connection.
    """

    def __init__(self, driver: PostgresDriver, raw: Raw[Any]) -> None:
        self.raw = raw
        self._block = raw.pipeline()
        self._pipeline = self._block.__enter__()
        self.connection = PostgresConnection(driver, raw, self._pipeline)
        self._numbered: Any = None

    def begin(self, of: Collection[str] | None, patience_s: float, *, is_once: bool) -> None:
        """Begin, and take the locks.

        Args:
            of: See `Driver.write`.
            patience_s: How long to wait for locks, in seconds.
            is_once: Whether the server will be asked about a commit whose answer is lost.
        """
        patience = f"{max(1, round(patience_s * 1000))}ms"
        self.raw.execute("BEGIN")
        if of is None or len(of) > LOCKS_AT_MOST:
            self.connection.lock_store(patience)
        else:
            self.raw.execute("SELECT lock_runs($1, $2)", [patience, [*of]])
        if is_once:
            self._numbered = self.raw.execute(_NUMBER)

    def number(self) -> str | None:
        """Return the number of the transaction, if it was asked for."""
        if self._numbered is None:
            return None
        self.connection.wait()
        return str(self._numbered.fetchone()[0])

    def commit(self) -> None:
        """Commit; durable on return."""
        end = self.raw.execute("COMMIT")
        self.leave()
        if end.statusmessage != "COMMIT":  # after an error that the caller ignored
            raise StoreError("The changes could not be committed.", kept="Nothing was changed.")

    @property
    def is_at_rest(self) -> bool:
        """Whether all results have arrived, so that it can be rolled back."""
        waiting = self._pipeline.command_queue or self._pipeline.result_queue
        return not waiting and self.raw.pgconn.transaction_status in _IN_TRANSACTION

    def roll_back(self) -> None:
        """Undo all changes."""
        self.raw.execute("ROLLBACK")
        self._pipeline.sync()

    def leave(self) -> None:
        """End the pipeline, waiting for all results."""
        self.connection.let_go()
        self._block.__exit__(None, None, None)


class _Waits(ThreadState):
    """State of a thread.

    Attributes:
        is_impatient: Whether it waits only a few seconds for a server that is away.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_impatient = False


# Of each open connection: device and inode of its socket. A program that becomes a daemon closes
# all descriptors, and its own files reuse the numbers.
_sockets: weakref.WeakKeyDictionary[Any, tuple[int, int] | None] = weakref.WeakKeyDictionary()


def _is_whole(raw: Any) -> bool:
    return identity_of(raw.pgconn.socket) == _sockets.get(raw)


def _close(raw: Any) -> None:
    """Close a connection, unless the program has closed its socket."""
    if raw.closed or _is_whole(raw):
        raw.close()
    else:
        keep_for_ever(raw)


class _Idle:
    """The idle connections of one process."""

    # Connections inherited by a forked child: closing them would end the parent's sessions.
    left_by_fork: list[Any] = []  # noqa: RUF012 - shared by design

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.free: list[Any] = []
        # At the end of the process, its last work in the background may still need connections.
        self.is_closed = False

    def close(self) -> None:
        if self.pid != os.getpid():
            self.left_by_fork.extend(self.free)
            return
        self.is_closed = True
        while self.free:
            with suppress(IndexError, OSError):
                _close(self.free.pop())


class PostgresDriver(DriverBase):
    """A PostgreSQL database as a `Driver` for storage.

    Connections are kept in a plain list instead of `psycopg_pool`, whose threads do not survive a
    fork; a thread takes one for each block.

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
    _own: _Waits

    def __init__(
        self, location: ServerLocation, *, busy_timeout_s: float = BUSY_TIMEOUT_S
    ) -> None:
        super().__init__(location.shown, _Waits(), busy_timeout_s)
        self.location = location
        self.psycopg = library("psycopg", "postgres")
        # They need psycopg.
        from runstore.storage.postgres.connections import waits
        from runstore.storage.postgres.connections.adapters import adapters

        self._waits = waits
        self._has_told = False
        self._adapters = adapters()
        self._idle = _Idle()
        self._in_use: weakref.WeakSet[Any] = weakref.WeakSet()
        self._was_connected = False
        self.reads_nulls_as_texts = False
        self._away_since: float | None = None
        # The last failed attempt to connect, and until when it counts.
        self._failure: tuple[float, Exception] | None = None
        weakref.finalize(self, _Idle.close, self._idle)

    @property
    def is_in_place(self) -> bool:
        """Whether this is still the database that was opened; always true for a server."""
        return True

    # Blocks

    @contextmanager
    def read(self) -> Iterator[PostgresConnection]:
        """Return a connection for reading; each statement sees what is committed by then."""
        with self._translating():
            raw = self._taken()
            self._watch(raw, "a query", self._answers_within_s, is_patient=True)
            connection = PostgresConnection(self, raw)
            try:
                yield connection
            finally:
                self._give_back(connection.raw)

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
                self._commit(transaction)

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
            limit_s = self._answers_within_s
            if is_once:  # many of them are long, as those of `write`
                limit_s = max(limit_s, left_s + _GRACE_S)
            self._watch(raw, "a change", limit_s + _GRACE_S, is_patient=is_once)
            with self._ended(_Transaction(self, raw)) as transaction:
                transaction.begin(of, min(left_s, limit_s), is_once=is_once)
                result = work(transaction.connection)
                self._commit(transaction)
            return result

        with self._writing():
            return self._repeated(attempt, self.patience_s)

    def _commit(self, transaction: _Transaction) -> None:
        """Commit; if the answer is lost, ask the server whether that succeeded.

        Raises:
            ServerUnreachableError: The server could not be asked.
        """
        number = transaction.number()
        try:
            transaction.commit()
        except self.psycopg.OperationalError as error:
            is_lost = not error.sqlstate or error.sqlstate in _AWAY
            if number is None or not is_lost:
                raise
            transaction.raw.close()
            if not self._was_committed(number):
                raise
            with suppress(self.psycopg.Error):
                transaction.leave()

    def _was_committed(self, number: str) -> bool:
        """Ask the server whether a transaction was committed.

        Source: PostgreSQL 18, 9.27.8, Transaction ID and Snapshot Information Functions.
        """
        deadline = time.monotonic() + self._returns_within_s
        status, why = "in progress", ""
        while status == "in progress":
            try:
                raw = self._taken(self._returns_within_s)
                self._watch(raw, "a query", self._answers_within_s)
                try:
                    status = raw.execute(_STATUS, [number]).fetchall()[0][0]
                finally:
                    self._give_back(raw)
            except self.psycopg.errors.InvalidParameterValue:  # another server replaced this one
                return False
            except self.psycopg.OperationalError as error:
                why = away.reason_of(str(error))
            except StoreError as error:
                why = error.what
            if time.monotonic() > deadline:
                break
            pause(0.1)
        if status in {"committed", "aborted"}:
            return bool(status == "committed")
        raise ServerUnreachableError(
            f"The connection to {self.path} was lost during a change. {why}".rstrip(),
            kept="It is unknown whether the change was written; it was written as a whole, or not"
            " at all.",
            hint="When the server is available again, look before you repeat it.",
        )

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
            self._watch(raw, doing, self._answers_within_s + _GRACE_S)
            return self._answer_to(raw, statement, parameters)

        with self._writing():
            return self._repeated(
                attempt, self._returns_within_s if patience_s is None else patience_s
            )

    def _answer_to(self, raw: Raw[Any], statement: str, parameters: Sequence[Any]) -> Any:
        try:
            return raw.execute(statement, parameters).fetchone()
        except self.psycopg.Error:
            raise
        except BaseException:  # of a signal handler
            self._await_answer(raw)
            raise
        finally:
            self._give_back(raw)

    def _repeated(self, attempt: Callable[[Raw[Any], float], T], patience_s: float) -> T:
        """Call a function until it succeeds, as long as its failure may be passing.

        Args:
            attempt: The function; it gets a connection and the remaining patience, in seconds.
            patience_s: How long to try, in seconds.
        """
        deadline = time.monotonic() + patience_s
        while True:
            left_s = max(0.0, deadline - time.monotonic())
            raw = self._taken(left_s)
            try:
                return attempt(raw, left_s)
            except self.psycopg.Error as error:
                # A lost connection has no code, because the server does not answer.
                is_lost = isinstance(error, self.psycopg.OperationalError) and not error.sqlstate
                is_passing = is_lost or error.sqlstate in _PASSING
                if isinstance(error, self._waits.SilentError):
                    self._note_silence(error)
                if not is_passing or time.monotonic() > deadline:
                    raise
            pause(0.05)

    def _note_silence(self, error: SilentError) -> None:
        """Let later calls wait less if the whole server is silent."""
        if error.is_away:
            self._away_since = self._away_since or time.monotonic() - error.silent_s
            self._fail_for(error, error.silent_s)
            away.remember(self.location.folder, error.silent_s, str(error))

    def _worth_waiting_s(self, *, is_full: bool) -> float:
        """How long to wait for a server that refuses connections, in seconds."""
        if self._was_connected:
            return self._returns_within_s
        return FREES_WITHIN_S if is_full else 0.0

    def _tell_full(self, error: Exception) -> None:
        if not self._has_told:
            self._has_told = True
            reason = away.reason_of(str(error))
            warn_in_background(
                f"{self.path} has no free connection: {reason}. Trying again for"
                f" {self._worth_waiting_s(is_full=True):.0f} s."
            )

    def _fail_for(self, error: Exception, took_s: float) -> None:
        """Fail at once for a while, so that not each call waits again for a silent server."""
        self._failure = (time.monotonic() + min(_FAILS_AT_MOST_S, 2 * took_s), error)

    def _await_answer(self, raw: Any) -> None:
        """Wait until the server has finished or cancelled statements that were interrupted.

        Otherwise it could commit them after their effects were looked for.
        """
        deadline = time.monotonic() + _ANSWER_S
        server = raw.pgconn
        with suppress(self.psycopg.Error):
            if server.transaction_status != _ACTIVE:
                return
            raw.cancel_safe(timeout=_ANSWER_S)
            is_pipeline = bool(server.pipeline_status)
            if is_pipeline:
                server.pipeline_sync()
            while time.monotonic() < deadline:
                server.flush()
                server.consume_input()
                if server.is_busy():
                    pause(0.005)
                    continue
                result = server.get_result() if is_pipeline else None
                if not is_pipeline or (result is not None and result.status == _SYNC):
                    return

    @contextmanager
    def _writing(self) -> Iterator[None]:
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
    def _returns_within_s(self) -> float:
        is_impatient = self._own.is_impatient
        return min(STARTS_WITHIN_S, RETURNS_WITHIN_S) if is_impatient else RETURNS_WITHIN_S

    @property
    def _answers_within_s(self) -> float:
        """How long to wait for an answer of the server, in seconds."""
        is_impatient = self._own.is_impatient
        limit_s = min(STARTS_ANSWERED_WITHIN_S, SILENT_AT_MOST_S)
        return self._waits.allowed_s(
            self.location.url, limit_s if is_impatient else SILENT_AT_MOST_S
        )

    @property
    def lock_patience_s(self) -> float:
        """How long statements that are recorded elsewhere otherwise wait for locks."""
        return min(self.patience_s, self._answers_within_s)

    def _watch(
        self, raw: Raw[Any], doing: str, limit_s: float, *, is_patient: bool = False
    ) -> None:
        """Limit how long a connection is silent until it is given back; see `Watch`."""

        def tell(since: float, reason: str) -> None:
            if not self._has_told:
                self._has_told = True
                self._waits.report(self.path, since, doing, reason)

        cast("WatchedConnection", raw).on_silence = self._waits.Watch(
            raw, limit_s, is_patient=is_patient, tell=tell, another=self._another
        )

    def _begun(self, of: Collection[str] | None, patience_s: float) -> _Transaction:
        """Return a transaction that holds its locks."""

        def attempt(raw: Raw[Any], left_s: float) -> _Transaction:
            limit_s = max(self._answers_within_s, left_s + _GRACE_S)
            self._watch(raw, "a change", limit_s, is_patient=True)
            transaction = _Transaction(self, raw)
            try:
                transaction.begin(of, left_s, is_once=True)
                transaction.connection.wait()
            except BaseException:  # otherwise it would stay open
                self._abandon(transaction)
                raise
            return transaction

        return self._repeated(attempt, patience_s)

    @contextmanager
    def _ended(self, transaction: _Transaction) -> Iterator[_Transaction]:
        """Return a transaction that is over at the end of the block."""
        try:
            yield transaction
        except BaseException:  # its locks must not stay held
            self._abandon(transaction)
            raise
        self._give_back(transaction.raw)

    def _abandon(self, transaction: _Transaction) -> None:
        """Roll back a transaction; one that was interrupted loses its connection."""
        raw = transaction.raw
        if self._idle.pid != os.getpid():  # a child was forked inside the block
            _Idle.left_by_fork.append(transaction)
            return
        with suppress(self.psycopg.Error):
            if transaction.is_at_rest:
                transaction.roll_back()
            else:
                self._await_answer(raw)
        if raw.pgconn.transaction_status != _IDLE:
            _close(raw)
        with suppress(self.psycopg.Error):
            transaction.leave()
        self._give_back(raw)

    # Connections

    def _taken(self, patience_s: float | None = None) -> Raw[Any]:
        """Return an idle connection, or a new one, for exclusive use until it is given back.

        Args:
            patience_s: How long to wait for a server that is away; by default, as for writers.
        """
        if self._closed:
            raise StoreUnavailableError(f"The store {self.path} was closed.")
        idle = self._idle
        if idle.pid != os.getpid():
            idle.close()
            idle = self._idle = _Idle()
            weakref.finalize(self, _Idle.close, idle)
        while idle.free:
            with suppress(IndexError):  # another thread was faster
                raw = idle.free.pop()
                if not raw.closed and _is_whole(raw):
                    return cast("Raw[Any]", raw)
                _close(raw)
        return self._connected(self.patience_s if patience_s is None else patience_s)

    def _connected(self, patience_s: float) -> Raw[Any]:
        """Return a new connection, waiting for a server that this program was connected to.

        All calls together wait until some time after the first one found it away.
        """
        begin = time.monotonic()
        while True:
            tried_at = time.monotonic()
            if self._failure is not None and tried_at < self._failure[0]:
                raise self._not_connected(self._failure[1], 0.0)
            try:
                raw = with_room(self._opened)
            except OSError as error:
                raise self._without_descriptors(error) from error
            except self.psycopg.OperationalError as error:
                now = time.monotonic()
                self._away_since = self._away_since or now
                is_full = away.is_full(str(error))
                returns_by = self._away_since + self._worth_waiting_s(is_full=is_full)
                if now >= min(returns_by, begin + patience_s):
                    # For a free connection, it has waited several times.
                    took_s = now - (begin if is_full else tried_at)
                    self._fail_for(error, took_s)
                    raise self._not_connected(error, took_s) from error
                if is_full and now - begin >= _TELLS_FULL_AFTER_S:
                    self._tell_full(error)
                # At different times in each of many programs.
                pause(random.uniform(0.1, 0.5) if is_full else 0.1)  # noqa: S311 - no secret
            else:
                if raw.info.parameter_status(_STRINGS) == "off":
                    # Poolers keep this setting of a client; they refuse options at its start.
                    raw.execute(f"SET {_STRINGS} = on")
                self._was_connected, self._away_since, self._failure = True, None, None
                away.forget(self.location.folder)
                self._in_use.add(raw)
                _sockets[raw] = identity_of(raw.pgconn.socket)
                return raw

    def _without_descriptors(self, error: OSError) -> StoreUnavailableError:
        """Return the error for a connection that failed in this process, not at the server."""
        return StoreUnavailableError(
            f"No connection to {self.path} can be opened: {error.strerror}.",
            kept=_KEPT,
            hint="Close files, or raise the limit of the program with: ulimit -n",
        )

    def _opened(self, timeout_s: float | None = None) -> WatchedConnection:
        """Return a new connection.

        Args:
            timeout_s: How long to wait for the server, in seconds; by default, as in the URL.

        Raises:
            OSError: This program has used all its descriptors.
            OperationalError: The server cannot be reached, or refuses.
        """
        timeout = {} if timeout_s is None else {"connect_timeout": round(timeout_s)}
        try:
            return self._waits.WatchedConnection.connect(
                self.location.url,
                autocommit=True,
                prepare_threshold=None,
                cursor_factory=self.psycopg.RawCursor,
                context=self._adapters,
                client_encoding="utf8",  # as the adapters write texts
                **{**_usual(self.location.url), **timeout},
            )
        except self.psycopg.OperationalError as error:
            if none_left():
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE)) from error
            raise

    def _another(self, timeout_s: float) -> WatchedConnection:
        """Return a connection to ask what the server does for another one."""
        raw = self._opened(timeout_s)
        raw.on_silence = self._waits.silence_ends
        return raw

    def _not_connected(self, error: Exception, took_s: float) -> StoreError:
        """Return the error for a failed connection, and note it if the server is away."""
        ping, reason = self.psycopg.pq.Ping, away.reason_of(str(error))

        def is_running() -> bool:
            found = self.psycopg.pq.PGconn.ping(self.location.url.encode())
            return found not in {ping.NO_RESPONSE, ping.REJECT}

        if not away.is_unreachable(str(error), is_running):
            return self._unusable(reason)
        away.remember(self.location.folder, took_s, reason)
        found = _unreachable(f"The server of {self.path} cannot be reached: {reason}.")
        if waiting := count_waiting(self.location.folder):
            runs = "1 run waits" if waiting == 1 else f"{waiting:,} runs wait"
            place = self.location.folder / WAITING
            found.kept = f"{runs} on this machine; to list them: runstore ls --store {place}"
            found.hint = "When the server is available again, deliver them with: runstore push"
        return found

    def reconnected(self, raw: Raw[Any]) -> Raw[Any]:
        """Return a new connection for one that the server closed."""
        _close(raw)
        self._idle.close()  # the others were closed as well
        made = self._connected(self.patience_s)
        self._watch(made, "a query", self._answers_within_s, is_patient=True)
        return made

    def is_of_process(self, error: Exception) -> bool:
        """Check whether only the process of a connection does not answer, not the server."""
        return isinstance(error, self._waits.SilentError) and not error.is_away

    def _give_back(self, raw: Raw[Any]) -> None:
        """Return a connection, rolling back a transaction that is still open."""
        idle = self._idle
        if idle.pid != os.getpid():  # a child was forked inside the block
            _Idle.left_by_fork.append(raw)
            return
        server = raw.pgconn
        with suppress(self.psycopg.Error):
            is_open = not raw.closed and server.transaction_status in _IN_TRANSACTION
            if is_open and not server.pipeline_status:
                raw.execute("ROLLBACK")
        # A statement that a signal handler interrupted leaves the connection in the middle of it.
        is_idle = not raw.closed and server.transaction_status == _IDLE
        is_idle = is_idle and not server.pipeline_status
        is_wanted = not (self._closed or idle.is_closed) and len(idle.free) < _IDLE_AT_MOST
        if not (is_idle and is_wanted):
            _close(raw)
        else:
            cast("WatchedConnection", raw).on_silence = None
            idle.free.append(raw)

    def close(self) -> None:
        """Close every connection; one in use is closed once it is idle."""
        self._closed = True
        self._idle.close()

    def interrupt(self) -> None:
        """Cancel running statements of all threads; each fails with a `StoreError`."""
        for raw in [*self._in_use]:
            with suppress(self.psycopg.Error):
                raw.cancel_safe(timeout=_ANSWER_S)

    # The database as a whole

    def limit_memory(self, limit_bytes: int) -> None:
        """Do nothing: the server has its own limits."""

    def copy_to(self, path: Path) -> None:
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

        Returns:
            The tables of other roles, which this one may not rewrite.
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
        is_silent = isinstance(error, self._waits.SilentError)
        if is_silent or (self._own.is_impatient and state in _HELD_UP):
            return _unreachable(f"{self.path} did not answer: {text}.")
        for states, kind, what, kept, hint in _MEANINGS:
            if state in states:
                return kind(
                    what.format(path=self.path, text=text), kept=kept or self._kept, hint=hint
                )
        if isinstance(error, (self.psycopg.OperationalError, self.psycopg.InterfaceError)):
            lost = _unreachable(f"The connection to {self.path} was lost: {away.reason_of(text)}.")
            is_lost = not state or state in _AWAY or state.startswith(_LOST)
            return lost if is_lost else self._unusable(text)
        return StoreError(f"{self.path}: {text}.", kept=self._kept)

    def _unusable(self, reason: str) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"The store at {self.path} cannot be used: {reason}.",
            kept=_KEPT,
            hint="Check the URL, the user and the password.",
        )


def _unreachable(what: str) -> ServerUnreachableError:
    return ServerUnreachableError(
        what,
        kept=_KEPT,
        hint="Check that the server is running and reachable.",
    )


def _usual(url: str) -> Mapping[str, Any]:
    """Return connection parameters that the URL may override."""
    usual: dict[str, Any] = {
        "application_name": "runstore",
        "connect_timeout": 5,
        # After the first third, an idle network is asked three times.
        "keepalives_idle": max(1, round(SILENT_AT_MOST_S / 3)),
        "keepalives_interval": max(1, round(SILENT_AT_MOST_S / 5)),
        "keepalives_count": 3,
        "tcp_user_timeout": round(SILENT_AT_MOST_S * 1000),
    }
    return {name: value for name, value in usual.items() if f"{name}=" not in url}
