"""Tables of runs that are read in parts, and never as a whole."""

import io
import math
from dataclasses import dataclass, field
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore.errors import ConflictError
from runstore.model.params.build import parameter_set
from runstore.model.run import Run
from runstore.model.status import Status
from runstore.reading.runs_table import RunsTable
from runstore.reading.tables import streamed
from runstore.reading.tables.columns import Type
from runstore.reading.tables.streamed import StreamedRuns, write_parquet

NOW = datetime(2026, 11, 23, tzinfo=timezone.utc)


def run_of(number, params, tags=()):
    sets = (parameter_set(params),) if isinstance(params, dict) else tuple(params)
    return Run(
        uid=str(number),
        experiment_name="e",
        run_number=number + 1,
        reference=f"e_{number + 1}",
        timestamp="",
        status=Status.COMPLETE,
        started_at=NOW,
        parameter_sets=sets,
        tags=dict.fromkeys(tags, ""),
    )


@dataclass
class Parts:
    """Runs in parts of a size; counts how often and how far they are read."""

    runs: list
    size: int
    metrics: dict = field(default_factory=dict)
    begun: int = 0

    def __call__(self):
        self.begun += 1
        for place in range(0, len(self.runs), self.size) or (0,):
            yield self.runs[place : place + self.size], self.metrics


def whole_of(parts, types):
    """Return the values of all parts, by column."""
    found = {name: [] for name in types}
    for part in parts:
        for name, column in part.columns.items():
            assert column.type is types[name]
            found[name] += column.values
    return found


def as_text(columns):
    """Values with their types; NaN is equal to itself."""
    return {name: [repr(one) for one in values] for name, values in columns.items()}


values = st.one_of(
    st.integers(-(2**70), 2**70),
    st.integers(-3, 3),
    st.floats(width=16),
    st.booleans(),
    st.none(),
    st.sampled_from(["adam", "1", ""]),
)
params = st.dictionaries(st.sampled_from(["lr", "opt", "n"]), values, max_size=3)


@given(st.lists(params, max_size=7), st.integers(1, 3), st.booleans(), st.booleans())
def test_parts_together_are_the_whole_table(all_params, size, keeps, sets):
    runs = [run_of(place, one, tags=["a"] * (place % 2)) for place, one in enumerate(all_params)]
    metrics = {run.uid: {(None, f"m{place % 3}"): place / 7} for place, run in enumerate(runs)}
    parts = Parts(runs, size, metrics)
    whole = RunsTable([(runs, metrics)], sets=sets)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(streamed, "_KEPT_ROWS", 1_000 if keeps else -1)

        table = StreamedRuns(parts, sets=sets)
        found = whole_of(table.parts(table.types), table.types)

    assert table.types == {name: one.type for name, one in whole.columns.items()}
    assert as_text(found) == as_text({name: one.values for name, one in whole.columns.items()})
    assert (table.count, parts.begun) == (len(runs), 1 if keeps else 2)


def test_a_part_at_a_time_is_read(monkeypatch):
    monkeypatch.setattr(streamed, "_KEPT_ROWS", 2)
    parts = Parts([run_of(number, {"lr": number}) for number in range(9)], 3)
    table = StreamedRuns(parts, sets=False)

    rows = table.parts({"params.lr": table.types["params.lr"], "params.none": Type.TEXT})

    first = next(rows)
    assert list(first.columns["params.lr"].values) == [0, 1, 2]
    assert list(first.columns["params.none"].values) == [None] * 3
    assert parts.begun == 2


def test_a_type_that_changes_meanwhile_is_an_error(monkeypatch):
    monkeypatch.setattr(streamed, "_KEPT_ROWS", -1)
    runs = [run_of(0, {"lr": 1}), run_of(1, {"lr": 2})]
    table = StreamedRuns(Parts(runs, 1), sets=False)
    runs[1] = run_of(1, {"lr": "fast"})

    with pytest.raises(ConflictError, match=r"params\.lr changed"):
        list(table.parts(table.types))


def test_parquet_is_written_in_row_groups(monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(streamed, "_GROUP_ROWS", 4)
    table = StreamedRuns(
        Parts([run_of(number, {"lr": number / 2}) for number in range(10)], 2), sets=False
    )
    file = io.BytesIO()

    write_parquet(table.parts(table.types), file)

    read = parquet.ParquetFile(io.BytesIO(file.getvalue()))
    groups = [read.metadata.row_group(place).num_rows for place in range(read.num_row_groups)]
    assert groups == [4, 4, 2]
    assert math.fsum(read.read()["params.lr"].to_pylist()) == 22.5


def test_an_empty_table_has_its_columns():
    parquet = pytest.importorskip("pyarrow.parquet")
    table = StreamedRuns(Parts([], 1), sets=True)
    file = io.BytesIO()

    write_parquet(table.parts(table.types), file)

    read = parquet.read_table(io.BytesIO(file.getvalue()))
    assert (read.num_rows, read.column_names) == (0, list(table.types))
