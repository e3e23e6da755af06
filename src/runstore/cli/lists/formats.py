"""Runs in chosen columns: as a table, CSV, JSON, Markdown or Parquet."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from runstore.cli import output
from runstore.cli.lists.runs import say_left_out
from runstore.errors import UsageError
from runstore.model.display.as_json import as_utc
from runstore.model.display.formatting import duration_text, local_time
from runstore.model.display.short_names import short_name, short_names
from runstore.model.display.suggestions import hint_of
from runstore.reading.runs_table import Column, RunsTable, Table, Type
from runstore.reading.shown.listing import SYSTEM, headings
from runstore.reading.unknown_names import is_known_column

if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.reading.pages import Page
    from runstore.store import Store

FORMATS = ("table", "json", "jsonl", "csv", "markdown", "parquet")
_USUAL = ("run", "status", "started", "duration")
_FOR_PEOPLE = frozenset({"table", "markdown"})
_WHOLE_BELOW = 1e15
_LINES = 1_000  # rows printed at once
_RUN_END = 6  # of a short name: its number
_NUMBERS = frozenset({Type.WHOLE, Type.NUMBER, Type.EXACT})
_NAMESPACES = ("params", "metrics", "tags")


def print_page(
    store: Store, page: Page[Run], names: Sequence[str], form: str, *, sets: bool
) -> None:
    """Print columns of runs in one of `FORMATS`; times are UTC for programs.

    Args:
        store: The store of the runs.
        page: The runs.
        names: Columns; none for all, or on a terminal for the default columns.
        form: The format.
        sets: Whether each parameter set has a row.
    """
    table = page.table(sets=sets)
    usual = [*_USUAL, *(["set"] if sets else []), "params", "metrics", "tags"]
    wanted = names or (usual if form in _FOR_PEOPLE else list(table.columns))
    columns = chosen(table, wanted, partial(is_known_column, store.backend))
    if form == "table" and output.is_terminal():
        _print_on_terminal(page, table, columns, wanted)
    else:
        print_table_of(table, list(columns), form)


def chosen(
    table: RunsTable, names: Sequence[str], is_known: Callable[[str], bool]
) -> dict[str, Column]:
    """Return columns by name, in the requested order; `params` is every parameter.

    A column without values on this page is empty, so that all pages have the same columns. The
    namespace of a name can be left out: `lr` is `params.lr`, unless a metric has the name as well.

    Raises:
        UsageError: No run of the store has such a column; the hint has the nearest name.
    """
    found: dict[str, Column] = {}
    for asked in names:
        name = _full_name(asked, table, is_known)
        inside = [one for one in table.columns if one == name or one.startswith(f"{name}.")]
        if not inside and name not in _NAMESPACES:
            if is_known(name) or (not len(table) and name.partition(".")[0] in _NAMESPACES):
                kind = Type.NUMBER if name.startswith("metrics.") else Type.TEXT
                found[name] = table.columns[name] = Column(kind, [None] * len(table))
                continue
            raise UsageError(
                f"None of these runs has {name!r}.",
                hint=hint_of(name, table.columns, otherwise=""),
            )
        found.update((one, table.columns[one]) for one in inside)
    return found


def _full_name(name: str, table: RunsTable, is_known: Callable[[str], bool]) -> str:
    if name in table.columns or name.partition(".")[0] in _NAMESPACES:
        return name
    full = [f"{one}.{name}" for one in _NAMESPACES]
    found = [one for one in full if one in table.columns] or [one for one in full if is_known(one)]
    if len(found) > 1:
        raise UsageError(f"{name!r} is ambiguous.", hint=f"It is {' or '.join(found)}.")
    return found[0] if found else name


def _print_on_terminal(
    page: Page[Run], table: RunsTable, columns: Mapping[str, Column], wanted: Sequence[str]
) -> None:
    """Print columns with short names and headings, without constants."""
    shown = {
        name: one
        for name, one in columns.items()
        if {name, name.partition(".")[2]} & {*wanted} or not _is_dull(name, one)
    }
    if "run" in shown:
        short = dict(zip((run.uid for run in page), short_names(page.items), strict=True))
        uids = table.columns["uid"].values
        shown["run"] = Column(Type.TEXT, [short[uid] for uid in uids])
    _print_table(shown, _rows(shown, for_people=True))
    if dull := len(columns) - len(shown):
        count = f"{dull} column{'' if dull == 1 else 's'}"
        output.say(
            f"{count} not shown (constants and {SYSTEM}): name them, or --format csv.", err=True
        )


def _is_dull(name: str, column: Column) -> bool:
    """Return whether a column has the same value in each row, and was not requested."""
    namespace, _, key = name.partition(".")
    if namespace not in _NAMESPACES:
        return False
    values = {str(one) for one in column.values}
    return key.startswith(SYSTEM) or (len(values) == 1 and len(column.values) > 1)


def print_table_of(
    table: Table, names: Sequence[str], form: str, ranks: Mapping[str, int] | None = None
) -> None:
    """Print these columns of a table in one of `FORMATS`.

    Args:
        table: The table.
        names: Its columns.
        form: The format.
        ranks: Ranks of the columns; on a terminal the highest are left out first.
    """
    if form == "parquet":
        _print_parquet(table, names)
        return
    columns = {name: table.columns[name] for name in names}
    rows = _rows(columns, for_people=form in _FOR_PEOPLE)
    if form == "table":
        _print_table(columns, rows, ranks)
    else:
        _PRINT[form](columns, rows)


def _rows(columns: dict[str, Column], *, for_people: bool) -> Iterator[list[Any]]:
    shown = _legible if for_people else _plain
    for row in zip(*(column.values for column in columns.values()), strict=True):
        yield [shown(value) for value in row]


def _plain(value: Any) -> Any:
    """Return a value for programs: times as strings, durations in seconds."""
    if isinstance(value, datetime):
        return as_utc(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value


def _legible(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return local_time(value)
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE_BELOW:
        return str(int(value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _print_table(
    columns: Mapping[str, Column],
    rows: Iterator[list[Any]],
    ranks: Mapping[str, int] | None = None,
) -> None:
    is_terminal = output.is_terminal()
    if is_terminal and "last run" in columns:
        place = list(columns).index("last run")
        rows = ([*row[:place], short_name(row[place]), *row[place + 1 :]] for row in rows)
    headers = headings(list(columns)) if is_terminal else list(columns)
    shown = [
        output.TableColumn(
            header,
            narrowest=8,
            rank=(ranks or {}).get(name, rank),
            keeps_end=name == "run",
            end=_RUN_END,
            is_number=column.type in _NUMBERS,
            styles=output.STATUS_STYLES if name == "status" else {},
        )
        for rank, ((name, column), header) in enumerate(zip(columns.items(), headers, strict=True))
    ]
    say_left_out(output.print_table(shown, list(rows)))


def _print_json(columns: dict[str, Column], rows: Iterator[list[Any]]) -> None:
    output.print_json_parts("", (dict(zip(columns, row, strict=True)) for row in rows), {})


def _print_lines(columns: dict[str, Column], rows: Iterator[list[Any]]) -> None:
    for row in rows:
        output.print_json_line(dict(zip(columns, row, strict=True)))


def _print_csv(columns: dict[str, Column], rows: Iterator[list[Any]]) -> None:
    lines = (",".join(map(_in_csv, row)) or '""' for row in chain([[*columns]], rows))
    while some := list(islice(lines, _LINES)):
        output.print_raw("".join(f"{line}\n" for line in some))


def _in_csv(value: Any) -> str:
    """Return a cell; a bare carriage return is quoted, since it ends a row for some readers."""
    if value is None:
        return ""
    text = json.dumps(value) if isinstance(value, bool) else str(value)
    needs_quotes = any(sign in text for sign in ',"\r\n')
    return '"' + text.replace('"', '""') + '"' if needs_quotes else text


def _print_markdown(columns: dict[str, Column], rows: Iterator[list[Any]]) -> None:
    output.say(_markdown(list(columns)))
    output.say("|" + "---|" * len(columns))
    for row in rows:
        output.say(_markdown(row))


def _markdown(texts: Sequence[str]) -> str:
    # A line end or a bar would end the cell; the rest could be read as markup.
    cells = (
        output.terminal_safe(text).replace("\\", "\\\\").replace("|", "\\|") for text in texts
    )
    return "| " + " | ".join(cell.replace("<", "&lt;") for cell in cells) + " |"


def _print_parquet(table: Table, names: Sequence[str]) -> None:
    if output.is_terminal():
        raise UsageError(
            "Parquet is a binary format.",
            hint="Write to a file: runstore ls --format parquet > FILE",
        )
    sys.stdout.buffer.write(table.to_parquet(names))
    sys.stdout.buffer.flush()


_PRINT = {
    "json": _print_json,
    "jsonl": _print_lines,
    "csv": _print_csv,
    "markdown": _print_markdown,
}
