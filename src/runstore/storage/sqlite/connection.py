"""One connection to a SQLite file: closed in time, and with limits against hostile files."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress

from runstore.storage.driver import Moment, Parameters
from runstore.storage.sqlite.descriptors import Files, is_log_removed, is_whole, keep_for_ever
from runstore.storage.sqlite.forks import inside_the_engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

LONGEST_READ = 64 << 20  # bytes of one value; parameters, the longest, have 16 million characters
LONGEST = 1_000_000_000  # SQLite's own limit
ENGINE_WAITS_S = 5.0  # inside a statement


class SQLiteConnection(sqlite3.Connection):
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
    longest = LONGEST
    # How long its statements wait for other writers, in seconds.
    waits_s = ENGINE_WAITS_S
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
        if self._moment is None or self._moment.is_over:
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


def distrust(connection: SQLiteConnection) -> None:
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
