"""The series of many runs, read with a few statements for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from runstore.storage.database import Database
from runstore.storage.driver import Connection
from runstore.storage.metrics.point_files import KeyOf
from runstore.storage.metrics.table import _one_moment
from runstore.storage.rows import as_int, as_text

# In these, what stands for one value or one row is repeated as often as there are values.
IDS_OF_UIDS = "SELECT id, uid FROM runs WHERE uid IN (?)"
MARKS_OF_FILES = "SELECT name, position FROM spool_marks WHERE name IN (?)"
SERIES_OF_RUNS = """
    SELECT s.run_id, s.set_index, k.key, s.key_id, s.count
    FROM metric_summaries s JOIN metric_keys k ON k.id = s.key_id
    WHERE s.run_id IN (?)
"""
# A cross join, so that SQLite looks each series up instead of walking through all chunks.
CHUNKS_OF_MANY = """
    WITH n (run_id, set_index, key_id) AS (VALUES (?, ?, ?))
    SELECT n.run_id, n.set_index, n.key_id, c.chunk_index, c.chunk
    FROM n CROSS JOIN metric_chunks c
    WHERE c.run_id = n.run_id AND c.set_index = n.set_index AND c.key_id = n.key_id
"""
# SQLite takes 32,766 parameters a statement, PostgreSQL 65,535.
_AT_ONCE = 5000


class StoredSeries(NamedTuple):
    """A series as the database has it, without its points.

    Attributes:
        uid: The run.
        series: Which of the run's series.
        points: How many it has.
    """

    uid: str
    series: KeyOf
    points: int


class StoredMany(NamedTuple):
    """Series of several runs as they are at one moment.

    Attributes:
        chunks: The chunks of each series in order, by run.
        marks: How far spool files were taken in, for those of which anything was.
    """

    chunks: dict[str, dict[KeyOf, list[bytes]]]
    marks: dict[str, int]


def series_of_runs(database: Database, uids: Sequence[str]) -> tuple[set[str], list[StoredSeries]]:
    """Return which of these runs the database has, and their series."""
    with database.driver.read() as connection, _one_moment(connection):
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
    """Return the chunks of many series, all as they are at one moment, and the marks of then.

    Args:
        database: The open database.
        uids: The runs.
        files: Names of the spool files whose marks are asked for.
        is_wanted: Tells, of a run and a series, whether its chunks are read.
    """
    found: dict[str, dict[KeyOf, list[bytes]]] = {uid: {} for uid in uids}
    with database.driver.read() as connection, _one_moment(connection):
        marks = dict(_many(connection, MARKS_OF_FILES, files))
        known = _known(connection, uids)
        wanted = {
            (run_id, set_index, key_id): KeyOf(set_index, key)
            for run_id, set_index, key, key_id, _ in _many(connection, SERIES_OF_RUNS, list(known))
            if is_wanted(known[run_id], KeyOf(set_index, key))
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
    for begin in range(0, len(values), _AT_ONCE):
        some = values[begin : begin + _AT_ONCE]
        is_row = isinstance(some[0], tuple)
        one = "(?, ?, ?)" if is_row else "?"
        parameters = [part for row in some for part in row] if is_row else list(some)
        yield from connection.execute(
            sql.replace(one, ", ".join([one] * len(some))), parameters
        ).fetchall()
