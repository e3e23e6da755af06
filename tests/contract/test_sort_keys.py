"""Keys of an order as SQL: the value that counts for one run, and the values of all runs."""

import pytest

from runstore.model.query.parse import parse_query
from runstore.storage.query.packages import PackageLists
from runstore.storage.query.sort_keys import sort_keys
from runstore.storage.query.where import EVERY_NAMESPACE, Condition


@pytest.fixture
def connection(store):
    sets = [{"name": "a", "lr": 0.5}, {"name": "b", "lr": 2, "note": "x"}]
    with store.start("mnist", params=sets, notes="n", capture=False) as run:
        run.log(loss=0.25)
        run.tags.update({"phase": "7"})
    store.start("bert", params={"lr": "high"}, capture=False).finish()
    store.find("params.lr >= 0")  # writes the rows of parameters
    with store.backend.database.driver.read() as connection:
        yield connection


def keys_of(connection, order, *, from_sets=()):
    condition = Condition(PackageLists(connection).accepted, from_sets=from_sets)
    return sort_keys(parse_query(f"order by {order}").order, condition), condition


@pytest.mark.parametrize(
    ("order", "first", "second"),
    [
        ("experiment", ["mnist"], ["bert"]),
        ("run_number", [1], [1]),
        ("notes desc", ["n"], [None]),
        ("params.lr", [0.5, None], [None, "high"]),
        ("params.lr desc", [2.0, None], [None, "high"]),
        ("params.note", [None, "x"], [None, None]),
        ("params[b].lr", [2.0, None], [None, None]),
        ("metrics.loss", [0.25], [None]),
        ("tags.phase", [7.0, "7"], [None, None]),
        ("experiment, params.lr", ["mnist", 0.5, None], ["bert", None, "high"]),
    ],
)
def test_a_run_has_the_value_that_comes_first(connection, order, first, second):
    keys, condition = keys_of(connection, order)
    columns = ", ".join(key.of_run(condition) for key in keys)

    rows = connection.execute(
        f"SELECT {columns} FROM runs r ORDER BY r.id",  # noqa: S608 - made of constants
        condition.parameters,
    ).fetchall()

    assert [list(row) for row in rows] == [first, second]


@pytest.mark.parametrize(
    ("order", "place", "expected"),
    [
        ("experiment", 0, [(1, "mnist"), (2, "bert")]),
        ("run_number", 0, [(1, 1), (2, 1)]),
        ("params.lr", 0, [(1, 0.5), (1, 2.0)]),
        ("params.lr", 1, [(2, "high")]),
        ("metrics.loss", 0, [(1, 0.25)]),
        ("tags.phase", 0, [(1, 7.0)]),
        ("tags.phase", 1, [(1, "7")]),
    ],
)
def test_all_values_are_found_with_their_runs(connection, order, place, expected):
    keys, condition = keys_of(connection, order, from_sets=EVERY_NAMESPACE)
    parts = keys[place].rows(condition)

    rows = connection.execute(
        "SELECT {id}, {value} FROM {rows} AND {value} IS NOT NULL".format(**parts),  # noqa: S608 - the same
        condition.parameters,
    ).fetchall()

    assert sorted(map(tuple, rows)) == expected


def test_numbers_come_before_texts_in_one_direction(connection):
    keys, _ = keys_of(connection, "params.lr desc, notes")

    assert [(key.place, key.direction) for key in keys] == [(0, "DESC"), (1, "DESC"), (0, "ASC")]
