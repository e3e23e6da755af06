"""Metric points in flight: files of fixed-size records, each with a single writer.

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

import errno
import mmap
import os
import struct
import sys
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from runstore.errors import genuine, suppressed
from runstore.storage.files.host import host_number
from runstore.storage.files.safe_files import read_file, reader
from runstore.storage.metrics.chunks import Columns
from runstore.storage.sqlite.descriptors import identity_of, keep_for_ever
from runstore.storage.sqlite.paths import made_file, parsed, sync_folder
from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RECORD = struct.Struct("<qqdIHH")
QUICK_RECORD = struct.Struct("<qqdQ")  # the same bytes, with the last three fields as one number
MARK = 0x5AFE
FORMAT_VERSION = 2
_FIRST_FORMAT = 1  # its series are all after the head
_HEAD, POINT, _SERIES, _END = range(4)
_PART = 16
_PART_RECORD = struct.Struct("<24sIHH")
_PART_BYTES = 24
# A short run uses little disk space; a long one grows in larger steps.
_FIRST_POINTS = 2_000
_MOST_POINTS = 128_000
# Larger files are not ours.
LARGEST_BYTES = 1 << 24
_NUMBER = 0xFFFFFFFF
_LARGEST_FILE = 1 << 40
_ZEROS = bytes(4096)


class KeyOf(NamedTuple):
    """The series of a point: a metric's key, and the index of a parameter set or -1."""

    set_index: int
    key: str


class Read(NamedTuple):
    """The points of a file from a position on, by series, and the position to continue at.

    A sealed file is complete; torn records were never finished.
    """

    points: dict[KeyOf, Columns]
    position: int
    is_sealed: bool
    torn: int


class PointFile:
    """The file that a process writes its points to.

    Nothing here blocks: threads write concurrently, and a signal handler or a finalizer may write,
    or seal the file, in the middle of any of these calls.

    Args:
        path: The path; it must not exist.
        points: Capacity in records.
        mapped: Whether to map it into memory, as `memory`. A hole in a mapped file on a full disk
            would kill the program, so that space is allocated first; on a network disk, `write`
            calls are used instead.

    Attributes:
        places: Iterator over the places of records; each is returned once, to any caller.
        following: Under "", the file that follows; None at the end of the run.

    Raises:
        OSError: The file could not be created; nothing is left behind.
    """

    __slots__ = (
        "_closings",
        "_descriptor",
        "_device_and_file",
        "_end",
        "_has_lasting_name",
        "_is_closing",
        "_of_memory",
        "_seals",
        "_writing",
        "following",
        "memory",
        "path",
        "places",
    )

    def __init__(self, path: Path, points: int, *, mapped: bool = True) -> None:
        self.path = parsed(path)
        self.following: dict[str, PointFile | None] = {}
        end = (1 + points) * RECORD.size
        self._end = end
        self.places = iter(range(RECORD.size, end, RECORD.size))
        self._has_lasting_name = False
        self._is_closing = False
        self._writing: list[None] = []
        self._seals = [None]  # taking the item is the right to seal the file
        self._closings = [None]  # the same to close its descriptor
        # One extra record for the end.
        allocated = end + RECORD.size
        self._descriptor = made_file(path)
        try:
            if hasattr(os, "posix_fallocate") and mapped:
                os.posix_fallocate(self._descriptor, 0, allocated)
            elif mapped:  # macOS: write zeros to allocate the space
                os.write(self._descriptor, bytes(allocated))
            about = (FORMAT_VERSION, os.getpid(), float(RECORD.size), host_number())
            head = RECORD.pack(*about, _HEAD, MARK)
            os.pwrite(self._descriptor, head, 0)
            self._device_and_file = identity_of(self._descriptor)
            # The map has its own descriptor: the lowest free one, as this one was.
            number = os.dup(self._descriptor)
            os.close(number)
            self.memory: mmap.mmap | None = None
            if mapped:
                self.memory = mmap.mmap(self._descriptor, allocated)
                self.__class__ = _Mapped
            is_it = mapped and identity_of(number) == self._device_and_file
            self._of_memory = number if is_it else None  # otherwise another thread was faster
        except BaseException:  # a file that is not mapped is useless
            os.close(self._descriptor)
            path.unlink(missing_ok=True)
            raise

    def write(self, number: int, step: int, time: int, value: float) -> bool:
        """Write a point; return False if the file is full or sealed.

        Raises:
            OSError: The write failed.
        """
        return self._put(RECORD.pack(step, time, value, number, POINT, MARK))

    def write_many(self, number: int, points: Columns, begin: int = 0) -> int:
        """Write points of one series until the file is full; return the number written.

        Raises:
            OSError: The write failed.
        """
        places = list(islice(self.places, len(points.values) - begin))
        if not places:
            return 0
        data = _packed(number, points, begin, begin + len(places))
        if places[-1] - places[0] == (len(places) - 1) * RECORD.size:
            return len(places) if self._store(places[0], data) else 0
        for written, place in enumerate(places):
            record = data[written * RECORD.size : (written + 1) * RECORD.size]
            if not self._store(place, record):  # sealed by another thread
                return written
        return len(places)

    def say_series(self, series: KeyOf, number: int) -> bool:
        """Write which series a number means; return False if the file is full or sealed.

        If several threads write the same series at once, it is repeated, which is harmless.

        Raises:
            OSError: The write failed.
        """
        text = series.key.encode()
        records = [RECORD.pack(len(text), series.set_index, 0.0, number, _SERIES, MARK)]
        for part, begin in enumerate(range(0, len(text), _PART_BYTES), _PART):
            piece = text[begin : begin + _PART_BYTES]
            records.append(_PART_RECORD.pack(piece, number, part, MARK))
        return all(map(self._put, records))

    def _put(self, record: bytes) -> bool:
        place = next(self.places, 0)
        return bool(place) and self._store(place, record)

    def _store(self, place: int, data: bytes | bytearray) -> bool:
        memory = self.memory
        if memory is None:
            return self._store_through(place, data)
        try:
            memory[place : place + len(data)] = data
        except ValueError:  # closed
            return False
        return True

    def _store_through(self, place: int, data: bytes | bytearray) -> bool:
        # While a writer is listed here, the descriptor stays open, as its number could be reused.
        self._writing.append(None)
        try:
            if self._is_closing:
                return False
            os.pwrite(self._own_descriptor(), data, place)
            return True
        finally:
            self._writing.pop()
            if self._is_closing:
                self._seal_if_idle()

    def sync(self) -> None:
        """Flush written points to the disk.

        Raises:
            OSError: The sync failed, or the file was sealed.
        """
        if not self._seals:
            raise OSError(errno.EBADF, "The file was sealed", self.path)
        memory = self.memory
        if memory is not None and sys.platform != "linux":
            memory.flush()
        # Linux also writes changes through the map, and Python releases the GIL meanwhile.
        descriptor = os.dup(self._own_descriptor())  # others may seal the file before this is done
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if not self._has_lasting_name:
            sync_folder(self.path.parent)
            self._has_lasting_name = True

    def seal(self) -> None:
        """Mark the end of the file; a second call changes nothing.

        Its descriptor stays open until `close`, for a file that is deleted before its import.

        The map is closed first: a writer that has reserved a place but not written yet is refused
        and writes elsewhere, because a point after the end would be lost.
        """
        self._is_closing = True
        self._let_go_of_memory()
        self.__class__ = PointFile
        self._seal_if_idle()

    def _let_go_of_memory(
        self,
        # Bound here because module names are gone before objects when the interpreter exits.
        identity_of: Callable[[int], tuple[int, int] | None] = identity_of,
        keep: Callable[[object], None] = keep_for_ever,
    ) -> None:
        memory, self.memory = getattr(self, "memory", None), None
        if memory is None:  # also if the file could not be created
            return
        if self._of_memory is None or identity_of(self._of_memory) == self._device_and_file:
            memory.close()
        else:  # the program closed the descriptor, and may have opened another file there
            keep(memory)

    def _seal_if_idle(self) -> None:
        if self._writing:
            return  # the last of them does it
        try:
            self._seals.pop()
        except IndexError:
            return
        place = next(self.places, self._end)
        # Without the mark, the end of the run or of its process is the end of the file.
        with suppressed(OSError):  # it was removed, or the disk fails
            os.pwrite(self._own_descriptor(), RECORD.pack(0, 0, 0.0, 0, _END, MARK), place)

    def close(self) -> None:
        """Close a sealed file: it was imported, or will be by its name."""
        if self._seals:
            return
        with suppress(IndexError):
            self._closings.pop()
            if identity_of(self._descriptor) == self._device_and_file:
                os.close(self._descriptor)

    def saved(self) -> bytes | None:
        """Return the contents of a file that was deleted; None if it was closed."""
        if not self._closings or identity_of(self._descriptor) != self._device_and_file:
            return None
        return os.pread(self._descriptor, LARGEST_BYTES, 0)

    def _own_descriptor(self) -> int:
        """Return the descriptor of the file.

        It is reopened if the program has closed it, as daemons do, and possibly reused its number.
        """
        if identity_of(self._descriptor) != self._device_and_file:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
            if identity_of(descriptor) != self._device_and_file:
                os.close(descriptor)
                raise FileNotFoundError(errno.ENOENT, "The file was replaced", self.path)
            self._descriptor = descriptor
        return self._descriptor

    def discard(self) -> None:
        """Remove a file that has no writer."""
        self.seal()
        self.close()
        self.path.unlink(missing_ok=True)


class _Mapped(PointFile):
    """A file with a map that nobody else would let go of.

    A sealed file is none of these: Python prints what a signal handler raises in a finalizer and
    goes on, so that a Ctrl-C during one has no effect.
    """

    __slots__ = ()

    def __del__(self) -> None:
        self._let_go_of_memory()


def next_room(points: int) -> int:
    """Return the capacity of the next file; 0 as the argument means the first."""
    return min(_MOST_POINTS, points * 4) if points else _FIRST_POINTS


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
    return PointsWriter(pid, host) if (kind, mark) == (_HEAD, MARK) else None


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
    return points_in(read_file(path, at_most=LARGEST_BYTES), position, is_over=is_over)


def points_in(whole: bytes, position: int = 0, *, is_over: bool = False) -> Read:
    """Return the points in the contents of a file; see `read_points`."""
    # Most of a file may be unused space.
    rows = -(-_used_bytes(whole) // RECORD.size)
    data = whole[: rows * RECORD.size]
    head = _head_of(data)
    if head is None or len(data) != rows * RECORD.size:
        return Read({}, position, is_sealed=False, torn=0)
    kinds = _column("Q", data, rows, 3)
    first = max(position, head.begin) // RECORD.size
    if head.version == _FIRST_FORMAT:
        keys = _series_in_front(data, head.begin)
    else:
        # Series named before this position are required as well.
        keys = _series_among(data, kinds)
    is_sealed = kinds[-1] == kind_of(0, _END)
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
    if (kind, mark) != (_HEAD, MARK) or version not in known:
        return None
    if not (RECORD.size <= begin < _LARGEST_FILE and begin % RECORD.size == 0):
        return None
    return _Head(version, int(begin))


def _is_about_points(kind: int) -> bool:
    """Check whether a record is finished and belongs among points without being one."""
    meant = kind >> 32 & 0xFFFF
    return kind >> 48 == MARK and (meant in {_SERIES, _END} or meant >= _PART)


def _series_in_front(data: bytes, begin: int) -> dict[int, KeyOf]:
    """Return the series named in a file of the first format, by number."""
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


def _series_among(data: bytes, kinds: Sequence[int]) -> dict[int, KeyOf]:
    """Return the series named among the points, by number."""
    said: dict[int, tuple[int, int]] = {}
    parts: dict[int, dict[int, bytes]] = {}
    for kind in set(kinds):
        meant = kind >> 32 & 0xFFFF
        if meant == POINT or kind >> 48 != MARK:
            continue
        number, at = kind & _NUMBER, kinds.index(kind) * RECORD.size
        if meant == _SERIES:
            length, set_index, *_ = RECORD.unpack_from(data, at)
            said[number] = (length, set_index)
        elif meant >= _PART:
            parts.setdefault(number, {})[meant - _PART] = data[at : at + _PART_BYTES]
    keys: dict[int, KeyOf] = {}
    for number, (length, set_index) in said.items():
        own = parts.get(number, {})
        # An impossible length or a missing part: the writer was killed while naming the series.
        if 0 <= length <= len(own) * _PART_BYTES and sorted(own) == list(range(len(own))):
            text = b"".join(own[part] for part in sorted(own))[:length]
            keys[number] = KeyOf(set_index, text.decode("utf-8", "replace"))
    return keys


def kind_of(number: int, kind: int = POINT) -> int:
    """Return the last eight bytes of a record as one number."""
    return number | kind << 32 | MARK << 48


def _packed(number: int, points: Columns, begin: int, end: int) -> bytearray:
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
