"""A database of another program is not changed, and one of ours is known by its mark."""

import sqlite3
import sys
from contextlib import closing

import pytest

from runstore import Store
from runstore.errors import StoreCorruptError, StoreUnavailableError
from runstore.storage.sqlite.opening import Opener

OURS = 0x72756E73  # "runs"


def make(path, *statements):
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)


def mark_of(path):
    with closing(sqlite3.connect(path)) as database:
        return database.execute("PRAGMA application_id").fetchone()[0]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runstore.db"


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE notes (id)"],
        ["CREATE TABLE runs (id)"],
        ["CREATE TABLE schema_migrations (id)"],
        ["PRAGMA application_id=7"],
        [
            "CREATE TABLE runs (id)",
            "CREATE TABLE schema_migrations (id)",
            "PRAGMA application_id=7",
        ],
    ],
)
def test_a_database_of_another_program_is_refused_and_not_changed(path, statements):
    make(path, *statements)
    before = path.read_bytes()

    with pytest.raises(StoreCorruptError, match="is a database of another program"):
        Store.open(path.parent)

    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_damaged_schema_is_reported_although_it_is_no_text(path):
    """SQLite quotes it in its message, which Python then cannot decode."""
    Store.open(path.parent).close()
    damaged = path.read_bytes().replace(b"TABLE", b"\xd4ABLE")
    path.write_bytes(damaged)

    with pytest.raises(StoreCorruptError, match="damaged: malformed database schema"):
        Store.open(path.parent)

    assert path.read_bytes() == damaged


def test_a_new_store_is_marked_as_ours(path):
    Store.open(path.parent).close()

    assert mark_of(path) == OURS


def test_a_database_without_any_table_becomes_a_store(path):
    make(path, "PRAGMA user_version=1")  # writes the header

    with Store.open(path.parent) as store:
        store.start("fit", capture=False).finish()

    assert mark_of(path) == OURS


def test_a_store_without_the_mark_is_opened_and_marked(path):
    """Early releases did not mark stores on network disks."""
    with Store.open(path.parent) as store:
        store.start("fit", capture=False).finish()
    make(path, "PRAGMA application_id=0")

    with Store.open(path.parent) as store:
        assert store.get("fit#1").run_number == 1

    assert mark_of(path) == OURS


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE notes (id)"],
        ["CREATE TABLE schema_migrations (id)", "PRAGMA application_id=7"],
    ],
)
def test_a_link_to_a_database_of_another_program_is_refused(path, tmp_path, statements):
    other = tmp_path / "other.db"
    make(other, *statements)
    path.symlink_to(other)
    before = other.read_bytes()

    with pytest.raises(StoreUnavailableError, match="is not a run database"):
        Store.open(path.parent)

    assert other.read_bytes() == before


@pytest.mark.parametrize("mark", [OURS, 0])
def test_a_link_to_a_store_is_followed(path, tmp_path, mark):
    with Store.open(tmp_path / "store") as store:
        store.start("fit", capture=False).finish()
    make(tmp_path / "store" / "runstore.db", f"PRAGMA application_id={mark}")
    path.symlink_to(tmp_path / "store" / "runstore.db")

    with Store.open(path.parent) as store:
        assert store.get("fit#1").run_number == 1


def test_the_owner_is_asked_for_once(path, monkeypatch):
    """Not with each connection of each thread."""
    with Store.open(path.parent) as store:
        asked = []
        monkeypatch.setattr(Opener, "_check_owner", lambda *_: asked.append(1))
        store.backend.database.driver.close_for_now()
        assert len(store.list()) == 0

    assert asked == []


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python cannot limit them")
def test_a_value_that_is_read_cannot_fill_the_memory(path):
    """But data of a run is never refused for its length."""
    with Store.open(path.parent) as store:
        driver = store.backend.database.driver
        with driver.read() as connection:
            read = connection.getlimit(sqlite3.SQLITE_LIMIT_LENGTH)
        with driver.write() as connection:
            written = connection.getlimit(sqlite3.SQLITE_LIMIT_LENGTH)

    assert (read, written) == (64 << 20, 1_000_000_000)
