"""Descriptors of this process: a few in reserve, and whether one is still what it was.

A program may use all that the system allows it. One that becomes a daemon closes whatever is open,
and its own files get the numbers.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

T = TypeVar("T")
# For an import one is enough; a file of points takes two as long as it is written.
_IN_RESERVE = 6
_USED_UP = {errno.EMFILE, errno.ENFILE}


def identity_of(descriptor: int) -> tuple[int, int] | None:
    """Return the device and the file that a descriptor leads to; None if it is closed."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


# Each with its identity; of a pipe that nobody else has, so that it is told from any other file.
_reserve: list[tuple[int, tuple[int, int] | None]] = []


def keep_reserve() -> None:
    """Keep descriptors open for `with_room`, as far as there are any left."""
    if os.name != "posix":
        return
    with suppress(OSError):
        if _reserve and identity_of(_reserve[0][0]) != _reserve[0][1]:
            _reserve.clear()  # the program has closed them
        if not _reserve:
            reading, writing = os.pipe()
            os.close(writing)
            _reserve.append((reading, identity_of(reading)))
        first, identity = _reserve[0]
        while len(_reserve) < _IN_RESERVE:
            _reserve.append((os.dup(first), identity))


@contextmanager
def _released() -> Iterator[None]:
    while _reserve:
        descriptor, identity = _reserve.pop()
        if identity_of(descriptor) == identity:  # else the program has closed it
            os.close(descriptor)
    try:
        yield
    finally:
        keep_reserve()


def with_room(work: Callable[[], T]) -> T:
    """Do something; if the program has used all its descriptors, do it again with the reserve.

    Raises:
        OSError: As the work does.
    """
    try:
        return work()
    except OSError as error:
        if error.errno not in _USED_UP:
            raise
    with _released():
        return work()
