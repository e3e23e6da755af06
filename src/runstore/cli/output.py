"""Printing for people and for programs: tables, JSON, and text that cannot harm a terminal."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from runstore.errors import visible
from runstore.model.display.plain import plain
from runstore.model.run import DAMAGED
from runstore.model.status import Status

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

terminal_safe = visible
# Never by colour alone: the word stands beside it.
STATUS_STYLES: Mapping[str, str] = {
    Status.COMPLETE: "green",
    Status.PRUNED: "dim",
    Status.ERROR: "bold red",
    Status.INTERRUPTED: "yellow",
    Status.LOST: "magenta",
    Status.RUNNING: "cyan",
    Status.LIVE: "cyan",
    Status.QUEUED: "blue",
    DAMAGED: "bold red",
}
# Of escape sequences these alone may reach a terminal: colours, bold and the like (SGR), but none
# of those that hide a text or let it blink.
_COLOUR = re.compile(r"\x1b\[([0-9;:]*)m")
_HIDING = frozenset({"5", "6", "8"})
# What follows these are the parts of a colour: five and a number, or two and three.
_LONG_COLOURS = {"38": {"5": 2, "2": 4}, "48": {"5": 2, "2": 4}, "58": {"5": 2, "2": 4}}
_JOINERS = "\u200c\u200d"  # within words of Persian or Hindi, and within emoji
_GAP = 2  # between columns
_END_KEPT = 21  # of a reference: its number and its time


def say(text: str = "", *, err: bool = False, nl: bool = True, keep_lines: bool = False) -> None:
    """Print a text that no terminal obeys, as one line unless lines are to be kept.

    Commands print with this, with `print_table` and the like below, and in no other way.
    """
    click.echo(terminal_safe(text, keep_lines=keep_lines), err=err, nl=nl)


def coloured(text: str) -> str:
    """Return a text of which a terminal obeys colours, bold and the like, and nothing else."""
    parts: list[str] = []
    begin, is_coloured = 0, False
    for found in _COLOUR.finditer(text):
        if is_colour(found[0]):
            is_coloured = True
            parts += (terminal_safe(text[begin : found.start()]), found[0])
            begin = found.end()
    parts.append(terminal_safe(text[begin:]))
    return "".join(parts) + ("\x1b[0m" if is_coloured else "")


def is_colour(sequence: str) -> bool:
    """Return whether an escape sequence colours a text, or makes it bold and the like."""
    found = _COLOUR.fullmatch(sequence)
    if found is None:
        return False
    codes = [one.partition(":")[0].lstrip("0") for one in found[1].split(";")]
    while codes:
        code = codes.pop(0)
        if code in _HIDING:
            return False
        if code in _LONG_COLOURS and codes:
            del codes[: _LONG_COLOURS[code].get(codes[0], 0)]
    return True


def say_coloured(text: str) -> None:
    """Print one line with its colours."""
    click.echo(coloured(text))


def say_over(text: str) -> None:
    """Print a line over the one that the cursor is in, and stay in it."""
    click.echo(f"\r{coloured(text)}\x1b[K", nl=False)


def is_terminal() -> bool:
    """Tell whether stdout is looked at by a person."""
    return sys.stdout is not None and sys.stdout.isatty()  # None: it is closed


def console(*, err: bool = False) -> Console:
    """Return a console for stdout; it honours NO_COLOR and the width of the terminal."""
    from runstore.cli.safe_console import SafeConsole

    # Without colours there is no bold either: who asks for plain text gets plain text.
    system = None if os.environ.get("NO_COLOR") else "auto"
    return SafeConsole(color_system=system, stderr=err)


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of a table.

    Attributes:
        header: Its name.
        narrowest: Characters that it needs at least; a table too wide for the terminal loses
            whole columns, the last ones first by `rank`.
        rank: Which columns get room first, from 0.
        keeps_end: Whether a text that is too long is cropped before its end, not at it.
        styles: The style of a text that stands in it.
    """

    header: str
    narrowest: int = 8
    rank: int = 0
    keeps_end: bool = False
    styles: Mapping[str, str] = field(default_factory=dict)

    def style(self, text: str) -> str:
        """Return the style of a text."""
        return self.styles.get(text, "")


def print_table(columns: Sequence[TableColumn], rows: Sequence[Sequence[str]]) -> None:
    """Print rows: fitted to a terminal, or one per line with tabs between in a pipe.

    Whatever the texts hold, each row stays on its line.
    """
    safe = [[terminal_safe(cell).replace("\t", " ") for cell in row] for row in rows]
    if not is_terminal():
        click.echo("\t".join(terminal_safe(one.header).replace("\t", " ") for one in columns))
        for row in safe:
            click.echo("\t".join(row))
        return
    drawn = console()
    drawn.print(_drawn(columns, safe, drawn), crop=False)


def _drawn(columns: Sequence[TableColumn], safe: Sequence[Sequence[str]], drawn: Console) -> Table:
    from rich.table import Table
    from rich.text import Text

    widths = _widths(columns, safe, drawn.width)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for place in widths:
        table.add_column(
            Text(terminal_safe(columns[place].header), style="bold"),
            width=widths[place],
            no_wrap=True,
            overflow="ellipsis",
        )
    for row in safe:
        table.add_row(
            *(
                Text(_cropped(row[place], columns[place], width), columns[place].style(row[place]))
                for place, width in widths.items()
            )
        )
    return table


def _cropped(text: str, column: TableColumn, width: int) -> str:
    """Return the beginning and the end of a text, where the column asks for both."""
    from rich.cells import cell_len, set_cell_size

    if not column.keeps_end or cell_len(text) <= width or width <= _END_KEPT:
        return text
    end = text[-_END_KEPT:]
    return set_cell_size(text, max(0, width - 1 - cell_len(end))) + "…" + end


def _widths(
    columns: Sequence[TableColumn], rows: Sequence[Sequence[str]], room: int
) -> dict[int, int]:
    """Return the width of each column that fits, by its place."""
    from rich.cells import cell_len

    natural = [
        max([cell_len(column.header), *(cell_len(row[place]) for row in rows)])
        for place, column in enumerate(columns)
    ]
    widths: dict[int, int] = {}
    third = room // 3
    ranked = sorted(range(len(columns)), key=lambda place: columns[place].rank)
    for place in ranked:
        needed = min(natural[place], columns[place].narrowest)
        gap = _GAP if widths else 0
        if widths and gap + needed > room:
            break
        widths[place] = min(needed, room)
        room -= gap + widths[place]

    def grow(place: int, most: int) -> None:
        nonlocal room
        more = max(0, min(natural[place] - widths[place], most, room))
        widths[place] += more
        room -= more

    grow(ranked[0], third - widths[ranked[0]])
    # What is left is shared; who needs little leaves more to the others.
    wanting = sorted(widths, key=lambda place: natural[place] - widths[place])
    for served, place in enumerate(wanting):
        grow(place, room // (len(wanting) - served))
    return dict(sorted(widths.items()))


def print_raw(text: str) -> None:
    """Print a text as it is, byte for byte; only a terminal gets it harmless."""
    if is_terminal():
        click.echo(terminal_safe(text, keep_lines=True), nl=False)
    elif sys.stdout is not None:
        # click.echo would leave out escape sequences, and a patch without them is another patch.
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode(errors="surrogatepass"))
        sys.stdout.buffer.flush()


def print_json_line(value: object) -> None:
    """Print strict JSON in one line."""
    print_json(value, indent=None)


def print_json(value: object, *, indent: int | None = 2) -> None:
    """Print strict JSON, indented; what JSON cannot say is text."""
    import json

    is_plain = sys.stdout is None or "utf" not in sys.stdout.encoding.lower()
    text = json.dumps(plain(value), indent=indent, ensure_ascii=is_plain, allow_nan=False)
    # All that JSON leaves unescaped here is within its texts, where an escape means the same.
    lines = (line if line.isprintable() else _escaped(line) for line in text.split("\n"))
    click.echo("\n".join(lines))


def _escaped(line: str) -> str:
    """Escape in JSON what a terminal would obey."""
    import json

    return "".join(
        one
        if one.isprintable() or one in _JOINERS
        else "\\u007f"
        if one == "\x7f"
        else json.dumps(one)[1:-1]
        for one in line
    )
