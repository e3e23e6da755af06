"""The number of runs of a list, if it can be counted quickly."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runstore.model.query.tree import Query
    from runstore.store import Store

# Counting all runs is quick; a filter has to check each of them.
_ALL_AT_MOST, _FILTERED_AT_MOST = 10_000, 200


def count_text(store: Store, query: Query | None, experiment: str | None) -> str:
    """Return ` of 143`, ` of more than 200`, or nothing if counting takes too long."""
    if query is None:
        most = _ALL_AT_MOST
        count = store.backend.database.count_runs(experiment, most + 1)
    else:
        from runstore.reading.find import count_of

        most = _FILTERED_AT_MOST
        found = count_of(store.backend, query, most + 1)
        if found is None:
            return ""
        count = found
    return f" of {count:,}" if count <= most else f" of more than {most:,}"
