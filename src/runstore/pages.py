"""Page: part of a list, and the cursor that leads to the next part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from runstore.errors import UsageError
from runstore.model.legible import duration_text, local_time
from runstore.model.run import Run

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from runstore.runs_table import RunsTable

T = TypeVar("T")
_HEADERS = ("run", "status", "started", "took", "parameters", "notes")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Part of a list, newest first.

    Attributes:
        items: What is on the page.
        next: Pass it as `after` to get the page that follows; None at the end.
    """

    items: tuple[T, ...]
    next: str | None = None

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> T:
        return self.items[index]

    def to_pandas(self, *, sets: bool = False) -> pd.DataFrame:
        """Return the runs as a `pandas.DataFrame`: fields, `params.…`, `metrics.…`, `tags.…`.

        Args:
            sets: A row for each parameter set of a run, instead of one for each run.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return self.table(sets=sets).to_pandas()

    def to_polars(self, *, sets: bool = False) -> pl.DataFrame:
        """Return the runs as a `polars.DataFrame`; see `to_pandas`."""
        return self.table(sets=sets).to_polars()

    def to_arrow(self, *, sets: bool = False) -> pa.Table:
        """Return the runs as a `pyarrow.Table`; see `to_pandas`."""
        return self.table(sets=sets).to_arrow()

    def table(self, *, sets: bool = False) -> RunsTable:
        """Return the runs as columns; see `to_pandas`."""
        from runstore.runs_table import RunsTable

        runs = [one for one in self.items if isinstance(one, Run)]
        source: Any = next((run.source for run in runs if run.source is not None), None)
        metrics = source.last_values(runs) if source is not None else {}
        return RunsTable(runs, metrics, sets=sets)

    def __rich_repr__(self) -> Iterator[Any]:
        """Yield what `rich` prints; it calls this by itself. Source: rich 13, Repr protocol."""
        yield from self.items

    def _repr_html_(self) -> str:
        """Return what a notebook shows; it calls this by itself."""
        head = _html_row("th", _HEADERS) if any(isinstance(one, Run) for one in self.items) else ""
        return (
            f"<table>{head}{''.join(_html_row('td', _cells(one)) for one in self.items)}</table>"
        )


def _cells(item: object) -> Sequence[str]:
    if not isinstance(item, Run):
        return (repr(item),)
    sets = item.parameter_sets
    return (
        item.reference,
        item.status.value,
        local_time(item.started_at),
        "" if item.duration is None else duration_text(item.duration),
        sets[0].preview() if len(sets) == 1 else ", ".join(one.name for one in sets),
        item.notes or "",
    )


def _html_row(tag: str, texts: Sequence[str]) -> str:
    import html

    cells = (f"<{tag} style='text-align:left'>{html.escape(text)}</{tag}>" for text in texts)
    return f"<tr>{''.join(cells)}</tr>"


def read_cursor(after: str) -> tuple[int, int]:
    """Return the key that `write_cursor` put into a text."""
    first, _, row_id = after.rpartition("-")
    try:
        return int(first), int(row_id)
    except ValueError:
        raise UsageError(
            f"{after!r} is not the `next` of a page.", hint="Leave it out to begin anew."
        ) from None


def write_cursor(key: tuple[int, int]) -> str:
    """Return the key of a page's last run as text."""
    return "{}-{}".format(*key)
