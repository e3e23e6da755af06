"""Each error of SQLite becomes one of ours: what it means, what was kept, what to do next."""

import sqlite3

import pytest

from runstore.errors import (
    StoreCorruptError,
    StoreError,
    StoreLockedError,
    StoreReadOnlyError,
    StoreUnavailableError,
)
from runstore.storage.sqlite import meanings
from runstore.storage.sqlite.meanings import is_busy, is_full, is_refused, meaning_of

PATH = "/runs/runstore.db"
KEPT = "This run was not written."


def told(error):
    meaning = meaning_of(error, PATH, KEPT)
    return type(meaning), meaning.kept, str(meaning)


@pytest.mark.parametrize(
    ("error", "kind", "kept", "text"),
    [
        pytest.param(
            sqlite3.OperationalError("database or disk is full"),
            StoreUnavailableError, KEPT, "no space left for /runs/runstore.db",
            id="full",
        ),
        pytest.param(
            sqlite3.OperationalError("disk I/O error"),
            StoreUnavailableError, KEPT, "no space left",
            id="a full disk in the middle of a page",
        ),
        pytest.param(
            sqlite3.OperationalError("attempt to write a readonly database"),
            StoreReadOnlyError, "Nothing was changed; reading still works.",
            "The store at /runs cannot be written: attempt",
            id="readonly",
        ),
        pytest.param(
            sqlite3.OperationalError("the disk is read-only"),
            StoreReadOnlyError, "Nothing was changed; reading still works.",
            "cannot be written: the disk is read-only",
            id="read-only",
        ),
        pytest.param(
            sqlite3.OperationalError("unable to open database file"),
            StoreUnavailableError, "Nothing was changed.", "cannot be used: unable to open",
            id="not to be opened",
        ),
        pytest.param(
            sqlite3.DatabaseError("file is not a database"),
            StoreCorruptError, "It was not changed.", "not a run database, or it is damaged",
            id="of another kind",
        ),
        pytest.param(
            sqlite3.DataError("string or blob too big"),
            StoreCorruptError, "It was not changed.", "an unreadable value: string or blob",
            id="too long",
        ),
        pytest.param(
            sqlite3.OperationalError("Could not decode to UTF-8 column 'notes'"),
            StoreCorruptError, "It was not changed.", "an unreadable value: Could not decode",
            id="not a text",
        ),
        pytest.param(
            sqlite3.OperationalError("malformed JSON"),
            StoreCorruptError, "It was not changed.", "an unreadable value: malformed JSON",
            id="not JSON",
        ),
        pytest.param(
            sqlite3.DataError("number out of range"),
            StoreCorruptError, "It was not changed.", "an unreadable value: number",
            id="data of another kind",
        ),
        pytest.param(
            sqlite3.IntegrityError("UNIQUE constraint failed: runs.uid"),
            StoreError, KEPT, "/runs/runstore.db: UNIQUE constraint failed",
            id="a value that is there already",
        ),
        pytest.param(
            sqlite3.ProgrammingError("Cannot operate on a closed database."),
            StoreError, KEPT, "/runs/runstore.db: Cannot operate",
            id="a mistake of ours",
        ),
        pytest.param(
            sqlite3.InterfaceError("bad parameter or other API misuse"),
            StoreError, KEPT, "/runs/runstore.db: bad parameter",
            id="a mistake of the interface",
        ),
    ],
)  # fmt: skip
def test_an_error_has_one_meaning(error, kind, kept, text):
    found, said, whole = told(error)

    assert (found, said) == (kind, kept)
    assert text in whole


@pytest.mark.parametrize("text", ["database is locked", "database table is locked", "is busy"])
@pytest.mark.parametrize(
    ("has_locks", "kind", "said"),
    [
        (True, StoreLockedError, "Another program keeps /runs/runstore.db locked."),
        (False, StoreUnavailableError, "The disk of /runs/runstore.db has no locks for files."),
    ],
)
def test_a_lock_is_held_or_missing(monkeypatch, text, has_locks, kind, said):
    asked = []

    def has_no_locks(folder):
        asked.append(folder)
        return not has_locks

    monkeypatch.setattr(meanings, "has_no_locks", has_no_locks)

    found, kept, whole = told(sqlite3.OperationalError(text))

    assert (found, kept) == (kind, KEPT)
    assert said in whole
    assert asked == ["/runs"]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("database is locked", {"busy"}),
        ("the server is busy", {"busy"}),
        ("database or disk is full", {"full"}),
        ("disk I/O error", {"full"}),
        ("attempt to write a readonly database", {"refused"}),
        ("the disk is read-only", {"refused"}),
        ("unable to open database file", {"refused"}),
        ("no such table: runs", set()),
    ],
)
def test_some_errors_pass_or_have_another_way(text, kinds):
    error = sqlite3.OperationalError(text)
    found = {"busy": is_busy(error), "full": is_full(error), "refused": is_refused(error)}

    assert {kind for kind, is_it in found.items() if is_it} == kinds
