"""Sections of labels and texts: side by side on a terminal, plain in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from runstore.cli import output
from runstore.value_classes import NamedTuple

_LABEL_WIDTH = 24
_GAP = 2
_BETWEEN = 4  # columns of short pairs
_LONG_PAIR = 36


class PagePart(NamedTuple):
    """A part of a page.

    Attributes:
        title: Its title; empty for none.
        lines: Labels and texts.
        is_short: Whether several short texts fit on a line of a terminal.
        head: The headings of a table.
        rows: The rows of a table; on a terminal they replace the lines.
        is_apart: Whether an empty line precedes it even without a title.
    """

    title: str
    lines: Sequence[tuple[str, str]]
    is_short: bool = False
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    is_apart: bool = False


def plain_lines(sections: Iterable[PagePart]) -> Iterator[str]:
    """Yield the lines of sections for a pipe."""
    for place, section in enumerate(one for one in sections if one.lines):
        if place:
            yield ""
        if section.title:
            yield output.terminal_safe(section.title)
        width = min(_LABEL_WIDTH, max(len(label) for label, _ in section.lines))
        for label, text in section.lines:
            indented = output.terminal_safe(text, keep_lines=True).replace(
                "\n", "\n" + " " * (width + 2 * _GAP)
            )
            line = f"  {output.terminal_safe(label):{width}}  {indented}"
            yield from line.rstrip().split("\n")


def terminal_lines(sections: Iterable[PagePart], width: int) -> Iterator[str]:
    """Yield the lines of sections for a terminal, with its colours.

    Sections without a title follow each other without a gap, so that a page fits on a screen.
    """
    for section in sections:
        if not section.lines:
            continue
        if section.title or section.is_apart:
            yield ""
        if section.rows:
            yield from _table(section, width)
            continue
        if section.title:
            yield output.styled(output.fitted(output.terminal_safe(section.title), width), "bold")
        flowing = _flowing(section, width) if section.is_short else None
        yield from _pairs(section, width) if flowing is None else flowing


def _pairs(section: PagePart, width: int) -> Iterator[str]:
    """Yield labels with their texts, wrapped to the width."""
    indent = _GAP if section.title else 0
    longest = max(output.cell_len(label) for label, _ in section.lines)
    label_width = min(longest, max(_LABEL_WIDTH, width // 2))
    # Texts without labels are not wrapped, so that they can be copied from the terminal.
    if not label_width:
        for _, text in section.lines:
            for line in output.terminal_safe(text, keep_lines=True).split("\n"):
                yield from output.folded(line, max(1, width - indent), indent)
        return
    label_width = min(label_width, max(1, width // 2 - indent))
    room = max(1, width - indent - label_width - _GAP)
    for label, text in section.lines:
        style = output.STATUS_STYLES.get(text, "") if label == "status" else ""
        style = "bold red" if label == "error" else style
        labels = list(output.folded(output.terminal_safe(label), label_width))
        texts = [
            part
            for line in output.terminal_safe(text, keep_lines=True).split("\n")
            for part in output.folded(line.replace("\t", "    "), room)
        ]
        for place in range(max(len(labels), len(texts))):
            left = labels[place] if place < len(labels) else ""
            right = texts[place] if place < len(texts) else ""
            padding = " " * (label_width + _GAP - output.cell_len(left))
            shown = output.styled(left, "dim") + padding + output.styled(right, style)
            yield " " * indent + shown.rstrip()


def _flowing(section: PagePart, width: int) -> Iterator[str] | None:
    """Return lines with several pairs each, ordered by column; None if the texts are too long."""
    pairs = [
        (output.terminal_safe(label), output.terminal_safe(text)) for label, text in section.lines
    ]
    labels = max(output.cell_len(label) for label, _ in pairs)
    texts = max(output.cell_len(text) for _, text in pairs)
    cell = labels + _GAP + texts
    columns = (width - _GAP + _BETWEEN) // (cell + _BETWEEN)
    if cell > _LONG_PAIR or columns < 2:  # noqa: PLR2004 - several
        return None
    rows = -(-len(pairs) // columns)
    return _in_columns(pairs, rows, labels, cell)


def _in_columns(
    pairs: Sequence[tuple[str, str]], rows: int, labels: int, cell: int
) -> Iterator[str]:
    for row in range(rows):
        line = " " * _GAP
        for label, text in pairs[row::rows]:
            padding = " " * (labels + _GAP - output.cell_len(label))
            after = " " * (cell + _BETWEEN - labels - _GAP - output.cell_len(text))
            line += output.styled(label, "dim") + padding + text + after
        yield line.rstrip()


def _table(section: PagePart, width: int) -> Iterator[str]:
    """Yield the rows of a table, with its title in the line of the headings.

    The first column has names, the second one sparklines, and the others numbers. If the terminal
    is too narrow, columns at the right are left out, and sparklines before names.
    """
    head = [section.title, *section.head[1:]]
    rows = [[output.terminal_safe(cell) for cell in row] for row in section.rows]
    widths = [
        max(
            output.cell_len(head[at]) - _GAP * (at == 0),
            *(output.cell_len(row[at]) for row in rows),
        )
        for at in range(len(head))
    ]
    shown = [0, *range(2, len(head))]
    least = min(widths[0], _LABEL_WIDTH)

    def needed(columns: Sequence[int]) -> int:
        return 2 * _GAP + least + sum(widths[at] + _GAP for at in columns[1:]) - _GAP

    while len(shown) > 2 and needed(shown) > width:  # noqa: PLR2004 - a name and a number
        shown.pop()
    if widths[1] and needed([0, 1, *shown[1:]]) <= width:
        shown.insert(1, 1)
    widths[0] = max(1, min(widths[0], width - needed(shown) + least))
    names = [_end_of(row[0], widths[0]) for row in rows]
    yield _row([head[0], *head[1:]], shown, widths, style="bold")
    for name, row in zip(names, rows, strict=True):
        yield _row([name, *row[1:]], shown, widths)


def _end_of(name: str, width: int) -> str:
    """Return a name, or its end, which distinguishes metrics better than the beginning."""
    if output.cell_len(name) <= width:
        return name
    end = name[len(name) - width + 1 :]
    while end and output.cell_len(end) >= width:
        end = end[1:]
    return "…" + end


def _row(
    cells: Sequence[str], shown: Sequence[int], widths: Sequence[int], style: str = ""
) -> str:
    parts = []
    for at in shown:
        text = cells[at]
        size = widths[at] + (_GAP if at == 0 else 0)
        if at == 0 and not style:
            text = " " * _GAP + text
        padding = " " * (size - output.cell_len(text))
        text = output.styled(text, style or ("cyan" if at == 1 else ""))
        parts.append(text + padding if at < 2 else padding + text)  # noqa: PLR2004 - numbers
    return (" " * _GAP).join(parts).rstrip()
