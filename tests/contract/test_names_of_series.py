"""A metric of the run and one of a parameter set whose names would be the same: both are there."""

import math
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands import runstore
from runstore.model.logged.metric_names import names_of

SETS = [{"name": "train", "lr": 1}, {"name": "val", "lr": 2}]


@pytest.fixture
def both(store):
    """Two runs that differ in the metric of the run alone."""
    for value in (99.0, 50.0):
        with store.start("named", params=SETS, capture=False) as run:
            run.log({"train/loss": value, "loss": 7.0})
            run.of_set("train").log_points("loss", [2.0, 1.0])
    return store.get("named#1"), store.get("named#2")


def test_every_series_has_a_name_by_which_it_is_read(both):
    run = both[0]

    names = {name: (one.set_name, one.last) for name, one in run.metrics.items()}
    assert names == {
        "train/loss": (None, 99.0),
        "loss": (None, 7.0),
        "train/loss (set train)": ("train", 1.0),
    }
    for name, (_, last) in names.items():
        assert run.metric(name).values[-1] == last
    assert list(run.metric("loss", "train").values) == [2.0, 1.0]


def test_a_live_run_has_the_same_names(store):
    run = store.start("named", params=SETS, capture=False)
    run.log({"train/loss": 99.0})
    run.of_set("train").log(loss=1.0)

    assert set(run.record.metrics) == {"train/loss", "train/loss (set train)"}
    assert list(run.record.metric("train/loss (set train)").values) == [1.0]
    run.finish()


@pytest.mark.folder_only
def test_both_are_found_compared_listed_and_drawn(store, both):
    table = store.list().table()
    (difference,) = store.compare(*both, sections=["metrics"])
    here = ("--store", str(store.path))
    shown = runstore(*here, "show", "named#1", cwd=store.path).stdout
    drawn = runstore(*here, "plot", "named#1", "-m", "train/loss", "--json", cwd=store.path).stdout

    assert list(table.columns["metrics.train/loss"].values) == [50.0, 99.0]
    assert list(table.columns["metrics.train/loss (set train)"].values) == [1.0, 1.0]
    assert (difference.key, *difference.values) == ("train/loss", 99.0, 50.0)
    assert "train/loss (set train)" in shown
    assert "99" in shown
    assert drawn.count('"count": ') == 2
    assert [run.run_number for run in store.find('metrics."train/loss" = 99')] == [1]
    assert len(list(store.find("metrics[train].loss = 1"))) == 2
    assert {(row.set, row.key, row.value) for row in store.points(both[0])} == {
        (None, "loss", 7.0),
        (None, "train/loss", 99.0),
        ("train", "loss", 2.0),
        ("train", "loss", 1.0),
    }


@given(st.lists(st.tuples(st.sampled_from([None, "a", "a/b", "b"]), st.text("ab/ ()set"))))
def test_no_two_series_have_one_name(series):
    names = names_of(series)

    distinct = {one for one in series if one[0] is None}
    assert len(set(names)) == len(distinct) + sum(name is not None for name, _ in series)
    assert all(name == key for name, (of, key) in zip(names, series, strict=True) if of is None)


def test_the_name_of_a_set_does_not_depend_on_the_order():
    series = [(None, "a/loss"), ("a", "loss"), ("b", "loss")]

    expected = {
        (None, "a/loss"): "a/loss",
        ("a", "loss"): "a/loss (set a)",
        ("b", "loss"): "b/loss",
    }
    for one in permutations(series):
        assert dict(zip(one, names_of(one), strict=True)) == expected


@pytest.mark.parametrize("values", [(math.inf, -math.inf), (-math.inf, math.inf, 1.0)])
def test_the_mean_of_both_infinities_is_nan(store, values):
    for value in values:
        with store.start("spread", params={"lr": 1}, capture=False) as run:
            run.log(acc=value)

    (group,) = store.group("params.lr", metrics=["acc"])
    spread = group.metrics["acc"]
    assert (spread.min, spread.max) == (-math.inf, math.inf)
    assert math.isnan(spread.mean)
