"""Writing of metric points in flight, to files of fixed-size records with a single writer each."""

from __future__ import annotations

import errno
import mmap
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path

from runstore.errors import genuine, suppressed
from runstore.storage.files.host import host_number
from runstore.storage.metrics.chunks import Columns
from runstore.storage.metrics.point_records import (
    END,
    FORMAT_VERSION,
    HEAD,
    LARGEST_BYTES,
    MARK,
    PART,
    PART_BYTES,
    PART_RECORD,
    POINT,
    RECORD,
    SERIES,
    KeyOf,
    packed,
)
from runstore.storage.sqlite.descriptors import (
    identity_of,
    keep_for_ever,
    occupy_closed_streams,
)
from runstore.storage.sqlite.paths import made_file, parsed, sync_folder

TYPE_CHECKING = False

# A short run uses little disk space; a long one grows in larger steps.
_FIRST_POINTS = 2_000
_MOST_POINTS = 128_000


class PointFile:
    """The file that a process writes its points to.

    Nothing here blocks: threads write concurrently, and a signal handler or a finalizer may write,
    or seal the file, in the middle of any of these calls.

    Args:
        path: The path; it must not exist.
        points: Capacity in records.
        mapped: Whether to map it into memory, as `memory`, if that is possible. A hole in a mapped
            file on a full disk would kill the program, so that space is allocated first; on a
            network disk, `write` calls are used instead.

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
            # First of all, since a file without a head does not say who may be about to write it.
            about = (FORMAT_VERSION, os.getpid(), float(RECORD.size), host_number())
            _write_all(self._descriptor, RECORD.pack(*about, HEAD, MARK), 0)
            if hasattr(os, "posix_fallocate") and mapped:
                os.posix_fallocate(self._descriptor, 0, allocated)
            elif mapped:  # macOS: write zeros to allocate the space
                _write_all(self._descriptor, bytes(allocated - RECORD.size), RECORD.size)
            self._device_and_file = identity_of(self._descriptor)
            # The map has its own descriptor: the lowest free one, as this one was.
            number = os.dup(self._descriptor)
            os.close(number)
            self.memory: mmap.mmap | None = None
            if mapped:
                # A limit of memory, or a disk without maps: points are written by calls instead.
                with suppressed(OSError):
                    self.memory = mmap.mmap(self._descriptor, allocated)
                    self.__class__ = _Mapped
            is_it = self.memory is not None and identity_of(number) == self._device_and_file
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
            OSError: No point could be written.
        """
        places = list(islice(self.places, len(points.values) - begin))
        if not places:
            return 0
        data = packed(number, points, begin, begin + len(places))
        if places[-1] - places[0] == (len(places) - 1) * RECORD.size:
            return self._store(places[0], data) // RECORD.size
        written = 0
        try:
            for at, place in enumerate(places):
                if not self._store(place, data[at * RECORD.size : (at + 1) * RECORD.size]):
                    break  # sealed by another thread
                written += 1
        except genuine(OSError):
            if not written:
                raise
        return written

    def say_series(self, series: KeyOf, number: int) -> bool:
        """Write which series a number means; return False if the file is full or sealed.

        If several threads write the same series at once, it is repeated, which is harmless.

        Raises:
            OSError: The write failed.
        """
        text = series.key.encode()
        records = [RECORD.pack(len(text), series.set_index, 0.0, number, SERIES, MARK)]
        for part, begin in enumerate(range(0, len(text), PART_BYTES), PART):
            piece = text[begin : begin + PART_BYTES]
            records.append(PART_RECORD.pack(piece, number, part, MARK))
        return all(map(self._put, records))

    def _put(self, record: bytes) -> bool:
        place = next(self.places, 0)
        return bool(place) and bool(self._store(place, record))

    def _store(self, place: int, data: bytes | bytearray) -> int:
        """Write records; return the number of bytes written: whole records, 0 if sealed.

        Raises:
            OSError: No record could be written.
        """
        memory = self.memory
        if memory is None:
            return self._store_through(place, data)
        try:
            memory[place : place + len(data)] = data
        except ValueError:  # closed
            return 0
        return len(data)

    def _store_through(self, place: int, data: bytes | bytearray) -> int:
        # While a writer is listed here, the descriptor stays open, as its number could be reused.
        self._writing.append(None)
        try:
            if self._is_closing:
                return 0
            return _write_all(self._own_descriptor(), data, place)
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
            with suppressed(OSError):  # repeated next time; the points can be imported
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
            os.pwrite(self._own_descriptor(), RECORD.pack(0, 0, 0.0, 0, END, MARK), place)

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
            occupy_closed_streams()
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


def _write_all(descriptor: int, data: bytes | bytearray, place: int) -> int:
    """Write records; return the number of bytes of whole records written before an error, if any.

    A full disk writes a part without an error, and reports an error for the rest.

    Raises:
        OSError: No record could be written.
    """
    written = 0
    while written < len(data):
        try:
            written += os.pwrite(descriptor, data[written:] if written else data, place + written)
        except genuine(OSError):
            if written < RECORD.size:
                raise
            return written - written % RECORD.size
    return written


def next_room(points: int) -> int:
    """Return the capacity of the next file; 0 as the argument means the first."""
    return min(_MOST_POINTS, points * 4) if points else _FIRST_POINTS
