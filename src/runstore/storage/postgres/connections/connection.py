"""A connection inside a block, and the rows of its statements."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from runstore.storage.driver import Parameters
from runstore.storage.postgres.connections.pool import is_idle
from runstore.storage.postgres.dialect import translated
from runstore.storage.postgres.functions import WRITE_LOCK

if TYPE_CHECKING:
    from psycopg import Connection as Raw
    from psycopg import Pipeline

    from runstore.storage.postgres.connections.pool import ConnectionPool


class PostgresConnection:
    """A connection inside a block, as a `Connection` of storage.

    In a transaction, statements are sent at once, and their results awaited when one is looked
    at, so that several statements take one round trip.

    Attributes:
        longest: Maximum length of a value; the server's limit is 1 GB.
    """

    longest = 1 << 30

    def __init__(
        self, pool: ConnectionPool, raw: Raw[Any], pipeline: Pipeline | None = None
    ) -> None:
        self._pool = pool
        self.raw = raw
        self._pipeline = pipeline
        # Whether a statement depends on an earlier one: not outside of a transaction.
        self._is_inside = pipeline is not None
        # Whether this transaction has locked the whole store.
        self._is_alone = False

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return not is_idle(self.raw)

    def limit_length(self, limit_bytes: int) -> None:
        """Do nothing: the server limits the length of values."""

    def execute(self, sql: str, parameters: Parameters = ()) -> PostgresRows:
        """Run one statement."""
        statement = translated(sql)
        values = statement.values(parameters)
        try:
            found = self.raw.execute(statement.text, values)
        except self._pool.psycopg.OperationalError as error:
            # A server that was restarted closed its connections, or the process for this one
            # hangs.
            if self._is_inside or not (self.raw.broken or self._pool.is_of_process(error)):
                raise
            self.raw = self._pool.reconnected(self.raw)
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
