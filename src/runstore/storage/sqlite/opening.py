"""Opening of connections to a database: for writing, or else for reading."""

from __future__ import annotations

import sqlite3
import time
import weakref
from os.path import basename, dirname

from runstore.errors import (
    StoreCorruptError,
    StoreError,
    StoreUnavailableError,
    genuine,
    suppressed,
)
from runstore.storage.files.locks import pause
from runstore.storage.sqlite.connection import ENGINE_WAITS_S, SQLiteConnection, distrust
from runstore.storage.sqlite.database_file import APPLICATION_ID, DatabaseFile
from runstore.storage.sqlite.descriptors import new_descriptors
from runstore.storage.sqlite.disks import is_network_disk
from runstore.storage.sqlite.functions import add_functions
from runstore.storage.sqlite.meanings import (
    DAMAGED_SCHEMA,
    is_busy,
    is_full,
    is_refused,
    lacks_locks,
    meaning_of,
    unwritable,
)
from runstore.storage.sqlite.paths import file_uri, is_missing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runstore.storage.sqlite.read_only import Readable

_TABLES = "SELECT name FROM sqlite_master"


class Opener:
    """Opens connections to a file.

    Attributes:
        refusal: Why the file can only be read; None if it can be written.
        stand_ins: Statements for each new connection that add missing tables.

    Args:
        file: The file.
        create: Create the file if it does not exist; its folder exists.
        leave_alone: Whether to write nothing into the folder.
        before_first: Called with the path before the file is first opened.
    """

    def __init__(
        self,
        file: DatabaseFile,
        *,
        create: bool,
        leave_alone: bool,
        before_first: Callable[[str], object],
    ) -> None:
        self.refusal: StoreError | None = None
        self.stand_ins: tuple[str, ...] = ()
        self._file = file
        self._create = create
        self._leave_alone = leave_alone
        self._before_first = before_first
        self._readable: Readable | None = None
        self._network_disk: bool | None = None
        self._is_ours = False

    def connection(self, patience_s: float, kept: str) -> SQLiteConnection:
        """Open the file for writing; if that is refused, for reading.

        Only the first connection may create the file; every later one opens that same file.

        Args:
            patience_s: How long to wait for another program that keeps it locked.
            kept: What an error says about data that were not written.

        Raises:
            StoreError: It cannot be opened.
        """
        if self._file.is_known:
            self._file.check()
        else:
            self._find_file()
        # Also if a signal handler or a lock ended the first attempt after the file became known.
        if not self._is_ours and self._readable is None and self._file.has_other_names:
            what = f"{basename(self._file.path)} is a hard link of another file"
            return self._read_only(sqlite3.OperationalError(what), kept)
        if self._leave_alone and self._readable is None:
            return self._read_only(sqlite3.OperationalError("it is not yours"), kept)
        deadline = time.monotonic() + patience_s
        while True:
            try:
                return self._prepared(self._readable)
            except sqlite3.OperationalError as error:
                is_held = is_busy(error) and not lacks_locks(self._file.path)
                if is_held and time.monotonic() < deadline:
                    pause(0.02)
                    continue
                if self._readable or not (is_refused(error) or is_full(error)):
                    raise meaning_of(error, self._file.path, kept) from error
                return self._read_only(error, kept)
            except sqlite3.Error as error:
                raise meaning_of(error, self._file.path, kept) from error

    def _find_file(self) -> None:
        """Create the file if requested, and check that only the store's files are touched."""
        self._file.check_surroundings()
        if self._create:
            with suppressed(OSError):  # SQLite finds it missing, and reports the reason
                self._file.make()
        elif is_missing(self._file.path):
            raise StoreUnavailableError(f"There is no run database at {self._file.path}.")
        self._before_first(self._file.path)

    def _read_only(self, reason: sqlite3.OperationalError, kept: str) -> SQLiteConnection:
        """Open a database that cannot be written; every later write raises the reason."""
        meaning = meaning_of(reason, self._file.path, kept)
        with suppressed(OSError, ImportError):
            from pathlib import Path

            from runstore.storage.sqlite.read_only import ways_to_read

            for way in ways_to_read(Path(self._file.path), leave_alone=self._leave_alone):
                if way.copy is not None:
                    weakref.finalize(self, way.copy.remove)
                try:
                    connection = self._prepared(way)
                except sqlite3.Error:
                    continue
                # First, because a signal handler may raise before the next line.
                self.refusal = meaning if is_full(reason) else unwritable(self._file.path, reason)
                self._readable = way
                return connection
        raise meaning from reason

    def _prepared(self, readable: Readable | None) -> SQLiteConnection:
        with new_descriptors() as new:
            connection = self._opened(readable)
            connection.files = self._file.held_by(new())
        return connection

    def _opened(self, readable: Readable | None) -> SQLiteConnection:
        self._file.prove()
        connection = sqlite3.connect(
            readable.uri if readable else file_uri(self._file.path, "mode=rw"),
            timeout=ENGINE_WAITS_S,
            isolation_level=None,
            check_same_thread=False,
            uri=True,
            factory=SQLiteConnection,
        )
        try:
            self._file.prove()
            self._configure(connection, writable=readable is None)
            if readable is None:
                connection.execute("PRAGMA schema_version").fetchone()  # opens the log
                self._file.remember_log()
        except genuine(UnicodeDecodeError) as error:
            connection.close()
            raise sqlite3.DatabaseError(DAMAGED_SCHEMA) from error
        except BaseException:  # there is no other reference to close it
            connection.close()
            raise
        return connection

    def _configure(self, connection: SQLiteConnection, *, writable: bool) -> None:
        connection.execute("PRAGMA synchronous=FULL")
        distrust(connection)
        add_functions(connection)
        for statement in self.stand_ins:
            connection.execute(statement)
        if not writable:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return
        if self._network_disk is None:
            self._network_disk = is_network_disk(dirname(self._file.path))
        # WAL needs shared memory, which network disks lack; a rollback journal is slower but safe.
        wanted = "delete" if self._network_disk else "wal"
        if not self._is_ours:
            self._check_owner(connection)
            self._is_ours = True
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        if mode != wanted:
            connection.execute(f"PRAGMA journal_mode={wanted}")

    def _check_owner(self, connection: sqlite3.Connection) -> None:
        """Raise an error for another program's database, before it is changed."""
        owner = connection.execute("PRAGMA application_id").fetchone()[0]
        if owner == APPLICATION_ID:
            return
        tables = {row[0] for row in connection.execute(_TABLES).fetchall()}
        # On network disks, stores were created without the mark.
        if owner == 0 and (not tables or {"runs", "schema_migrations"} <= tables):
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            return
        raise StoreCorruptError(
            f"{self._file.path} is a database of another program.",
            kept="It was not changed.",
            hint="Choose another folder for the store.",
        )
