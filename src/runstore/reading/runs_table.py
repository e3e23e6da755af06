"""Runs as one wide table with a row per run, for data frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runstore.extras import library
from runstore.model.logged.metric_names import names_of
from runstore.model.query.evaluate import Cell
from runstore.model.run import Run, status_word, time_of
from runstore.reading.tables.columns import Column, ParamType, Type, packed

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from runstore.model.query.tree import Field


_FIELDS: tuple[tuple[str, Type, Callable[[Run], Any]], ...] = (
    ("run", Type.TEXT, lambda run: run.reference),
    ("uid", Type.TEXT, lambda run: run.uid),
    ("experiment", Type.TEXT, lambda run: run.experiment_name),
    ("run_number", Type.WHOLE, lambda run: run.run_number),
    ("status", Type.TEXT, status_word),
    ("started", Type.MOMENT, lambda run: time_of(run, "started_at")),
    ("ended", Type.MOMENT, lambda run: time_of(run, "ended_at")),
    ("duration", Type.DURATION, lambda run: run.duration),
    ("exit_code", Type.WHOLE, lambda run: run.exit_code),
    ("error", Type.TEXT, lambda run: run.error),
    ("notes", Type.TEXT, lambda run: run.notes),
    ("commit", Type.TEXT, lambda run: run.commit),
    ("dirty", Type.FLAG, lambda run: run.workdir_dirty),
    ("command", Type.TEXT, lambda run: run.cli),
    ("hostname", Type.TEXT, lambda run: run.hostname),
)


_NO_FIELDS: Mapping[str, Field] = {}
# The last value of each metric, by parameter set and key, for each uid.
LastValues = Mapping[str, Mapping[tuple["str | None", str], float]]


class Table:
    """Columns of one length, for data frames and files.

    Attributes:
        columns: By name, in order; at least one.
    """

    columns: dict[str, Column]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())).values)

    def to_pandas(self) -> pd.DataFrame:
        """Return a `pandas.DataFrame`; missing values are `NA`, `NaT` or NaN.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        pandas = library("pandas", "pandas")
        frame: pd.DataFrame = pandas.DataFrame(
            {
                name: pandas.Series(column.values, dtype=column.type.value[0])
                for name, column in self.columns.items()
            }
        )
        return frame

    def to_polars(self) -> pl.DataFrame:
        """Return a `polars.DataFrame`; missing values are null.

        Raises:
            MissingExtraError: polars is not installed.
        """
        polars = library("polars", "polars")
        special = {
            Type.MOMENT: polars.Datetime("us", "UTC"),
            Type.DURATION: polars.Duration("us"),
        }
        frame: pl.DataFrame = polars.DataFrame(
            [
                polars.Series(
                    name,
                    _as_kept(column),
                    dtype=special.get(column.type) or getattr(polars, column.type.value[1]),
                )
                for name, column in self.columns.items()
            ]
        )
        return frame

    def to_arrow(self) -> pa.Table:
        """Return a `pyarrow.Table`; missing values are null.

        Raises:
            MissingExtraError: pyarrow is not installed.
        """
        arrow = library("pyarrow", "arrow")
        special = {
            Type.MOMENT: arrow.timestamp("us", tz="UTC"),
            Type.DURATION: arrow.duration("us"),
        }
        return arrow.table(
            {
                name: arrow.array(
                    _as_kept(column),
                    special.get(column.type) or getattr(arrow, column.type.value[2])(),
                )
                for name, column in self.columns.items()
            }
        )


class RunsTable(Table):
    """Runs as columns: their fields, then parameters, metrics (the last value) and tags.

    Args:
        parts: Runs in parts, in the order of the rows, with their last values by uid.
        sets: Whether there is a row for each parameter set, instead of one for each run. With a
            row per run, it has the parameters that are equal in all sets.

        fields: Further columns, by name.

    Attributes:
        columns: By name, in order: `params.lr`, `metrics.loss`, `tags.phase` …
    """

    def __init__(
        self,
        parts: Iterable[tuple[Sequence[Run], LastValues]],
        *,
        sets: bool,
        fields: Mapping[str, Field] = _NO_FIELDS,
    ) -> None:
        self.columns = GatheredRuns(parts, sets=sets, fields=fields).columns()


class GatheredRuns:
    """The cells of runs, before the types of their parameters are known.

    `params` and further columns are by name of the column, `metrics` and `tags` by key.

    Args:
        parts: Runs in parts, with their last values by uid.
        sets: Whether there is a row for each parameter set.
        fields: Further columns, by name.
    """

    def __init__(
        self,
        parts: Iterable[tuple[Sequence[Run], LastValues]],
        *,
        sets: bool,
        fields: Mapping[str, Field] = _NO_FIELDS,
    ) -> None:
        self._more = fields
        self._fields: list[list[Any]] = [[] for _ in _FIELDS]
        self._names: list[str | None] | None = [] if sets else None
        self.params, self.metrics, self.tags = _Cells(), _Cells(), _Cells()
        self.count = 0
        for runs, last_values in parts:
            for run, at in _rows(runs, sets=sets):
                self._add(run, at, last_values)

    def _add(self, run: Run, at: int | None, last_values: LastValues) -> None:
        for column, (_, _, read) in zip(self._fields, _FIELDS, strict=True):
            column.append(read(run))
        name = None if at is None else run.parameter_sets[at].name
        if self._names is not None:
            self._names.append(name)
        cells = {f"params.{key}": cell for key, cell in params_of(run, at).items()}
        values = last_values.get(run.uid, {})
        metrics = metrics_of(run, at, values)
        if self._more:
            cells.update(_cells_of(run, self._more, name, metrics, values))
        self.params.add(self.count, {column: packed(one) for column, one in cells.items()})
        self.metrics.add(self.count, metrics)
        self.tags.add(self.count, run.tags)
        self.count += 1

    def columns(self) -> dict[str, Column]:
        """Return all columns, by name, in order."""
        found = self.own_columns()
        for name, cells in self.params.of_all(self.count):
            kind = ParamType()
            kind.add(cells)
            found[name] = kind.column(cells)
        for key, cells in self.metrics.of_all(self.count):
            found[f"metrics.{key}"] = Column(Type.NUMBER, cells)
        for key, cells in self.tags.of_all(self.count):
            found[f"tags.{key}"] = Column(Type.TEXT, cells)
        return found

    def own_columns(self) -> dict[str, Column]:
        """Return the columns of the fields, which all runs have."""
        found: dict[str, Column] = {
            name: Column(kind, cells)
            for (name, kind, _), cells in zip(_FIELDS, self._fields, strict=True)
        }
        if self._names is not None:
            found["set"] = Column(Type.TEXT, self._names)
        return found


def _cells_of(
    run: Run,
    fields: Mapping[str, Field],
    set_name: str | None,
    metrics: dict[str, float],
    last_values: Mapping[tuple[str | None, str], float],
) -> Iterator[tuple[str, Cell]]:
    """Yield the cells of further columns; a metric among them is removed from `metrics`."""
    from runstore.reading.tables.field_columns import cell_of, is_last_value, joined_cell

    for name, field in fields.items():
        if not is_last_value(name, field):
            cell = cell_of(run, field, set_name)
        elif field.key in metrics:
            cell = joined_cell(field, [metrics.pop(field.key)])
        elif set_name is None:
            # A run that has the metric in parameter sets alone has one value for each of them.
            values = [value for (_, key), value in last_values.items() if key == field.key]
            cell = joined_cell(field, values)
        else:
            continue
        if cell is not None:
            yield name, cell


class _Cells:
    """The cells of optional columns, by key, in order of appearance."""

    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {}

    def add(self, row: int, cells: Mapping[str, Any]) -> None:
        """Add the cells of the next row."""
        for key, cell in cells.items():
            column = self._columns.setdefault(key, [])
            column += [None] * (row - len(column))
            column.append(cell)

    def of_all(self, rows: int) -> Iterator[tuple[str, list[Any]]]:
        """Yield each key and its column, with this number of rows."""
        for key, column in self._columns.items():
            yield key, column + [None] * (rows - len(column))


def _rows(runs: Iterable[Run], *, sets: bool) -> Iterator[tuple[Run, int | None]]:
    for run in runs:
        if sets and run.parameter_sets:
            yield from ((run, at) for at in range(len(run.parameter_sets)))
        else:
            yield run, None


def params_of(run: Run, at: int | None = None) -> dict[str, Cell]:
    """Return the parameters of a set of a run; without a set, those shared by all sets."""
    chosen = run.parameter_sets if at is None else run.parameter_sets[at : at + 1]
    found = [{key: (number, text) for key, number, text in one.flat()} for one in chosen]
    if len(found) < 2:  # noqa: PLR2004 - several
        return found[0] if found else {}
    return {
        key: cell
        for key, cell in found[0].items()
        if all(key in other and other[key] == cell for other in found[1:])
    }


def metrics_of(
    run: Run, at: int | None, values: Mapping[tuple[str | None, str], float]
) -> dict[str, float]:
    """Return last values by name; metrics of the set at `at` override those of the run."""
    own = None if at is None else run.parameter_sets[at].name
    if at is None:
        return dict(zip(names_of(list(values)), values.values(), strict=True))
    of_run = {key: value for (name, key), value in values.items() if name is None}
    return of_run | {key: value for (name, key), value in values.items() if name == own}


def _as_kept(column: Column) -> list[Any]:
    """Return values for libraries without numbers of this size."""
    if column.type is not Type.EXACT:
        return list(column.values)
    return [None if one is None else str(one) for one in column.values]  # noqa: PD011 - no array
