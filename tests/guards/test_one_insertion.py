"""Runs get into the database in one place, whoever records them."""

from pathlib import Path

import runstore
from runstore import Store
from runstore.storage.new_runs import RunCells, insertion
from runstore.storage.postgres.functions import FUNCTIONS

SOURCE = Path(runstore.__file__).parent


def test_one_statement_inserts_runs():
    found = [
        (path.name, path.read_text().count("INSERT INTO runs "))
        for path in SOURCE.rglob("*.py")
        if "migrations" not in path.parts and "INSERT INTO runs " in path.read_text()
    ]

    # A function of PostgreSQL starts a run in one round trip.
    assert sorted(found) == [("functions.py", 1), ("new_runs.py", 1)]
    assert insertion((True, False, True)).startswith("INSERT INTO runs (uid, run_number, changed)")


def test_a_start_on_a_server_fills_the_same_columns():
    text = next(one for one in FUNCTIONS if "FUNCTION start_run" in one)
    columns = text.partition("INSERT INTO runs AS r (")[2].partition(")")[0]

    at_the_start = len(RunCells._fields) - len(RunCells._field_defaults)
    assert {one.strip() for one in columns.split(",")} == {
        *RunCells._fields[:at_the_start],
        "changed",
    }


def test_its_cells_are_columns_of_the_table(tmp_path):
    with Store.open(tmp_path) as store, store.backend.database.driver.read() as connection:
        info = connection.execute("PRAGMA table_info(runs)").fetchall()

    columns = {row[1] for row in info}
    filled_later = {"id", "changed", "deleted_at", "purged_at", "facts_filed", "last_link"}
    assert columns - filled_later == set(RunCells._fields)
