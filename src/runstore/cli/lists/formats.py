"""Runs as text for other programs: chosen columns as CSV, JSON lines, Markdown or Parquet."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from runstore.cli import output
from runstore.errors import UsageError
from runstore.model.display.as_json import as_utc
from runstore.model.display.formatting import duration_text, local_time
from runstore.model.display.suggestions import hint_of
from runstore.reading.runs_table import Column, RunsTable, Table, Type

FORMATS = ("table", "json", "jsonl", "csv", "markdown", "parquet")
_USUAL = ("run", "status", "started", "duration")
_FOR_PEOPLE = frozenset({"table", "markdown"})
_WHOLE_BELOW = 1e15
_ROOMS = frozenset({"params", "metrics", "tags"})


def chosen(
    table: RunsTable, names: Sequence[str], is_known: Callable[[str], bool]
) -> dict[str, Column]:
    """Return columns by name, in the order asked for; `params` stands for all parameters.

    A column that no run of the page has is empty: each page of a list has the same columns.

    Raises:
        UsageError: No run of the store has such a column; the nearest name is told.
    """
    found: dict[str, Column] = {}
    for name in names:
        inside = [one for one in table.columns if one == name or one.startswith(f"{name}.")]
        if not inside and name not in _ROOMS:
            if is_known(name) or (not len(table) and name.partition(".")[0] in _ROOMS):
                kind = Type.NUMBER if name.startswith("metrics.") else Type.TEXT
                found[name] = table.columns[name] = Column(kind, [None] * len(table))
                continue
            raise UsageError(
                f"None of these runs has {name!r}.",
                hint=hint_of(name, table.columns, otherwise=""),
            )
        found.update((one, table.columns[one]) for one in inside)
    return found


def print_runs(
    table: RunsTable, names: Sequence[str], form: str, is_known: Callable[[str], bool]
) -> None:
    """Print columns of runs in one of `FORMATS`; times are UTC for programs.

    Args:
        table: The runs.
        names: Columns; none for all, or for the usual ones where people look.
        form: The format.
        is_known: Whether some run of the store may have a column.
    """
    is_for_people = form in _FOR_PEOPLE
    usual = [*_USUAL, "params", "metrics", "tags"] if is_for_people else list(table.columns)
    print_table_of(table, list(chosen(table, names or usual, is_known)), form)


def print_table_of(table: Table, names: Sequence[str], form: str) -> None:
    """Print these columns of a table in one of `FORMATS`."""
    if form == "parquet":
        _print_parquet(table, names)
        return
    columns = {name: table.columns[name] for name in names}
    _PRINT[form](columns, _rows(columns, for_people=form in _FOR_PEOPLE))


def _rows(columns: dict[str, Column], *, for_people: bool) -> Iterator[list[Any]]:
    shown = _legible if for_people else _plain
    for row in zip(*(column.values for column in columns.values()), strict=True):
        yield [shown(value) for value in row]


def _plain(value: Any) -> Any:
    """Return a value for programs: times as text, durations in seconds."""
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


def _print_table(columns: dict[str, Column], rows: Iterator[list[Any]]) -> None:
    shown = [
        output.TableColumn(
            name,
            narrowest=8,
            rank=rank,
            keeps_end=name == "run",
            styles=output.STATUS_STYLES if name == "status" else {},
        )
        for rank, name in enumerate(columns)
    ]
    output.print_table(shown, list(rows))


def _print_json(columns: dict[str, Column], rows: Iterator[list[Any]]) -> None:
    output.print_json([dict(zip(columns, row, strict=True)) for row in rows])


def _print_lines(columns: dict[str, Column], rows: Iterator[list[Any]]) -> None:
    for row in rows:
        output.print_json_line(dict(zip(columns, row, strict=True)))


def _print_csv(columns: dict[str, Column], rows: Iterator[list[Any]]) -> None:
    lines = [",".join(map(_in_csv, row)) for row in ([*columns], *rows)]
    output.print_raw("".join(f"{line}\n" if line else '""\n' for line in lines))


def _in_csv(value: Any) -> str:
    """Return a cell; a bare carriage return ends a row for some readers, and so is quoted too."""
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
            "Parquet is no text for a terminal.", hint="Write: runstore ls --format parquet > FILE"
        )
    sys.stdout.buffer.write(table.to_parquet(names))
    sys.stdout.buffer.flush()


_PRINT = {
    "table": _print_table,
    "json": _print_json,
    "jsonl": _print_lines,
    "csv": _print_csv,
    "markdown": _print_markdown,
}
