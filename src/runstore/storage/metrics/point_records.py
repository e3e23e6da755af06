"""Records in the files of metric points in flight; see `point_files.py`.

A file is `spool/<uid>.<n>.points`, preallocated and mapped into memory. Writing a point copies 32
bytes into their own place, which the kernel then keeps: the point survives `kill -9` once the call
has returned. The format, little-endian, is documented in `docs/reference/spool.md`.

| record | step | time | value | number | kind | mark |
|---|---|---|---|---|---|---|
| head | version | process id | offset of the first point | of its host | 0 | MARK |
| point | step | microseconds | value | of its series | 1 | MARK |
| series | length of its key | set index, -1 for none | 0 | its own | 2 | MARK |
| end | 0 | 0 | 0 | 0 | 3 | MARK |
| part n of a key | 24 bytes of text in all | | | of its series | 16 + n | MARK |

Every record has its own place, including records that name a series, which precede its first point
in the file. Threads, signal handlers and finalizers therefore write without a lock: reserving a
place is atomic in the interpreter. The mark is written last and a record never crosses a disk
sector, so that a record without it is unfinished.
"""

from __future__ import annotations

import struct
import sys
from array import array

from runstore.storage.metrics.chunks import Columns
from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RECORD = struct.Struct("<qqdIHH")
QUICK_RECORD = struct.Struct("<qqdQ")  # the same bytes, with the last three fields as one number
PART_RECORD = struct.Struct("<24sIHH")
PART_BYTES = 24
MARK = 0x5AFE
FORMAT_VERSION = 2
HEAD, POINT, SERIES, END = range(4)
PART = 16
# Larger files are not ours.
LARGEST_BYTES = 1 << 24


class KeyOf(NamedTuple):
    """The series of a point: a metric's key, and the index of a parameter set or -1."""

    set_index: int
    key: str


def kind_of(number: int, kind: int = POINT) -> int:
    """Return the last eight bytes of a record as one number."""
    return number | kind << 32 | MARK << 48


def packed(number: int, points: Columns, begin: int, end: int) -> bytearray:
    """Return the records of these points of one series, column by column."""
    rows = end - begin
    data = bytearray(rows * RECORD.size)
    whole: Any = memoryview(data)
    columns: tuple[array[Any], ...] = (
        array("q", points.steps[begin:end]),
        array("q", points.times[begin:end]),
        array("d", points.values[begin:end]),
        array("Q", [kind_of(number)]) * rows,
    )
    for place, column in enumerate(columns):
        if sys.byteorder != "little":
            column.byteswap()
        whole.cast(column.typecode)[place::4] = memoryview(column)
    return data
