"""Runs in chosen columns: as a table, CSV, JSON, Markdown or Parquet."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from runstore.cli import output
from runstore.cli.lists.runs import RUN_END, say_left_out
from runstore.errors import UsageError, quoted
from runstore.extras import library
from runstore.model.display.as_json import for_programs
from runstore.model.display.formatting import (
    TAGGED,
    duration_text,
    exact_if_alike,
    is_exact_whole,
    local_time,
)
from runstore.model.display.short_names import short_names
from runstore.model.display.suggestions import hint_of, listed
from runstore.model.query.evaluate import exact_text
from runstore.model.query.fields import OUTPUT
from runstore.reading.filters.unknown_names import is_known_column, with_namespaces
from runstore.reading.runs_table import GatheredRuns, RunsTable, Table
from runstore.reading.shown.facts import SYSTEM
from runstore.reading.shown.listing import headings
from runstore.reading.tables.columns import Column, Type, unpacked
from runstore.reading.tables.field_columns import fields_of, metrics_among, usual_name
from runstore.reading.tables.streamed import RunsPart, StreamedRuns, write_parquet

if TYPE_CHECKING:
    from runstore.model.query.tree import Field
    from runstore.model.run import Run
    from runstore.reading.pages import Page
    from runstore.store import Store

_USUAL = ("run", "status", "started", "duration")
_FOR_PEOPLE = frozenset({"table", "markdown"})
_LINES = 1_000  # rows printed at once
_NUMBERS = frozenset({Type.WHOLE, Type.NUMBER, Type.EXACT})
_NAMESPACES = ("params", "metrics", "tags")


def print_page(
    store: Store, page: Page[Run], names: Sequence[str], form: str, *, sets: bool
) -> None:
    """Print columns of runs in a format; times are UTC for programs.

    Args:
        store: The store of the runs.
        page: The runs.
        names: Columns; none for all, or on a terminal for the default columns.
        form: The format, as for `runstore ls --format`.
        sets: Whether each parameter set has a row.
    """
    is_known = partial(is_known_column, store.backend)
    usual = [*_USUAL, *(["set"] if sets else []), "params", "metrics", "tags"]
    own = GatheredRuns([], sets=sets).own_columns()
    names = [one if one in own else _of_metric(store, one) for one in names]
    fields = fields_of(
        store.backend, [one for one in names if one not in own and not is_known(one)]
    )
    if form in _FOR_PEOPLE:
        # For programs, a column of numbers remains one.
        fields |= metrics_among(store.backend, names)
    more = {name: field for name, field in fields.items() if usual_name(name, field) == name}
    if form == "table" and output.is_terminal():
        wanted = names or usual
        table = RunsTable(page.parts_with_values(), sets=sets, fields=more)
        types = {name: one.type for name, one in table.columns.items()}
        found = chosen(types, wanted, is_known, fields, is_empty=not len(table))
        columns = {
            name: table.columns.get(name) or Column(kind, [None] * len(table))
            for name, kind in found.items()
        }
        _print_on_terminal(page, table, columns, wanted)
        return
    _check_form(form)
    streamed = StreamedRuns(page.parts_with_values, sets=sets, fields=more)
    wanted = names or (usual if form in _FOR_PEOPLE else list(streamed.types))
    types = chosen(streamed.types, wanted, is_known, fields, is_empty=not streamed.count)
    _PRINT[form](types, streamed.parts(types))


def _of_metric(store: Store, name: str) -> str:
    """Return `metrics.loss.max` for `loss.max`, as in a sort key; other names as they are.

    A parameter of that name comes first.
    """
    is_plain = "." in name and not any(sign in name for sign in ",\"'`")
    if not is_plain or is_known_column(store.backend, f"params.{name}"):
        return name
    full = with_namespaces(store.backend, name)
    return full if full.startswith("metrics.") else name


def chosen(
    types: Mapping[str, Type],
    names: Sequence[str],
    is_known: Callable[[str], bool],
    fields: Mapping[str, Field],
    *,
    is_empty: bool,
) -> dict[str, Type]:
    """Return the types of columns by name, in the requested order; `params` is every parameter.

    The name of a list or an object is every parameter in it.
    A column without values on this page is empty, so that all pages have the same columns. The
    namespace of a name can be left out: `lr` is `params.lr`, unless a metric has the name as well.
    Other names are fields of the filter language.

    Raises:
        UsageError: No run of the store has such a column; the hint has the nearest name.
    """
    found: dict[str, Type] = {}
    for asked in names:
        name = _full_name(asked, types, is_known)
        if name in fields:
            name = usual_name(name, fields[name])
        inside = [
            one for one in types if one == name or (one not in fields and _is_within(one, name))
        ]
        if not inside and name not in _NAMESPACES:
            is_of_runs = is_empty and name.partition(".")[0] in _NAMESPACES
            if is_known(name) or asked in fields or is_of_runs:
                found[name] = Type.NUMBER if name.startswith("metrics.") else Type.TEXT
                continue
            every = [*(one for one in types if "." not in one), *_NAMESPACES]
            if name == OUTPUT:
                raise UsageError("The output of a run cannot be a column.", hint="Remove it.")
            raise UsageError(
                f"None of these runs has {quoted(name)}.",
                hint=hint_of(name, types, otherwise=listed(every, most=len(every))),
            )
        found.update((one, types[one]) for one in inside)
    return found


def _full_name(name: str, types: Mapping[str, Type], is_known: Callable[[str], bool]) -> str:
    if name in types or name.partition(".")[0] in _NAMESPACES:
        return name
    full = [f"{one}.{name}" for one in _NAMESPACES]
    found = [one for one in full if any(_is_within(column, one) for column in types)]
    found = found or [one for one in full if is_known(one)]
    if len(found) > 1:
        raise UsageError(f"{name!r} is ambiguous.", hint=f"It is {' or '.join(found)}.")
    return found[0] if found else name


def _is_within(column: str, name: str) -> bool:
    """Check whether a column has the name, or is a part of a list or an object with the name."""
    return column == name or column.startswith((f"{name}.", f"{name}["))


def _print_on_terminal(
    page: Page[Run], table: RunsTable, columns: Mapping[str, Column], wanted: Sequence[str]
) -> None:
    """Print columns with short names and headings, without constants."""
    named = [one for one in wanted if one not in _NAMESPACES]
    shown = {
        name: one
        for name, one in columns.items()
        if any(_is_within(full, part) for full in (name, name.partition(".")[2]) for part in named)
        or not _is_dull(name, one)
    }
    if "run" in shown:
        short = dict(zip((run.uid for run in page), short_names(page.items), strict=True))
        uids = table.columns["uid"].values
        shown["run"] = Column(Type.TEXT, [short[uid] for uid in uids])
    texts = [_different_texts(name, one) for name, one in shown.items()]
    _print_table(shown, map(list, zip(*texts, strict=True)))
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
    values: set[Any] = set(column.cells) or {str(one) for one in column.values}
    return key.startswith(SYSTEM) or (len(values) == 1 and len(column.values) > 1)


def print_table_of(table: Table, form: str, ranks: Mapping[str, int]) -> None:
    """Print a table in a format."""
    columns = table.columns
    if form == "table" and output.is_terminal():
        _print_table(columns, _rows(columns, for_people=True), ranks)
        return
    _check_form(form)
    types = {name: one.type for name, one in columns.items()}
    _PRINT[form](types, [RunsPart(columns)])


def _check_form(form: str) -> None:
    """Refuse what a format needs and is not there, before runs are read."""
    if form != "parquet":
        return
    if output.is_terminal():
        raise UsageError(
            "Parquet is a binary format.",
            hint="Write to a file: runstore ls --format parquet > FILE",
        )
    library("pyarrow.parquet", "arrow")


def _rows_of(parts: Iterable[Table], *, for_people: bool = False) -> Iterator[list[Any]]:
    for part in parts:
        yield from _rows(part.columns, for_people=for_people)


def _rows(columns: Mapping[str, Column], *, for_people: bool) -> Iterator[list[Any]]:
    texts = [
        _texts(name, one) if for_people else map(for_programs, one.values)
        for name, one in columns.items()
    ]
    return map(list, zip(*texts, strict=True))


def _texts(name: str, column: Column) -> Iterable[str]:
    """Return the values of a column for people."""
    texts = map(_legible_tag if name.startswith("tags.") else _legible, column.values)
    if not column.cells:
        return texts
    cells = zip(column.cells, texts, strict=True)
    return ("None" if cell == (None, None) else text for cell, text in cells)


def _different_texts(name: str, column: Column) -> Iterable[str]:
    """Return the values of a column for people; exact texts for those that look alike."""
    texts = _texts(name, column)
    if not column.cells:
        return texts
    cells = list(map(unpacked, column.cells))
    found = dict(zip(cells, texts, strict=True))
    exact = ["" if one is None else exact_text(one) for one in found]
    shown = dict(zip(found, exact_if_alike(list(found.values()), exact), strict=True))
    return [shown[one] for one in cells]


def _legible_tag(value: Any) -> str:
    return TAGGED if value == "" else _legible(value)


def _legible(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return local_time(value)
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and is_exact_whole(value):
        return str(int(value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _print_table(
    columns: Mapping[str, Column],
    rows: Iterator[list[Any]],
    ranks: Mapping[str, int] | None = None,
) -> None:
    """Print a table on a terminal, fitted to it."""
    shown = [
        output.TableColumn(
            header,
            narrowest=8,
            rank=(ranks or {}).get(name, rank),
            end=RUN_END if name == "run" else 0,
            is_number=column.type in _NUMBERS,
            styles=output.STATUS_STYLES if name == "status" else {},
        )
        for rank, ((name, column), header) in enumerate(
            zip(columns.items(), headings(list(columns)), strict=True)
        )
    ]
    say_left_out(output.print_table(shown, list(rows)))


def _print_piped(types: Mapping[str, Type], parts: Iterable[Table]) -> None:
    table = output.table_of([output.TableColumn(name) for name in types], ())
    table.print_head()
    for part in parts:
        table.print_rows(_rows(part.columns, for_people=True))


def _print_json(types: Mapping[str, Type], parts: Iterable[Table]) -> None:
    rows = _rows_of(parts)
    output.print_json_parts("", (dict(zip(types, row, strict=True)) for row in rows), {})


def _print_lines(types: Mapping[str, Type], parts: Iterable[Table]) -> None:
    for row in _rows_of(parts):
        output.print_json_line(dict(zip(types, row, strict=True)))


def _print_csv(types: Mapping[str, Type], parts: Iterable[Table]) -> None:
    lines = (",".join(map(_in_csv, row)) or '""' for row in chain([[*types]], _rows_of(parts)))
    while some := list(islice(lines, _LINES)):
        output.print_raw("".join(f"{line}\n" for line in some))


def _in_csv(value: Any) -> str:
    """Return a cell; a bare carriage return is quoted, since it ends a row for some readers."""
    if value is None:
        return ""
    text = json.dumps(value) if isinstance(value, bool) else str(value)
    needs_quotes = any(sign in text for sign in ',"\r\n')
    return '"' + text.replace('"', '""') + '"' if needs_quotes else text


def _print_markdown(types: Mapping[str, Type], parts: Iterable[Table]) -> None:
    output.say(_markdown(list(types)))
    output.say("|" + "---|" * len(types))
    for row in _rows_of(parts, for_people=True):
        output.say(_markdown(row))


def _markdown(texts: Sequence[str]) -> str:
    # A line end or a bar would end the cell; the rest could be read as markup.
    cells = (
        output.terminal_safe(text).replace("\\", "\\\\").replace("|", "\\|") for text in texts
    )
    return "| " + " | ".join(cell.replace("<", "&lt;") for cell in cells) + " |"


def _print_parquet(_types: Mapping[str, Type], parts: Iterable[Table]) -> None:
    write_parquet(parts, sys.stdout.buffer)
    sys.stdout.buffer.flush()


_PRINT: Mapping[str, Callable[[Mapping[str, Type], Iterable[Table]], None]] = {
    "table": _print_piped,
    "json": _print_json,
    "jsonl": _print_lines,
    "csv": _print_csv,
    "markdown": _print_markdown,
    "parquet": _print_parquet,
}
