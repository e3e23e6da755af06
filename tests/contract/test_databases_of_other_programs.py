"""A database of another program is not changed, and one of ours is known by its mark."""

import sqlite3
from contextlib import closing

import pytest

from runstore import Store
from runstore.errors import StoreCorruptError

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


def test_the_owner_is_asked_for_once(path, monkeypatch):
    """Not with each connection of each thread."""
    with Store.open(path.parent) as store:
        driver, asked = store.backend.database.driver, []
        monkeypatch.setattr(type(driver), "_check_owner", lambda *_: asked.append(1))
        driver.close_for_now()
        assert len(store.list()) == 0

    assert asked == []
