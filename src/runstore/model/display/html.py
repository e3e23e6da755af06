"""Tables for notebooks, safe for any text and any number of rows.

No colours are set: texts and lines have the colours of the notebook.
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
    """HTML that is inserted verbatim: a drawing, a table."""

    __slots__ = ()


def html_table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str = "",
    total: int | None = None,
    most: int = ROWS_AT_MOST,
) -> str:
    """Return a table with a title above it and the number of omitted rows below it.

    Args:
        head: The headers; no head if empty.
        rows: Texts or `Markup`; an iterator is read only up to the rows shown if `total` is known.
        title: The title of the table; empty for none.
        total: Number of rows; None to count them.
        most: Maximum number of rows shown.
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
    """Escape a text for HTML, including characters that reverse the reading direction."""
    if isinstance(text, Markup):
        return text
    return html.escape(visible(cropped(text, _TEXT_AT_MOST), keep_lines=True))


def html_sections(parts: Iterable[str]) -> str:
    """Return parts below each other."""
    return f"<div>{''.join(parts)}</div>"


def _row(tag: str, texts: Sequence[str]) -> str:
    cells = (f"<{tag} style='text-align:left'>{escaped(text)}</{tag}>" for text in texts)
    return f"<tr>{''.join(cells)}</tr>"
