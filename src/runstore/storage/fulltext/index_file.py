"""The file of the search index: opened for one search, and rebuilt if it is unusable.

It contains only derived data, so that it may be deleted at any time. Processes that have it open
hold a shared lock on the store's folder, so that a damaged file is removed only when it is not in
use.
"""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from runstore.errors import genuine, suppressed
from runstore.storage.files.locks import pause, unlock, wait_for_lock
from runstore.storage.files.safe_files import UnsafeFileError, reader
from runstore.storage.sqlite.disks import is_network_disk
from runstore.storage.sqlite.forks import inside_the_engine
from runstore.storage.sqlite.meanings import DAMAGED_SCHEMA
from runstore.storage.sqlite.paths import copy_rights, has_content, sync_folder
from runstore.storage.sqlite.read_only import ways_to_read

SEARCH = "search.db"
APPLICATION_ID = 0x72756E66  # "runf"; marks the file as ours
# Version of the contents; files with another number are rebuilt.
FORMAT = 3
_BUSY_S = 30.0
_ALONE_S = 5.0
_SIDE_FILES = ("", "-wal", "-shm", "-journal")
# SQLite's messages about altered tables.
_BROKEN = re.compile(r"no such (table|column)|vtable constructor failed|malformed|decode")

SCHEMA = (
    # The indexed texts: notes and errors of a run, or some lines of its output. Entries of the
    # index without a row here are stale.
    """
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY,
        run_id INTEGER NOT NULL,
        field INTEGER NOT NULL,
        part_id INTEGER,
        begin INTEGER NOT NULL,
        size_bytes INTEGER NOT NULL,
        first_line INTEGER NOT NULL,
        checksum INTEGER NOT NULL
    )
    """,
    "CREATE INDEX documents_by_run ON documents (run_id, field, id)",
    # Files of printed lines, and the indexed length of each; -1 if it could not be read.
    """
    CREATE TABLE parts (
        id INTEGER PRIMARY KEY,
        run_id INTEGER NOT NULL,
        part TEXT NOT NULL,
        digest TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        taken_bytes INTEGER NOT NULL,
        lines INTEGER NOT NULL
    )
    """,
    "CREATE INDEX parts_by_run ON parts (run_id)",
    "CREATE INDEX parts_unread ON parts (taken_bytes) WHERE taken_bytes < 0",
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    # For each trigram, the documents that contain it, without texts and positions.
    """
    CREATE VIRTUAL TABLE trigrams USING fts5 (
        text, tokenize = 'trigram case_sensitive 1', content = '', columnsize = 0, detail = none
    )
    """,
    "CREATE VIRTUAL TABLE words USING fts5vocab (trigrams, row)",
    "INSERT INTO trigrams (trigrams, rank) VALUES ('hashsize', 16777216)",
)
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'trigrams_%'"


class UnusableIndexError(Exception):
    """There is no index to search with; the message explains the reason to users."""


class DamagedIndexError(Exception):
    """The file is damaged and must be rebuilt."""


class SearchFile:
    """The index file of one store.

    Args:
        database: The database of the runs; the index is beside it, with the same permissions.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._folder = database.parent
        self.path = self._folder / SEARCH

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """Return a connection to an index of this format, possibly empty or read-only.

        Raises:
            DamagedIndexError: The file is damaged, as found here or inside the block.
            UnusableIndexError: It does not exist and cannot be created.
        """
        try:
            with self._lock(exclusive=False), inside_the_engine():
                self._check_plain()
                with closing(self._connect()) as connection:
                    yield connection
        except sqlite3.Error as error:
            raise _told(error) from error

    def _connect(self) -> sqlite3.Connection:
        deadline = time.monotonic() + _BUSY_S
        while True:
            try:
                self._make_file()
                return _prepared(str(self.path), self._prepare)
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    return self._connect_read_only(error)
            pause(0.05)

    def _check_plain(self) -> None:
        """Check that SQLite would not write to any other file.

        Raises:
            DamagedIndexError: The file or one beside it is a link, or not a regular file.
            UnusableIndexError: It is a folder.
        """
        for path in self._files():
            with suppress(FileNotFoundError):
                found = path.lstat()
                if stat.S_ISDIR(found.st_mode):
                    raise UnusableIndexError(f"{path} is a folder")
                if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
                    raise DamagedIndexError("it is a link, or not a regular file")

    def _files(self) -> list[Path]:
        return [self.path.with_name(self.path.name + suffix) for suffix in _SIDE_FILES]

    def _make_file(self) -> None:
        """Create an empty file with the permissions of the database."""
        with suppressed(OSError):  # it exists, or SQLite will report the reason
            about = self._database.stat()
            descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                copy_rights(descriptor, about)
            finally:
                os.close(descriptor)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Check the owner of the file, and create missing tables."""
        self._check_plain()  # again, now that it is open
        if _is_current(connection):
            return
        # WAL requires shared memory, which network disks lack.
        mode = "delete" if is_network_disk(self._folder) else "wal"
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute("BEGIN IMMEDIATE")
        if not _is_current(connection):  # another process may have been faster
            if connection.execute(TABLES).fetchone() is not None:
                raise DamagedIndexError("it was created by an older runstore")
            make_anew(connection)
        connection.execute("COMMIT")

    def _connect_read_only(self, reason: sqlite3.OperationalError) -> sqlite3.Connection:
        """Open an existing index that this user or this disk cannot write."""
        for way in ways_to_read(self.path, may_copy=False) if has_content(self.path) else ():
            with suppress(sqlite3.OperationalError, UnusableIndexError):
                return _prepared(way.uri, _check_current)
        raise reason

    def remove(self) -> str:
        """Remove the file, once it is not in use.

        Returns:
            The new path of a foreign file that was in its place; empty if there was none.

        Raises:
            UnusableIndexError: It is in use, or cannot be removed.
        """
        seen, kept = list(map(_identity, self._files())), ""
        try:
            with self._lock(exclusive=True):
                if list(map(_identity, self._files())) != seen:
                    return ""  # another process has done it
                if seen[0] is not None and not _is_ours(self.path):
                    kept = f"{self.path}.{time.time_ns()}"
                    self.path.rename(kept)
                    sync_folder(self._folder)
                for path in self._files():
                    path.unlink(missing_ok=True)
        except genuine(OSError) as error:
            reason = f"{self.path} cannot be removed: {error.strerror or error}"
            raise UnusableIndexError(reason) from error
        return kept

    @contextmanager
    def _lock(self, *, exclusive: bool) -> Iterator[None]:
        """Hold a lock on the folder, if the disk and the system support it."""
        try:
            descriptor = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        except genuine(OSError):
            yield
            return
        try:
            is_shared = not exclusive
            if wait_for_lock(descriptor, is_shared=is_shared, patience_s=_ALONE_S) is False:
                raise UnusableIndexError(
                    "another process is repairing it"
                    if is_shared
                    else f"{self.path} cannot be removed: another process is using it"
                )
            yield
        finally:
            unlock(descriptor)
            os.close(descriptor)


def make_anew(connection: sqlite3.Connection) -> None:
    """Create all tables within the caller's transaction, dropping existing ones."""
    for (name,) in connection.execute(TABLES).fetchall():
        connection.execute(f"DROP TABLE {name}")
    for statement in SCHEMA:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={_version_of(connection)}")


def _version_of(connection: sqlite3.Connection) -> int:
    """Return the version for the header of an index: its format and its inode.

    A copy, which may come from another user with any contents, has another inode; it is rebuilt
    before it is read.
    """
    path = connection.execute("PRAGMA database_list").fetchone()[2]
    return (zlib.crc32(b"%d" % Path(path).stat().st_ino) & 0x7FFFFF) << 8 | FORMAT


def _prepared(location: str, prepare: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
    connection = sqlite3.connect(
        location, timeout=_BUSY_S, isolation_level=None, uri=location.startswith("file:")
    )
    try:
        # Data lost in a power cut is indexed again.
        connection.execute("PRAGMA synchronous=NORMAL")
        prepare(connection)
    except genuine(UnicodeDecodeError) as error:
        connection.close()
        raise sqlite3.DatabaseError(DAMAGED_SCHEMA) from error
    except BaseException:  # there is no other reference to close it
        connection.close()
        raise
    return connection


def _is_current(connection: sqlite3.Connection) -> bool:
    """Check whether the tables exist; another program's database is an error."""
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if owner != APPLICATION_ID and connection.execute(TABLES).fetchone() is not None:
        raise DamagedIndexError("it was created by another program")
    if owner != APPLICATION_ID:
        return False
    if found & 0xFF > FORMAT:
        raise UnusableIndexError("it was created by a newer runstore")
    if found & 0xFF == FORMAT and found != _version_of(connection):
        raise DamagedIndexError("it is a copy")
    return bool(found & 0xFF == FORMAT)


def _check_current(connection: sqlite3.Connection) -> None:
    if not _is_current(connection):
        raise UnusableIndexError("it was created by an older runstore, and cannot be written")


def is_broken(error: sqlite3.OperationalError) -> bool:
    """Check whether an error means that the tables were altered."""
    return _BROKEN.search(str(error)) is not None


def _told(error: sqlite3.Error) -> Exception:
    """Translate an error of SQLite to one of the index."""
    text = str(error)
    if isinstance(error, (sqlite3.ProgrammingError, sqlite3.InterfaceError)):
        return error
    if isinstance(error, sqlite3.OperationalError) and not is_broken(error):
        return UnusableIndexError(text)
    return DamagedIndexError(text)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        about = path.lstat()
    except genuine(OSError):
        return None
    return about.st_dev, about.st_ino


def _is_ours(path: Path) -> bool:
    """Check by a file's header whether it is an index of ours; empty files count as ours.

    Source: SQLite, Database File Format: the application id is at byte 68.
    """
    try:
        with reader(path, levels=0, is_ours=True) as file:
            head = file.read(72)
    except UnsafeFileError:
        return False
    return not head or (
        head.startswith(b"SQLite format 3\0") and head[68:] == APPLICATION_ID.to_bytes(4, "big")
    )
