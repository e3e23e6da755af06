"""Runs as text for other programs: chosen columns as CSV, JSON lines, Markdown or Parquet."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from runstore.cli import output
from runstore.errors import UsageError
from runstore.model.legible import duration_text, local_time
from runstore.model.query_fields import nearest

if TYPE_CHECKING:
    from runstore.runs_table import Column, RunsTable, Table

FORMATS = ("table", "json", "jsonl", "csv", "markdown", "parquet")
_USUAL = ("run", "status", "started", "duration")
_FOR_PEOPLE = frozenset({"table", "markdown"})
_WIDEST = 1_000


def chosen(table: RunsTable, names: Sequence[str]) -> dict[str, Column]:
    """Return columns by name, in the order asked for; `params` stands for all parameters.

    Raises:
        UsageError: No run has such a column; the nearest name is told.
    """
    found: dict[str, Column] = {}
    for name in names:
        inside = [one for one in table.columns if one == name or one.startswith(f"{name}.")]
        if not inside and name not in {"params", "metrics", "tags"} and len(table):
            near = nearest(name, list(table.columns))
            raise UsageError(
                f"None of these runs has {name!r}.",
                hint=f"Did you mean {near!r}?" if near else "",
            )
        found.update((one, table.columns[one]) for one in inside)
    return found


def print_runs(table: RunsTable, names: Sequence[str], form: str) -> None:
    """Print columns of runs in one of `FORMATS`; times are UTC for programs.

    Args:
        table: The runs.
        names: Columns; none for all, or for the usual ones where people look.
        form: The format.
    """
    is_for_people = form in _FOR_PEOPLE
    usual = [*_USUAL, "params", "metrics", "tags"] if is_for_people else list(table.columns)
    print_table_of(table, list(chosen(table, names or usual)), form)


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
    """Return a value as JSON has it: times as text, durations in seconds, no NaN."""
    if isinstance(value, datetime):
        return output.as_utc(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
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
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:_WIDEST]


def _print_table(columns: dict[str, Column], rows: Iterator[list[Any]]) -> None:
    shown = [
        output.Column(
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
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_in_csv(value) for value in row] for row in rows)
    output.print_raw(text.getvalue())


def _in_csv(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, bool) else value


def _print_markdown(columns: dict[str, Column], rows: Iterator[list[Any]]) -> None:
    click.echo(_markdown(list(columns)))
    click.echo("|" + "---|" * len(columns))
    for row in rows:
        click.echo(_markdown(row))


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
