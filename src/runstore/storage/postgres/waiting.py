"""The runs that wait on this machine for their server: a store of their own, in a folder.

They have provisional numbers, which are too large for those of a server, and get numbers of the
server when they are delivered. `folder` is the folder on this machine of the store on the server.
This module needs no psycopg.
"""
# ruff: noqa: S608 - nothing but constants is put into a text

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from runstore.errors import (
    StoreCorruptError,
    StoreError,
    StoreUnavailableError,
    genuine,
    suppressed,
)
from runstore.model.facts import ProcessIdentity
from runstore.model.status import Status
from runstore.storage.database import Database
from runstore.storage.driver import Connection
from runstore.storage.files.locks import locked
from runstore.storage.rows import facts_from_text, now_micros
from runstore.storage.sqlite.paths import DATABASE, has_content
from runstore.storage.statements import EXPERIMENT_ID, NEWEST_CHANGE, NEXT_CHANGE
from runstore.user_warnings import warn

WAITING = "waiting"  # the name of its folder
# Held by programs that start runs, so that the store is not removed meanwhile.
STARTING = "waiting.lock"
_DAMAGED = "damaged.lock"  # held while a damaged store is renamed
_PATIENCE_S = 10.0
# The fact with the name of a parent that is on the server.
PARENT_NAME = "parent.name"
# Provisional numbers are times in microseconds: of 16 digits, until the year 2286.
LOWEST_NUMBER = 10**15
_FIRST_PAGE_BYTES = 4096  # of a database, with its mark; tables are on further pages
# In its folder: the server and the change up to which the server has all of it.
_MARK = "delivered"

_ACTIVE = ", ".join(f"'{one.value}'" for one in Status if not one.is_final)
UIDS_SINCE = f"""
    SELECT uid FROM runs WHERE purged_at IS NULL AND (changed > :change OR status IN ({_ACTIVE}))
    ORDER BY id
"""
AMOUNT = """
    SELECT (SELECT coalesce(sum(size_bytes), 0) FROM artifacts)
        + (SELECT coalesce(sum(size_bytes), 0) FROM outputs),
        (SELECT coalesce(sum(count), 0) FROM metric_summaries)
"""
NAMED_PARENTS = f"""
    SELECT uid, facts FROM runs WHERE purged_at IS NULL AND facts LIKE '%"{PARENT_NAME}"%'
"""
SET_PARENT = f"""
    UPDATE runs SET parent_uid = :parent_uid, changed = {NEXT_CHANGE}
    WHERE uid = :uid AND parent_uid IS NOT :parent_uid
"""
PROCESSES = f"""
    SELECT hostname, boot_id, pid, process_started, status IN ({_ACTIVE}),
        coalesce(ended_at, last_seen_at, started_at)
    FROM runs
"""
CHANGE_OF = "SELECT changed FROM runs WHERE uid = :uid"


class WaitingDatabase(Database):
    """The runs that wait; a new one gets a provisional number."""

    is_provisional = True

    @classmethod
    def opened(cls, folder: Path) -> closing[WaitingDatabase]:
        """Open the runs that wait for a server; they are closed on exit."""
        return closing(cls(folder / WAITING / DATABASE, create=False))

    def next_number(self, connection: Connection, experiment_name: str) -> tuple[int, int]:
        """Assign the next provisional number: the time in microseconds, or more."""
        now = now_micros()
        last = {"name": experiment_name, "number": max(now, LOWEST_NUMBER) - 1, "now": now}
        connection.execute(EXPERIMENT_ID, last).fetchone()
        return super().next_number(connection, experiment_name)

    def last_change(self) -> int:
        """Return the number of the last change."""
        return int(self.driver.fetch_one(NEWEST_CHANGE)[0])

    def change_of(self, uid: str) -> int:
        """Return the number of the last change of a run."""
        return int(self.driver.fetch_one(CHANGE_OF, {"uid": uid})[0])

    def amount(self) -> tuple[int, int]:
        """Return the number of bytes in files, and of metric points."""
        size, points = self.driver.fetch_one(AMOUNT)
        return int(size), int(points)

    def processes(self) -> list[tuple[ProcessIdentity, bool, int]]:
        """Return the process of each run, whether the run is active, and its last sign of life.

        The time is in microseconds since 1970.
        """
        rows = self.driver.fetch_all(PROCESSES)
        return [(ProcessIdentity(*row[:4]), bool(row[4]), row[5]) for row in rows]

    def named_parents(self) -> dict[str, str]:
        """Return the names of parents that only the server can look up, by uid of the run."""
        rows = self.driver.fetch_all(NAMED_PARENTS)
        return {uid: str(facts_from_text(text).values.get(PARENT_NAME)) for uid, text in rows}

    def set_parent(self, uid: str, parent_uid: str) -> None:
        """Set the parent of a run."""
        with self.driver.write() as connection:
            connection.execute(SET_PARENT, {"uid": uid, "parent_uid": parent_uid})

    def uids_since(self, change: int) -> list[str]:
        """Return the uids of active runs, and of those that changed after a change."""
        found = self.driver.fetch_all(UIDS_SINCE, {"change": change})
        return [row[0] for row in found]


@contextmanager
def kept_in_place(folder: Path) -> Iterator[None]:
    """Keep the waiting store in its place inside the block, in which a run is started there.

    Raises:
        StoreUnavailableError: The folder cannot be written.
    """
    try:
        with locked(folder / STARTING, is_shared=True, patience_s=_PATIENCE_S):
            yield
    except StoreError:
        raise
    except genuine(OSError) as error:
        raise StoreUnavailableError(f"{folder} cannot be written: {error.strerror}.") from error


def set_aside(folder: Path, check: Callable[[], None], error: StoreCorruptError) -> None:
    """Rename a damaged waiting store, so that runs can be recorded in a new one.

    `check` raises the error again, unless another program was faster.
    """
    with locked(folder / _DAMAGED, is_shared=False, patience_s=_PATIENCE_S):
        try:
            check()
        except StoreCorruptError:
            aside = folder / f"{WAITING}.damaged-{os.urandom(8).hex()}"
            (folder / WAITING).rename(aside)
            warn(f"{error.what} It was renamed to {aside}, and a new one was created.")


def is_waiting(folder: Path) -> bool:
    """Check whether runs may wait on this machine; quick enough for every opening."""
    database = folder / WAITING / DATABASE
    try:
        size = database.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return False
    except genuine(OSError):  # opening it reports the reason
        return True
    # A start that failed, because the disk was full, leaves a database without tables.
    return size > _FIRST_PAGE_BYTES or has_content(database.with_name(f"{DATABASE}-wal"))


def folders_of_others(folder: Path) -> list[Path]:
    """Return the folders on this machine of stores with other URLs."""
    with suppressed(OSError):  # the state folder cannot be written, and was not created
        return sorted(one for one in folder.parent.iterdir() if one != folder)
    return []


def delivered_change(place: Path, server: str | None = None) -> int:
    """Return the number of the change up to which all runs that waited are on their server.

    It is 0 if another server has them.
    """
    try:
        change, known = (place / _MARK).read_text(encoding="utf-8").split()
        return int(change) if server in {None, known} else 0
    except genuine(OSError, ValueError):
        return 0


def note_delivered(place: Path, change: int, server: str) -> None:
    """Note the change up to which the server has all runs; without the note, all are compared."""
    with suppressed(OSError):
        (place / _MARK).write_text(f"{change} {server}\n", encoding="utf-8")


def waiting_references(folder: Path) -> set[str]:
    """Return the provisional references of the runs that wait on this machine."""
    if is_waiting(folder):
        from runstore.storage.trash import Trash

        with suppress(StoreError), WaitingDatabase.opened(folder) as database:
            return Trash(database).every_reference()
    return set()


def count_waiting(folder: Path) -> int:
    """Return the number of runs that wait on this machine; see `is_waiting`."""
    if not is_waiting(folder):
        return 0
    # Otherwise, they were delivered just now, or are damaged.
    with suppress(StoreError), WaitingDatabase.opened(folder) as database:
        return len(database.uids_since(delivered_change(folder / WAITING)))
    return 0
