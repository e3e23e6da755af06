"""Levels of detail: summaries of a series in blocks of 128 points, 512 points, and so on.

A row of `metric_levels` holds the blocks of one level within 4 ** (level + 1) chunks, so that each
row combines four rows of the level below, or four chunks for level 0. It is written once, when the
last of these chunks is full, and never changes: the points after the last row of a level are
covered by rows of lower levels, and at the end by chunks alone.

All rows are derived from the chunks. If a row is missing, as in a store older than the levels, or
unreadable, reading only takes longer; `add_rows` writes it again.

The bytes of a row: 0 version (1), 1 zero, 2-3 points of a block of level 0 (uint16), 4-11 blocks
in each of its four parts (uint16 each), then the columns in the format of `packing`; see
`docs/reference/chunks.md`.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from operator import le
from typing import Any

from runstore.errors import StoreCorruptError
from runstore.model.values import blake2b
from runstore.storage.driver import Connection
from runstore.storage.metrics import chunks, packing
from runstore.storage.metrics.chunks import Columns, bytes_of, column_of, unpack
from runstore.storage.rows import as_int
from runstore.value_classes import NamedTuple

VERSION = 1
POINTS_OF_BLOCK = 128
# Blocks per block of the next level, and chunks or rows per row.
FAN_OUT = 4
LARGEST_PART = chunks.POINTS_AT_MOST // POINTS_OF_BLOCK
# More than a block can have.
MOST_POINTS = 1 << 40
_HEAD = struct.Struct("<BxH4H")
# Type code of `array.array` and bytes per number of each column.
_KINDS = (*[("q", 8)] * 5, *[("d", 8)] * 4, ("B", 1))
_WIDTHS = [width for _, width in _KINDS]
# Flags for steps or times that are not sorted.
STEPS_MIXED, TIMES_MIXED = 1, 2
_IN_SERIES = "run_id = :run_id AND set_index = :set_index AND key_id = :key_id"

CHUNKS_BETWEEN = f"""
    SELECT chunk_index, chunk FROM metric_chunks
    WHERE {_IN_SERIES} AND chunk_index BETWEEN :begin AND :end ORDER BY chunk_index
"""  # noqa: S608 - a constant
LAST_CHUNK = f"""
    SELECT chunk_index, count FROM metric_chunks WHERE {_IN_SERIES}
    ORDER BY chunk_index DESC LIMIT 1
"""  # noqa: S608 - a constant
ROWS_BETWEEN = f"""
    SELECT place, blocks, digest FROM metric_levels
    WHERE {_IN_SERIES} AND level = :level AND place BETWEEN :begin AND :end ORDER BY place
"""  # noqa: S608 - a constant
PUT_ROW = """
    INSERT INTO metric_levels (run_id, set_index, key_id, level, place, blocks, digest)
    VALUES (:run_id, :set_index, :key_id, :level, :place, :blocks, :digest)
    ON CONFLICT (run_id, set_index, key_id, level, place)
    DO UPDATE SET blocks = excluded.blocks, digest = excluded.digest
"""


class Blocks(NamedTuple):
    """Columns of equal length, with one entry per block of consecutive points.

    Attributes:
        counts: Number of points.
        step_low: The lowest step; that of the first point unless `mixed` is set.
        step_high: The highest step.
        time_low: The earliest time, in microseconds.
        time_high: The latest time.
        first: The value of the first point.
        last: The value of the last point.
        min: The smallest value; infinity if all are NaN.
        max: The largest value; minus infinity if all are NaN.
        mixed: `STEPS_MIXED` and `TIMES_MIXED`.
    """

    counts: Sequence[int]
    step_low: Sequence[int]
    step_high: Sequence[int]
    time_low: Sequence[int]
    time_high: Sequence[int]
    first: Sequence[float]
    last: Sequence[float]
    min: Sequence[float]
    max: Sequence[float]
    mixed: Sequence[int]


NO_BLOCKS = Blocks(*([()] * len(_KINDS)))


class LevelRow(NamedTuple):
    """A row of a level, and the number of blocks from each of the four rows below, or chunks."""

    parts: tuple[int, ...]
    blocks: Blocks


# Building


def blocks_of(points: Columns) -> Blocks:
    """Return the blocks of the lowest level for the points of one chunk."""
    count, values = len(points.values), list(points.values)
    begins = range(0, count, POINTS_OF_BLOCK)
    ends = [min(begin + POINTS_OF_BLOCK, count) for begin in begins]
    parts = [values[begin : begin + POINTS_OF_BLOCK] for begin in begins]
    if math.isnan(sum(values)):  # also for infinities that cancel out
        known = [[one for one in part if not math.isnan(one)] for part in parts]
    else:
        known = parts
    steps, times = (_spans(column, begins) for column in (points.steps, points.times))
    mixed = [
        STEPS_MIXED * is_mixed + TIMES_MIXED * at_times
        for is_mixed, at_times in zip(steps[2], times[2], strict=True)
    ]
    return Blocks(
        counts=[end - begin for begin, end in zip(begins, ends, strict=True)],
        step_low=steps[0],
        step_high=steps[1],
        time_low=times[0],
        time_high=times[1],
        first=values[::POINTS_OF_BLOCK],
        last=[part[-1] for part in parts],
        min=[min(part, default=math.inf) for part in known],
        max=[max(part, default=-math.inf) for part in known],
        mixed=mixed,
    )


def _spans(column: Sequence[int], begins: range) -> tuple[list[int], list[int], list[bool]]:
    """Return the lowest and the highest number of each block, and whether it is unsorted."""
    whole = list(column)
    if sorted(whole) == whole:  # one pass if it is sorted
        last = [whole[min(begin + POINTS_OF_BLOCK, len(whole)) - 1] for begin in begins]
        return whole[::POINTS_OF_BLOCK], last, [False] * len(begins)
    parts = [whole[begin : begin + POINTS_OF_BLOCK] for begin in begins]
    return [min(part) for part in parts], [max(part) for part in parts], [
        sorted(part) != part for part in parts
    ]  # fmt: skip


def coarser(blocks: Blocks) -> Blocks:
    """Return the blocks of the next level for the blocks of one row."""
    count = len(blocks.counts)
    begins = range(0, count, FAN_OUT)

    def each(column: Sequence[Any], chosen: Any) -> list[Any]:
        return [chosen(column[begin : begin + FAN_OUT]) for begin in begins]

    return Blocks(
        counts=each(blocks.counts, sum),
        step_low=each(blocks.step_low, min),
        step_high=each(blocks.step_high, max),
        time_low=each(blocks.time_low, min),
        time_high=each(blocks.time_high, max),
        first=blocks.first[::FAN_OUT],
        last=[blocks.last[min(begin + FAN_OUT, count) - 1] for begin in begins],
        min=each(blocks.min, min),
        max=each(blocks.max, max),
        mixed=[_is_mixed(blocks, begin, min(begin + FAN_OUT, count)) for begin in begins],
    )


def _is_mixed(blocks: Blocks, begin: int, end: int) -> int:
    mixed = 0
    for one in blocks.mixed[begin:end]:
        mixed |= one
    for low, high, flag in (
        (blocks.step_low, blocks.step_high, STEPS_MIXED),
        (blocks.time_low, blocks.time_high, TIMES_MIXED),
    ):
        if not all(map(le, high[begin : end - 1], low[begin + 1 : end])):
            mixed |= flag
    return mixed


def row_of(parts: Sequence[Blocks]) -> LevelRow:
    """Return the row that combines these blocks of the rows or chunks below it."""
    whole = Blocks(*(list(chain.from_iterable(columns)) for columns in zip(*parts, strict=True)))
    return LevelRow(tuple(len(part.counts) for part in parts), whole)


def coarser_row(rows: Sequence[LevelRow]) -> LevelRow:
    """Return the row of the next level over four rows."""
    return row_of([coarser(row.blocks) for row in rows])


def packed_row(row: LevelRow) -> bytes:
    """Return a row in its stored format."""
    columns = [
        (bytes_of(array(kind, column)), width)
        for (kind, width), column in zip(_KINDS, row.blocks, strict=True)
    ]
    return _HEAD.pack(VERSION, POINTS_OF_BLOCK, *row.parts) + packing.packed(columns)


def row_from(data: object) -> LevelRow | None:
    """Parse a stored row; return None if it is invalid, so that it is rebuilt from the points."""
    if not isinstance(data, bytes) or len(data) < _HEAD.size:
        return None
    version, size, *parts = _HEAD.unpack_from(data)
    if (version, size) != (VERSION, POINTS_OF_BLOCK) or max(parts) > LARGEST_PART:
        return None
    try:
        columns = packing.unpacked(memoryview(data)[_HEAD.size :], _WIDTHS, sum(parts))
    except ValueError:
        return None
    blocks = Blocks(
        *(column_of(kind, one) for (kind, _), one in zip(_KINDS, columns, strict=True))
    )
    if not 0 < min(blocks.counts, default=0) <= max(blocks.counts) < MOST_POINTS:
        return None
    return LevelRow(tuple(parts), blocks)


def row_digest(place: Sequence[int], blocks: bytes) -> bytes:
    """Return the hash of a row in its place: run, set, key, level and place."""
    return blake2b(b"levels %d %d %d %d %d " % tuple(place) + blocks, digest_size=16).digest()


# Writing


def add_row(
    connection: Connection, where: Mapping[str, int], place: int, known: Mapping[int, Columns]
) -> None:
    """Write the row of level 0 over four chunks, and the higher rows that it completes.

    Its chunks are full; the points of some are known, by index, and the others are read.
    """
    level = 0
    while (row := _made(connection, where, level, place, known)) is not None:
        put_row(connection, where, level, place, row)
        if place % FAN_OUT != FAN_OUT - 1:
            return
        level, place = level + 1, place // FAN_OUT


def add_rows(
    connection: Connection, where: Mapping[str, int], missing: Iterable[tuple[int, int]]
) -> None:
    """Write missing rows, given by level and place, within the caller's transaction."""
    _, final = chunks_of(connection, where)
    for level, place in missing:
        if (place + 1) * FAN_OUT ** (level + 1) <= final:
            row = _made(connection, where, level, place, {})
            if row is not None:
                put_row(connection, where, level, place, row)


def _made(
    connection: Connection,
    where: Mapping[str, int],
    level: int,
    place: int,
    known: Mapping[int, Columns],
) -> LevelRow | None:
    """Return a row built from the level below; None if that is missing or damaged.

    `runstore doctor` reports the damage, and readers use the remaining data.
    """
    begin = place * FAN_OUT
    if level:
        rows = rows_between(connection, where, level - 1, begin, begin + FAN_OUT - 1)
        return coarser_row(list(rows.values())) if len(rows) == FAN_OUT else None
    indices = range(begin, begin + FAN_OUT)
    try:
        if not all(index in known for index in indices):
            stored = chunks_between(connection, where, begin, begin + FAN_OUT - 1)
            known = {**{index: unpack(chunk) for index, chunk in stored}, **known}
        return row_of([blocks_of(known[index]) for index in indices])
    except (StoreCorruptError, KeyError):
        return None


def put_row(
    connection: Connection, where: Mapping[str, int], level: int, place: int, row: LevelRow
) -> None:
    """Write a row with its hash, within the caller's transaction."""
    blocks = packed_row(row)
    digest = row_digest((*where.values(), level, place), blocks)
    cells = {"level": level, "place": place, "blocks": blocks, "digest": digest}
    connection.execute(PUT_ROW, {**where, **cells})


# Reading


def rows_between(
    connection: Connection, where: Mapping[str, int], level: int, begin: int, end: int
) -> dict[int, LevelRow]:
    """Return the readable rows of a level by place, from `begin` to `end` inclusive."""
    bounds = {**where, "level": level, "begin": begin, "end": end}
    rows = {}
    for place, blocks, digest in connection.execute(ROWS_BETWEEN, bounds).fetchall():
        # Rows altered on disk are rebuilt, so that values that were never logged are not shown.
        ids = (*where.values(), level, place)
        row = row_from(blocks)
        if row is not None and row_digest(ids, blocks) == digest:
            rows[place] = row
    return rows


def chunks_between(
    connection: Connection, where: Mapping[str, int], begin: int, end: int
) -> list[tuple[int, bytes]]:
    """Return the chunks of a series with their indices, from `begin` to `end` inclusive."""
    found = connection.execute(CHUNKS_BETWEEN, {**where, "begin": begin, "end": end}).fetchall()
    return [(as_int(index), chunk) for index, chunk in found]


def chunks_of(connection: Connection, where: Mapping[str, int]) -> tuple[int, int]:
    """Return the number of chunks of a series, and of those that get no more points."""
    row = connection.execute(LAST_CHUNK, where).fetchone()
    if row is None:
        return 0, 0
    count = as_int(row[0]) + 1
    return count, count if as_int(row[1]) >= chunks.FILLED_UP else count - 1
