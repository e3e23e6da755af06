"""Metric points in flight: files of fixed records, one writer each.

A file is `spool/<uid>.<n>.points`, preallocated and mapped into memory. Writing a point is one
copy of 32 bytes into a place of its own, which the kernel has from then on: it survives `kill -9`
when the call returns. The format, little-endian, is documented in `docs/reference/spool.md`.

| record | step | time | value | number | kind | mark |
|---|---|---|---|---|---|---|
| head | version | process id | where the points begin | 0 | 0 | MARK |
| point | step | microseconds | value | of its series | 1 | MARK |
| series | length of its key | set index, -1 for none | 0 | its own | 2 | MARK |
| end | 0 | 0 | 0 | 0 | 3 | MARK |

The head is followed by the series, each with the text of its key in as many records as it needs,
then by the points. The mark is written last and a record never crosses a disk sector, so one
without it was never finished.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from runstore.storage.chunks import Columns

RECORD = struct.Struct("<qqdIHH")
MARK = 0x5AFE
FORMAT_VERSION = 1
_HEAD, POINT, _SERIES, _END = range(4)
# A short run takes little disk; a long one grows in larger steps.
_FIRST_POINTS = 2_000
_MOST_POINTS = 128_000
# Room for series that are new while a file is in use; one with more begins the next file.
_SERIES_RECORDS = 64
_NUMBER = 0xFFFFFFFF
_LARGEST_FILE = 1 << 40


class KeyOf(NamedTuple):
    """Which series a point belongs to: a metric's key, of the run or of one of its sets."""

    set_index: int
    key: str


class Read(NamedTuple):
    """What a file holds from a position on.

    Attributes:
        points: By series, in the order of their writing.
        position: Where to read on.
        is_sealed: Whether its writer said that nothing follows.
        torn: Records that were begun and never finished.
    """

    points: dict[KeyOf, Columns]
    position: int
    is_sealed: bool
    torn: int


class PointFile:
    """The file that a process writes its points into.

    Args:
        path: Where; it must not exist.
        series: What has a number already, and is said in the file.
        points: Room for so many points.
        mapped: Whether to map it into memory, as `memory`. A hole in a mapped file on a full
            disk would end the program, so the space is allocated first; a network disk gets
            `write` calls.

    Attributes:
        places: Gives the place of the next point. Taking one needs no lock: each is given once.

    Raises:
        OSError: The disk does not take it; nothing is left behind.
    """

    __slots__ = ("_descriptor", "_end", "_key_place", "_points_begin", "memory", "path", "places")

    def __init__(
        self, path: Path, series: Mapping[KeyOf, int], points: int, *, mapped: bool = True
    ) -> None:
        self.path = path
        said = sum(_records_of(one) for one in series)
        begin = (1 + said + _SERIES_RECORDS) * RECORD.size
        end = begin + points * RECORD.size
        self._points_begin, self._key_place = begin, RECORD.size
        self._end = end
        self.places = iter(range(begin, end, RECORD.size))
        # One record more, for the end.
        allocated = end + RECORD.size
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            if hasattr(os, "posix_fallocate") and mapped:
                os.posix_fallocate(self._descriptor, 0, allocated)
            elif mapped:  # macOS: written, so that it is there
                os.write(self._descriptor, bytes(allocated))
            self.memory = mmap.mmap(self._descriptor, allocated) if mapped else None
            self.write(0, FORMAT_VERSION, os.getpid(), float(begin), 0, _HEAD)
        except BaseException:
            os.close(self._descriptor)
            path.unlink(missing_ok=True)
            raise
        for one, number in series.items():
            self.say_series(one, number)

    def write(
        self, place: int, step: int, time: int, value: float, number: int, kind: int = POINT
    ) -> None:
        """Write one record.

        Raises:
            ValueError: The file was let go of.
        """
        if self.memory is not None:
            RECORD.pack_into(self.memory, place, step, time, value, number, kind, MARK)
        else:
            data = RECORD.pack(step, time, value, number, kind, MARK)
            os.pwrite(self._descriptor, data, place)

    def write_many(
        self,
        places: Sequence[int],
        number: int,
        steps: Sequence[int],
        times: Sequence[int],
        values: Sequence[float],
    ) -> None:
        """Write points of one series into these places."""
        rows = zip(steps, times, values, strict=True)
        data = [RECORD.pack(step, time, value, number, POINT, MARK) for step, time, value in rows]
        is_one_piece = places[-1] - places[0] == (len(places) - 1) * RECORD.size
        if self.memory is not None and is_one_piece:
            self.memory[places[0] : places[-1] + RECORD.size] = b"".join(data)
            return
        for place, record in zip(places, data, strict=True):
            if self.memory is not None:
                self.memory[place : place + RECORD.size] = record
            else:
                os.pwrite(self._descriptor, record, place)

    def say_series(self, series: KeyOf, number: int) -> bool:
        """Say which series a number stands for; False where there is no room for its key."""
        text = series.key.encode()
        place = self._key_place
        if place + _records_of(series) * RECORD.size > self._points_begin:
            return False
        padded = text.ljust((_records_of(series) - 1) * RECORD.size, b"\0")
        begin = place + RECORD.size
        if self.memory is not None:
            self.memory[begin : begin + len(padded)] = padded
        else:
            os.pwrite(self._descriptor, padded, begin)
        self.write(place, len(text), series.set_index, 0.0, number, _SERIES)
        self._key_place = begin + len(padded)
        return True

    def sync(self) -> None:
        """Bring what was written to the disk."""
        if self.memory is not None and sys.platform != "linux":
            self.memory.flush()
        # Linux writes what the memory map changed as well, and Python lets others run meanwhile.
        os.fsync(self._descriptor)

    def seal(self) -> None:
        """Say that nothing follows, and let go of the file.

        The map goes first: who has taken a place and not written yet gets an error and writes
        elsewhere, where a point behind the end would be lost.
        """
        try:
            if self.memory is not None:
                self.memory.close()
            place = next(self.places, self._end)
            os.pwrite(self._descriptor, RECORD.pack(0, 0, 0.0, 0, _END, MARK), place)
        finally:
            os.close(self._descriptor)


def _records_of(series: KeyOf) -> int:
    """Return how many records it takes to say a series."""
    return 1 + -(-len(series.key.encode()) // RECORD.size)


def next_room(points: int) -> int:
    """Return the room of the file that follows one of this room; 0 for the first."""
    return min(_MOST_POINTS, points * 4) if points else _FIRST_POINTS


def writer_of(path: Path) -> int | None:
    """Return the id of the process that writes a file; None when it does not say."""
    try:
        with path.open("rb") as file:
            head = file.read(RECORD.size)
    except OSError:
        return None
    if len(head) < RECORD.size:
        return None
    _, pid, _, _, kind, mark = RECORD.unpack(head)
    return int(pid) if (kind, mark) == (_HEAD, MARK) else None


def read_points(path: Path, position: int = 0, *, is_over: bool = False) -> Read:
    """Return what a file holds from a position on; 0 is its beginning.

    Args:
        path: The file.
        position: `position` of the reading before.
        is_over: Whether its writer is gone. While it lives, a record that is not finished yet
            may be so soon, and `position` stays before it.

    Raises:
        FileNotFoundError: It was taken in meanwhile.
        OSError: It cannot be read.
    """
    whole = path.read_bytes()
    # Most of a file may be room that was never used.
    rows = -(-len(whole.rstrip(b"\0")) // RECORD.size)
    data = whole[: rows * RECORD.size]
    begin = _points_begin(data)
    if begin is None or len(data) != rows * RECORD.size:
        return Read({}, position, is_sealed=False, torn=0)
    keys = _series_in(data, begin)
    found: dict[int, list[int]] = {_kind_of(number): [] for number in keys}
    kinds = _column("Q", data, rows, 3)
    is_sealed = kinds[-1] == _kind_of(0, _END)
    first = row = max(position, begin) // RECORD.size
    torn = 0
    for row, kind in enumerate(kinds[first:], first):
        places = found.get(kind)
        if places is not None:
            places.append(row)
        elif kind != _kind_of(0, _END):
            if not (is_sealed or is_over):
                break
            torn += 1
    else:
        row = rows
    points = {keys[kind & _NUMBER]: _columns(data, at) for kind, at in found.items() if at}
    return Read(points, max(row * RECORD.size, position), is_sealed, torn)


def _points_begin(data: bytes) -> int | None:
    """Return where the head says that the points begin; None where it is no head of ours."""
    if len(data) < RECORD.size:
        return None
    version, _, begin, _, kind, mark = RECORD.unpack_from(data)
    if (version, kind, mark) != (FORMAT_VERSION, _HEAD, MARK):
        return None
    return (
        int(begin) if RECORD.size <= begin < _LARGEST_FILE and begin % RECORD.size == 0 else None
    )


def _series_in(data: bytes, begin: int) -> dict[int, KeyOf]:
    """Return the series that a file says, by their numbers."""
    keys: dict[int, KeyOf] = {}
    at = RECORD.size
    while at < min(begin, len(data)):
        length, set_index, _, number, kind, mark = RECORD.unpack_from(data, at)
        if (kind, mark) != (_SERIES, MARK) or not 0 <= length <= begin:
            break
        at += RECORD.size
        keys[number] = KeyOf(set_index, data[at : at + length].decode("utf-8", "replace"))
        at += -(-length // RECORD.size) * RECORD.size
    return keys


def _kind_of(number: int, kind: int = POINT) -> int:
    """Return the last eight bytes of a record as one number."""
    return number | kind << 32 | MARK << 48


def _columns(data: bytes, places: list[int]) -> Columns:
    """Return the points in these rows."""
    first, last = places[0], places[-1] + 1
    part = memoryview(data)[first * RECORD.size : last * RECORD.size]
    count = last - first
    steps, times, values = (
        _column(kind, part, count, place) for place, kind in enumerate(("q", "q", "d"))
    )
    if len(places) == count:
        return Columns(steps, times, values)
    rows = [place - first for place in places]
    return Columns(*([column[row] for row in rows] for column in (steps, times, values)))


def _column(kind: str, data: bytes | memoryview, rows: int, place: int) -> list[Any]:
    """Return one of the four fields of eight bytes of each record."""
    view: Any = memoryview(data)[: rows * RECORD.size]
    if sys.byteorder == "little":
        return list(view.cast("B").cast(kind)[place::4])
    fields = struct.unpack(f"<{rows * 4}{kind}", view)
    return list(fields[place::4])
