"""Tables as notebooks show them, whatever the texts hold and however many rows there are.

No colours are set: the text and the lines of drawings have the colours of the notebook.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from itertools import islice

from runstore.errors import visible
from runstore.model.display.formatting import cropped

ROWS_AT_MOST = 50
_TEXT_AT_MOST = 300


class Markup(str):
    """HTML that is shown as it is: a drawing, a table."""

    __slots__ = ()


def html_table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str = "",
    total: int | None = None,
    most: int = ROWS_AT_MOST,
) -> str:
    """Return a table with a title above it and the number of left out rows below it.

    Args:
        head: The headers; without a head if it is empty.
        rows: Texts or `Markup`; of an iterator, only the rows shown are made if `total` is known.
        title: What the rows are; empty for no title.
        total: How many rows there are; None counts them.
        most: Rows shown at most.
    """
    left = iter(rows)
    shown = list(islice(left, most))
    more = sum(1 for _ in left) if total is None else total - len(shown)
    lines = [_row("th", head)] if head else []
    lines += (_row("td", row) for row in shown)
    caption = f"<p><strong>{escaped(title)}</strong></p>" if title else ""
    rest = f"<p>… and {more:,} more</p>" if more > 0 else ""
    return f"{caption}<table>{''.join(lines)}</table>{rest}"


def html_paragraphs(sentences: Iterable[str]) -> str:
    """Return a paragraph for each sentence."""
    return "".join(f"<p>{escaped(one)}</p>" for one in sentences)


def escaped(text: str) -> str:
    """Return a text as HTML that shows it, and that turns around nothing beside it."""
    if isinstance(text, Markup):
        return text
    return html.escape(visible(cropped(text, _TEXT_AT_MOST), keep_lines=True))


def html_sections(parts: Iterable[str]) -> str:
    """Return parts one below the other."""
    return f"<div>{''.join(parts)}</div>"


def _row(tag: str, texts: Sequence[str]) -> str:
    cells = (f"<{tag} style='text-align:left'>{escaped(text)}</{tag}>" for text in texts)
    return f"<tr>{''.join(cells)}</tr>"
