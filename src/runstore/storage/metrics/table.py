"""Metric points in the database: import from the spool, and reading."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from struct import Struct

from runstore.errors import genuine
from runstore.model.values import blake2b
from runstore.storage.database import Database
from runstore.storage.driver import Connection, one_moment
from runstore.storage.files.host import has_ended, host_number
from runstore.storage.files.safe_files import read_file, remove_file
from runstore.storage.files.spool import uid_of
from runstore.storage.metrics import chunks
from runstore.storage.metrics.chunks import Columns
from runstore.storage.metrics.point_reading import points_in, settled, writer_of
from runstore.storage.metrics.point_records import LARGEST_BYTES, KeyOf
from runstore.storage.rows import as_int, as_number, as_text
from runstore.storage.statements import MARK_CHANGED
from runstore.storage.stored_runs import batches
from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from runstore.model.metrics import MetricSummary
    from runstore.storage.metrics.outlining import Outlined, Outlining, Window

    T = TypeVar("T")

# So long, a process that cannot be checked is given the benefit of the doubt.
_SILENT_S = 86_400.0
# A process that was not killed writes the head of its file by then.
_HEAD_WITHIN_S = 60.0
RUN_OF_UID = "SELECT id, status FROM runs WHERE uid = :uid AND purged_at IS NULL"
MARK_OF = "SELECT position FROM spool_marks WHERE name = :name"
SET_MARK = """
    INSERT INTO spool_marks (name, position) VALUES (:name, :position)
    ON CONFLICT (name) DO UPDATE SET position = excluded.position
"""
MARKS_OF_RUN = "SELECT name, position FROM spool_marks WHERE name >= :begin AND name < :end"
ADD_KEY = "INSERT INTO metric_keys (key) VALUES (:key) ON CONFLICT (key) DO NOTHING"
KEY_ID = "SELECT id FROM metric_keys WHERE key = :key"
LAST_CHUNK = """
    SELECT chunk_index, count, chunk FROM metric_chunks
    WHERE run_id = :run_id AND set_index = :set_index AND key_id = :key_id
    ORDER BY chunk_index DESC LIMIT 1
"""
PUT_CHUNK = """
    INSERT INTO metric_chunks (run_id, set_index, key_id, chunk_index, count, chunk, digest)
    VALUES (:run_id, :set_index, :key_id, :chunk_index, :count, :chunk, :digest)
    ON CONFLICT (run_id, set_index, key_id, chunk_index)
    DO UPDATE SET count = excluded.count, chunk = excluded.chunk, digest = excluded.digest
"""
SUMMARY = """
    SELECT count, nan_count, first, last, min, max, total FROM metric_summaries
    WHERE run_id = :run_id AND set_index = :set_index AND key_id = :key_id
"""
PUT_SUMMARY = """
    INSERT INTO metric_summaries (run_id, set_index, key_id, count, nan_count, first, last, min,
        max, total, last_step, last_at, digest)
    VALUES (:run_id, :set_index, :key_id, :points, :nan_count, :first, :last, :min, :max, :total,
        :last_step, :last_at, :digest)
    ON CONFLICT (run_id, set_index, key_id) DO UPDATE SET count = excluded.count,
        nan_count = excluded.nan_count, last = excluded.last, min = excluded.min,
        max = excluded.max, total = excluded.total, last_step = excluded.last_step,
        last_at = excluded.last_at, digest = excluded.digest
"""
SUMMARIES_OF_RUN = """
    SELECT k.key, s.set_index, s.count, s.nan_count, s.first, s.last, s.min, s.max, s.total,
        s.last_step
    FROM metric_summaries s JOIN metric_keys k ON k.id = s.key_id
    WHERE s.run_id = (SELECT id FROM runs WHERE uid = :uid) ORDER BY s.set_index, s.key_id
"""
# Run by run: the summaries of a run are stored together.
SUMMARIES_OF_RUNS = """
    SELECT r.uid, k.key, s.set_index, s.count, s.nan_count, s.first, s.last, s.min, s.max,
        s.total, s.last_step
    FROM json_each(?) texts CROSS JOIN runs r ON r.uid = texts.value
    CROSS JOIN metric_summaries s ON s.run_id = r.id
    CROSS JOIN metric_keys k ON k.id = s.key_id
"""
CHUNKS_OF_SERIES = """
    SELECT chunk FROM metric_chunks
    WHERE run_id = (SELECT id FROM runs WHERE uid = :uid) AND set_index = :set_index
      AND key_id = (SELECT id FROM metric_keys WHERE key = :key)
    ORDER BY chunk_index
"""
_SUMMARY_HASHED = Struct("<qq5dqq")
# Last chunks that are in memory at once.
_SERIES_AT_ONCE = 100
# The same as `levels.FAN_OUT`.
CHUNKS_OF_ROW = 4


class Total(NamedTuple):
    """A summary being computed; None means NaN."""

    points: int
    nan_count: int
    first: float | None
    last: float | None
    min: float | None
    max: float | None
    total: float | None


class Stored(NamedTuple):
    """The chunks of a series, and the imported length of each spool file of its run."""

    chunks: list[bytes]
    marks: dict[str, int]


class TakenIn(NamedTuple):
    """The result of importing a spool file.

    Attributes:
        points: Number of new points.
        is_there: Whether the file exists, or was imported before.
        is_done: Whether the file is finished; it can be removed once the import is durable.
    """

    points: int = 0
    is_there: bool = True
    is_done: bool = False


def _nothing() -> bytes | None:
    return None


class MetricTable:
    """The metrics of one store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Import

    def absorb(
        self, path: Path, *, is_over: bool = False, saved: Callable[[], bytes | None] = _nothing
    ) -> int:
        """Import a file's points and return the number of new ones; durable on return.

        Each point is imported once, even if several processes try and some are killed. A finished
        file is removed.

        Args:
            path: The file.
            is_over: Whether the run ends now; otherwise its status decides.
            saved: Returns the contents of a file that was deleted, if they are known.

        Raises:
            StoreError: The database could not be written; the file is kept.
            OSError: The file cannot be read.
        """
        taken = self._database.driver.transact(
            lambda connection: self.take_in(connection, path, is_over=is_over, saved=saved),
            of=[uid_of(path)],
        )
        if taken.is_done:
            remove_file(path)
        return taken.points

    def take_in(
        self,
        connection: Connection,
        path: Path,
        *,
        is_over: bool = False,
        saved: Callable[[], bytes | None] = _nothing,
    ) -> TakenIn:
        """Import a file's points within the caller's transaction; see `absorb`."""
        row, mark = connection.first_rows(
            [(RUN_OF_UID, {"uid": uid_of(path)}), (MARK_OF, {"name": path.name})]
        )
        if row is None:
            return TakenIn()
        position = 0 if mark is None else mark[0]
        is_final = row[1] not in {"queued", "running", "live"}
        # Before it is read, since its process can write up to its end. That may be a child, which
        # goes on after the run.
        is_left = (is_over or is_final) and is_abandoned(path)
        try:
            contents = settled(lambda: read_file(path, at_most=LARGEST_BYTES))
        except FileNotFoundError:
            found = saved()
            if found is None:
                return TakenIn(is_there=mark is not None)
            contents = settled(lambda: saved() or found)
        read = points_in(contents, position, is_over=is_left)
        add_points(connection, row[0], read.points)
        if is_final and read.points:
            connection.execute(MARK_CHANGED, {"id": row[0]})
        if read.position != position:
            moved = {"name": path.name, "position": read.position}
            connection.execute(SET_MARK, moved)
        count = sum(len(columns.values) for columns in read.points.values())
        return TakenIn(count, is_done=read.is_sealed or is_left)

    def absorb_points(self, uid: str, name: str, points: Mapping[KeyOf, Columns]) -> None:
        """Import points that are in no file, once, at least one of each series; durable on return.

        A name like that of a file marks them as imported.

        Raises:
            StoreError: The database could not be written.
        """

        def add(connection: Connection) -> None:
            row, mark = connection.first_rows(
                [(RUN_OF_UID, {"uid": uid}), (MARK_OF, {"name": name})]
            )
            if row is not None and mark is None:
                add_points(connection, row[0], points)
                connection.execute(SET_MARK, {"name": name, "position": 0})

        self._database.driver.transact(add, of=[uid])

    @property
    def is_writable(self) -> bool:
        """Whether points can be imported."""
        return self._database.is_writable and not self._database.driver.is_writing

    def hurried(self, patience_s: float) -> AbstractContextManager[None]:
        """Limit how long this thread waits for other writers inside the block."""
        return self._database.driver.hurried(patience_s)

    def position(self, path: Path) -> int:
        """Return the imported length of a spool file."""
        mark = self._database.driver.fetch_one(MARK_OF, {"name": path.name})
        return 0 if mark is None else int(mark[0])

    def has_run_of(self, path: Path) -> bool:
        """Check whether the run of a spool file is in this store."""
        return self._database.driver.fetch_one(RUN_OF_UID, {"uid": uid_of(path)}) is not None

    def has_seen(self, path: Path) -> bool:
        """Check whether any of a file was imported."""
        return self._database.driver.fetch_one(MARK_OF, {"name": path.name}) is not None

    def mark_seen(self, path: Path) -> None:
        """Mark a spool file as fully imported, for a file that cannot be removed."""
        mark = {"name": path.name, "position": 0}
        self._database.driver.transact(
            lambda connection: connection.execute(SET_MARK, mark), of=[uid_of(path)]
        )

    # Reading

    def totals(self, uid: str) -> tuple[dict[KeyOf, tuple[Total, int]], dict[str, int]]:
        """Return a snapshot of each series's summary and last step, with the spool marks."""
        with self._database.driver.read() as connection, one_moment(connection):
            marks = _marks(connection, uid)
            found = connection.execute(SUMMARIES_OF_RUN, {"uid": uid}).fetchall()
        totals = {
            KeyOf(as_int(row[1], -1), as_text(row[0])): (_total_of(row[2:9]), as_int(row[9]))
            for row in found
        }
        return totals, marks

    def totals_of_all(self, uids: Sequence[str]) -> dict[str, dict[KeyOf, tuple[Total, int]]]:
        """Return the summary and the last step of each stored series of many runs, by uid."""
        found: dict[str, dict[KeyOf, tuple[Total, int]]] = {uid: {} for uid in uids}
        with self._database.driver.read() as connection:
            for row in connection.execute(SUMMARIES_OF_RUNS, (json.dumps(list(found)),)):
                series = KeyOf(as_int(row[2], -1), as_text(row[1]))
                found[row[0]][series] = (_total_of(row[3:10]), as_int(row[10]))
        return found

    def stored(self, uid: str, series: KeyOf) -> Stored:
        """Return a consistent snapshot of a series's chunks and the spool marks."""
        with self._database.driver.read() as connection, one_moment(connection):
            marks = _marks(connection, uid)
            where = {"uid": uid, "set_index": series.set_index, "key": series.key}
            found = connection.execute(CHUNKS_OF_SERIES, where).fetchall()
        return Stored([row[0] for row in found], marks)

    def outlined(
        self,
        uid: str,
        series: Sequence[KeyOf],
        window: Window,
        in_flight: Callable[[dict[str, int]], Mapping[KeyOf, Columns]],
    ) -> list[Outlined]:
        """Return a window of several series of a run, from one snapshot.

        Missing ones are empty. `in_flight` returns the points after the given marks.
        """
        return self._looked(uid, series, window, in_flight, lambda one, points: one.read(points))

    def values_at(
        self,
        uid: str,
        series: KeyOf,
        xs: Sequence[int],
        in_flight: Callable[[dict[str, int]], Mapping[KeyOf, Columns]],
        *,
        over_times: bool,
    ) -> list[float | None]:
        """Return the last value of a series at each of these sorted steps or times.

        It is None before the first point and after the last. Times are in microseconds.
        `in_flight` returns the points after the given marks.
        """
        from runstore.storage.metrics.outlining import Window

        window = Window(over_times, None, None, 1)
        (values,) = self._looked(
            uid, [series], window, in_flight, lambda one, points: one.values_at(xs, points)
        )
        return values

    def _looked(
        self,
        uid: str,
        series: Sequence[KeyOf],
        window: Window,
        in_flight: Callable[[dict[str, int]], Mapping[KeyOf, Columns]],
        read: Callable[[Outlining, Columns | None], T],
    ) -> list[T]:
        """Read each of these series with its points in flight, from one snapshot.

        Not a generator, because an unfinished one would keep the connection.
        """
        from runstore.storage.metrics.outlining import Outlining

        with self._database.driver.read() as connection, one_moment(connection):
            marks = _marks(connection, uid)
            waiting = in_flight(marks)
            return [
                read(Outlining(connection, _ids(connection, uid, one), window), waiting.get(one))
                for one in series
            ]

    def add_levels(self, uid: str, series: KeyOf, missing: Iterable[tuple[int, int]]) -> None:
        """Add rows to the levels of detail of a series, given by level and place.

        Raises:
            StoreError: The database could not be written.
        """
        from runstore.storage.metrics.levels import add_rows

        with self._database.driver.write(of=[uid]) as connection:
            where = _ids(connection, uid, series)
            if where is not None:
                add_rows(connection, where, missing)


def _ids(connection: Connection, uid: str, series: KeyOf) -> dict[str, int] | None:
    """Return the key columns of a series; None if it does not exist."""
    run = connection.execute(RUN_OF_UID, {"uid": uid}).fetchone()
    key = connection.execute(KEY_ID, {"key": series.key}).fetchone()
    if run is None or key is None:
        return None
    return {"run_id": run[0], "set_index": series.set_index, "key_id": key[0]}


def _total_of(cells: Sequence[Any]) -> Total:
    """Build a summary from its columns, with NaN for invalid numbers."""
    points = as_int(cells[0])
    unknown = min(as_int(cells[1]), points)
    return Total(points, unknown, *map(as_number, cells[2:]))


def _marks(connection: Connection, uid: str) -> dict[str, int]:
    """Return the imported length of each spool file of a run."""
    found = connection.execute(MARKS_OF_RUN, {"begin": uid, "end": uid + "/"}).fetchall()
    return {as_text(name): as_int(position) for name, position in found}


def add_points(connection: Connection, run_id: int, points: Mapping[KeyOf, Columns]) -> None:
    """Add points to series of a run, at least one each, within the caller's transaction."""
    connection.lock_new_keys({series.key for series in points})
    for some in batches(points, _SERIES_AT_ONCE):
        for series in some:
            connection.execute(ADD_KEY, {"key": series.key})
        ids = connection.first_rows([(KEY_ID, {"key": series.key}) for series in some])
        places = [
            {"run_id": run_id, "set_index": series.set_index, "key_id": key_id}
            for series, (key_id,) in zip(some, ids, strict=True)
        ]
        state = connection.first_rows(
            [(sql, where) for where in places for sql in (LAST_CHUNK, SUMMARY)]
        )
        for place, series in enumerate(some):
            last, known = state[2 * place : 2 * place + 2]
            _add_points(connection, places[place], points[series], last, known)


def _add_points(
    connection: Connection, where: Mapping[str, int], points: Columns, last: Any, known: Any
) -> None:
    """Add points to one series, with its last chunk and its summary, if any."""
    index, waiting = -1, points
    if last is not None:
        index = last[0]
        if last[1] < chunks.FILLED_UP:
            index, waiting = last[0] - 1, chunks.unpack(last[2])
            # A list, because extending it with a list is several times faster.
            waiting = waiting._replace(values=list(waiting.values))
            chunks.extend(waiting, points)
    put_points(connection, where, index + 1, waiting)
    total = summed(points.values, Total(*known) if known else None)
    put_summary(connection, where, total, points)


def put_points(
    connection: Connection, where: Mapping[str, int], index: int, points: Columns
) -> None:
    """Write all points from a chunk on as chunks of a series, with their levels of detail.

    Later chunks do not exist.
    """
    known: dict[int, Columns] = {}
    for begin in range(0, len(points.values), chunks.POINTS_AT_MOST):
        end = begin + chunks.POINTS_AT_MOST
        some = Columns(points.steps[begin:end], points.times[begin:end], points.values[begin:end])
        put_chunk(connection, where, index, some)
        known[index] = some
        is_final = len(some.values) >= chunks.FILLED_UP
        if is_final and index % CHUNKS_OF_ROW == CHUNKS_OF_ROW - 1:
            _add_levels(connection, where, index // CHUNKS_OF_ROW, known)
            known.clear()
        index += 1


def _add_levels(
    connection: Connection, where: Mapping[str, int], place: int, known: Mapping[int, Columns]
) -> None:
    # Imported here because only long series need it, not a start or a short run.
    try:
        from runstore.storage.metrics.levels import add_row
    except genuine(ImportError, OSError):  # no descriptor; the first reader adds them
        return
    add_row(connection, where, place, known)


def put_chunk(
    connection: Connection, where: Mapping[str, int], index: int, points: Columns
) -> None:
    """Write a chunk of a series with its hash, within the caller's transaction."""
    chunk, count = chunks.pack(points), len(points.values)
    digest = chunks.chunk_digest((*where.values(), index, count), chunk)
    packed = {"chunk_index": index, "count": count, "chunk": chunk, "digest": digest}
    connection.execute(PUT_CHUNK, {**where, **packed})


def put_summary(
    connection: Connection, where: Mapping[str, int], total: Total, points: Columns
) -> None:
    """Write the summary of a series with its hash and the place of its last point."""
    latest = (points.steps[-1], points.times[-1])
    digest = summary_digest((*where.values(),), (*total, *latest))
    row = {**where, **total._asdict(), "last_step": latest[0], "last_at": latest[1]}
    connection.execute(PUT_SUMMARY, {**row, "digest": digest})


def summary_digest(place: Sequence[int], cells: Sequence[float | None]) -> bytes:
    """Return the hash of a summary, `count` to `last_at`, in its place: run, set and key."""
    # SQLite does not distinguish -0.0, and stores NaN as NULL.
    known = [math.nan if one is None else one + 0.0 for one in cells[2:7]]
    packed = _SUMMARY_HASHED.pack(*cells[:2], *known, *cells[7:])
    return blake2b(b"%d %d %d " % tuple(place) + packed, digest_size=16).digest()


def is_abandoned(path: Path) -> bool:
    """Check whether a file that was not sealed has lost its writer.

    A process of another host, or of an earlier boot, cannot be checked: its file must not have
    been written for a day.
    """
    writer = writer_of(path)
    try:
        silent_s = time.time() - path.lstat().st_mtime
        if writer is None:
            # Killed before the head was written; files with any other contents are not ours to
            # remove. A child of the run's process may be about to write its head.
            return silent_s > _HEAD_WITHIN_S and not any(read_file(path, at_most=LARGEST_BYTES))
        if writer.host not in {0, host_number()}:
            return silent_s > _SILENT_S
    except genuine(OSError):
        return False
    return writer.pid != os.getpid() and has_ended(writer.pid)


def summed(values: Sequence[float], before: Total | None = None) -> Total:
    """Return a summary with these values added, in their order."""
    known, added = values, sum(values)
    if math.isnan(added):  # also for infinities that cancel out
        known = [value for value in values if not math.isnan(value)]
        added = sum(known)
    low = [min(known)] if known else []
    high = [max(known)] if known else []
    if before is not None:
        low += [] if before.min is None else [before.min]
        high += [] if before.max is None else [before.max]
        if before.points > before.nan_count:
            added += _nan(before.total)
    return Total(
        points=len(values) + (before.points if before else 0),
        nan_count=len(values) - len(known) + (before.nan_count if before else 0),
        first=before.first if before else _null(values[0]),
        last=_null(values[-1]),
        min=min(low, default=None),
        max=max(high, default=None),
        total=_null(added),
    )


def with_points(before: tuple[Total, int] | None, points: Columns) -> tuple[Total, int]:
    """Return a summary and its last step with these points added."""
    return summed(points.values, before[0] if before else None), points.steps[-1]


def summary_of(series: KeyOf, total: Total, last_step: int, set_name: str | None) -> MetricSummary:
    """Return a public summary of a series."""
    from runstore.model.metrics import MetricSummary

    known = total.points - total.nan_count
    return MetricSummary(
        key=series.key,
        set_name=set_name,
        count=total.points,
        first=_nan(total.first),
        last=_nan(total.last),
        min=_nan(total.min),
        max=_nan(total.max),
        mean=_nan(total.total) / known if known else math.nan,
        last_step=last_step,
    )


def _null(value: float) -> float | None:
    return None if math.isnan(value) else value


def _nan(value: float | None) -> float:
    return math.nan if value is None else value
