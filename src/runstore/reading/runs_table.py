"""Runs as one wide table with a row per run, for data frames."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from runstore.extras import library
from runstore.model.metrics import names_of
from runstore.model.query.evaluate import TRUTH, Cell, shown_text
from runstore.model.query.exact import exact_value
from runstore.model.run import Run

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


class Type(Enum):
    """The type of a column, for pandas, polars and arrow.

    Numbers that fit neither 64 bits nor a double are `EXACT`: text in libraries without such
    numbers.
    """

    TEXT = ("string", "String", "string")
    WHOLE = ("Int64", "Int64", "int64")
    NUMBER = ("float64", "Float64", "float64")
    EXACT = ("object", "String", "string")
    FLAG = ("boolean", "Boolean", "bool_")
    MOMENT = ("datetime64[us, UTC]", "Datetime", "timestamp")
    DURATION = ("timedelta64[us]", "Duration", "duration")


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        type: The type of its values.
        values: One per row; None if a run has none.
    """

    type: Type
    values: Sequence[Any]


_FIELDS: tuple[tuple[str, Type, Callable[[Run], Any]], ...] = (
    ("run", Type.TEXT, lambda run: run.reference),
    ("uid", Type.TEXT, lambda run: run.uid),
    ("experiment", Type.TEXT, lambda run: run.experiment_name),
    ("run_number", Type.WHOLE, lambda run: run.run_number),
    ("status", Type.TEXT, lambda run: run.status.value),
    ("started", Type.MOMENT, lambda run: run.started_at),
    ("ended", Type.MOMENT, lambda run: run.ended_at),
    ("duration", Type.DURATION, lambda run: run.duration),
    ("exit_code", Type.WHOLE, lambda run: run.exit_code),
    ("error", Type.TEXT, lambda run: run.error),
    ("notes", Type.TEXT, lambda run: run.notes),
    ("commit", Type.TEXT, lambda run: run.commit),
    ("dirty", Type.FLAG, lambda run: run.workdir_dirty),
    ("command", Type.TEXT, lambda run: run.cli),
    ("hostname", Type.TEXT, lambda run: run.hostname),
)


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

    def to_parquet(self, columns: Sequence[str]) -> bytes:
        """Return a Parquet file of these columns.

        Raises:
            MissingExtraError: pyarrow is not installed.
        """
        table = self.to_arrow().select(list(columns))
        file = io.BytesIO()
        library("pyarrow.parquet", "arrow").write_table(table, file)
        return file.getvalue()


class RunsTable(Table):
    """Runs as columns: their fields, then parameters, metrics (the last value) and tags.

    Args:
        parts: Runs in parts, in the order of the rows, with their last values by uid.
        sets: Whether there is a row for each parameter set, instead of one for each run. With a
            row per run, it has the parameters that are equal in all sets.

    Attributes:
        columns: By name, in order: `params.lr`, `metrics.loss`, `tags.phase` …
    """

    def __init__(self, parts: Iterable[tuple[Sequence[Run], LastValues]], *, sets: bool) -> None:
        fields: list[list[Any]] = [[] for _ in _FIELDS]
        names: list[str | None] = []
        params, values, tags = _Cells(), _Cells(), _Cells()
        count = 0
        for runs, metrics in parts:
            for run, at in _rows(runs, sets=sets):
                for column, (_, _, read) in zip(fields, _FIELDS, strict=True):
                    column.append(read(run))
                names.append(None if at is None else run.parameter_sets[at].name)
                params.add(count, {key: _packed(one) for key, one in params_of(run, at).items()})
                values.add(count, metrics_of(run, at, metrics.get(run.uid, {})))
                tags.add(count, run.tags)
                count += 1
        self.columns: dict[str, Column] = {
            name: Column(kind, cells)
            for (name, kind, _), cells in zip(_FIELDS, fields, strict=True)
        }
        if sets:
            self.columns["set"] = Column(Type.TEXT, names)
        for key, cells in params.of_all(count):
            self.columns[f"params.{key}"] = _column([_unpacked(cell) for cell in cells])
        for key, cells in values.of_all(count):
            self.columns[f"metrics.{key}"] = Column(Type.NUMBER, cells)
        for key, cells in tags.of_all(count):
            self.columns[f"tags.{key}"] = Column(Type.TEXT, cells)


# Most parameters of many runs are numbers, which need half the memory on their own.
def _packed(cell: Cell) -> Cell | float:
    number, text = cell
    return number if number is not None and text is None else cell


def _unpacked(cell: Cell | float | None) -> Cell | None:
    return cell if cell is None or isinstance(cell, tuple) else (cell, None)


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


def _column(cells: Sequence[Cell | None]) -> Column:
    """Return a parameter's column: numbers or booleans if all values are, else texts."""
    known = [cell for cell in cells if cell is not None and cell != (None, None)]
    if known and all(cell[0] is not None and cell[1] in TRUTH for cell in known):
        return Column(Type.FLAG, [None if cell is None else cell[1] == TRUTH[1] for cell in cells])
    if known and all(_is_number(cell) for cell in known):
        return number_column([None if cell is None else _number(cell) for cell in cells])
    return Column(Type.TEXT, [None if cell is None else shown_text(cell) for cell in cells])


def _is_number(cell: Cell) -> bool:
    number, text = cell
    return text == "nan" if number is None else text not in TRUTH


def _number(cell: Cell) -> float | None:
    return float("nan") if cell == (None, "nan") else exact_value(cell)


def number_column(values: Sequence[float | None]) -> Column:
    """Return a lossless column of numbers: integers beyond a double stay exact."""
    whole = [one for one in values if isinstance(one, int)]
    if not whole:
        return Column(Type.NUMBER, values)
    known = [one for one in values if one is not None]
    if all(-(2**63) <= one < 2**63 and one == int(one) for one in known):
        return Column(Type.WHOLE, [None if one is None else int(one) for one in values])
    return Column(Type.EXACT, values)


def _as_kept(column: Column) -> list[Any]:
    """Return values for libraries without numbers of this size."""
    if column.type is not Type.EXACT:
        return list(column.values)
    return [None if one is None else str(one) for one in column.values]  # noqa: PD011 - no array
