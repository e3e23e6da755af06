"""Runs as data frames: one row each, or one for each parameter set; typed columns."""

import math
from datetime import timezone

import pytest

from runstore import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with Store.open(tmp_path_factory.mktemp("tables")) as store:
        with store.start("fit", params={"lr": 0.1, "deep": True, "model": "SVC"}) as run:
            run.log(loss=0.5)
            run.tags["phase"] = "pilot"
        sets = [{"name": "a", "lr": 1, "same": 7}, {"name": "b", "lr": math.nan, "same": 7}]
        with store.start("fit", params=sets, notes="ünï") as run:
            run.log(loss=math.nan)
            run.of_set("b").log(loss=2.0)
        store.start("empty", params={"model": 3, "lr": math.inf})
        yield store


def test_columns_are_typed(store):
    frame = store.find("order by run_number", limit=None).to_pandas()

    assert frame.dtypes.astype(str).to_dict() == {
        "run": "string",
        "uid": "string",
        "experiment": "string",
        "run_number": "Int64",
        "status": "string",
        "started": "datetime64[us, UTC]",
        "ended": "datetime64[us, UTC]",
        "duration": "timedelta64[us]",
        "exit_code": "Int64",
        "error": "string",
        "notes": "string",
        "commit": "string",
        "dirty": "boolean",
        "command": "string",
        "hostname": "string",
        "params.model": "string",
        "params.lr": "float64",
        "params.deep": "boolean",
        "params.same": "float64",
        "metrics.loss": "float64",
        "metrics.b/loss": "float64",
        "tags.phase": "string",
    }


def test_a_run_of_several_sets_has_what_they_agree_on(store):
    frame = store.find("run_number = 2").to_pandas()

    assert frame["params.same"].tolist() == [7]
    assert "params.lr" not in frame


def test_each_set_may_have_a_row(store):
    frame = store.find("experiment = fit", limit=None).to_pandas(sets=True)

    assert frame["set"].tolist() == ["a", "b", "default"]
    assert frame["params.lr"].fillna(-1).tolist() == [1, -1, 0.1]
    assert frame["metrics.loss"].fillna(-1).tolist() == [-1, 2.0, 0.5]


def test_libraries_agree(store):
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    page = store.find(limit=None)
    frame, lazy, table = page.to_pandas(), page.to_polars(), page.to_arrow()

    assert list(frame.columns) == lazy.columns == table.column_names
    assert lazy["uid"].to_list() == table["uid"].to_pylist() == frame["uid"].tolist()
    assert lazy["params.deep"].to_list() == table["params.deep"].to_pylist() == [None, None, True]
    assert lazy.schema["started"] == pl.Datetime("us", "UTC")
    assert table.schema.field("duration").type == pa.duration("us")
    first = page.items[-1]
    assert frame["started"].iloc[-1] == pd.Timestamp(first.started_at.astimezone(timezone.utc))


def test_no_runs_are_a_table_without_rows(store):
    page = store.find("status = queued")

    for frame in (page.to_pandas(), page.to_polars(), page.to_arrow()):
        assert frame.shape == (0, 15)


def test_a_missing_library_is_named(store, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "polars", None)

    with pytest.raises(ImportError, match="polars"):
        store.find().to_polars()


@pytest.mark.parametrize("value", [True, 1, 1.5, 10**20, "text"])
def test_none_is_no_value_in_a_column_of_any_type(tmp_path, value):
    with Store.open(tmp_path) as store:
        for one in (value, None):
            store.start("fit", params={"key": one}, capture=False).finish()
        page = store.find("order by run_number", limit=None)
        frame, lazy = page.to_pandas(), page.to_polars()

    assert frame["params.key"].isna().tolist() == [False, True]
    assert lazy["params.key"].is_null().to_list() == [False, True]
