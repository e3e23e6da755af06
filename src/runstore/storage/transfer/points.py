"""Copying of the points of a run: chunks, levels of detail and summaries, a few at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Any

from runstore.errors import StoreCorruptError
from runstore.storage.driver import Connection
from runstore.storage.metrics import chunks
from runstore.storage.metrics.chunks import Columns
from runstore.storage.metrics.levels import FAN_OUT, PUT_ROW, row_digest, row_from
from runstore.storage.metrics.point_records import KeyOf
from runstore.storage.metrics.rewinding import REMOVE_SUMMARY, remove_series
from runstore.storage.metrics.table import (
    ADD_KEY,
    KEY_ID,
    PUT_CHUNK,
    PUT_SUMMARY,
    put_points,
    summary_digest,
)
from runstore.storage.transfer.records import Summary

# Rows held at once: a few megabytes.
_AT_ONCE = 32
# Enough for as many points as a disk can hold.
_LEVELS = 16
_IN_SERIES = "run_id = :run_id AND set_index = :set_index AND key_id = :key_id"
CHUNKS_AFTER = f"""
    SELECT chunk_index, count, chunk, digest FROM metric_chunks
    WHERE {_IN_SERIES} AND chunk_index > :after ORDER BY chunk_index LIMIT {_AT_ONCE}
"""  # noqa: S608 - constants
LEVELS_AFTER = f"""
    SELECT level, place, blocks, digest FROM metric_levels
    WHERE {_IN_SERIES} AND (level, place) > (:level, :place) ORDER BY level, place LIMIT {_AT_ONCE}
"""  # noqa: S608 - constants
REMOVE_CHUNKS_AFTER = f"DELETE FROM metric_chunks WHERE {_IN_SERIES} AND chunk_index >= :kept"  # noqa: S608 - as above
REMOVE_LEVEL_AFTER = f"""
    DELETE FROM metric_levels WHERE {_IN_SERIES} AND level = :level AND place >= :first
"""  # noqa: S608 - as above
DIGEST_OF_SUMMARY = f"SELECT digest FROM metric_summaries WHERE {_IN_SERIES}"  # noqa: S608 - as above


class SeriesCopy:
    """Copies a series of a run in parts; chunks that both stores have at the beginning stay.

    Args:
        runs: The row ids of the run in both stores.
        key: The series.
        summary: Its summary.
        is_new: Whether the series is not in the target.

    Attributes:
        key: The series.
        is_done: Whether the series is complete, with its summary.
        points: Number of points in the chunks so far.
        part: The chunks of the last part.
        replaced: The chunks in the target that the first part replaces, as many as a part has.
    """

    def __init__(
        self, runs: tuple[int, int], key: KeyOf, summary: Summary, *, is_new: bool = False
    ) -> None:
        self.is_done = False
        self.points = 0
        self.part: list[bytes] = []
        self.replaced: list[bytes] = []
        self.key = key
        self._runs = runs
        self._summary = summary
        self._is_new = is_new
        self._after = -1  # the last chunk that was written
        self._there: dict[str, int] = {}
        self._here: dict[str, int] = {}
        self._has_chunks = False
        self._level = (-1, -1)

    def place_in(self, target: Connection) -> dict[str, int]:
        """Return the key columns of the series in the target; the key may be missing."""
        found = target.execute(KEY_ID, {"key": self.key.key}).fetchone()
        key_id = -1 if found is None else int(found[0])
        return {"run_id": self._runs[1], "set_index": self.key.set_index, "key_id": key_id}

    def write(self, source: Connection, target: Connection, rows: PointRows) -> None:
        """Write all of it within the caller's transactions; see `write_part`."""
        while not self.is_done:
            self.write_part(source, target, rows)

    def write_part(self, source: Connection, target: Connection, rows: PointRows) -> None:
        """Write the next part, within the caller's transactions.

        The source must still have the run unchanged, and the target is rolled back if this raises.

        Raises:
            StoreCorruptError: The points are damaged, or do not match their summary.
        """
        self.part, self.replaced = [], []
        if not self._there:
            self._begin(source, target, rows)
        if not self._has_chunks:
            self._write_chunks(source, rows)
        elif not self._write_levels(source, rows):
            digest = summary_digest((*self._here.values(),), self._summary)
            if not self._is_new:
                target.execute(REMOVE_SUMMARY, self._here)  # its first value may be another one
            rows.add(PUT_SUMMARY, {**self._here, **self._summary._asdict(), "digest": digest})
            self.is_done = True

    def _begin(self, source: Connection, target: Connection, rows: PointRows) -> None:
        """Keep the equal chunks at the beginning, and remove the other ones."""
        self._there = _place(source, self._runs[0], self.key)
        _check_summary(source, self._there, self._summary)
        rows.key_id(target, self.key.key)
        self._here = self.place_in(target)
        if self._is_new:
            return
        kept = 0
        mine, theirs = _chunks(target, self._here), _chunks(source, self._there)
        for one in mine:
            if one != next(theirs, None) or one[1] < chunks.FILLED_UP:
                self.replaced = [chunk for _, _, chunk in islice(chain([one], mine), _AT_ONCE)]
                break
            kept, self.points = kept + 1, self.points + one[1]
        self._after = kept - 1
        _remove_after(target, self._here, kept)

    def _write_chunks(self, source: Connection, rows: PointRows) -> None:
        some = _some_chunks(source, self._there, self._after)
        for index, count, chunk in some:
            digest = chunks.chunk_digest((*self._here.values(), index, count), chunk)
            packed = {"chunk_index": index, "count": count, "chunk": chunk, "digest": digest}
            rows.add(PUT_CHUNK, {**self._here, **packed})
            self.part.append(chunk)
            self._after, self.points = index, self.points + count
        self._has_chunks = len(some) < _AT_ONCE
        if self._has_chunks and self.points != self._summary.points:
            wrong = f"{self.points:,} points are there, not {self._summary.points:,}"
            raise _damaged(self.key, wrong)

    def _write_levels(self, source: Connection, rows: PointRows) -> bool:
        """Write some rows of the levels of detail; return whether there were any."""
        if self._after < FAN_OUT - 1:
            return False
        found, self._level = _some_levels(source, self._there, self._level)
        for level, place, blocks in found:
            digest = row_digest((*self._here.values(), level, place), blocks)
            row = {"level": level, "place": place, "blocks": blocks, "digest": digest}
            rows.add(PUT_ROW, {**self._here, **row})
        return bool(found)


class PointRows:
    """Rows of points that are written together, which saves round trips to a server."""

    def __init__(self, target: Connection) -> None:
        self._target = target
        self._rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._key_ids: dict[str, int] = {}

    def key_id(self, target: Connection, key: str) -> int:
        """Return the row id of a metric's name, which is added if it is new."""
        known = self._key_ids.get(key)
        if known is None:
            target.execute(ADD_KEY, {"key": key})
            known = self._key_ids[key] = int(target.execute(KEY_ID, {"key": key}).fetchone()[0])
        return known

    def add(self, statement: str, row: dict[str, Any]) -> None:
        """Add a row for a statement; it is written soon."""
        self._rows[statement].append(row)
        if len(self._rows[statement]) >= _AT_ONCE:
            self.write()

    def write(self) -> None:
        """Write the rows that wait."""
        for statement, rows in self._rows.items():
            if rows:
                self._target.executemany(statement, rows)
        self._rows.clear()


def write_points(
    target: Connection, run_id: int, key: KeyOf, kept: int, points: Columns, summary: Summary
) -> None:
    """Replace the points of a series after its first chunks, within the caller's transaction.

    The number of chunks that stay is a multiple of the chunks of a level's row.
    """
    target.execute(ADD_KEY, {"key": key.key})
    here = _place(target, run_id, key)
    _remove_after(target, here, kept)
    if points.values:
        put_points(target, here, kept, points)
    digest = summary_digest((*here.values(),), summary)
    target.execute(PUT_SUMMARY, {**here, **summary._asdict(), "digest": digest})


def _remove_after(target: Connection, here: Mapping[str, int], kept: int) -> None:
    if not kept:
        remove_series(target, here)
        return
    target.execute(REMOVE_CHUNKS_AFTER, {**here, "kept": kept})
    for level in range(_LEVELS):
        first = kept // FAN_OUT ** (level + 1)
        target.execute(REMOVE_LEVEL_AFTER, {**here, "level": level, "first": first})
    target.execute(REMOVE_SUMMARY, here)  # also its first value is replaced


def drop_series(target: Connection, run_id: int, key: KeyOf) -> None:
    """Remove one series of a run, within the caller's transaction."""
    remove_series(target, _place(target, run_id, key))


def chunks_of_series(source: Connection, run_id: int, key: KeyOf) -> Iterator[bytes]:
    """Yield the chunks of a series, verified.

    Raises:
        StoreCorruptError: A chunk is damaged.
    """
    return (chunk for _, _, chunk in _chunks(source, _place(source, run_id, key)))


def _place(connection: Connection, run_id: int, key: KeyOf) -> dict[str, int]:
    """Return the key columns of a series."""
    found = connection.execute(KEY_ID, {"key": key.key}).fetchone()
    if found is None:
        raise _damaged(key, "its key is missing")
    return {"run_id": run_id, "set_index": key.set_index, "key_id": found[0]}


def _check_summary(source: Connection, there: Mapping[str, int], summary: Summary) -> None:
    found = source.execute(DIGEST_OF_SUMMARY, there).fetchone()
    if found is None or found[0] is None:  # removed just now, or older than the hashes
        return
    if summary_digest((*there.values(),), summary) != found[0]:
        raise StoreCorruptError("The summary of a metric was altered.")


def _chunks(source: Connection, there: Mapping[str, int]) -> Iterator[tuple[int, int, bytes]]:
    """Yield index, number of points and bytes of each chunk, verified."""
    after: Any = -1
    while some := _some_chunks(source, there, after):
        yield from some
        after = some[-1][0]


def _some_chunks(
    source: Connection, there: Mapping[str, int], after: int
) -> list[tuple[int, int, bytes]]:
    some = source.execute(CHUNKS_AFTER, {**there, "after": after}).fetchall()
    for index, count, chunk, digest in some:
        if type(index) is not int or chunks.taken_apart(chunk).points != count:
            raise StoreCorruptError("A chunk of points has another length.")
        place = (*there.values(), index, count)
        if digest is not None and chunks.chunk_digest(place, chunk) != digest:
            raise StoreCorruptError("A chunk of points was altered.")
    return [row[:3] for row in some]


def _some_levels(
    source: Connection, there: Mapping[str, int], after: tuple[Any, Any]
) -> tuple[list[tuple[int, int, bytes]], tuple[Any, Any]]:
    """Return some intact rows, and the last row; the first reader adds missing ones."""
    found: list[tuple[int, int, bytes]] = []
    while not found:
        bounds = {"level": after[0], "place": after[1]}
        some = source.execute(LEVELS_AFTER, {**there, **bounds}).fetchall()
        if not some:
            break
        for level, place, blocks, digest in some:
            where = (*there.values(), level, place)
            is_row = type(level) is type(place) is int and row_from(blocks) is not None
            if is_row and row_digest(where, blocks) == digest:
                found.append((level, place, blocks))
        after = (some[-1][0], some[-1][1])
    return found, after


def _damaged(key: KeyOf, why: str) -> StoreCorruptError:
    return StoreCorruptError(f"The metric {key.key!r} is damaged: {why}.")
