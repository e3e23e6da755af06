"""Tables as notebooks show them, whatever the texts hold."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from runstore.errors import visible


def html_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; without a head where that is empty."""
    lines = [_row("th", head)] if head else []
    return f"<table>{''.join([*lines, *(_row('td', row) for row in rows)])}</table>"


def html_paragraphs(sentences: Iterable[str]) -> str:
    """Return a paragraph for each sentence."""
    return "".join(f"<p>{escaped(one)}</p>" for one in sentences)


def escaped(text: str) -> str:
    """Return a text as HTML that shows it, and that turns around nothing beside it."""
    return html.escape(visible(text, keep_lines=True))


def _row(tag: str, texts: Sequence[str]) -> str:
    cells = (f"<{tag} style='text-align:left'>{escaped(text)}</{tag}>" for text in texts)
    return f"<tr>{''.join(cells)}</tr>"
