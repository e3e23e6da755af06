"""Reading of metric points in flight, while they are written or afterwards."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress
from pathlib import Path

from runstore.errors import genuine
from runstore.storage.files.safe_files import read_file, reader
from runstore.storage.metrics.chunks import Columns
from runstore.storage.metrics.point_records import (
    END,
    FORMAT_VERSION,
    HEAD,
    LARGEST_BYTES,
    MARK,
    PART,
    PART_BYTES,
    RECORD,
    SERIES,
    KeyOf,
    kind_of,
)
from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FIRST_FORMAT = 1  # its series are all after the head
_NUMBER = 0xFFFFFFFF
_LARGEST_FILE = 1 << 40
_ZEROS = bytes(4096)


class Read(NamedTuple):
    """The points of a file from a position on, by series, and the position to continue at.

    A sealed file is complete; torn records were never finished.
    """

    points: dict[KeyOf, Columns]
    position: int
    is_sealed: bool
    torn: int


class PointsWriter(NamedTuple):
    """The process that writes a file: its id, and its `host_number`, 0 if unknown."""

    pid: int
    host: int


def writer_of(path: Path) -> PointsWriter | None:
    """Return the writer of a file; None if unknown."""
    try:
        with reader(path, at_most=LARGEST_BYTES, is_ours=True) as file:
            head = file.read(RECORD.size)
    except genuine(OSError):
        return None
    if len(head) < RECORD.size:
        return None
    _, pid, _, host, kind, mark = RECORD.unpack(head)
    return PointsWriter(pid, host) if (kind, mark) == (HEAD, MARK) else None


def read_points(path: Path, position: int = 0, *, is_over: bool = False) -> Read:
    """Return the contents of a file from a position on; 0 is its beginning.

    Args:
        path: The file.
        position: `Read.position` of the previous call.
        is_over: Whether its writer has ended. While it lives, an unfinished record may still be
            finished, so that `position` stays before it.

    Raises:
        FileNotFoundError: The file was imported meanwhile.
        OSError: It cannot be read.
    """
    contents = settled(lambda: read_file(path, at_most=LARGEST_BYTES))
    return points_in(contents, position, is_over=is_over)


def settled(read: Callable[[], bytes]) -> bytes:
    """Return the contents of a file that may be written meanwhile, without its newest records.

    A read goes through the file while it grows. It may see the end, but none of the points that
    were written just before it, or the mark of a record without its step. So the file is read
    twice, and only the records up to the first difference are used.
    """
    before, after = read(), read()
    if before == after:
        return after
    end = 0
    for size in (len(_ZEROS), RECORD.size):  # faster than record by record
        while end < len(before) and before[end : end + size] == after[end : end + size]:
            end += size
    return after[:end]


def points_in(whole: bytes, position: int = 0, *, is_over: bool = False) -> Read:
    """Return the points in the contents of a file; see `read_points`."""
    # Most of a file may be unused space.
    used = -(-_used_bytes(whole) // RECORD.size)
    rows = min(used, len(whole) // RECORD.size)  # a full disk may have cut the last record off
    data = whole[: rows * RECORD.size]
    head = _head_of(data)
    if head is None:
        return Read({}, position, is_sealed=False, torn=0)
    kinds = _column("Q", data, rows, 3)
    first = max(position, head.begin) // RECORD.size
    if head.version == _FIRST_FORMAT:
        keys = _series_in_front(data, head.begin)
    else:
        # Series named before this position are required as well.
        keys = _series_among(data, kinds)
    is_sealed = kinds[-1] == kind_of(0, END)
    rest = kinds[first:]
    alone = _only_series(rest, len(rest) - is_sealed)
    if alone and alone[0] & _NUMBER in keys:
        found: Mapping[int, Sequence[int]] = dict([alone])
        read, torn = len(rest), 0
    else:
        known = {kind_of(number) for number in keys}
        found, read, torn = _places(rest, known, is_whole=is_sealed or is_over)
    points = {}
    if any(found.values()):
        fields = _fields(data[first * RECORD.size :], len(rest))
        points = {keys[kind & _NUMBER]: _taken(fields, at) for kind, at in found.items() if at}
    torn += used - rows if is_over else 0
    return Read(points, max((first + read) * RECORD.size, position), is_sealed, torn)


def _only_series(kinds: Sequence[int], end: int) -> tuple[int, range] | None:
    """Return the kind and the rows of all points up to a row, if they share one series."""
    begin = 0
    while begin < end and _is_about_points(kinds[begin]):
        begin += 1
    if begin < end:
        kind, rows = kinds[begin], range(begin, end)
        if kind_of(kind & _NUMBER) == kind and kinds[begin:end].count(kind) == len(rows):
            return kind, rows
    return None


def _places(
    kinds: Sequence[int], known: Iterable[int], *, is_whole: bool
) -> tuple[Mapping[int, Sequence[int]], int, int]:
    """Return the rows of each series by kind, the row to continue at, and the torn rows.

    `known` are the kinds of points; a whole file has no writer that could finish a record.
    """
    places: dict[int, list[int]] = {kind: [] for kind in known}
    torn = 0
    for row, kind in enumerate(kinds):
        some = places.get(kind)
        if some is not None:
            some.append(row)
        elif not _is_about_points(kind):
            if not is_whole:
                return places, row, torn
            torn += 1
    return places, len(kinds), torn


def _used_bytes(data: bytes) -> int:
    """Return the length of data without trailing zeros."""
    end, step = len(data), len(_ZEROS)
    while end >= step and data[end - step : end] == _ZEROS:
        end -= step  # faster than byte by byte
    begin = max(end - step, 0)
    return begin + len(data[begin:end].rstrip(b"\0"))


class _Head(NamedTuple):
    version: int
    begin: int


def _head_of(data: bytes) -> _Head | None:
    """Parse the head; return None if the file is not ours."""
    if len(data) < RECORD.size:
        return None
    version, _, begin, _, kind, mark = RECORD.unpack_from(data)
    known = (_FIRST_FORMAT, FORMAT_VERSION)
    if (kind, mark) != (HEAD, MARK) or version not in known:
        return None
    if not (RECORD.size <= begin < _LARGEST_FILE and begin % RECORD.size == 0):
        return None
    return _Head(version, int(begin))


def _is_about_points(kind: int) -> bool:
    """Check whether a record is finished and belongs among points without being one."""
    meant = kind >> 32 & 0xFFFF
    return kind >> 48 == MARK and (meant in {SERIES, END} or meant >= PART)


def _series_in_front(data: bytes, begin: int) -> dict[int, KeyOf]:
    """Return the series named in a file of the first format, by number."""
    keys: dict[int, KeyOf] = {}
    at = RECORD.size
    while at < min(begin, len(data)):
        length, set_index, _, number, kind, mark = RECORD.unpack_from(data, at)
        if (kind, mark) != (SERIES, MARK) or not 0 <= length <= begin:
            break
        at += RECORD.size
        keys[number] = KeyOf(set_index, data[at : at + length].decode("utf-8", "replace"))
        at += -(-length // RECORD.size) * RECORD.size
    return keys


def _series_among(data: bytes, kinds: Sequence[int]) -> dict[int, KeyOf]:
    """Return the series named among the points, by number."""
    said: dict[int, tuple[int, int]] = {}
    parts: dict[int, dict[int, bytes]] = {}
    naming = {kind for kind in set(kinds) if _is_about_points(kind)}
    # The rows of all of them are found in one pass, as a run may have thousands of metrics.
    for row in compress(range(len(kinds)), map(naming.__contains__, kinds)):
        kind, at = kinds[row], row * RECORD.size
        number, meant = kind & _NUMBER, kind >> 32 & 0xFFFF
        if meant == SERIES:
            length, set_index, *_ = RECORD.unpack_from(data, at)
            said[number] = (length, set_index)
        elif meant >= PART:
            parts.setdefault(number, {})[meant - PART] = data[at : at + PART_BYTES]
    keys: dict[int, KeyOf] = {}
    for number, (length, set_index) in said.items():
        own = parts.get(number, {})
        # An impossible length or a missing part: the writer was killed while naming the series.
        if 0 <= length <= len(own) * PART_BYTES and sorted(own) == list(range(len(own))):
            text = b"".join(own[part] for part in sorted(own))[:length]
            keys[number] = KeyOf(set_index, text.decode("utf-8", "replace"))
    return keys


def _fields(data: bytes, rows: int) -> Columns:
    """Return the steps, times and values of all records of any kind."""
    if sys.byteorder == "little":
        # Copying bytes is several times faster than converting each number.
        view: Any = memoryview(data)
        fields = (view.cast(kind)[place::4].tobytes() for place, kind in enumerate("qqd"))
        columns: list[Any] = [array(kind, one) for kind, one in zip("qqd", fields, strict=True)]
        return Columns(columns[0], columns[1], columns[2].tolist())
    columns = [_column(kind, data, rows, place) for place, kind in enumerate("qqd")]
    return Columns(*columns)


def _taken(fields: Columns, places: Sequence[int]) -> Columns:
    """Return the points in these rows, at least one."""
    first, last = places[0], places[-1]
    distance = (last - first) // max(len(places) - 1, 1) or 1
    # Usually a series is alone, or recurs at a fixed distance.
    if places == range(first, last + 1, distance) or places == list(
        range(first, last + 1, distance)
    ):
        rows = slice(first, last + 1, distance)
        return Columns(fields.steps[rows], fields.times[rows], fields.values[rows])
    columns: list[list[Any]] = [[column[place] for place in places] for column in fields]
    return Columns(*columns)


def _column(kind: str, data: bytes | memoryview, rows: int, place: int) -> list[Any]:
    """Return one of the four eight-byte fields of each record."""
    view: Any = memoryview(data)[: rows * RECORD.size]
    if sys.byteorder == "little":
        return list(view.cast("B").cast(kind)[place::4])
    fields = struct.unpack(f"<{rows * 4}{kind}", view)
    return list(fields[place::4])
