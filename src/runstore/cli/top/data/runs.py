"""The runs that a filter or a text selects."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress

from runstore.errors import NotFoundError
from runstore.model.display.short_names import short_names
from runstore.model.reference import has_ending
from runstore.model.run import Run
from runstore.store import Store

# Signs and words that only a filter has; other texts are searched literally.
_FILTER = re.compile(r"[=<>~]| (?:is|in|like|ilike|contains|by) ", re.IGNORECASE)


def runs_shown(
    store: Store, filter_text: str, limit: int
) -> tuple[Sequence[Run], tuple[str, ...]]:
    """Return the runs that match a filter, or the newest runs that contain a text, and hints.

    Args:
        store: The store.
        filter_text: A filter as in `Store.find`, or a text to search, ignoring case, in
            experiment, reference, status, notes and parameters; empty for all.
        limit: Largest number of runs to read.

    Returns:
        The runs, and a sentence for each name in the filter that no run has.

    Raises:
        FilterError: The filter has a mistake.
    """
    if _FILTER.search(filter_text) and not has_ending(filter_text.strip()):
        page = store.find(filter_text, limit=limit)
        return page.items, page.hints
    wanted = filter_text.strip().casefold()
    runs = store.list(limit=limit).items
    named = zip(runs, short_names(runs), strict=True)
    return [run for run, name in named if wanted in _searched(run, name)], ()


def _searched(run: Run, name: str) -> str:
    parameters = (one.preview(None) for one in run.parameter_sets)
    texts = (
        run.experiment_name,
        run.reference,
        name,
        run.status_text,
        run.notes or "",
        *parameters,
    )
    return "\n".join(texts).casefold()


def runs_left(store: Store, uids: Sequence[str]) -> list[Run]:
    """Return the runs that were not deleted since."""
    runs = []
    for uid in uids:
        with suppress(NotFoundError):
            runs.append(store.get(uid))
    return runs
