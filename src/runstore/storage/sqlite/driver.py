"""The SQLite driver: connections by process and thread, transactions, error translation."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
import weakref
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from os.path import basename, dirname

from runstore.errors import (
    StoreCorruptError,
    StoreError,
    StoreLockedError,
    StoreReadOnlyError,
    StoreUnavailableError,
    is_interruption,
    suppressed,
)
from runstore.storage.driver import (
    Connection,
    DriverBase,
    Moment,
    Parameters,
    StoredTable,
    ThreadState,
    within,
)
from runstore.storage.files.locks import has_no_locks, pause
from runstore.storage.sqlite.database_file import APPLICATION_ID, DatabaseFile
from runstore.storage.sqlite.descriptors import (
    Files,
    is_log_removed,
    is_whole,
    keep_for_ever,
    new_descriptors,
)
from runstore.storage.sqlite.disks import is_network_disk
from runstore.storage.sqlite.forks import (
    LiveSet,
    before_each_fork,
    entered,
    inside_the_engine,
)
from runstore.storage.sqlite.functions import add_functions, text_of
from runstore.storage.sqlite.paths import copy_rights, file_uri, is_missing, sync_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, ClassVar, TypeVar

    from runstore.storage.sqlite.paths import AnyPath
    from runstore.storage.sqlite.read_only import Readable

    T = TypeVar("T")

LONGEST_READ = 64 << 20  # bytes of one value; parameters, the longest, have 16 million characters
_LONGEST = 1_000_000_000  # SQLite's own limit
OLDEST_SQLITE = (3, 35, 0)  # RETURNING
BUSY_TIMEOUT_S = 60.0
_ENGINE_WAITS_S = 5.0  # inside a statement
_OTHERS_TAKE_S = 0.1  # a transaction of another program; even a hurried writer waits for it
_PROBLEMS_TOLD = 100
_REPLACED_PATIENCE_S = 5.0
TABLES = "SELECT name FROM sqlite_master"

TYPES: Mapping[str, str] = {
    "identity": "INTEGER PRIMARY KEY",
    "integer": "INTEGER",
    "real": "REAL",
    "bytes": "BLOB",
    "text": "TEXT",
    "without_rowid": "WITHOUT ROWID",
}


class _Connection(sqlite3.Connection):
    """A connection that closes itself when it is garbage-collected.

    Python 3.13 warns about every connection that is collected while open, and collects the members
    of a cycle in no particular order: only the connection itself can close it in time.
    """

    # Connections inherited by a forked child. SQLite forbids using or closing them there, so they
    # are kept from the garbage collector, which would close them.
    left_by_fork: ClassVar[list[object]] = []
    _pid: int | None = None  # of the process that opened it; None while it is closed
    # Its known descriptors, with the identities of their files.
    files: Files = ()
    # Maximum length of a value read or written, in bytes.
    longest = _LONGEST
    # How long its statements wait for other writers, in seconds.
    waits_s = _ENGINE_WAITS_S
    _moment: Moment | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._pid = os.getpid()

    def insert(self, sql: str, parameters: Parameters) -> int:
        """Insert one row and return its id; RETURNING takes twice as long."""
        return self.execute(sql, parameters).lastrowid or 0

    def first_rows(self, questions: Iterable[tuple[str, Parameters]]) -> list[Any]:
        """Return the first row of each statement, or None."""
        return [self.execute(sql, parameters).fetchone() for sql, parameters in questions]

    def lock_new_keys(self, keys: Collection[str]) -> None:
        """Do nothing: there is one writer at a time."""

    def lock_facts(self, added: Collection[int], removed: Collection[int]) -> None:
        """Do nothing: there is one writer at a time."""

    def begin(self, moment: Moment) -> None:
        """Begin a snapshot for several uses."""
        self._moment = moment
        self.execute("BEGIN")

    @property
    def has_moment(self) -> bool:
        """Whether a snapshot for several uses is not over."""
        return self._moment is not None and not self._moment.is_over

    def end_what_is_left(self) -> None:
        """End a snapshot that is over, or a transaction whose end was interrupted."""
        if self.in_transaction and (self._moment is None or self._moment.is_over):
            self._moment = None
            self.rollback()

    def wait_for_others(self, patience_s: float) -> None:
        """Set how long statements wait for other writers."""
        self.waits_s = patience_s
        self.execute(f"PRAGMA busy_timeout={round(patience_s * 1000)}")

    def limit_length(self, limit_bytes: int) -> None:
        """Refuse longer values from now on, if this version of Python can."""
        self.longest = limit_bytes
        if sys.version_info >= (3, 11):
            self.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limit_bytes)

    def __del__(
        self,
        # Bound here because module names are gone before objects when the interpreter exits.
        getpid: Callable[[], int] = os.getpid,
        is_finalizing: Callable[[], bool] = sys.is_finalizing,
    ) -> None:
        if self._pid is None:
            return
        if self._pid != getpid():
            self.left_by_fork.append(self)
        elif is_finalizing():
            self.close()
        else:
            with inside_the_engine():
                self.close()

    def close(
        self,
        is_whole: Callable[[Files], bool] = is_whole,
        is_log_removed: Callable[[Files], bool] = is_log_removed,
        keep: Callable[[object], None] = keep_for_ever,
    ) -> None:
        """Close the connection, unless that would damage files of the program or a newer log."""
        if is_whole(self.files) and not is_log_removed(self.files):
            super().close()
            # Others may reuse these numbers, and nothing is left to close.
            self.files, self._pid = (), None
        else:
            keep(self)


class _Reading:
    """A connection for reading that also returns texts with invalid UTF-8."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    def execute(self, sql: str, parameters: Parameters = ()) -> _Rows:
        """Run one statement."""
        return _Rows(self._raw, sql, parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


class _Rows:
    """The rows of a statement, which is run again if one of their texts cannot be decoded."""

    def __init__(self, raw: sqlite3.Connection, sql: str, parameters: Parameters) -> None:
        self._statement = raw, sql, parameters
        self._given = 0
        self._found: Any = None
        try:
            self._found = raw.execute(sql, parameters)
        except sqlite3.OperationalError as error:
            self._run_again(error)

    def _run_again(self, error: sqlite3.OperationalError) -> None:
        """Run the statement again up to the same row; from here on, reading texts is slower."""
        raw, sql, parameters = self._statement
        if "decode" not in str(error) or raw.text_factory is text_of:
            raise error
        raw.text_factory = text_of
        if self._found is not None:
            self._found.close()  # before Python 3.11, its end would end the new one
        self._found = raw.execute(sql, parameters)
        if self._given:
            self._found.fetchmany(self._given)

    @property
    def rowcount(self) -> int:
        """Number of rows changed."""
        return int(self._found.rowcount)

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        try:
            row = self._found.fetchone()
        except sqlite3.OperationalError as error:
            self._run_again(error)
            row = self._found.fetchone()
        self._given += 1
        return row

    def fetchall(self) -> Any:
        """Return the remaining rows."""
        try:
            return self._found.fetchall()
        except sqlite3.OperationalError as error:
            self._run_again(error)
            return self._found.fetchall()

    def __iter__(self) -> Iterator[Any]:
        try:
            for self._given, row in enumerate(self._found, self._given + 1):  # noqa: B020 - no name
                yield row
        except sqlite3.OperationalError as error:
            self._run_again(error)
            yield from self._found


class _Handle:
    """A connection of one thread, closed when the thread ends; in use while it is opened."""

    raw: _Connection

    def __init__(self) -> None:
        self.pid = os.getpid()
        # Taking the item is the right to use or close it: closing a connection in use crashes.
        self.is_idle: list[None] = []

    def is_taken(self) -> bool:
        """Take the connection; return False if it is in use, or was closed."""
        try:
            self.is_idle.pop()
        except (IndexError, AttributeError):  # a handler raised before it had its attributes
            return False
        return True

    def __del__(self) -> None:
        # A connection and its cache of statements refer to each other: until the next garbage
        # collection it would stay open, no handle would lead to it, and a fork would inherit it.
        if self.is_taken():
            self.raw.__del__()


class _Own(ThreadState):
    """State of a thread.

    Attributes:
        free: Idle connections; most threads have one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.free: list[_Handle] = []


class _InHand:
    """A connection of this thread inside a block; forks by other threads wait for its end."""

    __slots__ = ("_driver", "_handle", "_is_to_write", "_leave")

    def __init__(self, driver: SQLiteDriver, *, is_to_write: bool = False) -> None:
        self._driver = driver
        self._is_to_write = is_to_write

    def __enter__(self) -> _Connection:
        self._leave = entered()
        try:
            self._handle = self._driver.take(is_to_write=self._is_to_write)
        except BaseException:  # otherwise a fork would wait for it
            self._leave()
            raise
        return self._handle.raw

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            if error is None or not is_interruption(error):
                self._driver.give_back(self._handle)
            else:
                self._driver.drop(self._handle)
        finally:
            self._leave()


class SQLiteDriver(DriverBase):
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
    path: str
    _own: _Own

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
        super().__init__(os.fspath(path), _Own(), busy_timeout_s)
        self.file = DatabaseFile(self.path)
        self._create = create
        self._leave_alone = leave_alone
        self._stand_ins: tuple[str, ...] = ()
        self._readable: Readable | None = None
        self._network_disk: bool | None = None
        self._is_ours = False
        self._handles: LiveSet[_Handle] = LiveSet()
        self._severed: StoreError | None = None
        _drivers.add(self)

    def stand_in(self, statements: Sequence[str], why: StoreError) -> None:
        """Raise this error for every write, and run statements that add missing tables on connect.

        Args:
            statements: Statements that each create something temporary.
            why: The error, unless one is set already.
        """
        with self.read() as connection:
            for statement in statements:
                connection.execute(statement)
        self._stand_ins = tuple(statements)
        self._refusal = self._refusal or why

    @contextmanager
    def read(self) -> Iterator[_Connection]:
        """Return this thread's connection."""
        try:
            with _InHand(self) as connection:
                if connection.longest != LONGEST_READ:
                    connection.limit_length(LONGEST_READ)
                yield _Reading(connection)  # type: ignore[misc]
        except sqlite3.Error as error:
            raise self._translated(error) from error
        except MemoryError as error:
            raise self._unreadable("there is not enough memory for it") from error

    @contextmanager
    def write(self, of: Collection[str] | None = None) -> Iterator[_Connection]:  # noqa: ARG002 - one writer at a time
        """Return a connection in a transaction that is on disk on exit.

        Raises:
            StoreLockedError: Another writer kept the database locked, or this thread was
                interrupted while writing, by a signal handler or a finalizer.
        """
        yield from self._turn()

    def _turn(self) -> Generator[_Connection, None, None]:
        own = self._own
        if own.is_writing:
            raise self._interrupted()
        try:
            own.is_writing = True
            with _InHand(self, is_to_write=True) as connection:
                if self._refusal is not None:
                    raise self._refusal
                # SQLite's own limit: data of a run is never refused for its length.
                if connection.longest != _LONGEST:
                    connection.limit_length(_LONGEST)
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
            raise self._translated(error) from error
        finally:
            # Here, because a signal handler may raise before the first line of any function.
            own.is_writing = False
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

    def interrupt(self) -> None:
        """Interrupt running statements of all threads; each fails with a `StoreError`."""
        for handle in [*self._handles]:
            with suppress(sqlite3.Error, AttributeError):  # it was closed, or is not open yet
                handle.raw.interrupt()

    def vacuum(self) -> None:
        """Rewrite the file without empty pages; temporarily doubles the disk space.

        Raises:
            StoreLockedError: Another program uses the database.
            StoreUnavailableError: The disk is too full.
        """
        with self.read() as connection:
            if self._refusal is not None:
                raise self._refusal
            with values_up_to(connection, _LONGEST):
                connection.execute("VACUUM")
            # In WAL mode the file itself shrinks at the checkpoint.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def problems(self, *, is_deep: bool) -> list[str]:
        """Return problems found by SQLite's own checks, at most 100 of each kind."""
        kind = "integrity_check" if is_deep else "quick_check"
        with self.read() as connection:
            found = connection.execute(f"PRAGMA {kind}({_PROBLEMS_TOLD})").fetchall()
        return [str(row[0]) for row in found if row[0] != "ok"]

    def close(self) -> None:
        """Close every thread's connection; one in use is closed once it is idle."""
        self._closed = True
        self._close_idle()

    def close_replaced(self) -> None:
        """Close every connection to a replaced file, once idle.

        Raises:
            StoreLockedError: One was in use for longer than a few seconds.
        """
        deadline = time.monotonic() + _REPLACED_PATIENCE_S
        while self._close_idle():
            if time.monotonic() > deadline:
                raise StoreLockedError(
                    f"{self.path} was replaced while this program was using the old file.",
                    kept="Nothing was changed.",
                    hint="Try again when other threads have finished with it.",
                )
            time.sleep(0.01)

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return len(self._handles) > 0

    @property
    def is_searching(self) -> bool:
        """Whether an idle connection has the snapshot, and temporary tables, of a search."""
        raws = [getattr(handle, "raw", None) for handle in self._handles]  # None: being opened
        return any(raw.has_moment for raw in raws if raw is not None)

    def held(self) -> set[tuple[int, int]]:
        """Return device and inode of the files that its connections hold."""
        raws = [getattr(handle, "raw", None) for handle in self._handles]  # None: being opened
        return {identity for raw in raws if raw is not None for _, identity, _ in raw.files}

    def close_for_now(self) -> None:
        """Close each connection, such as before a fork; they reopen on use."""
        with suppress(sqlite3.Error):
            self._close_idle()

    def after_fork(self) -> None:
        """Refuse writes in a child that was forked while a connection was in use."""
        if self._handles and self._refusal is None:
            self._refusal = StoreUnavailableError(
                f"This process was forked while its parent was using {self.path}.",
                kept="Nothing was changed; reading still works.",
                hint="Open the store again, in a process that was not forked.",
            )

    def _close_idle(self) -> int:
        """Close each idle connection; return the number of connections in use."""
        handles = [one for one in list(self._handles) if one.pid == os.getpid()]
        if handles:
            self.file.part_from_log()
        for handle in handles:
            if handle.is_taken():
                handle.raw.close()
                self._handles.discard(handle)
        return sum(handle in self._handles for handle in handles)

    def take(self, *, is_to_write: bool) -> _Handle:
        """Return a connection of this thread, for exclusive use until `give_back`.

        Raises:
            StoreUnavailableError: The file was replaced, or the database was removed.
        """
        handle = self._taken_handle(is_to_write=is_to_write)
        try:
            # Before a read, one is enough to detect a program that closed all of them.
            self._check(handle.raw.files if is_to_write else handle.raw.files[:1])
        except BaseException:  # otherwise it could never be used again
            self.give_back(handle)
            raise
        return handle

    def _check(self, files: Files) -> None:
        if not is_whole(files) or not (files or self.file.has_pin):
            raise self._closed_by_program()
        self.file.check()
        if is_log_removed(files):
            raise self._use_no_more(
                f"Another program removed the log of {self.path}, as if no program used it.",
                "Do not open files of a store in a program that uses it: closing one releases "
                "its locks. To copy a store: runstore copy",
            )

    def _closed_by_program(self) -> StoreError:
        return self._use_no_more(
            f"This program has closed the open files of {self.path}.",
            "Close only files that your program has opened.",
        )

    def _use_no_more(self, what: str, hint: str) -> StoreError:
        """Abandon a database whose descriptors or log are gone; return the error to raise.

        The numbers of closed descriptors may belong to other files now, and SQLite shares some
        descriptors, and the index of the log, among all connections of this process.
        """
        _severed.add(self.file.identity)
        self._severed = StoreUnavailableError(
            what, kept="Nothing was written to other files.", hint=hint
        )
        return self._severed

    def _taken_handle(self, *, is_to_write: bool = False) -> _Handle:
        """Return a connection of this thread; for writing, one without an open search."""
        if not is_to_write:
            return self._any_handle()
        searching: list[_Handle] = []
        try:
            while (handle := self._any_handle()).raw.in_transaction:
                searching.append(handle)
            return handle
        finally:
            for one in searching:
                self.give_back(one)

    def _any_handle(self) -> _Handle:
        free = self._own.free
        if self._severed is not None:
            raise self._severed
        while not self._closed:
            try:
                handle = free.pop()
            except IndexError:
                return self._new_handle()
            if handle.pid != os.getpid():
                _Connection.left_by_fork.append(handle.raw)
            elif handle.is_taken():
                handle.raw.end_what_is_left()
                return handle
        raise StoreUnavailableError(f"The store {self.path} was closed.")

    def _new_handle(self) -> _Handle:
        handle = _Handle()
        # Before the file is checked, so that whoever opens one in its place waits for this one:
        # SQLite opens the log by its name, and would open that of the other file.
        self._handles.add(handle)
        try:
            handle.raw = self._connect()
        except BaseException:  # otherwise others would wait for it
            self._handles.discard(handle)
            raise
        _close_others(self)
        return handle

    def drop(self, handle: _Handle) -> None:
        """Close a connection whose use a signal handler interrupted.

        A statement that is not finished keeps its snapshot, and lives as long as the exception,
        which notebooks keep.
        """
        self._handles.discard(handle)
        if handle.pid == os.getpid():
            handle.raw.close()
        else:
            _Connection.left_by_fork.append(handle.raw)

    def give_back(self, handle: _Handle) -> None:
        """Return a taken connection, so that it can be used or closed."""
        if handle.pid != os.getpid():
            _Connection.left_by_fork.append(handle.raw)
            return
        handle.is_idle.append(None)
        self._own.free.append(handle)
        if self._closed and handle.is_taken():
            handle.raw.close()
            self._handles.discard(handle)

    def _connect(self) -> _Connection:
        """Open the file for writing; if that is refused, for reading.

        Only the first connection may create the file; every later one opens that same file.
        """
        if self.file.is_known:
            self.file.check()
        else:
            self._find_file()
            if self.file.has_other_names:
                what = f"{basename(self.path)} is a hard link of another file"
                return self._connect_read_only(sqlite3.OperationalError(what))
        if self._leave_alone and self._readable is None:
            return self._connect_read_only(sqlite3.OperationalError("it is not yours"))
        deadline = time.monotonic() + self.busy_timeout_s
        while True:
            try:
                return self._prepared(self._readable)
            except sqlite3.OperationalError as error:
                is_held = _is_busy(error) and not has_no_locks(self._folder)
                if is_held and time.monotonic() < deadline:
                    pause(0.02)
                    continue
                if self._readable or not (_is_refused(error) or _is_full(error)):
                    raise self._translated(error) from error
                return self._connect_read_only(error)
            except sqlite3.Error as error:
                raise self._translated(error) from error

    @property
    def _folder(self) -> str:
        """The folder of the file itself, not of a link to it."""
        return dirname(os.path.realpath(self.path))

    def _find_file(self) -> None:
        """Create the file if requested, and check that only the store's files are touched."""
        self.file.check_surroundings()
        if self._create:
            with suppressed(OSError):  # SQLite finds it missing, and reports the reason
                self.file.make()
        elif is_missing(self.path):
            raise StoreUnavailableError(f"There is no run database at {self.path}.")
        _close_replaced(self.path)

    def _connect_read_only(self, reason: sqlite3.OperationalError) -> _Connection:
        """Open a database that cannot be written; every later write raises the reason."""
        with suppressed(OSError, ImportError):
            from pathlib import Path

            from runstore.storage.sqlite.read_only import ways_to_read

            for way in ways_to_read(Path(self.path), leave_alone=self._leave_alone):
                if way.copy is not None:
                    weakref.finalize(self, way.copy.remove)
                try:
                    connection = self._prepared(way)
                except sqlite3.Error:
                    continue
                self._readable = way
                self._refusal = self._refused(reason)
                return connection
        raise self._translated(reason) from reason

    def _refused(self, reason: sqlite3.OperationalError) -> StoreError:
        if _is_full(reason):
            return self._translated(reason)
        return StoreReadOnlyError(
            f"The store at {dirname(self.path)} cannot be written: {reason}.",
            kept="Nothing was changed; reading still works.",
            hint="Check the permissions of the folder, or choose another store.",
        )

    def _prepared(self, readable: Readable | None) -> _Connection:
        with new_descriptors() as new:
            connection = self._opened(readable)
            connection.files = self.file.held_by(new())
        return connection

    def _opened(self, readable: Readable | None) -> _Connection:
        self._prove()
        connection = sqlite3.connect(
            readable.uri if readable else file_uri(self.path, "mode=rw"),
            timeout=_ENGINE_WAITS_S,
            isolation_level=None,
            check_same_thread=False,
            uri=True,
            factory=_Connection,
        )
        try:
            self._prove()
            self._configure(connection, writable=readable is None)
            if readable is None:
                connection.execute("PRAGMA schema_version").fetchone()  # opens the log
                self.file.remember_log()
        except BaseException:  # there is no other reference to close it
            connection.close()
            raise
        return connection

    def _prove(self) -> None:
        """Check that all connections have the same file, before it is opened and afterwards."""
        if self.file.is_known:
            self.file.check()
            return
        with suppressed(OSError):  # removed just now, as the next statement will find
            self.file.remember()
        if self.file.identity in _severed:
            raise self._closed_by_program()

    def _configure(self, connection: _Connection, *, writable: bool) -> None:
        connection.execute("PRAGMA synchronous=FULL")
        _distrust(connection)
        add_functions(connection)
        for statement in self._stand_ins:
            connection.execute(statement)
        if not writable:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return
        if self._network_disk is None:
            self._network_disk = is_network_disk(dirname(self.path))
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
        tables = {row[0] for row in connection.execute(TABLES).fetchall()}
        # On network disks, stores were created without the mark.
        if owner == 0 and (not tables or {"runs", "schema_migrations"} <= tables):
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            return
        raise StoreCorruptError(
            f"{self.path} is a database of another program.",
            kept="It was not changed.",
            hint="Choose another folder for the store.",
        )

    def _begin(self, connection: _Connection) -> None:
        """Acquire the write lock, waiting for other writers with growing random pauses."""
        patience_s = self.patience_s
        waits_s = min(_ENGINE_WAITS_S, max(_OTHERS_TAKE_S, patience_s))
        if waits_s != connection.waits_s:
            connection.wait_for_others(waits_s)
        deadline = time.monotonic() + patience_s
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or time.monotonic() > deadline:
                    raise
                pause(0.05)
            else:
                return

    def _translated(self, error: sqlite3.Error) -> StoreError:
        """Return our own error with the meaning of this one for users."""
        if isinstance(error, sqlite3.DataError) or _is_unreadable(error):
            return self._unreadable(str(error))
        return self._told(error)

    def _unreadable(self, why: str) -> StoreCorruptError:
        return StoreCorruptError(
            f"{self.path} contains an unreadable value: {why}.",
            kept="It was not changed.",
            hint="To find the run: runstore doctor",
        )

    def _told(self, error: sqlite3.Error) -> StoreError:
        if _is_busy(error):
            return self._locked()
        text = str(error)
        if _is_full(error):
            return StoreUnavailableError(
                f"There is no space left for {self.path}: {text}.",
                kept=self._kept,
                hint="Free some space, then try again.",
            )
        if "readonly" in text or "read-only" in text:
            return StoreReadOnlyError(
                f"The store at {dirname(self.path)} cannot be written: {text}.",
                kept="Nothing was changed; reading still works.",
                hint="Check the permissions of the folder, or choose another store.",
            )
        if isinstance(error, sqlite3.OperationalError):
            return StoreUnavailableError(
                f"The store at {self.path} cannot be used: {text}.",
                kept="Nothing was changed.",
                hint="Check that the folder exists and is writable.",
            )
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(
            error, (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError)
        ):
            return StoreCorruptError(
                f"{self.path} is not a run database, or it is damaged: {text}.",
                kept="It was not changed.",
                hint="Move the file aside to start afresh; its data may be recoverable.",
            )
        return StoreError(f"{self.path}: {text}.", kept=self._kept)

    def _locked(self) -> StoreError:
        if has_no_locks(self._folder):
            return StoreUnavailableError(
                f"The disk of {self.path} has no locks for files.",
                kept=self._kept,
                hint="Mount it with locks, or choose a store on another disk.",
            )
        return StoreLockedError(
            f"Another program keeps {self.path} locked.",
            kept=self._kept,
            hint="Stop the program that holds the lock, then try again.",
        )


# Databases whose descriptors the program has closed.
_severed: set[tuple[int, int] | None] = set()


def _distrust(connection: _Connection) -> None:
    """Prevent the file's schema from calling functions with effects or using unlimited memory.

    Source: SQLite, Defense Against The Dark Arts, 3.53.
    """
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.limit_length(LONGEST_READ)
    if sys.version_info >= (3, 12):
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)  # noqa: FBT003 - sqlite3's
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_TRIGGER, False)  # noqa: FBT003 - sqlite3's


@contextmanager
def values_up_to(connection: Any, limit_bytes: int) -> Iterator[None]:
    """Allow values up to this length inside the block."""
    before = connection.longest
    connection.limit_length(limit_bytes)
    try:
        yield
    finally:
        with suppress(sqlite3.Error):  # it may be closed
            connection.limit_length(before)


# Databases with connections, unless more are in use at once.
_OPEN_AT_MOST = 16
# Every driver of this process.
_drivers: LiveSet[SQLiteDriver] = LiveSet()


def files_in_use() -> set[tuple[int, int] | None]:
    """Return device and inode of the files of all open databases, and perhaps None.

    To close a descriptor of one, even once it was only read, releases the locks of this process.
    """
    opened = [one for one in _drivers if one.is_open]
    held = {identity for one in opened for identity in one.held()}
    return held.union(one.file.identity for one in opened)


def _close_before_fork() -> None:
    for driver in list(_drivers):
        driver.close_for_now()


def _after_fork_in_child() -> None:
    for driver in list(_drivers):
        driver.after_fork()


before_each_fork(_close_before_fork)
os.register_at_fork(after_in_child=_after_fork_in_child)


def _close_others(driver: SQLiteDriver) -> None:
    """Close idle connections to other databases if there are many, as each has descriptors.

    Tests that record in a folder each use hundreds of databases, and never come back to one.
    """
    opened = [one for one in list(_drivers) if one.is_open]
    if len(opened) > _OPEN_AT_MOST:
        for other in opened:
            if other is not driver and not other.is_searching:
                other.close_for_now()


def _close_replaced(path: str) -> None:
    """Close this process's connections to files that had this name before.

    Connections to the new file may get the same shared memory, and no lock keeps a process from
    clearing its own: SQLite's locks are per process.
    """
    for driver in list(_drivers):
        if driver.path == path and driver.file.is_known and not driver.file.is_in_place:
            driver.close_replaced()


def _is_busy(error: sqlite3.Error) -> bool:
    return "locked" in str(error) or "busy" in str(error)


def _is_full(error: sqlite3.Error) -> bool:
    """Check whether a write failed because of the disk, which SQLite reports in two ways."""
    return "full" in str(error) or "disk I/O" in str(error)


def _is_unreadable(error: sqlite3.Error) -> bool:
    """Check whether a value is too long to be read, or an invalid text."""
    return "too big" in str(error) or "decode" in str(error) or "malformed JSON" in str(error)


def _is_refused(error: sqlite3.Error) -> bool:
    """Check whether the error may be caused by missing write permission."""
    text = str(error)
    return "readonly" in text or "read-only" in text or "unable to open" in text
