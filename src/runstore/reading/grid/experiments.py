"""Experiments as a page shows them: counts by status, and the last run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runstore.model.display.as_json import as_utc
from runstore.model.query.tree import Query
from runstore.reading.find import settle
from runstore.reading.groups import field_of_text
from runstore.storage.query.grouping import Grouping

if TYPE_CHECKING:
    from runstore.storage.backend import Backend


def experiment_rows(backend: Backend) -> list[dict[str, Any]]:
    """Return all experiments that have runs, the most recently run first."""
    field, query = field_of_text("experiment"), Query()
    settle(backend, (field_of_text("status"),))
    groups = Grouping(backend.database, field).groups(query, ())
    last_numbers = {one.name: one.last_run_number for one in backend.database.experiments()}
    return [
        {
            "name": str(one.value),
            "runs": one.runs,
            "last_run_number": last_numbers.get(str(one.value), 0),
            "last_started_at": as_utc(one.last_started_at),
            "by_status": dict(one.statuses),
        }
        for one in groups
    ]
