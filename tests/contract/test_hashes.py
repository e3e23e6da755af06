"""Stored values and edits that were changed afterwards are found, and named."""
# ruff: noqa: S608 - statements of this file

import contextlib
import re
import shutil
import sqlite3

import pytest

from runstore import Store
from runstore.maintenance.scrub import scrub, wanted
from runstore.model.facts import Facts
from runstore.storage.integrity.history import link_anew
from runstore.storage.migrations import known_migrations, migrate
from runstore.storage.sqlite.driver import SQLiteDriver


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    with Store.open(folder) as store:
        for place in range(2):
            with store.start("exp", params={"lr": place / 10}, capture=False) as run:
                for step in range(5000):
                    run.log({"loss": step / 7}, step=step)
                run.log(acc=-0.0, unknown=float("nan"))
        for text in ("first", "second", "third"):
            store.edit("exp#1", notes=text)
        store.tag("exp#1", {"keep": ""})
        store.edit("exp#2", notes="other")
        assert len(store.find("params.lr >= 0")) > 0  # whose rows are written with it
    return folder


@pytest.fixture
def folder(recorded, tmp_path):
    return shutil.copytree(recorded, tmp_path, dirs_exist_ok=True)


def change(folder, *statements):
    with contextlib.closing(sqlite3.connect(folder / "runstore.db")) as database, database:
        for statement in statements:
            database.execute(statement)


def damaged(folder):
    with Store.open(folder) as store:
        return [name for one in store.check(deep=True) if one.is_trouble for name in one.names]


def test_what_runstore_writes_fits_its_hashes(folder):
    with Store.open(folder) as store:
        store.undo("exp#1")
        store.move("exp#2", "else")
        run = store.resume("exp#1")
        run.log(loss=1.0)
        run.finish()
        assert store.verify().problems == ()
        assert store.verify().not_covered == 0

    assert damaged(folder) == []


# Of the second run: the points of its metric `loss`, with one byte changed.
_ONE_BYTE = "CAST(substr(chunk, 1, 40) || x'00' || substr(chunk, 42) AS BLOB)"
_LOSS = "WHERE run_id = 2 AND key_id = 1"


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (f"UPDATE metric_chunks SET chunk = {_ONE_BYTE} {_LOSS}", "loss: points"),
        (f"UPDATE metric_chunks SET chunk_index = chunk_index + 7 {_LOSS}", "loss: points"),
        (f"UPDATE metric_summaries SET max = 0.999 {_LOSS}", "loss: summary"),
        (f"UPDATE metric_summaries SET last = 'x' {_LOSS}", "loss: summary"),
        ("UPDATE params SET number = 9 WHERE run_id = 2", "parameter lr"),
        ("UPDATE param_values SET tree = '{\"lr\":9.5}' WHERE tree LIKE '%0.1%'", "parameters"),
    ],
    ids=["points", "order of points", "summary", "type", "parameter", "values"],
)
def test_a_changed_value_is_named_with_its_run(folder, statement, named):
    change(folder, statement)

    assert any(one.startswith("exp_2_") and one.endswith(named) for one in damaged(folder))
    assert not any(one.startswith("exp_1_") for one in damaged(folder))


def test_a_changed_captured_text_is_named(tmp_path):
    with Store.open(tmp_path) as store:
        uid = store.start("exp", capture=False).uid
        store.backend.database.attach_facts(uid, Facts(documents={"patch": "+ ours"}))
    assert damaged(tmp_path) == []
    change(tmp_path, "UPDATE documents SET body = '+ evil'")

    assert [one.endswith(": patch") for one in damaged(tmp_path)] == [True]


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE events SET new = 'forged' WHERE new = 'second'", "event 2, .* was altered"),
        ("UPDATE events SET author = 'boss' WHERE new = 'first'", "event 1, .* was altered"),
        ("DELETE FROM events WHERE new = 'second'", "event 2, .* between them was removed"),
        ("DELETE FROM events WHERE new = 'first'", "event 1, .* was removed"),
        ("DELETE FROM events WHERE field = 'tags.keep'", "after the remaining 3 were removed"),
        ("DELETE FROM events WHERE run_id = 1", "after the remaining 0 were removed"),
        (
            "INSERT INTO events (run_id, at, author, field, new) VALUES (1, 1, 'a', 'notes', 'x')",
            "event 5, .* was inserted",
        ),
        ("UPDATE runs SET notes = 'forged' WHERE id = 1", "differ from the last edit"),
        ("UPDATE events SET link = NULL WHERE run_id = 1", "event 1, .* its hash was removed"),
        ("UPDATE events SET run_id = 2 WHERE new = 'third'", "event 3, .* was removed"),
    ],
)
def test_the_first_event_that_is_not_as_it_was_is_named(folder, statement, told):
    change(folder, statement)

    with Store.open(folder) as store:
        problems = store.verify().problems

    (of_first,) = [one for one in problems if one.startswith("exp_1_")]
    assert re.search(told, of_first), problems


def test_a_run_that_is_removed_for_good_takes_its_history_along(folder):
    with Store.open(folder) as store:
        store.delete("exp#1")
        store.collect_garbage(older_than=0)
        assert store.verify() == (1, 0, ())


def test_edits_of_before_the_hashes_are_said_to_be_not_covered(tmp_path):
    path = tmp_path / "runstore.db"
    driver = SQLiteDriver(path)
    migrate(driver, known_migrations()[:8])
    driver.close()
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO experiments VALUES (1, 'exp', 1, 1)")
        database.execute(
            "INSERT INTO runs (uid, experiment_id, run_number, reference, timestamp, status,"
            " started_at, changed, params_hash)"
            " VALUES ('u1', 1, 1, 'exp_1_t', 't', 'complete', 1, 1, '')"
        )
        database.execute(
            "INSERT INTO events (run_id, at, author, field, new, operation)"
            " VALUES (1, 1, 'ada', 'notes', 'old', 'o')"
        )
    with Store.open(tmp_path) as store:
        store.edit("exp#1", notes="new")
        found = store.verify()
        kinds = {one.kind for one in store.check(deep=True)}

    assert (found.events, found.not_covered, found.problems) == (1, 1, ())
    assert "unchecked" in kinds
    assert not kinds & {"damaged", "dangling"}


def test_events_are_linked_anew_when_runstore_itself_changes_them(folder):
    change(folder, "UPDATE events SET new = 'masked' WHERE new = 'second'")
    with Store.open(folder) as store:
        with store.backend.database.driver.write() as connection:
            link_anew(connection, 1)
        assert store.verify().problems == ()


@pytest.mark.parametrize("was_forged", [False, True])
def test_a_history_is_as_trustworthy_after_scrubbing_as_before(folder, was_forged):
    with Store.open(folder) as store:
        store.start("exp", params={"key": "hunter2-hunter2"}, capture=False).finish()
        for text in ("hunter2-hunter2", "kept"):
            store.edit("exp#1", notes=text)
    if was_forged:
        change(folder, "UPDATE events SET author = 'boss' WHERE new = 'first'")

    with Store.open(folder) as store:
        scrub(store.backend, wanted(("hunter2-hunter2",)), is_dry=False)
        problems = store.verify().problems
        changed = [one.what for one in store.check(deep=True) if one.is_trouble]

    assert len(problems) == was_forged
    assert changed == ["the history of edits was changed"] * was_forged
