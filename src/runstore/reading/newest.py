"""Pages of the newest runs."""

from __future__ import annotations

from collections.abc import Iterator

from runstore.model import arguments
from runstore.model.run import Run
from runstore.reading.names import as_now, check_experiment
from runstore.reading.pages import (
    BY_NUMBER,
    BY_START,
    FIRST_PART,
    PART,
    Page,
    newest_place,
    page_limit,
    write_cursor,
)
from runstore.storage.backend import Backend
from runstore.storage.stored_runs import BEYOND_NEWEST


def newest_page(
    backend: Backend, experiment_name: str | None, limit: int | None, after: str | None
) -> Page[Run]:
    """Return one page of runs, or all of them, newest first; see `Store.list`."""
    limit = page_limit(limit)
    if limit is None:
        return _all(backend, experiment_name, after)
    if experiment_name is not None:
        experiment_name = arguments.text(experiment_name, "experiment_name", "mnist")
    order = BY_START if experiment_name is None else BY_NUMBER
    before = BEYOND_NEWEST if after is None else newest_place(after, order)
    found = backend.database.newest_runs(experiment_name, limit=limit + 1, before=before)
    if not found and experiment_name is not None and after is None:
        check_experiment(backend.database, experiment_name, backend.place)
    has_more = len(found) > limit
    found = found[:limit]
    last = write_cursor(found[-1][0], order) if has_more else None
    return Page(as_now(backend, [run for _, run in found]), last)


def _all(backend: Backend, experiment_name: str | None, after: str | None) -> Page[Run]:
    """Return all runs; those after the first part are read on demand."""
    first = newest_page(backend, experiment_name, FIRST_PART, after)
    if first.next is None:
        return first

    def rest() -> Iterator[tuple[Run, ...]]:
        cursor = first.next
        while cursor is not None:
            page = newest_page(backend, experiment_name, PART, cursor)
            yield page.items
            cursor = page.next

    return Page(first.items, None, first.hints, rest)
