"""Every documented filter is answered from indexes, whichever way a search goes."""

import contextlib
import importlib
import re
import sqlite3
import sys
from pathlib import Path

import pytest

from runstore import Store
from runstore.errors import FilterError
from runstore.model.query.parse import parse_query
from runstore.model.query.tree import Namespace
from runstore.storage.query import candidates, newest
from runstore.storage.query import sorted as sorting
from runstore.storage.query.where import column_of_run
from runstore.storage.sqlite.paths import DATABASE

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "filter-runs.md"
RUNS = 700
# Small enough that each way is gone on a small store.
WAYS = {
    "one by one": {(newest, "WINDOW"): 50, (newest, "NEAR"): 10**6},
    "small sets": {(newest, "WINDOW"): 50, (newest, "NEAR"): 0, (newest, "FAR"): 0},
    "whole sets": {
        (newest, "WINDOW"): 50,
        (newest, "NEAR"): 0,
        (newest, "FAR"): 0,
        (candidates, "FEW"): 0,
        (sorting, "FIRST"): 30,
        (sorting, "EQUAL_AT_MOST"): 20,
    },
}
# What may be gone through: an index from one end, or a list that is short or narrow.
MAY_BE_SCANNED = (
    r"r USING INDEX runs_by_start",  # every field of a run but the longest
    r"r USING INDEX runs_with_traceback",
    r"runs USING COVERING INDEX runs_by_change",  # a count
    r"(runs|p) USING (COVERING )?INDEX runs_with_loose_facts",
    r"x( USING COVERING INDEX sqlite_autoindex_experiments_1)?",  # experiments
    r"v USING COVERING INDEX (artifacts_by_path|inputs_by_name)",
    r"(j|v) VIRTUAL TABLE INDEX \d+:.*",  # the facts of one run; row ids in a list
    r"c|k|n|q|lists",  # what another part gave
    r"\(subquery-\d+\)|CONSTANT ROW",
)


def in_benchmarks(name):
    """Return a module of the benchmarks."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


FILTERS = [text for text, _ in in_benchmarks("finding").FILTERS]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filters")
    in_benchmarks("runs_to_find").fill(folder, RUNS)
    with Store.open(folder) as store:
        yield store


def plans_of(store, text):
    """Return the statements that find runs, each with the steps of its plan."""
    statements = []
    with store.backend.database.driver.read() as connection:
        connection.set_trace_callback(statements.append)
    store.find(text, limit=20)  # has the same connection, which is free again
    connection.set_trace_callback(None)
    return [
        (one, [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {one}")])
        for one in statements
        if one.lstrip().startswith(("SELECT", "WITH"))
    ]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("text", FILTERS)
def test_a_documented_filter_goes_through_nothing_wide(store, monkeypatch, text, way):
    for (module, name), value in WAYS[way].items():
        monkeypatch.setattr(module, name, value)

    for statement, plan in plans_of(store, text):
        scans = [step.removeprefix("SCAN ") for step in plan if step.startswith("SCAN ")]
        wide = [one for one in scans if not is_narrow(one, statement)]
        assert wide == [], (statement, plan)
        # An index without all that is asked costs a look into the table for each entry.
        looked_up = [step for step in plan if re.match(r"S\w+ v USING INDEX", step)]
        assert looked_up == [], (statement, plan)


# What a filter could do without, at the cost of reading wide rows.
USES = {
    "inputs.digest = 'c7'": "inputs_by_name",
    "traceback contains 'cuda'": "runs_with_traceback",
    "params.model = 'rare'": "params_by_key",
    "order by params.lr desc": "params_by_key",
    "metrics.m1.max >= 0.9999": "metric_summaries_by_key",
}


@pytest.mark.parametrize(("text", "index"), USES.items())
def test_a_filter_uses_the_index_that_was_made_for_it(store, monkeypatch, text, index):
    for (module, name), value in WAYS["small sets"].items():
        monkeypatch.setattr(module, name, value)

    steps = [step for _, plan in plans_of(store, text) for step in plan]

    assert any(index in step for step in steps), steps


def test_values_that_never_occur_together_do_not_make_all_runs_be_sorted(store, monkeypatch):
    """No run of the first experiment has the tag by which its runs are sorted."""
    for name, value in {"FIRST": 5, "EQUAL_AT_MOST": 30}.items():
        monkeypatch.setattr(sorting, name, value)

    found = plans_of(store, "order by experiment, tags.phase")

    assert len(found) > 5
    assert [one for one, _ in found if " AS k0" in one and "/* scanned */" in one] == []


def is_narrow(scan, statement):
    if scan == "r":  # row by row from the newest one on, until the page is full
        return "ORDER BY q.id DESC LIMIT" in statement or "ORDER BY r.id DESC LIMIT" in statement
    if scan == "v":  # a short row for each parameter set; or what a subquery gave
        return "run_params v" in statement or ") v WHERE" in statement
    return any(re.fullmatch(way, scan) for way in MAY_BE_SCANNED)


def test_every_field_of_a_run_stands_in_the_index_that_filters_go_through(store):
    """A column that is not in it makes a filter read whole rows, some times as wide."""
    with contextlib.closing(sqlite3.connect(store.path / DATABASE)) as connection:
        rows = connection.execute("PRAGMA index_xinfo(runs_by_start)").fetchall()
    indexed = {row[2] for row in rows}
    fields = [field for text in FILTERS for field in parse_query(text).fields()]

    asked = {
        column
        for field in fields
        if field.namespace is Namespace.RUN and field.key != "experiment_name"
        for column in re.findall(r"r\.(\w+)", column_of_run(field))
    }

    assert asked - indexed == {"traceback"}


def names_of_the_guide():
    """Yield the fields of the guide's table, as a person writes them."""
    text = GUIDE.read_text(encoding="utf-8")
    table = text.partition("| field | means |\n|---|---|\n")[2].partition("\n\n")[0]
    for line in table.splitlines():
        first = line.split(" | ")[0]
        names = re.findall(r"`([^`]+)`", first + line.split(" | ")[1])
        whole = names[0]
        for name in names:
            if not name.startswith("."):
                whole = name
            # What begins with a dot is another part of the name before.
            yield name if name == whole else whole.rpartition(".")[0] + name


def kind_of_place(field):
    """Return what tells one way to look a field up from another."""
    has_key = field.namespace in {Namespace.ARTIFACT, Namespace.INPUT} and bool(field.key)
    key = field.key if field.namespace in {Namespace.RUN, Namespace.SET} else ""
    return field.namespace, key, field.part, has_key, field.set_name is not None


def test_every_documented_field_is_measured():
    measured = {kind_of_place(field) for text in FILTERS for field in parse_query(text).fields()}

    missing = []
    for name in names_of_the_guide():
        try:
            (field,) = parse_query(f"{name.replace('…', 'x')} is missing").fields()
        except FilterError:
            continue  # another word of the table
        is_of_texts = field.namespace is Namespace.OUTPUT  # measured by benchmarks/searching.py
        if not is_of_texts and kind_of_place(field) not in measured:
            missing.append(name)

    assert missing == []


def test_every_documented_comparison_is_measured():
    text = GUIDE.read_text(encoding="utf-8")
    table = text.partition("| comparison | means |\n|---|---|\n")[2].partition("\n\n")[0]
    words = [
        re.match(r"(not |is not |is )?(\w+|[^\w\s']+)", name)[0]
        for line in table.splitlines()
        for name in re.findall(r"`([^`]+)`", line.split(" | ")[0])
    ]

    missing = [word for word in words if not any(f" {word} " in f"{one} " for one in FILTERS)]

    assert missing == []
