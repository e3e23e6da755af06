"""The files of what a run printed, open for reading at any place."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from heapq import merge
from itertools import pairwise
from typing import BinaryIO, NamedTuple

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

BLOCK_BYTES = 1 << 16
# A longer line is none that was kept; see `storage/files/output.py`.
_LONGEST_ROW_BYTES = 1 << 26
# The line's end before them makes the search several times as fast.
_HEAD = re.compile(rb"\n(\d{1,11})\.(\d{6}) ([oel])")
_LETTER = re.compile(rb"\n\d{1,11}\.\d{6} ([oel])")
_MICROS = 1_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """One file of printed lines.

    Attributes:
        name: Its name while the run printed.
        file: The file, open.
        size: Bytes of it that are looked at.
        changed: Changes if the file does.
        settled: Bytes that stay as they are while the run prints more.
        is_growing: Whether a process still writes to it.
    """

    name: str
    file: BinaryIO
    size: int
    changed: int
    settled: int
    is_growing: bool

    def block(self, offset: int) -> bytes:
        """Return whole lines from a place on, about `BLOCK_BYTES` of them; empty at the end."""
        self.file.seek(offset)
        data = self.file.read(min(BLOCK_BYTES, self.size - offset))
        cut = data.rfind(b"\n") + 1
        if cut:
            return data[:cut]
        if offset + len(data) < self.size:
            data += self.file.readline(_LONGEST_ROW_BYTES)
        return data[: self.size - offset]

    def span(self, begin: int, end: int) -> bytes:
        """Return the bytes from one place to another."""
        self.file.seek(begin)
        return self.file.read(end - begin)


class Placed(NamedTuple):
    """A line, and where the next one begins in its file."""

    key: int
    line: OutputLine
    end: int


def heads(data: bytes) -> list[re.Match[bytes]]:
    """Return where lines begin in whole lines: the start of a match is that of its line."""
    return list(_HEAD.finditer(b"\n" + data))


def letters(data: bytes) -> bytes:
    """Return the letter of the stream of each line."""
    return b"".join(_LETTER.findall(b"\n" + data))


def key_of(head: re.Match[bytes]) -> int:
    """Return the time that a line is put in order by, in microseconds."""
    return int(head[1]) * _MICROS + int(head[2])


def lines_after(part: Part, offset: int) -> Iterator[Placed]:
    """Yield the lines of a part from a place on."""
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
    """Yield the lines of all parts from a place on, in the order that `read_lines` has."""
    each = [lines_after(part, at) for part, at in zip(parts, offsets, strict=True)]
    return merge(*each, key=lambda one: one.key)


@contextmanager
def opened_parts(backend: Backend, run: Run) -> Iterator[list[Part]]:
    """Open the files of what a run printed, in the order of their making.

    Raises:
        NotFoundError: What was kept is gone.
        StoreCorruptError: It was changed or damaged.
    """
    with ExitStack() as stack:
        try:
            parts = _opened(backend, run, stack.enter_context)
        except FileNotFoundError:  # a file was taken in among the objects in this moment
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
            continue  # none of ours, as `runstore doctor` says
        about = os.fstat(file.fileno())
        size = about.st_size
        settled = _settled(file, size) if is_growing else size
        parts.append(Part(path.name, file, size, about.st_mtime_ns, settled, is_growing))
    return parts


def _settled(file: BinaryIO, size: int) -> int:
    """Return where the rows begin that a program may still write over."""
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
