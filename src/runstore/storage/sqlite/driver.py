"""The SQLite driver: transactions, copies and checks of a file."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from os.path import dirname

from runstore.errors import StoreError, StoreUnavailableError
from runstore.storage.driver import Connection, Parameters, StoredTable, within
from runstore.storage.files.locks import pause
from runstore.storage.sqlite.connection import (
    ENGINE_WAITS_S,
    LONGEST,
    LONGEST_READ,
    SQLiteConnection,
    values_up_to,
)
from runstore.storage.sqlite.lenient_reading import LenientReading
from runstore.storage.sqlite.meanings import is_busy, meaning_of, unreadable
from runstore.storage.sqlite.paths import copy_rights, sync_folder
from runstore.storage.sqlite.pool import FilePool, InHand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, TypeVar

    from runstore.storage.sqlite.paths import AnyPath

    T = TypeVar("T")

OLDEST_SQLITE = (3, 35, 0)  # RETURNING
BUSY_TIMEOUT_S = 60.0
_OTHERS_TAKE_S = 0.1  # a transaction of another program; even a hurried writer waits for it
_PROBLEMS_TOLD = 100

TYPES: Mapping[str, str] = {
    "identity": "INTEGER PRIMARY KEY",
    "integer": "INTEGER",
    "real": "REAL",
    "bytes": "BLOB",
    "text": "TEXT",
    "without_rowid": "WITHOUT ROWID",
}


class SQLiteDriver(FilePool):
    """A SQLite file as a `Driver` for storage.

    A signal handler or a finalizer may use it while it interrupts another use by the same thread:
    each use has its own connection. It cannot write inside a transaction of its thread, because
    the transaction cannot end before it returns; see `is_writing`.

    Args:
        path: The database file.
        create: Create the file and its folder if they do not exist.
        busy_timeout_s: How long to wait for other writers, in seconds.
        leave_alone: Whether to write nothing into the folder, not even what SQLite itself writes
            to read a file that is in use.
    """

    types = TYPES
    indexes_later = True
    checks_types = False
    calls_python = True
    changes_in_order = True
    duplicates = sqlite3.IntegrityError

    def __init__(
        self,
        path: AnyPath,
        *,
        create: bool = True,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
        leave_alone: bool = False,
    ) -> None:
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise StoreUnavailableError(
                f"This Python has SQLite {sqlite3.sqlite_version}; runstore needs 3.35 or later.",
                hint="Use a newer Python.",
            )
        super().__init__(os.fspath(path), busy_timeout_s, create=create, leave_alone=leave_alone)

    def stand_in(self, statements: Sequence[str], why: StoreError) -> None:
        """Raise this error for every write, and run statements that add missing tables on connect.

        Args:
            statements: Statements that each create something temporary.
            why: The error, unless one is set already.
        """
        with self.read() as connection:
            for statement in statements:
                connection.execute(statement)
        self._opener.stand_ins = tuple(statements)
        self._refusal = self._refusal or why

    @contextmanager
    def read(self) -> Iterator[SQLiteConnection]:
        """Return this thread's connection."""
        try:
            with InHand(self) as connection:
                if connection.longest != LONGEST_READ:
                    connection.limit_length(LONGEST_READ)
                yield LenientReading(connection)  # type: ignore[misc]
        except sqlite3.Error as error:
            raise meaning_of(error, self.path, self._kept) from error
        except MemoryError as error:
            raise unreadable(self.path, "there is not enough memory for it") from error

    @contextmanager
    def write(self, of: Collection[str] | None = None) -> Iterator[SQLiteConnection]:  # noqa: ARG002 - one writer at a time
        """Return a connection in a transaction that is on disk on exit.

        Raises:
            StoreLockedError: Another writer kept the database locked, or this thread was
                interrupted while writing, by a signal handler or a finalizer.
        """
        yield from self._turn()

    def _turn(self) -> Generator[SQLiteConnection, None, None]:
        own = self._own
        if own.is_writing:
            raise self._interrupted()
        try:
            own.is_writing = True
            with InHand(self, is_to_write=True) as connection:
                if self._refusal is not None:
                    raise self._refusal
                # SQLite's own limit: data of a run is never refused for its length.
                if connection.longest != LONGEST:
                    connection.limit_length(LONGEST)
                try:
                    self._begin(connection)
                    yield connection
                    connection.execute("COMMIT")
                finally:
                    # An interruption may come after BEGIN as well as inside the block, and before
                    # the first line of any function, such as those of `suppress`.
                    try:  # noqa: SIM105 - see above
                        connection.rollback()
                    except sqlite3.Error:
                        pass  # a full disk may have ended it already
        except sqlite3.Error as error:
            raise meaning_of(error, self.path, self._kept) from error
        finally:
            # Here, because a signal handler may raise before the first line of any function.
            own.is_writing = False
            if own.waiting:
                self._end_of_turn()
        self._has_committed()

    def transact(
        self,
        work: Callable[[Connection], T],
        *,
        of: Collection[str] | None = None,  # noqa: ARG002 - one writer at a time
        is_once: bool = False,  # noqa: ARG002 - an answer is never lost
    ) -> T:
        """Call a function in a transaction that is on disk on return, and return its result."""
        return within(self._turn(), work)

    @property
    def is_in_place(self) -> bool:
        """Whether the path still leads to the opened file."""
        return self.file.is_in_place

    def copy_aside(self, suffix: str) -> None:
        """Copy the database to `<name>.<suffix>` with SQLite's backup API.

        The copy gets its name when it is complete; a link with that name is replaced, not
        followed.
        """
        target = f"{self.path}.{suffix}"
        aside = f"{target}.{os.urandom(8).hex()}"
        try:
            self.copy_to(aside)
            os.replace(aside, target)
            sync_folder(dirname(target))
        finally:
            with suppress(FileNotFoundError):
                os.unlink(aside)

    def copy_to(self, path: str | Path) -> None:
        """Copy the database to a new file with SQLite's backup API; durable on return."""
        with self.read() as connection:
            made = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                copy_rights(made, os.stat(self.path))  # readable by the same users as the database
                copy = sqlite3.connect(path)
                try:
                    connection.backup(copy)
                finally:
                    copy.close()
                os.fsync(made)
            finally:
                os.close(made)

    def tables(self, connection: Any) -> Sequence[StoredTable]:
        """Return all tables, each after those that it refers to."""
        from runstore.storage.sqlite.tables import tables

        return tables(connection)

    def streamed(
        self, connection: Any, sql: str, parameters: Parameters = (), /
    ) -> Iterator[Sequence[Any]]:
        """Yield the rows of a statement, without keeping all of them in memory."""
        return iter(connection.execute(sql, parameters))

    def adopt_rows(self, connection: Any) -> None:
        """Prepare for further runs after all rows were copied from another store."""
        connection.execute(
            "UPDATE store_state SET value = (SELECT coalesce(max(id), 0) FROM runs)"
            " WHERE name = 'last_run_indexed'"
        )

    def containing(self, column: str, kind: str) -> str:  # noqa: ARG002 - the same for both kinds
        """Return the condition that a column of texts or bytes contains a text `?`."""
        return f'instr(CAST("{column}" AS BLOB), CAST(? AS BLOB)) > 0'

    def overwrite_replaced(self, connection: Any) -> None:
        """Overwrite data that this transaction replaces with zeros."""
        connection.execute("PRAGMA secure_delete = ON").fetchone()

    def wipe(self) -> list[str]:
        """Remove replaced and deleted data from the file; blocks other writers."""
        self.vacuum()
        return []

    def reusable_bytes(self) -> int:
        """Return the size of the file's unused pages, in bytes."""
        with self.read() as connection:
            pages, size = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("freelist_count", "page_size")
            )
        return int(pages * size)

    def limit_memory(self, limit_bytes: int) -> None:
        """Limit SQLite's memory in the whole process, which must be our own."""
        with self.read() as connection:
            connection.execute(f"PRAGMA hard_heap_limit={limit_bytes}").fetchone()

    def vacuum(self) -> None:
        """Rewrite the file without empty pages; temporarily doubles the disk space.

        Raises:
            StoreLockedError: Another program uses the database.
            StoreUnavailableError: The disk is too full.
        """
        with self.read() as connection:
            if self._refusal is not None:
                raise self._refusal
            with values_up_to(connection, LONGEST):
                connection.execute("VACUUM")
            # In WAL mode the file itself shrinks at the checkpoint.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def problems(self, *, is_deep: bool) -> list[str]:
        """Return problems found by SQLite's own checks, at most 100 of each kind."""
        kind = "integrity_check" if is_deep else "quick_check"
        with self.read() as connection:
            found = connection.execute(f"PRAGMA {kind}({_PROBLEMS_TOLD})").fetchall()
        return [str(row[0]) for row in found if row[0] != "ok"]

    def _begin(self, connection: SQLiteConnection) -> None:
        """Acquire the write lock, waiting for other writers with growing random pauses."""
        patience_s = self.patience_s
        waits_s = min(ENGINE_WAITS_S, max(_OTHERS_TAKE_S, patience_s))
        if waits_s != connection.waits_s:
            connection.wait_for_others(waits_s)
        deadline = time.monotonic() + patience_s
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() > deadline:
                    raise
                pause(0.05)
            else:
                return
