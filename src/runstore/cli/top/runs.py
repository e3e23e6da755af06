"""Which runs are shown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from runstore.model.run import Run
from runstore.store import Store

# Signs and words that only a filter has: other texts are looked for as they are.
_FILTER = re.compile(r"[=<>~]| (?:is|in|like|ilike|contains|by) ", re.IGNORECASE)


def runs_shown(store: Store, filter_text: str, limit: int) -> Sequence[Run]:
    """Return the runs that a filter chooses, or those among the newest that have a text.

    Args:
        store: Where they are kept.
        filter_text: A filter as `Store.find` takes it, or a text within experiment name,
            reference, status, notes or parameters, in upper or lower case; empty for all.
        limit: Runs that are read at most.

    Raises:
        FilterError: It is a filter, and has a mistake.
    """
    if _FILTER.search(filter_text):
        return store.find(filter_text, limit=limit).items
    wanted = filter_text.strip().casefold()
    return [run for run in store.list(limit=limit) if wanted in _searched(run)]


def _searched(run: Run) -> str:
    parameters = (one.preview() for one in run.parameter_sets)
    texts = (run.experiment_name, run.reference, run.status_text, run.notes or "", *parameters)
    return "\n".join(texts).casefold()
