"""Transactions that are sent with their locks, and what became of one whose answer is lost."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from runstore.errors import ServerUnreachableError, StoreError
from runstore.storage.files.locks import pause
from runstore.storage.postgres import away
from runstore.storage.postgres.connections.connection import PostgresConnection
from runstore.storage.postgres.connections.meanings import AWAY
from runstore.storage.postgres.connections.pool import close_socket, is_idle, is_in_transaction
from runstore.storage.postgres.functions import LOCKS_AT_MOST

if TYPE_CHECKING:
    from psycopg import Connection as Raw

    from runstore.storage.postgres.connections.pool import ConnectionPool

# The number of a transaction, and what became of one.
_NUMBER = "SELECT pg_current_xact_id()::text"
_STATUS = "SELECT pg_xact_status($1::xid8)"


class Transaction:
    """A transaction that is sent with its locks, without waiting for them."""

    def __init__(self, pool: ConnectionPool, raw: Raw[Any]) -> None:
        self._pool = pool
        self.raw = raw
        self._block = raw.pipeline()
        self._pipeline = self._block.__enter__()
        self.connection = PostgresConnection(pool, raw, self._pipeline)
        self._numbered: Any = None

    def begin(self, of: Collection[str] | None, patience_s: float, *, is_once: bool) -> None:
        """Begin, and take the locks; see `Driver.write` and `Driver.transact`."""
        patience = f"{max(1, round(patience_s * 1000))}ms"
        self.raw.execute("BEGIN")
        if of is None or len(of) > LOCKS_AT_MOST:
            self.connection.lock_store(patience)
        else:
            self.raw.execute("SELECT lock_runs($1, $2)", [patience, [*of]])
        if is_once:
            self._numbered = self.raw.execute(_NUMBER)

    def commit(self) -> None:
        """Commit; if the answer is lost, ask the server whether that succeeded.

        Raises:
            ServerUnreachableError: The server could not be asked.
        """
        number = self._number()
        try:
            self._commit()
        except self._pool.psycopg.OperationalError as error:
            is_lost = not error.sqlstate or error.sqlstate in AWAY
            if number is None or not is_lost:
                raise
            self.raw.close()
            if not was_committed(self._pool, number):
                raise
            with suppress(self._pool.psycopg.Error):
                self._leave()

    def _number(self) -> str | None:
        """Return the number of the transaction, if it was asked for."""
        if self._numbered is None:
            return None
        self.connection.wait()
        return str(self._numbered.fetchone()[0])

    def _commit(self) -> None:
        """Commit; durable on return."""
        end = self.raw.execute("COMMIT")
        self._leave()
        if end.statusmessage != "COMMIT":  # after an error that the caller ignored
            raise StoreError("The changes could not be committed.", kept="Nothing was changed.")

    def abandon(self) -> None:
        """Roll back; a transaction that was interrupted loses its connection."""
        if self._pool.is_of_parent:  # a child was forked inside the block
            self._pool.leave_to_parent(self)
            return
        with suppress(self._pool.psycopg.Error):
            if self._is_at_rest:
                self.raw.execute("ROLLBACK")
                self._pipeline.sync()
            else:
                self._pool.await_answer(self.raw)
        if not is_idle(self.raw):
            close_socket(self.raw)
        with suppress(self._pool.psycopg.Error):
            self._leave()
        self._pool.give_back(self.raw)

    @property
    def _is_at_rest(self) -> bool:
        """Whether all results have arrived, so that it can be rolled back."""
        waiting = self._pipeline.command_queue or self._pipeline.result_queue
        return not waiting and is_in_transaction(self.raw)

    def _leave(self) -> None:
        """End the pipeline, waiting for all results."""
        self.connection.let_go()
        self._block.__exit__(None, None, None)


def was_committed(pool: ConnectionPool, number: str) -> bool:
    """Ask the server whether a transaction was committed.

    Source: PostgreSQL 18, 9.27.8, Transaction ID and Snapshot Information Functions.
    """
    deadline = time.monotonic() + pool.returns_within_s
    status, why = "in progress", ""
    while status == "in progress":
        try:
            raw = pool.take(pool.returns_within_s)
            pool.watch(raw, "a query", pool.answers_within_s)
            try:
                status = raw.execute(_STATUS, [number]).fetchall()[0][0]
            finally:
                pool.give_back(raw)
        except pool.psycopg.errors.InvalidParameterValue:  # another server replaced this one
            return False
        except pool.psycopg.OperationalError as error:
            why = away.reason_of(str(error))
        except StoreError as error:
            why = error.what
        if time.monotonic() > deadline:
            break
        pause(0.1)
    if status in {"committed", "aborted"}:
        return bool(status == "committed")
    raise ServerUnreachableError(
        f"The connection to {pool.path} was lost during a change. {why}".rstrip(),
        kept="It is unknown whether the change was written; it was written either completely or"
        " not at all.",
        hint="When the server is available again, check the store before you repeat it.",
    )
