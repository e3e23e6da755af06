"""What a process asks of the database when it opens a store and starts its first run."""

import os
import sqlite3

import pytest

from runstore import Store
from runstore.storage.sqlite import opening


@pytest.fixture
def statements(monkeypatch):
    """Return the list of statements that are executed from now on."""
    executed = []

    class Traced(opening.SQLiteConnection):
        def execute(self, sql, parameters=()):
            executed.append(" ".join(sql.split()))
            return sqlite3.Connection.execute(self, sql, parameters)

    monkeypatch.setattr(opening, "SQLiteConnection", Traced)
    return executed


@pytest.fixture
def home_place(tmp_path, monkeypatch):
    """Return the place of another store in the user's folder for files in flight."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    place = tmp_path / "state" / "runstore" / "spool" / "of-another-store"
    place.mkdir(parents=True)
    return place


def test_files_in_flight_of_other_stores_cost_one_question(tmp_path, home_place, statements):
    with Store.open(tmp_path / "store"):
        pass
    statements.clear()
    with Store.open(tmp_path / "store"):
        alone = len(statements)
    for number in range(400):
        (home_place / f"uid-{number}.1.points").touch()
    statements.clear()

    with Store.open(tmp_path / "store"):
        beside = len(statements)

    assert beside == alone + 1


def test_a_new_store_is_created_in_one_transaction(tmp_path, statements):
    with Store.open(tmp_path / "store"):
        pass

    assert statements.count("COMMIT") == 1
    assert "ROLLBACK" not in statements


def test_a_file_in_flight_with_an_undecodable_name_is_no_obstacle(tmp_path, home_place):
    open(os.path.join(os.fsencode(home_place), b"\xff.1.points"), "wb").close()  # noqa: PTH118, PTH123 - bytes

    with Store.open(tmp_path / "store") as store, store.start("a") as run:
        pass

    assert store.path.exists()
    assert run.status.is_final
