"""Pages as tables: of runs, with their parameters, metrics and tags, or of other items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from runstore.errors import StoreError
from runstore.model.display.formatting import counted, cropped
from runstore.model.display.html import ROWS_AT_MOST, html_paragraphs, html_sections, html_table
from runstore.model.display.text_table import text_table
from runstore.model.run import Run, start_text
from runstore.reading.shown.last_metrics import last_values_of
from runstore.reading.shown.listing import FURTHER, ListRow, list_columns, list_rows

if TYPE_CHECKING:
    from runstore.reading.runs_table import LastValues

_PARAMETERS_AT_MOST = 12
_CELL = 80


def page_html(items: Sequence[Any], hints: Sequence[str], *, more: str) -> str:
    """Return a page as HTML for a notebook."""
    said = html_paragraphs(hints)
    if not items:
        return html_sections([said, "<p>(empty)</p>"])
    table = html_table(*table_of(items[:ROWS_AT_MOST]), total=len(items))
    return html_sections([said, table, html_paragraphs([more] if more else [])])


def page_text(items: Sequence[Any], hints: Sequence[str], *, has_more: bool) -> str:
    """Return a page as text for an interactive session."""
    more = ", and there are more" if has_more else ""
    noun = "run" if all(isinstance(one, Run) for one in items) else "item"
    title = " ".join([f"<Page of {counted(len(items), noun)}{more}>", *hints])
    return text_table(*table_of(items[:ROWS_AT_MOST]), title=title, total=len(items))


def table_of(items: Sequence[Any]) -> tuple[Sequence[str], Iterator[Sequence[str]]]:
    """Return the headers and rows of runs or other items."""
    runs = [one for one in items if isinstance(one, Run)]
    if len(runs) < len(items):
        return ("",), ((repr(one),) for one in items)
    return _of_runs(runs)


def _of_runs(runs: Sequence[Run]) -> tuple[Sequence[str], Iterator[Sequence[str]]]:
    """Return the columns of a list on the command line, with absolute times."""
    rows = list_rows(runs, _last_values(runs))
    cells: dict[str, list[str]] = {}
    for one in list_columns(rows):
        is_further = one.rank >= FURTHER + _PARAMETERS_AT_MOST
        read = _started if one.name == "started" else one.cell
        texts = [cropped(read(row), _CELL) for row in rows]
        # Empty columns are omitted.
        if not is_further and any(texts):
            cells[one.header] = texts
    return list(cells), zip(*cells.values(), strict=True)


def _started(row: ListRow) -> str:
    return start_text(row.run)


def _last_values(runs: Sequence[Run]) -> LastValues:
    try:
        return last_values_of(runs)
    except StoreError:  # the rest of the table needs no store
        return {}
