"""Long series of new runs: their points are written before the run, a few at a time.

Meanwhile, the run has a row like a permanently removed run, which is not shown anywhere, with a
mark. An interrupted transfer continues after the last written points; `gc` removes what was not
continued.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runstore.storage.blocks import EXPERIMENT_ID
from runstore.storage.database import Database, RunCells, now_micros
from runstore.storage.driver import Connection
from runstore.storage.metrics.point_files import KeyOf
from runstore.storage.transfer.points import PointRows, SeriesCopy
from runstore.storage.transfer.records import STAGED, RunRecord, one_moment

# Shorter series are written with their run.
LONG_SERIES = 50_000
PLACE_OF = """
    SELECT coalesce(max(r.duplicate), -1) + 1 FROM runs r
    WHERE r.experiment_id = :experiment_id AND r.run_number = :run_number
"""
HIDE = "UPDATE runs SET deleted_at = :now, purged_at = :now WHERE id = :id"
ROW_OF_UID = "SELECT r.id FROM runs r WHERE r.uid = :uid"
ABANDONED = """
    SELECT r.id FROM runs r
    WHERE r.deleted_at IS NOT NULL AND r.purged_at < :before AND r.block = :staged
"""
REMOVALS = tuple(
    f"DELETE FROM {table} WHERE {column} = :id"  # noqa: S608 - names of tables
    for table, column in (
        ("metric_chunks", "run_id"),
        ("metric_levels", "run_id"),
        ("metric_summaries", "run_id"),
        ("runs", "id"),
    )
)


def long_series(record: RunRecord) -> list[KeyOf]:
    """Return the series of a run that are written before it."""
    return [key for key, summary in record.series.items() if summary.points >= LONG_SERIES]


def stage(source: Database, target: Database, record: RunRecord) -> None:
    """Write the long series of a new run; durable on return.

    Other writers of the store do not wait for more than one part.

    Args:
        source: The store that has the run.
        target: The store to write to.
        record: The record of the run in the source.

    Raises:
        StoreCorruptError: Points are damaged in the source.
    """
    uid = record.row.uid
    with target.driver.write() as here:
        found = here.execute(ROW_OF_UID, {"uid": uid}).fetchone()
        row_id = _hidden(target, here, record) if found is None else found[0]
    for key in long_series(record):
        copy = None
        while copy is None or not copy.is_done:
            with (
                source.driver.read() as there,
                one_moment(there),
                target.driver.write(of=[uid]) as here,
            ):
                here.lock_new_keys([key.key])
                copy = copy or SeriesCopy((record.row.id, row_id), key, record.series[key])
                rows = PointRows(here)
                copy.write_part(there, here, rows)
                rows.write()


def _hidden(target: Database, here: Connection, record: RunRecord) -> int:
    """Add the row of a run that is not shown."""
    row = record.row
    made = {"name": row.experiment, "number": row.run_number, "now": now_micros()}
    place = {
        "experiment_id": int(here.execute(EXPERIMENT_ID, made).fetchone()[0]),
        "run_number": row.run_number,
    }
    cells: dict[str, Any] = dict.fromkeys(RunCells._fields)
    cells |= {name: getattr(row, name) for name in ("uid", "reference", "timestamp", "status")}
    cells |= {"started_at": row.started_at, "full_store": False, "block": STAGED, **place}
    cells["duplicate"] = here.execute(PLACE_OF, place).fetchone()[0]
    row_id = target.insert_row(here, RunCells(**cells), ())
    here.execute(HIDE, {"id": row_id, "now": now_micros()})
    return row_id


def remove_abandoned(database: Database, before: int) -> int:
    """Remove what interrupted transfers left before a time; return the number of runs."""
    with database.driver.read() as connection:
        found: Sequence[Any] = connection.execute(
            ABANDONED, {"before": before, "staged": STAGED}
        ).fetchall()
    for (row_id,) in found:
        with database.driver.write() as connection:
            for statement in REMOVALS:
                connection.execute(statement, {"id": row_id})
    return len(found)
