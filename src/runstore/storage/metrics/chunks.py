"""Metric points packed in columns: some thousand of one series in one row of the database.

A private format with a version byte, little-endian, decodable with the standard library; see
`docs/reference/chunks.md`.

```
byte  0      version (1)
      1      layout of steps: 0 first and difference (not 0), 1 each as 64 bits
      2      layout of times: 0 offsets of 32 bits from the first, 1 each as 64 bits
      3      zero
      4-7    count, unsigned
      8-     steps: int64 first, int64 difference; or int64 each
             times: int64 first, then uint32 each; or int64 each
             values: float64 each
```
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import MutableSequence, Sequence
from typing import Any, NamedTuple

from runstore.errors import StoreCorruptError
from runstore.model.values import blake2b

VERSION = 1
POINTS_AT_MOST = 4096
# A last chunk with fewer points than this is filled up, so that slow series stay in few rows.
FILLED_UP = POINTS_AT_MOST // 2
_HEAD = struct.Struct("<BBBxI")
_TWO = struct.Struct("<qq")
_ONE = struct.Struct("<q")
_SHORT_TIMES = 2**32
_DIGEST_BYTES = 16
# Microseconds for which there are dates: the years 1 to 9000.
_FIRST_TIME, _LAST_TIME = -62_135_596_800_000_000, 221_845_392_000_000_000


class Columns(NamedTuple):
    """Points in columns of equal length: steps, times in microseconds, values."""

    steps: MutableSequence[int]
    times: MutableSequence[int]
    values: MutableSequence[float]


class Layout(NamedTuple):
    """A chunk taken apart, its columns still as bytes.

    Attributes:
        points: How many.
        first_step: The first step; with `difference`, all of them.
        difference: Between a step and the next; None where `steps` holds each.
        steps: Steps as int64.
        first_time: What `offsets` count from.
        offsets: Times as uint32; None where `times` holds each.
        times: Times as int64.
        values: Values as float64.
    """

    points: int
    first_step: int
    difference: int | None
    steps: bytes
    first_time: int
    offsets: bytes | None
    times: bytes
    values: bytes


def pack(columns: Columns) -> bytes:
    """Return points as a chunk, in their order; at least one, at most `POINTS_AT_MOST`."""
    step_layout, steps = _packed_steps(columns.steps)
    time_layout, times = _packed_times(columns.times)
    head = _HEAD.pack(VERSION, step_layout, time_layout, len(columns.values))
    return head + steps + times + _bytes(array("d", columns.values))


def _packed_steps(steps: Sequence[int]) -> tuple[int, bytes]:
    first = steps[0]
    difference = steps[1] - first if len(steps) > 1 else 1
    if difference and -(2**63) <= difference < 2**63:
        counted = range(first, first + len(steps) * difference, difference)
        if list(steps) == list(counted):
            return 0, _TWO.pack(first, difference)
    return 1, _bytes(array("q", steps))


def _packed_times(times: Sequence[int]) -> tuple[int, bytes]:
    first = times[0]
    if min(times) == first and max(times) - first < _SHORT_TIMES:
        return 0, _ONE.pack(first) + _bytes(array("I", [time - first for time in times]))
    return 1, _bytes(array("q", times))


def chunk_digest(place: Sequence[int], chunk: bytes) -> bytes:
    """Return the hash of a chunk in its place.

    Args:
        place: Row id of the run, index of the set, row id of the key, index of the chunk, points.
        chunk: The chunk.
    """
    digest = blake2b(b"%d %d %d %d %d " % tuple(place), digest_size=_DIGEST_BYTES)
    digest.update(chunk)
    return digest.digest()


def taken_apart(chunk: bytes) -> Layout:
    """Return the parts of a chunk.

    Raises:
        StoreCorruptError: Its version or layout is unknown to this library, or it is cut off.
    """
    if not isinstance(chunk, bytes):
        raise _damaged("it is none")
    try:
        version, step_layout, time_layout, count = _HEAD.unpack_from(chunk)
        if version != VERSION:
            raise _damaged(f"version {version} is not known")
        if max(step_layout, time_layout) > 1:
            raise _damaged("its layout is not known")
        at, first, difference, steps = _HEAD.size, 0, None, b""
        if step_layout == 0:
            first, difference = _TWO.unpack_from(chunk, at)
            at += _TWO.size
        else:
            steps, at = chunk[at : at + 8 * count], at + 8 * count
        first_time, offsets, times = 0, None, b""
        if time_layout == 0:
            (first_time,) = _ONE.unpack_from(chunk, at)
            at += _ONE.size
            offsets, at = chunk[at : at + 4 * count], at + 4 * count
        else:
            times, at = chunk[at : at + 8 * count], at + 8 * count
    except struct.error as error:
        raise _damaged("it is cut off") from error
    values = chunk[at : at + 8 * count]
    if not 0 < count <= POINTS_AT_MOST or len(values) != 8 * count:
        raise _damaged("it is cut off")
    known = (first_time,) if offsets is not None else _array("q", times)
    if min(known) < _FIRST_TIME or max(known) > _LAST_TIME:
        raise _damaged("its times are none")
    return Layout(count, first, difference, steps, first_time, offsets, times, values)


def _damaged(why: str) -> StoreCorruptError:
    return StoreCorruptError(
        f"A chunk of metric points cannot be read: {why}.", kept="It was not changed."
    )


def unpack(chunk: bytes) -> Columns:
    """Return the columns of a chunk.

    Raises:
        StoreCorruptError: Its version or layout is unknown to this library, or it is cut off.
    """
    parts = taken_apart(chunk)
    steps = _steps(parts)
    if isinstance(steps, range):
        steps = array("q", steps)
    return Columns(steps, _times(parts), _array("d", parts.values))


def column_of_x(chunk: bytes, *, over_times: bool) -> tuple[Sequence[int], array[float]]:
    """Return the steps of a chunk, or the times, and the values.

    Raises:
        StoreCorruptError: As `unpack`.
    """
    parts = taken_apart(chunk)
    return _times(parts) if over_times else _steps(parts), _array("d", parts.values)


def _steps(parts: Layout) -> range | array[int]:
    if parts.difference is None:
        return _array("q", parts.steps)
    if not parts.difference:
        raise _damaged("its steps do not count")
    end = parts.first_step + parts.points * parts.difference
    if not -(2**63) <= end - parts.difference < 2**63:
        raise _damaged("its steps have no end")
    return range(parts.first_step, end, parts.difference)


def _times(parts: Layout) -> array[int]:
    if parts.offsets is None:
        return _array("q", parts.times)
    return array("q", map(parts.first_time.__add__, _array("I", parts.offsets)))


def extend(columns: Columns, more: Columns) -> None:
    """Add points behind others."""
    columns.steps.extend(more.steps)
    columns.times.extend(more.times)
    columns.values.extend(more.values)


def _array(kind: str, data: bytes) -> array[Any]:
    column: array[Any] = array(kind)
    column.frombytes(data)
    if sys.byteorder == "big":
        column.byteswap()
    return column


def _bytes(column: array[Any]) -> bytes:
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()
