"""Groups of runs as a table, and in the order of one of its columns."""

import math
from datetime import datetime, timezone

import pytest

from runstore.errors import UsageError
from runstore.model.results.groups import RunGroup, Spread
from runstore.reading.groups import GroupsTable, field_of_text, sorted_by
from runstore.reading.tables.columns import Type


def group(value, runs=1, loss=None, day=1, **statuses):
    return RunGroup(
        value=value,
        runs=runs,
        statuses=statuses or {"complete": runs},
        last_reference=f"fit_{day}",
        last_name=f"fit#{day}",
        last_started_at=datetime(2026, 1, day, tzinfo=timezone.utc),
        metrics={} if loss is None else {"loss": Spread(*loss)},
    )


GROUPS = [
    group("a", 2, (0.1, 0.2, 0.9), day=3, complete=1, error=1),
    group(None, 5, day=1),
    group("c", 3, (0.3, 0.4, 0.5), day=2),
]


def values(by, groups, metrics=()):
    return {name: one.values for name, one in GroupsTable(by, groups, metrics).columns.items()}


def test_columns_are_the_value_the_counts_the_last_run_and_the_spreads():
    table = values("params.model", GROUPS, ["loss"])

    assert list(table) == [
        "params.model", "runs", "complete", "error", "last run", "started",
        "metrics.loss.min", "metrics.loss.mean", "metrics.loss.max",
    ]  # fmt: skip
    assert table["params.model"] == ["a", None, "c"]
    assert table["runs"] == [2, 5, 3]
    assert table["complete"] == [1, 5, 3]
    assert table["error"] == [1, 0, 0]
    assert table["last run"] == ["fit_3", "fit_1", "fit_2"]
    assert table["metrics.loss.min"] == [0.1, None, 0.3]
    assert table["metrics.loss.mean"] == [0.2, None, 0.4]
    assert table["metrics.loss.max"] == [0.9, None, 0.5]


def test_a_status_without_a_run_has_no_column():
    assert "error" not in values("x", [group("a")])


def test_the_errors_that_runs_are_grouped_by_are_not_the_runs_with_an_error():
    table = values("error", [group("ValueError", 2, error=2)])

    assert table["error"] == ["ValueError"]
    assert table["status.error"] == [2]


@pytest.mark.parametrize(
    ("found", "kind", "shown"),
    [
        ([True, False, None], Type.FLAG, [True, False, None]),
        ([1.5, 2.5, None], Type.NUMBER, [1.5, 2.5, None]),
        ([1, 2.0, None], Type.WHOLE, [1, 2, None]),
        (["a", None], Type.TEXT, ["a", None]),
        ([True, 1.0, "a", None], Type.TEXT, ["true", "1", "a", None]),
        ([None], Type.TEXT, [None]),
    ],
)
def test_values_of_one_type_keep_it_and_mixed_ones_are_texts(found, kind, shown):
    column = GroupsTable("x", [group(one) for one in found], ()).columns["x"]

    assert column.type is kind
    assert list(column.values) == shown


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("runs", ["a", "c", None]),
        ("runs desc", [None, "c", "a"]),
        ("runs DESC", [None, "c", "a"]),
        ("runs asc", ["a", "c", None]),
        ("started", [None, "c", "a"]),
        ("last run desc", None),
        ("metrics.loss.max", ["c", "a", None]),
        ("metrics.loss.max desc", ["a", "c", None]),  # what has no value is last, either way
        ("params.model desc", ["c", "a", None]),
        ("error desc", ["a", None, "c"]),  # equal ones stay in their order
        ("nothing", None),
        ("runs down", None),
    ],
)
def test_groups_are_sorted_by_a_column(order, found):
    if found is None:
        with pytest.raises(UsageError, match="cannot be sorted"):
            sorted_by(GROUPS, "params.model", order)
    else:
        assert [one.value for one in sorted_by(GROUPS, "params.model", order)] == found


@pytest.mark.parametrize(
    ("order", "found"), [("metrics.loss.mean", "bcea?"), ("metrics.loss.mean desc", "aecb?")]
)
def test_groups_whose_mean_is_nan_are_last_and_the_others_in_order(order, found):
    means = {"a": 3.0, "?": math.nan, "c": 1.0, "e": 2.0, "b": 0.0}
    groups = [group(key, loss=(mean, mean, mean)) for key, mean in means.items()]

    assert "".join(one.value for one in sorted_by(groups, "params.k", order)) == found


@pytest.mark.parametrize(
    ("by", "given", "found"),
    [
        ("params.bs", ["auto", 64, None, 128, 16, "9"], [16, 64, 128, "9", "auto", None]),
        (
            "tags.phase",
            ["x", "0.50", 10, None, "1e-5", "007"],
            ["1e-5", "0.50", 10, "007", "x", None],
        ),
    ],
)
def test_groups_by_value_are_in_the_order_of_lists(by, given, found):
    groups = [group(one) for one in given]

    numbers = [one for one in found if one is not None and one not in ("9", "auto", "007", "x")]
    texts = [one for one in found if one in ("9", "auto", "007", "x")]
    assert [one.value for one in sorted_by(groups, by, by)] == found
    assert [one.value for one in sorted_by(groups, by, f"{by} desc")] == [
        *numbers[::-1], *texts[::-1], None,
    ]  # fmt: skip


def test_a_wrong_column_is_answered_with_those_there_are():
    with pytest.raises(UsageError) as caught:
        sorted_by(GROUPS, "params.model", "acc")

    assert "params.model, runs, complete, error" in caught.value.hint


@pytest.mark.parametrize(
    "by", ["metrics.loss", "status, experiment", "status desc", "started", "duration"]
)
def test_what_makes_no_groups(by):
    with pytest.raises(UsageError, match="cannot be grouped by"):
        field_of_text(by)


@pytest.mark.parametrize("by", ["experiment", "status", "params.lr", "tags.phase", "host.name"])
def test_what_makes_groups(by):
    assert field_of_text(by).key
