"""Metric points in flight: append-only files of fixed records, one writer each.

A file is `spool/<uid>.<n>.points`, preallocated and mapped into memory. Writing a point is one
copy of 32 bytes into it, which the kernel has from then on: it survives `kill -9` when the call
returns. The format, little-endian, is documented in `docs/reference/spool.md`.

| record | step | time | value | key | kind | mark |
|---|---|---|---|---|---|---|
| file head | version | process id | 0 | 0 | 0 | MARK |
| point | step | microseconds | value | index of its key | 1 | MARK |
| key | length of its text | set index, -1 for none | 0 | its index | 2 | MARK |
| end | 0 | 0 | 0 | 0 | 3 | MARK |

The text of a key, UTF-8, fills as many records as it needs behind its own. The mark is written
last and a record never crosses a disk sector, so one without it was never finished.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from runstore.storage.chunks import Columns

RECORD = struct.Struct("<qqdIHH")
MARK = 0x5AFE
FORMAT_VERSION = 1
_HEAD, POINT, _KEY, _END = range(4)
# A short run takes little disk; a long one grows in larger steps.
_FIRST_BYTES = 1 << 16
_LARGEST_BYTES = 1 << 22


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
        torn: Records that were never finished.
    """

    points: dict[KeyOf, Columns]
    position: int
    is_sealed: bool
    torn: int


class PointFile:
    """The file that a process appends its points to.

    Args:
        path: Where; it must not exist.
        size_bytes: Room for records, a multiple of their size.
        mapped: Whether to map it into memory, as `memory`. A hole in a mapped file on a full
            disk would end the program, so the space is allocated first; a network disk gets
            `write` calls.

    Raises:
        OSError: The disk does not take it; nothing is left behind.
    """

    __slots__ = ("_descriptor", "memory", "offset", "path", "size_bytes")

    def __init__(self, path: Path, size_bytes: int, *, mapped: bool = True) -> None:
        self.path = path
        self.size_bytes = size_bytes
        self.offset = 0
        # One record more, for the end.
        allocated = size_bytes + RECORD.size
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            if mapped:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(self._descriptor, 0, allocated)
                else:  # macOS: written, so that it is there
                    os.write(self._descriptor, bytes(allocated))
            self.memory = mmap.mmap(self._descriptor, allocated) if mapped else None
            self.append(FORMAT_VERSION, os.getpid(), 0.0, 0, _HEAD)
        except BaseException:
            os.close(self._descriptor)
            path.unlink(missing_ok=True)
            raise

    @property
    def room(self) -> int:
        """How many records fit."""
        return (self.size_bytes - self.offset) // RECORD.size

    def append(self, step: int, time: int, value: float, index: int, kind: int = POINT) -> None:
        """Write one record; there must be room."""
        if self.memory is not None:
            RECORD.pack_into(self.memory, self.offset, step, time, value, index, kind, MARK)
        else:
            os.write(self._descriptor, RECORD.pack(step, time, value, index, kind, MARK))
        self.offset += RECORD.size

    def append_points(
        self, index: int, steps: Sequence[int], times: Sequence[int], values: Sequence[float]
    ) -> None:
        """Write many points of one series; there must be room."""
        data = b"".join(
            [
                RECORD.pack(step, time, value, index, POINT, MARK)
                for step, time, value in zip(steps, times, values)  # noqa: B905 - checked before
            ]
        )
        if self.memory is not None:
            self.memory[self.offset : self.offset + len(data)] = data
        else:
            os.write(self._descriptor, data)
        self.offset += len(data)

    def append_key(self, index: int, series: KeyOf) -> None:
        """Say which series an index stands for; there must be room for its text."""
        text = series.key.encode()
        padded = text.ljust(records_of_text(text) * RECORD.size, b"\0")
        if self.memory is not None:
            begin = self.offset + RECORD.size
            self.memory[begin : begin + len(padded)] = padded
            self.append(len(text), series.set_index, 0.0, index, _KEY)
        else:
            self.append(len(text), series.set_index, 0.0, index, _KEY)
            os.write(self._descriptor, padded)
        self.offset += len(padded)

    def sync(self) -> None:
        """Bring what was written to the disk."""
        if self.memory is not None and sys.platform != "linux":
            self.memory.flush()
        # Linux writes what the memory map changed as well, and Python lets others run meanwhile.
        os.fsync(self._descriptor)

    def seal(self) -> None:
        """Say that nothing follows, and let go of the file."""
        with suppress(OSError):
            self.append(0, 0, 0.0, 0, _END)
        self.close()

    def close(self) -> None:
        """Let go of the file; what is in it stays."""
        if self.memory is not None:
            self.memory.close()
        os.close(self._descriptor)


def records_of_text(text: bytes) -> int:
    """Return how many records a key's text fills."""
    return -(-len(text) // RECORD.size)


def next_size(size_bytes: int) -> int:
    """Return the size of the file that follows one of this size; 0 for the first."""
    return min(_LARGEST_BYTES, size_bytes * 4) if size_bytes else _FIRST_BYTES


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


def read_points(path: Path, position: int = 0) -> Read:
    """Return what a file holds from a position on; 0 is its beginning.

    Raises:
        FileNotFoundError: It was taken in meanwhile.
        OSError: It cannot be read.
    """
    data = path.read_bytes()
    rows = len(data) // RECORD.size
    kinds = _kinds(data, rows)
    keys: dict[int, KeyOf] = {}
    # By kind and number together, as they stand in the last eight bytes: rows of its points.
    found: dict[int, list[int]] = {}
    row, sealed = 0, False
    first = position // RECORD.size
    while row < rows:
        kind = kinds[row]
        places = found.get(kind)
        if places is not None:
            if row >= first:
                places.append(row)
        elif kind >> 48 != MARK:
            break
        elif (kind >> 32) & 0xFFFF == _KEY:
            length, set_index, *_ = RECORD.unpack_from(data, row * RECORD.size)
            begin = (row + 1) * RECORD.size
            text = data[begin : begin + length].decode("utf-8", "replace")
            number = kind & 0xFFFFFFFF
            keys[number] = KeyOf(set_index, text)
            found.setdefault(_point_kind(number), [])
            row += records_of_text(data[begin : begin + length])
        elif (kind >> 32) & 0xFFFF == _END:
            sealed = True
        row += 1
    torn = int(row < rows and any(data[row * RECORD.size : (row + 1) * RECORD.size]))
    points = {
        keys[kind & 0xFFFFFFFF]: _columns(data, places) for kind, places in found.items() if places
    }
    return Read(points, row * RECORD.size, sealed, torn)


def _point_kind(number: int) -> int:
    return number | POINT << 32 | MARK << 48


def _kinds(data: bytes, rows: int) -> list[int]:
    """Return the last eight bytes of each record as one number: number, kind and mark."""
    return _column("Q", data, rows, 3)


def _columns(data: bytes, places: list[int]) -> Columns:
    """Return the points in these rows."""
    first, last = places[0], places[-1] + 1
    part = memoryview(data)[first * RECORD.size : last * RECORD.size]
    count = last - first
    whole = (
        _column("q", part, count, 0),
        _column("q", part, count, 1),
        _column("d", part, count, 2),
    )
    if len(places) == count:
        return Columns(*whole)
    steps, times, values = ([column[place - first] for place in places] for column in whole)
    return Columns(steps, times, values)


def _column(kind: str, data: bytes | memoryview, rows: int, place: int) -> list[Any]:
    """Return one of the four fields of eight bytes of each record."""
    view: Any = memoryview(data)[: rows * RECORD.size]
    if sys.byteorder == "little":
        return list(view.cast("B").cast(kind)[place::4])
    fields = struct.unpack(f"<{rows * 4}{kind}", view)
    return list(fields[place::4])
