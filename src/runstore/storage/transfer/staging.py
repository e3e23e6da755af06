"""Long series of runs: their points are written before the run, a few at a time.

Meanwhile, a new run has a row like a permanently removed run, which is not shown anywhere, with a
mark. A series that was continued grows in parts, like that of a program that logs. An interrupted
transfer continues after the last written points; `gc` removes what was not continued.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from functools import partial
from typing import Any, TypeVar

from runstore.storage.database import Database
from runstore.storage.driver import Connection, one_moment
from runstore.storage.metrics import chunks
from runstore.storage.metrics.chunks import Columns
from runstore.storage.metrics.point_records import KeyOf
from runstore.storage.metrics.table import SUMMARY, Total, put_summary, summed
from runstore.storage.new_runs import RunCells
from runstore.storage.rows import now_micros
from runstore.storage.statements import EXPERIMENT_ID
from runstore.storage.transfer.points import PointRows, SeriesCopy
from runstore.storage.transfer.records import STAGED, RunRecord, Summary
from runstore.value_classes import NamedTuple

T = TypeVar("T")
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

    Raises:
        StoreCorruptError: Points are damaged in the source.
    """
    uid = record.row.uid

    def begin(here: Connection) -> int:
        found = here.execute(ROW_OF_UID, {"uid": uid}).fetchone()
        return _hidden(target, here, record) if found is None else int(found[0])

    row_id = target.driver.transact(begin, is_once=True)
    for key in long_series(record):
        done = SeriesCopy((record.row.id, row_id), key, record.series[key])
        while not done.is_done:
            done = _in_one_part(source, target, uid, partial(_with_next_part, done=done))


def _in_one_part(
    source: Database, target: Database, uid: str, work: Callable[[Connection, Connection], T]
) -> T:
    """Call a function with a snapshot of the source and a transaction about a run."""
    with source.driver.read() as there, one_moment(there):
        return target.driver.transact(lambda here: work(there, here), of=[uid], is_once=True)


def _with_next_part(there: Connection, here: Connection, done: SeriesCopy) -> SeriesCopy:
    """Write the next part of a series, after those that are done."""
    one, rows = copy(done), PointRows(here)
    here.lock_new_keys([one.key.key])
    one.write_part(there, here, rows)
    rows.write()
    return one


# Series that were continued


class _OtherSeriesError(Exception):
    """A series is not what the points of the other store continue."""


def long_gains(mine: RunRecord, theirs: RunRecord, after: RunRecord) -> list[KeyOf]:
    """Return the series of a run in both stores that are continued before the run is written."""
    return [
        key
        for key, summary in theirs.series.items()
        if after.series.get(key) == summary
        and summary.points - _points_of(mine.series.get(key)) >= LONG_SERIES
    ]


def _points_of(summary: Summary | None) -> int:
    return 0 if summary is None else summary.points


def extend(
    source: Database, target: Database, mine: RunRecord, theirs: RunRecord, key: KeyOf
) -> bool:
    """Continue a series of a run that both stores have; durable on return.

    After each part, the series and its summary are complete up to a point. Returns whether the
    series is complete: not if it was changed meanwhile, or if its points are not the first ones of
    the other store.

    Raises:
        StoreCorruptError: Points are damaged in the source.
    """
    known = mine.series.get(key)
    done = SeriesCopy((theirs.row.id, mine.row.id), key, theirs.series[key], is_new=known is None)
    while not done.is_done:
        work = partial(_continued, done=done, known=known)
        try:
            done, known = _in_one_part(source, target, mine.row.uid, work)
        except _OtherSeriesError:
            return False
    return True


def _continued(
    there: Connection, here: Connection, done: SeriesCopy, known: Summary | None
) -> tuple[SeriesCopy, Summary | None]:
    """Write the next part of a series, and its summary so far.

    Raises:
        _OtherSeriesError: The series has other points.
    """
    stored = here.execute(SUMMARY, done.place_in(here)).fetchone()
    if (stored and tuple(stored)) != (known and known[: len(Total._fields)]):
        raise _OtherSeriesError
    one = _with_next_part(there, here, done)
    if one.is_done or not one.part:
        return one, known
    columns, replaced = _columns(one.part), _columns(one.replaced)
    count = len(replaced.values)
    if _points_of(known) != one.points - len(columns.values) + count or any(
        mine.tobytes() != theirs[:count].tobytes()
        for mine, theirs in zip(replaced, columns, strict=True)
    ):
        raise _OtherSeriesError
    before = None if known is None else Total._make(known[: len(Total._fields)])
    new = columns.values[count:]
    total = summed(new, before) if new else before
    if total is not None:
        put_summary(here, done.place_in(here), total, Columns(*columns))
        known = Summary(*total, columns.steps[-1], columns.times[-1])
    return one, known


class _Arrays(NamedTuple):
    steps: array[Any]
    times: array[Any]
    values: array[Any]


def _columns(some: Iterable[bytes]) -> _Arrays:
    """Return the points in some chunks."""
    found = _Arrays(array("q"), array("q"), array("d"))
    for one in some:
        chunks.extend(Columns(*found), chunks.unpack(one))
    return found


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
    found: Sequence[Any] = database.driver.fetch_all(
        ABANDONED, {"before": before, "staged": STAGED}
    )
    for (row_id,) in found:
        with database.driver.write() as connection:
            for statement in REMOVALS:
                connection.execute(statement, {"id": row_id})
    return len(found)
