"""Removal of a run's points from a step on, so that they can be logged again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runstore.model.display.formatting import counted
from runstore.storage.database import Database, Edit, add_event, run_row
from runstore.storage.driver import Connection
from runstore.storage.metrics import chunks
from runstore.storage.metrics.chunks import Columns
from runstore.storage.metrics.table import put_points, put_summary, summed

# The event of a removal: `old` ends with "from step N on".
FIELD = "metrics"
REMOVED = "removed"
NEVER_REMOVED = "system/"  # machine samples count their own steps
_SERIES = """
    SELECT s.set_index, s.key_id FROM metric_summaries s JOIN metric_keys k ON k.id = s.key_id
    WHERE s.run_id = :run_id AND substr(k.key, 1, 7) <> 'system/'
"""
_CHUNKS = """
    SELECT chunk FROM metric_chunks
    WHERE run_id = :run_id AND set_index = :set_index AND key_id = :key_id ORDER BY chunk_index
"""
_REMOVE_CHUNKS = """
    DELETE FROM metric_chunks
    WHERE run_id = :run_id AND set_index = :set_index AND key_id = :key_id
"""
_REMOVE_LEVELS = """
    DELETE FROM metric_levels
    WHERE run_id = :run_id AND set_index = :set_index AND key_id = :key_id
"""
REMOVE_SUMMARY = """
    DELETE FROM metric_summaries
    WHERE run_id = :run_id AND set_index = :set_index AND key_id = :key_id
"""


def remove_points(database: Database, uid: str, step: int, author: str) -> int:
    """Remove the points of all series from a step on; return their number.

    The removal is atomic, recorded as one event, and durable on return. Points waiting in the
    spool are left alone.

    Raises:
        RunNotFoundError: The run was permanently removed.
        StoreError: The database could not be written; nothing was removed.
    """

    def remove(connection: Connection) -> int:
        run_id = run_row(connection, uid, or_trashed=True).id
        found = connection.execute(_SERIES, {"run_id": run_id}).fetchall()
        removed = [
            _shorten(connection, {"run_id": run_id, "set_index": row[0], "key_id": row[1]}, step)
            for row in found
        ]
        total = sum(removed)
        if total:
            series = counted(len(removed) - removed.count(0), "metric")
            old = f"{counted(total, 'point')} of {series}, from step {step} on"
            add_event(connection, run_id, Edit(FIELD, old, REMOVED, author, None))
        return total

    return database.driver.transact(remove, of=[uid], is_once=True)


def _shorten(connection: Connection, where: dict[str, Any], step: int) -> int:
    """Remove the points of one series from a step on; return their number."""
    kept, removed = Columns([], [], []), 0
    for (chunk,) in connection.execute(_CHUNKS, where).fetchall():
        points = chunks.unpack(chunk)
        places = [place for place, one in enumerate(points.steps) if one < step]
        removed += len(points.steps) - len(places)
        for one in places:
            kept.steps.append(points.steps[one])
            kept.times.append(points.times[one])
            kept.values.append(points.values[one])
    if removed:
        remove_series(connection, where)
        if kept.values:
            put_points(connection, where, 0, kept)
            put_summary(connection, where, summed(kept.values), kept)
    return removed


def remove_series(connection: Connection, where: Mapping[str, int]) -> None:
    """Remove all points of one series, within the caller's transaction."""
    for statement in (_REMOVE_CHUNKS, _REMOVE_LEVELS, REMOVE_SUMMARY):
        connection.execute(statement, where)
