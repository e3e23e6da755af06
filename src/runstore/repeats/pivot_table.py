"""Pivot: a pivot table as a value, a data frame, text to paste and in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from runstore.model.display.formatting import counted
from runstore.model.display.html import html_paragraphs, html_table
from runstore.repeats.pivot import PivotCell, PivotCells
from runstore.repeats.pivot_texts import (
    cell_text,
    pivot_as_csv,
    pivot_as_latex,
    pivot_as_markdown,
    table_rows,
)
from runstore.repeats.texts import frame, mean_as_plain, remarks_on_left_out

if TYPE_CHECKING:
    import pandas as pd


class Pivot(PivotCells):
    """A pivot table: the mean of repeats in each cell; see `Store.pivot`."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self.cells)

    def __repr__(self) -> str:
        return (
            f"<Pivot of {str(self.metric)!r}: {counted(len(self.rows), 'row')},"
            f" {counted(len(self.columns), 'column')}>"
        )

    def cell(self, row: int, column: int) -> PivotCell | None:
        """Return the cell at a place; None if no run belongs there."""
        return self.grid().get((row, column))

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences about reading the table, and about runs left out."""
        return tuple(self._remarks())

    def _remarks(self) -> Iterator[str]:
        most = max((len(one.settings) for one in self.cells), default=0)
        if most > 1 and self.several == "best":
            yield (
                f"Some cells hold several settings (up to {most}) and show the one with the best"
                " mean, which favors cells with many settings."
            )
        elif most > 1:
            yield (
                f"Some cells hold several settings (up to {most}): their intervals cover the"
                " spread between settings too."
            )
        if any(one.mean.n == 1 for one in self.cells):
            yield "A cell with a single value has no interval."
        if self.direction is None and len(self.cells) > 1:
            yield (
                f"Whether larger values of {self.metric.key} are better is not known, so no cell"
                " is marked as best."
            )
        yield from remarks_on_left_out(self.left_out)

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield each cell as plain values."""
        for one in self.cells:
            yield {
                **dict(zip(self.row_fields, self.rows[one.row].values, strict=True)),
                **dict(zip(self.column_fields, self.columns[one.column].values, strict=True)),
                **mean_as_plain(one.mean),
                "settings": len(one.settings),
                "mark": one.mark,
            }

    def to_pandas(self) -> pd.DataFrame:
        """Return a `pandas.DataFrame` with a row for each cell.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return frame(self.records())

    def to_markdown(self) -> str:
        """Return the table in Markdown; the best cell is bold."""
        return pivot_as_markdown(self)

    def to_latex(self) -> str:
        r"""Return the table in LaTeX, for the package booktabs; the best cell is bold."""
        return pivot_as_latex(self)

    def to_csv(self) -> str:
        """Return a line for each cell, with all digits."""
        return pivot_as_csv(self)

    def _repr_html_(self) -> str:
        """Return HTML for a notebook."""
        header = (*self.row_fields, *(" / ".join(one.labels) for one in self.columns))
        rows = ((*labels, *map(cell_text, cells)) for labels, cells in table_rows(self))
        return html_table(header, rows) + html_paragraphs(self.remarks)
