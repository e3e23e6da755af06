"""Runs as a table of any length: long ones are read twice, first for the columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from runstore.errors import ConflictError
from runstore.extras import library
from runstore.reading.runs_table import GatheredRuns, LastValues, Table
from runstore.reading.tables.columns import Column, ParamType, Type

if TYPE_CHECKING:
    from runstore.model.query.evaluate import Cell
    from runstore.model.query.tree import Field
    from runstore.model.run import Run

# Rows of a row group; engines read one at a time.
_GROUP_ROWS = 20_000
# Up to so many rows are kept in memory, and not read again.
_KEPT_ROWS = 10_000

_NO_FIELDS: Mapping[str, Field] = {}
_Parts = Iterable[tuple["Sequence[Run]", LastValues]]


class RunsPart(Table):
    """Some rows of a table."""

    def __init__(self, columns: dict[str, Column]) -> None:
        self.columns = columns


class StreamedRuns:
    """Runs as columns, of which one part at a time is in memory.

    Args:
        parts: Return the runs in parts, with their last values, each time from the beginning.
        sets: Whether there is a row for each parameter set.
        fields: Further columns, by name.
    """

    def __init__(
        self, parts: Callable[[], _Parts], *, sets: bool, fields: Mapping[str, Field] = _NO_FIELDS
    ) -> None:
        self._parts, self._sets, self._fields = parts, sets, fields
        self._params: dict[str, ParamType] = {}
        self.count = 0
        self._kept: list[GatheredRuns] | None = []
        own: dict[str, Type] = {}
        metrics: dict[str, None] = {}
        tags: dict[str, None] = {}
        for part in self._gathered():
            self.count += part.count
            self._keep(part)
            own = {name: one.type for name, one in part.own_columns().items()}
            for name, cells in part.params.of_all(part.count):
                self._params.setdefault(name, ParamType()).add(cells)
            metrics.update(dict.fromkeys(key for key, _ in part.metrics.of_all(0)))
            tags.update(dict.fromkeys(key for key, _ in part.tags.of_all(0)))
        self.types: dict[str, Type] = {
            **own,
            **{name: one.type for name, one in self._params.items()},
            **{f"metrics.{key}": Type.NUMBER for key in metrics},
            **{f"tags.{key}": Type.TEXT for key in tags},
        }

    def _keep(self, part: GatheredRuns) -> None:
        if self._kept is not None and self.count <= _KEPT_ROWS:
            self._kept.append(part)
        else:
            self._kept = None

    def _gathered(self) -> Iterator[GatheredRuns]:
        for part in self._parts():
            yield GatheredRuns([part], sets=self._sets, fields=self._fields)

    def parts(self, types: Mapping[str, Type]) -> Iterator[RunsPart]:
        """Yield the rows of some columns, in parts.

        Raises `ConflictError` if a value of another type was added since the types were read.
        """
        for part in self._gathered() if self._kept is None else self._kept:
            cells = part.own_columns()
            for name, values in part.params.of_all(part.count):
                if name in types:
                    cells[name] = self._param(name, values)
            for key, values in part.metrics.of_all(part.count):
                cells[f"metrics.{key}"] = Column(Type.NUMBER, values)
            for key, values in part.tags.of_all(part.count):
                cells[f"tags.{key}"] = Column(Type.TEXT, values)
            yield RunsPart({
                name: cells.get(name) or Column(kind, [None] * part.count)
                for name, kind in types.items()
            })  # fmt: skip

    def _param(self, name: str, cells: Sequence[Cell | float | None]) -> Column:
        """Return the cells of a column, with the type of all its cells."""
        kind = self._params[name]
        kind.add(cells)
        if kind.type is not self.types[name]:
            raise ConflictError(
                f"The type of {name} changed while the runs were read.",
                kept="Only the first rows were written.",
                hint="Repeat the command.",
            )
        return kind.column(cells)


def write_parquet(parts: Iterable[Table], file: BinaryIO) -> None:
    """Write parts of a table to a Parquet file, in row groups.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    arrow, parquet = library("pyarrow", "arrow"), library("pyarrow.parquet", "arrow")
    writer = None
    waiting: list[Any] = []
    try:
        for part in parts:
            waiting.append(part.to_arrow())
            if writer is None:
                writer = parquet.ParquetWriter(file, waiting[0].schema)
            if sum(map(len, waiting)) >= _GROUP_ROWS:
                writer.write_table(arrow.concat_tables(waiting))
                waiting = []
        if writer is not None and waiting:
            writer.write_table(arrow.concat_tables(waiting))
    finally:
        if writer is not None:
            writer.close()
