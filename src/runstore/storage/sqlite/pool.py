"""The open connections of a driver, by process and thread, and those of the whole process."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress

from runstore.errors import StoreLockedError, StoreUnavailableError, is_interruption
from runstore.storage.driver import DriverBase, ThreadState
from runstore.storage.sqlite import forks
from runstore.storage.sqlite.connection import SQLiteConnection
from runstore.storage.sqlite.database_file import DatabaseFile
from runstore.storage.sqlite.forks import LiveSet, before_each_fork
from runstore.storage.sqlite.opening import Opener

_REPLACED_PATIENCE_S = 5.0


class _Handle:
    """A connection of one thread, closed when the thread ends; in use while it is opened."""

    raw: SQLiteConnection

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


class InHand:
    """A connection of this thread inside a block; forks by other threads wait for its end."""

    __slots__ = ("_handle", "_is_to_write", "_leave", "_pool")

    def __init__(self, pool: FilePool, *, is_to_write: bool = False) -> None:
        self._pool = pool
        self._is_to_write = is_to_write

    def __enter__(self) -> SQLiteConnection:
        self._leave = forks.gate.enter()
        try:
            self._handle = self._pool.take(is_to_write=self._is_to_write)
        except BaseException:  # otherwise a fork would wait for it
            self._leave()
            raise
        return self._handle.raw

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            if error is None or not is_interruption(error):
                self._pool.give_back(self._handle)
            else:
                self._pool.drop(self._handle)
        finally:
            self._leave()


class FilePool(DriverBase):
    """The connections of a driver to one file.

    Args:
        path: The database file.
        busy_timeout_s: How long to wait for other writers, in seconds.
        create: Create the file if it does not exist.
        leave_alone: Whether to write nothing into the folder.
    """

    path: str
    _own: _Own

    def __init__(
        self, path: str, busy_timeout_s: float, *, create: bool, leave_alone: bool
    ) -> None:
        super().__init__(path, _Own(), busy_timeout_s)
        self.file = DatabaseFile(path)
        self._opener = Opener(
            self.file, create=create, leave_alone=leave_alone, before_first=_close_replaced
        )
        self._handles: LiveSet[_Handle] = LiveSet()
        _pools.add(self)

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
        return {one.identity for raw in raws if raw is not None for one in raw.files}

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
        handle = self._any_handle()
        if is_to_write and handle.raw.in_transaction:
            handle = self._one_without_search(handle)
        try:
            # Before a read, one is enough to detect a program that closed all of them.
            self.file.check_held(handle.raw.files if is_to_write else handle.raw.files[:1])
        except BaseException:  # otherwise it could never be used again
            self.give_back(handle)
            raise
        return handle

    def _one_without_search(self, handle: _Handle) -> _Handle:
        """Return another connection of this thread, for writing."""
        searching = [handle]
        try:
            while (handle := self._any_handle()).raw.in_transaction:
                searching.append(handle)
            return handle
        finally:
            for one in searching:
                self.give_back(one)

    def _any_handle(self) -> _Handle:
        free = self._own.free
        if self.file.abandoned is not None:
            raise self.file.abandoned
        while not self._closed:
            try:
                handle = free.pop()
            except IndexError:
                return self._new_handle()
            if handle.pid != os.getpid():
                SQLiteConnection.left_by_fork.append(handle.raw)
            elif handle.is_taken():
                if handle.raw.in_transaction:
                    handle.raw.end_what_is_left()
                return handle
        raise StoreUnavailableError(
            f"The store {self.path} was closed.", hint="Open it again with: runstore.Store.open(…)"
        )

    def _new_handle(self) -> _Handle:
        handle = _Handle()
        # Before the file is checked, so that whoever opens one in its place waits for this one:
        # SQLite opens the log by its name, and would open that of the other file.
        self._handles.add(handle)
        try:
            handle.raw = self._connection()
        except BaseException:  # otherwise others would wait for it
            self._handles.discard(handle)
            raise
        _close_others(self)
        return handle

    def _connection(self) -> SQLiteConnection:
        connection = self._opener.connection(self.busy_timeout_s, self._kept)
        self._refusal = self._refusal or self._opener.refusal
        return connection

    def drop(self, handle: _Handle) -> None:
        """Close a connection whose use a signal handler interrupted.

        A statement that is not finished keeps its snapshot, and lives as long as the exception,
        which notebooks keep.
        """
        self._handles.discard(handle)
        if handle.pid == os.getpid():
            handle.raw.close()
        else:
            SQLiteConnection.left_by_fork.append(handle.raw)

    def give_back(self, handle: _Handle) -> None:
        """Return a taken connection, so that it can be used or closed."""
        if handle.pid != os.getpid():
            SQLiteConnection.left_by_fork.append(handle.raw)
            return
        handle.is_idle.append(None)
        self._own.free.append(handle)
        if self._closed and handle.is_taken():
            handle.raw.close()
            self._handles.discard(handle)

    def interrupt(self) -> None:
        """Interrupt running statements of all threads; each fails with a `StoreError`."""
        for handle in [*self._handles]:
            with suppress(sqlite3.Error, AttributeError):  # it was closed, or is not open yet
                handle.raw.interrupt()


# Databases with connections, unless more are in use at once.
_OPEN_AT_MOST = 16
# Those of this process.
_pools: LiveSet[FilePool] = LiveSet()


def files_in_use() -> set[tuple[int, int] | None]:
    """Return device and inode of the files of all open databases, and perhaps None.

    To close a descriptor of one, even once it was only read, releases the locks of this process.
    """
    opened = [one for one in _pools if one.is_open]
    held = {identity for one in opened for identity in one.held()}
    return held.union(one.file.identity for one in opened)


def _close_before_fork() -> None:
    for pool in list(_pools):
        pool.close_for_now()


def _after_fork_in_child() -> None:
    for pool in list(_pools):
        pool.after_fork()


before_each_fork(_close_before_fork)
os.register_at_fork(after_in_child=_after_fork_in_child)


def _close_others(pool: FilePool) -> None:
    """Close idle connections to other databases if there are many, as each has descriptors.

    Tests that record in a folder each use hundreds of databases, and never come back to one.
    """
    opened = [one for one in list(_pools) if one.is_open]
    if len(opened) > _OPEN_AT_MOST:
        for other in opened:
            if other is not pool and not other.is_searching:
                other.close_for_now()


def _close_replaced(path: str) -> None:
    """Close this process's connections to files that had this name before.

    Connections to the new file may get the same shared memory, and no lock keeps a process from
    clearing its own: SQLite's locks are per process.
    """
    for pool in list(_pools):
        if pool.path == path and pool.file.is_known and not pool.file.is_in_place:
            pool.close_replaced()
