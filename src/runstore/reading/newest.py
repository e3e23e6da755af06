"""Pages of the newest runs."""

from __future__ import annotations

from runstore.model import arguments
from runstore.model.run import Run
from runstore.reading.names import as_now, check_experiment
from runstore.reading.pages import (
    BY_NUMBER,
    BY_START,
    Page,
    newest_place,
    page_limit,
    write_cursor,
)
from runstore.storage.backend import Backend
from runstore.storage.database import BEYOND_NEWEST


def newest_page(
    backend: Backend, experiment_name: str | None, limit: int | None, after: str | None
) -> Page[Run]:
    """Return one page of runs, newest first; see `Store.list`."""
    limit = page_limit(limit)
    if experiment_name is not None:
        experiment_name = arguments.text(experiment_name, "experiment_name", "mnist")
    order = BY_START if experiment_name is None else BY_NUMBER
    before = BEYOND_NEWEST if after is None else newest_place(after, order)
    one_more = BEYOND_NEWEST[1] if limit is None else limit + 1
    found = backend.database.newest_runs(experiment_name, limit=one_more, before=before)
    if not found and experiment_name is not None and after is None:
        check_experiment(backend.database, experiment_name, backend.path)
    more = limit is not None and len(found) > limit
    found = found[:limit]
    last = write_cursor(found[-1][0], order) if more else None
    return Page(as_now(backend, [run for _, run in found]), last)
