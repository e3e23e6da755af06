"""Matching lines: below their runs on a terminal, tab-separated in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from runstore.cli import output
from runstore.model.text.matches import FoundLine, FoundTexts
from runstore.value_classes import NamedTuple

if TYPE_CHECKING:
    from rich.text import Text

_BEFORE = 30  # characters of a long line before the match
_GAP = 2


class _ShownLine(NamedTuple):
    """A line to show: a match, or a line of its context."""

    field: str
    number: int
    text: str
    found: FoundLine | None


def print_found(items: Iterable[FoundTexts], *, has_context: bool, with_times: bool) -> None:
    """Print matching lines."""
    if output.is_terminal():
        _print_on_terminal(items, with_times=with_times)
        return
    for item in items:
        for row in _rows(item.lines):
            sign = "" if not has_context else ":" if row.found else "-"
            cells = [item.run.reference, row.field, f"{row.number}{sign}"]
            if with_times:
                cells.append(_time(row))
            cells.append(row.text)
            safe = (output.terminal_safe(cell).replace("\t", " ") for cell in cells)
            output.say("\t".join(safe))


def _rows(lines: Iterable[FoundLine]) -> Iterator[_ShownLine]:
    """Yield matches and their context, each line once, in the order of each field."""
    fields: dict[str, dict[int, _ShownLine]] = {}
    for line in lines:
        rows = fields.setdefault(line.field, {})
        first = line.number - len(line.before)
        for number, text in enumerate((*line.before, line.text, *line.after), first):
            if number == line.number:
                rows[number] = _ShownLine(line.field, number, text, line)
            else:
                rows.setdefault(number, _ShownLine(line.field, number, text, None))
    for rows in fields.values():
        yield from (rows[number] for number in sorted(rows))


def _time(row: _ShownLine) -> str:
    if row.found is None or row.found.at is None:
        return ""
    return f"{row.found.at.astimezone():%Y-%m-%d %H:%M:%S}"


def _print_on_terminal(items: Iterable[FoundTexts], *, with_times: bool) -> None:
    from rich.text import Text

    console = output.console()
    for place, item in enumerate(items):
        if place:
            console.print()
        name = Text(output.terminal_safe(item.run.reference), "bold")
        status = item.run.status_text
        console.print(name.append("  ").append(status, output.STATUS_STYLES[status]))
        rows = list(_rows(item.lines))
        fields = max(len(row.field) for row in rows)
        numbers = max(len(str(row.number)) for row in rows)
        before: _ShownLine | None = None
        for row in rows:
            if before is not None and _is_apart(before, row):
                console.print(Text(" " * _GAP + "--", "dim"))
            before = row
            head = f"{'':{_GAP}}{row.field:{fields}} {row.number:>{numbers}}"
            line = Text().append(head + (": " if row.found else "- "), "dim")
            if with_times and (at := _time(row)):
                line.append(f"{at} ", "cyan")
            line.append_text(_shown(row, console.width - line.cell_len))
            console.print(line, no_wrap=True, overflow="ellipsis", crop=True)
        if item.has_more:
            console.print(Text(" " * _GAP + "…", "dim"))


def _is_apart(before: _ShownLine, row: _ShownLine) -> bool:
    """Return whether lines were left out between two lines, if there is context."""
    has_context = before.found is None or row.found is None
    return has_context and (before.field != row.field or row.number != before.number + 1)


def _shown(row: _ShownLine, room: int) -> Text:
    """Return a line with the match highlighted, cropped around the match if it is long."""
    from rich.text import Text

    spans = row.found.spans if row.found else ()
    begin = 0
    if spans and len(row.text) > room and spans[0][1] > room - _GAP:
        begin = max(0, spans[0][0] - _BEFORE)
    shown = Text("…" if begin else "", no_wrap=True)
    for first, last in spans:
        if last - begin > _GAP * room:
            break
        shown.append(_safe(row.text[begin:first]))
        shown.append(_safe(row.text[first:last]), "bold red underline")
        begin = max(begin, last)
    return shown.append(_safe(row.text[begin : begin + _GAP * max(room, 1)]))


def _safe(text: str) -> str:
    return output.terminal_safe(text).replace("\t", "    ")
