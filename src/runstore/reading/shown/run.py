"""A run in a notebook: facts, parameters, metrics with curves, and artifacts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from runstore.errors import RunstoreError
from runstore.model.display.html import html_paragraphs, html_sections, html_table
from runstore.model.display.plain import as_python
from runstore.model.run import Run
from runstore.reading.shown.facts import commit_text, head_of


def run_html(run: Run) -> str:
    """Return a run as tables, with a message in place of any part that cannot be read."""
    facts = dict(head_of(run))
    if text := commit_text(run):
        facts["commit"] = text
    return html_sections(
        [
            html_table((), facts.items()),
            *_parameters(run),
            _part("metrics", lambda: run.metrics),
            _part("artifacts", lambda: run.artifacts),
        ]
    )


def _parameters(run: Run) -> Iterator[str]:
    for one in run.parameter_sets:
        rows = list(flattened(one.values))
        if rows:
            title = "parameters" if len(run.parameter_sets) == 1 else f"parameters {one.name}"
            yield html_table((), rows, title=title)


def _part(title: str, read: Callable[[], Any]) -> str:
    try:
        found = read()
    except RunstoreError as error:
        return html_paragraphs([f"{title}: {error}"])
    return f"<p><strong>{title}</strong></p>{found._repr_html_()}" if found else ""


def flattened(values: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted key and the text of each value, including nested mappings."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from flattened(value, f"{name}.")
        else:
            yield name, as_python(value)
