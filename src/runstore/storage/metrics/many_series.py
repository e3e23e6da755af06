"""The series of many runs, read with a few statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from runstore.storage.database import Database
from runstore.storage.driver import Connection, one_moment
from runstore.storage.metrics.point_records import KeyOf
from runstore.storage.rows import as_int, as_text
from runstore.storage.stored_runs import batches
from runstore.value_classes import NamedTuple

# In these, the placeholder of one value or one row is repeated for each value.
IDS_OF_UIDS = "SELECT id, uid FROM runs WHERE uid IN (?)"
MARKS_OF_FILES = "SELECT name, position FROM spool_marks WHERE name IN (?)"
SERIES_OF_RUNS = """
    SELECT s.run_id, s.set_index, k.key, s.key_id, s.count
    FROM metric_summaries s JOIN metric_keys k ON k.id = s.key_id
    WHERE s.run_id IN (?)
"""
# A cross join makes SQLite look up each series instead of scanning all chunks.
CHUNKS_OF_MANY = """
    WITH n (run_id, set_index, key_id) AS (VALUES (?, ?, ?))
    SELECT n.run_id, n.set_index, n.key_id, c.chunk_index, c.chunk
    FROM n CROSS JOIN metric_chunks c
    WHERE c.run_id = n.run_id AND c.set_index = n.set_index AND c.key_id = n.key_id
"""
# SQLite allows 32,766 parameters per statement, PostgreSQL 65,535.
_AT_ONCE = 5000


class StoredSeries(NamedTuple):
    """A series of a run in the database, and its number of points."""

    uid: str
    series: KeyOf
    points: int


class StoredMany(NamedTuple):
    """A snapshot of the chunks of series, by run, and the imported lengths of spool files."""

    chunks: dict[str, dict[KeyOf, list[bytes]]]
    marks: dict[str, int]


def series_of_runs(database: Database, uids: Sequence[str]) -> tuple[set[str], list[StoredSeries]]:
    """Return the runs among these that are in the database, and their series."""
    with database.driver.read() as connection, one_moment(connection):
        known = _known(connection, uids)
        rows = list(_many(connection, SERIES_OF_RUNS, list(known)))
    found = [
        StoredSeries(known[row[0]], KeyOf(as_int(row[1], -1), as_text(row[2])), as_int(row[4]))
        for row in rows
    ]
    return set(known.values()), found


def stored_of_runs(
    database: Database,
    uids: Sequence[str],
    files: Sequence[str],
    is_wanted: Callable[[str, KeyOf], bool],
) -> StoredMany:
    """Return a consistent snapshot of the chunks of many series and of the marks of spool files.

    Only chunks of series whose uid and key are wanted are read.
    """
    found: dict[str, dict[KeyOf, list[bytes]]] = {uid: {} for uid in uids}
    with database.driver.read() as connection, one_moment(connection):
        marks = dict(_many(connection, MARKS_OF_FILES, files))
        known = _known(connection, uids)
        wanted = {
            (run_id, set_index, key_id): KeyOf(set_index, key)
            for run_id, set_index, key, key_id, _ in _many(connection, SERIES_OF_RUNS, list(known))
            # Any other set has no points; the doctor reports it.
            if isinstance(set_index, int) and is_wanted(known[run_id], KeyOf(set_index, key))
        }
        chunks = list(_many(connection, CHUNKS_OF_MANY, list(wanted)))
    chunks.sort(key=lambda row: row[:4])
    for run_id, set_index, key_id, _, chunk in chunks:
        series = wanted[run_id, set_index, key_id]
        found[known[run_id]].setdefault(series, []).append(chunk)
    return StoredMany(found, marks)


def _known(connection: Connection, uids: Sequence[str]) -> dict[int, str]:
    return dict(_many(connection, IDS_OF_UIDS, uids))


def _many(connection: Connection, sql: str, values: Sequence[Any]) -> Iterator[Any]:
    """Yield the rows of a statement for each of these values, or tuples of values."""
    for some in batches(values, _AT_ONCE):
        is_row = isinstance(some[0], tuple)
        one = "(?, ?, ?)" if is_row else "?"
        parameters = [part for row in some for part in row] if is_row else some
        yield from connection.execute(
            sql.replace(one, ", ".join([one] * len(some))), parameters
        ).fetchall()
