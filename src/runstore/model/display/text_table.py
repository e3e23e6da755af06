"""Tables for interactive sessions, safe for any text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from runstore.errors import visible
from runstore.model.display.formatting import cropped

_ROWS_AT_MOST = 20
_CELL_AT_MOST = 40
_GAP = "  "


def text_table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str = "",
    total: int | None = None,
) -> str:
    """Return rows as lines of text with aligned columns.

    Args:
        head: The headers.
        rows: Texts; an iterator is read only up to the rows shown if `total` is known.
        title: A line above them; empty for none.
        total: Number of rows; None to count them.
    """
    left = iter(rows)
    shown = list(islice(left, _ROWS_AT_MOST))
    more = sum(1 for _ in left) if total is None else total - len(shown)
    lines = [visible(title)] if title else []
    lines += _aligned([list(map(_in_line, row)) for row in (head, *shown)]) if shown else []
    if more > 0:
        lines.append(f"… and {more:,} more")
    return "\n".join(lines)


def _in_line(text: str) -> str:
    return cropped(visible(text).replace("\t", " "), _CELL_AT_MOST)


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield _GAP.join(cells).rstrip()
