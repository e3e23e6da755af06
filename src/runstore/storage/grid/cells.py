"""Summaries of some metrics of some runs, by row id."""

from __future__ import annotations

import json
from collections.abc import Collection

from runstore.model.values import clean_text
from runstore.storage.database import Database
from runstore.storage.rows import as_number, as_text
from runstore.value_classes import dataclass

# Run by run: the summaries of one run are stored together. Those of the run itself come first.
SUMMARIES = """
    SELECT v.run_id, k.key, v.set_index, v.last, v.first, v.min, v.max,
        v.total / nullif(v.count - v.nan_count, 0), v.count
    FROM (SELECT DISTINCT j.value AS id FROM json_each(?) j) c
    CROSS JOIN metric_summaries v ON v.run_id = c.id
    CROSS JOIN metric_keys k ON k.id = v.key_id
    WHERE k.key IN (SELECT value FROM json_each(?) texts)
    ORDER BY v.run_id, v.set_index
"""
IDS_OF_UIDS = "SELECT id, uid FROM runs WHERE uid IN (SELECT value FROM json_each(?) texts)"


@dataclass(frozen=True, slots=True)
class StoredSummary:
    """The statistics of one series; None for NaN."""

    set_index: int
    last: float | None
    first: float | None
    min: float | None
    max: float | None
    mean: float | None
    count: int


class Cells:
    """Reads metrics for a grid."""

    def __init__(self, database: Database) -> None:
        self._driver = database.driver

    def summaries(
        self, row_ids: Collection[int], keys: Collection[str]
    ) -> dict[tuple[int, str], list[StoredSummary]]:
        """Return the stored summaries of metrics by row id and key; those of sets last."""
        found: dict[tuple[int, str], list[StoredSummary]] = {}
        if not keys:
            return found
        parameters = (json.dumps(list(row_ids)), json.dumps([clean_text(key) for key in keys]))
        with self._driver.read() as connection:
            for row_id, key, place, *numbers, count in connection.execute(
                SUMMARIES, parameters
            ).fetchall():
                last, first, low, high, mean = map(as_number, numbers)
                one = StoredSummary(place, last, first, low, high, mean, count)
                found.setdefault((row_id, as_text(key)), []).append(one)
        return found

    def ids_of(self, uids: Collection[str]) -> dict[str, int]:
        """Return the row ids of runs by uid, without unknown ones."""
        rows = self._driver.fetch_all(
            IDS_OF_UIDS, (json.dumps([clean_text(uid) for uid in uids]),)
        )
        return {as_text(uid): row_id for row_id, uid in rows}
