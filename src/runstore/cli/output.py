"""Printing for people and for programs: tables, JSON, and text that cannot harm a terminal."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import zip_longest
from typing import TYPE_CHECKING

import click

from runstore.errors import visible
from runstore.model.display.plain import plain
from runstore.model.display.short_names import end_of_name, short_names
from runstore.model.run import DAMAGED, Run
from runstore.model.status import Status
from runstore.value_classes import dataclass, field

if TYPE_CHECKING:
    from rich.console import Console

terminal_safe = visible
# Colours only add to the words of statuses.
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
# The only escape sequences that can reach a terminal: colours, bold and similar (SGR), but not
# hidden or blinking text.
_COLOUR = re.compile(r"\x1b\[([0-9;:]*)m")
_HIDING = frozenset({"5", "6", "8"})
# The numbers after these are parts of a colour: 5 and an index, or 2 and red, green, blue.
_LONG_COLOURS = {"38": {"5": 2, "2": 4}, "48": {"5": 2, "2": 4}, "58": {"5": 2, "2": 4}}
# Without combining, wide and ambiguous characters: Latin letters and signs of tables.
_NARROW = re.compile(r"[ -~\u00a1-\u00ac\u00ae-\u02ff…→\u2014─█▁-▇]*")
_JOINERS = "\u200c\u200d"  # within words of Persian or Hindi, and within emoji
_GAP = 2  # between columns
_REFERENCE = 60  # columns of a reference in a message
_USUAL_SIZE = 80, 24
# A full disk, a reader that went away, or a stream that the user's code has closed.
_LOST = (OSError, ValueError)
END_KEPT = 21  # of a reference: its number and time
_CODES = {
    "bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34",
    "magenta": "35", "cyan": "36",
}  # fmt: skip


def say(text: str = "", *, err: bool = False, nl: bool = True, keep_lines: bool = False) -> None:
    """Print a text without control characters, as one line unless `keep_lines` is set.

    Commands print only with this function and the others of this module. A text for stderr that
    cannot be written is lost: messages must not decide whether the user's command runs.
    """
    with suppress(*(_LOST if err else ())):
        click.echo(terminal_safe(text, keep_lines=keep_lines), err=err, nl=nl)


def give_up_on_stderr() -> None:
    """Discard messages that could not be written, before the process ends.

    Python would try again, and end with exit code 120.
    """
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except _LOST:
        with suppress(*_LOST):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def recorded_text(reference: str, *, is_recorded: bool) -> str:
    """Return the beginning of the last line of a command that executed a run."""
    if is_recorded:
        return f"recorded as {reference}"
    return f"the end of {reference} was not recorded"


def say_lines(lines: Iterable[str]) -> None:
    """Print lines, each as `say` does."""
    for line in lines:
        say(line)


def coloured(text: str) -> str:
    """Return a text whose only escape sequences are colours, bold and similar."""
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
    """Return whether an escape sequence sets a colour, bold or similar."""
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
    """Overwrite the line of the cursor, without a line end."""
    click.echo(f"\r{coloured(text)}\x1b[K", nl=False)


def is_terminal(*, err: bool = False) -> bool:
    """Return whether stdout, or stderr, is a terminal."""
    stream = sys.stderr if err else sys.stdout
    return stream is not None and stream.isatty()  # None if it is closed


def console(*, err: bool = False) -> Console:
    """Return a console for stdout; it honours NO_COLOR and the width of the terminal."""
    from runstore.cli.safe_console import SafeConsole

    # Without colours there is no bold either, since the user asked for plain text.
    system = None if os.environ.get("NO_COLOR") else "auto"
    return SafeConsole(color_system=system, stderr=err)


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of a table.

    Attributes:
        header: Its name.
        narrowest: Minimum width; if a table is too wide for the terminal, whole columns are left
            out, the highest `rank` first.
        rank: Priority for the available width, from 0.
        end: Characters that long texts keep of their end; 0 for none.
        wraps: Whether long texts continue on the next line, and are not cropped.
        is_number: Whether its texts are numbers, which are never cropped and are right-aligned.
        styles: The style of each text.
    """

    header: str
    narrowest: int = 8
    rank: int = 0
    end: int = 0
    wraps: bool = False
    is_number: bool = False
    styles: Mapping[str, str] = field(default_factory=dict)

    def style(self, text: str) -> str:
        """Return the style of a text."""
        return self.styles.get(text, "")


def print_table(columns: Sequence[TableColumn], rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Print rows: fitted to a terminal, or tab-separated in a pipe.

    Each row is one line in a pipe, even if its texts have line ends.

    Returns:
        The headers of columns that do not fit on the terminal.
    """
    table = table_of(columns, rows)
    table.print_head()
    table.print_rows(rows)
    return table.left_out


def table_of(columns: Sequence[TableColumn], rows: Sequence[Sequence[str]]) -> PipeTable:
    """Return a table for stdout, to which rows can be added as they are read."""
    if not is_terminal():
        return PipeTable(columns)
    return TerminalTable(columns, [_in_lines(row) for row in rows])


def _in_lines(row: Sequence[str]) -> list[str]:
    return [terminal_safe(cell).replace("\t", " ") for cell in row]


class PipeTable:
    """A table in a pipe: one line per row, tab-separated.

    Attributes:
        left_out: The headers of columns that do not fit.
    """

    left_out: tuple[str, ...] = ()

    def __init__(self, columns: Sequence[TableColumn]) -> None:
        self._columns = columns

    def print_head(self) -> None:
        """Print the headers."""
        self.print_rows([[one.header for one in self._columns]])

    def print_rows(self, rows: Iterable[Sequence[str]]) -> None:
        """Print some rows."""
        click.echo("".join("\t".join(_in_lines(row)) + "\n" for row in rows), nl=False)


class TerminalTable(PipeTable):
    """A table on a terminal; its first rows determine the widths of columns."""

    def __init__(self, columns: Sequence[TableColumn], rows: Sequence[Sequence[str]]) -> None:
        super().__init__(columns)
        self._widths = _widths(columns, rows, terminal_size()[0])
        self.left_out = tuple(
            one.header for place, one in enumerate(columns) if place not in self._widths
        )

    def print_head(self) -> None:
        """Print the headers in bold."""
        self._print(_in_lines([one.header for one in self._columns]), lambda _place: "bold")

    def print_rows(self, rows: Iterable[Sequence[str]]) -> None:
        """Print some rows, each in a line."""
        for row in rows:
            safe = _in_lines(row)
            self._print(safe, lambda place, row=safe: self._columns[place].style(row[place]))  # type: ignore[misc]

    def _print(self, safe: Sequence[str], style: Callable[[int], str]) -> None:
        lines = {
            place: [*folded(safe[place], width)]
            if self._columns[place].wraps
            else [fitted(safe[place], width, self._columns[place].end)]
            for place, width in self._widths.items()
        }
        for texts in zip_longest(*lines.values(), fillvalue=""):
            self._print_line(dict(zip(lines, texts, strict=True)), style)

    def _print_line(self, texts: Mapping[int, str], style: Callable[[int], str]) -> None:
        cells = []
        for place, text in texts.items():
            padding = " " * (self._widths[place] - cell_len(text))
            shown = styled(text, style(place))
            cells.append(padding + shown if self._columns[place].is_number else shown + padding)
        click.echo((" " * _GAP).join(cells).rstrip())


def terminal_size() -> tuple[int, int]:
    """Return the columns and rows of the terminal, as rich and the shell determine them."""
    try:
        size = os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError):
        size = os.terminal_size((0, 0))
    columns, rows = (_from_shell(name) for name in ("COLUMNS", "LINES"))
    usual_columns, usual_rows = _USUAL_SIZE
    return columns or size.columns or usual_columns, rows or size.lines or usual_rows


def _from_shell(name: str) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else 0


def shown_len(line: str) -> int:
    """Return the width of a line with colours, in columns."""
    return cell_len(_COLOUR.sub("", line))


def _is_narrow(text: str) -> bool:
    """Return whether each character of a text takes one column; `rich` is slow to load."""
    return text.isascii() or _NARROW.fullmatch(text) is not None


def cell_len(text: str) -> int:
    """Return the width of a text on a terminal, in columns."""
    if _is_narrow(text):
        return len(text)
    from rich import cells

    return cells.cell_len(text)


def folded(text: str, width: int, indent: int = 0) -> Iterator[str]:
    """Yield parts of a text that fit; only words that are longer than a line are broken."""
    margin = " " * indent
    while cell_len(text) > width:
        end = _prefix(text, width)
        blank = text.rfind(" ", 0, end + 1)
        word = text[blank + 1 :].partition(" ")[0]
        if blank > 0 and (blank > width // 2 or cell_len(word) <= width):
            yield margin + text[:blank]
            text = text[blank + 1 :]
        else:
            yield margin + text[:end]
            text = text[end:]
    yield margin + text


def _prefix(text: str, width: int) -> int:
    """Return the number of characters that fit, at least one."""
    if text.isascii():
        return width
    taken = 0
    for place, sign in enumerate(text):
        taken += cell_len(sign)
        if taken > width:
            return max(1, place)
    return len(text)


def styled(text: str, style: str) -> str:
    """Return a text in a style, such as `bold red`, if the terminal shows colours."""
    if not style or not text or not has_colours():
        return text
    codes = ";".join(_CODES[word] for word in style.split())
    return f"\x1b[{codes}m{text}\x1b[0m"


def has_colours() -> bool:
    """Return whether stdout is a terminal that shows colours, and the user wants them."""
    plain = {"dumb", "unknown"}
    return is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in plain


def fitted(text: str, width: int, end_kept: int = 0) -> str:
    """Return a text cropped to a width in columns; an ellipsis replaces what is before its end."""
    if cell_len(text) <= width:
        return text
    end = end_of_name(text, end_kept) if end_kept else ""
    if width <= len(end):
        end = ""
    begin = max(0, width - 1 - cell_len(end))
    if _is_narrow(text):
        return text[:begin] + "…" + end
    from rich.cells import set_cell_size

    return set_cell_size(text, begin) + "…" + end


def shown_reference(reference: str) -> str:
    """Return a reference for a message on stderr; on a terminal, a long one is cropped."""
    if not is_terminal(err=True):
        return reference
    return fitted(reference, _REFERENCE, END_KEPT)


def listed_names(runs: Sequence[Run]) -> Sequence[str]:
    """Return the names of runs in a list: short ones on a terminal, or else their references."""
    return short_names(runs) if is_terminal() else [run.reference for run in runs]


def _widths(
    columns: Sequence[TableColumn], rows: Sequence[Sequence[str]], room: int
) -> dict[int, int]:
    """Return the width of each column that fits, by its index."""
    natural = [
        max([cell_len(column.header), *(cell_len(row[place]) for row in rows)])
        for place, column in enumerate(columns)
    ]
    narrowest = [
        natural[place] if column.is_number else min(natural[place], column.narrowest)
        for place, column in enumerate(columns)
    ]
    widths: dict[int, int] = {}
    third = room // 3
    ranked = sorted(range(len(columns)), key=lambda place: columns[place].rank)
    for place in ranked:
        gap = _GAP if widths else 0
        if widths and gap + narrowest[place] > room:
            continue
        widths[place] = min(narrowest[place], room)
        room -= gap + widths[place]

    def grow(place: int, most: int) -> None:
        nonlocal room
        more = max(0, min(natural[place] - widths[place], most, room))
        widths[place] += more
        room -= more

    grow(ranked[0], third - widths[ranked[0]])
    # The rest is shared; narrow columns leave more to the others.
    wanting = sorted(widths, key=lambda place: natural[place] - widths[place])
    for served, place in enumerate(wanting):
        grow(place, room // (len(wanting) - served))
    return dict(sorted(widths.items()))


def print_raw(text: str) -> None:
    """Print a text unchanged, byte for byte; on a terminal, control characters are escaped."""
    if is_terminal():
        click.echo(terminal_safe(text, keep_lines=True), nl=False)
    elif sys.stdout is not None:
        # click.echo would remove escape sequences, which would change a patch.
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode(errors="surrogatepass"))
        sys.stdout.buffer.flush()


def print_json_line(value: object) -> None:
    """Print strict JSON in one line."""
    print_json(value, indent=None)


def print_json_parts(name: str, items: Iterable[object], more: Mapping[str, object]) -> None:
    """Print an object with a list, item by item, so that long lists need little memory.

    Args:
        name: The key of the list; empty for the list alone.
        items: Its items, each printed when it is read.
        more: The other keys of the object.
    """
    margin = "  " if name else ""
    before = f'{{\n  "{name}": [' if name else "["
    is_empty = True
    for item in items:
        lines = json_text(item).replace("\n", f"\n{margin}  ")
        click.echo(f"{before}\n{margin}  {lines}", nl=False)
        before, is_empty = ",", False
    click.echo(before + "]" if is_empty else f"\n{margin}]", nl=False)
    for key, value in more.items():
        click.echo(f",\n  {json_text(key)}: {json_text(value)}", nl=False)
    click.echo("\n}" if name else "")


def print_json(value: object, *, indent: int | None = 2) -> None:
    """Print strict JSON, indented; values without a JSON form become strings."""
    click.echo(json_text(value, indent=indent))


def json_text(value: object, *, indent: int | None = 2) -> str:
    """Return strict JSON without control characters."""
    import json

    is_plain = sys.stdout is None or "utf" not in sys.stdout.encoding.lower()
    text = json.dumps(plain(value), indent=indent, ensure_ascii=is_plain, allow_nan=False)
    # These characters occur only within JSON strings, where an escape has the same meaning.
    lines = (line if line.isprintable() else _escaped(line) for line in text.split("\n"))
    return "\n".join(lines)


def _escaped(line: str) -> str:
    """Escape control characters in JSON."""
    import json

    return "".join(
        one
        if one.isprintable() or one in _JOINERS
        else "\\u007f"
        if one == "\x7f"
        else json.dumps(one)[1:-1]
        for one in line
    )
