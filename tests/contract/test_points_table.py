"""The points of many runs in one table: complete, exact, and at home in each library."""

import math
import subprocess
import sys
from array import array
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runstore import Store
from runstore.errors import NotFoundError, RunNotFoundError, UsageError
from runstore.model.metrics import Series
from runstore.storage.metrics.chunks import POINTS_AT_MOST
from runstore.testing import temporary_store

MOMENT = datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=timezone.utc)
STRANGE = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.5]
ONE_POINT = """
import sys
from runstore import Store
from runstore.reading.metrics.points import read_points_of
with Store.open(sys.argv[1]) as store:
    table = store.points(store.list())
    print([(row.key, row.value) for row in table])
    print("numpy" in sys.modules)
    for call in (table.to_pandas, table.to_polars, table.to_arrow):
        try:
            call()
        except ImportError as error:
            print(error)
"""


def filled(store, runs=3, points=5, name="many"):
    """Record runs whose values tell where they belong."""
    for number in range(runs):
        with store.start(name, capture=False) as run:
            for step in range(points):
                run.log({"loss": number + step / 10, "val/loss": -number}, step=step, time=MOMENT)
    return list(store.list(name))[::-1]


def bits(values):
    return np.asarray(values, "f8").view("i8").tolist()


def comparable(rows):
    """Return rows that are equal where their values are, NaN and the sign of zero included."""
    return [(*row[:-1], repr(row[-1])) for row in rows]


class TestReading:
    def test_it_holds_every_point_of_every_run_in_order(self, store):
        runs = filled(store)

        rows = list(store.points(runs))

        assert len(rows) == 3 * 5 * 2
        assert [row.value for row in rows if row.key == "loss"] == [
            number + step / 10 for number in range(3) for step in range(5)
        ]
        assert rows[0] == (runs[0].reference, None, "loss", 0, MOMENT, 0.0)

    def test_runs_are_a_page_names_runs_or_one_of_them_and_each_counts_once(self, store):
        runs = filled(store)
        first = runs[0].reference

        assert store.points(store.list()).runs == tuple(one.reference for one in runs[::-1])
        assert store.points("many#1").runs == (first,)
        assert store.points(runs[0]).runs == (first,)
        assert len(store.points(["many#1", runs[0], first])) == 10
        assert len(store.points([])) == 0

    def test_keys_are_one_several_or_a_pattern(self, store):
        runs = filled(store)

        assert store.points(runs, "loss").keys == ("loss",)
        assert store.points(runs, ["loss", "val/*"]).keys == ("loss", "val/loss")
        assert store.points(runs, "*loss").keys == ("loss", "val/loss")
        assert store.points(runs).keys == ("loss", "val/loss")

    def test_brackets_in_a_key_are_no_pattern(self, store):
        with store.start("many", capture=False) as run:
            run.log({"acc[0]": 1.0, "acc0": 2.0})

        assert store.points(run.record, "acc[0]").keys == ("acc[0]",)

    def test_a_key_that_some_runs_lack_is_fine_and_one_of_none_is_told(self, store):
        runs = filled(store, 2)
        with store.start("many", capture=False) as run:
            run.log(accuracy=1.0)

        assert store.points([*runs, run], "accuracy").runs == (run.reference,)
        with pytest.raises(NotFoundError, match="Did you mean 'accuracy'"):
            store.points([*runs, run], ["loss", "acuracy"])
        with pytest.raises(NotFoundError, match="They have: loss, val/loss"):
            store.points(runs, "zzz/*")

    def test_a_run_of_another_store_is_not_found(self, store):
        with temporary_store() as other, pytest.raises(RunNotFoundError, match="is not in"):
            store.points(filled(other))

    def test_sets_are_a_column_and_found_by_name(self, store):
        with store.start("sets", params=[{"name": "a"}, {"name": "b"}], capture=False) as run:
            run.log(loss=0.0)
            run.of_set("a").log(loss=1.0)
            run.of_set("b").log(loss=2.0)

        def found(keys):
            return [(row.set, row.value) for row in store.points(run, keys)]

        assert found("loss") == found(None) == [(None, 0.0), ("a", 1.0), ("b", 2.0)]
        assert found("b/loss") == [("b", 2.0)]

    def test_a_run_that_is_going_on_is_read_up_to_its_last_point(self, store, location):
        done = filled(store, 1)
        run = store.start("many", capture=False)
        run.log(loss=0.5)
        run.log(loss=0.25)
        with Store.open(location) as other:
            table = other.points([*done, run.reference], "loss")
            assert [row.value for row in table][-2:] == [0.5, 0.25]
            with pytest.raises(NotFoundError, match="'los'"):
                other.points(run.reference, "los")
        run.finish()

    def test_points_of_database_and_spool_are_one_series(self, store):
        run = store.start("many", capture=False)
        count = 300_000
        run.log_points("loss", [float(step) for step in range(count)])
        (path, *_) = store.backend.spool.point_files(run.uid)
        store.backend.metrics.absorb(path)

        table = store.points(run, "loss")  # without samples of the system

        assert store.backend.spool.point_files(run.uid)
        assert np.array_equal(table.to_pandas().value, np.arange(count))
        run.finish()

    def test_runs_of_one_reference_are_told_apart(self, store):
        runs = filled(store, 2)
        with store.backend.database.driver.write() as connection:
            connection.execute("UPDATE runs SET reference = ?", (runs[0].reference,))
        twins = [store.get(run.uid) for run in runs]

        assert store.points(twins).runs == tuple(
            f"{runs[0].reference} ({run.uid})" for run in runs
        )

    @pytest.mark.folder_only
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        points=st.lists(
            st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats(), st.integers(2**40, 2**41)),
            min_size=1,
            max_size=30,
        )
    )
    def test_any_point_comes_back_exactly(self, store, points):
        steps, values, times = zip(*points, strict=True)
        with store.start("exact", capture=False) as run:
            run.log_points("x", values, steps=steps, times=[one / 1000 for one in times])
        table = store.points(run)
        series = run.record.metric("x")

        rows, frame, arrow = list(table), table.to_pandas(), table.to_arrow()
        polars = table.to_polars()

        assert [row.step for row in rows] == list(steps) == frame.step.tolist()
        assert arrow["step"].to_pylist() == polars["step"].to_list() == list(steps)
        assert bits([row.value for row in rows]) == bits(series.values) == bits(frame.value)
        assert bits(arrow["value"].to_numpy()) == bits(polars["value"].to_numpy())
        assert arrow["time"].to_pylist() == [row.time for row in rows] == list(frame.time)
        assert polars["time"].to_list() == [row.time for row in rows]


class TestSampling:
    def test_a_long_series_keeps_ends_and_extremes_and_a_short_one_all(self, store):
        with store.start("many", capture=False) as run:
            run.log_points("long", [float(step % 97) for step in range(3 * POINTS_AT_MOST)])
            run.log_points("short", [1.0, 2.0])
        record = run.record

        rows = list(store.points(run, limit=50))

        sample = record.metric("long").sampled(50)
        assert [row.value for row in rows if row.key == "long"] == list(sample.values)
        assert [row.step for row in rows if row.key == "long"] == list(sample.steps)
        assert [row.value for row in rows if row.key == "short"] == [1.0, 2.0]

    def test_too_few_points_make_no_sample(self, store):
        with pytest.raises(UsageError, match="4 or more"):
            store.points([], limit=3)

    @given(st.lists(st.sampled_from([*STRANGE, 0.0, -1.0]), min_size=5, max_size=60))
    def test_with_and_without_numpy_a_sample_is_the_same(self, values):
        steps = range(len(values))
        plain = Series("x", array("q", steps), array("d", steps), array("d", values)).sampled(9)
        quick = Series("x", np.array(steps), np.array(steps), np.array(values)).sampled(9)

        assert list(plain.steps) == list(quick.steps)
        assert bits(plain.values) == bits(quick.values)


class TestLibraries:
    @pytest.fixture
    def table(self, store):
        with store.start("lib", params=[{"name": "a"}, {"name": "b"}], capture=False) as run:
            run.log_points("x", STRANGE, steps=[5, 3, 3, 0, -1, 2**62], times=[MOMENT] * 6)
            run.of_set("b").log(loss=0.5, time=MOMENT)
        return store.points([*filled(store, 2), run])

    def test_pandas_has_categories_whole_steps_and_times(self, table):
        import pandas as pd

        frame = table.to_pandas()

        assert list(frame.columns) == ["run", "set", "key", "step", "time", "value"]
        assert isinstance(frame["run"].dtype, pd.CategoricalDtype)
        assert str(frame["time"].dtype) == "datetime64[us, UTC]"
        assert frame["step"].dtype == np.int64
        assert [tuple(row)[:4] for row in frame.itertuples(index=False)] == [
            (row.run, row.set or pytest.approx(math.nan, nan_ok=True), row.key, row.step)
            for row in table
        ]

    def test_a_data_frame_may_be_changed(self, table):
        frame = table.to_pandas()
        frame.loc[:, "value"] = 7.0
        frame.loc[:, "step"] = 7

        assert [row.step for row in table] != [7] * len(table)
        assert [row.value for row in table] != [7.0] * len(table)

    def test_polars_and_arrow_have_the_same_rows_and_dictionaries(self, table):
        import polars as pl
        import pyarrow as pa

        polars, arrow = table.to_polars(), table.to_arrow()

        plain = comparable(table)
        assert comparable(polars.rows()) == plain
        assert comparable(tuple(row.values()) for row in arrow.to_pylist()) == plain
        assert [polars.schema[name] for name in ("run", "set", "key")] == [pl.Categorical] * 3
        assert all(pa.types.is_dictionary(arrow.schema.field(n).type) for n in ("run", "set"))
        assert polars.schema["time"] == pl.Datetime("us", "UTC")
        arrow.validate(full=True)

    def test_a_table_of_nothing_has_its_columns(self, store):
        table = store.points([])

        assert list(table) == []
        assert table.to_pandas().dtypes["value"] == np.float64
        assert table.to_polars().schema == store.points(filled(store)).to_polars().schema
        assert table.to_arrow().schema == store.points("many#1").to_arrow().schema
        assert table.to_pandas(wide=True).empty

    def test_more_labels_than_a_byte_counts_are_told_apart(self, store):
        with store.start("keys", capture=False) as run:
            run.log({f"k{number:03}": number for number in range(200)})
        table = store.points(run)

        expected = [f"k{number:03}" for number in range(200)]
        assert table.to_arrow()["key"].to_pylist() == expected
        assert list(table.to_pandas()["key"]) == table.to_polars()["key"].to_list() == expected

    @pytest.mark.folder_only
    def test_without_any_library_rows_are_there_and_the_extra_is_named(self, store, location):
        filled(store, 1, 1)

        ended = subprocess.run(
            [sys.executable, "-S", "-c", ONE_POINT, str(location)],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": "src"},
        )

        assert ended.stdout.splitlines() == [
            "[('loss', 0.0), ('val/loss', 0.0)]",
            "False",
            *(
                f"{name} is not installed. In a checkout of runstore, install it with: pip install"
                f" '.[{extra}]'"
                for name, extra in (
                    ("pandas", "pandas"),
                    ("polars", "polars"),
                    ("pyarrow", "arrow"),
                )
            ),
        ]


class TestWide:
    def test_one_key_gives_a_column_a_run(self, store):
        runs = filled(store, 2, 3)

        frame = store.points(runs, "loss").to_pandas(wide=True)

        assert list(frame.columns) == [run.reference for run in runs]
        assert frame.index.name == "step"
        assert frame.to_numpy().tolist() == [[0.0, 1.0], [0.1, 1.1], [0.2, 1.2]]

    def test_a_step_that_is_missing_is_nan_and_the_last_of_several_counts(self, store):
        with store.start("many", capture=False) as one:
            one.log_points("x", [1.0, 2.0, 3.0], steps=[4, 0, 4])
        with store.start("many", capture=False) as two:
            two.log_points("x", [5.0], steps=[7])

        frame = store.points([one, two]).to_pandas(wide=True)

        assert list(frame.index) == [0, 4, 7]
        assert frame[one.reference].dropna().tolist() == [2.0, 3.0]
        assert frame[two.reference].dropna().tolist() == [5.0]

    def test_several_keys_and_sets_are_levels_of_the_columns(self, store):
        with store.start("sets", params=[{"name": "a"}, {"name": "b"}], capture=False) as run:
            run.log(loss=0.0)
            run.of_set("b").log(loss=1.0, acc=2.0)

        frame = store.points(run).to_pandas(wide=True)

        assert frame.columns.names == ["key", "run", "set"]
        assert frame["acc"][run.reference]["b"].tolist() == [2.0]
        assert frame["loss"][run.reference].loc[0].to_dict() == {"": 0.0, "b": 1.0}

    def test_times_count_to_the_microsecond(self, store):
        with store.start("many", capture=False) as run:
            run.log(x=1.0, time=MOMENT + timedelta(microseconds=1))

        (row,) = store.points(run)
        assert row.time == MOMENT + timedelta(microseconds=1)


@pytest.mark.parametrize("column", [array, lambda code, values: np.array(values, code)])
def test_a_series_is_its_values_for_numpy(column):
    values = [0.5, math.nan, 2.0]
    series = Series("x", column("q", [0, 1, 2]), column("d", [0.0] * 3), column("d", values))

    made = np.asarray(series)

    assert (made.dtype, made.shape) == (np.dtype("f8"), (3,))
    np.testing.assert_array_equal(made, values)
    assert np.asarray(series, np.float32).dtype == np.float32
    assert float(np.nanmean(series)) == 1.25
    copied = np.array(series)
    copied[0] = 7
    assert next(iter(series)) == (0, 0.0, 0.5)
