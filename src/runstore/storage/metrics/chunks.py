"""Metric points packed in columns: up to 4,096 points of one series per database row.

A private format with a version byte, little-endian, decodable with the standard library; see
`docs/reference/chunks.md`.

```
byte  0      version: 1, or 2 for a compressed chunk
      1      layout of steps: 0 first and difference (not 0), 1 each; in version 2 also 2 gaps
      2      layout of times: 0 offsets from the first, 1 each; in version 2 also 2 gaps
      3      zero
      4-7    count, unsigned

version 1
      8-     steps: int64 first, int64 difference; or int64 each
             times: int64 first, then uint32 each; or int64 each
             values: float64 each

version 2
      8-     steps: int64 first, int64 difference; or int64 first; or nothing
             times: int64 first; or nothing
             columns, as in `packing`: steps, uint32 or int64 each, unless equally spaced; times,
             uint32 or int64 each; values, float64 each
```

A chunk that will get more points uses version 1, which is faster to rewrite.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Callable, MutableSequence, Sequence
from itertools import accumulate, islice
from operator import sub

from runstore.errors import StoreCorruptError, genuine
from runstore.model.values import blake2b
from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PLAIN, COMPRESSED = VERSIONS = (1, 2)
POINTS_AT_MOST = 4096
# A last chunk with fewer points is rewritten with more, so that slow series stay in few rows.
FILLED_UP = POINTS_AT_MOST // 2
# Layouts of steps and times: a constant difference or offsets; every number; gaps between them.
SHORT, EACH, GAPS = range(3)
_WIDTHS = (4, 8, 4)  # bytes of a number in each layout
_HEAD = struct.Struct("<BBBxI")
_TWO = struct.Struct("<qq")
_ONE = struct.Struct("<q")
_SHORT_GAPS = 2**32
_DIGEST_BYTES = 16
# Microseconds that `datetime` can represent: the years 1 to 9000.
_FIRST_TIME, _LAST_TIME = -62_135_596_800_000_000, 221_845_392_000_000_000


class Columns(NamedTuple):
    """Points in columns of equal length: steps, times in microseconds, values."""

    steps: MutableSequence[int]
    times: MutableSequence[int]
    values: MutableSequence[float]


class Numbers(NamedTuple):
    """A column of integers as bytes.

    Attributes:
        layout: `SHORT`, `EACH` or `GAPS`.
        first: The first number, for `SHORT` and `GAPS`.
        difference: The constant difference, if the numbers are equally spaced; else None.
        data: uint32 for offsets from the first and for gaps, int64 for each.
    """

    layout: int
    first: int
    difference: int | None
    data: bytes | bytearray


class Layout(NamedTuple):
    """A parsed chunk whose columns are still bytes.

    Times are in microseconds, values float64.
    """

    points: int
    steps: Numbers
    times: Numbers
    values: bytes | bytearray


def pack(columns: Columns) -> bytes:
    """Return points as a chunk, in their order; at least one, at most `POINTS_AT_MOST`."""
    if len(columns.values) >= FILLED_UP:
        # Imported here because only long series need it, not a start or a short run.
        try:
            from runstore.storage.metrics import packing
        except genuine(ImportError, OSError):  # the program has run out of descriptors
            pass
        else:
            return _compressed(columns, packing.packed)
    step_layout, steps = _packed_steps(columns.steps)
    time_layout, times = _packed_times(columns.times)
    head = _HEAD.pack(PLAIN, step_layout, time_layout, len(columns.values))
    return head + steps + times + bytes_of(array("d", columns.values))


def _packed_steps(steps: Sequence[int]) -> tuple[int, bytes]:
    difference = _difference(steps)
    if difference is not None:
        return SHORT, _TWO.pack(steps[0], difference)
    return EACH, bytes_of(array("q", steps))


def _difference(steps: Sequence[int]) -> int | None:
    """Return the constant difference of steps; None if they are not equally spaced."""
    first = steps[0]
    difference = steps[1] - first if len(steps) > 1 else 1
    if difference and -(2**63) <= difference < 2**63:
        counted = range(first, first + len(steps) * difference, difference)
        if list(steps) == list(counted):
            return difference
    return None


def _packed_times(times: Sequence[int]) -> tuple[int, bytes]:
    first = times[0]
    if min(times) == first and max(times) - first < _SHORT_GAPS:
        return SHORT, _ONE.pack(first) + bytes_of(array("I", [time - first for time in times]))
    return EACH, bytes_of(array("q", times))


def _compressed(columns: Columns, packed: Callable[[Sequence[tuple[bytes, int]]], bytes]) -> bytes:
    difference = _difference(columns.steps)
    whole: list[array[Any]] = []
    if difference is None:
        step_layout, first_step, steps = _gaps(columns.steps)
        whole.append(steps)
    else:
        step_layout, first_step = SHORT, _TWO.pack(columns.steps[0], difference)
    time_layout, first_time, times = _gaps(columns.times)
    whole += [times, array("d", columns.values)]
    head = _HEAD.pack(COMPRESSED, step_layout, time_layout, len(columns.values))
    return (
        head + first_step + first_time + packed([(bytes_of(one), one.itemsize) for one in whole])
    )


def _gaps(numbers: Sequence[int]) -> tuple[int, bytes, array[int]]:
    """Return the layout of numbers, their first one if required, and their column."""
    known = list(numbers)
    try:
        return GAPS, _ONE.pack(known[0]), array("I", [0, *map(sub, known[1:], known)])
    except OverflowError:  # they decrease, or jump far
        return EACH, b"", array("q", known)


def chunk_digest(place: Sequence[int], chunk: bytes) -> bytes:
    """Return the hash of a chunk in its place.

    The place is the row id of the run, the index of the set, the row id of the key, the index of
    the chunk, and the number of points.
    """
    digest = blake2b(b"%d %d %d %d %d " % tuple(place), digest_size=_DIGEST_BYTES)
    digest.update(chunk)
    return digest.digest()


def taken_apart(chunk: bytes) -> Layout:
    """Parse a chunk.

    Raises:
        StoreCorruptError: The chunk is truncated, or its version or layout is unknown.
    """
    if not isinstance(chunk, bytes):
        raise _damaged("it is not a blob")
    try:
        version, step_layout, time_layout, count = _HEAD.unpack_from(chunk)
        if version not in VERSIONS:
            raise _damaged(f"version {version} is unknown")
        if max(step_layout, time_layout) > (EACH if version == PLAIN else GAPS):
            raise _damaged("its layout is unknown")
        if not 0 < count <= POINTS_AT_MOST:
            raise _damaged("it is truncated")
        parts = (_plain if version == PLAIN else _inflated)(chunk, step_layout, time_layout, count)
    except struct.error as error:
        raise _damaged("it is truncated") from error
    if len(parts.values) != 8 * count:
        raise _damaged("it is truncated")
    if parts.steps.difference == 0:
        raise _damaged("its steps are all equal")
    times = parts.times
    known = column_of("q", times.data) if times.layout == EACH else (times.first,)
    if min(known) < _FIRST_TIME or max(known) > _LAST_TIME:
        raise _damaged("its times are out of range")
    return parts


def count_in(chunk: bytes) -> int:
    """Return the number of points in the header of a chunk.

    Raises:
        StoreCorruptError: It is not a chunk.
    """
    if not isinstance(chunk, bytes) or len(chunk) < _HEAD.size:
        raise _damaged("it has no header")
    count: int = _HEAD.unpack_from(chunk)[-1]
    if count > POINTS_AT_MOST:
        raise _damaged("its count is too large")
    return count


def _plain(chunk: bytes, step_layout: int, time_layout: int, count: int) -> Layout:
    at = _HEAD.size
    if step_layout == SHORT:
        first, difference = _TWO.unpack_from(chunk, at)
        steps = Numbers(SHORT, first, difference, b"")
        at += _TWO.size
    else:
        steps = Numbers(EACH, 0, None, chunk[at : at + 8 * count])
        at += 8 * count
    if time_layout == SHORT:
        (first,) = _ONE.unpack_from(chunk, at)
        at += _ONE.size
        times = Numbers(SHORT, first, None, chunk[at : at + 4 * count])
        at += 4 * count
    else:
        times = Numbers(EACH, 0, None, chunk[at : at + 8 * count])
        at += 8 * count
    return Layout(count, steps, times, chunk[at : at + 8 * count])


def _inflated(chunk: bytes, step_layout: int, time_layout: int, count: int) -> Layout:
    from runstore.storage.metrics import packing

    at, first_step, first_time, difference = _HEAD.size, 0, 0, None
    if step_layout == SHORT:
        first_step, difference = _TWO.unpack_from(chunk, at)
        at += _TWO.size
    elif step_layout == GAPS:
        (first_step,) = _ONE.unpack_from(chunk, at)
        at += _ONE.size
    if time_layout != EACH:
        (first_time,) = _ONE.unpack_from(chunk, at)
        at += _ONE.size
    widths = [_WIDTHS[step_layout]] if step_layout != SHORT else []
    widths += [_WIDTHS[time_layout], 8]
    try:
        *steps, times, values = packing.unpacked(memoryview(chunk)[at:], widths, count)
    except ValueError as error:
        raise _damaged(str(error)) from error
    return Layout(
        count,
        Numbers(step_layout, first_step, difference, steps[0] if steps else b""),
        Numbers(time_layout, first_time, None, times),
        values,
    )


def _damaged(why: str) -> StoreCorruptError:
    return StoreCorruptError(
        f"A chunk of metric points cannot be read: {why}.", kept="It was not changed."
    )


def unpack(chunk: bytes) -> Columns:
    """Return the columns of a chunk.

    Raises:
        StoreCorruptError: The chunk is truncated, or its version or layout is unknown.
    """
    parts = taken_apart(chunk)
    steps = _numbers(parts.steps, parts.points)
    if isinstance(steps, range):
        steps = array("q", steps)
    times = _numbers(parts.times, parts.points)
    return Columns(steps, array("q", times), column_of("d", parts.values))


def column_of_x(chunk: bytes, *, over_times: bool) -> tuple[Sequence[int], array[float]]:
    """Return the steps or the times of a chunk, and its values.

    Raises:
        StoreCorruptError: As for `unpack`.
    """
    parts = taken_apart(chunk)
    numbers = parts.times if over_times else parts.steps
    return _numbers(numbers, parts.points), column_of("d", parts.values)


def _numbers(numbers: Numbers, count: int) -> range | array[int]:
    if numbers.difference is not None:
        end = numbers.first + count * numbers.difference
        if not -(2**63) <= end - numbers.difference < 2**63:
            raise _damaged("its steps overflow")
        return range(numbers.first, end, numbers.difference)
    if numbers.layout == EACH:
        return column_of("q", numbers.data)
    short = column_of("I", numbers.data)
    if numbers.layout == SHORT:
        return array("q", map(numbers.first.__add__, short))
    try:
        return array("q", islice(accumulate(short, initial=numbers.first), 1, None))
    except OverflowError as error:
        raise _damaged("its numbers overflow") from error


def extend(columns: Columns, more: Columns) -> None:
    """Append points to others."""
    columns.steps.extend(more.steps)
    columns.times.extend(more.times)
    columns.values.extend(more.values)


def column_of(kind: str, data: bytes | bytearray) -> array[Any]:
    """Return little-endian numbers as an array of the given type code."""
    column: array[Any] = array(kind)
    column.frombytes(data)
    if sys.byteorder == "big":
        column.byteswap()
    return column


def bytes_of(column: array[Any]) -> bytes:
    """Return a column as little-endian bytes; modifies it on big-endian machines."""
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()
