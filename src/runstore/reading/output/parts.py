"""The files with the output of a run, open for reading at any position."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from heapq import merge
from itertools import pairwise
from typing import BinaryIO

from runstore.model.run import Run
from runstore.model.text.output import OutputLine
from runstore.storage.backend import Backend
from runstore.storage.files.output import (
    OPEN_ROWS,
    is_being_written,
    open_output,
    parse_line,
)
from runstore.storage.files.safe_files import UnsafeFileError
from runstore.value_classes import NamedTuple, dataclass

BLOCK_BYTES = 1 << 16
# Kept lines are never longer; see `storage/files/output.py`.
_LONGEST_ROW_BYTES = 1 << 26
# Including the preceding line end makes the search several times faster.
_HEAD = re.compile(rb"\n(\d{1,11})\.(\d{6}) ([oel])")
_LETTER = re.compile(rb"\n\d{1,11}\.\d{6} ([oel])")
_MICROS = 1_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """One file of output.

    Attributes:
        name: Its name while the run was active.
        file: The open file.
        size: The number of bytes to read.
        changed: A value that changes if the file does.
        settled: The number of bytes that will not change with more output.
        is_growing: Whether a process still writes to it.
    """

    name: str
    file: BinaryIO
    size: int
    changed: int
    settled: int
    is_growing: bool

    def block(self, offset: int) -> bytes:
        """Return complete lines from a position, about `BLOCK_BYTES`; empty at the end."""
        self.file.seek(offset)
        data = self.file.read(min(BLOCK_BYTES, self.size - offset))
        cut = data.rfind(b"\n") + 1
        if cut:
            return data[:cut]
        if offset + len(data) < self.size:
            data += self.file.readline(_LONGEST_ROW_BYTES)
        return data[: self.size - offset]

    def span(self, begin: int, end: int) -> bytes:
        """Return the bytes from one position to another."""
        self.file.seek(begin)
        return self.file.read(end - begin)


class Placed(NamedTuple):
    """A line, with the position of the next one in its file."""

    key: int
    line: OutputLine
    end: int


def heads(data: bytes) -> list[re.Match[bytes]]:
    """Return the matches of line heads in complete lines; a match starts with its line."""
    return list(_HEAD.finditer(b"\n" + data))


def letters(data: bytes) -> bytes:
    """Return the letter of the stream of each line."""
    return b"".join(_LETTER.findall(b"\n" + data))


def key_of(head: re.Match[bytes]) -> int:
    """Return the sort time of a line, in microseconds."""
    return int(head[1]) * _MICROS + int(head[2])


def lines_after(part: Part, offset: int) -> Iterator[Placed]:
    """Yield the lines of a part from a position onwards."""
    while offset < part.size:
        data = part.block(offset)
        if not data:
            return
        begins = [*(one.start() for one in heads(data)), len(data)]
        for begin, end in pairwise(begins):
            row = data[begin:end].partition(b"\n")[0]
            line = parse_line(row)
            if line is not None:
                seconds, _, rest = row.partition(b".")
                yield Placed(int(seconds) * _MICROS + int(rest[:6]), line, offset + end)
        offset += len(data)


def merged(parts: list[Part], offsets: tuple[int, ...]) -> Iterator[Placed]:
    """Yield the lines of all parts from a position onwards, in the order of `read_lines`."""
    each = [lines_after(part, at) for part, at in zip(parts, offsets, strict=True)]
    return merge(*each, key=lambda one: one.key)


@contextmanager
def opened_parts(backend: Backend, run: Run) -> Iterator[list[Part]]:
    """Open the files with the output of a run, in order of creation.

    Raises:
        NotFoundError: A file is missing.
        StoreCorruptError: A file was changed or damaged.
    """
    with ExitStack() as stack:
        try:
            parts = _opened(backend, run, stack.enter_context)
        except FileNotFoundError:  # a file was just imported into the objects
            parts = _opened(backend, run, stack.enter_context)
        yield parts


def _opened(backend: Backend, run: Run, keep: Callable[[BinaryIO], BinaryIO]) -> list[Part]:
    kept = backend.artifacts.outputs_of(run.uid)
    parts = [
        Part(
            one.part,
            keep(backend.objects.opened(one.digest, one.size_bytes)),
            one.size_bytes,
            changed=0,
            settled=one.size_bytes,
            is_growing=False,
        )
        for one in kept
    ]
    seen = {one.part for one in kept}
    for path in backend.spool.output_files(run.uid):
        if path.name in seen:
            continue
        is_growing = is_being_written(path)
        try:
            file = keep(open_output(path))
        except UnsafeFileError:
            continue  # not ours; `runstore doctor` reports it
        about = os.fstat(file.fileno())
        size = about.st_size
        settled = _settled(file, size) if is_growing else size
        parts.append(Part(path.name, file, size, about.st_mtime_ns, settled, is_growing))
    return parts


def _settled(file: BinaryIO, size: int) -> int:
    """Return the start of the rows that a program may still overwrite."""
    begin, rows = size, 0
    while begin:
        length = min(BLOCK_BYTES, begin)
        begin -= length
        file.seek(begin)
        data = file.read(length)
        ends = data.count(b"\n")
        if rows + ends <= OPEN_ROWS:
            rows += ends
            continue
        at = len(data)
        while rows <= OPEN_ROWS:
            at = data.rfind(b"\n", 0, at)
            rows += 1
        return begin + at + 1
    return 0
