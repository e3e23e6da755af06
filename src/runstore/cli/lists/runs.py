"""Lists of runs: a table on a terminal, tab-separated lines in a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from runstore.cli import output
from runstore.model.display.formatting import number_text, tags_text
from runstore.model.display.suggestions import some_of
from runstore.model.logged.metric_names import names_of
from runstore.model.run import start_text
from runstore.reading.shown.facts import lifetime_text
from runstore.reading.shown.last_metrics import last_values_of, telling_metrics

if TYPE_CHECKING:
    from runstore.model.query.tree import Order
    from runstore.model.run import Run
    from runstore.reading.runs_table import LastValues
    from runstore.reading.shown.listing import ListColumn

_NARROWEST = {
    "run": 14,
    "status": 11,
    "started": 10,
    "took": 8,
    "notes": 10,
    "tags": 8,
    "error": 20,
}
RUN_END = 6  # of a short name: its number
# The columns of a pipe do not depend on the runs, so that programs can select them by number.
_PIPED = ("run", "status", "started", "took", "parameters", "notes", "metrics", "tags")
_NAMED = 6  # maximum number of left-out columns to name


def print_runs(parts: Iterable[Sequence[Run]], order: Sequence[Order] = ()) -> None:
    """Print runs as they are read, so that a list of any length needs little memory."""
    if output.is_terminal():
        _print_on_terminal(iter(parts), order)
        return
    sort_keys = list(_sort_keys(order))
    table = output.table_of(
        [output.TableColumn(name) for name in (*_PIPED, *(name for name, _ in sort_keys))], ()
    )
    table.print_head()
    for part in parts:
        values = last_values_of(part)
        table.print_rows(
            [
                *_row(run),
                _metrics(run, values),
                tags_text(run.tags),
                *(text(run) for _, text in sort_keys),
            ]
            for run in part
        )


def _row(run: Run) -> tuple[str, ...]:
    return (
        run.reference,
        run.status_text,
        start_text(run),
        lifetime_text(run),
        _parameters(run),
        run.notes or "",
    )


def _parameters(run: Run) -> str:
    """Return the values of a single parameter set, or the names of several."""
    sets = run.parameter_sets
    return sets[0].preview(None) if len(sets) == 1 else ", ".join(one.name for one in sets)


def _metrics(run: Run, last_values: LastValues) -> str:
    """Return the last values of metrics, the most telling first: `loss=0.31 acc=0.93`."""
    series = last_values.get(run.uid, {})
    values = dict(zip(names_of(list(series)), series.values(), strict=True))
    return " ".join(f"{key}={number_text(values[key])}" for key in _most_telling(tuple(values)))


@lru_cache(maxsize=256)  # most runs of a list have the same metrics
def _most_telling(keys: tuple[str, ...]) -> list[str]:
    return telling_metrics([dict.fromkeys(keys, 0.0)])


def _sort_keys(order: Sequence[Order]) -> Iterator[tuple[str, Callable[[Run], str]]]:
    """Yield the names and texts of sort keys that are not in another column of a pipe."""
    if not order:
        return
    from functools import partial

    from runstore.reading.shown.listing import column_name, sort_key_text

    for key in order:
        name = column_name(key.field)
        if name not in _PIPED:
            yield name, partial(sort_key_text, key, is_exact=True)


def _print_on_terminal(parts: Iterator[Sequence[Run]], order: Sequence[Order]) -> None:
    """Print a table; its first runs determine the columns."""
    from runstore.reading.shown.listing import list_columns, list_rows

    first = list_rows([run for part in islice(parts, 2) for run in part])
    columns = list_columns(first, order)
    cells = [[one.cell(row) for one in columns] for row in first]
    table = output.table_of([_as_table_column(one) for one in columns], cells)
    table.print_head()
    table.print_rows(cells)
    for part in parts:
        table.print_rows([one.cell(row) for one in columns] for row in list_rows(part))
    say_left_out(table.left_out)


def _as_table_column(one: ListColumn) -> output.TableColumn:
    return output.TableColumn(
        one.header,
        narrowest=_NARROWEST.get(one.name, 8),
        rank=one.rank,
        end=RUN_END if one.name == "run" else 0,
        is_number=one.is_number,
        styles=output.STATUS_STYLES if one.name == "status" else {},
    )


def say_left_out(headers: Sequence[str]) -> None:
    """Report columns that do not fit on the terminal."""
    if headers:
        count = f"{len(headers)} column{'' if len(headers) == 1 else 's'}"
        names = some_of(headers, _NAMED)
        output.say(f"{count} not shown ({names}): choose with --columns.", err=True)
