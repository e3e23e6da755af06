"""Parameters whose rows wait to be written are found all the same, whoever searches."""

import math
import sqlite3
from contextlib import ExitStack, closing
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import strategies
from runstore import Store
from runstore.model.params.build import parameter_set
from runstore.model.params.flatten import is_plain
from runstore.model.query.tree import Namespace
from runstore.model.status import Status
from runstore.recording.recorder import Recorder
from runstore.storage.indexes import params as param_index
from runstore.storage.indexes.params import (
    EVERY_RUNS,
    IS_ANY_WAITING,
    WAITING_AT_MOST,
    index_params,
    indexed_params,
)
from runstore.storage.prior_runs import EarlierRuns
from runstore.storage.query.names import StoredNames
from runstore.storage.query.newest import NewestRuns
from runstore.storage.sqlite.paths import DATABASE

FRAME_HEAD_BYTES = 24
PARAMS = {f"p{n}": n * 0.5 for n in range(10)}
# Each way to search by parameters, and what it finds of runs whose `lr` are 0, 1, 2 …
WAYS = {
    "filter": lambda store: len(store.find("params.lr >= 0", limit=None)),
    "negation": lambda store: len(store.find("not params.lr < 0", limit=None)),
    "order": lambda store: len(
        [run for run in store.find("order by params.lr desc", limit=None) if run.params]
    ),
    "group": lambda store: len(store.group("params.lr")),
    "set": lambda store: len(store.find("params.lr >= 0 and params.p1 = 0.5", limit=None)),
}


PLAIN_VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**16), 10**16)
    | st.floats()
    | st.text("a0.,:[]{}$'\"\\ é\n", max_size=4)
)
PLAIN_SETS = st.dictionaries(st.text('ab_1.$[: "\\é\n', max_size=3), PLAIN_VALUES, max_size=4)
WITHOUT_ROWS = """
    SELECT count(*) FROM run_params s WHERE NOT EXISTS (
        SELECT 1 FROM params p WHERE p.run_id = s.run_id AND p.set_index = s.set_index
    )
"""


def waiting(store):
    """Return how many parameter sets have no rows yet."""
    with closing(sqlite3.connect(store.path / DATABASE)) as database:
        return database.execute(WITHOUT_ROWS).fetchone()[0]


def rows_of(store, run):
    """Return what another program reads of a run's parameters."""
    statement = "SELECT key, number, text, value FROM params_flat WHERE reference = ? ORDER BY key"
    with closing(sqlite3.connect(store.path / DATABASE)) as database:
        return database.execute(statement, (run.reference,)).fetchall()


def rounded(rows):
    """Return rows without the last digit of numbers, which some builds of SQLite read wrong."""
    return {
        (key, None if number is None else f"{number:.14e}", *more) for key, number, *more in rows
    }


def record(store, count, begin=0):
    for n in range(begin, begin + count):
        store.start("bert", params={"lr": n, **PARAMS}, capture=False).finish()


@pytest.mark.parametrize("way", WAYS)
def test_a_search_finds_what_waits(store, way):
    record(store, 5)
    assert waiting(store) > 0

    assert WAYS[way](store) == 5

    assert waiting(store) == 0
    record(store, 2, begin=5)
    assert WAYS[way](store) == 7


@pytest.mark.parametrize("way", WAYS)
def test_a_store_that_cannot_be_written_finds_what_waits(store, monkeypatch, way):
    record(store, 3)
    assert WAYS[way](store) == 3
    record(store, 3, begin=3)
    with closing(sqlite3.connect(store.path / DATABASE)) as other:
        monkeypatch.setattr(param_index, "_PATIENCE_S", 0.0)
        other.execute("BEGIN IMMEDIATE")  # whoever writes for long

        assert WAYS[way](store) == 6

    assert waiting(store) > 0
    record(store, 1, begin=6)
    assert WAYS[way](store) == 7
    assert waiting(store) == 0


def test_names_that_wait_are_known(store):
    record(store, 2)

    assert "p3" in StoredNames(store.backend.database.driver).every(Namespace.PARAM)


def test_similar_runs_are_found_by_values_that_wait(store):
    store.start("bert", params={"odd": 12345, **PARAMS}, capture=False).finish()
    record(store, 3)
    sought = parameter_set({"odd": 12345, "lr": 100})

    found = EarlierRuns(store.backend.database).candidates("bert", (sought,), limit=1)

    assert sorted(one.id for one in found) == [1, 4]  # one that shares a value, and the newest


def test_starts_put_into_the_index_what_waits(store):
    record(store, EVERY_RUNS - 1)
    assert waiting(store) > 0

    record(store, 1)
    assert waiting(store) == 0

    record(store, EVERY_RUNS - 1)
    assert waiting(store) > 0
    record(store, 1)
    assert waiting(store) == 0


def test_parameters_of_large_runs_do_not_wait(store):
    store.start("large", params={"text": "x" * WAITING_AT_MOST}, capture=False)

    assert waiting(store) == 0


@pytest.mark.parametrize(
    "value", [[1, 2], {"a": 1}, "two\nlines", 2**60, math.inf, date(2026, 1, 2), "\ud800", "ü"]
)
def test_values_that_sql_may_read_otherwise_do_not_wait(store, value):
    store.start("odd", params={"lr": 0.1, "value": value}, capture=False)

    assert waiting(store) == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(strategies.parameter_mappings | PLAIN_SETS)
def test_other_programs_read_the_same_at_any_moment(store, values):
    run = store.start("bert", params=values, capture=False)
    run.finish()

    before = rows_of(store, run)
    with store.backend.database.driver.write() as connection:
        index_params(connection)

    assert rounded(rows_of(store, run)) == rounded(before)
    assert rounded(row[:3] for row in before) == rounded(parameter_set(values).flat())


@settings(max_examples=settings().max_examples * 4, deadline=None)
@given(PLAIN_SETS)
def test_sql_takes_plain_sets_apart_as_python_does(values):
    one = parameter_set(values)
    if not is_plain(one.tree):
        return
    texts = {"true": "true", "false": "false"}

    with closing(sqlite3.connect(":memory:")) as database:
        found = database.execute("SELECT key, value, type FROM json_each(?)", (one.tree,))
        read = {
            (key, None, value) if kind == "text" else (key, value, texts.get(kind))
            for key, value, kind in found
        }

    assert rounded(read) == rounded(one.flat())


def test_a_parameter_without_a_value_has_none(store):
    run = store.start("bert", params={"seed": None}, capture=False)

    assert rows_of(store, run) == [("seed", None, None, None)]


@pytest.mark.parametrize("tree", ["X'FFFE'", "X'7B226C72223A'", "X'37'", "X'00'"])
def test_values_that_cannot_be_read_stop_neither_starts_nor_searches(store, tree):
    record(store, 2)
    with closing(sqlite3.connect(store.path / DATABASE)) as database, database:
        database.execute(
            f"UPDATE param_values SET tree = CAST({tree} AS TEXT)"  # noqa: S608 - a constant
            " WHERE tree_key = (SELECT min(tree_key) FROM param_values)"
        )

    assert len(store.find("params.lr >= 0")) == 1
    record(store, EVERY_RUNS, begin=2)
    assert len(store.find("params.lr >= 0", limit=None)) == 1 + EVERY_RUNS
    assert any("index" in found.what for found in store.check())


def test_edits_of_runs_are_found(store):
    run = store.start("bert", params={"lr": 1}, capture=False)
    assert len(store.find("params.lr = 1")) == 1

    run.add_params(seed=7)

    assert len(store.find("params.seed = 7 and params.lr = 1")) == 1
    run.finish()


def test_the_row_of_a_start_that_was_undone_is_given_again(store):
    record(store, 2)
    assert len(store.find("params.lr >= 0")) == 2
    undone = store.start("bert", params={"lr": 9}, capture=False)
    assert len(store.find("params.lr = 9")) == 1
    store.backend.part(Recorder).withdraw(undone.uid)
    undone.execution.take_status(Status.INTERRUPTED)

    record(store, 1, begin=3)

    assert len(store.find("params.lr = 3")) == 1


def test_a_start_touches_no_page_for_each_parameter(store):
    """Each page that a start writes is a frame of the log; with the index they were 24 or more."""
    record(store, EVERY_RUNS)
    with store.backend.database.driver.read() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]

    run = store.start("bert", params={"lr": 1000, **PARAMS}, capture=False)

    frames = (store.path / f"{DATABASE}-wal").stat().st_size // (page_bytes + FRAME_HEAD_BYTES)
    assert 0 < frames < 20
    run.finish()


@pytest.mark.parametrize(
    "damage", ["UPDATE params SET indexed = NULL WHERE run_id = 1", "DELETE FROM params"]
)
def test_doctor_names_what_the_index_lacks(store, damage):
    record(store, 2)
    with store.backend.database.driver.write() as connection:
        index_params(connection)
        connection.execute(damage)
    with store.backend.database.driver.read() as connection:
        assert connection.execute(IS_ANY_WAITING).fetchone() is None

    assert any("index" in found.what for found in store.check())


def test_a_run_that_starts_meanwhile_is_in_no_group_without_its_value(store, monkeypatch):
    """A search sees one moment: a run and its parameters, or neither."""
    record(store, 2)
    with Store.open(store.path) as other:
        begin = param_index._is_indexed_now

        def and_then_another_starts(driver):
            is_indexed = begin(driver)
            record(other, 1, begin=2)
            return is_indexed

        monkeypatch.setattr(param_index, "_is_indexed_now", and_then_another_starts)

        groups = store.group("params.lr")

    assert [one.value for one in groups if one.value is None] == []


def test_who_interrupts_a_search_can_write_and_search(store, monkeypatch):
    """A signal handler or a finalizer comes while the search has one moment open."""
    record(store, 2)
    interrupted = []

    def interrupting(self, limit, place, original=NewestRuns.ids):
        if not interrupted:
            interrupted.append(None)
            record(store, 1, begin=2)
            interrupted.append(len(store.find("params.lr >= 0")))
        return original(self, limit, place)

    monkeypatch.setattr(NewestRuns, "ids", interrupting)

    found = store.find("params.lr >= 0")

    assert len(found) in {2, 3}  # as of its moment, or of what was written since
    assert interrupted[1] in {2, 3}
    assert len(store.find("params.lr >= 0")) == 3


@pytest.mark.folder_only
def test_a_search_keeps_its_snapshot_while_other_stores_are_opened(store, tmp_path):
    """Idle connections are closed if there are many, but not one that a search comes back to."""
    driver = store.backend.database.driver
    with ExitStack() as others, indexed_params(driver):
        for number in range(20):
            others.enter_context(Store.open(tmp_path / str(number)))
        with driver.read() as connection:
            assert connection.in_transaction
