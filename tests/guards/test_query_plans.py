"""Cost is flat: no statement walks through all runs, whatever the store holds."""
# ruff: noqa: S608 - statements are made of constants of this file

import sqlite3

import pytest

from runstore import Store
from runstore.storage import artifacts, blocks, edits, moves, statements, trash
from runstore.storage import prior_runs as earlier
from runstore.storage.fulltext import candidates as text_candidates
from runstore.storage.fulltext import index as search_index
from runstore.storage.fulltext import run_texts
from runstore.storage.fulltext.index_file import make_anew
from runstore.storage.indexes import facts as fact_index
from runstore.storage.integrity import references
from runstore.storage.metrics import many_series
from runstore.storage.metrics import table as metrics
from runstore.storage.query import packages
from runstore.storage.sqlite.paths import DATABASE
from runstore.storage.transfer import candidates as to_transfer
from runstore.storage.transfer import points as copied_points
from runstore.storage.transfer import records, writing

# One row per experiment: a list of experiments is as long as what it shows.
LISTS_EXPERIMENTS = {"EXPERIMENTS", "EXPERIMENT_NAMES", "LAST_RUN_NUMBERS"}
# ManagerStore shows every run as a list of dictionaries: that is its promise.
SHOWS_ALL_RUNS = {"KEPT_ROWS", "KEPT_IDS"}
# Cleaning up, looking a store over and transferring all of it read all runs: that is their work.
LOOKS_AT_ALL = {"REFERENCES", "SIZED_REFERENCES", "EVERY_REFERENCE", "COUNT_TO_TRANSFER"}
# They put what they found by an index in order: runs of one number or one alias, the newest
# thousand, a page's parameter sets.
SORTS_A_FEW = {
    "RUNS_BY_ALIAS",
    "RUNS_BY_ALIAS_PREFIX",
    "RUNS_BY_NUMBER",
    "NEWEST_RUNS_OF_EXPERIMENT",
    "RECENT_REFERENCES",
    "RECENT_RUNS_BY_PREFIX",
    "ROWS_BY_ALIAS",
    "READERS_OF_RUN",
    "SAVED_BY",
    "SETS_OF_RUNS",
    "DONE_RUNS",
    "UNFINISHED_LIKE_IT",
    "CONTENTS_OF_RUN",
    "USERS_OF_CONTENTS",
    "SHARING_PLACE",
}


# Some rows that another part of the statement found by an index.
def is_list(step):
    """Return whether a step reads a list that was asked for."""
    return "json_each" in step or step.startswith("SCAN texts ")


FOUND_BEFORE = {"SCAN CONSTANT ROW", "SCAN n", "SCAN c", "SCAN i", "SCAN lists"} | {
    "SCAN j VIRTUAL TABLE INDEX 1:",  # a list of runs that was asked for
    "SCAN texts VIRTUAL TABLE INDEX 1:",
    "SCAN sqlite_schema",  # of tables and views, which are few
}


class AnyValue(dict):
    """A value for whatever parameter a statement has."""

    def __missing__(self, key):
        return 1


def statements_of(module):
    for name, text in vars(module).items():
        words = text.split(None, 2) if isinstance(text, str) else []
        # A name with an underscore is a part of other statements.
        is_whole = len(words) > 1 and not name.startswith("_")
        if is_whole and words[0] in {"SELECT", "UPDATE", "DELETE", "WITH"}:
            yield pytest.param(name, text, id=name)


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plans")
    with Store.open(folder) as store:
        store.start("plans", params={"lr": 0.1}, capture=False).finish()
    opened = sqlite3.connect(folder / DATABASE)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *statements_of(statements),
        *statements_of(blocks),
        *statements_of(metrics),
        *statements_of(artifacts),
        *statements_of(edits),
        *statements_of(many_series),
        *statements_of(earlier),
        *statements_of(fact_index),
        *statements_of(moves),
        *statements_of(packages),
        *statements_of(references),
        *statements_of(trash),
        *statements_of(to_transfer),
        *statements_of(records),
        *statements_of(writing),
        *statements_of(copied_points),
    ],
)
def test_no_statement_walks_through_all_runs(connection, name, text):
    text = text.replace("{ids}", "1, 2").replace("{cell}", "p.key = 'a' AND p.number = 1")
    text = text.replace("{limit}", "9").replace("{size}", "9")
    positional = (1,) * text.count("?")

    plan = connection.execute(f"EXPLAIN QUERY PLAN {text}", positional or AnyValue()).fetchall()

    # An index used in the order of a list ends after LIMIT rows; a table or a sort does not.
    walks = [
        step
        for *_, step in plan
        if step.startswith("SCAN") and not ("USING" in step and "LIMIT" in text)
        if step not in FOUND_BEFORE and "SUBQUERY" not in step
    ]
    sorts = [step for *_, step in plan if "TEMP B-TREE" in step]
    if name in LISTS_EXPERIMENTS | SHOWS_ALL_RUNS | LOOKS_AT_ALL:
        return
    assert walks == [], plan
    assert name in SORTS_A_FEW or sorts == [], plan


VIEWS = ("runs", "params", "metrics", "tags", "artifacts", "inputs", "events")


@pytest.mark.parametrize("chosen", ["reference = 'a'", "experiment = 'a'", "run_id = 1"])
@pytest.mark.parametrize("view", VIEWS)
def test_no_view_walks_through_all_runs_for_a_few(connection, view, chosen):
    text = f"SELECT * FROM {view}_flat WHERE {chosen} LIMIT 20"

    plan = [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {text}")]

    # The values of one parameter set.
    plan = [step for step in plan if not step.startswith("SCAN json_each VIRTUAL TABLE")]
    assert [step for step in plan if step.startswith("SCAN") or "TEMP B-TREE" in step] == [], plan


def test_parameters_of_all_runs_are_found_by_their_index(connection):
    text = "EXPLAIN QUERY PLAN SELECT * FROM params_flat WHERE key = 'lr' AND number > 0.5"

    steps = [step for *_, step in connection.execute(text)]

    assert any("params_by_key (key=? AND number>?)" in step for step in steps), steps


@pytest.mark.parametrize("view", VIEWS)
def test_the_first_rows_of_a_view_come_at_once(connection, view):
    text = f"EXPLAIN QUERY PLAN SELECT * FROM {view}_flat LIMIT 20"

    steps = [step for *_, step in connection.execute(text)]

    assert not any("TEMP B-TREE" in one or "MATERIALIZE" in one for one in steps), steps


@pytest.mark.parametrize(
    "text",
    [
        statements.NEWEST_CHANGE,
        search_index.CHANGE_OF_RUN,
        search_index.CHANGED_RUNS,
        search_index.OUTPUTS_OF_RUNS,
        search_index.RUNS_LEFT,
        search_index.BYTES_LEFT,
        run_texts.CHANGED_SINCE,
        run_texts.RUNS_OF_UIDS,
        run_texts.TEXTS_OF_RUN,
        run_texts.OUTPUTS_OF_RUN_ID,
    ],
)
def test_a_search_asks_the_runs_for_what_changed_alone(connection, text):
    marks = ("[1]" if "json_each" in text else 1,) * text.count("?")

    plan = connection.execute(f"EXPLAIN QUERY PLAN {text}", marks).fetchall()

    walks = [step for *_, step in plan if step.startswith("SCAN") and not is_list(step)]
    assert walks == [], plan


@pytest.mark.parametrize(
    "text",
    [
        *(search_index.TEXTS_OF_RUNS, search_index.PARTS_OF_RUNS, search_index.MISSING_PARTS),
        *(search_index.PART, search_index.REMOVE_DOCUMENTS_OF_PART, search_index.GET_FACT),
        *(search_index.REMOVE_DOCUMENTS_OF_RUN, search_index.REMOVE_PARTS_OF_RUN),
        *(run_texts.UNREAD_RUNS, run_texts.PIECE),
        *(text_candidates.DOCUMENTS_OF_RUNS, text_candidates.RUNS_OF_DOCUMENTS),
    ],
)
def test_the_search_index_is_asked_for_few_documents(text):
    index = sqlite3.connect(":memory:")
    make_anew(index)

    plan = index.execute(
        f"EXPLAIN QUERY PLAN {text.replace('{fields}', '0, 3')}", ("1",) * text.count("?")
    ).fetchall()
    index.close()

    walks = [step for *_, step in plan if step.startswith("SCAN") and not is_list(step)]
    assert [step for step in walks if "USING COVERING INDEX parts_unread" not in step] == [], plan


@pytest.mark.parametrize("by", ["params.lr", "tags.phase", "git.commit", "set"])
def test_groups_look_up_each_run_and_not_all_values_for_each(tmp_path, by):
    asked = []
    with Store.open(tmp_path) as store:
        store.start("plans", params={"lr": 0.1}, capture=False).finish()
        with store.backend.database.driver.read() as connection:
            connection.set_trace_callback(asked.append)
        store.group(by, metrics=["loss"])  # has the same connection, which is free again
        connection.set_trace_callback(None)
        groups = [one for one in asked if "GROUP BY" in one]
        plans = [connection.execute(f"EXPLAIN QUERY PLAN {one}").fetchall() for one in groups]

    assert len(plans) == 2
    for plan in plans:
        steps = [step for *_, step in plan]
        assert "SEARCH r USING INTEGER PRIMARY KEY (rowid=?)" in steps, steps
        assert not any("LEFT-JOIN" in one for one in steps), steps
