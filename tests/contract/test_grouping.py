"""Runs in groups by a value: how many there are, how they ended, and what a metric reached."""

import math

import pytest

from runstore.model.query.parse import parse_query
from runstore.reading.groups import GroupsTable, sorted_by
from runstore.reading.tables.columns import Type
from runstore.storage.query.grouping import Grouping

BEYOND = 2**60 + 1


def groups_of(store, by, where="", metrics=(), among=None):
    store.find("params.lr is not missing")  # writes the rows of parameters
    (order,) = parse_query(f"order by {by}").order
    grouping = Grouping(store.backend.database, order.field)
    found = grouping.groups(parse_query(where), metrics, among=among)
    return {group.value: group for group in found}


def test_numbers_that_are_not_finite_are_numbers(store):
    values = (math.nan, math.nan, math.inf, -math.inf, 1.5, "inf", "x", None)
    for value in values:
        store.start("fit", params={"lr": value}, tags={"lr": "nan"}, capture=False).finish()

    found = store.group("params.lr")
    in_order = [one.value for one in sorted_by(found, "params.lr", "params.lr")]

    assert {repr(one.value): one.runs for one in found} == {
        "nan": 2, "inf": 1, "-inf": 1, "1.5": 1, "'inf'": 1, "'x'": 1, "None": 1
    }  # fmt: skip
    assert list(map(repr, in_order)) == ["-inf", "1.5", "inf", "'inf'", "nan", "'x'", "None"]
    assert [one.value for one in store.group("tags.lr")] == ["nan"]
    numbers = store.group("params.lr", "run_number < 6")
    assert GroupsTable("params.lr", numbers, []).columns["params.lr"].type is Type.NUMBER


@pytest.fixture
def runs(store):
    sets = [{"name": "a", "lr": 1}, {"name": "b", "lr": 2}]
    for n, (params, status) in enumerate(
        [({"lr": 1}, None), ({"lr": 1}, "error"), (sets, None), ({}, None)]
    ):
        run = store.start("fit" if n else "other", params=params, capture=False)
        run.log(loss=n)
        run.finish(status)
    return store.list()


def test_each_value_has_a_group_and_none_has_one_as_well(store, runs):
    groups = groups_of(store, "params.lr")

    assert {value: one.runs for value, one in groups.items()} == {1: 3, 2: 1, None: 1}
    assert groups[1].statuses == {"complete": 2, "error": 1}
    assert groups[2].last_reference == runs[1].reference
    assert groups[2].last_started_at == runs[1].started_at


def test_missing_values_and_none_are_one_group_and_a_filter_finds_it(store):
    for params in ({"lr": None}, {}, {"lr": "None"}, {"lr": 1}):
        store.start("fit", params=params, capture=False).finish()

    groups = groups_of(store, "params.lr")

    assert {value: one.runs for value, one in groups.items()} == {None: 2, "None": 1, 1: 1}
    assert len(store.find("params.lr is null")) == 2


def test_the_group_with_the_latest_start_comes_first(store, runs):
    assert next(iter(groups_of(store, "params.lr"))) is None
    assert list(groups_of(store, "experiment")) == ["fit", "other"]


def test_groups_of_several_sets_of_one_run_have_one_order_in_every_store(store):
    values = (10, "adam", -(10**30), "1.9", 9)
    sets = [{"name": f"set {number}", "lr": value} for number, value in enumerate(values)]
    store.start("fit", params=sets, capture=False).finish()

    found = [group.value for group in store.group("params.lr")]

    assert found == [-(10**30), "1.9", 10, 9, "adam"]


def test_a_table_of_groups_keeps_all_digits_of_numbers_among_texts(store):
    values = ["small", 123456789.25, 123456789.5, BEYOND, 3]
    for n in values:
        store.start("fit", params={"n": n}, capture=False).finish()

    column = GroupsTable("params.n", store.group("params.n"), []).columns["params.n"].values

    assert column == ["3", str(BEYOND), "123456789.5", "123456789.25", "small"]


def test_only_runs_that_match_count(store, runs):
    assert groups_of(store, "experiment", "status = complete")["fit"].runs == 2
    assert groups_of(store, "experiment", among=[1]).keys() == {"other"}
    assert groups_of(store, "experiment", "status = lost") == {}


def test_metrics_are_summed_up_in_each_group(store, runs):
    groups = groups_of(store, "params.lr", metrics=["loss", "unknown"])

    spread = groups[1].metrics["loss"]
    assert (spread.min, spread.mean, spread.max) == (0.0, 1.0, 2.0)
    assert groups[1].metrics.keys() == {"loss"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, True), (0.5, 0.5), ("1", "1"), (BEYOND, BEYOND), (-BEYOND, -BEYOND), (None, None)],
)
def test_a_value_is_the_one_that_was_recorded(store, value, expected):
    store.start("fit", params={"x": value}, capture=False).finish()

    (found,) = groups_of(store, "params.x")

    assert found == expected
    assert type(found) is type(expected)


def test_flags_of_runs_are_truth_values(store):
    run = store.start("fit", capture=False)
    run.finish()
    with store.backend.database.driver.write() as connection:
        connection.execute("UPDATE runs SET workdir_dirty = 1")

    assert list(groups_of(store, "dirty")) == [True]


@pytest.mark.parametrize(
    ("values", "mean"),
    [((1e308, 1.5e308), 1.25e308), ((math.inf, 1.0), math.inf), ((math.inf, -math.inf), math.nan)],
)
def test_the_mean_of_large_values_is_theirs(store, values, mean):
    for value in values:
        with store.start("fit", capture=False) as run:
            run.log(loss=value)

    found = groups_of(store, "experiment", metrics=["loss"])["fit"].metrics["loss"]

    assert found.mean == pytest.approx(mean, nan_ok=True)
    assert (found.min, found.max) == (min(values), max(values))


def test_a_metric_of_a_set_counts_for_the_value_of_that_set(store):
    sets = [{"name": "a", "lr": 1, "bs": 8}, {"name": "b", "lr": 2, "bs": 8}, {"name": "c"}]
    for n in range(2):
        with store.start("fit", params=sets, capture=False) as run:
            for name, acc in zip("abc", (0.9, 0.1, 0.5), strict=True):
                run.of_set(name).log(acc=acc + n / 100)
            run.log(loss=n)

    def spreads(by):
        groups = groups_of(store, by, metrics=["acc", "loss"])
        return {
            value: (one.metrics["acc"].min, one.metrics["acc"].max, one.metrics["loss"].mean)
            for value, one in groups.items()
        }

    assert spreads("params.lr") == {1: (0.9, 0.91, 0.5), 2: (0.1, 0.11, 0.5)}
    assert spreads("params.bs") == {8: (0.1, 0.91, 0.5)}
    assert spreads("params[a].bs") == {8: (0.9, 0.91, 0.5)}
    assert spreads("set") == {"a": (0.9, 0.91, 0.5), "b": (0.1, 0.11, 0.5), "c": (0.5, 0.51, 0.5)}
    assert spreads("params.other") == spreads("tags.none") == {None: (0.1, 0.91, 0.5)}


def test_groups_by_value_are_in_the_order_of_lists(store):
    for value in ("x", "9", 9, 10, "0.50", "1e-5", "007", "true", None):
        params, tags = {"x": value}, {} if value is None else {"x": value}
        store.start("fit", params=params, tags=tags, capture=False).finish()

    for by in ("params.x", "tags.x"):
        for order in (by, f"{by} desc"):
            groups = sorted_by(store.group(by), by, order)
            listed = dict.fromkeys(run.run_number for run in store.find(f"order by {order}"))
            found = [int(one.last_reference.split("_")[1]) for one in groups]
            assert found == [one for one in listed if one in found], order


def test_nan_does_not_count_in_a_mean(store):
    for loss in (1.0, math.nan, 3.0, math.nan):
        with store.start("fit", capture=False) as run:
            run.log(loss=loss)

    spread = groups_of(store, "experiment", metrics=["loss"])["fit"].metrics["loss"]
    assert (spread.min, spread.mean, spread.max) == (1.0, 2.0, 3.0)


def test_a_metric_that_is_nothing_but_nan_is_known(store):
    for loss in (math.nan, math.nan):
        with store.start("fit", capture=False) as run:
            run.log(loss=loss)

    spread = groups_of(store, "experiment", metrics=["loss"])["fit"].metrics["loss"]
    assert [math.isnan(one) for one in (spread.min, spread.mean, spread.max)] == [True] * 3
