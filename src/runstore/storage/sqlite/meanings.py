"""Errors of SQLite: what they mean for users."""

from __future__ import annotations

import os
import sqlite3
from os.path import dirname

from runstore.errors import (
    StoreCorruptError,
    StoreError,
    StoreLockedError,
    StoreReadOnlyError,
    StoreUnavailableError,
)
from runstore.storage.files.locks import has_no_locks

# If SQLite quotes a damaged schema that is no text, Python cannot decode its message.
DAMAGED_SCHEMA = "malformed database schema"


def meaning_of(error: sqlite3.Error, path: str, kept: str) -> StoreError:
    """Return our own error with the meaning of this one for users.

    Args:
        error: An error of SQLite.
        path: The database.
        kept: What is said about data that were not written.
    """
    if isinstance(error, sqlite3.DataError) or _is_unreadable(error):
        return unreadable(path, str(error))
    return _locked(path, kept) if is_busy(error) else _failure(error, path, kept)


def _failure(error: sqlite3.Error, path: str, kept: str) -> StoreError:
    text = str(error) or DAMAGED_SCHEMA  # Python 3.10 leaves out what it cannot decode
    if is_full(error):
        return StoreUnavailableError(
            f"There is no space left for {path}: {text}.",
            kept=kept,
            hint="Free some space, then try again.",
        )
    if "readonly" in text or "read-only" in text:
        return unwritable(path, text)
    if isinstance(error, sqlite3.OperationalError):
        return StoreUnavailableError(
            f"The store at {path} cannot be used: {text}.",
            kept="Nothing was changed.",
            hint="Check that the folder exists and is writable.",
        )
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, (sqlite3.IntegrityError, sqlite3.ProgrammingError)
    ):
        return StoreCorruptError(
            f"{path} is not a run database, or it is damaged: {text}.",
            kept="It was not changed.",
            hint="Move the file aside to start afresh; its data may be recoverable.",
        )
    return StoreError(f"{path}: {text}.", kept=kept)


def unreadable(path: str, why: str) -> StoreCorruptError:
    """Return the error for a value that cannot be read."""
    return StoreCorruptError(
        f"{path} contains an unreadable value: {why}.",
        kept="It was not changed.",
        hint="To find the run: runstore doctor",
    )


def unwritable(path: str, why: object) -> StoreReadOnlyError:
    """Return the error for a database that can only be read."""
    return StoreReadOnlyError(
        f"The store at {dirname(path)} cannot be written: {why}.",
        kept="Nothing was changed; reading still works.",
        hint="Check the permissions of the folder, or choose another store.",
    )


def lacks_locks(path: str) -> bool:
    """Check whether the disk of a database has no locks, which SQLite reports as held ones."""
    return has_no_locks(dirname(os.path.realpath(path)))


def _locked(path: str, kept: str) -> StoreError:
    if lacks_locks(path):
        return StoreUnavailableError(
            f"The disk of {path} has no locks for files.",
            kept=kept,
            hint="Mount it with locks, or choose a store on another disk.",
        )
    return StoreLockedError(
        f"Another program keeps {path} locked.",
        kept=kept,
        hint="Stop the program that holds the lock, then try again.",
    )


def is_busy(error: sqlite3.Error) -> bool:
    """Check whether another connection keeps the database locked."""
    return "locked" in str(error) or "busy" in str(error)


def is_full(error: sqlite3.Error) -> bool:
    """Check whether a write failed because of the disk, which SQLite reports in two ways."""
    return "full" in str(error) or "disk I/O" in str(error)


def _is_unreadable(error: sqlite3.Error) -> bool:
    """Check whether a value is too long to be read, or an invalid text."""
    return "too big" in str(error) or "decode" in str(error) or "malformed JSON" in str(error)


def is_refused(error: sqlite3.Error) -> bool:
    """Check whether the error may be caused by missing write permission."""
    text = str(error)
    return "readonly" in text or "read-only" in text or "unable to open" in text
