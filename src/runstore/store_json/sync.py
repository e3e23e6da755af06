"""Synchronisation of `store.json` and the database: import foreign changes, then write the file.

The database is authoritative. Changes by another program are found by comparing each block with
the file's previous contents; the result is written to the database, and from there to the file.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from runstore.errors import StoreError, StoreReadOnlyError, genuine
from runstore.model.block import block_from_run
from runstore.model.params.build import parameter_set
from runstore.storage.backend import STORE_JSON
from runstore.storage.blocks import BlockRow, BlockTable
from runstore.storage.database import PATIENCE_S
from runstore.store_json.block_text import CurrentEntry, Piece, patched_list, whole_list
from runstore.store_json.file import (
    FileChangedError,
    FileLock,
    Stamp,
    read_block_file,
    read_list,
    read_registry,
    set_aside,
    stamp_of,
    write_block_file,
)
from runstore.store_json.merge import BlockMerge, listed
from runstore.user_warnings import warn
from runstore.value_classes import NamedTuple

# With more changes, writing the whole list is faster than locating each block.
_PATCHES_AT_MOST = 200
_TRIES = 10


class _Written(NamedTuple):
    """The runs that changed between two change numbers, as written to the file."""

    after: int
    newest: int
    rows: Sequence[BlockRow]


class _OwnFiles(threading.local):
    """The files that this thread is writing, and whether a run changed meanwhile."""

    def __init__(self) -> None:
        self.has_more: dict[Path, bool] = {}


_own = _OwnFiles()


class BlockSync:
    """Keeps one `store.json` in sync with its database; safe to share between threads.

    Args:
        folder: The folder of the file.
        table: The runs.
        is_apart: Whether the database is elsewhere, so that it may be writable if the file is not.
        waiting: Returns the references of runs that wait on this machine for the database.
    """

    def __init__(
        self,
        folder: Path,
        table: BlockTable,
        *,
        is_apart: bool = False,
        waiting: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._is_apart = is_apart
        self._waiting = waiting
        self.folder = folder
        self.path = folder / STORE_JSON
        self.table = table
        self.lock = FileLock(self.path)
        self._written = _Written(0, 0, ())
        self._refused_at: int | None = None

    def is_current(self) -> bool:
        """Check whether the file is the one we wrote, and matches the database."""
        state = self._state()
        return state.get("changed") == self.table.newest_change() and _is_ours(
            state, stamp_of(self.path)
        )

    def is_foreign(self) -> bool:
        """Check whether another program wrote the file."""
        stamp = stamp_of(self.path)
        return stamp is not None and not _is_ours(self._state(), stamp)

    def is_of_another_database(self) -> bool:
        """Check whether the file was last written from another database."""
        wrote = self.lock.state().get("database")
        return wrote is not None and wrote != self.table.created_at()

    def _state(self) -> dict[str, Any]:
        """Return the state of the file; empty if it belongs to another database."""
        state = self.lock.state()
        return state if state.get("database") == self.table.created_at() else {}

    def bring_together(
        self,
        *,
        file_is_wanted: bool = False,
        has_changed: bool = False,
        patience_s: float | None = None,
    ) -> None:
        """Import foreign changes of the file, and write the file if it is not current.

        Args:
            file_is_wanted: Whether to write a list even if it has no runs.
            has_changed: Whether the file is known to be out of date.
            patience_s: How long to wait for another process, in seconds; None for a minute.

        Raises:
            StoreError: The folder or the database cannot be written, or is locked.
        """
        if self.path in _own.has_more:
            # Called by a signal handler or a finalizer that interrupts it, or during an import.
            _own.has_more[self.path] = True
            return
        _own.has_more[self.path] = True
        try:
            while _own.has_more[self.path]:
                _own.has_more[self.path] = False
                if self.table.database.is_writable and (has_changed or not self.is_current()):
                    with FileLock(self.path, patience_s=patience_s) as lock:
                        self._bring_together(lock, file_is_wanted=file_is_wanted)
                has_changed = False
        finally:
            del _own.has_more[self.path]

    def _bring_together(self, lock: FileLock, *, file_is_wanted: bool) -> None:
        for tries_left in reversed(range(_TRIES)):
            try:
                self._read_and_write(lock, file_is_wanted=file_is_wanted)
            except FileChangedError:
                # The new blocks are imported first.
                if not tries_left:
                    raise
            else:
                return

    def _read_and_write(self, lock: FileLock, *, file_is_wanted: bool) -> None:
        state, stamp = self._state(), stamp_of(self.path)
        if self._is_followed(lock, state, stamp):
            return
        if state.get("changed", 0) > self.table.newest_change():
            state = {}  # an older database was restored
        if stamp is not None and not _is_ours(state, stamp):
            state = self._take_in(state)
            is_same = state.pop("is_same", False)
            if is_same and stamp == stamp_of(self.path):
                state = {**state, **stamp._asdict()}
        self._write(lock, state, stamp, file_is_wanted=file_is_wanted)

    def write_anew_or_warn(self) -> None:
        """Rewrite the whole file without a run that the database never had.

        Change numbers do not show this, and the next run reuses the number.
        """
        try:
            with FileLock(self.path, patience_s=PATIENCE_S) as lock:
                stamp = stamp_of(self.path)
                if stamp is not None and _is_ours(self._state(), stamp):
                    self._write(lock, stamp._asdict(), stamp)
        except genuine(OSError) as error:
            warn(f"{self.path} was not updated: {error}")

    def take_in_or_warn(self) -> None:
        """Import changes of another program, before a change of our own.

        An unreadable file (a folder in its place, no permission) does not fail a run.

        Raises:
            StoreError: The database cannot be written, or is locked.
        """
        if not self.is_foreign():
            return
        try:
            self.bring_together()
        except StoreError:
            raise
        except genuine(OSError) as error:
            warn(
                f"{self.path} could not be read: {error}. Runs are recorded in the database only."
            )

    def write_or_warn(self, *, file_is_wanted: bool = False, has_changed: bool = False) -> None:
        """Synchronise file and database after a change, which is already safe in the database."""
        try:
            self.bring_together(file_is_wanted=file_is_wanted, has_changed=has_changed)
        except genuine(StoreError, OSError, MemoryError) as error:
            if isinstance(error, StoreReadOnlyError) and not self._is_apart:
                raise
            place = "" if self._is_apart else " beside it"
            why = getattr(error, "strerror", None) or str(error).rstrip(".") or "out of memory"
            warn(
                f"{self.path} could not be written: {why}. The run is kept in the"
                f" database{place}; the file will be updated when the store is next opened."
            )

    def follow(self) -> None:
        """Update the file after a transaction if a run changed; does not raise."""
        if self.path in _own.has_more:
            _own.has_more[self.path] = True
            return
        newest = None
        try:
            # Points and facts change no block.
            if not self.table.has_changed_since(self._state().get("changed", -1)):
                return
            newest = self.table.newest_change()
            if newest != self._refused_at:
                self.bring_together(has_changed=True, patience_s=PATIENCE_S)
                self._refused_at = None
        except genuine(OSError, MemoryError) as error:
            self._refused_at = newest  # retried with the next change
            # It may be closed while a thread is still writing.
            if not self.table.database.driver.is_closed:
                warn(f"{self.path} was not updated: {error}")

    def _take_in(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Import the file, and return its new state."""
        found = read_block_file(self.path)
        if found is None:
            return {}
        if found.problems:
            aside = set_aside(self.path)
            warn(
                f"{self.path} is damaged; it was kept as {aside.name}, and rewritten from the"
                f" known runs. {_told(found.problems)}"
            )
        # They are delivered with all their data.
        waiting = self._waiting()
        blocks = [one for one in found.blocks if one.get("reference") not in waiting]
        shown = state.get("changed")
        # Runs missing in a damaged file were not removed by anybody.
        base = shown if isinstance(shown, int) and not found.problems else None
        taken = BlockMerge(self.table, base=base, seen_at=_changed_at(self.path)).take(
            blocks, trees_of(self.folder), self.folder
        )
        if taken.is_news:
            warn(f"{self.path} was changed by another program; imported: {taken.told()}.")
        if taken.left_out:
            warn(
                f"{self.path} no longer shows {listed(taken.left_out)}; the runs are kept,"
                " and the file shows them again. To delete runs: runstore rm."
            )
        is_same = taken.is_same and len(blocks) == len(found.blocks) and not found.problems
        return {"changed": taken.newest, "last_id": taken.last_id, "is_same": is_same}

    def _is_followed(self, lock: FileLock, state: Mapping[str, Any], stamp: Stamp | None) -> bool:
        """Write recent changes to our own file in place; return False if that is impossible."""
        known: int = state.get("changed", 0)
        last_id: int | None = state.get("last_id")
        if known <= 0 or last_id is None or not _is_ours(state, stamp):
            return False
        newest, rows = self.table.since(known)
        if newest < known or not rows:
            return newest == known
        pieces = self._patched(rows, last_id)
        if pieces is None:
            return False
        last_id = max(last_id, rows[-1].id if rows else 0)
        self._written = _Written(known, newest, rows)
        written = write_block_file(self.path, pieces, stamp)
        self._remember(lock, {**written._asdict(), "changed": newest, "last_id": last_id})
        return True

    def _write(
        self,
        lock: FileLock,
        state: Mapping[str, Any],
        stamp: Stamp | None,
        *,
        file_is_wanted: bool = False,
    ) -> None:
        """Write the whole file from the database if it is not current; the lock must be held."""
        known = state.get("changed") if _is_ours(state, stamp) else None
        if isinstance(known, int) and not self.table.has_changed_since(known):
            self._remember(lock, state)
            return
        # Read before the rows: a change in between is written twice, not lost.
        changed = self.table.newest_change()
        rows = self.table.rows()
        if not rows and stamp is None and not file_is_wanted:
            return  # nothing was ever recorded: leave no file behind
        last_id = max((row.id for row in rows), default=0)
        pieces = whole_list(block_from_run(row.run) for row in rows)
        written = write_block_file(self.path, pieces, stamp)
        self._remember(lock, {**written._asdict(), "changed": changed, "last_id": last_id})

    def _remember(self, lock: FileLock, state: Mapping[str, Any]) -> None:
        lock.remember({**state, "database": self.table.created_at()})

    def news(self, after: int) -> tuple[int, Sequence[BlockRow]]:
        """Return the runs that changed after a change, and the number of the last change.

        If the file was just written, the rows written are reused.
        """
        last = self._written
        if last.after <= after < last.newest:
            return last.newest, [row for row in last.rows if row.changed > after]
        return self.table.since(after)

    def _patched(self, rows: Sequence[BlockRow], last_id: int) -> list[Piece] | None:
        if len(rows) > _PATCHES_AT_MOST or any(row.is_deleted for row in rows):
            return None
        changes = [CurrentEntry(row.block, is_new=row.id > last_id) for row in rows]
        try:
            return patched_list(read_list(self.path), changes)
        except FileNotFoundError:
            return None


def _is_ours(state: Mapping[str, Any], stamp: Stamp | None) -> bool:
    told = state.get("size"), state.get("mtime_ns"), state.get("inode")
    return stamp is not None and stamp == told


def _changed_at(path: Path) -> int:
    stamp = stamp_of(path)
    return stamp.mtime_ns // 1000 if stamp else time.time_ns() // 1000


def trees_of(folder: Path, hashes: Collection[str] | None = None) -> dict[str, str]:
    """Return the values of parameter sets in the registry beside the file; of all by default."""
    trees: dict[str, str] = {}
    for digest, (name, values) in read_registry(folder).items():
        if hashes is not None and digest not in hashes:
            continue
        tree = parameter_set(values, name=name or None).tree
        if tree is not None:
            trees[digest] = tree
    return trees


def _told(problems: Iterable[str], at_most: int = 5) -> str:
    told = list(problems)
    more = f" And {len(told) - at_most} more." if len(told) > at_most else ""
    return " ".join(told[:at_most]) + more
