"""A store in a notebook: its experiments and its newest runs."""

from __future__ import annotations

from runstore.errors import RunstoreError
from runstore.model.display.formatting import counted
from runstore.model.display.html import html_paragraphs, html_sections, html_table
from runstore.model.results.lists import Experiments
from runstore.reading.newest import newest_page
from runstore.reading.shown.page import table_of
from runstore.storage.backend import Backend

_EXPERIMENTS, _RUNS = 10, 10


def store_html(backend: Backend) -> str:
    """Return a store as tables."""
    place = backend.place
    try:
        experiments = Experiments(backend.database.experiments())
        runs = newest_page(backend, None, _RUNS, None).items
    except RunstoreError as error:
        return html_paragraphs([f"Store {place}", str(error)])
    count = sum(one.run_count for one in experiments)
    said = f"Store {place}: {counted(count, 'run')}, {counted(len(experiments), 'experiment')}"
    if not runs:
        return html_paragraphs([said])
    rows = map(experiments.row, experiments)
    listed = html_table(experiments.head, rows, total=len(experiments), most=_EXPERIMENTS)
    return html_sections(
        [html_paragraphs([said]), listed, html_table(*table_of(runs), title="newest runs")]
    )
