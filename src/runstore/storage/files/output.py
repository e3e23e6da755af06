"""Files of printed lines: interleaved, time-stamped, with progress bars collapsed.

A file is `spool/<uid>.<n>.output` during the run, and becomes an object afterwards. Each of its
lines is `<seconds since 1970>.<microseconds> <stream> <text>`; the stream is `o` for stdout, `e`
for stderr, `l` for logging. The format is documented in `docs/reference/spool.md`.
"""

from __future__ import annotations

import heapq
import io
import os
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path

from runstore.errors import genuine, suppressed
from runstore.model.text.output import LOGGING, STDERR, STDOUT, OutputLine
from runstore.storage.files.locks import lock_now, unlock
from runstore.storage.files.safe_files import UnsafeFileError, open_file, reader
from runstore.storage.sqlite.descriptors import identity_of, with_room
from runstore.storage.sqlite.paths import made_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

LETTERS = {STDOUT: b"o", STDERR: b"e", LOGGING: b"l"}
_STREAMS = {letter: name for name, letter in LETTERS.items()}
# Rows that can still change: nested progress bars are rarely higher.
OPEN_ROWS = 64
_LONGEST_LINE_BYTES = 1 << 20
# A program that prints without line ends creates rows of this size plus a single write.
_LONGEST_ROW_BYTES = 1 << 26
_LAST_BYTES = 1 << 16
# Positions above it are rare, and possible on every disk.
_LOWEST_MARK = 1 << 30
# `objects/ab/cdef…`
_LETTERS_OF_OBJECTS = 2
# Cursor movements: carriage return, backspace, and escape sequences (ECMA-48 CSI).
_MOVES = re.compile(rb"[\r\x08]|\x1b\[([0-9;?]*)([A-HJKf])")
# Eleven digits of seconds last until the year 5138.
_LINE = re.compile(rb"(\d{1,11})\.(\d{6}) ([oel]) ?(.*)", re.DOTALL)


class _Row:
    """A line that may still be overwritten: open without its end, and its bytes in the file."""

    __slots__ = ("head", "is_open", "text", "written")

    def __init__(self, head: bytes) -> None:
        self.head = head
        self.text = b""
        self.is_open = True
        self.written = 0

    @property
    def size(self) -> int:
        """Bytes without the line end."""
        return len(self.head) + len(self.text)


class _Cursor:
    """The position of the next text of one stream."""

    __slots__ = ("is_at_begin", "is_beyond", "last", "row", "waiting")

    def __init__(self) -> None:
        self.row: _Row | None = None
        self.last: _Row | None = None  # the lowest row of the stream
        self.is_at_begin = False  # after a carriage return: the next text replaces the line
        self.is_beyond = True  # after a line end: the next text begins a new line
        self.waiting = b""  # an incomplete escape sequence


class OutputFile:
    """A file for the printed output of one process.

    When `feed` returns, the kernel has the data, so that it survives `kill -9`. Lines that a
    progress bar overwrites are overwritten here as well: the file keeps the visible text.

    Raises:
        OSError: It cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = made_file(path)
        self._identity = identity_of(self._file)
        self._mark = _marked(self._file)
        lock_now(self._file)
        self._rows: deque[_Row] = deque()
        self._end = 0
        self._cursors: dict[bytes, _Cursor] = {}

    def feed(self, letter: bytes, data: bytes) -> None:
        """Add the output of a stream.

        Args:
            letter: One of `LETTERS`.
            data: Raw bytes; lines and escape sequences may be split anywhere.

        Raises:
            OSError: The write failed; earlier lines are kept.
        """
        cursor = self._cursors.get(letter)
        if cursor is None:
            cursor = self._cursors.setdefault(letter, _Cursor())
        head = b"%d.%06d %s " % (*divmod(time.time_ns() // 1000, 1_000_000), letter)
        if cursor.waiting:
            data, cursor.waiting = cursor.waiting + data, b""
        if b"\r" in data or b"\x1b" in data or b"\x08" in data:
            changed = self._feed_moves(cursor, head, data)
        elif data and data.find(b"\n") == len(data) - 1 and self._is_below_all(cursor):
            self._feed_line(cursor, head, data)
            return
        else:
            changed = self._feed_text(cursor, head, data)
        if changed is not None:
            self._write_from(changed)

    @property
    def is_open(self) -> bool:
        """Whether the descriptor still leads to the file: the program may have closed it.

        This is asked at every line, and the position of a descriptor is quicker than its identity.
        """
        if self._mark is None:
            return self._file >= 0 and identity_of(self._file) == self._identity
        try:
            return os.lseek(self._file, 0, os.SEEK_CUR) == self._mark
        except genuine(OSError):  # closed, or something else by now
            return False

    def sync(self) -> None:
        """Flush the file to the disk."""
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file, ending it with a line end."""
        if not self.is_open:
            self._file = -1
            return
        try:
            if self._rows and self._rows[-1].is_open:
                os.pwrite(self._file, b"\n", self._end)
            self.sync()
        finally:
            unlock(self._file)
            os.close(self._file)
            self._file = -1

    def saved(self) -> bytes | None:
        """Return the contents if the file was deleted; else None."""
        if not self.is_open or (about := os.fstat(self._file)).st_nlink:
            return None
        data = os.pread(self._file, about.st_size, 0)
        return data if data.endswith(b"\n") else data + b"\n"

    def give_up(self) -> None:
        """Close the file after a failed write, without the part of a line that arrived."""
        if self.is_open:
            with suppressed(OSError):
                os.ftruncate(self._file, self._end)
            if not self._end:
                with suppressed(OSError):
                    self.path.unlink()
        with suppressed(OSError):
            self.close()

    def leave_to_parent(self) -> None:
        """Close the copy in a forked child, which would keep the lock after the parent's end."""
        if self.is_open:
            os.close(self._file)
        self._file = -1

    # The visible rows

    def _is_below_all(self, cursor: _Cursor) -> bool:
        """Whether the next line of a stream is just added to the file, as most are."""
        if not cursor.is_beyond or cursor.row is not cursor.last or cursor.waiting:
            return False
        above = self._rows[-1] if self._rows else None
        return above is None or above.written == above.size + 1

    def _feed_line(self, cursor: _Cursor, head: bytes, line: bytes) -> None:
        """Add one whole line: what `_feed_text` and `_write_from` do, in a third of the time."""
        data = head + line
        _write_all(self._file, data, self._end)
        row = cursor.row = cursor.last = _Row(head)
        row.text, row.is_open, row.written = line[:-1], False, len(data)
        cursor.is_at_begin = not row.text
        self._end += len(data)
        self._rows.append(row)
        if len(self._rows) > OPEN_ROWS:
            self._rows.popleft()

    def _feed_text(self, cursor: _Cursor, head: bytes, data: bytes) -> int | None:
        """Add text without cursor movements; return the index of the first changed row."""
        changed: int | None = None
        parts = data.split(b"\n")
        for place, text in enumerate(parts):
            has_ended = place < len(parts) - 1
            if not text and not has_ended:
                break
            row = cursor.row
            if cursor.is_beyond or row is None or len(row.text) > _LONGEST_LINE_BYTES:
                row = self._row_below(cursor, head)
                cursor.row, cursor.is_at_begin = row, True
            if text:
                row.text = text if cursor.is_at_begin else row.text + text
                cursor.is_at_begin = False
            row.is_open = not has_ended
            cursor.is_beyond = has_ended
            if changed is None:  # the others are below
                changed = self._index(row)
        return changed

    def _feed_moves(self, cursor: _Cursor, head: bytes, data: bytes) -> int | None:
        """Add text with cursor movements; return the index of the first changed row."""
        cut = data.rfind(b"\x1b", -32)
        if cut >= 0 and re.fullmatch(rb"\x1b(\[[0-9;?]*)?", data[cut:]):
            cursor.waiting, data = data[cut:], data[:cut]
        changed: list[int] = []
        begin = 0
        for move in _MOVES.finditer(data):
            self._note(changed, self._feed_text(cursor, head, data[begin : move.start()]))
            begin = move.end()
            self._note(changed, self._move(cursor, move))
        self._note(changed, self._feed_text(cursor, head, data[begin:]))
        return min(changed, default=None)

    @staticmethod
    def _note(changed: list[int], index: int | None) -> None:
        if index is not None:
            changed.append(index)

    def _move(self, cursor: _Cursor, move: re.Match[bytes]) -> int | None:
        """Apply a cursor movement; return the index of the changed row, if any."""
        kind = move[2]
        row = cursor.row
        if row is None:
            return None
        if kind in {b"A", b"F"}:  # up
            count = int(move[1]) if move[1].isdigit() else 1
            self._go_up(cursor, max(1, count))
            return None
        if cursor.is_beyond:
            # At the beginning of a line that is still empty.
            return None
        if move[0] == b"\r" or (kind == b"G" and move[1] in {b"", b"1"}):
            cursor.is_at_begin = True
        elif move[0] == b"\x08":
            row.text = row.text.decode(errors="replace")[:-1].encode()
            return self._index(row)
        elif kind == b"K" and (cursor.is_at_begin or move[1] == b"2"):
            row.text = b""
            return self._index(row)
        return None

    def _go_up(self, cursor: _Cursor, count: int) -> None:
        """Move the cursor to an earlier line of the same stream, if that can still change."""
        own = self._rows_of(cursor)
        if not own:
            return
        here = own.index(cursor.row) if cursor.row in own else 0
        # After a line end, the cursor is one row further down.
        target = here - count + (1 if cursor.is_beyond else 0)
        cursor.row = own[max(0, target)]
        cursor.is_beyond, cursor.is_at_begin = False, True

    def _row_below(self, cursor: _Cursor, head: bytes) -> _Row:
        """Return the row below the cursor's, creating it if it does not exist."""
        if cursor.row is not cursor.last:
            own = self._rows_of(cursor)
            if cursor.row in own[:-1]:
                return own[own.index(cursor.row) + 1]
        row = cursor.last = _Row(head)
        self._rows.append(row)
        return row

    def _rows_of(self, cursor: _Cursor) -> list[_Row]:
        """Return the rows of the cursor's stream that can still change."""
        letter = cursor.last.head[-2:] if cursor.last else b""
        return [row for row in self._rows if row.head[-2:] == letter]

    def _index(self, row: _Row) -> int | None:
        if self._rows and self._rows[-1] is row:
            return len(self._rows) - 1
        return self._rows.index(row) if row in self._rows else None

    # The contents of the file

    def _write_from(self, index: int) -> None:
        """Write the rows from this one on, and forget rows that can no longer change."""
        rows = self._rows
        # The line end of an open row is written with the next one.
        while index and rows[index - 1].written == rows[index - 1].size:
            index -= 1
        changed = [rows[-1]] if index == len(rows) - 1 else list(islice(rows, index, None))
        position = self._end - sum(row.written for row in changed)
        parts: list[bytes] = []
        for row in changed:
            parts += (row.head, row.text, b"\n")
            row.written = row.size + 1
        if rows[-1].is_open:
            parts.pop()
            rows[-1].written -= 1
        data = b"".join(parts)
        _write_all(self._file, data, position)
        end = position + len(data)
        if end < self._end:
            os.ftruncate(self._file, end)
        self._end = end
        while len(rows) > OPEN_ROWS:
            rows.popleft()


def _marked(file: int) -> int | None:
    """Move a descriptor to a position that no other has, as all writes name their own; return it.

    None if the disk takes none.
    """
    mark = _LOWEST_MARK + int.from_bytes(os.urandom(4), "big") % _LOWEST_MARK
    try:
        return os.lseek(file, mark, os.SEEK_SET)
    except genuine(OSError):
        return None


def is_being_written(path: Path) -> bool:
    """Check whether a process still writes to a file, from its lock."""
    try:
        file = with_room(lambda: open_file(path, os.O_RDWR, is_ours=True))
    except genuine(OSError):
        return False
    try:
        return lock_now(file) is False
    finally:
        os.close(file)


def _write_all(file: int, data: bytes, position: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, position)
        view, position = view[written:], position + written


# A file of printed lines, or its contents.
Printed = Path | bytes


def open_output(path: Printed) -> BinaryIO:
    """Open a file of printed lines, in the spool or among the objects, or its contents.

    Raises:
        FileNotFoundError: It does not exist; it may have been imported.
        OSError: It cannot be read, or is not a regular file.
    """
    if isinstance(path, bytes):
        return io.BytesIO(path)
    # Objects are two folders deep; only their inner folder has a name of two letters.
    is_object = len(path.parent.name) == _LETTERS_OF_OBJECTS
    return reader(path, levels=2 if is_object else 1, is_ours=not is_object)


def read_lines(files: Iterable[Printed]) -> Iterator[OutputLine]:
    """Yield the lines of several files of one run, ordered by time."""
    return heapq.merge(*map(_lines_of, files), key=lambda line: line.at)


def _lines_of(path: Printed) -> Iterator[OutputLine]:
    try:
        file = open_output(path)
    except UnsafeFileError:
        return  # not one of ours; `runstore doctor` reports it
    with file:
        # A longer line was not written by us; it is read in parts, which are invalid as well.
        while line := file.readline(_LONGEST_ROW_BYTES):
            parsed = parse_line(line.removesuffix(b"\n"))
            if parsed is not None:
                yield parsed


def last_lines(path: Path) -> Iterator[OutputLine]:
    """Yield the valid lines in the last part of a file.

    Raises:
        OSError: It cannot be read, or is not a regular file.
    """
    with open_output(path) as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - _LAST_BYTES))
        lines = file.read(_LAST_BYTES).split(b"\n")
    yield from filter(None, map(parse_line, lines))


def line_in(data: bytes, place: int, *, of: int) -> OutputLine:
    """Return one of the lines of a part of a file that begins with a line, by its index."""
    rows = data.removesuffix(b"\n").split(b"\n")
    if len(rows) > of:  # some of them are invalid
        rows = [row for row in rows if _LINE.fullmatch(row)]
    line = parse_line(rows[place])
    if line is None:
        raise IndexError(place)
    return line


def parse_line(line: bytes) -> OutputLine | None:
    """Parse one line of a file; return None if it is invalid."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    micros = int(found[1]) * 1_000_000 + int(found[2])
    try:
        at = datetime.fromtimestamp(micros / 1e6, timezone.utc)
    except genuine(OverflowError, ValueError, OSError):
        return None
    return OutputLine(at, _STREAMS[found[3]], found[4].decode(errors="replace"))


class Tail:
    """Reads a file of printed lines while it is written, to its end even if it is removed.

    Raises:
        FileNotFoundError: It does not exist.
    """

    def __init__(self, path: Path) -> None:
        with open_output(path) as file:
            self._file = os.dup(file.fileno())
        self._begin = 0  # offset of the first line that may still change
        self._seen = 0  # complete lines read after that offset

    def lines(self) -> tuple[list[OutputLine], OutputLine | None]:
        """Return new complete lines, and the last line so far if it is incomplete."""
        size = os.fstat(self._file).st_size
        data = os.pread(self._file, max(0, size - self._begin), self._begin)
        parts = data.split(b"\n")
        last = parts.pop()
        new = [line for line in map(parse_line, parts[self._seen :]) if line is not None]
        above = max(0, len(parts) - OPEN_ROWS)
        self._begin += sum(len(line) + 1 for line in parts[:above])
        self._seen = len(parts) - above
        return new, parse_line(last) if last else None

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
