"""The points of many runs as one long table, for data frames."""

from __future__ import annotations

import importlib
from array import array
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from runstore.extras import library
from runstore.model.display.formatting import counted
from runstore.reading.metrics.arrays import has_numpy
from runstore.storage.rows import from_micros
from runstore.value_classes import NamedTuple

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

_CODES = (("b", 2**7), ("h", 2**15), ("i", 2**31))


class Point(NamedTuple):
    """One point of a metric of a run.

    Attributes:
        run: The run's reference.
        set: The parameter set; None for the run itself.
        key: The metric's key.
        step: The step.
        time: The time of logging (UTC).
        value: The value.
    """

    run: str
    set: str | None
    key: str
    step: int
    time: datetime
    value: float


class Stretch(NamedTuple):
    """Consecutive points of one series in a table.

    Attributes:
        run: The run's reference.
        set: The parameter set; None for the run itself.
        key: The metric's key.
        points: Number of points, at least one.
    """

    run: str
    set: str | None
    key: str
    points: int


class PointsTable:
    """The points of many runs, run by run and series by series, in the order of their logging.

    Its columns, in each library: `run` (reference), `set` (name, null for the run itself) and
    `key`, each dictionary-encoded; `step` (int64), `time` (UTC, microseconds), `value`
    (float64). Iterating yields a `Point` for each row, without any library.

    It uses 24 bytes per point. `Store.points` returns it.

    Attributes:
        runs: References of the runs with points, in the requested order.
        sets: Names of their parameter sets with points.
        keys: Keys with points, sorted.
    """

    def __init__(
        self,
        stretches: Sequence[Stretch],
        steps: array[int],
        times: array[int],
        values: array[float],
    ) -> None:
        self._stretches = tuple(stretches)
        self._steps, self._times, self._values = steps, times, values
        self.runs = tuple(dict.fromkeys(one.run for one in stretches))
        self.sets = tuple(dict.fromkeys(one.set for one in stretches if one.set is not None))
        self.keys = tuple(sorted({one.key for one in stretches}))

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Point]:
        for one, (begin, end) in zip(self._stretches, self._ends(), strict=True):
            for row in range(begin, end):
                time = from_micros(self._times[row])
                yield Point(one.run, one.set, one.key, self._steps[row], time, self._values[row])

    def __repr__(self) -> str:
        return (
            f"<PointsTable of {counted(len(self), 'point')}:"
            f" {counted(len(self.runs), 'run')}, {counted(len(self.keys), 'key')}>"
        )

    def to_pandas(self, *, wide: bool = False) -> pd.DataFrame:
        """Return a `pandas.DataFrame`, which is a copy.

        Args:
            wide: Whether to return one row per step and one column per run, for plots. Several
                keys are a level above the runs, sets a level below. If a step was logged twice,
                the last value is used; a missing step is NaN.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        pandas = library("pandas", "pandas")
        if wide:
            whole: pd.DataFrame = self._wide(pandas)
            return whole

        def coded(column: str) -> Any:
            labels, codes = self._coded(column)
            kinds = pandas.Index(labels, dtype=None if labels else "object")
            return pandas.Categorical.from_codes(_viewed(codes), categories=kinds)

        times = _viewed(self._times).view("datetime64[us]")
        frame: pd.DataFrame = pandas.DataFrame(
            {
                "run": coded("run"),
                "set": coded("set"),
                "key": coded("key"),
                "step": _viewed(self._steps).copy(),
                "time": pandas.DatetimeIndex(times, tz="UTC", copy=True),
                "value": _viewed(self._values).copy(),
            },
            copy=False,
        )
        return frame

    def _wide(self, pandas: Any) -> Any:
        import numpy as np

        steps, values = _viewed(self._steps), _viewed(self._values)
        parts = [steps[begin:end] for begin, end in self._ends()]
        rows = _united(parts)
        names = {(one.key, one.run, one.set or ""): None for one in self._stretches}
        columns = {name: place for place, name in enumerate(names)}
        # Column by column in memory, like pandas.
        cells = np.full((len(rows), len(columns)), np.nan, order="F")
        for one, part, (begin, end) in zip(self._stretches, parts, self._ends(), strict=True):
            column = cells[:, columns[one.key, one.run, one.set or ""]]
            if np.array_equal(part, rows):
                column[:] = values[begin:end]
            else:
                # Of several values for an index, numpy keeps the last.
                column[np.searchsorted(rows, part)] = values[begin:end]
        header = self._header(pandas, list(names))
        return pandas.DataFrame(cells, index=pandas.Index(rows, name="step"), columns=header)

    def _header(self, pandas: Any, names: list[tuple[str, str, str]]) -> Any:
        """Return the columns of a wide table, without levels of a single value."""
        parts = dict(zip(("key", "run", "set"), zip(*names, strict=True), strict=False))
        if len(self.keys) <= 1:
            parts.pop("key", None)
        if not self.sets:
            parts.pop("set", None)
        if len(parts) > 1:
            return pandas.MultiIndex.from_arrays(list(parts.values()), names=list(parts))
        return pandas.Index(parts.get("run", ()), name="run")

    def _ends(self) -> Iterator[tuple[int, int]]:
        """Yield the start and end of each stretch."""
        begin = 0
        for one in self._stretches:
            yield begin, begin + one.points
            begin += one.points

    def to_polars(self) -> pl.DataFrame:
        """Return a `polars.DataFrame`.

        Raises:
            MissingExtraError: polars is not installed.
        """
        polars = library("polars", "polars")

        def coded(column: str) -> Any:
            labels, codes = self._coded(column)
            # -1 is the last of the labels: null.
            kinds = polars.Series(column, [*labels, None], dtype=polars.Categorical)
            places = polars.Series(_viewed(codes)).cast(polars.Int64)
            return kinds.gather(places)

        moment = polars.Datetime("us", "UTC")
        frame: pl.DataFrame = polars.DataFrame(
            [
                coded("run"),
                coded("set"),
                coded("key"),
                polars.Series("step", _viewed(self._steps), dtype=polars.Int64),
                polars.Series("time", _viewed(self._times), dtype=polars.Int64).cast(moment),
                polars.Series("value", _viewed(self._values), dtype=polars.Float64),
            ]
        )
        return frame

    def to_arrow(self) -> pa.Table:
        """Return a `pyarrow.Table`, which shares the numbers with this table.

        Raises:
            MissingExtraError: pyarrow is not installed.
        """
        arrow = library("pyarrow", "arrow")

        def numbers(kind: Any, column: array[Any]) -> Any:
            return arrow.Array.from_buffers(kind, len(column), [None, arrow.py_buffer(column)])

        def coded(column: str) -> Any:
            labels, codes = self._coded(column)
            kind = {"b": arrow.int8(), "h": arrow.int16(), "i": arrow.int32()}[codes.typecode]
            places = numbers(kind, codes)
            if None in {getattr(one, column) for one in self._stretches}:
                compute = importlib.import_module("pyarrow.compute")
                is_there = compute.greater_equal(places, arrow.scalar(0, kind))
                places = compute.if_else(is_there, places, arrow.scalar(None, kind))
            return arrow.DictionaryArray.from_arrays(places, arrow.array(labels, arrow.string()))

        return arrow.table(
            {
                "run": coded("run"),
                "set": coded("set"),
                "key": coded("key"),
                "step": numbers(arrow.int64(), self._steps),
                "time": numbers(arrow.timestamp("us", tz="UTC"), self._times),
                "value": numbers(arrow.float64(), self._values),
            }
        )

    def _coded(self, column: str) -> tuple[list[str], array[int]]:
        """Return the labels of a column and the index of each point's label; -1 is null."""
        labels = list({"run": self.runs, "set": self.sets, "key": self.keys}[column])
        places: dict[str | None, int] = {label: place for place, label in enumerate(labels)}
        codes = array(next(kind for kind, room in _CODES if len(labels) <= room))
        for one in self._stretches:
            label: str | None = getattr(one, column)
            codes.extend(array(codes.typecode, [places.get(label, -1)]) * one.points)
        return labels, codes


def _viewed(column: array[Any]) -> Any:
    """Return a column as a numpy array that shares its memory; unchanged without numpy."""
    if not has_numpy():
        return column
    import numpy as np

    return np.asarray(column).view(f"{'f' if column.typecode == 'd' else 'i'}{column.itemsize}")


def _united(parts: Sequence[Any]) -> Any:
    """Return all distinct steps, sorted; most runs have the same ones."""
    import numpy as np

    different: list[Any] = []
    for part in parts:
        if not any(np.array_equal(part, known) for known in different[-1:]):
            different.append(part)
    return np.unique(np.concatenate([*different, np.empty(0, np.int64)]))
